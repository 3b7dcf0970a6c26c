package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"saldo/ledger"
)

// Options say how a store is opened. The zero value is what a server wants.
type Options struct {
	Logger *slog.Logger // nil: slog.Default
	// Connections is how many there are at most, unless the URL says it
	// (pool_max_conns); 0: 8, or 4 for each processor.
	Connections int
	// Patience is how long one round trip may take before its connection is
	// given up; 0: 10 s. A lock on a book that its holder lost ends as soon.
	Patience time.Duration
	// Resolve is how long an append whose outcome is not known is tried to be
	// found out about before its callers are told so; 0: 1 minute.
	Resolve time.Duration
	// NoMigrate leaves the tables as they are: somebody else runs saldo migrate.
	NoMigrate bool

	snapshot bool // see OpenSnapshot
}

// A Store keeps books in a database. It implements [ledger.SharedStore].
type Store struct {
	options Options
	pool    *pgxpool.Pool
	clock   clock
	eraser  *eraser
	counts  counts
	trees   trees

	opened   time.Time
	sending  sending
	followed atomic.Int64 // until when, since opened, looks read events at once

	fixing sync.Mutex
	fixed  pgx.Tx // of a snapshot: the transaction in which everything is read
	kept   *pgxpool.Conn
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	closed sync.Once
}

var _ ledger.SharedStore = (*Store)(nil)

// Open opens the books in a database, or makes them there. The URL is
// PostgreSQL's (postgres://user:secret@host:port/database?option=value); it may
// name several hosts, of which the one is used that can be written to.
func Open(ctx context.Context, url string, o Options) (_ *Store, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Patience = cmp.Or(o.Patience, 10*time.Second)
	o.Resolve = cmp.Or(o.Resolve, time.Minute)
	config, err := o.config(url)
	if err != nil {
		return nil, err
	}
	s := &Store{options: o, opened: time.Now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.cancel()
			s.disconnect()
		}
	}()
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if o.snapshot {
		return s, s.fix(ctx)
	}
	s.eraser = startEraser(s)
	return s, nil
}

// config is how connections are made and kept.
func (o *Options) config(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = int32(cmp.Or(o.Connections, max(8, 4*runtime.GOMAXPROCS(0))))
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if len(c.Fallbacks) > 0 && c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	set := func(name, value string) {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	set("application_name", "saldo")
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(o.Patience.Milliseconds())
	c.RuntimeParams["lock_timeout"] = fmt.Sprint(o.Patience.Milliseconds())
	c.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			conn.CustomData()[warning] = n.Message
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// What was answered has to be durable, whatever the database's default.
		_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
		return err
	}
	return config, nil
}

// check makes the tables fit, and looks at the time for the first time.
func (s *Store) check(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer conn.Release()
	if !s.options.NoMigrate {
		m, err := migrate(ctx, conn.Conn())
		if err != nil {
			return err
		}
		if m.From != m.To {
			s.options.Logger.Info("the database's tables were brought up to date", "from", m.From, "to", m.To)
		}
	}
	var is int
	var now int64
	if err := conn.QueryRow(ctx, `SELECT format, `+micros+` FROM saldo.format`).Scan(&is, &now); err != nil {
		return fmt.Errorf("reading the version of the tables (has saldo migrate been run?): %w", err)
	}
	if is > format {
		return fmt.Errorf("%w (format %d, this program knows %d)", ErrFormat, is, format)
	}
	s.clock.saw(now)
	return nil
}

// Close ends everything that the store has started. Nothing may be using it.
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.cancel()
		if s.eraser != nil {
			<-s.eraser.done
		}
		s.disconnect()
	})
	return nil
}

func (s *Store) disconnect() {
	if s.kept != nil {
		rollback(s.kept)
	}
	if s.pool != nil {
		s.pool.Close()
	}
}

// Ping reports whether the database answers, and can be written to.
func (s *Store) Ping(ctx context.Context) error {
	var readOnly string
	err := s.read(ctx, func(ctx context.Context, conn querier) error {
		return conn.QueryRow(ctx, `SELECT current_setting('transaction_read_only')`).Scan(&readOnly)
	})
	if err == nil && readOnly == "on" {
		err = errors.New("postgres: the database can only be read now")
	}
	return err
}

