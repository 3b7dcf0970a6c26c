package embedded

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// Append makes a batch durable: one Pebble batch, one sync. See [ledger.Store].
func (s *Store) Append(ctx context.Context, b *ledger.Batch) error {
	if s.options.ReadOnly {
		return pebble.ErrReadOnly
	}
	if err := s.index.waitRoom(ctx); err != nil {
		return err
	}
	if err := s.ids.waitRoom(ctx); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.err(); err != nil {
		return err
	}
	if err := s.reserve.check(); err != nil {
		return err
	}
	if err := s.follows(b); err != nil {
		return err
	}
	if s.options.CheckIDs {
		if err := s.idsFree(b.IDs); err != nil {
			return err
		}
	}

	batch := s.db.NewBatch()
	defer batch.Close()
	if err := s.fill(batch, b); err != nil {
		return err
	}
	size := batch.Len()
	if err := s.commit(batch, pebble.Sync); err != nil {
		return err
	}
	s.reserve.wrote(size)

	s.ids.add(b)
	s.views.swap(s.db.NewSnapshot())
	for i := range b.Books {
		s.heads[b.Books[i].Head.Book] = b.Books[i].Head
	}
	s.index.feed(b)
	if erases(b) {
		s.eraser.poke()
	}
	return nil
}

// head returns a book's head as Append left it.
func (s *Store) head(book ledger.BookID) (ledger.Head, error) {
	if h, ok := s.heads[book]; ok {
		return h, nil
	}
	h, err := get(s.db, headKey(nil, book), headDecoder(book))
	if err != nil {
		return ledger.Head{}, err
	}
	if h == nil {
		h = &ledger.Head{Book: book}
	}
	s.heads[book] = *h
	return *h, nil
}

// follows returns ErrConflict if a book's events do not follow its last one or a
// guard does not hold, and another error if they do not follow each other.
func (s *Store) follows(b *ledger.Batch) error {
	for _, g := range b.Guards {
		if head, err := s.head(g.Book); err != nil {
			return err
		} else if head.Seq != g.Seq {
			return fmt.Errorf("%w: book %d is at %d, not %d", ledger.ErrConflict, g.Book, head.Seq, g.Seq)
		}
	}
	for i := range b.Books {
		be := &b.Books[i]
		head, err := s.head(be.Head.Book)
		if err != nil {
			return err
		}
		if be.From != head.Seq {
			return fmt.Errorf("%w: book %d is at %d, not %d", ledger.ErrConflict, be.Head.Book, head.Seq, be.From)
		}
		if len(be.Events) == 0 || len(be.Events) != len(be.Bytes) || be.Head.Seq != be.From+uint64(len(be.Events)) {
			return fmt.Errorf("embedded: book %d: %d events with %d encodings from %d to %d",
				be.Head.Book, len(be.Events), len(be.Bytes), be.From, be.Head.Seq)
		}
		for n, e := range be.Events {
			if e.Seq != be.From+1+uint64(n) {
				return fmt.Errorf("embedded: book %d: event %d stands where %d should", be.Head.Book, e.Seq, be.From+1+uint64(n))
			}
		}
		for k := range i {
			if b.Books[k].Head.Book == be.Head.Book {
				return fmt.Errorf("embedded: book %d is in the batch twice", be.Head.Book)
			}
		}
	}
	return nil
}

// idsFree returns ErrConflict if an id is taken.
func (s *Store) idsFree(rows []ledger.IDRow) error {
	for i := range rows {
		at, err := s.ids.find(rows[i].Ref)
		if err != nil {
			return err
		}
		if at != nil {
			return fmt.Errorf("%w: an id was used in book %d, event %d", ledger.ErrConflict, at.Book, at.Seq)
		}
	}
	return nil
}

// fill puts a batch's rows into Pebble's.
func (s *Store) fill(to *pebble.Batch, b *ledger.Batch) error {
	w := writer{batch: to, value: s.scratch}
	defer func() { s.scratch = w.value[:0] }()
	for i := range b.Books {
		w.book(&b.Books[i])
	}
	// A key that follows the one before finds its place among those in Pebble's
	// memory in half the time.
	s.order = s.order[:0]
	for i, a := range b.Accounts {
		s.order.add(&a.ID, i)
	}
	s.order.sort()
	for _, p := range s.order {
		a := b.Accounts[p.place]
		w.set(accountKey(w.key[:0], a.ID), appendAccount(w.value[:0], a))
	}
	for _, h := range b.Holds {
		w.hold(h)
	}
	w.records(b.Records)
	for _, r := range b.Refunds {
		w.set(refundKey(w.key[:0], r.Of), appendRefund(w.value[:0], r.Refunded))
	}
	return w.err
}

// An accountOrder sorts the places of a list as the ids of the accounts that
// stand there.
type accountOrder []accountPlace

type accountPlace struct {
	high, low uint64 // of the id
	place     int
}

func (o *accountOrder) add(id *ledger.AccountID, place int) {
	*o = append(*o, accountPlace{be.Uint64(id[:8]), be.Uint64(id[8:]), place})
}

