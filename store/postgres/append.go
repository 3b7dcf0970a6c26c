package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"saldo/ledger"
)

// Append makes a batch durable: one transaction, one round trip. See
// [ledger.Store].
func (s *Store) Append(ctx context.Context, batch *ledger.Batch) error {
	b, err := s.ready(ctx, batch)
	if err != nil {
		return err
	}
	sent := false
	err = s.trip(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		sent = true
		return s.send(ctx, conn, b, beginSQL)
	})
	if !sent {
		return err
	}
	return s.outcome(ctx, b, err)
}

// beginSQL begins a transaction each of whose statements sees what is there when it
// begins, whatever the database's default.
const beginSQL = "BEGIN ISOLATION LEVEL READ COMMITTED"

// A batch is a ledger's, and what is derived of it before it is sent.
type batch struct {
	*ledger.Batch
	uses map[usageKey]ledger.UsageSum
}

func (s *Store) ready(ctx context.Context, b *ledger.Batch) (*batch, error) {
	if s.fixed != nil {
		return nil, errors.New("postgres: a snapshot can only be read")
	}
	if err := valid(b); err != nil {
		return nil, err
	}
	uses, err := s.uses(ctx, b)
	return &batch{b, uses}, err
}

// valid returns what is wrong with a batch by itself.
func valid(b *ledger.Batch) error {
	for i := range b.Books {
		be := &b.Books[i]
		if len(be.Events) == 0 || len(be.Events) != len(be.Bytes) || be.Head.Seq != be.From+uint64(len(be.Events)) {
			return fmt.Errorf("postgres: book %d: %d events with %d encodings from %d to %d",
				be.Head.Book, len(be.Events), len(be.Bytes), be.From, be.Head.Seq)
		}
		for n, e := range be.Events {
			if e.Seq != be.From+1+uint64(n) {
				return fmt.Errorf("postgres: book %d: event %d stands where %d should", be.Head.Book, e.Seq, be.From+1+uint64(n))
			}
		}
	}
	return nil
}

// send sends a batch's statements, from the first of them (BEGIN, unless the
// transaction has begun) to COMMIT, in one round trip. When it fails without a
// conflict the batch may be there or not.
func (s *Store) send(ctx context.Context, conn *pgxpool.Conn, b *batch, first ...string) error {
	p := &pgx.Batch{}
	for _, sql := range first {
		p.Queue(sql)
	}
	var now int64
	s.queue(p, b, &now)
	committed := false
	p.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		committed = tag.String() == "COMMIT" // of a transaction that has failed it is ROLLBACK
		return nil
	})
	s.sending.set(b.Books, true)
	defer s.sending.set(b.Books, false)
	sent := time.Now()
	err := unwarned(conn, func() error { return conn.SendBatch(ctx, p).Close() })
	if err == nil && !committed {
		err = errors.New("postgres: the transaction was not committed")
	}
	if err != nil {
		if !conn.Conn().IsClosed() {
			_, _ = conn.Exec(ctx, "ROLLBACK") // else the connection is closed, which does the same
		}
		return err
	}
	s.counts.appended(time.Since(sent))
	s.clock.saw(now)
	if erases(b.Batch) {
		s.eraser.poke()
	}
	return nil
}

