package ledger

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// maxRound and maxRoundBytes bound one round, up to a command more: its
// operations, and what they bring. Without texts and records the first is
// reached first.
const (
	maxRound      = 16 << 10
	maxRoundBytes = 8 << 20
)

// expireAtOnce bounds how many holds one event makes expire.
const expireAtOnce = 1024

// A book is what the ledger keeps in memory of a book. Its head is replaced when
// a round is durable; next and from are the loop's.
type book struct {
	id   BookID
	head atomic.Pointer[Head]

	// Of a shared store:
	looked    atomic.Int64 // at what age rows and head were known to be the newest
	contended int          // rounds for which it is locked first
	listed    bool         // in a list that is being made

	next   *Head
	from   uint64 // seq of head when the round began
	events []*Event
	bytes  [][]byte
}

func (b *book) pending() *Head {
	if b.next != nil {
		return b.next
	}
	return b.head.Load()
}

// run is the commit loop: it takes everything that is waiting, decides it in
// order, makes it durable with one Append, and answers. While that is being
// written, what comes in gathers for the next round.
func (l *Ledger) run(ctx context.Context) {
	defer l.running.Done()
	timer := time.NewTimer(l.untilDue())
	defer timer.Stop()
	var cmds []*prepared
	rest := time.Duration(0) // after a failure, so that what is due is not tried again at once
	for {
		// Who was answered just now is about to ask again, and who is reading a
		// request is about to queue it: they go first, so that one sync serves
		// them too. Where nobody can run, this takes no time.
		runtime.Gosched()
		if l.shared != nil {
			l.trip.gather(l.queue.crowd)
		}
		cmds = l.queue.take(maxRound, maxRoundBytes, cmds[:0])
		if len(cmds) == 0 {
			if l.queue.isClosed() {
				return
			}
			timer.Reset(max(l.untilDue(), rest))
			select {
			case <-l.queue.more:
				continue
			case <-timer.C:
			}
		}
		began, _ := l.clock() // 0 if it jumped: then nothing is decided
		l.deciding.Store(int64(began))
		rest = 0
		if err := l.work(ctx, cmds); err != nil {
			rest = 100 * time.Millisecond
		}
		l.deciding.Store(int64(MaxTime))
		clear(cmds)
	}
}

// untilDue returns how long the loop may sleep: until the next deadline, and
// never so long that it would miss a jump of the clock.
func (l *Ledger) untilDue() time.Duration {
	wait := l.due.next().Std().Sub(l.o.Now())
	return min(max(wait, time.Millisecond), 10*time.Second)
}

// work is one round. The error is what everybody in it was told.
func (l *Ledger) work(ctx context.Context, cmds []*prepared) error {
	if l.shared != nil {
		return l.workShared(ctx, cmds)
	}
	began := time.Now()
	r := &l.round
	r.ctx = ctx
	now, err := l.tick(ctx)
	if err == nil {
		err = l.expireDue(ctx, r, now)
	}
	for err == nil && l.due.earliest() <= now {
		// More is due than the window holds: write that down, and look on.
		if err = l.commit(ctx, r); err == nil {
			now, err = l.tick(ctx)
		}
		if err == nil {
			err = l.expireDue(ctx, r, now)
		}
	}
	if err != nil {
		l.abandon(r)
		l.stand(ctx, r, err, now)
		for _, p := range cmds {
			if p.taken.CompareAndSwap(false, true) {
				p.answer(Result{}, err)
			}
		}
		return err
	}
	l.deciding.Store(int64(now))
	l.decided = l.decided[:0]
	for _, p := range cmds {
		if p.taken.CompareAndSwap(false, true) {
			l.decided = append(l.decided, p)
			l.decideOne(r, p, now)
		}
	}
	events := 0
	for _, b := range r.books {
		events += len(b.events)
	}
	appending := time.Now()
	if err := l.commit(ctx, r); err != nil {
		l.stand(ctx, r, err, now)
		for _, p := range l.decided {
			p.answer(Result{}, err)
		}
		clear(l.decided)
		return err
	}
	c := Commit{Commands: len(cmds), Events: events, Began: began, Appended: appending, Append: time.Since(appending)}
	l.tell(l.decided, c)
	for _, p := range l.decided {
		p.done <- struct{}{}
	}
	clear(l.decided)
	if l.o.Observe != nil && len(cmds)+events > 0 {
		c.Took, c.Waiting = time.Since(began), l.queue.len()
		l.o.Observe(c)
	}
	return nil
}

