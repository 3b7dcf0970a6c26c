package native

import (
	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// An accountBody is what bodies say of accounts.
type accountBody struct {
	id        string
	accountID ref
	hasID     bool
	parent    ref
	hasParent bool
	unit      string
	book      string
	mode      ledger.Mode
	status    *ledger.Status
	limit     numeral
	cap       numeral
	noCap     bool
	force     bool
	note      note
}

var (
	openMembers  = []string{"id", "account_id", "parent", "unit", "mode", "book", "credit_limit", "cap", "name", "metadata"}
	patchMembers = []string{"id", "status", "credit_limit", "cap", "name", "metadata", "force", "reason"}
	eraseMembers = []string{"id"}
)

func (d *decoder) accountBody(b *accountBody, known []string) {
	d.object(known, func(name string) {
		switch name {
		case "id":
			b.id = d.id()
		case "account_id":
			b.accountID, b.hasID = d.customer(), true
		case "parent":
			b.parent, b.hasParent = d.customer(), true
		case "unit":
			b.unit = d.word(16)
		case "book":
			b.book = d.word(63)
		case "mode":
			b.mode = d.mode()
		case "status":
			b.status = d.status()
		case "credit_limit":
			b.limit = d.numeral()
		case "cap":
			if b.noCap = d.literal("null"); !b.noCap {
				b.cap = d.numeral()
			}
		case "force":
			b.force = d.bool()
		case "name":
			b.note.name = appendQuoted(nil, d.text(maxName))
		case "reason":
			b.note.reason = d.reason()
		case "metadata":
			b.note.metadata = d.metadata()
		}
	})
	d.end()
}

// customer reads the id of an account that is not a system account.
func (d *decoder) customer() ref {
	r := d.ref()
	if r.role != 0 {
		d.fail("has to be a UUID")
	}
	return r
}

func (d *decoder) mode() ledger.Mode {
	word := d.text(16)
	for _, m := range []ledger.Mode{ledger.Own, ledger.Drawing} {
		if m.String() == word {
			return m
		}
	}
	d.fail("has to be own or drawing")
	return 0
}

func (d *decoder) status() *ledger.Status {
	st, ok := ledger.ParseStatus(d.text(16))
	if !ok {
		d.fail("has to be open, frozen or closed")
	}
	return &st
}

// createAccount serves POST /v1/accounts.
func (s *server) createAccount(q *request) (reply, error) {
	d, err := q.read(maxBody, false)
	if err != nil {
		return reply{}, err
	}
	b := accountBody{mode: ledger.Own}
	if d.accountBody(&b, openMembers); d.err != nil {
		return reply{}, d.err
	}
	c, err := q.opening(&b)
	if err != nil {
		return reply{}, err
	}
	if c.ID, err = q.id(b.id, false); err != nil {
		return reply{}, err
	}
	res, err := q.post(c)
	if err != nil {
		return reply{}, err
	}
	e := res.Event
	made := e.Opened[0]
	bal, err := q.after(c.Book, e, made.Account)
	if err != nil {
		return reply{}, err
	}
	st := settings{version: e.Seq, updated: e.Time, profile: ledger.TextAt{Seq: e.Seq, N: made.Profile}}
	return reply{status: 201, replayed: res.Replayed, etag: etag(st.version)}, q.fullAccount(&bal, st)
}

// opening makes the command that opens an account.
func (q *request) opening(b *accountBody) (*ledger.Command, error) {
	op := &ledger.OpenAccount{ID: b.accountID.id, Named: b.hasID, Unit: b.unit, Mode: b.mode, Profile: b.note.compose()}
	if !b.hasID {
		op.ID = q.s.ledger.NewID()
	}
	c := &ledger.Command{Ops: []ledger.Op{op}}
	var unit money.Unit
	if b.hasParent {
		parent, err := q.opened(b.parent.id)
		if err != nil {
			return nil, err
		}
		op.Parent, c.Book = parent.ID, parent.Book
		if unit, err = q.unit(parent); err != nil {
			return nil, err
		}
		if name, err := q.bookName(parent.Book); err != nil {
			return nil, err
		} else if b.book != "" && b.book != name {
			return nil, invalid("book", "has to be the parent's, %s", name)
		}
	} else {
		switch book, err := q.book(b.book); {
		case err != nil:
			return nil, err
		case !q.cred.Root.IsZero():
			return nil, invalid("parent", "is missing: the credential opens only what is below %s", q.cred.Root)
		case b.unit == "":
			return nil, invalid("unit", "is missing")
		default:
			c.Book = book.Number
		}
	}
	if b.unit != "" {
		var err error
		if unit, err = q.s.ledger.Unit(q.ctx, q.tenant, b.unit); err != nil {
			return nil, err
		}
		c.Ops = []ledger.Op{&ledger.AddUnit{Unit: unit}, op}
	}
	if !b.limit.isZero() {
		var err error
		if op.Limit, err = b.limit.in(unit, "credit_limit"); err != nil {
			return nil, err
		}
		if op.Limit.Sign() > 0 && !q.cred.Root.IsZero() { // see mayLend
			if err := q.need(auth.TopUp); err != nil {
				return nil, err
			}
		}
	}
	if !b.cap.isZero() {
		limit, err := b.cap.in(unit, "cap")
		if err != nil {
			return nil, err
		}
		op.Cap = &limit
	}
	return c, nil
}
