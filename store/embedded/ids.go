package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

// ids knows where every id was used. Those of recent events are in memory; when
// they are many they become a sorted table that Pebble takes in as it is. So the
// random keys never pass through Pebble's memtable, where most of the time of a
// look-up went, nor through its log: the journal has them already. What is not
// in a table yet is read from the journal at the start.
type ids struct {
	s     *Store
	bound int // ids, or events, that are gathered before they become a table

	mu      sync.RWMutex
	recent  *recentIDs
	writing *recentIDs               // on their way into a table; nil: none
	marks   map[ledger.BookID]uint64 // seq of the last event of each book whose ids are in recent
	events  int                      // since marks were written: what the next start has to read, bound at most
	done    chan struct{}            // closed when writing has ended
	err     error                    // why no table can be written

	known    filter // of all ids, once it is complete
	filling  sync.Mutex
	complete atomic.Bool   // known has them all
	filled   chan struct{} // closed when the goroutine that fills it has ended
}

// idTables is what the names of tables begin with that are being written.
const idTables = "ids-"

func openIDs(s *Store) (*ids, error) {
	x := &ids{s: s, bound: s.options.MaxIDs, recent: newRecentIDs(0),
		marks: map[ledger.BookID]uint64{}, done: make(chan struct{}), filled: make(chan struct{})}
	close(x.done)
	v, err := s.view(s.ctx)
	if err != nil {
		return nil, err
	}
	defer v.release()
	for head, err := range scanHeads(v) {
		if err == nil {
			err = x.readBook(v, head)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the ids of recent events: %w", err)
		}
	}
	if s.options.ReadOnly {
		close(x.filled)
		return x, nil
	}
	if err := x.removeLeft(); err != nil {
		return nil, err
	}
	for i := range x.recent.rows {
		ref := x.recent.rows[i].ref()
		x.known.add(&ref)
	}
	go x.fill()
	return x, nil
}

// fill reads the ids of every table into the filter. Until it is done, each
// look-up asks Pebble.
func (x *ids) fill() {
	defer close(x.filled)
	const atOnce = 4096
	refs := make([]ledger.Ref, 0, atOnce)
	add := func() {
		x.filling.Lock()
		defer x.filling.Unlock()
		for i := range refs {
			x.known.add(&refs[i])
		}
		refs = refs[:0]
	}
	for ref, err := range eachID(x.s.db) {
		if err != nil {
			x.s.options.Logger.Warn("the ids cannot be read; looking them up stays slow", "err", err)
			return
		}
		if refs = append(refs, ref); len(refs) == atOnce {
			if add(); x.s.ctx.Err() != nil {
				return
			}
		}
	}
	add()
	x.complete.Store(true)
}

// readBook reads the ids of a book's events that are in no table yet.
func (x *ids) readBook(r pebble.Reader, head *ledger.Head) error {
	mark, err := get(r, idMarkKey(nil, head.Book), decodeWatermark)
	if err != nil || mark >= head.Seq {
		return err
	}
	j, err := openJournal(r, head.Book)
	if err != nil {
		return err
	}
	for seq := mark + 1; seq <= head.Seq && err == nil; seq++ {
		var e *ledger.Event
		if e, _, err = j.event(seq); e == nil && err == nil {
			err = fmt.Errorf("event %d of book %d is missing", seq, head.Book)
		}
		if err == nil {
			e.EachID(func(id string, n uint32) {
				x.recent.add(ledger.RefOf(head.Tenant, id), ledger.TransferAt{Book: head.Book, Seq: seq, N: n})
			})
		}
	}
	x.marks[head.Book] = head.Seq
	x.events += int(head.Seq - mark)
	return errors.Join(err, j.close())
}

