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
// account, but for those of others (see [ledger.Event.TextIsOf]). A text that is the data of a record which still is stays: it is the
// record's, and goes when the account's own are erased after the record is.
//
// Texts are deleted at once. Then the tables that had them, or words of them, are
// compacted: else they have them until chance does it. A compaction keeps what a
// snapshot shows, so that waits until nobody reads who began before.
type eraser struct {
	s     *Store
	wake  chan struct{}
	done  chan struct{}
	begun map[ledger.AccountID]*erasure // the texts are deleted, the tables have them

	mu      sync.Mutex
	changed chan struct{}
	err     error // of the last round
}

func startEraser(s *Store) *eraser {
	er := &eraser{s: s, wake: make(chan struct{}, 1), done: make(chan struct{}), changed: make(chan struct{}), begun: make(map[ledger.AccountID]*erasure)}
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
	wait := time.Duration(0)
	for {
		var again <-chan time.Time
		if len(er.begun) > 0 {
			wait = max(time.Millisecond, min(2*wait, time.Second))
			again = time.After(wait)
		}
		select {
		case <-er.s.ctx.Done():
			return
		case <-er.wake:
			wait = 0
		case <-again:
		}
		err := er.round()
		if err != nil && er.s.ctx.Err() == nil {
			er.s.options.Logger.Error("erasing failed; it is tried again at the next erasure or start", "err", err)
			clear(er.begun) // it begins anew
		}
		er.mu.Lock()
		er.err = err
		close(er.changed)
		er.changed = make(chan struct{})
		er.mu.Unlock()
	}
}

// round begins every erasure that there is, and ends those that it can.
func (er *eraser) round() error {
	due, err := er.due()
	if err != nil {
		return err
	}
	for id, at := range due {
		if e := er.begun[id]; e == nil || e.at != at {
			e = &erasure{s: er.s, id: id, at: at}
			if err := e.erase(); err != nil {
				return err
			}
			er.begun[id] = e
		}
	}
	for id, e := range er.begun {
		cleared, err := er.clear(e)
		if err == nil && cleared {
			err = er.finish(id, e.at)
			delete(er.begun, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clear takes what was deleted out of the tables, unless somebody still sees it.
func (er *eraser) clear(e *erasure) (cleared bool, err error) {
	if e.texts.first == nil { // there was nothing
		return true, nil
	}
	if er.seen(e) {
		return false, nil
	}
	// Once more, above what was written before: a table of the last level that has
	// a row with its deletion, since somebody saw the row, is only written again
	// with one above it, and one that is alone is moved there as it is.
	if err := errors.Join(er.s.db.Flush(), e.erase()); err != nil || er.seen(e) {
		return false, err
	}
	return true, e.compact()
}

// seen reports whether somebody may still see what was deleted.
func (er *eraser) seen(e *erasure) bool {
	er.s.renew() // the latest view would show it
	return uint64(er.s.db.Metrics().Snapshots.EarliestSeqNum) < e.written
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

// An erasure is the deletion of one account's texts and words.
type erasure struct {
	writer
	s       *Store
	id      ledger.AccountID
	at      ledger.TransferAt
	n       int
	texts   bounds   // those that were deleted, and what is between them
	words   []bounds // around each row of the index that had one
	begun   bool     // the words are known
	written uint64   // where Pebble was after the deletions
}

// bounds are two keys and what is between them.
type bounds struct{ first, last []byte }

// around returns the closest keys to a row's that no row has.
func around(key []byte) bounds {
	before := bytes.Clone(key)
	for i := len(before) - 1; ; i-- {
		if before[i]--; before[i] != 0xff {
			break
		}
	}
	return bounds{append(before, 0xff), append(bytes.Clone(key), 0)}
}

const eraseFlush = 1000 // texts that one batch deletes

// erase deletes the account's texts. The index has deleted the words: it has every
// event that a statement shows. It may be done again.
func (e *erasure) erase() error {
	e.batch = e.s.db.NewBatch()
	defer func() { e.batch.Close() }()
	for row, err := range e.s.Scan(e.s.ctx, ledger.Query{List: ledger.ListStatement, Account: e.id}) {
		if err != nil {
			return err
		}
		if row.Event.Seq > e.at.Seq {
			break
		}
		if err := e.event(row.Event); err != nil {
			return err
		}
	}
	for _, w := range e.words { // the rows may be there again, of a newer profile
		e.fail(e.batch.Delete(w.first, nil))
		e.fail(e.batch.Delete(w.last, nil))
	}
	e.begun = true
	return e.flush(pebble.Sync)
}

func (e *erasure) event(ev *ledger.Event) error {
	for n := range ev.Texts {
		at := ledger.TextAt{Seq: ev.Seq, N: uint32(n) + 1}
		if !ev.TextIsOf(e.id, at.N) {
			continue
		}
		kept, err := e.isRecords(ev, at)
		if err != nil {
			return err
		}
		if kept {
			continue
		}
		key := textKey(nil, e.at.Book, at)
		if !e.begun && e.isProfile(ev, at) {
			if err := e.profile(key); err != nil {
				return err
			}
		}
		e.fail(e.batch.Delete(key, nil))
		if e.texts.last = key; e.texts.first == nil {
			e.texts.first = key
		}
		if e.n++; e.n%eraseFlush == 0 {
			if err := e.flush(pebble.NoSync); err != nil {
				return err
			}
		}
	}
	return nil
}

// profile notes where the words of a profile are: somewhere among all that the
// tenant has if it was deleted before, and nobody knows them.
func (e *erasure) profile(key []byte) error {
	head, err := get(e.s.db, headKey(nil, e.at.Book), headDecoder(e.at.Book))
	if err == nil && head == nil {
		err = rowError(headKey(nil, e.at.Book), errBadKey)
	}
	if err != nil {
		return err
	}
	text, err := get(e.s.db, key, decodeText)
	if err != nil {
		return err
	}
	e.words = append(e.words, around(wordsKey(nil, e.id)))
	if text == nil {
		all := wordPrefix(nil, head.Tenant, "")
		e.words = append(e.words, bounds{all, after(all)})
		return nil
	}
	for _, word := range ledger.ProfileWords(text.Data) {
		e.words = append(e.words, around(wordKey(nil, head.Tenant, word, e.id)))
	}
	return nil
}

// compact takes what was deleted out of the tables.
func (e *erasure) compact() error {
	all := e.words
	if e.texts.first != nil {
		all = append(all, e.texts)
	}
	for _, b := range all {
		if err := e.s.db.Compact(e.s.ctx, b.first, append(bytes.Clone(b.last), 0), false); err != nil {
			return err
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
		key := ledger.RecordKey{Book: e.at.Book, Kind: r.Kind, Key: r.Key}
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
