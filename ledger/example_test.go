package ledger_test

import (
	"encoding/hex"
	"fmt"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// The charge that docs/format.md draws byte by byte: 1.50 USD of an account
// that has 98.50 left.
func ExampleEvent_AppendBinary() {
	id, _ := ledger.ParseAccountID("01975bcd-1500-7000-8000-0123456789ab")
	revenue := ledger.SystemID(1, 0, ledger.Revenue)
	c := &ledger.Command{Tenant: 1, Book: 1, ID: "9b2f6c1e-7d1f-4c35-a2b8-0e6f5a4d3c21", Actor: 5,
		Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.Charge, From: id, To: revenue, Amount: money.New(1_500_000)}}}
	e := ledger.Event{
		Seq: 1_000_000, Time: ledger.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)),
		Actor: c.Actor, ID: c.ID, Print: c.Print(),
		Touched: []ledger.After{
			{Account: id, Posted: money.New(98_500_000)},
			{Account: revenue, Posted: money.New(7_000_000_000)},
		},
		Transfers: []ledger.Posting{{Kind: ledger.Charge, From: id, To: revenue, Amount: money.New(1_500_000)}},
	}
	b := e.AppendBinary(nil, 1)
	fmt.Println(len(b), hex.EncodeToString(b))
	// Output: 107 01c0843d80a0e3bbc39b9803052439623266366331652d376431662d346333352d613262382d30653666356134643363323156bf388407339d032febaa26f703753d0024020001975bcd1500700080000123456789abc0f6f75d0102008098dc93340100020001c08db701
}
