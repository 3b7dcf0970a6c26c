package native

import (
	"errors"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// An item is what a body says of one transfer.
type item struct {
	id       string
	from, to ref
	hasFrom  bool
	hasTo    bool
	kind     ledger.TransferKind
	amount   numeral
	upTo     bool
	force    bool
	count    numeral
	usage    ledger.Usage
	note     note
}

// Members that bodies know.
var (
	topUpMembers  = []string{"id", "amount", "reason", "category", "count", "usage_unit", "metadata"}
	chargeMembers = []string{"id", "amount", "up_to", "force", "reason", "category", "count", "usage_unit", "metadata", "to"}
	adjustMembers = []string{"id", "amount", "force", "reason", "category", "count", "usage_unit", "metadata", "against"}
	itemMembers   = []string{"id", "from", "to", "amount", "kind", "up_to", "force", "reason", "category", "count",
		"usage_unit", "metadata"}
	batchMembers  = append([]string{"transfers"}, itemMembers...)
	refundMembers = []string{"id", "amount", "force", "reason", "metadata"}
)

// item reads the members that are known, but for others, which are the caller's.
func (d *decoder) item(it *item, known []string, other func(name string)) {
	d.object(known, func(name string) {
		switch name {
		case "id":
			it.id = d.id()
		case "from":
			it.from, it.hasFrom = d.ref(), true
		case "to", "against":
			it.to, it.hasTo = d.ref(), true
		case "amount":
			it.amount = d.numeral()
		case "kind":
			it.kind = d.kind()
		case "up_to":
			it.upTo = d.bool()
		case "force":
			it.force = d.bool()
		case "category":
			it.usage.Category = d.text(64)
		case "count":
			it.count = d.numeral()
		case "usage_unit":
			it.usage.Unit = d.text(32)
		case "reason":
			it.note.reason = d.reason()
		case "metadata":
			it.note.metadata = d.metadata()
		default:
			other(name)
		}
	})
}

func (d *decoder) reason() []byte { return appendQuoted(nil, d.text(maxReason)) }

func (d *decoder) kind() ledger.TransferKind {
	word := d.text(32)
	kind, ok := ledger.ParseTransferKind(word)
	if d.err == nil && (!ok || kind == ledger.Capturing || kind == ledger.Refunding) {
		d.fail("has to be topup, charge, adjustment or move; a capture is made from a hold, a refund from a transfer")
	}
	return kind
}

// check refuses what an item lacks or contradicts.
func (it *item) check() error {
	switch {
	case it.amount.isZero():
		return invalid("amount", "is missing")
	case it.force && it.note.reason == nil:
		return invalid("reason", "is missing: a forced transfer needs one")
	case it.force && it.upTo:
		return invalid("up_to", "cannot be said of a forced transfer")
	}
	return nil
}

// transfer makes the operation, once the accounts and their unit are known.
func (it *item) transfer(t *ledger.Transfer, unit money.Unit) (err error) {
	if t.Amount, err = it.amount.above(unit, "amount"); err != nil {
		return err
	}
	return it.rest(t)
}

// rest fills what an operation has beside accounts and amount.
func (it *item) rest(t *ledger.Transfer) (err error) {
	if !it.count.isZero() {
		if it.usage.Count, err = it.count.in(money.Unit{Code: "count", Scale: countScale}, "count"); err != nil {
			return err
		}
	}
	t.UpTo, t.Force, t.Usage, t.Text = it.upTo, it.force, it.usage, it.note.compose()
	return nil
}

// single reads the body of a call for one transfer of the account in the path.
func (q *request) single(it *item, known []string) (a *ledger.Account, unit money.Unit, id string, err error) {
	if a, err = q.pathAccount(); err != nil {
		return
	}
	d, err := q.read(maxBody, false)
	if err != nil {
		return
	}
	d.item(it, known, nil)
	if d.end(); d.err != nil {
		err = d.err
		return
	}
	if id, err = q.id(it.id, true); err != nil {
		return
	}
	if err = it.check(); err != nil {
		return
	}
	if it.force {
		if err = q.mayForce(a.ID); err != nil {
			return
		}
	}
	unit, err = q.unit(a)
	return
}

// one posts a single transfer and writes the reply.
func (q *request) one(id string, book ledger.BookID, op ledger.Op, of string, shown ledger.AccountID, unit money.Unit) (reply, error) {
	res, err := q.post(&ledger.Command{Book: book, ID: id, Ops: []ledger.Op{op}})
	if err != nil {
		if e := asError(err); e.left != nil {
			e.figures(e.left, unit)
		}
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.writer.transfer(res.Event, 0, unit)
	q.word("of", of)
	if err := q.noteOf(book, res.Event, res.Event.Transfers[0].Text); err != nil {
		return reply{}, err
	}
	if err := q.balanceAfter(book, res.Event, shown); err != nil {
		return reply{}, err
	}
	q.close()
	return reply{status: 201, replayed: res.Replayed}, nil
}

// noteOf writes the parts of a text of an event.
func (q *request) noteOf(book ledger.BookID, e *ledger.Event, text uint32) error {
	n, err := q.noteText(book, e, text)
	q.note(n)
	return err
}

func (q *request) noteAt(book ledger.BookID, at ledger.TextAt) error {
	data, err := q.s.ledger.Text(q.ctx, book, at)
	if err == nil {
		q.note(parseNote(data))
	}
	return err
}

// balanceAfter writes the balance of an account as an event left it.
func (q *request) balanceAfter(book ledger.BookID, e *ledger.Event, id ledger.AccountID) error {
	b, err := q.after(book, e, id)
	if err != nil {
		return err
	}
	q.key("balance")
	q.writer.balance(&b, e.Time)
	return nil
}

// topUp serves POST /v1/accounts/{id}/topups.
func (s *server) topUp(q *request) (reply, error) {
	var it item
	a, unit, id, err := q.single(&it, topUpMembers)
	if err != nil {
		return reply{}, err
	}
	t := &ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(a.Book, a.Unit, ledger.Cash), To: a.ID}
	if err := it.transfer(t, unit); err != nil {
		return reply{}, err
	}
	return q.one(id, a.Book, t, "", a.ID, unit)
}

// charge serves POST /v1/accounts/{id}/charges.
func (s *server) charge(q *request) (reply, error) {
	var it item
	a, unit, id, err := q.single(&it, chargeMembers)
	if err != nil {
		return reply{}, err
	}
	if !it.hasTo {
		it.to.role = ledger.Revenue
	}
	t := &ledger.Transfer{Kind: ledger.Charge, From: a.ID, To: it.to.in(a.Book, a.Unit)}
	if err := q.payee(&it.to, a.Book, unit, "to"); err != nil {
		return reply{}, err
	}
	if err := it.transfer(t, unit); err != nil {
		return reply{}, err
	}
	return q.one(id, a.Book, t, "", a.ID, unit)
}

// payee refuses a payee of another tenant or book, or a system account of another unit.
func (q *request) payee(to *ref, book ledger.BookID, unit money.Unit, field string) error {
	if to.role != 0 {
		if to.unit != "" && to.unit != unit.Code {
			return invalid(field, "is of %s, the account of %s", to.unit, unit.Code)
		}
		return nil
	}
	a, err := q.present(to.id)
	if err == nil && a.Book != book {
		err = invalid(field, "is in another book: between books there are only plain moves, by POST /v1/transfers")
	}
	return err
}

// adjust serves POST /v1/accounts/{id}/adjustments, whose amount may be below zero.
func (s *server) adjust(q *request) (reply, error) {
	var it item
	a, unit, id, err := q.single(&it, adjustMembers)
	if err != nil {
		return reply{}, err
	}
	if !it.hasTo {
		it.to.role = ledger.Revenue
	}
	if it.to.role == 0 {
		return reply{}, invalid("against", "has to be @revenue, @cash or @fees; money goes from account to account by POST /v1/transfers")
	}
	if err := q.payee(&it.to, a.Book, unit, "against"); err != nil {
		return reply{}, err
	}
	t := &ledger.Transfer{Kind: ledger.Adjustment, From: it.to.in(a.Book, a.Unit), To: a.ID}
	if t.Amount, err = it.amount.in(unit, "amount"); err == nil {
		err = it.rest(t)
	}
	if err != nil {
		return reply{}, err
	}
	scope := auth.TopUp
	switch t.Amount.Sign() {
	case 0:
		return reply{}, invalid("amount", "has to be above zero or below it")
	case -1:
		var ok bool
		if t.Amount, ok = t.Amount.Neg(); !ok {
			return reply{}, invalid("amount", "is too large")
		}
		t.From, t.To = t.To, t.From
		scope |= auth.Charge
	}
	if err := q.need(scope); err != nil {
		return reply{}, err
	}
	return q.one(id, a.Book, t, "", a.ID, unit)
}

// readTransfer serves GET /v1/transfers/{id}: a transfer, or a batch by its own id.
func (s *server) readTransfer(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	book, e, n, err := q.find(q.params[0])
	if isMissing(err) {
		return q.readMove(q.params[0], err)
	}
	if err != nil {
		return reply{}, err
	}
	if e.ID == q.params[0] && len(e.Transfers) > 1 {
		q.b = append(q.b, '{')
		q.string("id", e.ID)
		q.time("created_at", e.Time)
		q.uint("seq", e.Seq)
		q.openList("transfers")
		for n := range e.Transfers {
			if ok, err := q.touches(&e.Transfers[n]); err != nil {
				return reply{}, err
			} else if !ok {
				continue
			}
			q.item()
			if err := q.fullTransfer(book, e, n); err != nil {
				return reply{}, err
			}
			q.close()
		}
		q.closeList()
		q.close()
		return reply{}, nil
	}
	q.b = append(q.b, '{')
	if err := q.fullTransfer(book, e, n); err != nil {
		return reply{}, err
	}
	q.close()
	return reply{}, nil
}

// find finds a transfer that touches an account which the credential opens, or
// by its own id a batch that has any.
func (q *request) find(id string) (ledger.BookID, *ledger.Event, int, error) {
	missing := refuse(CodeNotFound, "There is no transfer %.64q", id)
	book, e, n, err := q.s.ledger.Find(q.ctx, q.tenant, id)
	switch {
	case ledger.CodeOf(err) == ledger.NotFound:
		return 0, nil, 0, missing
	case err != nil:
		return 0, nil, 0, err
	case e.Refused != nil && q.cred.Root.IsZero():
		return 0, nil, 0, refuse(CodeNotFound, "The transfer %.64q was refused: %s", id, faultOfLedger(e.Refused.Code).code)
	case n >= len(e.Transfers):
		return 0, nil, 0, missing
	}
	several := e.Transfers[n : n+1]
	if e.ID == id {
		several = e.Transfers
	}
	for i := range several {
		if ok, err := q.touches(&several[i]); ok || err != nil {
			return book, e, n, err
		}
	}
	return 0, nil, 0, missing
}

func isMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeNotFound
}

