package money

import (
	"errors"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, u := range []Unit{
		{"USD", 6, Currency},
		{"USD", 0, Currency},
		{"JPY", 18, Currency},
		{"HRK", 2, Currency},
		{"CREDITS", 4, Credit},
		{"X", 0, Credit},
		{"SMS-DE_2", 0, Credit},
		{"ABCDEFGHIJKLMNOP", 0, Credit},
		{"ALL", 4, Credit}, // also a currency's code, but not meant so
	} {
		if err := u.Validate(); err != nil {
			t.Errorf("%+v: %v", u, err)
		}
	}
	for want, u := range map[string]Unit{
		`not a unit: code ""; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:                  {"", 4, Credit},
		`not a unit: code "credits"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:           {"credits", 4, Credit},
		`not a unit: code "1A"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:                {"1A", 4, Credit},
		`not a unit: code "_A"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:                {"_A", 4, Credit},
		`not a unit: code "A B"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:               {"A B", 4, Credit},
		`not a unit: code "Å"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`:                 {"Å", 4, Credit},
		`not a unit: code "ABCDEFGHIJKLMNOPQ"; write 1 to 16 of A-Z, 0-9, _ and -, a letter first`: {"ABCDEFGHIJKLMNOPQ", 4, Credit},
		`not a unit: scale 19 of CREDITS; write 0 to 18`:                                           {"CREDITS", 19, Credit},
		`not a unit: kind 0 of CREDITS; write currency or credit`:                                  {"CREDITS", 4, 0},
		`not a unit: kind 3 of CREDITS; write currency or credit`:                                  {"CREDITS", 4, 3},
		`not a unit: currency CREDITS is not in ISO 4217; write one that is, or make it a credit`:  {"CREDITS", 4, Currency},
		`not a unit: currency QQQ is not in ISO 4217; write one that is, or make it a credit`:      {"QQQ", 4, Currency},
	} {
		if err := u.Validate(); !errors.Is(err, ErrUnit) || err.Error() != want {
			t.Errorf("%+v: %v, want %s", u, err, want)
		}
	}
	if (Unit{}).Validate() == nil {
		t.Error("the zero unit is valid")
	}
}

func TestKind(t *testing.T) {
	for _, k := range []Kind{Currency, Credit} {
		if got, err := ParseKind(k.String()); err != nil || got != k {
			t.Errorf("ParseKind(%q) = %v, %v", k, got, err)
		}
	}
	for _, s := range []string{"", "Currency", "kind 0", "credits"} {
		if k, err := ParseKind(s); !errors.Is(err, ErrUnit) || k != 0 {
			t.Errorf("ParseKind(%q) = %v, %v", s, k, err)
		}
	}
}

func TestISO(t *testing.T) {
	for code, want := range map[string]int{
		"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "IQD": 3, "ALL": 2, // ISO's, not CLDR's
		"BGN": 2, "HRK": 2, "XAU": 0, "XXX": 0,
	} {
		u, digits, ok := ISO(code)
		if !ok || digits != want || u != (Unit{code, 6, Currency}) || u.Validate() != nil {
			t.Errorf("ISO(%s) = %v, %d, %v, want %d digits", code, u, digits, ok, want)
		}
	}
	for _, code := range []string{"", "usd", "US", "USDT", "QQQ", "CREDITS", " USD"} {
		if u, _, ok := ISO(code); ok || u != (Unit{}) {
			t.Errorf("ISO(%q) = %v, %v", code, u, ok)
		}
	}
}

func TestUnitReadsWhatItWrites(t *testing.T) {
	u := Unit{"USD", 6, Currency}
	a, err := u.Parse("12.34")
	if err != nil || a != New(12_340_000) {
		t.Fatal(a, err)
	}
	if got := u.Text(a); got != "12.340000" {
		t.Error(got)
	}
	if got := (Value{a, u}).String(); got != "12.340000 USD" {
		t.Error(got)
	}
}

func TestFormattedPrice(t *testing.T) {
	for _, tt := range []struct {
		text string
		unit Unit
		want string
	}{
		{"10000.000", Unit{"USD", 6, Currency}, "$10,000.00"}, // as printed by the vendor, as is
		{"5", Unit{"USD", 6, Currency}, "$5.00"},              // this
		{"0", Unit{"USD", 6, Currency}, "$0.00"},
		{"0.32", Unit{"USD", 2, Currency}, "$0.32"},
		{"0.019999", Unit{"USD", 6, Currency}, "$0.01"},
		{"999.999999", Unit{"USD", 6, Currency}, "$999.99"},
		{"1000", Unit{"USD", 6, Currency}, "$1,000.00"},
		{"1234567.891", Unit{"USD", 3, Currency}, "$1,234,567.89"},
		{"5", Unit{"USD", 0, Currency}, "$5.00"},
		{"5.5", Unit{"USD", 1, Currency}, "$5.50"},
		{"-5", Unit{"USD", 6, Currency}, "-$5.00"},
		{"-0.000001", Unit{"USD", 6, Currency}, "-$0.01"}, // toward minus infinity
		{"-123456", Unit{"USD", 6, Currency}, "-$123,456.00"},
		{"-1234567", Unit{"USD", 6, Currency}, "-$1,234,567.00"},
		{"10000", Unit{"EUR", 6, Currency}, "10,000.00 EUR"},
		{"-100", Unit{"CREDITS", 0, Credit}, "-100.00 CREDITS"},
		{"170141183460469231731687303715884105727", Unit{"USD", 0, Currency}, "$170,141,183,460,469,231,731,687,303,715,884,105,727.00"},
	} {
		a, err := tt.unit.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Value{a, tt.unit}).FormattedPrice(); got != tt.want {
			t.Errorf("%s %s = %q, want %q", tt.text, tt.unit.Code, got, tt.want)
		}
	}
}