// outcome finds out what became of a batch, given what sending it has returned.
//
// It is sent again, under the condition that it was sent under first, so that it
// cannot take effect twice; and while the first try still works somewhere, the
// two wait for each other at the heads. What conflicts then was either there
// already, from a try whose answer was lost, or others have been first: the
// journal tells which.
func (s *Store) outcome(ctx context.Context, b *batch, err error) error {
	if err == nil {
		return nil
	}
	if isConflict(err) {
		return s.conflict(ctx, err)
	}
	if !isRetryable(err) && !unclear(err) {
		return err
	}
	s.counts.doubts.Add(1)
	s.options.Logger.Warn("the outcome of an append is not known; finding out", "error", err)
	until := time.Now().Add(s.options.Resolve)
	for wait := time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		if stop := pause(s.ctx, wait); stop != nil || time.Now().After(until) {
			return fmt.Errorf("%w: %w", ledger.ErrInDoubt, err)
		}
		// Not the caller's context: whoever asked wants to know, and so do we.
		err = s.trip(s.ctx, func(ctx context.Context, conn *pgxpool.Conn) error { return s.send(ctx, conn, b, beginSQL) })
		switch {
		case err == nil:
			return nil
		case isConflict(err):
			ours, looked := s.isOurs(s.ctx, b)
			if looked == nil && ours {
				s.counts.settled.Add(1)
				return nil
			}
			if looked == nil {
				return s.conflict(s.ctx, err)
			}
			err = looked
		}
		if !isRetryable(err) && !unclear(err) {
			return fmt.Errorf("%w: %w", ledger.ErrInDoubt, err)
		}
	}
}

// unclear reports whether an error says nothing of what the database did.
func unclear(err error) bool { return errors.Is(err, context.Canceled) }

// conflict tells a conflict from a format that a newer program has raised.
func (s *Store) conflict(ctx context.Context, err error) error {
	is := 0
	if looked := s.read(ctx, func(ctx context.Context, conn querier) error {
		return conn.QueryRow(ctx, `SELECT format FROM saldo.format`).Scan(&is)
	}); looked == nil && is > format {
		return fmt.Errorf("%w (format %d, this program knows %d)", ErrFormat, is, format)
	}
	return fmt.Errorf("%w: %w", ledger.ErrConflict, err)
}

// isOurs reports whether the journal has a batch's events where they would be.
// If so they are made durable once more: the database may have shown them after
// a restart without having told its replicas.
func (s *Store) isOurs(ctx context.Context, b *batch) (bool, error) {
	for i := range b.Books { // of all: what nodes write of themselves may be the same to the byte
		be := &b.Books[i]
		var found [][]byte
		err := s.read(ctx, func(ctx context.Context, conn querier) error {
			found = found[:0]
			blocks, err := queryBlocks(ctx, conn, `SELECT seq, n, events FROM saldo.journal WHERE book = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`,
				int64(be.Head.Book), int64(be.From), int64(be.Head.Seq))
			for _, block := range blocks {
				found = append(found, block.events...)
			}
			return err
		})
		if err != nil || !slices.EqualFunc(found, be.Bytes, slices.Equal[[]byte]) {
			return false, err
		}
	}
	return true, s.again(ctx, func() error {
		return s.trip(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			return unwarned(conn, func() error {
				_, err := conn.Exec(ctx, `UPDATE saldo.heads SET seq = seq WHERE book = $1`, int64(b.Books[0].Head.Book))
				return err
			})
		})
	})
}

// queue queues the statements that write a batch. The first array of each stands
// behind a SELECT: PostgreSQL plans a statement anew as long as it can see how
// many rows there will be, since that looks cheaper, and that was a quarter of its
// work.
func (s *Store) queue(p *pgx.Batch, b *batch, now *int64) {
	queueHeads(p, b.Batch, now)
	queueIDs(p, b.IDs)
	queueUnits(p, b.Books)
	queueJournal(p, b.Books)
	queueAccounts(p, b.Batch)
	queueHolds(p, b.Holds)
	queueRecords(p, b.Records)
	queueRefunds(p, b.Refunds)
	queueTexts(p, b.Books)
	queueStatements(p, b.Books)
	queueWords(p, b.Books)
	queueErasures(p, b.Books)
	queueUsage(p, b.uses)
}

