package native

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

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

// check refuses what an item lacks or contradicts, in a place like "transfers[3]".
func (it *item) check(at string) error {
	switch {
	case it.amount.isZero():
		return invalid(at+"amount", "is missing")
	case it.force && it.note.reason == nil:
		return invalid(at+"reason", "is missing: a forced transfer needs one")
	case it.force && it.upTo:
		return invalid(at+"up_to", "cannot be said of a forced transfer")
	}
	return nil
}

// transfer makes the operation, once the accounts and their unit are known.
func (it *item) transfer(t *ledger.Transfer, unit money.Unit, at string) (err error) {
	if t.Amount, err = it.amount.in(unit, at+"amount"); err != nil {
		return err
	}
	if !it.count.isZero() {
		if it.usage.Count, err = it.count.in(money.Unit{Code: "count", Scale: countScale}, at+"count"); err != nil {
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
	if err = it.check(""); err != nil {
		return
	}
	if it.force {
		if err = q.need(auth.Admin); err != nil {
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
	b, err := q.s.ledger.After(q.ctx, book, e, id)
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
	if err := it.transfer(t, unit, ""); err != nil {
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
	if err := q.payee(&it.to, unit, "to"); err != nil {
		return reply{}, err
	}
	if err := it.transfer(t, unit, ""); err != nil {
		return reply{}, err
	}
	return q.one(id, a.Book, t, "", a.ID, unit)
}

// payee refuses a payee of another tenant, or a system account of another unit.
func (q *request) payee(to *ref, unit money.Unit, field string) error {
	if to.role != 0 {
		if to.unit != "" && to.unit != unit.Code {
			return invalid(field, "is of %s, the account of %s", to.unit, unit.Code)
		}
		return nil
	}
	_, err := q.present(to.id)
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
	if err := q.payee(&it.to, unit, "against"); err != nil {
		return reply{}, err
	}
	t := &ledger.Transfer{Kind: ledger.Adjustment, From: it.to.in(a.Book, a.Unit), To: a.ID}
	if err := it.transfer(t, unit, ""); err != nil {
		return reply{}, err
	}
	scope := auth.TopUp
	if t.Amount.Sign() < 0 {
		var ok bool
		if t.Amount, ok = t.Amount.Neg(); !ok {
			return reply{}, invalid("amount", "is too large")
		}
		t.From, t.To = t.To, t.From
		scope = auth.Charge
	}
	if err := q.need(scope); err != nil {
		return reply{}, err
	}
	return q.one(id, a.Book, t, "", a.ID, unit)
}

// transfers serves POST /v1/transfers: a batch, all or none, or one transfer.
func (s *server) transfers(q *request) (reply, error) {
	d, err := q.read(maxBatch, false)
	if err != nil {
		return reply{}, err
	}
	batch, lone, err := q.decodeBatch(&d)
	if err != nil {
		return reply{}, err
	}
	if lone {
		if rep, moved, err := q.betweenBooks(&batch); moved || err != nil {
			return rep, err
		}
	}
	c, err := q.batch(&batch, lone)
	if err != nil {
		return reply{}, err
	}
	res, err := q.post(c)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && !lone && len(e.Details) == 0 && e.ofOp {
			e.Details = []Detail{{fmt.Sprintf("transfers[%d]", e.op), "was refused, and with it all of the batch"}}
		}
		return reply{}, err
	}
	if lone {
		return q.loneReply(c.Book, &res)
	}
	return q.batchReply(c.Book, &res)
}

// decodeBatch reads the body of POST /v1/transfers into q.items. Batch has what
// is said beside them.
func (q *request) decodeBatch(d *decoder) (batch item, lone bool, err error) {
	lone = true
	q.items = q.items[:0]
	d.item(&batch, batchMembers, func(string) {
		lone = false
		d.array(func(n int) {
			if n == ledger.MaxOps {
				d.fail("has more than %d transfers", ledger.MaxOps)
				return
			}
			if n < cap(q.items) {
				q.items = q.items[:n+1]
				q.items[n] = item{}
			} else {
				q.items = append(q.items, item{})
			}
			d.item(&q.items[n], itemMembers, nil)
		})
	})
	if d.end(); d.err != nil {
		return batch, lone, d.err
	}
	switch {
	case lone:
		q.items = append(q.items, batch)
	case len(q.items) == 0:
		return batch, lone, invalid("transfers", "is empty")
	case batch.hasFrom || batch.hasTo || !batch.amount.isZero() || batch.kind != 0 || batch.upTo || batch.force ||
		batch.usage != (ledger.Usage{}) || !batch.count.isZero() || batch.note.reason != nil || batch.note.metadata != nil:
		return batch, lone, invalid("transfers", "beside it there may only be an id: say the rest in each transfer")
	}
	return batch, lone, nil
}

// batch makes the command. The accounts decide the book.
func (q *request) batch(batch *item, lone bool) (*ledger.Command, error) {
	id, err := q.batchID(batch, lone)
	if err != nil {
		return nil, err
	}
	c := &ledger.Command{ID: id, Ops: make([]ledger.Op, len(q.items))}
	all := make([]ledger.Transfer, len(q.items))
	w := lookup{q: q}
	for n := range q.items {
		it, t := &q.items[n], &all[n]
		at := ""
		if !lone {
			at = fmt.Sprintf("transfers[%d].", n)
		}
		if err := w.place(it, t, at); err != nil {
			return nil, err
		}
		if it.id != id {
			t.ID = it.id
		}
		c.Ops[n] = t
	}
	c.Book = w.book
	return c, nil
}

// batchID returns the id of the command. A batch without one of its own whose
// transfers all have theirs gets one made of those, so that its repeat is known.
func (q *request) batchID(batch *item, lone bool) (string, error) {
	id, err := q.id(batch.id, false)
	if err != nil || id != "" || lone {
		if err == nil && id == "" {
			err = refuse(CodeIDRequired, "")
		}
		return id, err
	}
	h := sha256.New()
	for n := range q.items {
		if q.items[n].id == "" {
			return "", refuse(CodeIDRequired, "Give the batch an id, or one to each of its transfers, so that repeating it cannot move the money twice: transfers[%d] has none", n)
		}
		h.Write([]byte(q.items[n].id))
		h.Write([]byte{0})
	}
	return "batch-" + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// A lookup finds the accounts of a batch, each once if they follow each other.
type lookup struct {
	q     *request
	book  ledger.BookID
	found bool // the book is known
	last  [2]*ledger.Account
	units map[uint32]money.Unit
}

// place finds out between which accounts a transfer goes, checks that the
// credential may make it, and fills t.
func (w *lookup) place(it *item, t *ledger.Transfer, at string) error {
	switch {
	case !it.hasFrom:
		return invalid(at+"from", "is missing")
	case !it.hasTo:
		return invalid(at+"to", "is missing")
	}
	if err := it.check(at); err != nil {
		return err
	}
	from, err := w.account(0, it.from)
	if err != nil {
		return err
	}
	to, err := w.account(1, it.to)
	if err != nil {
		return err
	}
	a := from
	if a == nil {
		a = to
	}
	if a == nil {
		if a, err = w.system(it, at); err != nil {
			return err
		}
	}
	if !w.found {
		w.book, w.found = a.Book, true
	}
	t.From, t.To = it.from.in(w.book, a.Unit), it.to.in(w.book, a.Unit)
	unit, err := w.unit(a)
	if err != nil {
		return err
	}
	for _, r := range []ref{it.from, it.to} {
		if r.unit != "" && r.unit != unit.Code {
			return invalid(at+"from", "and to have different units: %s and %s", r.unit, unit.Code)
		}
	}
	if t.Kind, err = it.kindOf(at); err != nil {
		return err
	}
	if err := w.may(it, from, to, t.Kind); err != nil {
		return err
	}
	return it.transfer(t, unit, at)
}

// account returns the account that r names, or nil for a system account.
func (w *lookup) account(n int, r ref) (*ledger.Account, error) {
	if r.role != 0 {
		return nil, nil
	}
	if a := w.last[n]; a != nil && a.ID == r.id {
		return a, nil
	}
	a, err := w.q.present(r.id)
	w.last[n] = a
	return a, err
}

// system finds book and unit of a transfer between two system accounts.
func (w *lookup) system(it *item, at string) (*ledger.Account, error) {
	r := it.from
	if r.unit == "" {
		r = it.to
	}
	if r.unit == "" {
		return nil, invalid(at+"from", "needs its unit, as @revenue:USD, where neither side is a customer's account")
	}
	return w.q.system(r, "")
}

func (w *lookup) unit(a *ledger.Account) (money.Unit, error) {
	if u, ok := w.units[a.Unit]; ok && a.Book == w.book {
		return u, nil
	}
	u, err := w.q.unit(a)
	if err == nil && a.Book == w.book {
		if w.units == nil {
			w.units = make(map[uint32]money.Unit)
		}
		w.units[a.Unit] = u
	}
	return u, err
}

// kindOf returns the kind of a transfer: as it was said, or as its ends have it.
func (it *item) kindOf(at string) (ledger.TransferKind, error) {
	var kind ledger.TransferKind
	switch from, to := it.from.role, it.to.role; {
	case from == ledger.Cash && to == 0:
		kind = ledger.TopUp
	case from == 0 && to != 0:
		kind = ledger.Charge
	case from == 0:
		kind = ledger.Move
	default:
		kind = ledger.Adjustment
	}
	switch {
	case it.kind == 0 || it.kind == kind || it.kind == ledger.Adjustment:
	case it.kind == ledger.Charge && kind == ledger.Move: // of one customer, for another
	default:
		return 0, invalid(at+"kind", "is %s, but between these accounts it is a %s", it.kind, kind)
	}
	if it.kind != 0 {
		kind = it.kind
	}
	return kind, nil
}

// may refuses a transfer that the credential may not make.
func (w *lookup) may(it *item, from, to *ledger.Account, kind ledger.TransferKind) error {
	scope := auth.Charge
	mine := from
	switch {
	case from == nil && to == nil:
		scope, mine = auth.Admin, nil
	case from == nil:
		scope, mine = auth.TopUp, to
	}
	if it.force {
		scope |= auth.Admin
	}
	if err := w.q.need(scope); err != nil {
		return err
	}
	if w.q.cred.Root.IsZero() {
		return nil
	}
	if mine == nil {
		return refuse(CodeForbidden, "")
	}
	_, err := w.q.opened(mine.ID)
	return err
}

// betweenBooks makes a lone transfer between accounts of two books, if it is
// one. The server carries it through: what it answers is that the amount was
// set aside in the one book and has arrived in the other.
func (q *request) betweenBooks(it *item) (rep reply, moved bool, err error) {
	if !it.hasFrom || !it.hasTo || it.from.role != 0 || it.to.role != 0 {
		return rep, false, nil
	}
	from, err := q.present(it.from.id)
	if err != nil {
		return rep, false, err
	}
	to, err := q.present(it.to.id)
	if err != nil || from.Book == to.Book {
		return rep, false, err
	}
	w := lookup{q: q}
	var t ledger.Transfer
	id, err := q.batchID(it, true)
	if err == nil {
		err = w.place(it, &t, "")
	}
	switch {
	case err != nil:
		return rep, true, err
	case t.Kind != ledger.Move || t.UpTo || t.Force || !t.Usage.IsZero():
		return rep, true, invalid("to", "is in another book: between books there are only plain moves")
	}
	res, err := q.s.ledger.MoveBetweenBooks(q.ctx, ledger.BookMove{Tenant: q.tenant, ID: id, Actor: q.cred.Number, From: t.From, To: t.To,
		Amount: t.Amount, Text: t.Text})
	if err != nil {
		e := asError(err)
		e.Replayed = res.Replayed
		return rep, true, e
	}
	e := res.Event
	unit, err := q.unit(from)
	if err != nil {
		return rep, true, err
	}
	q.b = append(q.b, '{')
	q.string("id", id)
	q.time("created_at", e.Time)
	q.string("kind", ledger.Move.String())
	q.writer.account("from", t.From)
	q.writer.account("to", t.To)
	q.amount("amount", t.Amount, unit)
	q.string("unit", unit.Code)
	q.bool("between_books", true)
	q.uint("seq", e.Seq)
	if err := q.noteOf(from.Book, e, e.Holds[0].Text); err != nil {
		return rep, true, err
	}
	err = q.balanceAfter(from.Book, e, from.ID)
	q.close()
	return reply{status: 201, replayed: res.Replayed}, true, err
}

// loneReply writes the reply to a transfer that was not in a list.
func (q *request) loneReply(book ledger.BookID, res *ledger.Result) (reply, error) {
	e := res.Event
	p := &e.Transfers[0]
	shown := p.From
	switch {
	case !p.Via.IsZero():
		shown = p.Via
	case shown.IsSystem():
		shown = p.To
	}
	b, err := q.s.ledger.After(q.ctx, book, e, shown)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.writer.transfer(e, 0, b.Unit)
	if err := q.noteOf(book, e, p.Text); err != nil {
		return reply{}, err
	}
	q.key("balance")
	q.balance(&b, e.Time)
	q.close()
	return reply{status: 201, replayed: res.Replayed}, nil
}

// batchReply writes the reply to a batch: every transfer, and the balance of
// every account that the credential opens, once.
func (q *request) batchReply(book ledger.BookID, res *ledger.Result) (reply, error) {
	e := res.Event
	head, err := q.s.ledger.Head(q.ctx, book)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.string("id", e.ID)
	q.time("created_at", e.Time)
	q.uint("seq", e.Seq)
	q.openList("balances")
	units := make(map[ledger.AccountID]uint32, len(e.Touched))
	for i := range e.Touched {
		id := e.Touched[i].Account
		if id.IsSystem() {
			_, units[id], _ = id.System()
			continue
		}
		b, err := q.s.ledger.After(q.ctx, book, e, id)
		if err != nil {
			return reply{}, err
		}
		units[id] = b.Account.Unit
		if q.opens(b.Account) {
			q.b = comma(q.b)
			q.balance(&b, e.Time)
		}
	}
	q.closeList()
	q.openList("transfers")
	for n := range e.Transfers {
		q.item()
		q.writer.transfer(e, n, head.Units[units[e.Transfers[n].From]])
		if err := q.noteOf(book, e, e.Transfers[n].Text); err != nil {
			return reply{}, err
		}
		q.close()
	}
	q.closeList()
	q.close()
	return reply{status: 201, replayed: res.Replayed}, nil
}

// readTransfer serves GET /v1/transfers/{id}: a transfer, or a batch by its own id.
func (s *server) readTransfer(q *request) (reply, error) {
	book, e, n, err := q.find(q.params[0])
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

// find finds a transfer that touches an account which the credential opens.
func (q *request) find(id string) (ledger.BookID, *ledger.Event, int, error) {
	book, e, n, err := q.s.ledger.Find(q.ctx, q.tenant, id)
	switch {
	case err != nil:
		return 0, nil, 0, err
	case e.Refused != nil:
		return 0, nil, 0, refuse(CodeNotFound, "The transfer %.64q was refused: %s", id, faultOfLedger(e.Refused.Code).code)
	case n >= len(e.Transfers):
		return 0, nil, 0, refuse(CodeNotFound, "The id %.64q is not a transfer's", id)
	}
	if q.cred.Root.IsZero() {
		return book, e, n, nil
	}
	p := &e.Transfers[n]
	for _, id := range []ledger.AccountID{p.From, p.To, p.Via} {
		if id.IsZero() {
			continue
		}
		a, err := q.present(id)
		if err != nil {
			return 0, nil, 0, err
		}
		if q.opens(a) {
			return book, e, n, nil
		}
	}
	return 0, nil, 0, refuse(CodeNotFound, "")
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

// referred writes the id of the transfer that a refund gives back.
func (q *request) referred(p *ledger.Posting) error {
	if p.Of == nil {
		return nil
	}
	past, err := q.s.ledger.Event(q.ctx, p.Of.Book, p.Of.Seq)
	if err != nil {
		return err
	}
	q.string("of", past.TransferID(int(p.Of.N)))
	return nil
}

// refund serves POST /v1/transfers/{id}/refunds.
func (s *server) refund(q *request) (reply, error) {
	book, e, n, err := q.find(q.params[0])
	if err != nil {
		return reply{}, err
	}
	p := &e.Transfers[n]
	if e.ID == q.params[0] && len(e.Transfers) > 1 {
		return reply{}, invalid("id", "names %d transfers; refund each by its own id", len(e.Transfers))
	}
	for _, id := range []ledger.AccountID{p.From, p.To} {
		if id.IsSystem() {
			continue
		}
		if _, err := q.opened(id); err != nil {
			return reply{}, err
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
		if err := q.need(auth.Admin); err != nil {
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
	a, err := s.ledger.Account(q.ctx, shown)
	if err != nil {
		return reply{}, err
	}
	unit, err := q.unit(a)
	if err != nil {
		return reply{}, err
	}
	op := &ledger.Refund{Of: e.TransferID(n), Force: it.force, Text: it.note.compose()}
	if !it.amount.isZero() {
		amount, err := it.amount.in(unit, "amount")
		if err != nil {
			return reply{}, err
		}
		op.Amount = &amount
	}
	return q.one(id, book, op, op.Of, shown, unit)
}
