package money

import (
	"math"
	"math/big"
	"math/bits"
)

// An Amount is a signed whole number of steps of a unit. Amounts are values:
// they are copied, compared with == and used as map keys.
type Amount struct {
	hi int64  // upper half of the two's complement, with the sign
	lo uint64 // lower half
}

// New returns n steps.
func New(n int64) Amount { return Amount{n >> 63, uint64(n)} }

// FromParts returns the amount hi·2^64 + lo: what [Amount.Parts] took apart.
func FromParts(hi int64, lo uint64) Amount { return Amount{hi, lo} }

// Parts returns the halves of the two's complement.
func (a Amount) Parts() (hi int64, lo uint64) { return a.hi, a.lo }

// Add returns a + b, or false if the sum does not fit.
func (a Amount) Add(b Amount) (Amount, bool) {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi := a.hi + b.hi + int64(carry)
	if (a.hi^hi)&(b.hi^hi) < 0 { // the sum's sign is neither's
		return Amount{}, false
	}
	return Amount{hi, lo}, true
}

// Sub returns a - b, or false if the difference does not fit.
func (a Amount) Sub(b Amount) (Amount, bool) {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi := a.hi - b.hi - int64(borrow)
	if (a.hi^b.hi)&(a.hi^hi) < 0 { // signs differ, and the difference has b's
		return Amount{}, false
	}
	return Amount{hi, lo}, true
}

// Neg returns -a, or false for the lowest amount, whose negative does not fit.
func (a Amount) Neg() (Amount, bool) { return Amount{}.Sub(a) }

// Mul returns a·n, or false if the product does not fit.
func (a Amount) Mul(n int64) (Amount, bool) {
	m, ok := a.abs().mul(New(n).abs().lo)
	if !ok {
		return Amount{}, false
	}
	return m.signed(a.hi < 0 != (n < 0))
}

// Cmp returns -1, 0 or +1 as a is less than, equal to or greater than b.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a == b:
		return 0
	case a.Less(b):
		return -1
	}
	return +1
}

// Less reports whether a < b.
func (a Amount) Less(b Amount) bool {
	return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo
}

// Sign returns -1, 0 or +1 as a is negative, zero or positive.
func (a Amount) Sign() int {
	switch {
	case a.hi < 0:
		return -1
	case a == Amount{}:
		return 0
	}
	return +1
}

// IsZero reports whether a is 0.
func (a Amount) IsZero() bool { return a == Amount{} }

// Min returns the lesser of a and b.
func Min(a, b Amount) Amount {
	if b.Less(a) {
		return b
	}
	return a
}

// Max returns the greater of a and b.
func Max(a, b Amount) Amount {
	if a.Less(b) {
		return b
	}
	return a
}

// Int64 returns a, or false if it does not fit in an int64.
func (a Amount) Int64() (int64, bool) {
	n := int64(a.lo)
	if a.hi != n>>63 {
		return 0, false
	}
	return n, true
}

// Big returns a as a new big integer.
func (a Amount) Big() *big.Int {
	n := big.NewInt(a.hi)
	n.Lsh(n, 64)
	return n.Add(n, new(big.Int).SetUint64(a.lo))
}

// FromBig returns n, or false if it does not fit.
func FromBig(n *big.Int) (Amount, bool) {
	if n.BitLen() > 128 {
		return Amount{}, false
	}
	abs := new(big.Int).Abs(n)
	lo := new(big.Int).And(abs, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi := abs.Rsh(abs, 64).Uint64()
	return magnitude{hi, lo}.signed(n.Sign() < 0)
}

// String returns the number of steps, for logs and tests. What people read is
// [Unit.Text].
func (a Amount) String() string { return a.Text(0) }
