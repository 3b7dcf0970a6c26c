package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

func wants(t *testing.T, what string, a answer, want ledger.Code) {
	t.Helper()
	if ledger.CodeOf(a.err) != want {
		t.Errorf("%s: %v, want %v", what, a.err, want)
	}
}

func cmd(ops ...ledger.Op) *ledger.Command { return &ledger.Command{Ops: ops} }

// TestOneRound lets commands gather behind a write: each is decided against the
// state that the one before leaves, and one write makes all of them durable.
func TestOneRound(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 10))
	open := o.shut()
	first := o.queued(ctx, &ledger.Command{ID: "c", Ops: []ledger.Op{charge("A", 7)}})
	again := o.queued(ctx, &ledger.Command{ID: "c", Ops: []ledger.Op{charge("A", 7)}})
	other := o.queued(ctx, &ledger.Command{ID: "c", Ops: []ledger.Op{charge("A", 8)}})
	short := o.queued(ctx, &ledger.Command{ID: "d", Remember: true, Ops: []ledger.Op{charge("A", 7)}})
	shortAgain := o.queued(ctx, &ledger.Command{ID: "d", Remember: true, Ops: []ledger.Op{charge("A", 7)}})
	own := o.queued(ctx, &ledger.Command{ID: "e", Ops: []ledger.Op{named("x", charge("A", 1))}})
	ownAgain := o.queued(ctx, &ledger.Command{ID: "x", Ops: []ledger.Op{charge("A", 1)}})
	b, err := o.Balance(ctx, acc("A"))
	if err != nil || b.Posted != money.New(10) {
		t.Errorf("a reader sees %v, %v before it is durable", b.Posted, err)
	}
	writes := o.gate.arrived.Load()
	open()
	wants(t, "first", first(), ledger.OK)
	if a := again(); a.err != nil || !a.Replayed || a.Event.Seq != first0(o, "c") {
		t.Errorf("repeat: %+v", a)
	}
	wants(t, "another with its id", other(), ledger.IDTaken)
	wants(t, "too much", short(), ledger.Insufficient)
	if a := shortAgain(); ledger.CodeOf(a.err) != ledger.Insufficient || !a.Replayed {
		t.Errorf("a refusal's repeat: %+v", a)
	}
	wants(t, "a batch", own(), ledger.OK)
	wants(t, "an id of a batch", ownAgain(), ledger.IDTaken)
	if n := o.gate.arrived.Load() - writes; n != 1 {
		t.Errorf("%d writes", n)
	}
	o.has("A", 2, 0)
}

func first0(o *office, id string) uint64 {
	_, e, _, err := o.Find(context.Background(), 1, id)
	if err != nil {
		o.Fatal(err)
	}
	return e.Seq
}

// TestLedToLate has commands wait behind those that make what they need: they
// were prepared when it was not there.
func TestLedToLate(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("R"), topup("R", 100), status("R", ledger.StatusFrozen), own("S"), topup("S", 100))
	open := o.shut()
	made := o.queued(ctx, cmd(own("RA"), topup("RA", 50), own("SB"), drawing("SBd"), topup("SB", 50)))
	held := o.queued(ctx, cmd(hold("h", "SBd", 20)))
	frozen := o.queued(ctx, cmd(charge("RA", 1))) // by R, of which it did not know
	drawn := o.queued(ctx, cmd(charge("SBd", 1)))
	captured := o.queued(ctx, cmd(topup("SB", 1), capture("h", 0))) // to @revenue
	open()
	wants(t, "opening", made(), ledger.OK)
	wants(t, "hold", held(), ledger.OK)
	wants(t, "charge below a frozen account", frozen(), ledger.Frozen)
	wants(t, "charge of a drawing account", drawn(), ledger.OK)
	wants(t, "capture", captured(), ledger.OK)
	o.has("SB", 30, 0)
}