// queueHeads moves the heads. It fails when one is not where it should be, of a
// guard either, or the format is another. It brings the time.
func queueHeads(p *pgx.Batch, b *ledger.Batch, now *int64) {
	heads, made := split(b.Books, func(be *ledger.BookEvents) bool { return be.From > 0 })
	slices.SortFunc(heads, func(x, y *ledger.BookEvents) int { return int(int64(x.Head.Book) - int64(y.Head.Book)) })
	if len(heads) > 1 { // in order, so that two that append to the same wait, not for each other
		p.Queue(`SELECT 1 FROM saldo.heads WHERE book = ANY($1::bigint[]) ORDER BY book FOR UPDATE`,
			column(heads, func(be *ledger.BookEvents) int64 { return int64(be.Head.Book) }))
	}
	told := func(row pgx.Row) error {
		var moved int
		return row.Scan(&moved, now)
	}
	if len(heads) == 1 && len(made) == 0 && len(b.Guards) <= 1 { // as nearly always
		be, g := heads[0], ledger.Guard{Book: heads[0].Head.Book, Seq: heads[0].From}
		if len(b.Guards) > 0 {
			g = b.Guards[0]
		}
		p.Queue(moveHead, int64(be.Head.Book), int64(be.From), int64(be.Head.Seq), int64(be.Head.Time), be.Head.Hash[:],
			format, int64(g.Book), int64(g.Seq)).QueryRow(told)
		return
	}
	p.Queue(moveHeads,
		column(heads, func(be *ledger.BookEvents) int64 { return int64(be.Head.Book) }),
		column(heads, func(be *ledger.BookEvents) int64 { return int64(be.From) }),
		column(heads, func(be *ledger.BookEvents) int64 { return int64(be.Head.Seq) }),
		column(heads, func(be *ledger.BookEvents) int64 { return int64(be.Head.Time) }),
		column(heads, func(be *ledger.BookEvents) []byte { return be.Head.Hash[:] }),
		len(heads), format,
		column(b.Guards, func(g ledger.Guard) int64 { return int64(g.Book) }),
		column(b.Guards, func(g ledger.Guard) int64 { return int64(g.Seq) }),
		len(b.Guards),
	).QueryRow(told)
	if len(made) > 0 {
		p.Queue(`INSERT INTO saldo.heads (book, tenant, seq, time, hash) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])`,
			column(made, func(be *ledger.BookEvents) int64 { return int64(be.Head.Book) }),
			column(made, func(be *ledger.BookEvents) int64 { return int64(be.Head.Tenant) }),
			column(made, func(be *ledger.BookEvents) int64 { return int64(be.Head.Seq) }),
			column(made, func(be *ledger.BookEvents) int64 { return int64(be.Head.Time) }),
			column(made, func(be *ledger.BookEvents) []byte { return be.Head.Hash[:] }))
	}
}

// moveHead is moveHeads of one book with one guard, at half the work. What a
// statement reads is as of its beginning: the book itself is as it was then.
const moveHead = `
WITH moved AS (UPDATE saldo.heads SET seq = $3, time = $4, hash = $5 WHERE book = $1 AND seq = $2 RETURNING 1)
SELECT 1 / (CASE WHEN EXISTS (SELECT 1 FROM moved) AND (SELECT format FROM saldo.format) <= $6
	AND EXISTS (SELECT 1 FROM saldo.heads WHERE book = $7 AND seq = $8)
	THEN 1 ELSE 0 END), ` + micros

const moveHeads = `
WITH moved AS (
	UPDATE saldo.heads h SET seq = k.seq, time = k.time, hash = k.hash
	FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) AS k (book, was, seq, time, hash)
	WHERE h.book = k.book AND h.seq = k.was
	RETURNING h.book)
SELECT 1 / (CASE WHEN (SELECT count(*) FROM moved) = $6 AND (SELECT format FROM saldo.format) <= $7
	AND (SELECT count(*) FROM saldo.heads h JOIN unnest((SELECT $8::bigint[]), $9::bigint[]) AS g (book, seq) USING (book, seq)) = $10
	THEN 1 ELSE 0 END), ` + micros

// split returns pointers to the items that are and that are not.
func split[T any](items []T, is func(*T) bool) (yes, no []*T) {
	for i := range items {
		if is(&items[i]) {
			yes = append(yes, &items[i])
		} else {
			no = append(no, &items[i])
		}
	}
	return yes, no
}

// column returns one column of rows, as an array for unnest.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
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
