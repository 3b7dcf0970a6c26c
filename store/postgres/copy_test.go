package postgres_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
	"saldo/store/embedded"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// memory opens an embedded store that is nowhere else.
func memory(t *testing.T) *embedded.Store {
	t.Helper()
	s, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem(), DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A breaking store fails to take in more than so many batches.
type breaking struct {
	ledger.Store
	left int
}

var errBroken = errors.New("broken off")

func (b *breaking) Append(ctx context.Context, batch *ledger.Batch) error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return b.Store.Append(ctx, batch)
}

// TestCopy takes books from one kind of store to the other and back, once broken
// off on the way, with events of every kind and texts that were erased.
func TestCopy(t *testing.T) {
	ctx := context.Background()
	first := memory(t)
	l, err := ledger.Open(ctx, first, ledger.Options{MaxClockStep: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := ledgertest.NewWorkload(ledgertest.Seed(t))
	cmds := w.Setup()
	for range 2500 {
		cmds = append(cmds, w.Next())
	}
	for _, c := range cmds {
		if res, err := l.Post(ctx, c); err == nil {
			w.Learn(res.Book, res.Event)
		}
	}
	profile := &ledger.Text{Data: []byte(`{"name":"Ada"}`)}
	for _, op := range []ledger.Op{&ledger.OpenAccount{ID: acc("ada"), Mode: ledger.Own, Unit: "USD", Profile: profile}, &ledger.Erase{Account: acc("ada")}} {
		if _, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(), first.WaitErased(ctx)); err != nil {
		t.Fatal(err)
	}
	want := verified(t, first)

	url := pgtest.New(t)
	second, closed := open(t, url)
	defer closed()
	if _, err := ledger.Copy(ctx, first, &breaking{second, 1}, nil); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	var steps []uint64
	heads, err := ledger.Copy(ctx, first, second, func(done, total uint64) { steps = append(steps, done, total) })
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 || steps[len(steps)-1] != steps[len(steps)-2] {
		t.Errorf("progress %v", steps)
	}
	if err := second.WaitErased(ctx); err != nil {
		t.Fatal(err)
	}
	if got := verified(t, second); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(heads, want.Heads) {
		t.Errorf("the copy: %+v\nthe original: %+v", got, want)
	}
	snapshot, err := postgres.OpenSnapshot(ctx, url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if _, err := ledger.Copy(ctx, first, snapshot, nil); err != nil { // there is nothing to do
		t.Error(err)
	}

	third := memory(t)
	if _, err := ledger.Copy(ctx, snapshot, third, nil); err != nil {
		t.Fatal(err)
	}
	if err := third.WaitErased(ctx); err != nil {
		t.Fatal(err)
	}
	if got := verified(t, third); !reflect.DeepEqual(got, want) {
		t.Errorf("the copy of the copy: %+v\nthe original: %+v", got, want)
	}
	if _, err := ledger.Copy(ctx, memory(t), second, nil); err == nil {
		t.Error("books are copied over others")
	}
}

func verified(t *testing.T, s ledger.Store) ledger.Report {
	t.Helper()
	r, err := ledger.Verify(context.Background(), s, ledger.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSnapshot proves books that are written to.
func TestSnapshot(t *testing.T) {
	p := newPair(t)
	s, err := postgres.OpenSnapshot(context.Background(), p.url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p.do(p.a, with("", charge("x", 1)))
	if r := verified(t, s); r.Events != 1 {
		t.Errorf("%d events", r.Events)
	}
}

// TestFaults wants every index that is not what the journal makes to be found.
func TestFaults(t *testing.T) {
	p := newPair(t)
	p.do(p.a, with("h", place("", "x", 1, 0), &ledger.SetAccount{Account: acc("x"), Profile: &ledger.Text{Data: []byte(`{"name":"Ada"}`)}}))
	p.do(p.a, &ledger.Command{Records: []ledger.RecordWrite{{Kind: "k", Key: "r", Index: []ledger.IndexEntry{{Name: "n", Value: "v"}}}}})
	p.do(p.a, with("", charge("x", 1)))
	prove(t, p.url)
	s, closed := open(t, p.url)
	defer closed()
	for _, fault := range []string{
		`DELETE FROM saldo.statements WHERE seq = 2`,
		`DELETE FROM saldo.words`,
		`DELETE FROM saldo.entries`,
		`UPDATE saldo.usage SET price = price + 1`,
		`UPDATE saldo.holds SET owner = '00000000-0000-0000-0000-000000000001'`,
		`UPDATE saldo.accounts SET posted = posted + 1 WHERE mode = 1`,
		`UPDATE saldo.heads SET hash = '\x00'`,
		`DELETE FROM saldo.ids`,
		`UPDATE saldo.texts SET data = '{}'`,
	} {
		exec(t, p.url, `CREATE SCHEMA kept; CREATE TABLE kept.statements AS TABLE saldo.statements; CREATE TABLE kept.words AS TABLE saldo.words;
			CREATE TABLE kept.entries AS TABLE saldo.entries; CREATE TABLE kept.usage AS TABLE saldo.usage; CREATE TABLE kept.holds AS TABLE saldo.holds;
			CREATE TABLE kept.accounts AS TABLE saldo.accounts; CREATE TABLE kept.heads AS TABLE saldo.heads; CREATE TABLE kept.ids AS TABLE saldo.ids; CREATE TABLE kept.texts AS TABLE saldo.texts`)
		exec(t, p.url, fault)
		if _, err := ledger.Verify(context.Background(), s, ledger.VerifyOptions{}); err == nil {
			t.Errorf("after %s the books are proved", fault)
		}
		for _, table := range []string{"statements", "words", "entries", "usage", "holds", "accounts", "heads", "ids", "texts"} {
			exec(t, p.url, `DELETE FROM saldo.`+table+`; INSERT INTO saldo.`+table+` SELECT * FROM kept.`+table)
		}
		exec(t, p.url, `DROP SCHEMA kept CASCADE`)
	}
	prove(t, p.url)
}