func TestConflict(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 10), hold("h", "A", 5))
	o.failing(fmt.Errorf("book 1: %w", ledger.ErrConflict))
	if _, err := o.post(cmd(charge("A", 1))); ledger.CodeOf(err) != ledger.Contention {
		t.Errorf("%v, want contention", err)
	}
	o.failing(nil)
	o.has("A", 10, 5)
	// What waits behind the conflict was prepared from what is no longer known.
	o.gate.mu.Lock()
	o.gate.fail = ledger.ErrConflict
	n := o.gate.arrived.Load()
	first := o.begin(ctx, cmd(charge("A", 1)))
	o.until(func() bool { return o.gate.arrived.Load() > n })
	waits := []func() answer{o.queued(ctx, cmd(charge("A", 1))), o.queued(ctx, cmd(capture("h", 1))), o.queued(ctx, cmd(topup("A", 1)))}
	o.gate.mu.Unlock()
	wants(t, "first", first(), ledger.Contention)
	for _, wait := range waits {
		wants(t, "what waited", wait(), ledger.Contention) // not "not found"
	}
	o.failing(nil)
	o.do(capture("h", 5), charge("A", 1))
	o.has("A", 4, 0)
}

// TestNoSpace fills the disk: what is due ends all the same in everything that
// is read, though nobody can write that down.
func TestNoSpace(t *testing.T) {
	ctx := context.Background()
	placed := func(id, account string, amount int64, d time.Duration) *ledger.PlaceHold {
		return &ledger.PlaceHold{ID: id, Account: acc(account), Amount: money.New(amount), Expires: ledger.Lifetime{For: d}}
	}
	o := newOffice(t, own("A"), topup("A", 100), capped("AB", 50), capped("ABC", 40), own("D"), topup("D", 10),
		placed("h", "A", 5, time.Minute), placed("via", "ABC", 30, 2*time.Minute), placed("late", "A", 7, time.Hour))
	spendable := func(name string, want int64) {
		t.Helper()
		b, err := o.Balance(ctx, acc(name))
		if err != nil || b.Spendable != money.New(want) {
			t.Errorf("%s can spend %v, %v; want %d", name, b.Spendable, err, want)
		}
	}
	o.failing(ledger.ErrNoSpace)
	before := o.clock.time()
	o.no(ledger.Unavailable, charge("A", 1))
	o.has("A", 100, 42)
	spendable("ABC", 10)

	o.clock.advance(time.Minute) // the first is due
	o.has("A", 100, 37)
	o.no(ledger.Unavailable, charge("A", 1))
	o.has("A", 100, 37)
	spendable("ABC", 10)
	o.clock.advance(2 * time.Minute) // and the second, and both accounts that it is made through
	o.has("A", 100, 7)
	o.has("AB", 0, 0)
	o.has("ABC", 0, 0)
	o.has("D", 10, 0)
	spendable("ABC", 40)
	b, err := o.Balance(ctx, acc("A"))
	if err != nil || b.Seq != 1 || b.AsOf < before.Add(3*time.Minute) {
		t.Errorf("as of %v, event %d, %v", b.AsOf, b.Seq, err)
	}
	for id, state := range map[string]ledger.HoldState{"h": ledger.HoldGone, "via": ledger.HoldGone, "late": ledger.HoldOpen} {
		h, err := o.Hold(ctx, 1, id)
		if err != nil || h.State != state || (state == ledger.HoldGone) != h.Remaining.IsZero() || h.Seq != 1 {
			t.Errorf("the hold %s is %+v, %v", id, h, err)
		}
	}
	if a, err := o.Account(ctx, acc("ABC")); err != nil || !a.Held.IsZero() || a.Seq != 1 {
		t.Errorf("an account's row is %+v, %v", a, err)
	}
	states := map[string]ledger.HoldState{}
	for row, err := range o.Scan(ctx, ledger.Query{List: ledger.ListHolds, Account: acc("A"), Open: true}) {
		if err != nil {
			t.Fatal(err)
		}
		states[row.Hold.ID] = row.Hold.State
	}
	if states["h"] != ledger.HoldGone || states["late"] != ledger.HoldOpen {
		t.Errorf("the list of holds says %v", states)
	}
	for row, err := range o.Scan(ctx, ledger.Query{List: ledger.ListAccounts, Tenant: 1, Parent: acc("A")}) {
		if err != nil || !row.Account.Held.IsZero() {
			t.Errorf("the list of accounts has %+v, %v", row.Account, err)
		}
	}
	for minutes, held := range map[int]int64{0: 42, 1: 37, 2: 7} {
		at := before.Add(time.Duration(minutes)*time.Minute + time.Second)
		if b, err := o.BalanceAt(ctx, acc("A"), at); err != nil || b.Held != money.New(held) {
			t.Errorf("after %d minutes it had %v held, %v; want %d", minutes, b.Held, err, held)
		}
	}

	o.failing(nil)
	o.has("A", 100, 7)
	o.do(charge("A", 93))
	o.has("A", 7, 7)
	report, err := ledger.Verify(ctx, o.store, ledger.VerifyOptions{})
	if err != nil {
		t.Errorf("%+v: %v", report, err)
	}
}

