package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

// The accounts of the tests: a letter is a root, the letters after it are below.
var (
	cash    = ledger.SystemID(1, 0, ledger.Cash)
	revenue = ledger.SystemID(1, 0, ledger.Revenue)
	sms     = money.Unit{Code: "SMS", Kind: money.Credit}
	noon    = ledger.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
)

func acc(name string) (id ledger.AccountID) {
	id[0] = 0xac
	copy(id[1:], name)
	return id
}

func amt(n int64) *money.Amount { a := money.New(n); return &a }

func txt(s string) *ledger.Text { return &ledger.Text{Data: []byte(s)} }

// pow2 returns 2^n + add.
func pow2(n int, add int64) money.Amount {
	a := money.FromParts(0, 1<<min(n, 63))
	if n > 63 {
		a = money.FromParts(1<<(n-64), 0)
	}
	a, _ = a.Add(money.New(add))
	return a
}

func own(name string) *ledger.OpenAccount {
	op := &ledger.OpenAccount{ID: acc(name), Mode: ledger.Own}
	if len(name) == 1 {
		op.Unit = "USD"
	} else {
		op.Parent = acc(name[:len(name)-1])
	}
	return op
}

func drawing(name string) *ledger.OpenAccount {
	return &ledger.OpenAccount{ID: acc(name), Parent: acc(name[:len(name)-1]), Mode: ledger.Drawing}
}

func capped(name string, limit int64) *ledger.OpenAccount {
	op := drawing(name)
	op.Cap = amt(limit)
	return op
}

func topup(to string, n int64) *ledger.Transfer {
	return &ledger.Transfer{Kind: ledger.TopUp, From: cash, To: acc(to), Amount: money.New(n)}
}

func charge(from string, n int64) *ledger.Transfer {
	return &ledger.Transfer{Kind: ledger.Charge, From: acc(from), To: revenue, Amount: money.New(n)}
}

func forced(op *ledger.Transfer) *ledger.Transfer {
	op.Force, op.Text = true, txt("chargeback")
	return op
}

func upTo(op *ledger.Transfer) *ledger.Transfer { op.UpTo = true; return op }

func named(id string, op *ledger.Transfer) *ledger.Transfer { op.ID = id; return op }

func refund(of string, n int64) *ledger.Refund {
	if n == 0 {
		return &ledger.Refund{Of: of}
	}
	return &ledger.Refund{Of: of, Amount: amt(n)}
}

func hold(id, account string, n int64) *ledger.PlaceHold {
	return &ledger.PlaceHold{ID: id, Account: acc(account), Amount: money.New(n)}
}

func capture(hold string, n int64) *ledger.Capture {
	if n == 0 {
		return &ledger.Capture{Hold: hold}
	}
	return &ledger.Capture{Hold: hold, To: []ledger.Payee{{To: revenue, Amount: money.New(n)}}}
}

func final(op *ledger.Capture) *ledger.Capture { op.Final = true; return op }

func raise(hold string, n int64) *ledger.Raise {
	return &ledger.Raise{Hold: hold, Amount: money.New(n)}
}

func limit(name string, n int64) *ledger.SetAccount {
	return &ledger.SetAccount{Account: acc(name), Limit: amt(n)}
}

func status(name string, st ledger.Status) *ledger.SetAccount {
	return &ledger.SetAccount{Account: acc(name), Status: &st}
}

// A desk decides commands one after the other against a Replay, as the commit
// loop does, and checks of each event what holds for every event: it survives
// its encoding, it follows, units sum to zero, and nothing is overspent.
type desk struct {
	testing.TB
	*ledger.Replay
	now    ledger.Time
	events []*ledger.Event
}

// newDesk opens book 1 of tenant 1 with the units USD and SMS.
func newDesk(t testing.TB, ops ...ledger.Op) *desk {
	d := &desk{TB: t, Replay: ledger.NewReplay(1), now: noon}
	d.do(append([]ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.AddUnit{Unit: sms}}, ops...)...)
	return d
}

// post decides a command at the desk's time, after what is due then.
func (d *desk) post(c *ledger.Command) (*ledger.Event, *ledger.Refusal) {
	d.Helper()
	if due := d.NextDue(); due != 0 && due <= d.now {
		d.lapse()
	}
	if c.Tenant == 0 {
		c.Tenant = 1
	}
	c.Book = 1
	e, r := ledger.Decide(d, d.now, c)
	if e != nil {
		d.fold(e)
	}
	return e, r
}