// removeLeft removes tables whose writing was cut off.
func (x *ids) removeLeft() error {
	fs := x.s.options.FS
	names, err := fs.List(x.s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, idTables) {
			if err := fs.Remove(fs.PathJoin(x.s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns where an id was used, or nil.
func (x *ids) find(ref ledger.Ref) (*ledger.TransferAt, error) {
	if x.complete.Load() && !x.known.mayHave(&ref) {
		return nil, nil
	}
	x.mu.RLock()
	at, ok := x.recent.find(ref)
	if !ok && x.writing != nil {
		at, ok = x.writing.find(ref)
	}
	x.mu.RUnlock()
	if ok {
		return &at, nil
	}
	// What has left memory is in a table: the newest state of Pebble has it,
	// and every id there is of a durable event.
	return get(x.s.db, idKey(nil, ref), decodeID)
}

// CountIDs returns how many ids are known as used.
func (s *Store) CountIDs(ctx context.Context) (n uint64, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.ids.idle():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	recent := s.ids.recent // nobody changes it now
	n = uint64(len(recent.rows))
	for ref, err := range eachID(s.db) {
		if err != nil {
			return 0, err
		}
		if _, both := recent.find(ref); !both {
			n++
		}
		if n%100_000 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return n, nil
}

// waitRoom waits while the ids in memory are twice as many as they should be.
func (x *ids) waitRoom(ctx context.Context) error {
	x.mu.RLock()
	full, done, err := len(x.recent.rows) >= x.bound && x.writing != nil, x.done, x.err
	x.mu.RUnlock()
	if err != nil || !full {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add takes in the ids of a batch that is durable now.
func (x *ids) add(b *ledger.Batch) {
	x.filling.Lock()
	for i := range b.IDs {
		x.known.add(&b.IDs[i].Ref)
	}
	x.filling.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range b.IDs {
		x.recent.add(b.IDs[i].Ref, b.IDs[i].At)
	}
	for i := range b.Books {
		x.marks[b.Books[i].Head.Book] = b.Books[i].Head.Seq
		x.events += len(b.Books[i].Events)
	}
	if (len(x.recent.rows) >= x.bound || x.events >= x.bound) && x.writing == nil && x.err == nil {
		of, marks, done := x.recent, x.marks, make(chan struct{})
		x.writing, x.done = of, done
		x.recent, x.marks = newRecentIDs(len(of.rows)), map[ledger.BookID]uint64{}
		x.events = 0
		go func() {
			defer close(done)
			x.written(x.write(of, marks))
		}()
	}
}

// written notes how the writing of a table has ended. If it failed, its ids stay
// in memory and are read from the journal at the next start.
func (x *ids) written(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		x.writing = nil
		return
	}
	x.err = fmt.Errorf("embedded: writing a table of ids: %w", err)
	if x.s.ctx.Err() == nil {
		x.s.options.Logger.Error("ids cannot be written; nothing more is taken until the next start", "err", err)
	}
}

// write makes a table of ids and has Pebble take it in. How far the tables go
// stands in the table itself, so that a copy of the store, which Pebble makes of
// its tables first and of its log later, has both or neither.
func (x *ids) write(of *recentIDs, marks map[ledger.BookID]uint64) (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble cannot go on
			x.s.die(fmt.Errorf("%v", r))
			err = x.s.err()
		}
	}()
	fs := x.s.options.FS
	rows := of.sorted()
	name := fs.PathJoin(x.s.dir, idTables+"new")
	if err := x.writeTable(fs, name, rows, marks); err != nil {
		return err
	}
	return x.s.db.Ingest(context.Background(), []string{name})
}

// writeTable writes ids, which are sorted, and between them, where they sort,
// the marks of books.
func (x *ids) writeTable(fs vfs.FS, name string, rows []idRow, marks map[ledger.BookID]uint64) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	o := x.s.pebbleOptions()
	o.EnsureDefaults()
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o.MakeWriterOptions(0, x.s.db.TableFormat()))
	books := slices.Sorted(maps.Keys(marks))
	var key, value []byte
	set := func() {
		if err == nil {
			err = w.Set(key, value)
		}
	}
	mark := func() {
		key, value = idMarkKey(key[:0], books[0]), appendWatermark(value[:0], marks[books[0]])
		set()
		books = books[1:]
	}
	for i := range rows {
		r := &rows[i]
		for len(books) > 0 && uint64(books[0])<<32 <= r.high { // a mark's key is shorter, so it comes first
			mark()
		}
		key = be.AppendUint64(be.AppendUint64(append(key[:0], kID), r.high), r.low)
		value = appendID(value[:0], r.at())
		set()
	}
	for len(books) > 0 {
		mark()
	}
	return errors.Join(err, w.Close())
}

// eachID yields the ids in tables.
func eachID(r pebble.Reader) iter.Seq2[ledger.Ref, error] {
	return func(yield func(ledger.Ref, error) bool) {
		for it, err := range each(r, []byte{kID}, []byte{kID + 1}) {
			if err != nil {
				yield(ledger.Ref{}, err)
				return
			}
			if key := it.Key()[1:]; len(key) == len(ledger.Ref{}) && !yield(ledger.Ref(key), nil) {
				return
			}
		}
	}
}

// idle returns a channel that is closed when no table is being written.
func (x *ids) idle() <-chan struct{} {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.done
}
