package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// An eraser removes the free texts of erased accounts. Append leaves a row for
// each such account in the same batch as the event, so that an erasure that was
// answered is carried out, however often the process ends before; the row goes
// last.
//
// What goes: the texts of every event up to the erasure that touched the
// account. A text that is the data of a record which still is stays: it is the
// record's, and goes when the account's own are erased after the record is.
type eraser struct {
	s    *Store
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	err     error // of the last round
}

func startEraser(s *Store) *eraser {
	er := &eraser{s: s, wake: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{})}
	if s.options.ReadOnly {
		close(er.done)
		return er
	}
	er.poke()
	go er.run()
	return er
}

func (er *eraser) poke() {
	select {
	case er.wake <- struct{}{}:
	default:
	}
}

func (er *eraser) run() {
	defer close(er.done)
	for {
		select {
		case <-er.s.ctx.Done():
			return
		case <-er.wake:
		}
		err := er.round()
		if err != nil && er.s.ctx.Err() == nil {
			er.s.options.Logger.Error("erasing failed; it is tried again at the next erasure or start", "err", err)
		}
		er.mu.Lock()
		er.err = err
		close(er.changed)
		er.changed = make(chan struct{})
		er.mu.Unlock()
	}
}

// round carries out every erasure that there is.
func (er *eraser) round() error {
	due, err := er.due()
	if err != nil {
		return err
	}
	for id, at := range due {
		if err := er.erase(id, at); err != nil {
			return err
		}
	}
	return nil
}

// due returns the erasures that there are. It keeps no view: that would keep what
// they delete.
func (er *eraser) due() (map[ledger.AccountID]ledger.TransferAt, error) {
	v, err := er.s.view(er.s.ctx)
	if err != nil {
		return nil, err
	}
	defer v.release()
	due := map[ledger.AccountID]ledger.TransferAt{}
	for it, err := range each(v, []byte{kErase}, []byte{kErase + 1}) {
		if err != nil {
			return nil, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		at, err := decodeID(value)
		if err != nil || len(it.Key()) != 17 {
			return nil, rowError(it.Key(), errors.Join(err, errBadKey))
		}
		due[ledger.AccountID(it.Key()[1:])] = *at
	}
	return due, nil
}

const eraseFlush = 1000 // texts that one batch deletes

func (er *eraser) erase(id ledger.AccountID, at ledger.TransferAt) error {
	e := erasure{s: er.s, id: id, book: at.Book, writer: writer{batch: er.s.db.NewBatch()}}
	defer func() { e.batch.Close() }()
	q := ledger.Query{List: ledger.ListStatement, Account: id}
	for row, err := range er.s.Scan(er.s.ctx, q) {
		if err != nil {
			return err
		}
		if row.Event.Seq > at.Seq {
			break
		}
		if err := e.event(row.Event); err != nil {
			return err
		}
	}
	if err := e.eraseWords(); err != nil {
		return err
	}
	for _, at := range e.profiles {
		e.delete(textKey(e.key[:0], e.book, at))
	}
	if err := e.flush(pebble.Sync); err != nil {
		return err
	}
	if e.first != 0 {
		if err := e.compact(bounds{textKey(nil, at.Book, ledger.TextAt{Seq: e.first}), textKey(nil, at.Book, ledger.TextAt{Seq: e.last + 1})}); err != nil {
			return err
		}
	}
	return er.finish(id, at)
}

// finish deletes an erasure's row, unless the account was erased again since.
func (er *eraser) finish(id ledger.AccountID, at ledger.TransferAt) error {
	er.s.writing.Lock()
	defer er.s.writing.Unlock()
	key := eraseKey(nil, id)
	now, err := get(er.s.db, key, decodeID)
	if now == nil || *now != at || err != nil {
		er.poke()
		return err
	}
	b := er.s.db.NewBatch()
	defer b.Close()
	if err := errors.Join(b.Delete(key, nil), er.s.commit(b, pebble.Sync)); err != nil {
		return err
	}
	er.s.views.swap(er.s.db.NewSnapshot())
	return nil
}

// renew makes what was written since the last Append part of the latest view.
func (s *Store) renew() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.views.swap(s.db.NewSnapshot())
}

// An erasure is the deletion of one account's texts.
type erasure struct {
	writer
	s           *Store
	id          ledger.AccountID
	book        ledger.BookID
	n           int
	first, last uint64          // events whose texts were deleted
	profiles    []ledger.TextAt // of the account, which go last: they say what its words were
	written     uint64          // where Pebble is after what was deleted
}

