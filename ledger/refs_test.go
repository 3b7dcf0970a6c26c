package ledger

import (
	"math/rand/v2"
	"testing"
)

// TestRefs holds a set that is used again and again beside a map.
func TestRefs(t *testing.T) {
	var s refs
	for _, n := range []int{0, 1, 8, 9, 5000, 3, 100} {
		s.clear()
		want := map[Ref]bool{}
		for range n {
			ref := Ref{15: 1}
			ref[0], ref[8] = byte(rand.Uint32()), byte(rand.Uint32N(4)) // some twice, many that belong together
			if s.add(ref) == want[ref] {
				t.Fatalf("of %d refs, %v: new is %t", n, ref, !want[ref])
			}
			want[ref] = true
		}
		if s.n != len(want) {
			t.Errorf("%d refs, want %d", s.n, len(want))
		}
	}
}
