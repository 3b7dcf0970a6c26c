package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// What a ledger does when its store is shared with others (see SharedStore).
//
// What is in memory of a book is as of the book's head, as this node knows it,
// or newer: a row is only kept while its book's head is known, and every row
// that others change is changed or read again before the head moves (catchUp).
// So a round that is appended next to that head was decided on what is. A node
// that finds that others were first looks, follows, and decides again, under a
// lock when that is likely to happen once more (attempt).
//
// A read that has to have what was answered before it looks first: many readers
// share one look (looker). A command need not: what it was begun with is proved by
// its append (lean). What is not there is the exception: who first knows
// of a book cannot tell which rows of it were missed before, and an id may have
// been used in any book. What is missing is looked for in the store whenever that
// matters (find).

// lockRounds is how many rounds a book is locked first after others were found
// to write to it.
const lockRounds = 16

// repeatsFor is how long ids are looked up first after one was a repeat.
const repeatsFor = time.Second

// tries bounds how often a round is decided again because others were first.
const tries = 16

// loadRows is the store's Load, for rows that are kept. The books of a shared
// store's rows are known before the rows are loaded.
func (l *Ledger) loadRows(ctx context.Context, keys *Keys) (*Snapshot, error) {
	for {
		snap, err := l.store.Load(ctx, keys)
		if l.shared == nil || err != nil {
			return snap, err
		}
		again := false
		need := func(id BookID) {
			l.mu.RLock()
			known := l.books[id] != nil
			l.mu.RUnlock()
			if !known && err == nil {
				_, err = l.book(ctx, id)
				again = true
			}
		}
		for _, a := range snap.Accounts {
			if a != nil {
				need(a.Book)
			}
		}
		for _, h := range snap.Holds {
			if h != nil {
				need(h.Book)
			}
		}
		if err != nil || !again {
			return snap, err
		}
	}
}

// knowBook loads a book of a shared store: its head, then the deadlines of its
// holds, which from then on come with what others append.
func (l *Ledger) knowBook(ctx context.Context, id BookID) (*book, error) {
	began := age()
	head, due, err := l.readBook(ctx, id)
	if err != nil {
		return nil, unavailable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[id]; b != nil {
		return b, nil
	}
	b := &book{id: id}
	b.head.Store(head)
	b.sawAt(int64(began))
	l.reached(head.Time)
	l.arrived.add(due)
	l.books[id] = b
	return b, nil
}

func (l *Ledger) readBook(ctx context.Context, id BookID) (*Head, []dueHold, error) {
	snap, err := l.store.Load(ctx, &Keys{Heads: []BookID{id}})
	if err != nil {
		return nil, nil, err
	}
	head := snap.Heads[0]
	if head == nil {
		return &Head{Book: id, Hash: journalStart}, nil, nil
	}
	var due []dueHold
	until := TimeOf(l.o.Now()).Add(2 * windowAhead)
	for row, err := range l.store.Scan(ctx, Query{List: ListDeadlines, Books: []BookID{id}, Until: until}) {
		if err != nil {
			return nil, nil, err
		}
		if !row.Due.Hold.IsZero() {
			due = append(due, dueHold{row.Due.At, row.Due.Book, row.Due.Hold})
		}
	}
	return head, due, nil
}

// reached notes a time that a book has reached: none before it is given out.
func (l *Ledger) reached(t Time) {
	l.clockMu.Lock()
	l.last = max(l.last, t)
	l.clockMu.Unlock()
}

// An inbox has deadlines that the loop has to take into its window.
type inbox struct {
	mu   sync.Mutex
	list []dueHold
}

func (in *inbox) add(due []dueHold) {
	if len(due) == 0 {
		return
	}
	in.mu.Lock()
	in.list = append(in.list, due...)
	in.mu.Unlock()
}

func (in *inbox) take() []dueHold {
	in.mu.Lock()
	defer in.mu.Unlock()
	due := in.list
	in.list = nil
	return due
}

func (in *inbox) waits() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.list) > 0
}

