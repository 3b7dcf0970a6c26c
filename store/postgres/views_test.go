package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
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
	p.refuses(p.a, ledger.Unavailable, &ledger.Command{Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}}})
	exec(t, url, `UPDATE saldo.format SET format = format - 1`)
	p.do(p.a, with("", &ledger.AddUnit{Unit: usd}))
}

// TestTransfers compares what SQL reads of transfers with the events themselves,
// after commands of every kind at random.
func TestTransfers(t *testing.T) {
	ctx := context.Background()
	url := pgtest.New(t)
	w := ledgertest.NewWorkload(ledgertest.Seed(t))
	var now atomic.Int64
	now.Store(w.Now().UnixMicro())
	s, closed := open(t, url)
	defer closed()
	l, err := ledger.Open(ctx, s, ledger.Options{Now: func() time.Time { return time.UnixMicro(now.Load()) }, MaxClockStep: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	post := func(c *ledger.Command) {
		now.Store(w.Now().UnixMicro())
		if res, err := l.Post(ctx, c); err == nil { // what is refused moves nothing
			w.Learn(res.Book, res.Event)
		}
	}
	for _, c := range w.Setup() {
		post(c)
	}
	for range 1500 {
		post(w.Next())
	}
	fine := money.Unit{Code: "FINE", Scale: 18, Kind: money.Credit}
	most, _ := money.Parse("12345678901234567890123456789012345678", 0)
	post(&ledger.Command{Tenant: 1, Book: 1, ID: "most", Ops: []ledger.Op{&ledger.AddUnit{Unit: fine}, &ledger.OpenAccount{ID: acc("most"), Mode: ledger.Own, Unit: "FINE"}}})
	a, err := l.Account(ctx, acc("most"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, a.Unit, ledger.Cash), To: a.ID, Amount: most}}}); err != nil {
		t.Fatal(err)
	}
	var want []string
	kinds := map[ledger.TransferKind]int{}
	for book := ledger.BookID(1); book <= 3; book++ {
		head, err := l.Head(ctx, book)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range l.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: book}) {
			if err != nil {
				t.Fatal(err)
			}
			for n := range row.Event.Transfers {
				p := &row.Event.Transfers[n]
				kinds[p.Kind]++
				from, err := l.Account(ctx, p.From)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, transferText(head, row.Event, n, head.Units[from.Unit]))
			}
		}
	}
	if len(kinds) < 6 {
		t.Errorf("only transfers of these kinds were made: %v", kinds)
	}
	exec(t, url, `CREATE ROLE reporting LOGIN; GRANT USAGE ON SCHEMA saldo TO reporting;
		GRANT SELECT ON saldo.report_accounts, saldo.report_balances, saldo.report_holds, saldo.report_usage, saldo.report_transfers TO reporting`)
	t.Cleanup(func() { exec(t, url, `DROP OWNED BY reporting; DROP ROLE reporting`) })
	conn, err := pgx.Connect(ctx, strings.Replace(url, "user=saldo", "user=reporting", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT concat_ws(' ', book, tenant, seq, n, coalesce(id, '-'), (extract(epoch FROM created_at) * 1000000)::bigint, kind, from_account, to_account,
		coalesce(via::text, '-'), unit, amount, coalesce(asked::text, '-'), forced, coalesce(hold::text, '-'), coalesce(of_seq || '.' || of_n, '-'),
		coalesce(category || ' ' || count || ' ' || counted, '-')) FROM saldo.report_transfers ORDER BY book, seq, n`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d transfers are read, %d were made; the %dth is\n%s, was\n%s", len(got), len(want), i, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
	t.Logf("%d transfers", len(got))
	for _, sql := range []string{`SELECT FROM saldo.journal`, `SELECT FROM saldo.accounts`, `SELECT FROM saldo.texts`, `SELECT FROM saldo.records`,
		`SELECT FROM saldo.heads`, `DELETE FROM saldo.report_accounts`, `UPDATE saldo.format SET format = 2`} {
		if _, err := conn.Exec(ctx, sql); err == nil {
			t.Errorf("the reporting role may %s", sql)
		}
	}
}

// transferText is a transfer as the test's query writes it.
func transferText(h ledger.Head, e *ledger.Event, n int, unit money.Unit) string {
	p := &e.Transfers[n]
	of, hold, usage := "-", "-", "-"
	if p.Of != nil {
		of = fmt.Sprint(p.Of.Seq, ".", p.Of.N)
	}
	if !p.Hold.IsZero() {
		hold = ledger.AccountID(p.Hold).String()
	}
	if !p.Usage.IsZero() {
		usage = fmt.Sprint(p.Usage.Category, " ", p.Usage.Count.Text(0), " ", p.Usage.Unit)
	}
	or := func(there bool, text string) string {
		if there {
			return text
		}
		return "-"
	}
	id := e.TransferID(n)
	return fmt.Sprint(h.Book, " ", h.Tenant, " ", e.Seq, " ", n, " ", or(e.ID != "" || p.ID != "", id), " ", int64(e.Time), " ", p.Kind, " ", p.From, " ", p.To, " ",
		or(!p.Via.IsZero(), p.Via.String()), " ", unit.Code, " ", unit.Text(p.Amount), " ", or(!p.Asked.IsZero(), unit.Text(p.Asked)), " ",
		map[bool]string{false: "f", true: "t"}[p.Forced], " ", hold, " ", of, " ", usage)
}

// TestSettingsOfTheDatabase has a database whose defaults are not what books need.
func TestSettingsOfTheDatabase(t *testing.T) {
	url := pgtest.New(t)
	by := func(setting string) {
		t.Helper()
		exec(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET `+setting+`', current_database()); END $$`)
	}
	by("synchronous_commit = off")
	by("default_transaction_isolation = serializable")
	s, closed := open(t, url)
	defer closed()
	for name, want := range map[string]string{"synchronous_commit": "on", "default_transaction_isolation": "read committed"} {
		if got, err := s.Setting(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	by("default_transaction_read_only = on")
	exec(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err := s.Ping(t.Context()); err == nil {
		t.Error("it is said to be well, and can only be read")
	}
}
