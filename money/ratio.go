package money

import "math/bits"

// A Rounding says what becomes of a result between two steps.
type Rounding uint8

const (
	Floor    Rounding = iota // toward minus infinity
	Ceil                     // toward plus infinity
	HalfUp                   // to the nearest; a half away from zero
	HalfEven                 // to the nearest; a half to the even neighbour
)

// MulRatio returns a·num/den, rounded once, from the exact product. It returns
// false if the result does not fit, and if den is not above zero or r is none
// of the four.
func (a Amount) MulRatio(num, den int64, r Rounding) (Amount, bool) {
	if den <= 0 || r > HalfEven {
		return Amount{}, false
	}
	negative := a.hi < 0 != (num < 0)
	top, p := a.abs().mulWide(New(num).abs().lo)
	if top >= uint64(den) {
		return Amount{}, false // the quotient has more than 128 bits
	}
	hi, rest := bits.Div64(top, p.hi, uint64(den))
	lo, rest := bits.Div64(rest, p.lo, uint64(den))
	q, ok := magnitude{hi, lo}, true
	if r.away(negative, lo&1 == 1, rest, uint64(den)) {
		q, ok = q.add(1)
	}
	if !ok {
		return Amount{}, false
	}
	return q.signed(negative)
}

// away reports whether a quotient with this sign, last bit and remainder
// rounds away from zero. den is below 2^63, so that den-rest cannot mislead.
func (r Rounding) away(negative, odd bool, rest, den uint64) bool {
	switch r {
	case Floor:
		return negative && rest > 0
	case Ceil:
		return !negative && rest > 0
	case HalfUp:
		return rest >= den-rest
	default:
		return rest > den-rest || rest == den-rest && odd
	}
}

// Percent returns so many hundredths of a percent of a: 2000 is 20 %.
func (a Amount) Percent(hundredths int64, r Rounding) (Amount, bool) {
	return a.MulRatio(hundredths, 100_00, r)
}

// Rescale returns what a, counted in steps of from decimals, is in steps of to
// decimals. To more decimals it is exact, or false if it does not fit; to fewer
// it is rounded toward minus infinity.
func (a Amount) Rescale(from, to int) (Amount, bool) {
	checkScale(from)
	checkScale(to)
	if to < from {
		return a.MulRatio(1, int64(tens[from-to]), Floor)
	}
	return a.Mul(int64(tens[to-from]))
}
