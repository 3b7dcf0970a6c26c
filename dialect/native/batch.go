package native

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

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
		if e := asError(err); e.ofOp && e.Code != CodeMismatch {
			return reply{}, inItem(e, e.op, lone)
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
		err := w.place(it, t)
		if err == nil {
			err = w.oneBook(it)
		}
		if err != nil {
			return nil, inItem(err, n, lone)
		}
		switch {
		case it.id != id:
			t.ID = it.id
		case len(q.items) > 1:
			return nil, inItem(invalid("id", "is the id of the batch: give the transfer another, or none"), n, lone)
		}
		c.Ops[n] = t
	}
	c.Book = w.book
	return c, nil
}

// inItem says in which transfer of a batch a field is.
func inItem(err error, n int, lone bool) error {
	e := asError(err)
	if !lone && len(e.Details) == 0 {
		e.Details = []Detail{{fmt.Sprintf("transfers[%d]", n), "was refused, and with it all of the batch"}}
	} else if !lone {
		e.Details[0].Field = strings.TrimSuffix(fmt.Sprintf("transfers[%d].%s", n, e.Details[0].Field), ".")
	}
	return e
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
func (w *lookup) place(it *item, t *ledger.Transfer) error {
	switch {
	case !it.hasFrom:
		return invalid("from", "is missing")
	case !it.hasTo:
		return invalid("to", "is missing")
	}
	if err := it.check(); err != nil {
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
		if a, err = w.system(it); err != nil {
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
			return invalid("from", "and to have different units: %s and %s", r.unit, unit.Code)
		}
	}
	if t.Kind, err = it.kindOf(); err != nil {
		return err
	}
	if err := w.may(it, from, to, t.Kind); err != nil {
		return err
	}
	return it.transfer(t, unit)
}

// oneBook refuses accounts of another book than the batch's.
func (w *lookup) oneBook(it *item) error {
	const elsewhere = "is in another book: a batch is of one, and between books there are only plain moves, each by itself"
	switch {
	case it.from.role == 0 && w.last[0].Book != w.book:
		return invalid("from", elsewhere)
	case it.to.role == 0 && w.last[1].Book != w.book:
		return invalid("to", elsewhere)
	}
	return nil
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
func (w *lookup) system(it *item) (*ledger.Account, error) {
	r := it.from
	if r.unit == "" {
		r = it.to
	}
	if r.unit == "" {
		return nil, invalid("from", "needs its unit, as @revenue:USD, where neither side is a customer's account")
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
func (it *item) kindOf() (ledger.TransferKind, error) {
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
		return 0, invalid("kind", "is %s, but between these accounts it is a %s", it.kind, kind)
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
	if kind == ledger.Adjustment && mine != nil { // which may take from an account that is frozen
		scope |= auth.TopUp
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
	if _, err := w.q.opened(mine.ID); err != nil || !it.force {
		return err
	}
	return w.q.mayLend(mine)
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
		err = w.place(it, &t)
	}
	switch {
	case err != nil:
		return rep, true, err
	case t.Kind != ledger.Move || t.UpTo || t.Force || !t.Usage.IsZero():
		return rep, true, invalid("to", "is in another book: between books there are only plain moves")
	}
	m := ledger.BookMove{Tenant: q.tenant, ID: id, Actor: q.cred.Number, From: t.From, To: t.To, Amount: t.Amount, Text: t.Text}
	res, err := q.s.ledger.MoveBetweenBooks(q.ctx, m)
	if err != nil {
		e := asError(err)
		if e.Replayed = res.Replayed; e.Account == t.To.String() {
			e.Account = "" // the record of a move that was refused has only the text
		}
		return rep, true, e
	}
	q.b = append(q.b, '{')
	if err := q.move(&m, res.Event, from); err != nil {
		return rep, true, err
	}
	err = q.balanceAfter(from.Book, res.Event, from.ID)
	q.close()
	return reply{status: 201, replayed: res.Replayed}, true, err
}

// move writes the members of a move between books, of which an event has set the
// amount aside.
func (q *request) move(m *ledger.BookMove, e *ledger.Event, from *ledger.Account) error {
	unit, err := q.unit(from)
	if err != nil {
		return err
	}
	q.string("id", m.ID)
	q.time("created_at", e.Time)
	q.string("kind", ledger.Move.String())
	q.writer.account("from", m.From)
	q.writer.account("to", m.To)
	q.amount("amount", m.Amount, unit)
	q.string("unit", unit.Code)
	q.bool("between_books", true)
	q.uint("seq", e.Seq)
	return q.noteOf(from.Book, e, e.Holds[0].Text)
}

// findMove finds a move between books, of which the credential opens an account;
// else, and of what is no move, it returns missing. The move is nil only then.
func (q *request) findMove(id string, missing error) (*ledger.BookMove, *ledger.Event, error) {
	m, e, err := q.s.ledger.FindMove(q.ctx, q.tenant, id)
	if m == nil {
		if ledger.CodeOf(err) == ledger.NotFound {
			err = missing
		}
		return nil, nil, err
	}
	if ok, err := q.touches(&ledger.Posting{From: m.From, To: m.To}); err != nil {
		return nil, nil, err
	} else if !ok {
		return nil, nil, missing
	}
	if code := ledger.CodeOf(err); err != nil && !code.Retryable() && code != ledger.Internal {
		err = refuse(CodeNotFound, "The transfer %.64q was refused: %s", id, faultOfLedger(code).code)
	}
	return m, e, err
}

// readMove serves GET /v1/transfers/{id} of a move between books.
func (q *request) readMove(id string, missing error) (reply, error) {
	m, e, err := q.findMove(id, missing)
	if err != nil {
		return reply{}, err
	}
	from, err := q.present(m.From)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	err = q.move(m, e, from)
	q.close()
	return reply{}, err
}

// idOf returns the id that the nth transfer of an event is shown with: of a half of
// a move between books, the move's.
func (q *request) idOf(e *ledger.Event, n int) (string, error) {
	move, err := q.s.ledger.MoveOf(q.ctx, e)
	if err != nil || move != "" {
		return move, err
	}
	return e.TransferID(n), nil
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
