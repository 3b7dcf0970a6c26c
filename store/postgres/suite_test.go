package postgres_test

import (
	"context"
	"log/slog"
	"testing"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open opens a store that is closed when the caller says so.
func open(t testing.TB, url string) (*postgres.Store, func()) {
	t.Helper()
	s, err := postgres.Open(context.Background(), url, postgres.Options{Connections: 6, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSuite runs what every store has to pass.
func TestSuite(t *testing.T) {
	ledgertest.Store(t, func(t *testing.T) func() (ledger.Store, func()) {
		url := pgtest.New(t)
		return func() (ledger.Store, func()) { return open(t, url) }
	})
}
