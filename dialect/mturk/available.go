package mturk

import (
	"math"

	"saldo/ledger"
	"saldo/money"
)

// centScale is the decimals of every amount of this API and of the older ones:
// dollars and cents.
const centScale = 2

// mostCents is shown for what does not fit into 128 bits of cents.
var mostCents = money.FromParts(math.MaxInt64, math.MaxUint64)

// Available returns what MTurk's requester APIs, this one and the older ones,
// call the available balance, in hundredths of a dollar. It is rounded toward
// minus infinity, so that nobody is shown more than there is, and never
// negative, because the pattern of amounts in these APIs has no minus.
//
// Of a prepaid requester, who has no credit limit, it is the account's own money
// that is free. Of a billed one ("AWS Billing enabled": a credit limit above 0)
// it is what is left of the limit; leftover prepaid money is not added
// (https://docs.aws.amazon.com/AWSMechTurk/latest/AWSMturkAPI/ApiReference_GetAccountBalanceOperation.html).
// Of an account that draws on another it is what it can spend.
//
// The balance has to be in dollars; the caller sees to that.
func Available(b *ledger.Balance) money.Amount {
	a := b.Available
	switch {
	case !b.DrawnFrom.IsZero():
		a = b.Spendable
	case b.Limit.Sign() > 0:
		a, _ = b.Limit.Add(money.Min(b.Available, money.Amount{})) // of opposite signs: it fits
	}
	if a.Sign() <= 0 {
		return money.Amount{}
	}
	if cents, ok := a.Rescale(int(b.Unit.Scale), centScale); ok {
		return cents
	}
	return mostCents // of a unit with fewer decimals: less than there is, and no wrap
}

// OnHold returns what is on hold for a requester, in hundredths of a dollar,
// rounded toward minus infinity.
func OnHold(b *ledger.Balance) money.Amount {
	if cents, ok := b.Held.Rescale(int(b.Unit.Scale), centScale); ok {
		return cents
	}
	return mostCents
}
