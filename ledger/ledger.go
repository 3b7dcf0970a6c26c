package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"saldo/money"
)

// Options of a Ledger. The zero value is usable.
type Options struct {
	Now     func() time.Time // time.Now
	Rand    io.Reader        // crypto/rand: salts of free text
	Logger  *slog.Logger
	Waiting int // commands that may wait in the queue; 16,384
	Cached  int // accounts kept in memory, and half as many holds, records and ids; 131,072
	// MaxClockStep is the longest jump of the clock between two looks at it
	// that is believed; 24 h. 0 is the default, negative believes anything.
	MaxClockStep time.Duration
	// Observe is told of every commit, from the loop: it must be quick.
	Observe func(Commit)
	// Posted is told of the round that a command was decided in, by the goroutine
	// that posted it and with its context. Took ends there when the round was durable.
	Posted func(context.Context, *Commit)
}

// A Commit is what the loop did in one round.
type Commit struct {
	Commands int           // decided, replays and refusals included
	Events   int           // made durable
	Began    time.Time     // with the first decision
	Took     time.Duration // from there to the answers
	Appended time.Time     // when the store was asked to append, at last
	Append   time.Duration // of Took: in the store
	Waiting  int           // commands left in the queue
}

// A Result is what became of a command.
type Result struct {
	Book     BookID
	Event    *Event // nil when a refusal was not remembered
	Replayed bool   // the event was made by an earlier command with this id
}

// A Balance is what an account has at a moment.
type Balance struct {
	Account   *Account
	Unit      money.Unit
	Posted    money.Amount
	Held      money.Amount
	Available money.Amount
	Limit     money.Amount
	// Spendable is what a charge may take: of a drawing account, the least of
	// what its payer can spend and what the caps on the way leave.
	Spendable money.Amount
	DrawnFrom AccountID    // whose money a drawing account spends; else zero
	Spent     money.Amount // drawing
	Cap       money.Amount // drawing, when HasCap
	HasCap    bool
	AsOf      Time
	Seq       uint64 // of the book: every command answered before is in it
}

// A Ledger keeps the books of a store. Its methods may be called by any number
// of goroutines.
type Ledger struct {
	store  Store
	shared SharedStore // the store, if it is one
	o      Options

	accounts *cache[AccountID, Account]
	holds    *cache[Ref, Hold]
	records  *cache[RecordKey, Record]
	refunds  *cache[TransferAt, refunded]
	ids      *cache[Ref, used]
	due      window
	queue    *queue
	running  sync.WaitGroup
	stop     context.CancelFunc

	mu    sync.RWMutex
	books map[BookID]*book
	acts  map[string]func(context.Context, *Record) (*Command, error)

	// Of a shared store:
	looker    *looker
	loader    loader
	repeats   atomic.Int64    // until what age, ids are looked up before they are used
	leanAgain atomic.Int64    // from what age on requests may lean again
	lookCtx   context.Context // ends with Close
	arrived   inbox
	trip      trip    // the loop's last
	lock      held    // the loop's
	turns     bool    // the loop's: it took turns with others for the last round's books
	tried     []*book // and what it tried to append to

	actFrom string // key of the deadline after which ActDue goes on

	tenants sync.Map // *readTenant by key of the record

	standing  atomic.Pointer[standing] // nil: the rows are as they stand
	forgotten atomic.Uint64            // how often forget was called
	deciding  atomic.Int64             // when the round that is not durable yet happens, at the earliest; MaxTime: there is none

	clockMu sync.Mutex
	last    Time // the latest time that was given out
	seen    Time // what the clock said then

	// Of the loop alone:
	round    round
	decision decision
	decided  []*prepared
	popped   []dueHold
	arena    []byte
}