// sweep makes known the books that have something due, so that it ends before a
// list is read that shows it.
func (l *Ledger) sweep(ctx context.Context) error {
	now, err := l.clock()
	if err != nil {
		return err
	}
	books := make(map[BookID]bool)
	for row, err := range l.store.Scan(ctx, Query{List: ListDeadlines, Until: now}) {
		if err != nil {
			return unavailable(err)
		}
		if !row.Due.Hold.IsZero() {
			books[row.Due.Book] = true
		}
	}
	return l.lookAtAll(ctx, books)
}

// lookAtAll makes books known as they are now.
func (l *Ledger) lookAtAll(ctx context.Context, books map[BookID]bool) error {
	for id := range books {
		b, err := l.book(ctx, id)
		if err == nil {
			err = l.looker.look(ctx, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showsHolds reports whether a list shows what a hold that is due changes.
func showsHolds(list List) bool {
	return list == ListAccounts || list == ListHolds || list == ListSearch || list == ListStatement
}

// workShared is work when the store is shared.
func (l *Ledger) workShared(ctx context.Context, cmds []*prepared) error {
	began := time.Now()
	l.round.ctx = ctx
	waiting := l.claim(cmds, l.decided[:0])
	commit := Commit{Commands: len(waiting), Began: began}
	var failed error
	l.turns = false
	for try := 0; ; try++ {
		err := Errorf(Contention, "others changed the same book first, %d times; try again", tries)
		if try < tries {
			var retry bool
			if waiting, retry, failed = l.attempt(ctx, waiting, try, &commit); retry {
				continue
			}
			if failed == nil {
				break
			}
			err = l.told(failed)
		}
		for _, p := range waiting {
			p.answer(Result{}, err)
		}
		break
	}
	if l.trip = (trip{}); !l.turns { // else those who came while it waited for its turn were taken along
		l.trip = tripOf(commit.Commands, began)
	}
	if l.o.Observe != nil && commit.Commands+commit.Events > 0 {
		commit.Took, commit.Waiting = time.Since(began), l.queue.len()
		l.o.Observe(commit)
	}
	return failed
}

// claim takes commands whose callers have not given up.
func (l *Ledger) claim(cmds, into []*prepared) []*prepared {
	for _, p := range cmds {
		if p.taken.CompareAndSwap(false, true) {
			into = append(into, p)
		}
	}
	return into
}

// catchUpAll follows what others were found to have appended.
func (l *Ledger) catchUpAll(ctx context.Context, p *prepared) error {
	for i := range p.tails {
		if err := l.catchUp(ctx, &p.tails[i]); err != nil {
			return err
		}
	}
	p.tails = nil
	return nil
}

// told makes of an error what its callers are told.
func (l *Ledger) told(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		errors.As(unavailable(err), &e)
	}
	return e
}

// attempt decides what waits and makes it durable. It answers what it can, and
// returns the rest, to be tried again or, if it has failed, to be told so.
func (l *Ledger) attempt(ctx context.Context, waiting []*prepared, try int, commit *Commit) (left []*prepared, retry bool, err error) {
	r := &l.round
	defer func() {
		l.lock.release()
		l.deciding.Store(int64(MaxTime))
		if err != nil || retry {
			l.abandon(r)
		}
	}()
	if err := l.ready(ctx, waiting, try > 0); err != nil {
		return waiting, false, err
	}
	l.turns = l.turns || l.lock.has
	if l.lock.has && try == 0 { // who came while it waited for its turn goes along
		came := len(waiting)
		waiting = l.claim(l.queue.take(maxRound, maxRoundBytes, nil), waiting)
		commit.Commands += len(waiting) - came
		for _, p := range waiting[came:] {
			if err := l.catchUpAll(ctx, p); err != nil {
				return waiting, false, err
			}
		}
	}
	now, err := l.dueNow(ctx, r)
	if isConflict(err) {
		return waiting, true, nil
	}
	if err != nil {
		return waiting, false, err
	}
	l.deciding.Store(int64(now))
	for _, p := range waiting {
		p.res, p.err, p.again = Result{}, nil, nil
		if l.stands(r, p) {
			l.decideOne(r, p, now)
		}
	}
	leaned := r.leaned
	written := make(map[*book]bool, len(r.books))
	events := 0
	for _, b := range r.books {
		written[b] = true
		events += len(b.events)
	}
	locked := maps.Clone(l.lock.books)
	appending := time.Now()
	if err = l.commit(ctx, r); isConflict(err) {
		if err = l.slipped(ctx, leaned); err == nil {
			_, err = l.find(ctx, waiting...)
		}
		return waiting, err == nil, err
	} else if err != nil {
		return waiting, false, err
	}
	commit.Events += events
	commit.Appended, commit.Append = appending, commit.Append+time.Since(appending)
	for b := range written {
		b.sawAt(int64(appending.Sub(born)))
	}
	if leaned != nil && len(written) > 0 && prove(waiting) {
		leaned.sawAt(int64(appending.Sub(born)))
	}
	left, err = l.doubtful(ctx, waiting, func(b *book) bool { return written[b] || locked[b] })
	stays := make(map[*prepared]bool, len(left))
	for _, p := range left {
		stays[p] = true
	}
	l.tell(waiting, *commit)
	for _, p := range waiting {
		if !stays[p] {
			p.done <- struct{}{}
		}
	}
	return left, err == nil && len(left) > 0, err
}

func isConflict(err error) bool { return errors.Is(err, ErrConflict) }

// ready brings what is in memory of the books of a round up to date, as far as
// others are known to write to them: under a lock then.
func (l *Ledger) ready(ctx context.Context, waiting []*prepared, again bool) error {
	var books []*book
	contended := again
	list := func(b *book) {
		if !b.listed {
			b.listed = true
			books = append(books, b)
			contended = contended || b.contended > 0
		}
	}
	for _, p := range waiting {
		if err := l.catchUpAll(ctx, p); err != nil {
			return err
		}
		if p.book != nil {
			list(p.book)
		}
	}
	if again {
		for _, b := range l.tried { // some have only holds that are due
			list(b)
		}
	}
	for _, b := range books {
		b.listed = false
	}
	if !contended || len(books) == 0 {
		return nil
	}
	slices.SortFunc(books, func(a, b *book) int { return int(int64(a.id) - int64(b.id)) })
	known := ends(books)
	lock, err := l.shared.Lock(ctx, known)
	if err != nil {
		return unavailable(err)
	}
	l.lock = held{lock, true, make(map[*book]bool, len(books))}
	tails := lock.Tails()
	if err := l.compare(known, tails); err != nil {
		return err
	}
	for i, b := range books {
		l.lock.books[b] = true
		if tails[i].Seq > known[i].Seq {
			b.contended = lockRounds
		} else if b.contended > 0 {
			b.contended--
		}
		if err := l.catchUp(ctx, &tails[i]); err != nil {
			return err
		}
	}
	return nil
}

// dueNow makes what is due expire in the round, and returns its time.
func (l *Ledger) dueNow(ctx context.Context, r *round) (Time, error) {
	for {
		now, err := l.tick(ctx)
		if err == nil {
			err = l.expireDue(ctx, r, now)
		}
		if err != nil || l.due.earliest() > now {
			return now, err
		}
		// More is due than the window holds: write that down, and look on.
		if err = l.commit(ctx, r); err != nil {
			return now, err
		}
	}
}

// A held is the lock of a round, if it has one.
type held struct {
	lock  StoreLock
	has   bool
	books map[*book]bool
}

func (h *held) release() {
	if h.lock != nil {
		h.lock.Release()
	}
	*h = held{}
}

// append appends under the lock, if there is one.
func (l *Ledger) append(ctx context.Context, b *Batch) error {
	if l.shared == nil {
		return l.store.Append(ctx, b)
	}
	l.tried = append(l.tried[:0], l.round.books...)
	lock := l.lock.lock
	l.lock = held{}
	var err error
	if lock != nil {
		err = lock.Append(ctx, b)
	} else {
		err = l.store.Append(ctx, b)
	}
	if isConflict(err) || errors.Is(err, ErrInDoubt) {
		for _, b := range l.tried {
			b.contended = lockRounds
		}
	}
	return err
}

// doubtful returns the commands whose answers may be wrong because nothing that
// was appended has proved that their book stood as this node knew it: refusals
// that are not remembered. They are right if the book stands so now, and nothing
// that they missed is there.
func (l *Ledger) doubtful(ctx context.Context, waiting []*prepared, proved func(*book) bool) ([]*prepared, error) {
	var refused []*prepared
	var books []*book
	for _, p := range waiting {
		if p.c == nil || p.err == nil || p.res.Event != nil || CodeOf(p.err) >= Busy {
			continue
		}
		refused = append(refused, p)
		if !proved(p.book) && !p.book.listed {
			p.book.listed = true
			books = append(books, p.book)
		}
	}
	for _, b := range books {
		b.listed = false
	}
	if len(refused) == 0 {
		return nil, nil
	}
	began := age()
	moved := make(map[*book]bool)
	if len(books) > 0 {
		tails, err := l.lookAt(ctx, books)
		if err != nil {
			return refused, err
		}
		for i, b := range books {
			moved[b] = tails[i].Seq > b.head.Load().Seq
			if err := l.catchUp(ctx, &tails[i]); err != nil {
				return refused, err
			}
			b.sawAt(int64(began))
		}
	}
	var doubtful []*prepared
	for _, p := range refused {
		if moved[p.book] {
			doubtful = append(doubtful, p)
			continue
		}
		found, err := l.find(ctx, p)
		if err != nil {
			return refused, err
		}
		if found {
			doubtful = append(doubtful, p)
		}
	}
	return doubtful, nil
}

// find looks in the store for the rows that commands have missed, and reports
// whether one is there now.
func (l *Ledger) find(ctx context.Context, cmds ...*prepared) (found bool, err error) {
	var keys Keys
	var ids []*entry[used]
	var accounts []*entry[Account]
	var holds []*entry[Hold]
	for _, p := range cmds {
		if p.own != nil {
			keys.IDs, ids = lacking(l.ids, p.ref, p.own, keys.IDs, ids)
		}
		for i, e := range p.ids.entries {
			keys.IDs, ids = lacking(l.ids, p.ids.keys[i], e, keys.IDs, ids)
		}
		for i, e := range p.accounts.entries {
			keys.Accounts, accounts = lacking(l.accounts, p.accounts.keys[i], e, keys.Accounts, accounts)
		}
		for i, e := range p.holds.entries {
			keys.Holds, holds = lacking(l.holds, p.holds.keys[i], e, keys.Holds, holds)
		}
	}
	if len(keys.IDs)+len(keys.Accounts)+len(keys.Holds) == 0 {
		return false, nil
	}
	snap, err := l.loadRows(ctx, &keys)
	if err != nil {
		return false, unavailable(err)
	}
	for i, at := range snap.IDs {
		if at != nil {
			found = true
			l.repeats.Store(int64(age() + repeatsFor))
			l.ids.found(ids[i], &used{*at})
		}
	}
	for i, a := range snap.Accounts {
		if a != nil {
			found = true
			l.accounts.found(accounts[i], a)
		}
	}
	for i, h := range snap.Holds {
		if h != nil {
			found = true
			l.holds.found(holds[i], h)
		}
	}
	return found, nil
}

// lacking notes a key whose entry says that there is nothing.
func lacking[K comparable, V any](c *cache[K, V], k K, e *entry[V], keys []K, entries []*entry[V]) ([]K, []*entry[V]) {
	if v, ok := c.value(e); ok && v == nil {
		return append(keys, k), append(entries, e)
	}
	return keys, entries
}
