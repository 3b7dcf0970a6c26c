package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

// openTenants opens a ledger that stops when closed says so or the test ends.
func openTenants(t testing.TB, dir string) (l *ledger.Ledger, closed func()) {
	t.Helper()
	store, err := embedded.Open(dir, embedded.Options{DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	l, err = ledger.Open(t.Context(), store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closed = sync.OnceFunc(func() {
		if err := errors.Join(l.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closed)
	return l, closed
}

func wantCode(t *testing.T, what string, err error, code ledger.Code) {
	t.Helper()
	if ledger.CodeOf(err) != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func TestTenants(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	l, closed := openTenants(t, dir)
	if _, err := l.TenantByName(ctx, "acme"); ledger.CodeOf(err) != ledger.NotFound {
		t.Errorf("in an empty store: %v", err)
	}
	if page, next, err := l.Tenants(ctx, "", 10); len(page) != 0 || next != "" || err != nil {
		t.Errorf("in an empty store: %v, %q, %v", page, next, err)
	}
	acme, replayed, err := l.CreateTenant(ctx, 7, "make acme", ledger.Tenant{Name: "acme"})
	if err != nil || replayed || acme.Number != 1 || acme.Created == 0 || acme.ID[6]>>4 != 7 || acme.ID[8]>>6 != 2 {
		t.Fatalf("%+v, %v, %v", acme, replayed, err)
	}
	again, replayed, err := l.CreateTenant(ctx, 7, "make acme", ledger.Tenant{Name: "acme"})
	if err != nil || !replayed || again != acme {
		t.Errorf("repeated: %+v, %v, %v", again, replayed, err)
	}
	_, _, err = l.CreateTenant(ctx, 7, "make acme", ledger.Tenant{Name: "other"})
	wantCode(t, "same id, other name", err, ledger.IDTaken)
	_, _, err = l.CreateTenant(ctx, 7, "", ledger.Tenant{Name: "acme"})
	wantCode(t, "same name", err, ledger.Exists)
	_, _, err = l.CreateTenant(ctx, 7, "", ledger.Tenant{Name: "beta", ID: acme.ID})
	wantCode(t, "same UUID", err, ledger.Exists)
	for _, name := range []string{"", "Acme", "a b", "a/b", "123", acme.ID.String(), "ä", fmt.Sprintf("%064d", 1)} {
		_, _, err = l.CreateTenant(ctx, 7, "", ledger.Tenant{Name: name})
		wantCode(t, "name "+name, err, ledger.Invalid)
	}
	beta, _, err := l.CreateTenant(ctx, 7, "", ledger.Tenant{Name: "3-beta", ID: ledger.AccountID{1, 2, 3}})
	if err != nil || beta.Number != 2 || beta.ID != (ledger.AccountID{1, 2, 3}) {
		t.Fatalf("%+v, %v", beta, err)
	}

	spare, replayed, err := l.CreateBook(ctx, 7, "b", acme.Number, "spare")
	if err != nil || replayed || spare.Number != 3 {
		t.Errorf("%+v, %v, %v", spare, replayed, err)
	}
	if b, replayed, err := l.CreateBook(ctx, 7, "b", acme.Number, "spare"); err != nil || !replayed || b != spare {
		t.Errorf("repeated: %+v, %v, %v", b, replayed, err)
	}
	if b, replayed, err := l.CreateBook(ctx, 7, "b", beta.Number, "spare"); err != nil || replayed || b.Number != 4 {
		t.Errorf("another tenant's id: %+v, %v, %v", b, replayed, err)
	}
	_, _, err = l.CreateBook(ctx, 7, "", acme.Number, "spare")
	wantCode(t, "same name", err, ledger.Exists)
	_, _, err = l.CreateBook(ctx, 7, "", 99, "spare")
	wantCode(t, "no tenant", err, ledger.NotFound)
	_, err = l.BookByName(ctx, acme.Number, "none")
	wantCode(t, "no book", err, ledger.NotFound)

	closed()
	l, _ = openTenants(t, dir)
	for _, ref := range []string{"acme", "1", acme.ID.String()} {
		if got, err := l.Tenant(ctx, ref); err != nil || got != acme {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	page, next, err := l.Tenants(ctx, "", 1)
	if err != nil || !slices.Equal(page, []ledger.Tenant{acme}) || next == "" {
		t.Errorf("%+v, %q, %v", page, next, err)
	}
	page, next, err = l.Tenants(ctx, next, 1)
	if err != nil || !slices.Equal(page, []ledger.Tenant{beta}) || next != "" {
		t.Errorf("%+v, %q, %v", page, next, err)
	}
	books, err := l.Books(ctx, acme.Number)
	if err != nil || len(books) != 2 || books[0].Name != ledger.FirstBook || books[0].Number != 1 || books[1] != spare {
		t.Errorf("%+v, %v", books, err)
	}
	for _, b := range books {
		if h, err := l.Head(ctx, b.Number); err != nil || h.Seq != 1 || h.Tenant != acme.Number {
			t.Errorf("head of %s: %+v, %v", b.Name, h, err)
		}
	}
}

func TestUnits(t *testing.T) {
	ctx := t.Context()
	l, _ := openTenants(t, t.TempDir())
	acme, _, err := l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	sms := money.Unit{Code: "SMS", Scale: 0, Kind: money.Credit}
	yen := money.Unit{Code: "JPY", Scale: 2, Kind: money.Currency}
	_, err = l.Unit(ctx, acme.Number, "SMS")
	wantCode(t, "before it is made", err, ledger.NotFound)
	for _, u := range []money.Unit{sms, yen, sms} {
		if replayed, err := l.CreateUnit(ctx, 0, "", acme.Number, u); err != nil || replayed {
			t.Errorf("%s: %v, %v", u.Code, replayed, err)
		}
	}
	for i := range 2 {
		if replayed, err := l.CreateUnit(ctx, 0, "no change", acme.Number, sms); err != nil || replayed != (i > 0) {
			t.Errorf("the same again: %v, %v", replayed, err)
		}
	}
	other := sms
	other.Scale = 2
	_, err = l.CreateUnit(ctx, 0, "", acme.Number, other)
	wantCode(t, "another scale", err, ledger.Exists)
	_, err = l.CreateUnit(ctx, 0, "no change", acme.Number, other)
	wantCode(t, "another unit under the same id", err, ledger.IDTaken)
	_, err = l.CreateUnit(ctx, 0, "", acme.Number, money.Unit{Code: "sms", Kind: money.Credit})
	wantCode(t, "no unit", err, ledger.Invalid)
	_, err = l.CreateUnit(ctx, 0, "", 99, sms)
	wantCode(t, "no tenant", err, ledger.NotFound)
	for code, want := range map[string]money.Unit{"SMS": sms, "JPY": yen, "USD": usd} {
		if u, err := l.Unit(ctx, acme.Number, code); err != nil || u != want {
			t.Errorf("%s: %+v, %v", code, u, err)
		}
	}
	if units, err := l.Units(ctx, acme.Number); err != nil || !slices.Equal(units, []money.Unit{yen, sms}) {
		t.Errorf("%+v, %v", units, err)
	}
	// A unit that a book has without its being made cannot be made otherwise.
	_, err = l.Post(ctx, &ledger.Command{Tenant: acme.Number, Book: 1, Ops: []ledger.Op{&ledger.AddUnit{Unit: usd}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.CreateUnit(ctx, 0, "", acme.Number, money.Unit{Code: "USD", Scale: 2, Kind: money.Currency})
	wantCode(t, "another scale than a book's", err, ledger.Exists)
	if _, err := l.CreateUnit(ctx, 0, "", acme.Number, usd); err != nil {
		t.Errorf("the scale of a book: %v", err)
	}
}

// TestTenantsAtOnce has many make the same and different tenants together.
func TestTenantsAtOnce(t *testing.T) {
	ctx := t.Context()
	l, _ := openTenants(t, t.TempDir())
	var wait sync.WaitGroup
	var mu sync.Mutex
	numbers := map[ledger.TenantID]string{}
	made := map[string]int{}
	for i := range 24 {
		wait.Go(func() {
			name := fmt.Sprintf("t%d", i%8)
			tenant, replayed, err := l.CreateTenant(ctx, 0, "make "+name, ledger.Tenant{Name: name})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !replayed {
				made[name]++
			}
			if was := numbers[tenant.Number]; was != "" && was != name {
				t.Errorf("tenants %s and %s have one number", was, name)
			}
			numbers[tenant.Number] = name
		})
	}
	wait.Wait()
	for name, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	if page, _, err := l.Tenants(ctx, "", 100); err != nil || len(page) != 8 || len(made) != 8 {
		t.Errorf("%d tenants, %d made: %v", len(page), len(made), err)
	}
}

// TestTenantInterrupted finds a tenant whose first book was recorded but not
// made, as when the server was stopped in between, and mends it.
func TestTenantInterrupted(t *testing.T) {
	ctx := t.Context()
	l, _ := openTenants(t, t.TempDir())
	if err := l.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	write := func(kind, key, data string, index ...ledger.IndexEntry) ledger.RecordWrite {
		return ledger.RecordWrite{Kind: kind, Key: key, Data: []byte(data), Index: index}
	}
	_, err := l.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{
		write("tenant", "0000000001", `{"v":1,"id":"00000000-0000-7000-8000-000000000001","name":"acme","created":1}`),
		write("tenant.name", "acme", "0000000001"),
		write("book", "0000000001", `{"v":1,"tenant":1,"name":"main","created":1}`, ledger.IndexEntry{Name: "tenant", Value: "0000000001"}),
		write("book.name", "0000000001/main", "0000000001"),
		write("tenant", "0000000002", `{"v":2,"id":"00000000-0000-7000-8000-000000000001","name":"acme","created":1}`),
		write("tenant", "0000000003", `{"v":1,"id":"00000000-0000-7000-8000-000000000001","name":"acme","created":1,"new":1}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := l.Head(ctx, 1); err != nil || h.Seq != 0 {
		t.Fatalf("before: %+v, %v", h, err)
	}
	_, _, err = l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: "acme"})
	wantCode(t, "made again", err, ledger.Exists)
	if h, err := l.Head(ctx, 1); err != nil || h.Seq != 1 || h.Tenant != 1 {
		t.Errorf("after: %+v, %v", h, err)
	}
	for n := ledger.TenantID(2); n <= 3; n++ {
		if _, err := l.TenantByNumber(ctx, n); err == nil {
			t.Error("a record that a newer version wrote was read")
		}
	}
}
