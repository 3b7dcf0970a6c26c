package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed migrations/*.sql
var migrations embed.FS

// format is the version of what the tables mean. It rises when an older program
// could no longer read or write them rightly; a program refuses a higher one,
// also when another node raises it while it runs. A migration that only adds
// something leaves it as it is, so that nodes can be replaced one by one.
const format = 1

// A migration is a numbered file. One whose name ends in .postgresql.sql is for
// PostgreSQL alone.
type migration struct {
	number int
	name   string
	sql    string
	only   bool
}

// A Migrated says what Migrate found and did.
type Migrated struct {
	From, To int // the number of the last migration, before and after
	Format   int
}

// ErrFormat says that a newer program has written the books.
var ErrFormat = errors.New("postgres: the books were written by a newer version of this program; use that, or a newer one")

// Migrate brings a database's tables to what this program needs. Programs that
// do so at the same time wait for each other at a row.
func Migrate(ctx context.Context, url string) (m Migrated, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return m, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return migrate(ctx, conn)
}

func migrate(ctx context.Context, conn *pgx.Conn) (m Migrated, err error) {
	list, err := listMigrations()
	if err != nil {
		return m, err
	}
	if err := begin(ctx, conn); err != nil {
		return m, fmt.Errorf("making the first table: %w", err)
	}
	plain, err := isPostgreSQL(ctx, conn)
	if err != nil {
		return m, err
	}
	at, is, err := reached(ctx, conn)
	m = Migrated{From: at, To: at, Format: is}
	if err != nil || at >= len(list) && is <= format { // a node that starts writes nothing then
		return m, err
	}
	m.From = -1
	for done := false; !done; {
		done, err = step(ctx, conn, list, plain, &m)
		if isRetryable(err) { // of an engine that lets one of two go on, not wait
			err = pause(ctx, 50*time.Millisecond)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// begin makes the row that everybody waits for. Two that make it at the same
// time may stumble over each other: the second try finds it made.
func begin(ctx context.Context, conn *pgx.Conn) error {
	var err error
	for range 20 {
		if _, _, err = reached(ctx, conn); err == nil { // a node needs no right to make it then
			return nil
		}
		if _, err = conn.Exec(ctx, `
			CREATE SCHEMA IF NOT EXISTS saldo;
			CREATE TABLE IF NOT EXISTS saldo.format (
				one       integer PRIMARY KEY CHECK (one = 1),
				format    integer NOT NULL,
				migration integer NOT NULL);
			INSERT INTO saldo.format VALUES (1, 0, 0) ON CONFLICT (one) DO NOTHING`); err == nil {
			return nil
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code == "42501" { // not permitted
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return err
}

// reached returns the number of the last migration, and the format.
func reached(ctx context.Context, conn *pgx.Conn) (migration, format int, err error) {
	err = conn.QueryRow(ctx, `SELECT migration, format FROM saldo.format`).Scan(&migration, &format)
	return migration, format, err
}

// step carries out the next migration that is missing, and reports whether
// there was none.
func step(ctx context.Context, conn *pgx.Conn, list []migration, plain bool, m *Migrated) (done bool, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var at int
		if err := tx.QueryRow(ctx, `SELECT format, migration FROM saldo.format WHERE one = 1 FOR UPDATE`).Scan(&m.Format, &at); err != nil {
			return err
		}
		if m.Format > format {
			return fmt.Errorf("%w (format %d, this program knows %d)", ErrFormat, m.Format, format)
		}
		if m.From < 0 {
			m.From = at
		}
		m.To = at
		if at >= len(list) { // a newer program that only added something may have been here
			done = true
			return nil
		}
		next := list[at]
		if plain || !next.only {
			if _, err := tx.Exec(ctx, next.sql); err != nil {
				return fmt.Errorf("migration %s: %w", next.name, err)
			}
		}
		_, err := tx.Exec(ctx, `UPDATE saldo.format SET format = $1, migration = $2 WHERE one = 1`, format, next.number)
		m.To, m.Format = next.number, format
		return err
	})
	return done, err
}

// listMigrations returns them in order, numbered from 1 without a gap.
func listMigrations() (list []migration, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for i, path := range names { // sorted
		name := strings.TrimPrefix(path, "migrations/")
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("postgres: migration %s is not number %d", name, i+1)
		}
		sql, err := migrations.ReadFile(path)
		if err != nil {
			return nil, err
		}
		list = append(list, migration{i + 1, name, string(sql), strings.HasSuffix(name, ".postgresql.sql")})
	}
	return list, nil
}

// isPostgreSQL tells PostgreSQL from engines that only speak its protocol.
func isPostgreSQL(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var version string
	if err := conn.QueryRow(ctx, `SELECT version()`).Scan(&version); err != nil {
		return false, err
	}
	return strings.HasPrefix(version, "PostgreSQL ") && !strings.Contains(version, "-YB-"), nil
}

// pause waits, or returns why the caller does not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
