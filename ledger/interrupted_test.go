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

// A partial store has no room for the events of one book; or, when it has written
// that a command was refused, for those of another.
type partial struct {
	ledger.Store
	without, then atomic.Uint32
}

func (p *partial) Append(ctx context.Context, b *ledger.Batch) error {
	if slices.ContainsFunc(b.Books, func(be ledger.BookEvents) bool { return uint32(be.Head.Book) == p.without.Load() }) {
		return ledger.ErrNoSpace
	}
	err := p.Store.Append(ctx, b)
	for _, be := range b.Books {
		if slices.ContainsFunc(be.Events, func(e *ledger.Event) bool { return e.Refused != nil }) && err == nil {
			p.without.Store(p.then.Load())
		}
	}
	return err
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

// TestRefusedMove lets a move between books stop when the other book has refused
// it. It stays refused, though the other book would take it by then: somebody may
// have gone on from the refusal.
func TestRefusedMove(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), topup("A", 100))
	store := &partial{Store: o.gate.Store}
	o.gate.Store = store
	b, outside := acc("B"), ledger.SystemID(2, 0, ledger.Cash)
	post := func(ops ...ledger.Op) {
		t.Helper()
		if _, err := o.Post(ctx, &ledger.Command{Tenant: 1, Book: 2, Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	post(&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.OpenAccount{ID: b, Unit: "USD", Mode: ledger.Own},
		&ledger.Transfer{Kind: ledger.TopUp, From: outside, To: b, Amount: pow2(124, -1)})
	store.then.Store(1)
	move := ledger.BookMove{Tenant: 1, ID: "m", From: acc("A"), To: b, Amount: money.New(30)}
	if _, err := o.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.Unavailable {
		t.Fatalf("%v, want unavailable", err)
	}
	o.has("A", 100, 30)
	post(&ledger.Transfer{Kind: ledger.Adjustment, From: b, To: outside, Amount: pow2(124, -1)})
	store.then.Store(0)
	store.without.Store(0)
	if _, err := o.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.Overflow {
		t.Errorf("%v, want what was refused first", err)
	}
	o.has("A", 100, 0)
	if row, err := o.Account(ctx, b); err != nil || !row.Posted.IsZero() {
		t.Errorf("%v, %v", row, err)
	}
}

// A slow store lets a test in before a Load.
type slow struct {
	ledger.Store
	before atomic.Pointer[func()]
}

func (s *slow) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	if before := s.before.Swap(nil); before != nil {
		(*before)()
	}
	return s.Store.Load(ctx, keys)
}

// TestAsOf reads a balance across a deadline: what it says is true at the time
// that it names.
func TestAsOf(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 10),
		&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(5), Expires: ledger.Lifetime{For: time.Hour}})
	store := &slow{Store: o.store}
	o.close()
	o.open()
	store.Store, o.gate.Store = o.gate.Store, store
	meanwhile := func() {
		o.clock.advance(2 * time.Hour)
		if _, err := o.Now(); err != nil {
			t.Error(err)
		}
	}
	store.before.Store(&meanwhile)
	b, err := o.Balance(t.Context(), acc("A"))
	if err != nil {
		t.Fatal(err)
	}
	if due := noon.Add(time.Hour); !b.Held.IsZero() && b.AsOf >= due {
		t.Errorf("%v is held as of %v, by what ended at %v", b.Held, b.AsOf, due)
	}
	o.has("A", 10, 0)
}