// Open starts a ledger on a store.
func Open(ctx context.Context, store Store, o Options) (*Ledger, error) {
	shared, _ := store.(SharedStore)
	if o.Now == nil && shared != nil {
		o.Now = shared.Now
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxClockStep == 0 {
		o.MaxClockStep = 24 * time.Hour
	}
	o.Waiting = cmp.Or(o.Waiting, 16<<10)
	o.Cached = cmp.Or(o.Cached, 128<<10)
	l := &Ledger{
		store: store, shared: shared, o: o,
		accounts: newCache[AccountID, Account](o.Cached),
		holds:    newCache[Ref, Hold](o.Cached / 2),
		records:  newCache[RecordKey, Record](o.Cached / 2),
		refunds:  newCache[TransferAt, refunded](o.Cached / 8),
		ids:      newCache[Ref, used](0),
		queue:    newQueue(o.Waiting),
		books:    make(map[BookID]*book),
	}
	if shared != nil { // every look is a round trip
		l.ids = newCache[Ref, used](o.Cached / 2)
	}
	l.round.l = l
	l.deciding.Store(int64(MaxTime))
	l.loader = loader{l: l}
	l.looker = newLooker(l)
	if err := l.readHeads(ctx); err != nil {
		return nil, fmt.Errorf("reading the heads of the books: %w", err)
	}
	l.seen = TimeOf(o.Now())
	if _, err := l.tick(ctx); err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(context.Background())
	l.lookCtx = ctx
	l.OnDue(moveKind, func(ctx context.Context, rec *Record) (*Command, error) { return nil, l.carryMove(ctx, rec) })
	l.running.Add(2)
	go l.run(context.WithoutCancel(ctx)) // it ends when the queue is closed and empty
	go l.watchRecords(ctx)
	return l, nil
}

// readHeads makes every book known, unless others write to them: then each is
// when it is first asked for.
func (l *Ledger) readHeads(ctx context.Context) error {
	if l.shared != nil {
		l.due.keep = func(id BookID) bool {
			l.mu.RLock()
			defer l.mu.RUnlock()
			return l.books[id] != nil
		}
		return nil
	}
	for row, err := range l.store.Scan(ctx, Query{List: ListHeads}) {
		if err != nil {
			return err
		}
		b := &book{id: row.Head.Book}
		b.head.Store(row.Head)
		l.books[b.id] = b
		l.last = max(l.last, row.Head.Time)
	}
	return nil
}

// Close stops taking commands, lets those that were taken finish, and waits for
// everything that it started. It does not close the store.
func (l *Ledger) Close() error {
	l.queue.close()
	l.stop()
	l.running.Wait()
	return nil
}

// clock returns the present as decisions see it: never before a time that was
// given out, and only while the clock moves plausibly.
func (l *Ledger) clock() (Time, error) {
	now := TimeOf(l.o.Now())
	l.clockMu.Lock()
	defer l.clockMu.Unlock()
	if step := Time(l.o.MaxClockStep / time.Microsecond); step > 0 {
		if now > l.seen+step {
			return 0, Errorf(ClockJump, "the clock jumped from %v to %v; set it right, or restart the server if it is right", l.seen, now)
		}
		if now < l.last-step {
			return 0, Errorf(ClockJump, "the clock says %v, but the journal has reached %v; set the clock right", now, l.last)
		}
	}
	l.seen = now
	l.last = max(l.last, now)
	return l.last, nil
}

// Now returns the time that a decision made now would have.
func (l *Ledger) Now() (Time, error) { return l.clock() }

// book returns what is kept of a book. A book that does not exist has an empty head.
func (l *Ledger) book(ctx context.Context, id BookID) (*book, error) {
	l.mu.RLock()
	b := l.books[id]
	l.mu.RUnlock()
	if b != nil {
		return b, nil
	}
	if l.shared != nil {
		return l.knowBook(ctx, id)
	}
	snap, err := l.store.Load(ctx, &Keys{Heads: []BookID{id}})
	if err != nil {
		return nil, unavailable(err)
	}
	head := snap.Heads[0]
	if head == nil {
		head = &Head{Book: id, Hash: journalStart}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[id]; b != nil {
		return b, nil
	}
	b = &book{id: id}
	b.head.Store(head)
	if head.Seq > 0 || len(l.books) < 1<<20 {
		l.books[id] = b
	}
	return b, nil
}

// forget drops what is kept in memory, after others have written. Commands that
// were prepared before, or began to be, have rows that nobody keeps up to date
// (see decideOne).
func (l *Ledger) forget() {
	defer l.forgotten.Add(1)
	// The books are loaded again when they are asked for; rows are not known to
	// be the newest any more.
	l.mu.Lock()
	l.books = make(map[BookID]*book)
	l.mu.Unlock()
	l.accounts.clear()
	l.holds.clear()
	l.records.clear()
	l.refunds.clear()
	l.ids.clear()
}

// Post decides a command and returns when what became of it is durable. A
// refusal is an *Error; when it was remembered the Result has its event too.
func (l *Ledger) Post(ctx context.Context, c *Command) (Result, error) {
	if l.shared != nil {
		switch k := leanOf(ctx); {
		case k.error() != nil:
			return Result{}, k.wrong
		case k.leans() && k.used:
			return l.postLeaning(ctx, c, k)
		}
	}
	return l.post(ctx, c, nil)
}

// post is Post. What k leans on is proved with the command, if it gets as far.
func (l *Ledger) post(ctx context.Context, c *Command, k *lean) (Result, error) {
	if err := l.salt(c); err != nil {
		return Result{}, err
	}
	forgotten := l.forgotten.Load()
	b, err := l.book(ctx, c.Book)
	if err != nil {
		return Result{}, err
	}
	p := newPrepared(c, b)
	p.forgotten, p.lean = forgotten, k
	if err := l.prepare(ctx, p); err != nil {
		p.recycle()
		return Result{}, unavailable(err)
	}
	if p.own != nil {
		if u, _ := l.ids.value(p.own); u != nil {
			l.unpin(p)
			p.recycle()
			return l.repeated(ctx, c, u.at)
		}
	}
	if err := l.wait(ctx, p); err != nil {
		return Result{}, err // the queue may still have it
	}
	if p.commit != nil {
		l.o.Posted(ctx, p.commit)
	}
	res, err, again := p.res, p.err, p.again
	p.recycle()
	if again != nil {
		return l.repeated(ctx, c, *again)
	}
	return res, err
}

// wait queues a command and waits until the loop has answered it.
func (l *Ledger) wait(ctx context.Context, p *prepared) error {
	defer l.unpin(p)
	if err := l.queue.put(p); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if p.taken.CompareAndSwap(false, true) {
		return Errorf(Timeout, "the caller gave up before the command was begun; nothing was changed")
	}
	<-p.done // it is being decided: this takes one write at most
	return nil
}

// salt gives every text of a command its salt.
func (l *Ledger) salt(c *Command) error {
	for _, t := range c.texts() {
		if _, err := io.ReadFull(l.o.Rand, t.Salt[:]); err != nil {
			return Errorf(Internal, "no random numbers: %v", err)
		}
	}
	for i := range c.Records {
		if w := &c.Records[i]; len(w.Data) > inlineRecord {
			if _, err := io.ReadFull(l.o.Rand, w.Salt[:]); err != nil {
				return Errorf(Internal, "no random numbers: %v", err)
			}
		}
	}
	return nil
}

// repeated answers a command whose id was used before this try.
func (l *Ledger) repeated(ctx context.Context, c *Command, at TransferAt) (Result, error) {
	snap, err := l.store.Load(ctx, &Keys{Events: []EventKey{{at.Book, at.Seq}}})
	if err != nil {
		return Result{}, unavailable(err)
	}
	e := snap.Events[0]
	if e == nil {
		return Result{}, Errorf(Internal, "the event of an id is not there")
	}
	var keys Keys
	for n := range e.Texts {
		keys.Texts = append(keys.Texts, TextKey{at.Book, TextAt{e.Seq, uint32(n + 1)}})
	}
	if len(keys.Texts) > 0 {
		if snap, err = l.store.Load(ctx, &keys); err != nil {
			return Result{}, unavailable(err)
		}
	}
	b, err := l.book(ctx, at.Book)
	if err != nil {
		return Result{}, err
	}
	return l.replay(c, b, e, snap.Texts)
}

// replay gives a command the event that an earlier one with its id made, if it
// asks for the same. Texts are the event's as far as they are still there.
func (l *Ledger) replay(c *Command, b *book, e *Event, texts []*Text) (Result, error) {
	same := e.ID == c.ID && e.Print == c.Print()
	if same && len(c.Asked) == 0 && e.Refused == nil {
		asked := c.texts()
		same = len(asked) == len(e.Texts)
		for i := 0; same && i < len(asked); i++ {
			var was *Text
			if i < len(e.Beside) {
				was = &e.Beside[i]
			} else if i < len(texts) {
				was = texts[i]
			}
			if was != nil {
				again := Text{was.Salt, asked[i].Data}
				same = again.DigestOf() == e.Texts[i]
			}
		}
	}
	if !same {
		return Result{}, Errorf(IDTaken, "the id %s was used for another command; nothing was changed", quote(c.ID))
	}
	res := Result{Book: b.id, Event: e, Replayed: true}
	if e.Refused != nil {
		return res, l.refusal(b, e.Refused)
	}
	return res, nil
}

// refusal makes an error of a refusal, with the unit of its amounts.
func (l *Ledger) refusal(b *book, r *Refusal) *Error {
	e := &Error{Refusal: *r}
	if e.Account.IsZero() {
		return e
	}
	if a, _ := l.accounts.row(e.Account); a != nil {
		if units := b.head.Load().Units; int(a.Unit) < len(units) {
			e.Unit = units[a.Unit]
		}
	}
	return e
}

// CodeOf returns the code of an error: Internal for one that is not an *Error.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}
