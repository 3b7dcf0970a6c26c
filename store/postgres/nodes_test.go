package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// node opens a ledger on a database. It is closed at the end of the test.
func node(t testing.TB, url string) *ledger.Ledger {
	t.Helper()
	l, _ := nodeAndStore(t, url)
	return l
}

func nodeAndStore(t testing.TB, url string) (*ledger.Ledger, *postgres.Store) {
	t.Helper()
	s, closed := open(t, url)
	l, err := ledger.Open(context.Background(), s, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		closed()
	})
	return l, s
}

// prove wants the books of a database to be right.
func prove(t testing.TB, url string) ledger.Report {
	t.Helper()
	s, closed := open(t, url)
	defer closed()
	r, err := ledger.Verify(context.Background(), s, ledger.VerifyOptions{})
	if err != nil {
		t.Errorf("the books are not right: %v", err)
	}
	return r
}

// TestModel compares a ledger on the store with the model, TestModelOfNodes
// three of them on one database.
func TestModel(t *testing.T)        { testModel(t, 1) }
func TestModelOfNodes(t *testing.T) { testModel(t, 3) }

func testModel(t *testing.T, nodes int) {
	commands := 1000
	if testing.Short() {
		commands = 300
	}
	seed := ledgertest.Seed(t)
	url := pgtest.New(t)
	ledgertest.RunNodes(t, seed, commands, nodes, func(now func() time.Time) (*ledger.Ledger, func()) {
		s, closed := open(t, url)
		l, err := ledger.Open(context.Background(), s, ledger.Options{Now: now, MaxClockStep: -1, Cached: 64})
		if err != nil {
			t.Fatal(err)
		}
		return l, func() {
			err := l.Close()
			if _, verr := ledger.Verify(context.Background(), s, ledger.VerifyOptions{}); verr != nil {
				err = errors.Join(err, verr)
			}
			if err != nil {
				t.Error(err)
			}
			closed()
		}
	})
}

// TestNeverTwice and TestLinearizable have three nodes on one database.
func TestNeverTwice(t *testing.T) {
	url := pgtest.New(t)
	ledgertest.NeverTwice(t, node(t, url), node(t, url), node(t, url))
	prove(t, url)
}

func TestLinearizable(t *testing.T) {
	url := pgtest.New(t)
	ledgertest.Linearizable(t, ledgertest.Seed(t), 40, node(t, url), node(t, url), node(t, url))
	prove(t, url)
}

// exec runs statements in a database.
func exec(t testing.TB, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, sql)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

func count(t testing.TB, url, sql string) (n int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	err = conn.QueryRow(ctx, sql).Scan(&n)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	return n
}