// tell notes in commands that are about to be answered which round they were
// decided in.
func (l *Ledger) tell(decided []*prepared, c Commit) {
	if l.o.Posted == nil {
		return
	}
	told := c // here, so that nothing is allocated where nobody wants to know
	told.Took = time.Since(c.Began)
	for _, p := range decided {
		p.commit = &told
	}
}

// tick returns the time of a round: the clock's, but never before an earlier one.
func (l *Ledger) tick(ctx context.Context) (Time, error) {
	now, err := l.clock()
	if err != nil {
		return 0, err
	}
	if l.shared != nil {
		for _, d := range l.arrived.take() {
			l.due.add(d)
		}
	}
	if l.due.ends(now) {
		if err := l.due.extend(ctx, l.store, now.Add(windowAhead)); err != nil {
			return 0, unavailable(err)
		}
		l.due.publish()
	}
	return now, nil
}

// expireDue ends the holds that are due, in events of their own, before
// anything else is decided.
func (l *Ledger) expireDue(ctx context.Context, r *round, now Time) error {
	var byBook map[BookID][]Ref
	for {
		d, ok := l.due.pop(now)
		if !ok {
			break
		}
		if byBook == nil {
			byBook = make(map[BookID][]Ref)
		}
		byBook[d.book] = append(byBook[d.book], d.ref)
		l.popped = append(l.popped, d)
	}
	for id, refs := range byBook {
		for len(refs) > 0 {
			n := min(len(refs), expireAtOnce)
			if err := l.expire(ctx, r, id, refs[:n], now); err != nil {
				return err
			}
			refs = refs[n:]
		}
	}
	return nil
}

func (l *Ledger) expire(ctx context.Context, r *round, id BookID, refs []Ref, now Time) error {
	b, err := l.book(ctx, id)
	if err != nil {
		return err
	}
	c := &Command{Book: id, Tenant: b.pending().Tenant, Ops: []Op{&Expire{Holds: refs}}}
	p := &prepared{c: c, book: b}
	if err := l.prepare(ctx, p); err != nil {
		return unavailable(err)
	}
	r.pinned = append(r.pinned, p)
	r.p = p
	e, refused := l.decision.decide(r, now, c)
	if r.failed != nil {
		err, r.failed = r.failed, nil
		return unavailable(err)
	}
	if refused != nil {
		if refused.Code == Invalid { // all of them ended before
			return nil
		}
		return &Error{Refusal: *refused}
	}
	return l.fold(r, p, e)
}

// decideOne decides a command and sets its answer, to be given when the round is durable.
func (l *Ledger) decideOne(r *round, p *prepared, now Time) {
	if p.c == nil {
		return
	}
	if p.forgotten != l.forgotten.Load() {
		p.err = Errorf(Contention, "others changed the same book first; try again")
		return
	}
	if p.own != nil {
		if u := l.ids.pending(p.own); u != nil {
			l.repeat(r, p, u.at)
			return
		}
	}
	r.p = p
	e, refused := l.decision.decide(r, now, p.c)
	if r.failed != nil {
		p.err, r.failed = unavailable(r.failed), nil
		return
	}
	p.res = Result{Book: p.book.id, Event: e}
	if refused != nil {
		p.err = l.refusal(p.book, refused)
	}
	if e != nil {
		if err := l.fold(r, p, e); err != nil {
			// The rules and the fold disagree: nothing of this round can be
			// trusted, and what is durable still can.
			l.o.Logger.Error("the ledger's rules contradict themselves", "error", err)
			panic(err)
		}
	}
}

// repeat answers a command whose id was taken while it waited.
func (l *Ledger) repeat(r *round, p *prepared, at TransferAt) {
	for _, b := range r.books {
		if b.id != at.Book {
			continue
		}
		for _, e := range b.events {
			if e.Seq == at.Seq {
				p.res, p.err = l.replay(p.c, b, e, nil)
				return
			}
		}
	}
	p.again = &at
}

// fold adds an event to the round.
func (l *Ledger) fold(r *round, p *prepared, e *Event) error {
	b := p.book
	if err := Fold(r, e); err != nil {
		return err
	}
	start := len(l.arena)
	l.arena = e.AppendBinary(l.arena, b.id)
	bytes := l.arena[start:len(l.arena):len(l.arena)]
	b.next.Hash = Chain(b.next.Hash, bytes)
	b.events = append(b.events, e)
	b.bytes = append(b.bytes, bytes)
	return nil
}

