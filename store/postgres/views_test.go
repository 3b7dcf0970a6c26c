package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// TestViews reads what is for people with SQL.
func TestViews(t *testing.T) {
	ctx := context.Background()
	p := newPair(t)
	p.do(p.a, with("", topup("x", 12_345_678), &ledger.Transfer{Kind: ledger.Charge, From: acc("x"), To: revenue(1), Amount: money.New(345_688),
		Usage: ledger.Usage{Category: "sms", Count: money.New(3), Unit: "messages"}}))
	p.do(p.a, with("h", place("", "x", 500_000, time.Hour)))
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{`SELECT unit || ' ' || mode || ' ' || status FROM saldo.report_accounts ORDER BY mode`, []string{"USD own open", "USD system open", "USD system open"}},
		{`SELECT trim_scale(posted) || ' ' || trim_scale(held) || ' ' || trim_scale(available) || ' ' || trim_scale(spendable) FROM saldo.report_balances WHERE spendable IS NOT NULL`,
			[]string{"12 0.5 11.5 11.5"}},
		{`SELECT id || ' ' || state || ' ' || trim_scale(remaining) || ' ' || (expires_at - created_at) FROM saldo.report_holds`, []string{"h open 0.5 01:00:00"}},
		{`SELECT category || ' ' || trim_scale(price) || ' ' || count || ' ' || counted FROM saldo.report_usage WHERE category <> ''`, []string{"sms 0.345688 3 messages"}},
	} {
		rows, err := conn.Query(ctx, c.sql)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q (%v), want %q", c.sql, got, err, c.want)
		}
	}
}

// TestMigrations has several programs start on an empty database at once, and
// one that is older than the books.
func TestMigrations(t *testing.T) {
	ctx := context.Background()
	url := pgtest.New(t)
	errs := make(chan error)
	for range 5 {
		go func() {
			_, err := postgres.Migrate(ctx, url)
			errs <- err
		}()
	}
	for range 5 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	m, err := postgres.Migrate(ctx, url)
	if err != nil || m.From != m.To || m.To == 0 {
		t.Errorf("%+v, %v", m, err)
	}
	p := &pair{T: t, url: url, a: node(t, url)}
	p.do(p.a, with("", &ledger.OpenBook{}))
	exec(t, url, `UPDATE saldo.format SET format = format + 1`)
	if _, err := postgres.Open(ctx, url, postgres.Options{}); err == nil {
		t.Error("a newer format is opened")
	}
	p.refuses(p.a, ledger.Unavailable, with("", &ledger.AddUnit{Unit: usd})) // by a node that runs
	exec(t, url, `UPDATE saldo.format SET format = format - 1`)
	p.do(p.a, with("", &ledger.AddUnit{Unit: usd}))
}