func (d *desk) lapse() {
	d.Helper()
	var refs []ledger.Ref
	for _, ref := range slices.SortedFunc(maps.Keys(d.Holds), func(a, b ledger.Ref) int { return bytes.Compare(a[:], b[:]) }) {
		if h := d.Holds[ref]; h.State == ledger.HoldOpen && !h.OpenAt(d.now) {
			refs = append(refs, ref)
		}
	}
	e, r := ledger.Decide(d, d.now, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.Expire{Holds: refs}}})
	if r != nil {
		d.Fatalf("what is due does not expire: %+v", r)
	}
	d.fold(e)
}

func (d *desk) fold(e *ledger.Event) {
	d.Helper()
	b := e.AppendBinary(nil, 1)
	read, err := ledger.DecodeEvent(b, 1)
	if err != nil {
		d.Fatalf("an event that was decided cannot be read: %v\n%+v", err, e)
	}
	if diff := differ(e, read); diff != "" {
		d.Fatalf("an event reads otherwise than it was written (-written +read):\n%s", diff)
	}
	if err := d.Add(read, b); err != nil {
		d.Fatal(err)
	}
	if err := d.Promise(read); err != nil {
		d.Fatal(err)
	}
	sums, err := d.Sums()
	if err != nil {
		d.Fatal(err)
	}
	for unit, sum := range sums {
		if !sum.IsZero() {
			d.Fatalf("after event %d unit %d sums to %v", e.Seq, unit, sum)
		}
	}
	for n := range read.Transfers {
		d.SetPast(read.TransferID(n), read, n)
	}
	d.events = append(d.events, read)
}

// differ says how two events differ, but for what stands beside them.
func differ(written, read *ledger.Event) string {
	e := *written
	e.Beside = read.Beside
	if reflect.DeepEqual(&e, read) {
		return ""
	}
	return cmp.Diff(&e, read, cmpopts.EquateComparable(money.Amount{})) + " or nil is empty"
}

// do posts operations that take effect.
func (d *desk) do(ops ...ledger.Op) *ledger.Event {
	d.Helper()
	return d.as("", ops...)
}

// as posts operations that take effect under an id.
func (d *desk) as(id string, ops ...ledger.Op) *ledger.Event {
	d.Helper()
	e, r := d.post(&ledger.Command{ID: id, Ops: ops})
	if r != nil {
		d.Fatalf("refused: %+v", *r)
	}
	return e
}

// no posts operations that are refused, and wants nothing to come of it.
func (d *desk) no(want ledger.Code, ops ...ledger.Op) ledger.Refusal {
	d.Helper()
	return d.refused(want, &ledger.Command{Ops: ops})
}

func (d *desk) refused(want ledger.Code, c *ledger.Command) ledger.Refusal {
	d.Helper()
	e, r := d.post(c)
	if r == nil || r.Code != want {
		d.Fatalf("refusal %+v (event %+v), want %v", r, e, want)
	}
	if e != nil && e.Refused != r {
		d.Fatalf("a refused command has an event that took effect: %+v", e)
	}
	return *r
}

// short wants a refusal for funds, and who refused how much of what there was.
func (d *desk) short(account string, by ledger.Limit, required, spendable int64, ops ...ledger.Op) {
	d.Helper()
	got := d.no(ledger.Insufficient, ops...)
	if got.Account != acc(account) || got.By != by || got.Required != money.New(required) || got.Spendable != money.New(spendable) {
		d.Errorf("refused by %s's %v: %v required, %v spendable; want %s's %v: %d, %d", string(got.Account[1:3]), got.By, got.Required, got.Spendable,
			account, by, required, spendable)
	}
}

// has wants an account's posted and held amounts.
func (d *desk) has(name string, posted, held int64) {
	d.Helper()
	d.sum(acc(name), posted, held)
}

func (d *desk) sum(id ledger.AccountID, posted, held int64) {
	d.Helper()
	var a ledger.Account
	if row := d.Account(id); row != nil {
		a = *row
	}
	if a.Posted != money.New(posted) || a.Held != money.New(held) {
		d.Errorf("account %v has %v posted, %v held; want %d, %d", id, a.Posted, a.Held, posted, held)
	}
}

// An office is a ledger on a store in memory, with a clock that stands still
// until it is told, and book 1 of tenant 1 with the units USD and SMS.
type office struct {
	testing.TB
	*ledger.Ledger
	fs      vfs.FS
	store   *embedded.Store
	gate    *gate
	clock   *clock
	options ledger.Options
}

// A clock is a time that a test sets.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time          { return ledger.Time(c.now.Load()).Std() }
func (c *clock) set(t ledger.Time)       { c.now.Store(int64(t)) }
func (c *clock) time() ledger.Time       { return ledger.Time(c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.set(c.time().Add(d)) }

func newOffice(t testing.TB, ops ...ledger.Op) *office {
	o := &office{TB: t, fs: vfs.NewMem(), gate: new(gate), clock: new(clock)}
	o.options = ledger.Options{Now: o.clock.Now, MaxClockStep: -1}
	o.clock.set(noon)
	o.open()
	t.Cleanup(o.close)
	o.do(append([]ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.AddUnit{Unit: sms}}, ops...)...)
	return o
}

