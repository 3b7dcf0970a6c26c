package money

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var (
	lowest  = FromParts(math.MinInt64, 0)
	highest = FromParts(math.MaxInt64, math.MaxUint64)
)

// amounts draws from the whole range, with more near 0, the edges of the halves
// and the ends than chance would have.
func amounts() *rapid.Generator[Amount] {
	return rapid.OneOf(
		rapid.Map(rapid.Int64(), New),
		rapid.Map(rapid.Int64Range(-2000, 2000), New),
		rapid.SampledFrom([]Amount{
			{}, lowest, highest, FromParts(0, math.MaxUint64), FromParts(-1, 0), FromParts(1, 0),
			FromParts(0, 1<<63), FromParts(-1, 1<<63-1), FromParts(math.MinInt64, 1), New(math.MinInt64), New(math.MaxInt64),
		}),
		rapid.Custom(func(t *rapid.T) Amount {
			return FromParts(rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
		}),
	)
}

func scales() *rapid.Generator[int] { return rapid.IntRange(0, MaxScale) }

// agree fails unless got, ok is what FromBig makes of want.
func agree(t *rapid.T, what string, got Amount, ok bool, want *big.Int) {
	t.Helper()
	fits := want.Cmp(lowest.Big()) >= 0 && want.Cmp(highest.Big()) <= 0
	switch {
	case ok != fits:
		t.Fatalf("%s: ok = %v, want %v for %v", what, ok, fits, want)
	case ok && got.Big().Cmp(want) != 0:
		t.Fatalf("%s = %v, want %v", what, got, want)
	case !ok && !got.IsZero():
		t.Fatalf("%s = %v beside false, want 0", what, got)
	}
}

func TestArithmeticAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := amounts().Draw(t, "a"), amounts().Draw(t, "b")
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 10)).Draw(t, "n")
		x, y := a.Big(), b.Big()

		sum, ok := a.Add(b)
		agree(t, "Add", sum, ok, new(big.Int).Add(x, y))
		diff, ok := a.Sub(b)
		agree(t, "Sub", diff, ok, new(big.Int).Sub(x, y))
		neg, ok := a.Neg()
		agree(t, "Neg", neg, ok, new(big.Int).Neg(x))
		product, ok := a.Mul(n)
		agree(t, "Mul", product, ok, new(big.Int).Mul(x, big.NewInt(n)))
		back, ok := FromBig(new(big.Int).Add(x, y))
		agree(t, "FromBig", back, ok, new(big.Int).Add(x, y))

		order := x.Cmp(y)
		if a.Cmp(b) != order || a.Less(b) != (order < 0) || (a == b) != (order == 0) {
			t.Fatalf("Cmp = %d, Less = %v, want %d", a.Cmp(b), a.Less(b), order)
		}
		if a.Sign() != x.Sign() || a.IsZero() != (x.Sign() == 0) {
			t.Fatalf("Sign = %d, want %d", a.Sign(), x.Sign())
		}
		least, most := a, b
		if order > 0 {
			least, most = b, a
		}
		if Min(a, b) != least || Max(a, b) != most {
			t.Fatalf("Min = %v, Max = %v", Min(a, b), Max(a, b))
		}
		if got, ok := a.Int64(); ok != x.IsInt64() || ok && got != x.Int64() || !ok && got != 0 {
			t.Fatalf("Int64 = %d, %v of %v", got, ok, x)
		}
		if FromParts(a.Parts()) != a {
			t.Fatal("Parts do not make a whole")
		}
	})
}

func TestEndsOfTheRange(t *testing.T) {
	one := New(1)
	refuses := func(what string, a Amount, ok bool) {
		t.Helper()
		if ok || !a.IsZero() {
			t.Errorf("%s = %v, %v, want a refusal", what, a, ok)
		}
	}
	a, ok := highest.Add(one)
	refuses("highest + 1", a, ok)
	a, ok = lowest.Sub(one)
	refuses("lowest - 1", a, ok)
	a, ok = lowest.Neg()
	refuses("-lowest", a, ok)
	a, ok = lowest.Mul(-1)
	refuses("lowest · -1", a, ok)
	a, ok = Amount{}.Sub(lowest)
	refuses("0 - lowest", a, ok)

	if a, ok := lowest.Add(highest); !ok || a != New(-1) {
		t.Errorf("lowest + highest = %v, %v", a, ok)
	}
	if a, ok := lowest.Mul(1); !ok || a != lowest {
		t.Errorf("lowest · 1 = %v, %v", a, ok)
	}
	if a, ok := highest.Neg(); !ok || a != FromParts(math.MinInt64, 1) {
		t.Errorf("-highest = %v, %v", a, ok)
	}
	half := FromParts(-1<<62, 0)
	if a, ok := half.Mul(2); !ok || a != lowest {
		t.Errorf("lowest/2 · 2 = %v, %v", a, ok)
	}
	if a, ok := New(math.MinInt64).Mul(math.MinInt64); !ok || a != FromParts(1<<62, 0) {
		t.Errorf("-2^63 · -2^63 = %v, %v", a, ok)
	}
	if New(math.MinInt64).String() != "-9223372036854775808" {
		t.Error(New(math.MinInt64))
	}
	for _, bits := range []uint{127, 128, 129, 200} {
		if a, ok := FromBig(new(big.Int).Lsh(big.NewInt(1), bits)); ok || !a.IsZero() {
			t.Errorf("2^%d = %v, %v", bits, a, ok)
		}
	}
	for _, a := range []Amount{lowest, highest} {
		if got, ok := FromBig(a.Big()); !ok || got != a {
			t.Errorf("%v through Big is %v, %v", a, got, ok)
		}
	}
}

// What is done for every command must leave nothing for the collector.
func TestNoAllocation(t *testing.T) {
	a, b := FromParts(12345, 678), FromParts(-99, 1<<60)
	text, bytes, buf := "-1234567890123456789012345.123456", []byte("12.340000"), make([]byte, 0, MaxTextLen)
	varint := a.AppendVarint(nil)
	for what, f := range map[string]func(){
		"Add":         func() { sink, _ = a.Add(b) },
		"Sub":         func() { sink, _ = a.Sub(b) },
		"Mul":         func() { a.Mul(-77) },
		"Cmp":         func() { sink = New(int64(a.Cmp(b))) },
		"MulRatio":    func() { a.MulRatio(7, 3, HalfEven) },
		"Rescale":     func() { a.Rescale(6, 2) },
		"AppendText":  func() { a.AppendText(buf, 6) },
		"Parse":       func() { Parse(text, 6) },
		"Parse bytes": func() { Parse(bytes, 6) },
		"ParseNumber": func() { ParseNumber("12.5e1", 6); ParseNumber(bytes, 6) },
		"varint":      func() { a.AppendVarint(buf); Varint(varint) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
}
