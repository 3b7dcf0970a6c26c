package ledger_test

import (
	"context"
	"testing"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

var usd = money.Unit{Code: "USD", Scale: 6, Kind: money.Currency}

func TestThinWhole(t *testing.T) {
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
	id, _ := ledger.ParseAccountID("0190a0b0-0000-7000-8000-000000000001")
	cash := ledger.SystemID(1, 0, ledger.Cash)
	revenue := ledger.SystemID(1, 0, ledger.Revenue)
	post := func(id string, ops ...ledger.Op) (ledger.Result, error) {
		return l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: id, Remember: true, Ops: ops})
	}
	if _, err := post("open", &ledger.OpenBook{}, &ledger.AddUnit{Unit: usd},
		&ledger.OpenAccount{ID: id, Unit: "USD", Mode: ledger.Own}); err != nil {
		t.Fatal(err)
	}
	if _, err := post("t1", &ledger.Transfer{Kind: ledger.TopUp, From: cash, To: id, Amount: money.New(100)}); err != nil {
		t.Fatal(err)
	}
	charge := &ledger.Transfer{Kind: ledger.Charge, From: id, To: revenue, Amount: money.New(30), Text: &ledger.Text{Data: []byte("why")}}
	for range 2 {
		if _, err := post("c1", charge); err != nil {
			t.Fatal(err)
		}
	}
	_, err = post("c2", &ledger.Transfer{Kind: ledger.Charge, From: id, To: revenue, Amount: money.New(71)})
	if ledger.CodeOf(err) != ledger.Insufficient {
		t.Fatalf("err = %v", err)
	}
	b, err := l.Balance(ctx, id)
	if err != nil || b.Spendable != money.New(70) || b.Seq != 4 {
		t.Fatalf("balance %+v, %v", b, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := ledger.Verify(ctx, store, ledger.VerifyOptions{})
	if err != nil || report.Events != 4 || report.Texts != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
}
