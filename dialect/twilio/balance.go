package twilio

import (
	"net/http"

	"saldo/auth"
)

// fetchBalance serves GET /Accounts/{Sid}/Balance: what a main account can
// spend, its credit limit included. A sub-account has no balance to show.
func (q *request) fetchBalance() error {
	b, err := q.account(auth.Read)
	if err != nil {
		return err
	}
	if !b.Account.Parent.IsZero() {
		return &faults[notFound]
	}
	q.give(http.StatusOK, "Balance",
		field{name: "account_sid", value: q.sid},
		field{name: "balance", value: amountText(b.Spendable, int(b.Unit.Scale))},
		field{name: "currency", value: b.Unit.Code})
	return nil
}