// TestNoSpaceEnds reads while the disk is full and while there is room again: a
// read that begins after a write was answered has it.
func TestNoSpaceEnds(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 1_000_000))
	var spent atomic.Int64
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := spent.Load()
				b, err := o.Balance(ctx, acc("A"))
				if left, _ := money.New(1_000_000 - before).Sub(b.Posted); err != nil || left.Sign() < 0 {
					t.Errorf("after %d were spent it has %v, %v", before, b.Posted, err)
					return
				}
			}
		})
	}
	for n := range 200 {
		o.do(&ledger.PlaceHold{ID: fmt.Sprint("h", n), Account: acc("A"), Amount: money.New(5), Expires: ledger.Lifetime{For: time.Second}})
		o.failing(ledger.ErrNoSpace)
		o.clock.advance(time.Second)
		o.has("A", 1_000_000-spent.Load(), 0)
		o.failing(nil)
		o.do(charge("A", 1))
		spent.Add(1)
	}
	close(stop)
	readers.Wait()
}

// TestNoSpaceForMany lets more fall due than is kept in memory: then a read says
// that it cannot tell, rather than tell what is not so.
func TestNoSpaceForMany(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100))
	for n := range 40 {
		o.do(&ledger.PlaceHold{ID: fmt.Sprint("h", n), Account: acc("A"), Amount: money.New(1), Expires: ledger.Lifetime{For: time.Minute + time.Duration(n)*time.Second}})
	}
	defer ledger.SetWindow(8)()
	o.restart()
	o.failing(ledger.ErrNoSpace)
	o.clock.advance(time.Hour)
	if _, err := o.Balance(context.Background(), acc("A")); ledger.CodeOf(err) != ledger.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	o.failing(nil)
	o.has("A", 100, 0)
}

// TestStoreIsNotNamed has a store say where it is: the log may tell that, callers
// may not know it.
func TestStoreIsNotNamed(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 10))
	o.failing(errors.New("dial tcp db.internal:5432"))
	_, err := o.post(cmd(charge("A", 1)))
	var refused *ledger.Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if refused.Code != ledger.Unavailable || strings.Contains(refused.Detail, "internal") || !strings.Contains(err.Error(), "db.internal") {
		t.Errorf("%v, of which callers are told %q", err, refused.Detail)
	}
	o.failing(nil)
}

func TestGivingUp(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 10))
	begun, cancelBegun := context.WithCancel(t.Context())
	waiting, cancelWaiting := context.WithCancel(t.Context())
	gone, cancelGone := context.WithCancel(t.Context())
	cancelGone()
	o.gate.mu.Lock()
	n := o.gate.arrived.Load()
	first := o.begin(begun, cmd(charge("A", 1)))
	o.until(func() bool { return o.gate.arrived.Load() > n })
	second := o.queued(waiting, cmd(charge("A", 2)))
	third := o.queued(t.Context(), cmd(charge("A", 4)))
	cancelBegun()
	cancelWaiting()
	wants(t, "who gave up before it was begun", second(), ledger.Timeout)
	o.gate.mu.Unlock()
	wants(t, "who gave up while it was written", first(), ledger.OK)
	wants(t, "who did not", third(), ledger.OK)
	if _, err := o.Post(gone, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{charge("B", 8)}}); ledger.CodeOf(err) != ledger.Timeout {
		t.Errorf("who was gone before: %v", err)
	}
	o.has("A", 5, 0)
}

