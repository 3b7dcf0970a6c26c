package embedded

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"saldo/ledger"
)

// TestRecentIDs holds recent ids beside a map: what is found, and that sorting
// leaves none out, also of refs that begin alike.
func TestRecentIDs(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 31, 5000} {
		for _, alike := range []int{0, 1, 8, 15} {
			x, want := newRecentIDs(0), map[ledger.Ref]ledger.TransferAt{}
			for i := range n {
				var ref ledger.Ref
				for k := alike; k < len(ref); k++ {
					ref[k] = byte(rand.Uint32())
				}
				at := ledger.TransferAt{Book: ledger.BookID(i % 3), Seq: uint64(i), N: rand.Uint32N(9)}
				want[ref] = at // of an id that comes twice, the last
				x.add(ref, at)
			}
			if _, ok := x.find(ledger.Ref{0: 1, 15: 7, 14: 1, 13: 9}); ok && n < 100 {
				t.Error("an id is found that was not added")
			}
			rows := x.sorted()
			if len(rows) != len(want) || len(x.rows) != len(want) {
				t.Fatalf("%d ids, sorted %d; want %d", len(x.rows), len(rows), len(want))
			}
			for i := range rows {
				ref := rows[i].ref()
				if at, ok := x.find(ref); !ok || at != want[ref] || rows[i].at() != at {
					t.Fatalf("%v is at %v (%t), in order %v; want %v", ref, at, ok, rows[i].at(), want[ref])
				}
			}
			if !slices.IsSortedFunc(rows, func(a, b idRow) int { ra, rb := a.ref(), b.ref(); return bytes.Compare(ra[:], rb[:]) }) {
				t.Errorf("%d ids, %d bytes alike: not in order", n, alike)
			}
		}
	}
}
