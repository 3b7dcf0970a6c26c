package native

import (
	"fmt"
	"slices"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// A holdBody is what bodies say of holds.
type holdBody struct {
	id     string
	amount numeral
	to     []payee
	final  bool
	life   ledger.Lifetime
	lives  bool // a lifetime was given
	count  numeral
	usage  ledger.Usage
	note   note
}

type payee struct {
	account ref
	amount  numeral
}

var (
	holdMembers    = []string{"id", "amount", "expires_at", "ttl_seconds", "reason", "metadata"}
	captureMembers = []string{"id", "amount", "to", "final", "reason", "category", "count", "usage_unit", "metadata"}
	releaseMembers = []string{"id", "reason", "metadata"}
	extendMembers  = []string{"id", "expires_at", "ttl_seconds"}
	raiseMembers   = []string{"id", "amount"}
	payeeMembers   = []string{"account", "amount"}
)

// maxTTL is the longest life of a hold that ends: 100 years.
const maxTTL = 100 * 365 * 24 * 60 * 60

func (d *decoder) holdBody(b *holdBody, known []string) {
	d.object(known, func(name string) {
		switch name {
		case "id":
			b.id = d.id()
		case "amount":
			b.amount = d.numeral()
		case "to":
			d.array(func(n int) {
				if n == ledger.MaxPayees {
					d.fail("has more than %d payees", ledger.MaxPayees)
					return
				}
				b.to = append(b.to, d.payee())
			})
		case "final":
			b.final = d.bool()
		case "expires_at", "ttl_seconds":
			if b.lives {
				d.fail("is said twice: give either expires_at or ttl_seconds")
				return
			}
			b.life, b.lives = d.lifetime(name), true
		case "category":
			b.usage.Category = d.text(64)
		case "count":
			b.count = d.numeral()
		case "usage_unit":
			b.usage.Unit = d.text(32)
		case "reason":
			b.note.reason = d.reason()
		case "metadata":
			b.note.metadata = d.metadata()
		}
	})
	d.end()
}

func (d *decoder) payee() (p payee) {
	named := false
	d.object(payeeMembers, func(name string) {
		switch name {
		case "account":
			p.account, named = d.ref(), true
		case "amount":
			p.amount = d.numeral()
		}
	})
	if d.err == nil && (!named || p.amount.isZero()) {
		d.fail("needs account and amount")
	}
	return p
}

// lifetime reads expires_at, a time or "never", or ttl_seconds.
func (d *decoder) lifetime(name string) ledger.Lifetime {
	if name == "ttl_seconds" {
		return ledger.Lifetime{For: time.Duration(d.integer(1, maxTTL)) * time.Second}
	}
	text := d.text(64)
	if text == "never" {
		return ledger.Lifetime{Never: true}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if d.err == nil && (err != nil || t.Unix() <= 0 || t.Year() > 9999) {
		d.fail(`has to be a time, as "2030-01-31T12:00:00Z", or "never"`)
	}
	return ledger.Lifetime{At: ledger.TimeOf(t)}
}

// placeHold serves POST /v1/accounts/{id}/holds.
func (s *server) placeHold(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.holdCall(holdMembers, true)
	if err != nil {
		return reply{}, err
	}
	unit, err := q.unit(a)
	if err != nil {
		return reply{}, err
	}
	amount, err := b.amountIn(unit)
	if err != nil {
		return reply{}, err
	}
	op := &ledger.PlaceHold{Account: a.ID, Amount: amount, Expires: b.life, Text: b.note.compose()}
	res, err := q.post(&ledger.Command{Book: a.Book, ID: id, Ops: []ledger.Op{op}})
	if err != nil {
		return reply{}, err
	}
	e := res.Event
	ch := &e.Holds[0]
	h := held(ch, e)
	h.ID, h.Created = e.HoldID(0), e.Time
	q.b = append(q.b, '{')
	q.hold(&h, unit)
	if err := q.noteOf(a.Book, e, ch.Text); err != nil {
		return reply{}, err
	}
	if err := q.balanceAfter(a.Book, e, a.ID); err != nil {
		return reply{}, err
	}
	q.close()
	return reply{status: 201, replayed: res.Replayed}, nil
}

// holdCall reads the body of a call about a hold.
func (q *request) holdCall(known []string, needsID bool) (*holdBody, string, error) {
	d, err := q.read(maxBody, !needsID)
	if err != nil {
		return nil, "", err
	}
	b := new(holdBody)
	if d.holdBody(b, known); d.err != nil {
		return nil, "", d.err
	}
	id, err := q.id(b.id, needsID)
	return b, id, err
}

func (b *holdBody) amountIn(unit money.Unit) (money.Amount, error) {
	if b.amount.isZero() {
		return money.Amount{}, invalid("amount", "is missing")
	}
	return b.amount.above(unit, "amount")
}

// held returns a hold as a change has left it. Who asked for it, and when it
// was made, is not in the change.
func held(ch *ledger.HoldChange, e *ledger.Event) ledger.Hold {
	return ledger.Hold{Ref: ch.Ref, Account: ch.Account, Via: ch.Via, Amount: ch.Amount, Remaining: ch.Remaining,
		Captured: ch.Captured, Expires: ch.Expires, State: ch.State, Updated: e.Time, Seq: e.Seq}
}

// pathHold returns the hold that the path names, if the credential opens its account.
func (q *request) pathHold() (*ledger.Hold, money.Unit, error) {
	missing := refuse(CodeNotFound, "There is no hold %.64q", q.params[0])
	h, err := q.s.ledger.Hold(q.ctx, q.tenant, q.params[0])
	if ledger.CodeOf(err) == ledger.NotFound {
		return nil, money.Unit{}, missing
	}
	if err != nil {
		return nil, money.Unit{}, err
	}
	a, err := q.present(h.Owner())
	if err != nil {
		return nil, money.Unit{}, err
	}
	if !q.opens(a) { // whose it is is not told
		return nil, money.Unit{}, missing
	}
	unit, err := q.unit(a)
	return h, unit, err
}

// readHold serves GET /v1/holds/{id}.
func (s *server) readHold(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	h, unit, err := q.pathHold()
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	err = q.fullHold(h, unit)
	q.close()
	return reply{}, err
}

func (q *request) fullHold(h *ledger.Hold, unit money.Unit) error {
	q.hold(h, unit)
	return q.noteAt(h.Book, h.Text)
}

// changeHold posts a change of a hold and writes the hold as the change left
// it, with the balance of its account.
func (q *request) changeHold(id string, h *ledger.Hold, unit money.Unit, op ledger.Op) (reply, error) {
	res, err := q.post(&ledger.Command{Book: h.Book, ID: id, Ops: []ledger.Op{op}})
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	if err := q.holdAfter(h, unit, res.Event); err != nil {
		return reply{}, err
	}
	if err := q.balanceAfter(h.Book, res.Event, h.Owner()); err != nil {
		return reply{}, err
	}
	q.close()
	return reply{replayed: res.Replayed}, nil
}

func (q *request) holdAfter(h *ledger.Hold, unit money.Unit, e *ledger.Event) error {
	for i := range e.Holds {
		if ch := &e.Holds[i]; ch.Ref == h.Ref {
			after := held(ch, e)
			after.ID, after.Created = h.ID, h.Created
			q.hold(&after, unit)
			break
		}
	}
	return q.noteAt(h.Book, h.Text)
}

// captureHold serves POST /v1/holds/{id}/captures.
func (s *server) captureHold(q *request) (reply, error) {
	h, unit, err := q.pathHold()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.holdCall(captureMembers, true)
	if err != nil {
		return reply{}, err
	}
	op := &ledger.Capture{Hold: h.ID, Final: b.final, Usage: b.usage, Text: b.note.compose()}
	if op.To, err = q.payees(b, h, unit); err != nil {
		return reply{}, err
	}
	if !b.count.isZero() {
		if op.Usage.Count, err = b.count.in(money.Unit{Code: "count", Scale: countScale}, "count"); err != nil {
			return reply{}, err
		}
	}
	res, err := q.post(&ledger.Command{Book: h.Book, ID: id, Ops: []ledger.Op{op}})
	if err != nil {
		return reply{}, err
	}
	e := res.Event
	q.b = append(q.b, '{')
	q.string("id", e.ID)
	q.time("created_at", e.Time)
	q.uint("seq", e.Seq)
	q.openList("transfers")
	for n := range e.Transfers {
		q.item()
		q.writer.transfer(e, n, unit)
		if err := q.noteOf(h.Book, e, e.Transfers[n].Text); err != nil {
			return reply{}, err
		}
		q.close()
	}
	q.closeList()
	q.open("hold")
	if err := q.holdAfter(h, unit, e); err != nil {
		return reply{}, err
	}
	q.close()
	if err := q.balanceAfter(h.Book, e, h.Owner()); err != nil {
		return reply{}, err
	}
	q.close()
	return reply{status: 201, replayed: res.Replayed}, nil
}

// payees returns whom a capture pays: those named; @revenue where only an amount
// is; nobody in particular where neither is.
func (q *request) payees(b *holdBody, h *ledger.Hold, unit money.Unit) ([]ledger.Payee, error) {
	payer, err := q.s.ledger.Fixed(q.ctx, h.Account)
	if err != nil {
		return nil, err
	}
	if len(b.to) == 0 {
		if b.amount.isZero() {
			return nil, nil
		}
		amount, err := b.amountIn(unit)
		return []ledger.Payee{{To: ledger.SystemID(payer.Book, payer.Unit, ledger.Revenue), Amount: amount}}, err
	}
	to := make([]ledger.Payee, len(b.to))
	var sum money.Amount
	for n := range b.to {
		p := &b.to[n]
		if err := q.payee(&p.account, h.Book, unit, fmt.Sprintf("to[%d].account", n)); err != nil {
			return nil, err
		}
		amount, err := p.amount.above(unit, fmt.Sprintf("to[%d].amount", n))
		if err != nil {
			return nil, err
		}
		to[n] = ledger.Payee{To: p.account.in(payer.Book, payer.Unit), Amount: amount}
		var ok bool
		if sum, ok = sum.Add(amount); !ok {
			return nil, invalid("to", "has too large a sum")
		}
	}
	if !b.amount.isZero() {
		amount, err := b.amountIn(unit)
		if err != nil {
			return nil, err
		}
		if amount != sum {
			return nil, invalid("amount", "is %s, but the payees get %s together", unit.Text(amount), unit.Text(sum))
		}
	}
	return to, nil
}

// releaseHold serves POST /v1/holds/{id}/release.
func (s *server) releaseHold(q *request) (reply, error) {
	h, unit, err := q.pathHold()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.holdCall(releaseMembers, false)
	if err != nil {
		return reply{}, err
	}
	return q.changeHold(id, h, unit, &ledger.Release{Hold: h.ID, Text: b.note.compose()})
}

// extendHold serves POST /v1/holds/{id}/extend.
func (s *server) extendHold(q *request) (reply, error) {
	h, unit, err := q.pathHold()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.holdCall(extendMembers, false)
	if err != nil {
		return reply{}, err
	}
	if !b.lives {
		return reply{}, invalid("expires_at", "is missing: give it or ttl_seconds")
	}
	return q.changeHold(id, h, unit, &ledger.Extend{Hold: h.ID, Expires: b.life})
}

// raiseHold serves POST /v1/holds/{id}/raise.
func (s *server) raiseHold(q *request) (reply, error) {
	h, unit, err := q.pathHold()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.holdCall(raiseMembers, true)
	if err != nil {
		return reply{}, err
	}
	amount, err := b.amountIn(unit)
	if err != nil {
		return reply{}, err
	}
	return q.changeHold(id, h, unit, &ledger.Raise{Hold: h.ID, Amount: amount})
}

// listHolds serves GET /v1/accounts/{id}/holds.
func (s *server) listHolds(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	if err := q.ask("state", "cursor", "limit", "book"); err != nil {
		return reply{}, err
	}
	unit, err := q.unit(a)
	if err != nil {
		return reply{}, err
	}
	state := q.query.Get("state")
	if state == "" {
		state = "open"
	}
	if !slices.Contains([]string{"open", "captured", "released", "expired", "all"}, state) {
		return reply{}, invalid("state", "has to be open, captured, released, expired or all")
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	query := ledger.Query{List: ledger.ListHolds, Book: a.Book, Tenant: a.Tenant, Account: a.ID, Open: state == "open", From: p.from}
	for row, err := range s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return reply{}, err
		}
		if !p.more(row.Key) {
			break
		}
		if state != "all" && row.Hold.State.String() != state {
			continue
		}
		p.took()
		q.item()
		if err := q.fullHold(row.Hold, unit); err != nil {
			return reply{}, err
		}
		q.close()
	}
	return q.endPage(p), nil
}
