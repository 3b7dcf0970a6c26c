package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// A derived index is rows that fold makes of the journal's events, in order of
// each book. A new version of fold gets a new number: the index is then deleted
// and made again at the next start.
type derived struct {
	name    string
	version uint64
	kinds   []byte // of its keys
	fold    func(*folder, ledger.BookID, *ledger.Event)
}

func derivedIndexes() []derived {
	return []derived{
		{"statement", 1, []byte{kStatement}, (*folder).statement},
		{"accounts", 1, []byte{kTenant, kChild}, (*folder).accounts},
		{"holds", 1, []byte{kHolds, kOpenHolds}, (*folder).holds},
		{"search", 1, []byte{kWord, kWords}, (*folder).search},
		{"usage", 1, []byte{kUsage}, (*folder).usage},
	}
}

// What is folded is written when it has become much or has waited for a while;
// or at once if somebody waits for it. The longer it waits, the fewer rows it
// is: of an account that is charged again and again there is one.
const (
	indexTake   = 2048                  // events that wake the indexer
	indexLinger = 25 * time.Millisecond // how long fewer wait for more
	indexRows   = 128 << 10             // that are written in one batch
	indexWait   = time.Second           // how long what was folded waits to be written
	indexFlush  = 8192                  // events of a batch while the journal is read
)

// An indexer folds events into the derived indexes, in one goroutine. At first
// it reads the journal from each book's watermark on; once it has caught up it
// is live: Append hands it the events. Rows and watermarks are written in one
// batch, without a sync: they are synced with the next Append, or made again.
type indexer struct {
	s       *Store
	indexes []derived
	done    chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	changed chan struct{} // closed and made anew when anything below changes
	live    bool
	behind  map[ledger.BookID]uint64 // while not live: the heads to be reached
	queue   []fed                    // while live
	waiting uint64                   // events in queue
	fed     uint64                   // events that there were to fold
	folded  uint64                   // and those that were
	bound   uint64                   // lag at which Append waits
	waiters int
	err     error // why indexes are not kept any more
}

// fed is what one Append added to one book.
type fed struct {
	book   ledger.BookID
	tenant ledger.TenantID
	events []*ledger.Event
	rows   []*ledger.Account // of the whole Append, with its first book
	ended  []*ledger.Hold    // likewise
}

func startIndexer(s *Store) (*indexer, error) {
	ix := &indexer{
		s: s, indexes: derivedIndexes(), done: make(chan struct{}),
		changed: make(chan struct{}), behind: map[ledger.BookID]uint64{}, bound: ^uint64(0),
	}
	v, err := s.view(s.ctx)
	if err != nil {
		return nil, err
	}
	defer v.release()
	for head, err := range scanHeads(v) {
		if err != nil {
			return nil, err
		}
		mark, err := get(v, watermarkKey(nil, head.Book), decodeWatermark)
		if err != nil {
			return nil, err
		}
		if mark < head.Seq {
			ix.behind[head.Book] = head.Seq
			ix.fed += head.Seq - mark
		}
	}
	if s.options.ReadOnly {
		defer close(ix.done)
		ix.live = true
		for _, d := range ix.indexes {
			state, err := get(v, indexKey(nil, d.name), decodeIndexState)
			if err != nil {
				return nil, err
			}
			if len(ix.behind) > 0 || !state.done || state.version != d.version {
				ix.err = errors.New("embedded: the indexes are behind; open the store for writing once, so that they catch up")
			}
		}
		return ix, nil
	}
	go ix.run()
	return ix, nil
}

func (ix *indexer) run() {
	defer close(ix.done)
	err := ix.work()
	if ix.s.ctx.Err() == nil {
		ix.s.options.Logger.Error("the indexes are not kept any more; lists will fail", "err", err)
	}
	ix.update(func() { ix.err, ix.queue = err, nil })
}

// work only returns with an error, which may be that the store is closing.
func (ix *indexer) work() error {
	for _, d := range ix.indexes {
		if err := ix.rebuild(d); err != nil {
			return fmt.Errorf("index %s: %w", d.name, err)
		}
	}
	ix.update(func() { ix.bound = max(ix.s.options.MaxLag, ix.fed-ix.folded) })
	if err := ix.catchUp(); err != nil {
		return err
	}
	ix.update(func() { ix.bound = ix.s.options.MaxLag })
	f := newFolder(ix.s, ix.indexes)
	var since time.Time // of the first event that is folded and not written
	for {
		items, hurry, err := ix.take(f.events > 0, since.Add(indexWait))
		if err != nil {
			return err
		}
		if f.events == 0 {
			since = time.Now()
		}
		for _, item := range items {
			f.learn(item.rows)
			for _, h := range item.ended {
				f.opened[h.Ref] = h.Opened
			}
			f.tenants[item.book] = item.tenant
			for _, e := range item.events {
				f.event(item.book, e)
			}
			f.marks[item.book] = item.events[len(item.events)-1].Seq
		}
		if f.events > 0 && (hurry || f.rows() >= indexRows || time.Since(since) >= indexWait) {
			if err := ix.flush(f); err != nil {
				return err
			}
		}
	}
}

