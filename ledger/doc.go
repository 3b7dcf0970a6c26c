// Package ledger keeps prepaid balances: the rules by which money moves between
// accounts, and the journal that proves that it did.
//
// What always holds: every unit of a book sums to zero; an event, once
// answered, is durable and never changes; no unforced command leaves an account
// with less than nothing to spend; a repeated command has no second effect.
//
// # Words
//
//	tenant       an organization; isolates everything
//	book         one journal with one order and one hash chain; an account lives
//	             in one book for ever, with its whole tree
//	unit         what a balance counts: code, scale, kind (see package money)
//	account      has a balance in one unit
//	sub-account  an account with a parent. Own: it has its own balance. Drawing:
//	             what it spends is paid by the nearest ancestor that has money,
//	             and a cap may bound it
//	posted       paid in minus paid out
//	held         the sum of the open holds
//	available    posted - held
//	limit        the credit limit: how far below zero the account may go;
//	             negative: how much must stay
//	spendable    available + limit: what a charge may take
//	transfer     one amount between two accounts of a book in one unit; immutable
//	hold         an amount set aside, to be captured, released, extended, raised,
//	             or to expire
//	record       an object that a dialect keeps beside the money, written in the
//	             same commands
//	command      what a caller asks, with an id; one or many operations, all or none
//	event        one entry of the journal: a command and what became of it
//	system       the other side: @cash, @revenue, @fees, one each per book and unit
//
// # The core is a function of values
//
// [Decide] reads a [State] and answers a [Command] with an [Event]; [Fold] adds
// the event to the state; replaying the journal is the same Fold. Neither does
// I/O, reads a clock, starts a goroutine or draws a random number. [Ledger]
// drives them: it prefetches what a command needs, decides everything that is
// waiting, makes it durable with one [Store.Append], and answers.
package ledger
