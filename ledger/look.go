package ledger

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A lookKey is the key of a context's [freshness].
type lookKey struct{}

// A freshness says how new what is read with a context has to be.
type freshness struct {
	since time.Duration // it has what was answered when the process had this age; 0: see Stale
	lean  *lean         // nil: the request leans on nothing
}

// freshnessOf returns what a context says, or else that what is read has to be
// as new as can be.
func freshnessOf(ctx context.Context) freshness {
	f, marked := ctx.Value(lookKey{}).(freshness)
	if !marked {
		f.since = age()
	}
	return f
}

// age is how old this process is, the time by which it knows how new it is what
// it knows.
func age() time.Duration { return time.Since(born) }

var born = time.Now()

// Begin marks the beginning of a request: what it reads has everything that was
// answered before here, and one look at a shared store is enough for all of it.
// A request that lasts, as a stream does, sees what is older than a second.
// Without a mark every read looks by itself.
func Begin(ctx context.Context) context.Context {
	return context.WithValue(ctx, lookKey{}, freshness{since: age()})
}

// staleFor is how old what is read may be at most when that is asked for.
const staleFor = 10 * time.Second

// Stale lets reads of a shared store show what this node has seen last, if that
// is not long ago (staleFor). A balance says in AsOf when it was so.
func Stale(ctx context.Context) context.Context {
	return context.WithValue(ctx, lookKey{}, freshness{})
}

// longRequest is how long the look of a request's beginning is good for.
const longRequest = time.Second

// lookRecent bounds the books that a look takes along because they were looked
// at a moment ago, and recently says when that was.
const (
	lookRecent = 64
	recently   = 2 * time.Second
)

func (b *book) end() BookEnd {
	h := b.head.Load()
	return BookEnd{Book: b.id, Seq: h.Seq, Hash: h.Hash}
}

// current makes sure that what is in memory of a book has everything that was
// answered, anywhere, before the request began.
func (l *Ledger) current(ctx context.Context, b *book) error {
	if l.shared == nil {
		return nil
	}
	since := freshnessOf(ctx).since
	if since == 0 {
		since = age() - staleFor
	} else {
		since = max(since, age()-longRequest)
	}
	if b.looked.Load() >= int64(since) {
		return nil
	}
	return l.looker.look(ctx, b)
}

// currentAccount is current for the book of an account, if there is one.
func (l *Ledger) currentAccount(ctx context.Context, id AccountID) error {
	if l.shared == nil {
		return nil
	}
	a, err := l.account(ctx, id)
	if CodeOf(err) == NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return l.currentBook(ctx, a.Book)
}

func (l *Ledger) currentBook(ctx context.Context, id BookID) error {
	if l.shared == nil {
		return nil
	}
	b, err := l.book(ctx, id)
	if err != nil {
		return err
	}
	return l.current(ctx, b)
}

// A looker asks a shared store where books end, for everybody who wants to know
// at a time.
type looker struct {
	l      *Ledger
	mu     sync.Mutex
	next   *look // gathers those who ask
	busy   bool  // somebody works on looks
	last   trip  // the worker's
	crowd  *crowd
	recent map[*book]time.Time
}

func newLooker(l *Ledger) *looker {
	w := &looker{l: l, recent: make(map[*book]time.Time)}
	w.crowd = newCrowd(w.waiting)
	return w
}

type look struct {
	books map[*book]bool
	asked int
	done  chan struct{} // closed when err is set
	err   error
}

// look returns when what is in memory of a book has all that was there when it
// was called.
func (w *looker) look(ctx context.Context, b *book) error {
	w.mu.Lock()
	if w.next == nil {
		w.next = &look{books: make(map[*book]bool), done: make(chan struct{})}
	}
	k := w.next
	k.books[b] = true
	k.asked++
	w.crowd.grown(k.asked)
	if !w.busy {
		w.busy = true
		w.l.running.Add(1)
		go w.work()
	}
	w.mu.Unlock()
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// work makes one look after the other while somebody asks.
func (w *looker) work() {
	defer w.l.running.Done()
	for {
		runtime.Gosched() // who is about to ask goes first, as in the commit loop
		w.last.gather(w.crowd)
		w.mu.Lock()
		k := w.next
		w.next = nil
		if k == nil {
			w.busy = false
			w.mu.Unlock()
			return
		}
		now := time.Now()
		for b := range k.books {
			w.recent[b] = now
		}
		for b, at := range w.recent {
			if now.Sub(at) > recently || len(w.recent) > lookRecent && !k.books[b] {
				delete(w.recent, b)
			} else {
				k.books[b] = true // so that one look serves a request that reads several books
			}
		}
		w.mu.Unlock()
		w.make(k, now)
		w.last = tripOf(k.asked, now)
	}
}

// waiting returns how many wait for the next look.
func (w *looker) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		return 0
	}
	return w.next.asked
}

// make makes a look that begins now.
func (w *looker) make(k *look, now time.Time) {
	l := w.l
	books := slices.Collect(maps.Keys(k.books))
	tails, err := l.lookAt(l.lookCtx, books)
	if err != nil {
		k.err = err
		close(k.done)
		return
	}
	began := int64(now.Sub(born))
	var moved []*book
	var behind []Tail
	for i, b := range books {
		if tails[i].Seq > b.head.Load().Seq {
			moved, behind = append(moved, b), append(behind, tails[i])
		} else {
			b.sawAt(began)
		}
	}
	if len(moved) == 0 {
		close(k.done)
		return
	}
	l.running.Add(1)
	go func() { // the loop may be busy, and those who look at other books need not wait for it
		defer l.running.Done()
		defer close(k.done)
		p := newPrepared(nil, nil)
		p.tails = behind
		if k.err = l.wait(l.lookCtx, p); k.err != nil {
			return
		}
		if k.err = p.err; k.err == nil {
			for _, b := range moved {
				b.sawAt(began)
			}
		}
		p.recycle()
	}()
}

// sawAt notes that what is in memory of a book has all that was there at a time.
func (b *book) sawAt(at int64) {
	for {
		was := b.looked.Load()
		if at <= was || b.looked.CompareAndSwap(was, at) {
			return
		}
	}
}

// lookAt asks the store what others have appended to books.
func (l *Ledger) lookAt(ctx context.Context, books []*book) ([]Tail, error) {
	known := ends(books)
	tails, err := l.shared.Look(ctx, known)
	if err != nil {
		return nil, unavailable(err)
	}
	return tails, l.compare(known, tails)
}

func ends(books []*book) []BookEnd {
	known := make([]BookEnd, len(books))
	for i, b := range books {
		known[i] = b.end()
	}
	return known
}

// compare refuses a store that has lost what it had: it was given back from a
// backup, or another took its place that did not have all of it.
func (l *Ledger) compare(known []BookEnd, tails []Tail) error {
	for i, k := range known {
		if t := &tails[i]; t.Seq < k.Seq || t.Seq == k.Seq && k.Seq > 0 && t.Hash != k.Hash {
			l.o.Logger.Error("the store has lost events that were answered; find out why, then restart",
				"book", k.Book, "known", k.Seq, "stored", t.Seq)
			return Errorf(Unavailable, "the database has lost events of book %d that were answered; it has to be found out why", k.Book)
		}
	}
	return nil
}

func stale(ctx context.Context) bool { return freshnessOf(ctx).since == 0 }
