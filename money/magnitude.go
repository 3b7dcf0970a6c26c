package money

import "math/bits"

// A magnitude is an amount without its sign, and can be any 128-bit number.
type magnitude struct{ hi, lo uint64 }

// tens are the powers of ten that fit in 64 bits.
var tens = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// abs returns a without its sign. The lowest amount is no exception: 2^127 is
// a magnitude.
func (a Amount) abs() magnitude {
	sign := uint64(a.hi >> 63) // all ones if a is negative
	lo, borrow := bits.Sub64(a.lo^sign, sign, 0)
	hi, _ := bits.Sub64(uint64(a.hi)^sign, sign, borrow)
	return magnitude{hi, lo}
}

// signed returns m or -m, or false if that is not an Amount.
func (m magnitude) signed(negative bool) (Amount, bool) {
	a := Amount{int64(m.hi), m.lo}
	if negative {
		lo, borrow := bits.Sub64(0, m.lo, 0)
		hi, _ := bits.Sub64(0, m.hi, borrow)
		a = Amount{int64(hi), lo}
	}
	if a.hi < 0 != negative && m != (magnitude{}) {
		return Amount{}, false
	}
	return a, true
}

// mul returns m·n, or false beyond 128 bits.
func (m magnitude) mul(n uint64) (magnitude, bool) {
	top, p := m.mulWide(n)
	return p, top == 0
}

// mulWide returns all 192 bits of m·n: top·2^128 + p.
func (m magnitude) mulWide(n uint64) (top uint64, p magnitude) {
	carry, lo := bits.Mul64(m.lo, n)
	top, hi := bits.Mul64(m.hi, n)
	hi, c := bits.Add64(hi, carry, 0)
	return top + c, magnitude{hi, lo}
}

// mulTens returns m·10^n, or false beyond 128 bits.
func (m magnitude) mulTens(n int) (magnitude, bool) {
	ok := true
	for ; n > 19 && ok; n -= 19 {
		m, ok = m.mul(tens[19])
	}
	if !ok {
		return magnitude{}, false
	}
	return m.mul(tens[n])
}

// add returns m + n, or false beyond 128 bits.
func (m magnitude) add(n uint64) (magnitude, bool) {
	lo, carry := bits.Add64(m.lo, n, 0)
	hi, carry := bits.Add64(m.hi, 0, carry)
	return magnitude{hi, lo}, carry == 0
}

// div returns the quotient and the remainder of m/n.
func (m magnitude) div(n uint64) (magnitude, uint64) {
	hi, rest := m.hi/n, m.hi%n
	lo, rest := bits.Div64(rest, m.lo, n)
	return magnitude{hi, lo}, rest
}
