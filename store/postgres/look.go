package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"saldo/ledger"
)

// farEvents is how many events a node reads to follow the others. It drops what
// it knows of the book when there are more. It is a variable for its test alone.
var farEvents = 10_000

// rollbackPatience is how long a transaction is ended properly.
const rollbackPatience = time.Second

// Look returns what others have appended, in one round trip; in two for the first
// of it after a while without. See [ledger.SharedStore].
func (s *Store) Look(ctx context.Context, known []ledger.BookEnd) (tails []ledger.Tail, err error) {
	err = s.read(ctx, func(ctx context.Context, conn querier) error {
		l := looking{known: known, own: &s.sending}
		// The ends first: what is there when they are read is there when the
		// events are.
		p := &pgx.Batch{}
		p.Queue(endsQuery, l.books()).Query(l.readEnds)
		follow := time.Since(s.opened) < time.Duration(s.followed.Load())
		if follow {
			l.queueTails(p)
		}
		if err := conn.SendBatch(ctx, p).Close(); err != nil {
			return err
		}
		if l.behind() {
			s.followed.Store(int64(time.Since(s.opened) + followFor))
			if !follow {
				s.counts.trips.Add(1)
				p := &pgx.Batch{}
				l.queueTails(p)
				if err := conn.SendBatch(ctx, p).Close(); err != nil {
					return err
				}
			}
		}
		l.tell(&s.clock)
		tails, err = l.tails()
		return err
	})
	return tails, err
}

// followFor is how long after a look that found something the next ones read
// events and ends at once.
const followFor = time.Second

// Lock locks heads, and returns what others have appended to them, in one round
// trip. See [ledger.SharedStore].
func (s *Store) Lock(ctx context.Context, known []ledger.BookEnd) (lock ledger.StoreLock, err error) {
	err = s.again(ctx, func() error {
		lock, err = s.lock(ctx, known)
		return err
	})
	return lock, err
}

func (s *Store) lock(ctx context.Context, known []ledger.BookEnd) (_ ledger.StoreLock, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			rollback(conn)
		}
	}()
	s.counts.trips.Add(1)
	p := &pgx.Batch{}
	l := looking{known: known, own: &s.sending}
	p.Queue(beginSQL)
	p.Queue(endsQuery+` FOR UPDATE`, l.books()).Query(l.readEnds) // in order, so that two that lock some wait, not for each other
	l.queueTails(p)
	if err := conn.SendBatch(ctx, p).Close(); err != nil {
		return nil, err
	}
	l.tell(&s.clock)
	tails, err := l.tails()
	if err != nil {
		return nil, err
	}
	return &lock{s, conn, tails}, nil
}

const endsQuery = `SELECT book, seq, hash, ` + micros + ` FROM saldo.heads WHERE book = ANY((SELECT $1::bigint[])::bigint[]) ORDER BY book`

// A looking compares what a node knows with what there is.
type looking struct {
	known  []ledger.BookEnd
	own    *sending
	ends   map[ledger.BookID]ledger.BookEnd
	blocks map[ledger.BookID][]block
	events int
	now    int64
}

// tell gives a clock the time that was brought along.
func (l *looking) tell(c *clock) {
	if l.now != 0 {
		c.saw(l.now)
	}
}

func (l *looking) books() []int64 {
	return column(l.known, func(k ledger.BookEnd) int64 { return int64(k.Book) })
}

func (l *looking) readEnds(rows pgx.Rows) error {
	l.ends = make(map[ledger.BookID]ledger.BookEnd, len(l.known))
	ends, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e ledger.BookEnd, err error) {
		var hash []byte
		err = row.Scan(&e.Book, &e.Seq, &hash, &l.now)
		copy(e.Hash[:], hash)
		return e, err
	})
	for _, e := range ends {
		l.ends[e.Book] = e
	}
	return err
}

// behind reports whether others have taken an end further than is known.
func (l *looking) behind() bool {
	return slices.ContainsFunc(l.known, func(k ledger.BookEnd) bool {
		end := l.ends[k.Book]
		return end.Seq > k.Seq && !l.own.has(end)
	})
}

