package money

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		steps Amount
		scale int
		want  string
	}{
		{New(-12_340_000), 6, "-12.340000"},
		{New(0), 0, "0"},
		{New(0), 6, "0.000000"},
		{New(1), 0, "1"},
		{New(-1), 0, "-1"},
		{New(-1), 1, "-0.1"},
		{New(9), 2, "0.09"},
		{New(-9), 18, "-0.000000000000000009"},
		{New(100), 2, "1.00"},
		{FromParts(0, 1<<63), 0, "9223372036854775808"},
		{FromParts(0, 9_999_999_999_999_999_999), 0, "9999999999999999999"},
		{FromParts(0, 10_000_000_000_000_000_000), 0, "10000000000000000000"},
		{FromParts(1, 0), 0, "18446744073709551616"},
		{FromParts(-1, 0), 18, "-18.446744073709551616"},
		{FromParts(54210108624275221, 12919594847110692864), 0, "1000000000000000000000000000000000000"},
		{highest, 0, "170141183460469231731687303715884105727"},
		{lowest, 0, "-170141183460469231731687303715884105728"},
		{lowest, 18, "-170141183460469231731.687303715884105728"},
	} {
		if got := tt.steps.Text(tt.scale); got != tt.want {
			t.Errorf("Text(%d) = %q, want %q", tt.scale, got, tt.want)
		}
		if got := string(tt.steps.AppendText([]byte("x"), tt.scale)); got != "x"+tt.want {
			t.Errorf("AppendText(x, %d) = %q, want x%s", tt.scale, got, tt.want)
		}
	}
}

func TestTextMin(t *testing.T) {
	for _, tt := range []struct {
		steps        int64
		scale, least int
		want         string
	}{
		{12_340_000, 6, 2, "12.34"},
		{12_000_000, 6, 2, "12.00"},
		{12_000_000, 6, 0, "12"},
		{12_345_600, 6, 2, "12.3456"},
		{-12_300_000, 6, 0, "-12.3"},
		{0, 6, 0, "0"},
		{0, 6, 2, "0.00"},
		{1000, 0, 0, "1000"},
		{1000, 0, 2, "1000"}, // there are no decimals to keep
		{1200, 1, 2, "120.0"},
		{1, 6, 2, "0.000001"},
	} {
		if got := New(tt.steps).TextMin(tt.scale, tt.least); got != tt.want {
			t.Errorf("%d.TextMin(%d, %d) = %q, want %q", tt.steps, tt.scale, tt.least, got, tt.want)
		}
	}
}

func TestTextAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkText(t, amounts().Draw(t, "amount"), scales().Draw(t, "scale"))
	})
}

func FuzzText(f *testing.F) {
	f.Add(int64(0), uint64(12_340_000), 6)
	f.Add(int64(-1), uint64(0), 18)
	f.Fuzz(func(t *testing.T, hi int64, lo uint64, scale int) {
		if scale >= 0 && scale <= MaxScale {
			checkText(t, FromParts(hi, lo), scale)
		}
	})
}

// checkText compares the text of a with that of an exact fraction, and reads
// it back.
func checkText(t interface{ Fatalf(string, ...any) }, a Amount, scale int) {
	text := a.Text(scale)
	want := new(big.Rat).SetFrac(a.Big(), pow10(scale)).FloatString(scale)
	if text != want {
		t.Fatalf("Text(%d) of %v = %q, want %q", scale, a.Big(), text, want)
	}
	if back, err := Parse(text, scale); err != nil || back != a {
		t.Fatalf("Parse(%q, %d) = %v, %v", text, scale, back, err)
	}
	if back, err := ParseNumber(text, scale); err != nil || back != a {
		t.Fatalf("ParseNumber(%q, %d) = %v, %v", text, scale, back, err)
	}
	if back, err := Parse(a.TextMin(scale, 0), scale); err != nil || back != a {
		t.Fatalf("Parse(%q, %d) = %v, %v", a.TextMin(scale, 0), scale, back, err)
	}
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

func TestScaleOutsideTheRangePanics(t *testing.T) {
	for what, f := range map[string]func(scale int){
		"Text":        func(scale int) { New(1).Text(scale) },
		"Parse":       func(scale int) { Parse("1", scale) },
		"ParseNumber": func(scale int) { ParseNumber("1", scale) },
		"Rescale":     func(scale int) { New(1).Rescale(scale, 2) },
		"Rescale to":  func(scale int) { New(1).Rescale(2, scale) },
	} {
		for _, scale := range []int{-1, MaxScale + 1} {
			func() {
				defer func() {
					if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "money: scale") {
						t.Errorf("%s of scale %d: %q, want a panic that says why", what, scale, s)
					}
				}()
				f(scale)
			}()
		}
	}
}
