package money

import "testing"

// sink keeps results alive, so that nothing measured is left out.
var sink Amount

func BenchmarkAdd(b *testing.B) {
	x, y := New(12_340_000), FromParts(1, 5)
	for b.Loop() {
		sink, _ = x.Add(y)
	}
}

func BenchmarkSub(b *testing.B) {
	x, y := New(12_340_000), FromParts(1, 5)
	for b.Loop() {
		sink, _ = x.Sub(y)
	}
}

func BenchmarkCmp(b *testing.B) {
	x, y := New(12_340_000), New(12_340_001)
	n := 0
	for b.Loop() {
		n += x.Cmp(y)
	}
	sink = New(int64(n))
}

func BenchmarkMulRatio(b *testing.B) {
	x := New(12_340_000)
	for b.Loop() {
		sink, _ = x.MulRatio(7, 3, HalfEven)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"12.340000", "170141183460469231731687303715884.105727"} {
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				sink, _ = Parse(s, 6)
			}
		})
	}
}

func BenchmarkParseNumber(b *testing.B) {
	for b.Loop() {
		sink, _ = ParseNumber("12.34", 6)
	}
}

func BenchmarkAppendText(b *testing.B) {
	for _, a := range []Amount{New(12_340_000), highest} {
		b.Run(a.Text(6), func(b *testing.B) {
			buf := make([]byte, 0, MaxTextLen)
			for b.Loop() {
				buf = a.AppendText(buf[:0], 6)
			}
		})
	}
}

func BenchmarkVarint(b *testing.B) {
	for _, a := range []Amount{New(12_340_000), highest} {
		b.Run(a.Text(6), func(b *testing.B) {
			buf := make([]byte, 0, MaxVarintLen)
			for b.Loop() {
				buf = a.AppendVarint(buf[:0])
				sink, _ = Varint(buf)
			}
		})
	}
}

func BenchmarkLocalized(b *testing.B) {
	v := Value{New(12_340_000), Unit{"USD", 6, Currency}}
	for b.Loop() {
		if v.Localized("de") == "" {
			b.Fatal("nothing")
		}
	}
}
