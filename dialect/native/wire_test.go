package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"saldo/ledger"
	"saldo/money"
)

var usd = money.Unit{Code: "USD", Scale: 6, Kind: money.Currency}

func sampleEvent() (*ledger.Event, *ledger.Balance) {
	id := ledger.AccountID{1, 2, 3, 15: 9}
	a := &ledger.Account{ID: id, Created: 1_700_000_000_000_000, Book: 1, Mode: ledger.Own}
	e := &ledger.Event{Seq: 7, Time: 1_800_000_000_123_456, ID: "order-1", Transfers: []ledger.Posting{{Kind: ledger.Charge, From: id,
		To: ledger.SystemID(1, 0, ledger.Revenue), Via: ledger.AccountID{4, 15: 1}, Amount: money.New(2_500_000), Asked: money.New(3_000_000),
		Forced: true, Usage: ledger.Usage{Category: "sms", Count: money.New(3), Unit: "segments"}}}}
	return e, &ledger.Balance{Account: a, Unit: usd, Posted: money.New(7_500_000), Held: money.New(1), Available: money.New(7_499_999),
		Limit: money.New(-5), Spendable: money.New(7_499_994), DrawnFrom: ledger.AccountID{9, 15: 9}, Spent: money.New(1), Cap: money.New(2),
		HasCap: true, AsOf: e.Time, Seq: 7}
}

// TestHalvesAgree: what the server writes, the client's types read, and nothing
// of it is lost.
func TestHalvesAgree(t *testing.T) {
	e, b := sampleEvent()
	n := note{reason: []byte(`"why"`), metadata: []byte(`{"a":1}`)}
	var w writer
	w.b = append(w.b, '{')
	w.transfer(e, 0, usd)
	w.string("of", "order-0")
	w.note(n)
	w.key("balance")
	w.balance(b, e.Time)
	w.close()
	same[Transfer](t, w.b)

	w.b = []byte{'{'}
	w.hold(&ledger.Hold{ID: "h", Account: b.Account.ID, Via: ledger.AccountID{4, 15: 1}, Amount: money.New(1), State: ledger.HoldOpen,
		Created: e.Time, Updated: e.Time, Seq: 3, Expires: e.Time}, usd)
	w.note(n)
	w.close()
	same[Hold](t, w.b)
}

// same reads text into a T and writes it again.
func same[T any](t *testing.T, text []byte) {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	again, err := json.Marshal(v)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("the server writes\n%s, the client reads\n%s %v", text, again, err)
	}
}

// TestFaults: every code of the ledger has its row, and the client finds every row.
func TestFaults(t *testing.T) {
	for _, code := range ledger.Codes() {
		f := faultOfLedger(code)
		if f.ledger != code {
			t.Errorf("the ledger's %v is said as %s, which means %v", code, f.code, f.ledger)
		}
		if f.error().Retryable != code.Retryable() {
			t.Errorf("%s: retryable is %v, of the ledger's %v it is not", f.code, f.error().Retryable, code)
		}
	}
	seen := map[string]bool{}
	for i := range faults {
		f := &faults[i]
		if seen[f.code] {
			t.Errorf("%s is there twice", f.code)
		}
		seen[f.code] = true
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := &server{}
			q := &request{Request: r, s: s}
			s.o.Logger = slog.New(slog.DiscardHandler)
			q.refuse(w, f.error())
		}))
		err := (&Client{URL: server.URL, Tries: 1}).Do(t.Context(), "GET", "/", nil, nil)
		server.Close()
		var got *Error
		if !errors.As(err, &got) || got.Status != f.status || got.Code != f.code || got.LedgerCode() != f.ledger || got.Message != f.message {
			t.Errorf("%s arrives as %+v", f.code, err)
		}
	}
}