// touches reports whether a transfer touches an account that the credential opens.
func (q *request) touches(p *ledger.Posting) (bool, error) {
	if q.cred.Root.IsZero() {
		return true, nil
	}
	for _, id := range []ledger.AccountID{p.From, p.To, p.Via} {
		if id.IsZero() {
			continue
		}
		if a, err := q.present(id); err != nil || q.opens(a) {
			return err == nil, err
		}
	}
	return false, nil
}

// mayForce refuses a credential that may not take from an account more than it has.
func (q *request) mayForce(id ledger.AccountID) error {
	if err := q.need(auth.Admin); err != nil {
		return err
	}
	a, err := q.present(id)
	if err != nil {
		return err
	}
	return q.mayLend(a)
}

// fullTransfer writes the members of a transfer, with what it refers to.
func (q *request) fullTransfer(book ledger.BookID, e *ledger.Event, n int) error {
	p := &e.Transfers[n]
	a, err := q.s.ledger.Account(q.ctx, p.From)
	if err != nil {
		return err
	}
	unit, err := q.unit(a)
	if err != nil {
		return err
	}
	q.writer.transfer(e, n, unit)
	if err := q.referred(p); err != nil {
		return err
	}
	return q.noteOf(book, e, p.Text)
}

// referred writes the ids of what a transfer refers to.
func (q *request) referred(p *ledger.Posting) error {
	of, hold, err := q.references(p)
	q.word("hold", hold)
	q.word("of", of)
	return err
}