func TestBusy(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 10))
	o.close()
	o.options.Waiting = 4
	o.Ledger, o.store = nil, nil
	o.open()
	open := o.shut()
	defer open()
	waits := []func() answer{o.queued(ctx, cmd(charge("A", 1))), o.queued(ctx, cmd(charge("A", 1)))}
	wants(t, "beyond a tenant's half", o.begin(ctx, cmd(charge("A", 1)))(), ledger.Busy)
	other := o.queued(ctx, &ledger.Command{Tenant: 2, Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}}})
	open()
	for _, wait := range append(waits, other) {
		wants(t, "who found a place", wait(), ledger.OK)
	}
	o.has("A", 8, 0)
}

// TestFlood has one tenant fill the queue; the one command of another is in the
// next round all the same.
func TestFlood(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 1<<40))
	if _, err := o.Post(ctx, &ledger.Command{Tenant: 2, Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}}}); err != nil {
		t.Fatal(err)
	}
	open := o.shut()
	large := make([]ledger.Op, 1000)
	for i := range large {
		large[i] = charge("A", 1)
	}
	var waits []func() answer
	for range 40 {
		waits = append(waits, o.queued(ctx, cmd(large...)))
	}
	other := o.queued(ctx, &ledger.Command{Tenant: 2, Book: 2, Ops: []ledger.Op{&ledger.AddUnit{Unit: usd}}})
	open()
	for _, wait := range append(waits, other) {
		wants(t, "who waited", wait(), ledger.OK)
	}
	rounds := o.gate.books[len(o.gate.books)-3:]
	if !slices.Equal(rounds[0], []ledger.BookID{1, 2}) || !slices.Equal(rounds[2], []ledger.BookID{1}) {
		t.Errorf("books of the last three rounds: %v", rounds)
	}
}

// TestClose answers everyone who waits, and refuses those who come late.
func TestClose(t *testing.T) {
	ctx := context.Background()
	o := newOffice(t, own("A"), topup("A", 100),
		&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(50), Expires: ledger.Lifetime{For: time.Minute}})
	open := o.shut()
	var waits []func() answer
	for range 20 {
		waits = append(waits, o.queued(ctx, cmd(charge("A", 1))))
	}
	o.clock.advance(time.Minute) // what is due needs the store too
	waits = append(waits, o.queued(ctx, cmd(charge("A", 80))))
	closed := make(chan struct{})
	go func() { o.Ledger.Close(); close(closed) }()
	o.until(func() bool {
		brief, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		defer cancel()
		_, err := o.Post(brief, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.AddUnit{Unit: sms}}})
		return ledger.CodeOf(err) == ledger.Unavailable
	})
	open()
	for _, wait := range waits {
		wants(t, "who waited", wait(), ledger.OK)
	}
	<-closed
	wants(t, "who came late", o.begin(ctx, cmd(charge("A", 1)))(), ledger.Unavailable)
	o.restart()
	o.has("A", 0, 0)
}

