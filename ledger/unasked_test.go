package ledger_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"saldo/ledger"
)

// An asked notes which records a store is asked for.
type asked struct {
	ledger.Store
	mu      sync.Mutex
	records []string // their keys
}

func (a *asked) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	a.mu.Lock()
	for _, k := range keys.Records {
		a.records = append(a.records, k.Key)
	}
	a.mu.Unlock()
	return a.Store.Load(ctx, keys)
}

// TestUnasked posts what its caller says no look is needed for: there is none, and
// what is there already is found all the same.
func TestUnasked(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100))
	o.do(hold("h", "A", 20), hold("i", "A", 20))
	a := &asked{Store: o.gate.Store}
	o.gate.Store = a
	post := func(want ledger.Code, c *ledger.Command) {
		t.Helper()
		if _, err := o.post(c); ledger.CodeOf(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	part := capture("h", 5)
	part.NoMove = true
	post(ledger.OK, &ledger.Command{ID: "1", Ops: []ledger.Op{part}})
	post(ledger.OK, &ledger.Command{ID: "2", Ops: []ledger.Op{&ledger.Release{Hold: "h", NoMove: true}}})
	post(ledger.OK, &ledger.Command{ID: "3", Ops: []ledger.Op{&ledger.Release{Hold: "i"}}})
	write := func(id, key string, fresh bool) *ledger.Command {
		return &ledger.Command{ID: id, Records: []ledger.RecordWrite{{Kind: "k", Key: key, Fresh: fresh, Data: []byte(key)}}}
	}
	post(ledger.OK, write("4", "made up", true))
	post(ledger.OK, write("5", "chosen", false))
	if !slices.Equal(a.records, []string{"i", "chosen"}) {
		t.Errorf("the store was asked for %q", a.records)
	}
	post(ledger.Exists, write("6", "made up", true))
	o.has("A", 95, 0)
	o.restart()
	if r, err := o.Record(t.Context(), ledger.RecordKey{Book: 1, Kind: "k", Key: "made up"}); err != nil || r == nil || string(r.Data) != "made up" {
		t.Errorf("the record is %v, %v", r, err)
	}
}

// TestCold writes what is not kept in memory: the store has it, as it was written
// last, also while others change it.
func TestCold(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100))
	a := &asked{Store: o.gate.Store}
	o.gate.Store = a
	key := ledger.RecordKey{Book: 1, Kind: "k", Key: "cold"}
	var version uint64
	for i, cold := range []bool{true, true, false} {
		data := []byte{'0' + byte(i)}
		w := ledger.RecordWrite{Kind: key.Kind, Key: key.Key, Expect: version, Fresh: i == 0, Cold: cold, Data: data}
		if _, err := o.post(&ledger.Command{ID: string(data), Records: []ledger.RecordWrite{w}}); err != nil {
			t.Fatal(err)
		}
		r, err := o.Record(t.Context(), key)
		if err != nil || r == nil || r.Version <= version || !slices.Equal(r.Data, data) {
			t.Fatalf("what was written as %s is %v, %v", data, r, err)
		}
		version = r.Version
	}
	if want := []string{"cold", "cold"}; !slices.Equal(a.records, want) { // not what was written last
		t.Errorf("the store was asked for %q, want %q", a.records, want)
	}
	o.do(hold("h", "A", 20))
	o.do(&ledger.Release{Hold: "h", NoMove: true})
	if h, err := o.Hold(t.Context(), 1, "h"); err != nil || h.State != ledger.HoldReleased {
		t.Errorf("the hold is %v, %v", h, err)
	}
	o.has("A", 100, 0)
}
