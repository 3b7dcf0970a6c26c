package money

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestVarint(t *testing.T) {
	for _, tt := range []struct {
		amount Amount
		hex    string
	}{
		{New(0), "00"},
		{New(-1), "01"},
		{New(1), "02"},
		{New(63), "7e"},
		{New(-64), "7f"},
		{New(64), "8001"},
		{New(12_340_000), "c0ace20b"},
		{FromParts(0, 1<<63), "80808080808080808002"},
		{FromParts(-1, 1<<63), "ffffffffffffffffff01"},
		{highest, "feffffffffffffffffffffffffffffffffff03"},
		{lowest, "ffffffffffffffffffffffffffffffffffff03"},
	} {
		if got := hex.EncodeToString(tt.amount.AppendVarint(nil)); got != tt.hex {
			t.Errorf("%v is stored as %s, want %s", tt.amount, got, tt.hex)
		}
		b, _ := hex.DecodeString(tt.hex)
		if got, n := Varint(append(b, 0x99)); got != tt.amount || n != len(b) {
			t.Errorf("%s reads as %v, %d", tt.hex, got, n)
		}
		for cut := range b {
			if got, n := Varint(b[:cut]); n != 0 || !got.IsZero() {
				t.Errorf("%s cut at %d reads as %v, %d", tt.hex, cut, got, n)
			}
		}
	}
}

func TestVarintRefuses(t *testing.T) {
	for _, tt := range []struct {
		hex string
		n   int
	}{
		{"8000", -2},   // 0 in two bytes
		{"818000", -3}, // -1 in three
		{"ffffffffffffffffffffffffffffffffffff04", -19},     // 129 bits
		{"ffffffffffffffffffffffffffffffffffff83", -19},     // more to come
		{"ffffffffffffffffffffffffffffffffffff00", -19},     // padded
		{"808080808080808080808080808080808080808000", -19}, // endless
	} {
		b, _ := hex.DecodeString(tt.hex)
		if a, n := Varint(b); n != tt.n || !a.IsZero() {
			t.Errorf("%s reads as %v, %d, want 0, %d", tt.hex, a, n, tt.n)
		}
	}
}

func TestVarintRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := amounts().Draw(t, "amount")
		b := a.AppendVarint([]byte("before"))[len("before"):]
		if got, n := Varint(b); got != a || n != len(b) || n > MaxVarintLen {
			t.Fatalf("%v through %x is %v, %d", a, b, got, n)
		}
		// Zigzag and groups of 7 bits, as they are defined.
		want := new(big.Int).Lsh(a.Big(), 1)
		if a.Sign() < 0 {
			want.Not(want)
		}
		sum := new(big.Int)
		for i := len(b) - 1; i >= 0; i-- {
			sum.Lsh(sum, 7).Or(sum, big.NewInt(int64(b[i]&0x7f)))
		}
		if sum.Cmp(want) != 0 {
			t.Fatalf("%v is numbered %v, want %v", a, sum, want)
		}
	})
}

func FuzzVarint(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0x80, 0})
	f.Add(lowest.AppendVarint(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, n := Varint(b)
		if n > len(b) || n < -MaxVarintLen || n <= 0 && !a.IsZero() {
			t.Fatalf("%x reads as %v, %d", b, a, n)
		}
		if n > 0 && !bytes.Equal(a.AppendVarint(nil), b[:n]) {
			t.Fatalf("%x reads as %v, which is stored as %x", b[:n], a, a.AppendVarint(nil))
		}
	})
}
