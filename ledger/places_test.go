package ledger

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A key is found, in whatever order they are asked for, if it is in the list.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p places[int]
		for range rapid.IntRange(1, 3).Draw(t, "uses") {
			key := rapid.IntRange(0, rapid.SampledFrom([]int{3, 30, 3000}).Draw(t, "keys"))
			for range rapid.IntRange(0, 200).Draw(t, "steps") {
				k := key.Draw(t, "key")
				if rapid.Bool().Draw(t, "add") {
					p.add(k)
				}
				i := p.find(k)
				if i < 0 && slices.Contains(p.keys, k) || i >= 0 && p.keys[i] != k {
					t.Fatalf("%d is found at %d of %v", k, i, p.keys)
				}
			}
			p.reset()
			if i := p.find(1); i >= 0 || len(p.keys) > 0 {
				t.Fatalf("after a reset 1 is found at %d of %v", i, p.keys)
			}
		}
	})
}
