package money

import (
	"slices"
	"strings"
	"testing"

	"github.com/bojanz/currency"
	"pgregory.net/rapid"
)

func TestLocalized(t *testing.T) {
	usd, eur := Unit{"USD", 6, Currency}, Unit{"EUR", 6, Currency}
	credits := Unit{"CREDITS", 4, Credit}
	for _, tt := range []struct {
		text   string
		unit   Unit
		locale string
		want   string
	}{
		{"12.75", usd, "en-US", "$12.75"},
		{"12.75", usd, "", "$12.75"},
		{"12.75", usd, "tlh", "$12.75"},
		{"12.75", usd, "-US", "$12.75"},
		{"12.75", usd, "en-AU", "US$12.75"},
		{"12", usd, "en", "$12.00"},
		{"0.000125", usd, "en", "$0.000125"},
		{"0", usd, "en", "$0.00"},
		{"-5", usd, "en", "-$5.00"},
		{"1234567.5", usd, "en", "$1,234,567.50"},
		{"350.12", eur, "de-DE", "350,12 €"},
		{"350.12", eur, "de_DE", "350,12 €"},
		{"350.12", eur, "es", "350,12 €"},
		{"-1234567.891", eur, "fr", "-1 234 567,891 €"},
		{"-1234.5", eur, "sv", "−1 234,50 €"},
		{"1234567.89", Unit{"INR", 6, Currency}, "hi", "₹12,34,567.89"},
		{"1000", Unit{"JPY", 0, Currency}, "ja", "￥1,000"},
		{"1000.5", Unit{"JPY", 6, Currency}, "en", "¥1,000.5"},
		{"1.234", Unit{"KWD", 3, Currency}, "en", "KWD 1.234"},
		{"12", Unit{"USD", 0, Currency}, "en", "$12"}, // no decimals kept, none shown
		{"1250.5", credits, "en", "1,250.5 CREDITS"},
		{"-1250.5", credits, "de", "-1.250,5 CREDITS"},
		{"100", credits, "en", "100 CREDITS"},
		{"100", Unit{"USD", 4, Credit}, "en", "100 USD"}, // not the dollar
		{"2.5", Unit{"BGN", 6, Currency}, "bg", "2,50 BGN"},
		{"12.5", Unit{"USD", 18, Currency}, "en", "$12.50"},
		{"12.123456789012345678", Unit{"USD", 18, Currency}, "en", "$12.123456789012345678"},
		{"0.000001", Unit{"USD", 18, Currency}, "en", "$0.000001"},
		{"0.0000001", Unit{"USD", 18, Currency}, "en", "0.0000001 USD"},
		{"-0.0000001", Unit{"USD", 18, Currency}, "de", "-0.0000001 USD"},
		{"170141183460469231731687303715884.105727", usd, "en", "$170,141,183,460,469,231,731,687,303,715,884.105727"},
	} {
		a, err := tt.unit.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		// Spaces are written plainly above; none of them may be a plain one.
		got := Value{a, tt.unit}.Localized(tt.locale)
		if strings.Contains(got, " ") {
			t.Errorf("%s %s in %q: %q has a space that may break", tt.text, tt.unit.Code, tt.locale, got)
		}
		if got := strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(got); got != tt.want {
			t.Errorf("%s %s in %q = %q, want %q", tt.text, tt.unit.Code, tt.locale, got, tt.want)
		}
	}
}

// A person who reads the digits reads the amount, whatever its size.
func TestLocalizedIsExact(t *testing.T) {
	locales := []string{"en", "de", "fr", "ja", "es-MX", "hi", "sv", "de-CH", "pt-BR", "ru", "zz"}
	codes := []string{"USD", "EUR", "JPY", "KWD", "CLF", "BGN", "SMS"}
	rapid.Check(t, func(t *rapid.T) {
		a := amounts().Draw(t, "amount")
		u := Unit{rapid.SampledFrom(codes).Draw(t, "code"), uint8(scales().Draw(t, "scale")), Currency}
		got := Value{a, u}.Localized(rapid.SampledFrom(locales).Draw(t, "locale"))
		_, least, _ := ISO(u.Code)
		want := a.TextMin(int(u.Scale), least)
		if digits(got) != digits(want) {
			t.Fatalf("%s %s is shown as %q", want, u.Code, got)
		}
		if negative := strings.ContainsAny(got, "-−"); negative != (a.Sign() < 0) {
			t.Fatalf("%s is shown as %q", want, got)
		}
	})
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// Each currency is named, by a symbol or its code, wherever it is shown.
func TestLocalizedNamesTheCurrency(t *testing.T) {
	codes := slices.Clone(currency.GetCurrencyCodes())
	for code := range further {
		codes = append(codes, code)
	}
	for _, code := range codes {
		u, _, ok := ISO(code)
		if !ok {
			t.Errorf("%s is not known", code)
		}
		for _, locale := range []string{"en", "en-GB", "de-AT", "ar-EG", "fa", "zh-Hant", "sr-Latn", "es-419"} {
			got := Value{New(1_500_000), u}.Localized(locale)
			named := strings.TrimFunc(got, func(r rune) bool { return strings.ContainsRune("0123456789.,\u00a0", r) })
			if named == "" {
				t.Errorf("%s in %s is %q", code, locale, got)
			}
		}
	}
}

func FuzzLocalized(f *testing.F) {
	for _, locale := range []string{"en-US", "", "-", "-US", "-Latn", "_", "*", "de-u-nu-arab", "\xff-\xff\xff\xff\xff", "no"} {
		f.Add(locale, int64(-12_340_000), uint64(0))
	}
	f.Fuzz(func(t *testing.T, locale string, hi int64, lo uint64) {
		got := Value{FromParts(hi, lo), Unit{"EUR", 9, Currency}}.Localized(locale)
		if got == "" || strings.Contains(got, "NaN") {
			t.Errorf("%q", got)
		}
	})
}