func (e *erasure) event(ev *ledger.Event) error {
	for n := range ev.Texts {
		at := ledger.TextAt{Seq: ev.Seq, N: uint32(n) + 1}
		kept, err := e.isRecords(ev, at)
		if err != nil {
			return err
		}
		if kept {
			continue
		}
		if e.first == 0 {
			e.first = ev.Seq
		}
		e.last = ev.Seq
		if e.isProfile(ev, at) {
			e.profiles = append(e.profiles, at)
			continue
		}
		e.delete(textKey(e.key[:0], e.book, at))
		if e.n++; e.n%eraseFlush == 0 {
			if err := e.flush(pebble.NoSync); err != nil {
				return err
			}
		}
	}
	return nil
}

// isRecords reports whether a text is the data of a record as it is now.
func (e *erasure) isRecords(ev *ledger.Event, at ledger.TextAt) (bool, error) {
	for i := range ev.Records {
		r := &ev.Records[i]
		if r.Text != at.N {
			continue
		}
		key := ledger.RecordKey{Book: e.book, Kind: r.Kind, Key: r.Key}
		rec, err := get(e.s.db, recordKey(nil, key), recordDecoder(key))
		return rec != nil && rec.At == at, err
	}
	return false, nil
}

// isProfile reports whether a text is a profile of the account.
func (e *erasure) isProfile(ev *ledger.Event, at ledger.TextAt) bool {
	for i := range ev.Opened {
		if o := &ev.Opened[i]; o.Account == e.id && o.Profile == at.N {
			return true
		}
	}
	for i := range ev.Set {
		if s := &ev.Set[i]; s.Account == e.id && s.Profile == at.N {
			return true
		}
	}
	return false
}

// eraseWords takes the words of the account out of the tables. The index has
// deleted them: it had all events before the statement could be read.
func (e *erasure) eraseWords() error {
	head, err := get(e.s.db, headKey(nil, e.book), headDecoder(e.book))
	if err != nil || head == nil || len(e.profiles) == 0 {
		return err
	}
	rows := []bounds{rowBounds(wordsKey(nil, e.id))}
	for _, at := range e.profiles {
		text, err := get(e.s.db, textKey(nil, e.book, at), decodeText)
		if err != nil {
			return err
		}
		if text == nil { // it went before
			continue
		}
		for _, word := range ledger.ProfileWords(text.Data) {
			rows = append(rows, rowBounds(wordKey(nil, head.Tenant, word, e.id)))
		}
	}
	for _, row := range rows {
		// A row and its deletion may have come to be in one table, while somebody
		// could see it. That is written again if one above it has something for it.
		e.delete(append(e.key[:0], row.end...))
	}
	if err := e.flush(pebble.NoSync); err != nil {
		return err
	}
	return e.compact(rows...)
}

// bounds are keys to be compacted, with those between them. The end of a row's is
// a key that nothing has.
type bounds struct{ start, end []byte }

func rowBounds(key []byte) bounds { return bounds{key, append(bytes.Clone(key), 0)} }

// compact takes what was deleted out of the tables, where it would stay until
// chance compacts them. A compaction keeps what a snapshot shows: those who began
// to read before are waited for.
func (e *erasure) compact(rows ...bounds) error {
	e.s.renew()
	for wait := time.Millisecond; uint64(e.s.db.Metrics().Snapshots.EarliestSeqNum) < e.written; wait = min(2*wait, time.Second) {
		select {
		case <-e.s.ctx.Done():
			return e.s.ctx.Err()
		case <-time.After(wait):
		}
	}
	for _, r := range rows {
		if err := e.s.db.Compact(e.s.ctx, r.start, r.end, false); err != nil {
			return err
		}
	}
	return nil
}

func (e *erasure) flush(o *pebble.WriteOptions) error {
	if e.err != nil {
		return e.err
	}
	if err := e.s.commit(e.batch, o); err != nil {
		return err
	}
	e.written = max(e.written, uint64(e.batch.SeqNum())+uint64(e.batch.Count()))
	e.batch.Close()
	e.batch = e.s.db.NewBatch()
	return nil
}

// WaitErased waits until every erasure that is durable has been carried out.
func (s *Store) WaitErased(ctx context.Context) error {
	for {
		s.eraser.mu.Lock()
		changed, err := s.eraser.changed, s.eraser.err
		s.eraser.mu.Unlock()
		if left, viewErr := s.erasures(ctx); !left || viewErr != nil {
			return viewErr
		}
		if err != nil {
			return fmt.Errorf("erasing: %w", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errClosed
		}
	}
}

// erasures reports whether there are any to be carried out.
func (s *Store) erasures(ctx context.Context) (bool, error) {
	v, err := s.view(ctx)
	if err != nil {
		return false, err
	}
	defer v.release()
	for _, err := range each(v, []byte{kErase}, []byte{kErase + 1}) {
		return err == nil, err
	}
	return false, nil
}
