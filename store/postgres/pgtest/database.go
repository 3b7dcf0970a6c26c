package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the one server of a test process, started when first asked for.
var shared struct {
	once      sync.Once
	server    *Server
	err       error
	databases atomic.Int64
}

// Main runs a package's tests and ends the server that they used:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		_ = shared.server.Close() // it has served
	}
	os.Exit(code)
}

// Need returns a server of its own that ends with the test. Where the machine
// has no PostgreSQL the test is skipped, in CI it fails.
func Need(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	missing(t, err)
	t.Cleanup(func() {
		if t.Failed() && s.run != nil {
			t.Logf("PostgreSQL's log ends with:\n%.4000s", tail(s.Log(), 4000))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func missing(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errNone) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// New returns the URL of an empty database on the process's server. It is
// dropped after the test.
func New(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Start(Options{}) })
	missing(t, shared.err)
	return shared.server.New(t)
}

// New returns the URL of an empty database that is dropped after the test.
func (s *Server) New(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", shared.databases.Add(1))
	if err := s.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)") }) // it goes with the server at the latest
	return s.URL(name)
}

// Exec runs statements in a database.
func (s *Server) Exec(database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
