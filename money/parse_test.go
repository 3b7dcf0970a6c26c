package money

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text  string
		scale int
		want  string // steps
		err   error
	}{
		{"12.34", 6, "12340000", nil},
		{"12", 6, "12000000", nil},
		{"-12.340000", 6, "-12340000", nil},
		{"0", 0, "0", nil},
		{"-0", 6, "0", nil},
		{"-0.00", 6, "0", nil},
		{"007.50", 2, "750", nil},
		{"0.000000000000000001", 18, "1", nil},
		{"9999999999999999999", 18, "9999999999999999999000000000000000000", nil},         // 19 digits
		{"10000000000000000000", 18, "10000000000000000000000000000000000000", nil},       // 20
		{"18446744073709551616", 0, "18446744073709551616", nil},                          // 2^64
		{"-9223372036854775808.50", 2, "-922337203685477580850", nil},                     // past int64
		{"0000000000000000000000000000000000000000000000000000000000000001", 0, "1", nil}, // 64 bytes
		{"170141183460469231731687303715884105727", 0, "170141183460469231731687303715884105727", nil},
		{"-170141183460469231731687303715884105728", 0, "-170141183460469231731687303715884105728", nil},
		{"-170141183460469231731.687303715884105728", 18, "-170141183460469231731687303715884105728", nil},

		{"170141183460469231731687303715884105728", 0, "", ErrRange},
		{"-170141183460469231731687303715884105729", 0, "", ErrRange},
		{"170141183460469231731687303715884105727", 1, "", ErrRange},
		{"340282366920938463463374607431768211456", 0, "", ErrRange}, // 2^128
		{"340282366920938463463374607431768211457", 0, "", ErrRange},
		{strings.Repeat("9", 64), 0, "", ErrRange},

		{"12.345", 2, "", ErrDecimals},
		{"12.340", 2, "", ErrDecimals}, // zeros, too
		{"12.0", 0, "", ErrDecimals},
		{"0.0000000000000000000", 18, "", ErrDecimals},
		{strings.Repeat("9", 60) + ".99", 1, "", ErrDecimals}, // before ErrRange

		{"", 6, "", ErrSyntax},
		{"-", 6, "", ErrSyntax},
		{".", 6, "", ErrSyntax},
		{"-.", 6, "", ErrSyntax},
		{"1.", 6, "", ErrSyntax},
		{".5", 6, "", ErrSyntax},
		{"-.5", 6, "", ErrSyntax},
		{"+1", 6, "", ErrSyntax},
		{"--1", 6, "", ErrSyntax},
		{"1-", 6, "", ErrSyntax},
		{"1.2.3", 6, "", ErrSyntax},
		{"1..2", 6, "", ErrSyntax},
		{"1,5", 6, "", ErrSyntax},
		{"1_000", 6, "", ErrSyntax},
		{"1e3", 6, "", ErrSyntax},
		{" 1", 6, "", ErrSyntax},
		{"1 ", 6, "", ErrSyntax},
		{"1\n", 6, "", ErrSyntax},
		{"0x10", 6, "", ErrSyntax},
		{"$1", 6, "", ErrSyntax},
		{"NaN", 6, "", ErrSyntax},
		{"Infinity", 6, "", ErrSyntax},
		{"١٢", 6, "", ErrSyntax}, // other digits
		{"1\x00", 6, "", ErrSyntax},
		{"−1", 6, "", ErrSyntax},                    // U+2212
		{"1.2345x", 2, "", ErrSyntax},               // before ErrDecimals
		{strings.Repeat("0", 65), 0, "", ErrSyntax}, // too long
	} {
		got, err := Parse(tt.text, tt.scale)
		if !errors.Is(err, tt.err) || err == nil && got.String() != tt.want || err != nil && !got.IsZero() {
			t.Errorf("Parse(%q, %d) = %v, %v, want %s, %v", tt.text, tt.scale, got, err, tt.want, tt.err)
		}
		fromBytes, err2 := Parse([]byte(tt.text), tt.scale)
		if fromBytes != got || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Errorf("Parse(%q) is %v, %v as bytes", tt.text, fromBytes, err2)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct {
		text  string
		scale int
		want  string
		err   error
	}{
		{"1e2", 2, "10000", nil},
		{"1.5E1", 2, "1500", nil},
		{"1.5e+1", 0, "15", nil},
		{"15e-1", 2, "150", nil},
		{"-0.32", 2, "-32", nil},
		{"-0", 2, "0", nil},
		{"0e99999999999999999999", 2, "0", nil},
		{"0.000e-99999999999999999999", 2, "0", nil},
		{"10.0", 0, "10", nil}, // Python writes this for a whole float
		{"1.50", 1, "15", nil},
		{"1500e-2", 0, "15", nil},
		{"1000000e-8", 2, "1", nil},
		{"1.10000000000000000000000000000000000000000000", 1, "11", nil},
		{"0.00000000000000000000000000000000000000000001e44", 0, "1", nil},
		{"1e-18", 18, "1", nil},
		{"1e+0000000000000000000000000000000001", 0, "10", nil},
		{"1.70141183460469231731687303715884105727E38", 0, "170141183460469231731687303715884105727", nil},
		{"1e38", 0, "100000000000000000000000000000000000000", nil},
		{"1e20", 18, "100000000000000000000000000000000000000", nil},

		{"0.30000000000000004", 6, "", ErrDecimals}, // 0.1+0.2: refused, not mended
		{"0.001", 2, "", ErrDecimals},
		{"1e-3", 2, "", ErrDecimals},
		{"1e-99999999999999999999", 18, "", ErrDecimals},
		{"12.5", 0, "", ErrDecimals},
		{"999999999999999999999999999999999999999999999.5", 0, "", ErrDecimals},
		{"1e39", 0, "", ErrRange},
		{"1" + strings.Repeat("0", 58) + "1", 0, "", ErrRange},
		{"2e38", 0, "", ErrRange},
		{"1e21", 18, "", ErrRange},
		{"1e99999999999999999999", 0, "", ErrRange},
		{"170141183460469231731687303715884105728", 0, "", ErrRange},
		{"9999999999999999999999999999999999999999999", 0, "", ErrRange},

		{"", 2, "", ErrSyntax},
		{"-", 2, "", ErrSyntax},
		{"01", 2, "", ErrSyntax},
		{"-01.5", 2, "", ErrSyntax},
		{"00", 2, "", ErrSyntax},
		{"+1", 2, "", ErrSyntax},
		{".5", 2, "", ErrSyntax},
		{"1.", 2, "", ErrSyntax},
		{"1.e2", 2, "", ErrSyntax},
		{"1e", 2, "", ErrSyntax},
		{"1e+", 2, "", ErrSyntax},
		{"1e-", 2, "", ErrSyntax},
		{"1e1.5", 2, "", ErrSyntax},
		{"1e1e1", 2, "", ErrSyntax},
		{"e1", 2, "", ErrSyntax},
		{"0e", 2, "", ErrSyntax},
		{" 1", 2, "", ErrSyntax},
		{"1 ", 2, "", ErrSyntax},
		{`"1"`, 2, "", ErrSyntax},
		{"null", 2, "", ErrSyntax},
		{"NaN", 2, "", ErrSyntax},
		{"0x1p4", 2, "", ErrSyntax},
		{"1" + strings.Repeat("0", 64), 2, "", ErrSyntax}, // too long
	} {
		got, err := ParseNumber(tt.text, tt.scale)
		if !errors.Is(err, tt.err) || err == nil && got.String() != tt.want || err != nil && !got.IsZero() {
			t.Errorf("ParseNumber(%q, %d) = %v, %v, want %s, %v", tt.text, tt.scale, got, err, tt.want, tt.err)
		}
		fromBytes, err2 := ParseNumber([]byte(tt.text), tt.scale)
		if fromBytes != got || (err == nil) != (err2 == nil) {
			t.Errorf("ParseNumber(%q) is %v, %v as bytes", tt.text, fromBytes, err2)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{parseError("1,5", 6), `"1,5" is not a decimal number: write digits, a minus in front if negative and a point before decimals, as in -12.50`},
		{parseError("1.234", 2), `"1.234" has too many decimals: write at most 2`},
		{parseError("1.5", 0), `"1.5" has too many decimals: write a whole number`},
		{parseError(strings.Repeat("9", 30), 18), `"999999999999999999999999999999" is out of range: write at most 170141183460469231731.687303715884105727`},
		{parseError("-"+strings.Repeat("9", 30), 18), `"-999999999999999999999999999999" is out of range: write at least -170141183460469231731.687303715884105728`},
		{parseError(strings.Repeat("9", 5000), 2), `a text of 5000 bytes is not a decimal number: write at most 64`},
		{numberError("nil"), `"nil" is not a decimal number: write a JSON number, as -12.5`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", tt.err, tt.want)
		}
	}
}

func parseError(s string, scale int) error { _, err := Parse(s, scale); return err }
func numberError(s string) error           { _, err := ParseNumber(s, 2); return err }

var (
	decimalForm = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	numberForm  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.34", "-0", "1.", "007", "-170141183460469231731687303715884105728", "1e2", ""} {
		f.Add(s, 6)
	}
	f.Fuzz(func(t *testing.T, s string, scale int) {
		if scale < 0 || scale > MaxScale {
			return
		}
		a, err := Parse(s, scale)
		_, fraction, _ := strings.Cut(s, ".")
		wantErr := formError(s, decimalForm)
		if wantErr == nil && len(fraction) > scale {
			wantErr = ErrDecimals
		}
		compare(t, s, scale, a, err, wantErr)
	})
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1e2", "1.5E1", "-0.32", "1500e-2", "01", "0e9", "1.0", "1e-3", "2e38", ""} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, scale int) {
		_, exponent, _ := strings.Cut(strings.ToLower(s), "e")
		if scale < 0 || scale > MaxScale || len(exponent) > 4 { // a big.Rat of more is too big
			return
		}
		a, err := ParseNumber(s, scale)
		compare(t, s, scale, a, err, formError(s, numberForm))
	})
}

func formError(s string, form *regexp.Regexp) error {
	if len(s) > MaxTextLen || !form.MatchString(s) {
		return ErrSyntax
	}
	return nil
}

// compare fails unless a, err is what exact fractions make of s, or wantErr.
func compare(t *testing.T, s string, scale int, a Amount, err, wantErr error) {
	var want *big.Int
	if wantErr == nil {
		value, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q is no number to math/big", s)
		}
		value.Mul(value, new(big.Rat).SetInt(pow10(scale)))
		want = value.Num()
		if _, fits := FromBig(want); !value.IsInt() {
			wantErr = ErrDecimals
		} else if !fits {
			wantErr = ErrRange
		}
	}
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		t.Fatalf("%q of scale %d: %v, want %v", s, scale, err, wantErr)
	}
	if err != nil && a.IsZero() {
		return
	}
	if a.Big().Cmp(want) != 0 {
		t.Fatalf("%q of scale %d is %v, want %v", s, scale, a, want)
	}
	if back, err := Parse(a.Text(scale), scale); err != nil || back != a {
		t.Fatalf("%q read back from %q is %v, %v", s, a.Text(scale), back, err)
	}
}
