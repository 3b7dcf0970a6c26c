package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"saldo/ledger"
)

// An eraser removes the free texts of erased accounts. Append leaves a row for
// each in the same transaction as the event, so that an erasure that was
// answered is carried out by some node, however often they end before; the row
// goes last.
//
// What goes: the texts of every event up to the erasure that touched the
// account, but for those of others (see [ledger.Event.TextIsOf]). A text that is the data of a record which still is stays: it is the
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
	others := time.NewTicker(time.Minute) // what nodes have left that are no more
	defer others.Stop()
	for {
		select {
		case <-er.s.ctx.Done():
			return
		case <-er.wake:
		case <-others.C:
		}
		err := er.round(er.s.ctx)
		if err != nil && er.s.ctx.Err() == nil {
			er.s.options.Logger.Error("erasing failed; it is tried again in a minute", "error", err)
		}
		er.mu.Lock()
		er.err = err
		close(er.changed)
		er.changed = make(chan struct{})
		er.mu.Unlock()
	}
}

// An erasure is to be carried out.
type erasure struct {
	account ledger.AccountID
	book    ledger.BookID
	seq     uint64
}

func (s *Store) erasures(ctx context.Context) (list []erasure, err error) {
	err = s.read(ctx, func(ctx context.Context, conn querier) error {
		rows, err := conn.Query(ctx, `SELECT account, book, seq FROM saldo.erasures`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e erasure, err error) {
			err = row.Scan((*[16]byte)(&e.account), &e.book, &e.seq)
			return e, err
		})
		return err
	})
	return list, err
}

// round carries out every erasure that there is.
func (er *eraser) round(ctx context.Context) error {
	list, err := er.s.erasures(ctx)
	for _, e := range list {
		if err == nil {
			err = er.erase(ctx, e)
		}
	}
	return err
}

// eraseAtOnce bounds the texts that one statement deletes.
const eraseAtOnce = 1000

func (er *eraser) erase(ctx context.Context, of erasure) error {
	var gone goneTexts
	for row, err := range er.s.Scan(ctx, ledger.Query{List: ledger.ListStatement, Account: of.account}) {
		if err != nil {
			return err
		}
		if row.Event.Seq > of.seq {
			break
		}
		gone.add(row.Event, of.account)
		if len(gone.n) >= eraseAtOnce {
			if err := er.delete(ctx, of.book, &gone); err != nil {
				return err
			}
			gone = goneTexts{}
		}
	}
	if err := er.delete(ctx, of.book, &gone); err != nil {
		return err
	}
	// Unless the account was erased again since.
	return er.exec(ctx, `DELETE FROM saldo.erasures WHERE account = $1 AND seq = $2`, uid(of.account), int64(of.seq))
}

// goneTexts are texts that are to go, and the records that their events wrote.
type goneTexts struct {
	seq, n    []int64
	kind, key [][]byte
}

func (g *goneTexts) add(e *ledger.Event, id ledger.AccountID) {
	for n := range e.Texts {
		if e.TextIsOf(id, uint32(n)+1) {
			g.seq, g.n = append(g.seq, int64(e.Seq)), append(g.n, int64(n)+1)
		}
	}
	for i := range e.Records {
		if r := &e.Records[i]; r.Text != 0 {
			g.kind, g.key = append(g.kind, []byte(r.Kind)), append(g.key, []byte(r.Key))
		}
	}
}

func (er *eraser) delete(ctx context.Context, book ledger.BookID, g *goneTexts) error {
	if len(g.n) == 0 {
		return nil
	}
	return er.exec(ctx, `DELETE FROM saldo.texts t USING unnest($2::bigint[], $3::bigint[]) AS gone (seq, n)
		WHERE t.book = $1 AND t.seq = gone.seq AND t.n = gone.n
		AND NOT EXISTS (SELECT 1 FROM saldo.records r WHERE r.book = $1 AND r.text_seq = t.seq AND r.text_n = t.n AND (r.book, r.kind, r.key)
			IN (SELECT $1::bigint, k.kind, k.key FROM unnest($4::bytea[], $5::bytea[]) AS k (kind, key)))`,
		int64(book), g.seq, g.n, g.kind, g.key)
}

func (er *eraser) exec(ctx context.Context, sql string, args ...any) error {
	return er.s.read(ctx, func(ctx context.Context, conn querier) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

func queueErasures(p *pgx.Batch, books []ledger.BookEvents) {
	for i := range books {
		for _, e := range books[i].Events {
			for _, id := range e.Erased {
				p.Queue(`INSERT INTO saldo.erasures (account, book, seq) VALUES ($1, $2, $3) ON CONFLICT (account) DO UPDATE SET seq = excluded.seq`,
					uid(id), int64(books[i].Head.Book), int64(e.Seq))
			}
		}
	}
}

// WaitErased waits until every erasure that is durable has been carried out.
func (s *Store) WaitErased(ctx context.Context) error {
	for {
		s.eraser.mu.Lock()
		changed, failed := s.eraser.changed, s.eraser.err
		s.eraser.mu.Unlock()
		left, err := s.erasures(ctx)
		if err != nil || len(left) == 0 {
			return err
		}
		if failed != nil {
			return fmt.Errorf("erasing: %w", failed)
		}
		s.eraser.poke() // another node may have left it
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}
