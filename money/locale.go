package money

import (
	"strings"

	"github.com/bojanz/currency"
)

// Localized returns v for people who read locale, a language tag such as
// "en-US" or "de": "$12.75", "12,75 €" (the space is U+00A0). It is exact: the
// currency's own decimals, and more where the amount has them and the unit
// keeps them. Codes without a symbol of their own follow the number after
// U+00A0: "1,250.5 CREDITS". Formats are those of CLDR; an unknown locale reads
// English.
//
// An amount that starts beyond the sixth decimal is shown as everywhere,
// "0.0000001 USD", again with U+00A0.
func (v Value) Localized(locale string) string {
	digits, formatted := 0, false
	if v.Unit.Kind == Currency {
		_, digits, _ = ISO(v.Unit.Code)
		formatted = currency.IsValid(v.Unit.Code)
	}
	text := v.Amount.TextMin(int(v.Unit.Scale), digits)
	if startsLate(text) { // currency would write 1E-7
		return text + "\u00a0" + v.Unit.Code
	}
	l := currency.NewLocale(locale)
	if l.Language == "" { // currency would write nothing
		l = currency.NewLocale("en")
	}
	f := currency.NewFormatter(l)
	// As many decimals as text has: with room for more, currency may run out
	// of digits and write NaN.
	_, fraction, _ := strings.Cut(text, ".")
	f.MinDigits, f.MaxDigits = uint8(len(fraction)), uint8(len(fraction))
	if formatted {
		return format(f, text, v.Unit.Code)
	}
	f.CurrencyDisplay = currency.DisplayNone
	return format(f, text, "USD") + "\u00a0" + v.Unit.Code // any code: it is not shown
}

func format(f *currency.Formatter, text, code string) string {
	a, err := currency.NewAmount(text, code)
	if err != nil {
		panic("money: " + err.Error()) // decimal text and a known code are always taken
	}
	return f.Format(a)
}

// startsLate reports whether the first digit of text that is not 0 comes
// after its sixth decimal.
func startsLate(text string) bool {
	digits, isFraction := strings.CutPrefix(strings.TrimPrefix(text, "-"), "0.000000")
	return isFraction && digits != ""
}
