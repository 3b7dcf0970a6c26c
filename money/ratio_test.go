package money

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestRounding(t *testing.T) {
	for _, tt := range []struct {
		n, den                        int64
		floor, ceil, halfUp, halfEven int64
	}{
		{7, 2, 3, 4, 4, 4},
		{5, 2, 2, 3, 3, 2},
		{-5, 2, -3, -2, -3, -2},
		{-7, 2, -4, -3, -4, -4},
		{7, 3, 2, 3, 2, 2},
		{8, 3, 2, 3, 3, 3},
		{-7, 3, -3, -2, -2, -2},
		{-8, 3, -3, -2, -3, -3},
		{1, 2, 0, 1, 1, 0},
		{-1, 2, -1, 0, -1, 0},
		{6, 3, 2, 2, 2, 2},
		{-6, 3, -2, -2, -2, -2},
		{0, 5, 0, 0, 0, 0},
		{1, math.MaxInt64, 0, 1, 0, 0},
	} {
		for r, want := range []int64{Floor: tt.floor, Ceil: tt.ceil, HalfUp: tt.halfUp, HalfEven: tt.halfEven} {
			if got, ok := New(tt.n).MulRatio(1, tt.den, Rounding(r)); !ok || got != New(want) {
				t.Errorf("%d/%d, rounding %d = %v, %v, want %d", tt.n, tt.den, r, got, ok, want)
			}
		}
	}
}

func TestMulRatioAtTheEnds(t *testing.T) {
	// 7/2 of it is 2^128 - 1/2.
	seventh, _ := FromBig(new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 129), big.NewInt(7)))
	for _, tt := range []struct {
		what     string
		a        Amount
		num, den int64
		r        Rounding
		want     Amount
		ok       bool
	}{
		{"there and back", highest, math.MaxInt64, math.MaxInt64, Floor, highest, true},
		{"lowest", lowest, 1, 1, Floor, lowest, true},
		{"minus lowest", lowest, -1, 1, Floor, Amount{}, false},
		{"two minuses", New(-6), math.MinInt64, 1 << 62, Floor, New(12), true},
		{"half the highest rounds", highest, 1, 2, Ceil, FromParts(1<<62, 0), true},
		{"beyond by rounding only", highest, 2*9 + 1, 2 * 9, Floor, Amount{}, false},
		{"128 bits, and rounding wants one more", seventh, 7, 2, Ceil, Amount{}, false},
		{"2^128", FromParts(1<<62, 0), 1 << 62, 1 << 60, Floor, Amount{}, false},
		{"192 bits", highest, math.MaxInt64, 1, Floor, Amount{}, false},
		{"nothing to divide by", New(1), 1, 0, Floor, Amount{}, false},
		{"below nothing", New(1), 1, -1, Floor, Amount{}, false},
		{"no such rounding", New(1), 1, 1, HalfEven + 1, Amount{}, false},
	} {
		if got, ok := tt.a.MulRatio(tt.num, tt.den, tt.r); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %v, %v, want %v, %v", tt.what, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		n, hundredths int64
		r             Rounding
		want          int64
	}{
		{1000, 2000, Floor, 200}, // 20 %
		{999, 2000, Floor, 199},
		{999, 2000, Ceil, 200},
		{1, 2000, Ceil, 1},
		{10_000, 1, Floor, 1}, // 0.01 %
		{200, 12_345, HalfUp, 247},
		{-999, 2000, Floor, -200},
		{1000, -500, Floor, -50},
		{1000, 0, Ceil, 0},
	} {
		if got, ok := New(tt.n).Percent(tt.hundredths, tt.r); !ok || got != New(tt.want) {
			t.Errorf("%d hundredths of a percent of %d = %v, %v, want %d", tt.hundredths, tt.n, got, ok, tt.want)
		}
	}
}

func TestMulRatioAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := amounts().Draw(t, "amount")
		num := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 10)).Draw(t, "num")
		den := rapid.OneOf(rapid.Int64Range(1, math.MaxInt64), rapid.Int64Range(1, 10)).Draw(t, "den")
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(a.Big(), big.NewInt(num)), big.NewInt(den))
		floor := new(big.Int).Div(exact.Num(), exact.Denom()) // Euclidean: floor above a positive
		ceil := new(big.Int).Set(floor)
		if !exact.IsInt() {
			ceil.Add(ceil, big.NewInt(1))
		}
		fraction := new(big.Rat).Sub(exact, new(big.Rat).SetInt(floor))
		half := fraction.Cmp(big.NewRat(1, 2))
		up, even := floor, floor
		if half > 0 || half == 0 && exact.Sign() > 0 {
			up = ceil
		}
		if half > 0 || half == 0 && floor.Bit(0) == 1 {
			even = ceil
		}
		for r, want := range []*big.Int{Floor: floor, Ceil: ceil, HalfUp: up, HalfEven: even} {
			got, ok := a.MulRatio(num, den, Rounding(r))
			agree(t, "MulRatio", got, ok, want)
		}
	})
}

func TestRescale(t *testing.T) {
	for _, tt := range []struct {
		n        int64
		from, to int
		want     int64
	}{
		{12_345_678, 6, 2, 1234},
		{-12_345_678, 6, 2, -1235}, // never more than there is
		{-1, 6, 0, -1},
		{999_999, 6, 0, 0},
		{1234, 2, 6, 12_340_000},
		{-5, 4, 4, -5},
		{-1, 18, 0, -1},
	} {
		if got, ok := New(tt.n).Rescale(tt.from, tt.to); !ok || got != New(tt.want) {
			t.Errorf("%d from %d to %d decimals = %v, %v, want %d", tt.n, tt.from, tt.to, got, ok, tt.want)
		}
	}
	if got, ok := highest.Rescale(0, 1); ok || !got.IsZero() {
		t.Errorf("ten times the highest is %v, %v", got, ok)
	}
}

func TestRescaleAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := amounts().Draw(t, "amount")
		from, to := scales().Draw(t, "from"), scales().Draw(t, "to")
		want := new(big.Int).Mul(a.Big(), pow10(to))
		want.Div(want, pow10(from))
		got, ok := a.Rescale(from, to)
		agree(t, "Rescale", got, ok, want)
	})
}
