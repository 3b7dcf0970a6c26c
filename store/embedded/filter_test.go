package embedded

import (
	"math/rand/v2"
	"testing"

	"saldo/ledger"
)

func randomRef(rng *rand.Rand) (ref ledger.Ref) {
	for i := range ref {
		ref[i] = byte(rng.Uint32())
	}
	return ref
}

func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var f filter
	first := randomRef(rng)
	if f.mayHave(&first) {
		t.Error("an empty filter has an id")
	}
	// Past the first layer, so that ids of both are looked for.
	refs := make([]ledger.Ref, firstLayer*5/4)
	for i := range refs {
		refs[i] = randomRef(rng)
		f.add(&refs[i])
	}
	for i := range refs {
		if !f.mayHave(&refs[i]) {
			t.Fatalf("id %d of %d is not there", i, len(refs))
		}
	}
	wrong := 0
	for range 100_000 {
		ref := randomRef(rng)
		if f.mayHave(&ref) {
			wrong++
		}
	}
	if wrong > 2000 {
		t.Errorf("%d of 100,000 ids that were never added may be there, want below 2 in 100", wrong)
	}
}

func BenchmarkFilter(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var f filter
	for range 3 << 20 {
		ref := randomRef(rng)
		f.add(&ref)
	}
	refs := make([]ledger.Ref, 1<<16)
	for i := range refs {
		refs[i] = randomRef(rng)
	}
	for i := 0; b.Loop(); i++ {
		f.mayHave(&refs[i%len(refs)])
	}
}
