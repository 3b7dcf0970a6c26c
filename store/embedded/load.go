package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
	"saldo/money"
)

// Load returns what keys name, from the latest view. See [ledger.Store].
func (s *Store) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	v, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	defer v.release()
	l := loader{r: v}
	snap := &ledger.Snapshot{
		Heads:    list(&l, keys.Heads, l.head),
		Accounts: list(&l, keys.Accounts, l.account),
		Holds:    list(&l, keys.Holds, l.hold),
		Records:  list(&l, keys.Records, l.record),
		IDs:      list(&l, keys.IDs, s.ids.find),
		Refunds:  list(&l, keys.Refunds, l.refund),
		Events:   list(&l, keys.Events, l.event),
		Texts:    list(&l, keys.Texts, l.text),
	}
	if l.journal != nil {
		l.fail(l.journal.close())
	}
	if l.err != nil {
		return nil, l.err
	}
	return snap, nil
}

// A loader reads single rows and keeps the first error.
type loader struct {
	r       pebble.Reader
	key     []byte   // scratch
	journal *journal // of the book last read, or nil
	err     error
}

func (l *loader) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// list reads a row for each key.
func list[K, T any](l *loader, keys []K, read func(K) (T, error)) []T {
	if len(keys) == 0 {
		return nil
	}
	rows := make([]T, len(keys))
	for i, k := range keys {
		if l.err != nil {
			break
		}
		var err error
		rows[i], err = read(k)
		l.fail(err)
	}
	return rows
}

func (l *loader) head(book ledger.BookID) (*ledger.Head, error) {
	l.key = headKey(l.key[:0], book)
	return get(l.r, l.key, headDecoder(book))
}

func (l *loader) account(id ledger.AccountID) (*ledger.Account, error) {
	l.key = accountKey(l.key[:0], id)
	return get(l.r, l.key, accountDecoder(id))
}

func (l *loader) hold(ref ledger.Ref) (*ledger.Hold, error) {
	l.key = holdKey(l.key[:0], ref)
	return get(l.r, l.key, holdDecoder(ref))
}

func (l *loader) record(key ledger.RecordKey) (*ledger.Record, error) {
	l.key = recordKey(l.key[:0], key)
	rec, err := get(l.r, l.key, recordDecoder(key))
	if rec == nil || err != nil {
		return nil, err
	}
	return rec, l.fillIn(rec)
}

// fillIn reads a record's data that stand beside the journal.
func (l *loader) fillIn(rec *ledger.Record) error {
	if rec.At == (ledger.TextAt{}) {
		return nil
	}
	text, err := l.text(ledger.TextKey{Book: rec.Book, TextAt: rec.At})
	if text != nil {
		rec.Data = text.Data
	}
	return err
}

func (l *loader) refund(at ledger.TransferAt) (money.Amount, error) {
	l.key = refundKey(l.key[:0], at)
	return get(l.r, l.key, decodeRefund)
}

func (l *loader) text(k ledger.TextKey) (*ledger.Text, error) {
	l.key = textKey(l.key[:0], k.Book, k.TextAt)
	return get(l.r, l.key, decodeText)
}

func (l *loader) event(k ledger.EventKey) (*ledger.Event, error) {
	if l.journal == nil || l.journal.book != k.Book {
		if l.journal != nil {
			if err := l.journal.close(); err != nil {
				return nil, err
			}
		}
		var err error
		if l.journal, err = openJournal(l.r, k.Book); err != nil {
			return nil, err
		}
	}
	e, _, err := l.journal.event(k.Seq)
	return e, err
}
