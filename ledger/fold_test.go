package ledger_test

import (
	"strings"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// TestFoldRefusesForgeries folds events that no decision makes: each is an
// error, and neither a panic nor a loop without end.
func TestFoldRefusesForgeries(t *testing.T) {
	a, x := acc("A"), acc("X")
	for name, e := range map[string]*ledger.Event{
		"its own parent": {Opened: []ledger.Opened{{Account: x, Parent: x, Mode: ledger.Drawing}},
			Touched:   []ledger.After{{Account: x}, {Account: a, Posted: money.New(10)}, {Account: revenue}},
			Transfers: []ledger.Posting{{Kind: ledger.Charge, From: a, To: revenue, Via: x, Amount: money.New(1)}}},
		"opened twice": {Opened: []ledger.Opened{{Account: a, Mode: ledger.Own}}, Touched: []ledger.After{{Account: a, Posted: money.New(10)}}},
		"too large": {Touched: []ledger.After{{Account: a, Posted: money.New(10), Limit: pow2(126, 0)}},
			Set: []ledger.Setting{{Account: a, HasLimit: true}}},
	} {
		d := newDesk(t, own("A"), topup("A", 10))
		e.Seq, e.Time = d.Head().Seq+1, d.Head().Time
		done := make(chan error, 1)
		go func() { done <- d.Add(e, nil) }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "account") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: no end", name)
		}
	}
}
