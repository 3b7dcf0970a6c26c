package twilio

import "saldo/auth"

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
	q.give("Balance",
		field{"account_sid", q.sid, false},
		field{"balance", amountText(b.Spendable, int(b.Unit.Scale)), false},
		field{"currency", b.Unit.Code, false})
	return nil
}
