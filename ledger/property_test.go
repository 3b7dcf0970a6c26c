package ledger_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
)

// frozen is all of a book's state, copied.
type frozen struct {
	head     ledger.Head
	accounts map[ledger.AccountID]ledger.Account
	holds    map[ledger.Ref]ledger.Hold
	records  map[ledger.RecordKey]ledger.Record
	ids      map[ledger.Ref]ledger.TransferAt
	refunds  map[ledger.TransferAt]string
}

func freeze(r *ledger.Replay) frozen {
	f := frozen{*r.Head(), map[ledger.AccountID]ledger.Account{}, map[ledger.Ref]ledger.Hold{}, map[ledger.RecordKey]ledger.Record{},
		map[ledger.Ref]ledger.TransferAt{}, map[ledger.TransferAt]string{}}
	for id, a := range r.Accounts {
		f.accounts[id] = *a
	}
	for ref, h := range r.Holds {
		f.holds[ref] = *h
	}
	for k, rec := range r.Records {
		if rec != nil {
			f.records[k] = *rec
		}
	}
	for ref, at := range r.IDs {
		f.ids[ref] = at
	}
	for at, n := range r.Refunds {
		f.refunds[at] = n.String()
	}
	return f
}

// TestProperties decides random commands and wants of each, whatever it is: it
// is decided the same twice, and the state is as it was before; a refusal has no
// effect; what it makes folds to the figures that it says (Fold checks that),
// survives its encoding, sums to zero and keeps the promise (the desk checks
// that); and the journal's bytes make the same state again.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := ledgertest.NewWorkload(rapid.Uint64().Draw(rt, "seed"))
		n := rapid.IntRange(1, 150).Draw(rt, "commands")
		d := &desk{TB: t, Replay: ledger.NewReplay(1)}
		cmds := w.Setup()
		for i := range n {
			c := cmds[0]
			if i > 0 {
				c = w.Next()
			}
			d.now = ledger.TimeOf(w.Now())
			if c.Book != 1 || c.ID != "" && taken(d, c.ID) {
				continue // repeats are not for Decide
			}
			if due := d.NextDue(); due != 0 && due <= max(d.now, d.Head().Time) {
				d.now = max(d.now, d.Head().Time)
				d.lapse()
			}
			before := freeze(d.Replay)
			asked := ledgertest.Describe(c)
			first, refused := ledger.Decide(d, d.now, c)
			again, refusedAgain := ledger.Decide(d, d.now, c)
			if !reflect.DeepEqual(first, again) || !reflect.DeepEqual(refused, refusedAgain) {
				rt.Fatalf("decided once %+v, %+v and once %+v, %+v", first, refused, again, refusedAgain)
			}
			if after := freeze(d.Replay); !reflect.DeepEqual(before, after) {
				rt.Fatalf("deciding has changed the state: %s", asked)
			}
			if ledgertest.Describe(c) != asked {
				rt.Fatalf("deciding has changed the command: %s", asked)
			}
			if first == nil {
				continue
			}
			d.fold(first)
			if first.Refused == nil {
				w.Learn(1, first)
				continue
			}
			after := freeze(d.Replay)
			after.head, after.ids = before.head, before.ids
			if !reflect.DeepEqual(before, after) {
				rt.Fatalf("a refusal has changed more than the head: %s", asked)
			}
		}
		replayed := ledger.NewReplay(1)
		for _, e := range d.events {
			if err := replayed.Add(e, e.AppendBinary(nil, 1)); err != nil {
				rt.Fatal(err)
			}
		}
		if live, again := freeze(d.Replay), freeze(replayed); !reflect.DeepEqual(live, again) {
			rt.Fatalf("the journal makes another state:\n%+v\n%+v", again, live)
		}
		for id, a := range d.Accounts {
			if a.Mode == ledger.Drawing {
				continue
			}
			held := heldBy(d, id)
			if held != a.Held.String() {
				rt.Fatalf("account %v holds %v, its open holds are %s", id, a.Held, held)
			}
		}
	})
}

// heldBy sums the open holds that an account pays for.
func heldBy(d *desk, id ledger.AccountID) string {
	var sum ledger.Account
	for _, h := range d.Holds {
		if h.Account == id && h.State == ledger.HoldOpen {
			sum.Held, _ = sum.Held.Add(h.Remaining)
		}
	}
	return sum.Held.String()
}