// TestActDueGoesOn has more records due than are looked at at once, of a kind
// that nobody acts on, before one of a kind that somebody does.
func TestActDueGoesOn(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t)
	acted := make(chan string, 100)
	o.OnDue("ours", func(_ context.Context, rec *ledger.Record) (*ledger.Command, error) {
		acted <- rec.Key
		return &ledger.Command{Tenant: 1, Book: 1, Records: []ledger.RecordWrite{{Kind: "ours", Key: rec.Key, Expect: rec.Version, Delete: true}}}, nil
	})
	for i := range 20 {
		var c ledger.Command
		for k := range ledger.MaxRecords {
			c.Records = append(c.Records, ledger.RecordWrite{Kind: "others", Key: string(rune('a'+i)) + string(rune('a'+k)), Deadline: noon.Add(time.Minute)})
		}
		if _, err := o.post(&c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.post(&ledger.Command{Records: []ledger.RecordWrite{{Kind: "ours", Key: "x", Deadline: noon.Add(2 * time.Minute)}}}); err != nil {
		t.Fatal(err)
	}
	o.clock.advance(time.Hour)
	for range 3 {
		if err := o.ActDue(ctx); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-acted:
	default:
		t.Error("it was not its turn")
	}
}

// TestLapsedBetween asks what was held before the end of a hold was written
// down, of an account on the way from the one that made it to its payer.
func TestLapsedBetween(t *testing.T) {
	o := newOffice(t, own("A"), drawing("Ab"), drawing("Abc"), topup("A", 10),
		&ledger.PlaceHold{ID: "h", Account: acc("Abc"), Amount: money.New(5), Expires: ledger.Lifetime{For: time.Minute}})
	o.clock.advance(time.Hour)
	for _, name := range []string{"A", "Ab", "Abc"} {
		for at, want := range map[time.Duration]int64{time.Minute - time.Microsecond: 5, time.Minute: 0} {
			b, err := o.BalanceAt(t.Context(), acc(name), noon.Add(at))
			if err != nil || b.Held != money.New(want) {
				t.Errorf("%s after %v: %v held, %v; want %d", name, at, b.Held, err, want)
			}
		}
	}
}

// TestBalanceAtWaits asks for a time in which a charge happens that is still
// being written.
func TestBalanceAtWaits(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 10))
	o.gate.mu.Lock()
	n := o.gate.arrived.Load()
	wait := o.begin(t.Context(), cmd(charge("A", 4)))
	o.until(func() bool { return o.gate.arrived.Load() > n })
	o.clock.advance(time.Hour)
	time.AfterFunc(20*time.Millisecond, o.gate.mu.Unlock)
	b, err := o.BalanceAt(t.Context(), acc("A"), noon.Add(time.Minute))
	if err != nil || b.Posted != money.New(6) {
		t.Errorf("%v posted, %v; want 6", b.Posted, err)
	}
	wants(t, "the charge", wait(), ledger.OK)
}

// TestExpiryIsRead reads while the end of a hold is being written: it waits.
func TestExpiryIsRead(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 10),
		&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(5), Expires: ledger.Lifetime{For: time.Minute}})
	o.gate.mu.Lock()
	n := o.gate.arrived.Load()
	o.clock.advance(time.Minute)
	wait := o.begin(t.Context(), cmd(charge("A", 10)))
	o.until(func() bool { return o.gate.arrived.Load() > n })
	time.AfterFunc(20*time.Millisecond, o.gate.mu.Unlock)
	o.has("A", 0, 0)
	wants(t, "the charge", wait(), ledger.OK)
}

// TestBalanceAtOfUntouched asks for the past of a system account that nothing
// has touched yet: it is as empty as it is now.
func TestBalanceAtOfUntouched(t *testing.T) {
	o := newOffice(t)
	o.clock.advance(time.Hour)
	o.do(own("A"), topup("A", 10))
	o.clock.advance(time.Hour)
	for _, id := range []ledger.AccountID{cash, revenue} {
		b, err := o.BalanceAt(t.Context(), id, noon.Add(time.Minute))
		if err != nil || !b.Posted.IsZero() {
			t.Errorf("%v: %v, %v", id, b.Posted, err)
		}
		if _, err := o.BalanceAt(t.Context(), id, noon.Add(-time.Minute)); ledger.CodeOf(err) != ledger.NotFound {
			t.Errorf("%v before its book: %v", id, err)
		}
	}
}