// update changes the shared fields and wakes those who wait for a change.
func (ix *indexer) update(change func()) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	change()
	close(ix.changed)
	ix.changed = make(chan struct{})
}

// until waits until ready, called with the lock held, reports true.
func (ix *indexer) until(ctx context.Context, ready func() bool) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for !ready() {
		if ix.err != nil {
			return ix.err
		}
		changed := ix.changed
		ix.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-ix.s.ctx.Done():
		}
		ix.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
		if ix.s.ctx.Err() != nil {
			return errors.Join(ix.s.err(), errClosed)
		}
	}
	return nil
}

// wait waits until the indexes have what was durable when it was called.
func (ix *indexer) wait(ctx context.Context) error {
	ix.mu.Lock()
	target := ix.fed
	ready := ix.err == nil && ix.live && ix.folded >= target
	ix.mu.Unlock()
	if ready {
		return ctx.Err()
	}
	defer ix.hurry()()
	return ix.until(ctx, func() bool { return ix.err == nil && ix.live && ix.folded >= target })
}

// waitRoom waits until the indexes are not too far behind for another batch.
func (ix *indexer) waitRoom(ctx context.Context) error {
	room := func() bool { return ix.err != nil || ix.fed-ix.folded <= ix.bound }
	ix.mu.Lock()
	ready := room()
	ix.mu.Unlock()
	if ready {
		return nil
	}
	defer ix.hurry()()
	return ix.until(ctx, room)
}

// hurry keeps the indexer from lingering until the function that it returns is
// called.
func (ix *indexer) hurry() func() {
	ix.update(func() { ix.waiters++ })
	return func() {
		ix.mu.Lock()
		ix.waiters--
		ix.mu.Unlock()
	}
}

// feed hands over what an Append has made durable.
func (ix *indexer) feed(b *ledger.Batch) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	had, waiting := len(ix.queue), ix.waiting
	for i := range b.Books {
		be := &b.Books[i]
		ix.fed += uint64(len(be.Events))
		switch {
		case ix.err != nil:
		case ix.live:
			item := fed{book: be.Head.Book, tenant: be.Head.Tenant, events: be.Events}
			if i == 0 {
				item.rows = slices.Clone(b.Accounts) // the batch is the caller's to use again
				for _, h := range b.Holds {
					if h.Now.State != ledger.HoldOpen {
						item.ended = append(item.ended, h.Now)
					}
				}
			}
			ix.queue = append(ix.queue, item)
			ix.waiting += uint64(len(be.Events))
		default:
			ix.behind[be.Head.Book] = be.Head.Seq
		}
	}
	// The indexer waits for something to fold, and then for enough of it: to
	// wake it for every Append in between would cost as much as the folding.
	if had == 0 || waiting < indexTake && ix.waiting >= indexTake || !ix.live {
		close(ix.changed)
		ix.changed = make(chan struct{})
	}
}

// take returns what is queued: at once if somebody waits for it, which is hurry,
// and otherwise when it is much or has lain for a moment. If there are folded
// events it comes back without any at a deadline, or when somebody waits.
func (ix *indexer) take(folded bool, deadline time.Time) (items []fed, hurry bool, err error) {
	ctx := ix.s.ctx
	first, cancel := ctx, func() {}
	if folded {
		first, cancel = context.WithDeadline(ctx, deadline)
	}
	err = ix.until(first, func() bool { return len(ix.queue) > 0 || folded && ix.waiters > 0 })
	cancel()
	if ctx.Err() != nil || err != nil && first.Err() == nil {
		return nil, false, errors.Join(ctx.Err(), err)
	}
	linger, cancel := context.WithTimeout(ctx, indexLinger)
	defer cancel()
	if err == nil {
		_ = ix.until(linger, func() bool { return ix.waiters > 0 || ix.waiting >= indexTake })
	}
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	items, ix.queue, ix.waiting = ix.queue, nil, 0
	return items, ix.waiters > 0, nil
}

// flush writes what was folded, and counts it.
func (ix *indexer) flush(f *folder) error {
	n := f.events
	if err := f.flush(); err != nil {
		return err
	}
	ix.update(func() { ix.folded += n })
	return nil
}

// catchUp folds the journal until every book's head is reached, and goes live.
func (ix *indexer) catchUp() error {
	for {
		behind := map[ledger.BookID]uint64{}
		ix.update(func() {
			ix.live = len(ix.behind) == 0
			behind, ix.behind = ix.behind, behind
		})
		if len(behind) == 0 {
			return nil
		}
		for book, head := range behind {
			if err := ix.catchUpBook(book, head); err != nil {
				return err
			}
		}
	}
}

