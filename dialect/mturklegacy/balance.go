package mturklegacy

import (
	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/money"
)

// balance is GetAccountBalance: the AvailableBalance of the account that the
// credential is for, and in the versions of 2006 an OnHoldBalance, which was
// money on its way into the account and is nothing here.
func (s *server) balance(x *dialect.Exchange, c *call) error {
	b, err := c.requester.Balance(x.Context())
	if err != nil {
		return err
	}
	x.Out = c.appendAmount(x.Out, "AvailableBalance", mturk.Available(&b))
	if c.edition.onHold {
		x.Out = c.appendAmount(x.Out, "OnHoldBalance", money.Amount{})
	}
	return nil
}

// appendPrice appends an amount as an element that is a Price.
func (c *call) appendPrice(out []byte, name string, amount mturk.Cents) []byte {
	return c.appendAmount(out, name, money.New(int64(amount)))
}

// appendAmount is appendPrice of hundredths, however many.
func (c *call) appendAmount(out []byte, name string, cents money.Amount) []byte {
	out = appendOpen(out, name)
	out = append(out, "<Amount>"...)
	out = cents.AppendText(out, centScale)
	out = append(out, "</Amount><CurrencyCode>"...)
	out = append(out, c.currency...)
	out = append(out, "</CurrencyCode><FormattedPrice>"...)
	unit := money.Unit{Code: c.currency, Scale: centScale, Kind: money.Currency}
	out = appendText(out, money.Value{Amount: cents, Unit: unit}.FormattedPrice())
	out = append(out, "</FormattedPrice>"...)
	return appendClose(out, name)
}
