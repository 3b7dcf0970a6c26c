package ledger

import (
	"context"
	"iter"
	"testing"
)

// An open list of deadlines.
type deadlines struct {
	Store
	at []Time
}

func (d deadlines) Scan(_ context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, at := range d.at {
			if at <= q.Until && !yield(Row{Due: Deadline{At: at, Hold: Ref{1}}}, nil) {
				return
			}
		}
	}
}

// TestWindowDropsWhatEnded makes many holds that end before their time, beside
// a few that stay.
func TestWindowDropsWhatEnded(t *testing.T) {
	defer SetWindow(8)()
	const horizon = Time(1e9)
	w, store := window{horizon: horizon}, deadlines{at: []Time{5e8, 6e8}}
	for _, at := range store.at {
		w.change(nil, &Hold{State: HoldOpen, Expires: at})
	}
	for range 1000 {
		open, freed := &Hold{State: HoldOpen, Expires: 7e8}, &Hold{State: HoldReleased, Expires: 7e8}
		w.change(nil, open)
		w.change(open, freed)
		if w.ends(0) {
			if err := w.extend(t.Context(), store, horizon); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(w.queue); n > 2+8+1 {
		t.Errorf("%d deadlines of 2 open holds", n)
	}
	if got := w.earliest(); got != 5e8 {
		t.Errorf("the first is at %d", got)
	}
}