// queueTails reads the blocks after the known ends, but not many: a block more
// than are followed tells that there are.
func (l *looking) queueTails(p *pgx.Batch) {
	p.Queue(`SELECT j.book, j.seq, j.n, j.events FROM unnest($1::bigint[], $2::bigint[]) AS k (book, seq) CROSS JOIN LATERAL (
		SELECT book, seq, n, events FROM saldo.journal WHERE book = k.book AND seq > k.seq ORDER BY seq LIMIT 1000) j
		ORDER BY j.book, j.seq LIMIT 1000`,
		l.books(), column(l.known, func(k ledger.BookEnd) int64 { return int64(k.Seq) })).Query(func(rows pgx.Rows) error {
		l.blocks = map[ledger.BookID][]block{}
		for rows.Next() {
			var book ledger.BookID
			var seq int64
			var n int32
			var events []byte
			if err := rows.Scan(&book, &seq, &n, &events); err != nil {
				return err
			}
			b, err := makeBlock(seq, n, events)
			if err != nil {
				return err
			}
			l.blocks[book] = append(l.blocks[book], b)
			l.events += len(b.events)
		}
		return rows.Err()
	})
}

// tails puts together what was read. The events may go further than the end that
// was read a moment before; they end at it or beyond, or are far.
func (l *looking) tails() ([]ledger.Tail, error) {
	tails := make([]ledger.Tail, len(l.known))
	for i, known := range l.known {
		t := &tails[i]
		t.BookEnd = ledger.BookEnd{Book: known.Book}
		if end, ok := l.ends[known.Book]; ok {
			t.BookEnd = end
		}
		if t.Seq <= known.Seq {
			continue
		}
		if l.own.has(t.BookEnd) {
			t.Far = true // to whoever asks before the append is answered
			continue
		}
		last := known.Seq
		for _, b := range l.blocks[known.Book] {
			for seq := max(b.first, known.Seq+1); seq <= min(b.last, t.Seq) && l.events <= farEvents; seq++ {
				e, err := ledger.DecodeEvent(b.bytes(seq), known.Book)
				if err != nil {
					return nil, fmt.Errorf("book %d, event %d: %w", known.Book, seq, err)
				}
				t.Events, t.Bytes, last = append(t.Events, e), append(t.Bytes, b.bytes(seq)), seq
			}
		}
		if last != t.Seq {
			t.Events, t.Bytes, t.Far = nil, nil, true
		}
	}
	return tails, nil
}

// A sending is the ends that this node is taking its books to. A look may see
// them before the append is answered: what leads there need not be read.
type sending struct {
	mu   sync.Mutex
	ends map[ledger.BookEnd]bool
}

func (s *sending) set(books []ledger.BookEvents, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends == nil {
		s.ends = make(map[ledger.BookEnd]bool)
	}
	for i := range books {
		h := &books[i].Head
		if end := (ledger.BookEnd{Book: h.Book, Seq: h.Seq, Hash: h.Hash}); on {
			s.ends[end] = true
		} else {
			delete(s.ends, end)
		}
	}
}

func (s *sending) has(end ledger.BookEnd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends[end]
}

// A lock is a transaction that has locked heads.
type lock struct {
	s     *Store
	conn  *pgxpool.Conn // nil: it has ended
	tails []ledger.Tail
}

func (l *lock) Tails() []ledger.Tail { return l.tails }

var errNoLock = errors.New("postgres: the lock was used before")

// Append appends under the lock and ends it, in one round trip.
func (l *lock) Append(ctx context.Context, b *ledger.Batch) error {
	if l.conn == nil {
		return errNoLock
	}
	conn := l.conn
	l.conn = nil
	ready, err := l.s.ready(ctx, b)
	if err != nil {
		rollback(conn)
		return err
	}
	trip, cancel := context.WithTimeout(ctx, l.s.options.Patience)
	defer cancel()
	l.s.counts.trips.Add(1)
	err = l.s.send(trip, conn, ready)
	conn.Release()
	return l.s.outcome(ctx, ready, err)
}

// Release gives up the lock.
func (l *lock) Release() {
	if l.conn != nil {
		rollback(l.conn)
		l.conn = nil
	}
}

// rollback ends a connection's transaction. If that cannot be done, or takes
// long, the connection is closed, which does it too.
func rollback(conn *pgxpool.Conn) {
	if !conn.Conn().IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), rollbackPatience)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK") // a connection in any other state is not kept
	}
	conn.Release()
}