func (o *office) open() {
	o.Helper()
	var err error
	if o.store, err = embedded.Open("data", embedded.Options{FS: o.fs, DiskReserve: -1, CacheBytes: 1 << 20, MemTableBytes: 1 << 20}); err != nil {
		o.Fatal(err)
	}
	o.gate.Store = o.store
	if o.Ledger, err = ledger.Open(context.Background(), o.gate, o.options); err != nil {
		o.Fatal(err)
	}
}

func (o *office) close() {
	if err := errors.Join(o.Ledger.Close(), o.store.Close()); err != nil {
		o.Error(err)
	}
}

func (o *office) restart() { o.Helper(); o.close(); o.open() }

// A gate is a store whose Append waits while it is shut, and fails if told so.
type gate struct {
	ledger.Store
	arrived atomic.Int64 // calls of Append
	mu      sync.Mutex
	fail    error
	books   [][]ledger.BookID // of each Append
}

func (g *gate) Append(ctx context.Context, b *ledger.Batch) error {
	g.arrived.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	var books []ledger.BookID
	for i := range b.Books {
		books = append(books, b.Books[i].Head.Book)
	}
	g.books = append(g.books, books)
	return g.Store.Append(ctx, b)
}

// shut has a first command wait in Append, and so everything after it in the
// queue, until open is called.
func (o *office) shut() (open func()) {
	o.Helper()
	o.gate.mu.Lock()
	n := o.gate.arrived.Load()
	wait := o.begin(context.Background(), &ledger.Command{Ops: []ledger.Op{&ledger.AddUnit{Unit: usd}}})
	o.until(func() bool { return o.gate.arrived.Load() > n })
	return sync.OnceFunc(func() {
		o.gate.mu.Unlock()
		if err := wait().err; err != nil {
			o.Error(err)
		}
	})
}

// failing lets Append fail from now on, or no more.
func (o *office) failing(err error) {
	o.gate.mu.Lock()
	o.gate.fail = err
	o.gate.mu.Unlock()
}

type answer struct {
	ledger.Result
	err error
}

// begin posts a command in the background. What it returns waits for the answer.
func (o *office) begin(ctx context.Context, c *ledger.Command) (wait func() answer) {
	done := make(chan answer, 1)
	mine := *c
	mine.Tenant, mine.Book = max(c.Tenant, 1), max(c.Book, 1)
	go func() {
		res, err := o.Post(ctx, &mine)
		done <- answer{res, err}
	}()
	return func() answer {
		o.Helper()
		select {
		case a := <-done:
			return a
		case <-time.After(20 * time.Second):
			o.Fatal("no answer")
			return answer{}
		}
	}
}

// queued begins a command and returns when it waits in the queue.
func (o *office) queued(ctx context.Context, c *ledger.Command) (wait func() answer) {
	o.Helper()
	n := o.Waiting()
	wait = o.begin(ctx, c)
	o.until(func() bool { return o.Waiting() > n })
	return wait
}

func (o *office) until(done func() bool) {
	o.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			o.Fatal("it does not come to pass")
		}
	}
}

// post posts a copy of a command to book 1 of tenant 1.
func (o *office) post(c *ledger.Command) (ledger.Result, error) {
	mine := *c
	mine.Tenant, mine.Book = 1, 1
	return o.Post(context.Background(), &mine)
}

// do posts operations that take effect.
func (o *office) do(ops ...ledger.Op) ledger.Result {
	o.Helper()
	res, err := o.post(&ledger.Command{Ops: ops})
	if err != nil {
		o.Fatal(err)
	}
	return res
}

// no posts operations that are refused.
func (o *office) no(want ledger.Code, ops ...ledger.Op) {
	o.Helper()
	if _, err := o.post(&ledger.Command{Ops: ops}); ledger.CodeOf(err) != want {
		o.Errorf("%v, want %v", err, want)
	}
}

// has wants an account's posted and held amounts.
func (o *office) has(name string, posted, held int64) {
	o.Helper()
	b, err := o.Balance(context.Background(), acc(name))
	if err != nil {
		o.Fatal(err)
	}
	if b.Posted != money.New(posted) || b.Held != money.New(held) {
		o.Errorf("account %s has %v posted, %v held; want %d, %d", name, b.Posted, b.Held, posted, held)
	}
}

func taken(s ledger.State, id string) bool {
	_, taken := s.Taken(id)
	return taken
}