// commit makes a round durable and shows it to readers. When it fails, nothing
// of it has happened, or the process ends.
func (l *Ledger) commit(ctx context.Context, r *round) error {
	if len(r.books) == 0 {
		l.popped = l.popped[:0]
		l.due.publish()
		r.discard()
		return nil
	}
	err := l.append(ctx, r.batch())
	if err != nil {
		l.abandon(r)
		if l.shared != nil {
			return err
		}
		if errors.Is(err, ErrConflict) {
			l.forget()
			return Errorf(Contention, "others changed the same book first; try again")
		}
		return unavailable(err)
	}
	l.popped = l.popped[:0]
	for _, e := range r.holds {
		was, _ := l.holds.value(e)
		l.due.change(was, e.next)
	}
	l.due.announce()
	l.standing.Store(nil) // before the rows: who still has it when it is done reading knows that none of them was newer
	r.publish()
	l.due.publish()
	l.arena = l.arena[:0]
	return nil
}

// abandon forgets the round: nothing of it has happened.
func (l *Ledger) abandon(r *round) {
	l.due.restore(l.popped)
	l.popped = l.popped[:0]
	l.arena = l.arena[:0]
	r.discard()
}

// batch returns what the round has to make durable.
func (r *round) batch() *Batch {
	b := &r.out
	*b = Batch{Books: b.Books[:0], Accounts: b.Accounts[:0], Holds: b.Holds[:0],
		Records: b.Records[:0], Refunds: b.Refunds[:0], IDs: b.IDs[:0], Guards: b.Guards[:0]}
	for _, book := range r.books {
		b.Books = append(b.Books, BookEvents{From: book.from, Head: *book.next, Events: book.events, Bytes: book.bytes})
	}
	for _, e := range r.accounts {
		b.Accounts = append(b.Accounts, e.next)
	}
	for _, e := range r.holds {
		was, _ := r.l.holds.value(e)
		b.Holds = append(b.Holds, HoldRow{Now: e.next, Was: was})
	}
	for _, e := range r.records {
		was, _ := r.l.records.value(e)
		row := RecordRow{Now: e.next, Was: was}
		if e.next == r.l.records.none {
			row.Now = nil
		}
		b.Records = append(b.Records, row)
	}
	for _, c := range r.refunds {
		b.Refunds = append(b.Refunds, RefundRow{c.of, c.e.next.amount})
	}
	for _, c := range r.ids {
		b.IDs = append(b.IDs, IDRow{c.ref, c.e.next.at})
	}
	if g := r.leaned; g != nil && g.next == nil {
		b.Guards = append(b.Guards, Guard{g.id, g.head.Load().Seq})
	}
	return b
}

// publish shows the round's rows to readers.
func (r *round) publish() {
	for _, b := range r.books { // units first: an account's row names one
		if was := b.head.Load(); len(was.Units) < len(b.next.Units) {
			now := *was
			now.Units = b.next.Units
			b.head.Store(&now)
		}
	}
	for _, e := range r.accounts {
		e.row.Store(e.next)
	}
	for _, e := range r.holds {
		e.row.Store(e.next)
	}
	for _, e := range r.records {
		e.row.Store(e.next)
	}
	for _, c := range r.refunds {
		c.e.row.Store(c.e.next)
	}
	for _, c := range r.ids {
		c.e.row.Store(c.e.next)
	}
	for _, b := range r.books {
		b.head.Store(b.next)
	}
	r.discard()
}

// discard forgets the round.
func (r *round) discard() {
	drop(&r.accounts)
	drop(&r.holds)
	drop(&r.records)
	for _, c := range r.refunds {
		c.e.next = nil
	}
	for _, c := range r.ids {
		c.e.next = nil
	}
	for _, b := range r.books {
		b.next, b.events, b.bytes = nil, nil, b.bytes[:0] // a store may keep the events
	}
	for _, p := range r.pinned {
		r.l.unpin(p)
	}
	r.refunds, r.ids, r.books, r.pinned, r.leaned = r.refunds[:0], r.ids[:0], r.books[:0], nil, nil
}

func drop[V any](entries *[]*entry[V]) {
	for _, e := range *entries {
		e.next = nil
	}
	clear(*entries)
	*entries = (*entries)[:0]
}

// errNoSpace is what callers are told when the store says ErrNoSpace.
var errNoSpace = Errorf(Unavailable, "the disk is almost full; nothing was changed; try again when there is room")

func unavailable(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Errorf(Timeout, "the time ran out; repeat the command with its id to learn what became of it")
	}
	if errors.Is(err, ErrInDoubt) {
		return Errorf(Timeout, "the database was lost while it wrote; repeat the command with its id to learn what became of it")
	}
	if errors.Is(err, ErrNoSpace) {
		return errNoSpace
	}
	return &Error{Refusal: Refusal{Code: Unavailable, Detail: "the store does not answer now; try again"}, cause: err}
}
