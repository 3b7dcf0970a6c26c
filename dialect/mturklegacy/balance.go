package mturklegacy

import (
	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/money"
)

// dollars is the unit of every Price.
var dollars = money.Unit{Code: currency, Scale: centScale, Kind: money.Currency}

// balance is GetAccountBalance: the AvailableBalance of the account that the
// credential is for, and in the versions of 2006 an OnHoldBalance, which was
// money on its way into the account and is nothing here.
func (s *server) balance(x *dialect.Exchange, c *call) error {
	if c.credential.Root.IsZero() {
		return refuse(codeNoAccount)
	}
	b, err := s.ledger.Balance(x.Context(), c.credential.Root)
	if err != nil {
		return err
	}
	if b.Unit.Code != currency || b.Unit.Kind != money.Currency {
		return refuse(codeCurrency, b.Unit.Code)
	}
	x.Out = appendPrice(x.Out, "AvailableBalance", mturk.Available(&b))
	if c.edition.onHold {
		x.Out = appendPrice(x.Out, "OnHoldBalance", money.Amount{})
	}
	return nil
}

// appendPrice appends an amount, in cents, as an element that is a Price.
func appendPrice(out []byte, name string, cents money.Amount) []byte {
	out = appendOpen(out, name)
	out = append(out, "<Amount>"...)
	out = cents.AppendText(out, centScale)
	out = append(out, "</Amount><CurrencyCode>"+currency+"</CurrencyCode><FormattedPrice>"...)
	out = append(out, money.Value{Amount: cents, Unit: dollars}.FormattedPrice()...)
	out = append(out, "</FormattedPrice>"...)
	return appendClose(out, name)
}