// TestUnitsBeforeAccounts reads an account from the moment that it is there,
// while its unit is just as new.
func TestUnitsBeforeAccounts(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t)
	for i := range 200 {
		id := acc(fmt.Sprint("unit", i))
		stop := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				if _, err := o.Balance(ctx, id); err != nil && ledger.CodeOf(err) != ledger.NotFound {
					t.Error(err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		code := fmt.Sprint("U", i)
		o.do(&ledger.AddUnit{Unit: money.Unit{Code: code, Kind: money.Credit}}, &ledger.OpenAccount{ID: id, Unit: code, Mode: ledger.Own})
		close(stop)
		reader.Wait()
	}
}

// TestReservedIDs lets nobody take the name of a transfer that has no id of its
// own, and has what took one before go on to mean what it meant.
func TestReservedIDs(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100))
	early := ledger.Command{Tenant: 1, Book: 1, ID: "batch#1", Ops: []ledger.Op{charge("A", 7)}}
	first, err := o.Post(t.Context(), ledger.Before(early))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.post(&ledger.Command{ID: "batch", Ops: []ledger.Op{charge("A", 1), charge("A", 2)}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"batch#2", "new#0", "a b#524287", "x#1#1"} {
		if _, err := o.post(&ledger.Command{ID: id, Ops: []ledger.Op{charge("A", 1)}}); ledger.CodeOf(err) != ledger.Invalid {
			t.Errorf("a command takes the id %s: %v", id, err)
		}
		o.no(ledger.Invalid, named(id, charge("A", 1)))
		o.no(ledger.Invalid, hold(id, "A", 1))
	}
	o.restart()
	again, err := o.post(&early)
	if err != nil || !again.Replayed || again.Event.Seq != first.Event.Seq {
		t.Errorf("the repeat is %+v, %v", again, err)
	}
	o.do(refund("batch#1", 7))                                                                 // what took the id
	for _, id := range []string{"#1", "order/7 #1", "a#", "a#x", "a#01", "a#-1", "a#524288"} { // names of nothing else
		if _, err := o.post(&ledger.Command{ID: id, Ops: []ledger.Op{charge("A", 1)}}); err != nil {
			t.Errorf("a command does not take the id %s: %v", id, err)
		}
	}
	o.has("A", 100-3-7, 0)
}

// TestRefundByID refunds by ids that a batch has used for other things.
func TestRefundByID(t *testing.T) {
	o := newOffice(t, own("A"), own("B"), topup("A", 100))
	if _, err := o.post(&ledger.Command{ID: "batch", Ops: []ledger.Op{named("x", charge("A", 10)), hold("h", "A", 5), charge("A", 20), hold("", "A", 1)}}); err != nil {
		t.Fatal(err)
	}
	o.no(ledger.NotFound, refund("h", 1))     // a hold, the first of the batch
	o.no(ledger.NotFound, refund("batch", 1)) // a hold too; the first transfer has an id of its own
	o.no(ledger.NotFound, refund("batch#2", 1))
	o.no(ledger.NotFound, refund("x#0", 1))
	o.do(refund("x", 10), refund("batch#1", 5))
	o.no(ledger.OverRefund, refund("batch#1", 16))
	if _, err := o.post(&ledger.Command{ID: "cap", Ops: []ledger.Op{&ledger.Capture{Hold: "h", To: []ledger.Payee{{To: acc("B"), Amount: money.New(2)}, {To: revenue, Amount: money.New(3)}}}}}); err != nil {
		t.Fatal(err)
	}
	o.no(ledger.NotFound, refund("cap", 1))
	o.restart()
	o.do(refund("cap#0", 0), refund("cap#1", 1))
	o.no(ledger.OverRefund, refund("batch#1", 16))
	o.has("A", 100-15-5+2+1, 1)
	o.has("B", 0, 0)
}

// TestAfter shows the balance of every account that a reply may show, and the
// same again when the command is repeated later.
func TestAfter(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), drawing("Ab"), capped("Abc", 30), topup("A", 100))
	res := o.do(&ledger.SetAccount{Account: acc("Abc"), Cap: amt(20)})
	if b, err := o.After(ctx, 1, res.Event, acc("Abc")); err != nil || b.Spendable != money.New(20) || b.DrawnFrom != acc("A") {
		t.Errorf("after a new cap: %+v, %v", b, err)
	}
	res = o.do(drawing("Abcd"))
	if b, err := o.After(ctx, 1, res.Event, acc("Abcd")); err != nil || b.Spendable != money.New(20) {
		t.Errorf("after opening: %+v, %v", b, err)
	}
	c := &ledger.Command{ID: "c", Ops: []ledger.Op{charge("Abcd", 5)}}
	first, err := o.post(c)
	if err != nil {
		t.Fatal(err)
	}
	o.do(charge("Abc", 10), topup("A", 7))
	again, err := o.post(c)
	if err != nil || !again.Replayed {
		t.Fatal(again, err)
	}
	for _, r := range []ledger.Result{first, again} {
		if b, err := o.After(ctx, 1, r.Event, acc("Abcd")); err != nil || b.Spendable != money.New(15) || b.Spent != money.New(5) {
			t.Errorf("after the charge: %+v, %v", b, err)
		}
	}
}
