package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	bound int // ids that are gathered before they become a table

	mu      sync.RWMutex
	recent  map[ledger.Ref]ledger.TransferAt
	writing map[ledger.Ref]ledger.TransferAt // on their way into a table; nil: none
	marks   map[ledger.BookID]uint64         // seq of the last event of each book whose ids are in recent
	events  int                              // since marks were written: what the next start has to read
	done    chan struct{}                    // closed when writing has ended
	err     error                            // why no table can be written

	tables   filter // of the ids in tables
	filling  sync.Mutex
	complete atomic.Bool   // tables has them all
	filled   chan struct{} // closed when the goroutine that fills it has ended
}

// idEvents bounds the events that the next start has to read, when few of them
// use ids, in multiples of ids.bound.
const idEvents = 4

// idTables is what the names of tables begin with that are being written.
const idTables = "ids-"

func openIDs(s *Store) (*ids, error) {
	x := &ids{s: s, bound: s.options.MaxIDs, recent: map[ledger.Ref]ledger.TransferAt{},
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
			x.tables.add(&refs[i])
		}
		refs = refs[:0]
	}
	for it, err := range each(x.s.db, []byte{kID}, []byte{kID + 1}) {
		if err != nil {
			x.s.options.Logger.Warn("the ids cannot be read; looking them up stays slow", "err", err)
			return
		}
		if refs = append(refs, ledger.Ref(it.Key()[1:])); len(refs) == atOnce {
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
				x.recent[ledger.RefOf(head.Tenant, id)] = ledger.TransferAt{Book: head.Book, Seq: seq, N: n}
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
	x.mu.RLock()
	at, ok := x.recent[ref]
	if !ok {
		at, ok = x.writing[ref]
	}
	x.mu.RUnlock()
	if ok {
		return &at, nil
	}
	if x.complete.Load() && !x.tables.mayHave(&ref) {
		return nil, nil
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
	n = uint64(len(recent))
	for it, err := range each(s.db, []byte{kID}, []byte{kID + 1}) {
		if err != nil {
			return 0, err
		}
		if _, both := recent[ledger.Ref(it.Key()[1:])]; !both {
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
	full, done, err := len(x.recent) >= x.bound && x.writing != nil, x.done, x.err
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
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range b.IDs {
		x.recent[b.IDs[i].Ref] = b.IDs[i].At
	}
	for i := range b.Books {
		x.marks[b.Books[i].Head.Book] = b.Books[i].Head.Seq
		x.events += len(b.Books[i].Events)
	}
	if (len(x.recent) >= x.bound || x.events >= idEvents*x.bound) && x.writing == nil && x.err == nil {
		of, marks, done := x.recent, x.marks, make(chan struct{})
		x.writing, x.done = of, done
		x.recent, x.marks = make(map[ledger.Ref]ledger.TransferAt, len(of)), map[ledger.BookID]uint64{}
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

// write makes a table of ids and has Pebble take it in; then it notes how far
// the tables go. That note may be lost: the ids are then read and written again.
func (x *ids) write(of map[ledger.Ref]ledger.TransferAt, marks map[ledger.BookID]uint64) (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble cannot go on
			x.s.die(fmt.Errorf("%v", r))
			err = x.s.err()
		}
	}()
	refs := slices.SortedFunc(maps.Keys(of), func(a, b ledger.Ref) int { return bytes.Compare(a[:], b[:]) })
	if len(refs) > 0 {
		fs := x.s.options.FS
		name := fs.PathJoin(x.s.dir, fmt.Sprintf("%s%x", idTables, refs[0]))
		if err := x.writeTable(fs, name, refs, of); err != nil {
			return err
		}
		if err := x.s.db.Ingest(context.Background(), []string{name}); err != nil {
			return err
		}
	}
	x.filling.Lock()
	for i := range refs {
		x.tables.add(&refs[i])
	}
	x.filling.Unlock()
	b := x.s.db.NewBatch()
	defer b.Close()
	for book, seq := range marks {
		if err := b.Set(idMarkKey(nil, book), appendWatermark(nil, seq), nil); err != nil {
			return err
		}
	}
	return x.s.commit(b, pebble.NoSync)
}

func (x *ids) writeTable(fs vfs.FS, name string, refs []ledger.Ref, of map[ledger.Ref]ledger.TransferAt) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	o := x.s.pebbleOptions()
	o.EnsureDefaults()
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o.MakeWriterOptions(0, x.s.db.TableFormat()))
	var key, value []byte
	for _, ref := range refs {
		key, value = idKey(key[:0], ref), appendID(value[:0], of[ref])
		if err := w.Set(key, value); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// idle returns a channel that is closed when no table is being written.
func (x *ids) idle() <-chan struct{} {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.done
}