func (o accountOrder) sort() {
	slices.SortFunc(o, func(a, b accountPlace) int {
		if a.high != b.high {
			return cmp.Compare(a.high, b.high)
		}
		return cmp.Compare(a.low, b.low)
	})
}

func erases(b *ledger.Batch) bool {
	for i := range b.Books {
		for _, e := range b.Books[i].Events {
			if len(e.Erased) > 0 {
				return true
			}
		}
	}
	return false
}

// A writer puts rows into a batch and keeps the first error.
type writer struct {
	batch *pebble.Batch
	key   []byte // scratch
	value []byte // scratch
	err   error
}

// set takes key and value as they were appended to the writer's scratch.
func (w *writer) set(key, value []byte) {
	w.key = key
	if value != nil {
		w.value = value
	}
	w.fail(w.batch.Set(key, value, nil))
}

func (w *writer) merge(key, value []byte) {
	w.key, w.value = key, value
	w.fail(w.batch.Merge(key, value, nil))
}

func (w *writer) delete(key []byte) {
	w.key = key
	w.fail(w.batch.Delete(key, nil))
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) book(b *ledger.BookEvents) {
	book := b.Head.Book
	var err error
	w.value, err = appendBlocks(b.From, b.Bytes, w.value, func(first uint64, block []byte) error {
		w.key = journalKey(w.key[:0], book, first)
		return w.batch.Set(w.key, block, nil)
	})
	w.fail(err)
	w.set(headKey(w.key[:0], book), appendHead(w.value[:0], &b.Head))
	for _, e := range b.Events {
		for n := range e.Beside {
			if e.Beside[n].Gone() {
				continue
			}
			at := ledger.TextAt{Seq: e.Seq, N: uint32(n) + 1}
			w.set(textKey(w.key[:0], book, at), appendText(w.value[:0], &e.Beside[n]))
		}
		for _, id := range e.Erased {
			w.set(eraseKey(w.key[:0], id), appendID(w.value[:0], ledger.TransferAt{Book: book, Seq: e.Seq}))
		}
	}
}

func (w *writer) hold(h ledger.HoldRow) {
	w.set(holdKey(w.key[:0], h.Now.Ref), appendHold(w.value[:0], h.Now))
	w.deadline(holdDeadline(h.Was), holdDeadline(h.Now))
}

// holdDeadline returns when an open hold ends; At is 0 if nothing will end it.
func holdDeadline(h *ledger.Hold) ledger.Deadline {
	if h == nil || h.State != ledger.HoldOpen {
		return ledger.Deadline{}
	}
	return ledger.Deadline{At: h.Expires, Book: h.Book, Hold: h.Ref}
}

func recordDeadline(r *ledger.Record) ledger.Deadline {
	if r == nil {
		return ledger.Deadline{}
	}
	return ledger.Deadline{At: r.Deadline, Book: r.Book, Record: r.RecordKey}
}

func (w *writer) deadline(was, now ledger.Deadline) {
	if was == now {
		return
	}
	if was.At != 0 {
		w.delete(deadlineKey(w.key[:0], was))
	}
	if now.At != 0 {
		w.set(deadlineKey(w.key[:0], now), nil)
	}
}

// records writes rows of records, in order of their keys: first all of the rows,
// then what they are found by, then their deadlines.
func (w *writer) records(rows []ledger.RecordRow) {
	rows = slices.Clone(rows)
	rows = slices.DeleteFunc(rows, func(r ledger.RecordRow) bool { return r.Now == nil && r.Was == nil })
	slices.SortFunc(rows, func(a, b ledger.RecordRow) int {
		k, l := recordOf(a), recordOf(b)
		return cmp.Or(cmp.Compare(k.Book, l.Book), strings.Compare(k.Kind, l.Kind), strings.Compare(k.Key, l.Key))
	})
	for _, r := range rows {
		if r.Now == nil {
			w.delete(recordKey(w.key[:0], r.Was.RecordKey))
			continue
		}
		w.fail(checkName(r.Now.Kind))
		w.set(recordKey(w.key[:0], r.Now.RecordKey), appendRecord(w.value[:0], r.Now))
	}
	for _, r := range rows {
		w.entries(r)
	}
	for _, r := range rows {
		w.deadline(recordDeadline(r.Was), recordDeadline(r.Now))
	}
}

// recordOf returns which record a row is of.
func recordOf(r ledger.RecordRow) *ledger.RecordKey {
	if r.Now != nil {
		return &r.Now.RecordKey
	}
	return &r.Was.RecordKey
}

// entries writes what of a record's index entries has changed.
func (w *writer) entries(r ledger.RecordRow) {
	var was, now []ledger.IndexEntry
	if r.Was != nil {
		was = r.Was.Index
	}
	if r.Now != nil {
		now = r.Now.Index
	}
	for _, e := range was {
		if !slices.Contains(now, e) {
			w.delete(entryKey(w.key[:0], r.Was.RecordKey, e))
		}
	}
	for _, e := range now {
		if !slices.Contains(was, e) {
			w.fail(checkName(e.Name))
			w.set(entryKey(w.key[:0], r.Now.RecordKey, e), nil)
		}
	}
}