// references returns the id of the transfer that a refund gives back, and of the
// hold that a capture pays from.
func (q *request) references(p *ledger.Posting) (of, hold string, err error) {
	if !p.Hold.IsZero() {
		h, err := q.s.ledger.HoldByRef(q.ctx, p.Hold)
		if err != nil {
			return "", "", err
		}
		hold = h.ID
	}
	if p.Of != nil {
		past, err := q.s.ledger.Event(q.ctx, p.Of.Book, p.Of.Seq)
		if err != nil {
			return "", "", err
		}
		of = past.TransferID(int(p.Of.N))
	}
	return of, hold, nil
}

// refund serves POST /v1/transfers/{id}/refunds.
func (s *server) refund(q *request) (reply, error) {
	book, e, n, err := q.find(q.params[0])
	if isMissing(err) {
		var m *ledger.BookMove
		if m, _, err = q.findMove(q.params[0], err); m != nil {
			err = invalid("id", "names a move between books, which another move gives back")
		}
	}
	if err != nil {
		return reply{}, err
	}
	p := &e.Transfers[n]
	if e.ID == q.params[0] && len(e.Transfers) > 1 {
		return reply{}, invalid("id", "names %d transfers; refund each by its own id, and the first, where it has none, as %.64s#0", len(e.Transfers), e.ID)
	}
	for _, id := range []ledger.AccountID{p.From, p.To} {
		if id.IsSystem() {
			continue
		}
		a, err := q.present(id)
		if err != nil {
			return reply{}, err
		}
		if !q.opens(a) {
			return reply{}, refuse(CodeForbidden, "The transfer is with an account that the credential does not open")
		}
	}
	d, err := q.read(maxBody, false)
	if err != nil {
		return reply{}, err
	}
	var it item
	d.item(&it, refundMembers, nil)
	if d.end(); d.err != nil {
		return reply{}, d.err
	}
	id, err := q.id(it.id, true)
	if err != nil {
		return reply{}, err
	}
	if it.force && it.note.reason == nil {
		return reply{}, invalid("reason", "is missing: a forced refund needs one")
	}
	if it.force {
		if err := q.mayForce(p.To); err != nil {
			return reply{}, err
		}
	}
	shown := p.From
	switch {
	case !p.Via.IsZero():
		shown = p.Via
	case shown.IsSystem():
		shown = p.To
	}
	a, err := q.present(shown)
	if err != nil {
		return reply{}, err
	}
	unit, err := q.unit(a)
	if err != nil {
		return reply{}, err
	}
	op := &ledger.Refund{Of: e.TransferID(n), Force: it.force, Text: it.note.compose()}
	if !it.amount.isZero() {
		amount, err := it.amount.above(unit, "amount")
		if err != nil {
			return reply{}, err
		}
		op.Amount = &amount
	}
	return q.one(id, book, op, op.Of, shown, unit)
}