// trip does something on a connection, for no longer than one round trip may
// take. A connection that was given up is closed.
func (s *Store) trip(ctx context.Context, do func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	s.counts.trips.Add(1)
	return do(ctx, conn)
}

// read does something that may be done again: connections that a restart of the
// database has cut, and transactions that it wants to be tried again, are not
// worth an error.
func (s *Store) read(ctx context.Context, do func(context.Context, querier) error) error {
	if s.fixed != nil {
		s.fixing.Lock()
		defer s.fixing.Unlock()
		return do(ctx, s.fixed)
	}
	return s.again(ctx, func() error {
		return s.trip(ctx, func(ctx context.Context, conn *pgxpool.Conn) error { return do(ctx, conn) })
	})
}

// A querier is a connection, or a transaction on one.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// OpenSnapshot opens the books in a database as they are now, to be read only:
// what others write from now on is not seen. It changes nothing.
func OpenSnapshot(ctx context.Context, url string, o Options) (*Store, error) {
	o.NoMigrate, o.snapshot = true, true
	return Open(ctx, url, o)
}

// fix lets everything be read in one transaction.
func (s *Store) fix(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	s.kept = conn
	if s.fixed, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return err
	}
	if _, err := s.fixed.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return err
	}
	var n int
	return s.fixed.QueryRow(ctx, `SELECT format FROM saldo.format`).Scan(&n) // what is seen is as of the first query
}

// bridged is how long a database may be away without anybody being told so: a
// restart is shorter, and who asks a node without a database should not wait long.
const bridged = 4 * time.Second

// again does something until it does not fail, or not in a way that may pass.
func (s *Store) again(ctx context.Context, do func() error) error {
	until := time.Now().Add(min(s.options.Patience, bridged))
	for wait := time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := do()
		if err == nil || ctx.Err() != nil || !isRetryable(err) || time.Now().After(until) {
			return err
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

// warning is where a connection keeps what the database has warned of last.
const warning = "warning"

var errWarned = errors.New("postgres: the database has warned of a commit")

// unwarned does what commits, and fails if the database warns of it: it does so
// of a commit that it has not told its replicas, when somebody cancels that.
func unwarned(conn *pgxpool.Conn, commit func() error) error {
	kept := conn.Conn().PgConn().CustomData()
	delete(kept, warning)
	if err := commit(); err != nil {
		return err
	}
	if message, ok := kept[warning]; ok {
		return fmt.Errorf("%w: %v", errWarned, message)
	}
	return nil
}

// isConflict reports whether a statement has failed because others were first:
// a head was not where it should be, or a key was taken.
func isConflict(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "22012" || refused.Code == "23505")
}

// isRetryable reports whether the same may work in a moment: the connection was
// lost or refused, the server is starting or stopping, or it asks for it.
func isRetryable(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case "40001", "40P01", "40003", "55P03", "25006", "25P03": // serialization, deadlock, unknown, lock time-out, read-only, idle too long
			return true
		}
		return strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "53") || strings.HasPrefix(refused.Code, "57P") ||
			strings.HasPrefix(refused.Code, "XX") // an engine between two leaders
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || pgconn.SafeToRetry(err) || errors.Is(err, errWarned) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(net.Error))
}

// counts are what a store tells of itself.
type counts struct {
	trips    atomic.Uint64
	appends  atomic.Uint64
	doubts   atomic.Uint64
	settled  atomic.Uint64
	appendNS atomic.Int64
}

func (c *counts) appended(took time.Duration) {
	c.appends.Add(1)
	c.appendNS.Add(int64(took))
}

// A Count is how often something has happened since the store was opened.
type Count struct {
	Trips   uint64        // round trips, those that took longer than one not counted twice
	Appends uint64        // that took effect
	Append  time.Duration // spent in those
	Doubts  uint64        // appends whose outcome had to be found out
	Settled uint64        // of those: they had taken effect
	Open    int32         // connections now
}

// Count returns what the store has done so far.
func (s *Store) Count() Count {
	c := &s.counts
	return Count{c.trips.Load(), c.appends.Load(), time.Duration(c.appendNS.Load()), c.doubts.Load(), c.settled.Load(), s.pool.Stat().TotalConns()}
}