func (ix *indexer) catchUpBook(book ledger.BookID, head uint64) error {
	mark, err := get(ix.s.db, watermarkKey(nil, book), decodeWatermark)
	if err != nil {
		return err
	}
	return ix.fold(ix.indexes, book, mark, head, func(f *folder, seq uint64) error {
		f.marks[book] = seq
		return ix.flush(f)
	})
}

// fold folds a book's events after one seq up to another, and calls flush when
// it is time to write.
func (ix *indexer) fold(indexes []derived, book ledger.BookID, from, to uint64, flush func(*folder, uint64) error) error {
	v, err := ix.s.view(ix.s.ctx)
	if err != nil {
		return err
	}
	defer v.release()
	j, err := openJournal(v, book)
	if err != nil {
		return err
	}
	defer j.close()
	f := newFolder(ix.s, indexes)
	for seq := from + 1; seq <= to; seq++ {
		e, _, err := j.event(seq)
		if err != nil {
			return err
		}
		if e == nil {
			return fmt.Errorf("%w: book %d, event %d", errGap, book, seq)
		}
		f.event(book, e)
		if f.events >= indexFlush || seq == to {
			if err := errors.Join(ix.s.ctx.Err(), flush(f, seq)); err != nil {
				return err
			}
		}
	}
	return nil
}

// rebuild makes an index again whose version has changed, up to the watermarks,
// or goes on with that where an earlier process stopped.
func (ix *indexer) rebuild(d derived) error {
	state, err := get(ix.s.db, indexKey(nil, d.name), decodeIndexState)
	if err != nil {
		return err
	}
	if state.version == d.version && state.done {
		return nil
	}
	if state.version != d.version {
		state = indexState{version: d.version}
		b := ix.s.db.NewBatch()
		defer b.Close()
		for _, kind := range d.kinds {
			if err := b.DeleteRange([]byte{kind}, []byte{kind + 1}, nil); err != nil {
				return err
			}
		}
		if err := errors.Join(state.set(b, d.name), ix.s.commit(b, pebble.NoSync)); err != nil {
			return err
		}
	}
	var total uint64
	reported := time.Now()
	for it, err := range each(ix.s.db, watermarkKey(nil, state.book), []byte{kWatermark + 1}) {
		if err != nil {
			return err
		}
		book, mark, err := readWatermark(it)
		if err != nil {
			return err
		}
		from := uint64(0)
		if book == state.book {
			from = state.seq
		}
		err = ix.fold([]derived{d}, book, from, mark, func(f *folder, seq uint64) error {
			total += f.events
			if time.Since(reported) > 5*time.Second {
				reported = time.Now()
				ix.s.options.Logger.Info("rebuilding an index", "index", d.name, "book", book, "event", seq, "events", total)
			}
			state.book, state.seq = book, seq
			f.fail(state.set(f.batch, d.name))
			return f.flush()
		})
		if err != nil {
			return err
		}
	}
	b := ix.s.db.NewBatch()
	defer b.Close()
	state = indexState{version: d.version, done: true}
	return errors.Join(state.set(b, d.name), ix.s.commit(b, pebble.NoSync))
}

// IndexLag returns how many durable events the indexes do not have yet.
func (s *Store) IndexLag() uint64 {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.fed - s.index.folded
}

// WaitIndexes waits until the indexes have what was durable when it was called.
func (s *Store) WaitIndexes(ctx context.Context) error { return s.index.wait(ctx) }

// An index's state, under its name:
//
//	01 | u version | done | u book | u seq
//
// book and seq say how far a rebuild is that is not done.
type indexState struct {
	version uint64
	done    bool
	book    ledger.BookID
	seq     uint64
}

func indexKey(dst []byte, name string) []byte { return append(append(dst, kIndex), name...) }

func (st indexState) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), st.version)
	done := byte(0)
	if st.done {
		done = 1
	}
	dst = binary.AppendUvarint(append(dst, done), uint64(st.book))
	return binary.AppendUvarint(dst, st.seq)
}

func (st indexState) set(b *pebble.Batch, name string) error {
	return b.Set(indexKey(nil, name), st.append(nil), nil)
}

func decodeIndexState(b []byte) (st indexState, err error) {
	r := readRow(b, rowVersion)
	st.version = r.uvarint()
	done := r.byte()
	r.bad = r.bad || done > 1
	st.done = done == 1
	st.book, st.seq = ledger.BookID(r.uint32()), r.uvarint()
	return st, r.end()
}

// A watermark is the seq up to which every index has a book:
//
//	01 | u seq
func appendWatermark(dst []byte, seq uint64) []byte {
	return binary.AppendUvarint(append(dst, rowVersion), seq)
}

func readWatermark(it *pebble.Iterator) (book ledger.BookID, seq uint64, err error) {
	value, err := it.ValueAndErr()
	if err == nil {
		book = ledger.BookID(be.Uint32(it.Key()[1:]))
		seq, err = decodeWatermark(value)
	}
	return book, seq, err
}

func decodeWatermark(b []byte) (uint64, error) {
	r := readRow(b, rowVersion)
	seq := r.uvarint()
	return seq, r.end()
}
