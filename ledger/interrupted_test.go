package ledger_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// A partial store has no room for the events of one book.
type partial struct {
	ledger.Store
	without atomic.Uint32
}

func (p *partial) Append(ctx context.Context, b *ledger.Batch) error {
	if slices.ContainsFunc(b.Books, func(be ledger.BookEvents) bool { return uint32(be.Head.Book) == p.without.Load() }) {
		return ledger.ErrNoSpace
	}
	return p.Store.Append(ctx, b)
}

// TestInterruptedMove lets a move between books stop half-way. What it has set
// aside is nobody else's to give back: the amount would be on both sides.
func TestInterruptedMove(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), topup("A", 100))
	store := &partial{Store: o.gate.Store}
	o.gate.Store = store
	b := acc("B")
	in := &ledger.Command{Tenant: 1, Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.OpenAccount{ID: b, Unit: "USD", Mode: ledger.Own}}}
	if _, err := o.Post(ctx, in); err != nil {
		t.Fatal(err)
	}
	store.without.Store(2)
	move := ledger.BookMove{Tenant: 1, ID: "m", From: acc("A"), To: b, Amount: money.New(30)}
	if _, err := o.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.Unavailable {
		t.Fatalf("%v, want unavailable", err)
	}
	o.has("A", 100, 30)
	o.no(ledger.Denied, &ledger.Release{Hold: "m"})
	o.no(ledger.Denied, &ledger.Extend{Hold: "m", Expires: ledger.Lifetime{For: time.Second}})
	o.no(ledger.Denied, final(capture("m", 1)))
	o.no(ledger.Denied, raise("m", 1))
	store.without.Store(0)
	o.clock.advance(time.Minute) // and the server goes on with it
	o.until(func() bool {
		row, err := o.Account(ctx, b)
		return err == nil && row.Posted == money.New(30)
	})
	if _, err := o.MoveBetweenBooks(ctx, move); err != nil {
		t.Errorf("the repeat: %v", err)
	}
	o.has("A", 70, 0)
}
