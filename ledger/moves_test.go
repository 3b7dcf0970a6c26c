package ledger_test

import (
	"context"
	"testing"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

func TestMoveBetweenBooks(t *testing.T) {
	ctx := context.Background()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l, err := ledger.Open(ctx, store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ids := make([]ledger.AccountID, 2)
	for i := range ids {
		book := ledger.BookID(i + 1)
		ids[i] = ledger.AccountID{1, 0, 0, 0, 0, byte(i)}
		_, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: book, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd},
			&ledger.OpenAccount{ID: ids[i], Unit: "USD", Mode: ledger.Own},
			&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(book, 0, ledger.Cash), To: ids[i], Amount: money.New(100)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	available := func(i int, want int64) {
		t.Helper()
		b, err := l.Balance(ctx, ids[i])
		if err != nil || b.Available != money.New(want) || !b.Held.IsZero() {
			t.Errorf("account %d: %v available, %v held, want %d and 0; %v", i, b.Available, b.Held, want, err)
		}
	}
	move := ledger.BookMove{Tenant: 1, ID: "m1", From: ids[0], To: ids[1], Amount: money.New(30), Text: txt("for March")}
	for range 2 { // the second is a repeat
		if _, err := l.MoveBetweenBooks(ctx, move); err != nil {
			t.Fatal(err)
		}
		available(0, 70)
		available(1, 130)
	}
	for _, text := range []*ledger.Text{txt("for April"), nil} {
		other := move
		other.Text = text
		if _, err := l.MoveBetweenBooks(ctx, other); ledger.CodeOf(err) != ledger.IDTaken {
			t.Errorf("the id with another text: %v", err)
		}
	}
	drawing, foreign, dear := ledger.AccountID{1, 1}, ledger.AccountID{1, 2}, ledger.AccountID{1, 3}
	for _, c := range []*ledger.Command{
		{Tenant: 1, Book: 2, Ops: []ledger.Op{&ledger.OpenAccount{ID: drawing, Mode: ledger.Drawing, Parent: ids[1]},
			&ledger.AddUnit{Unit: money.Unit{Code: "EUR", Scale: 6, Kind: money.Currency}}, &ledger.OpenAccount{ID: dear, Unit: "EUR", Mode: ledger.Own}}},
		{Tenant: 2, Book: 3, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.OpenAccount{ID: foreign, Unit: "USD", Mode: ledger.Own},
			&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(3, 0, ledger.Cash), To: foreign, Amount: money.New(100)}}},
	} {
		if _, err := l.Post(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from, to ledger.AccountID
		want     ledger.Code
	}{
		{ids[0], foreign, ledger.NotFound},
		{foreign, ids[0], ledger.NotFound},
		{ids[0], drawing, ledger.Invalid},
		{ids[0], dear, ledger.Invalid},
		{ids[0], ids[0], ledger.Invalid},
	} {
		cannot := ledger.BookMove{Tenant: 1, ID: "cannot", From: c.from, To: c.to, Amount: money.New(1)}
		if _, err := l.MoveBetweenBooks(ctx, cannot); ledger.CodeOf(err) != c.want {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, err, c.want)
		}
	}
	if _, _, _, err := l.Find(ctx, 1, "cannot"); ledger.CodeOf(err) != ledger.NotFound { // nothing was set aside
		t.Errorf("the id of what cannot be is taken: %v", err)
	}
	move.Text = nil
	move.Amount = money.New(31)
	if _, err := l.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.IDTaken {
		t.Errorf("another move with the id: %v", err)
	}
	move.ID, move.Amount = "m2", money.New(71)
	if _, err := l.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.Insufficient {
		t.Errorf("more than there is: %v", err)
	}

	// A payee that is closed by the time: the amount comes back, and a repeat says so too.
	closed := ledger.StatusClosed
	if _, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 2, Ops: []ledger.Op{
		&ledger.Transfer{Kind: ledger.Charge, From: ids[1], To: ledger.SystemID(2, 0, ledger.Revenue), Amount: money.New(130)},
		&ledger.SetAccount{Account: drawing, Status: &closed}, &ledger.SetAccount{Account: ids[1], Status: &closed}}}); err != nil {
		t.Fatal(err)
	}
	move.ID, move.Amount = "m3", money.New(5)
	for range 2 {
		if _, err := l.MoveBetweenBooks(ctx, move); ledger.CodeOf(err) != ledger.Closed {
			t.Errorf("to a closed account: %v", err)
		}
		available(0, 70)
	}
	l.Close()
	if _, err := ledger.Verify(ctx, store, ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}
