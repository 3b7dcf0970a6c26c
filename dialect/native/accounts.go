package native

import (
	"strconv"
	"strings"

	"saldo/ledger"
	"saldo/money"
)

// balance serves GET /v1/accounts/{id}/balance.
func (s *server) balance(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	if err := q.ask("at", "book"); err != nil {
		return reply{}, err
	}
	at, err := q.moment("at")
	if err != nil {
		return reply{}, err
	}
	var b ledger.Balance
	if at == 0 {
		b, err = s.ledger.Balance(q.ctx, a.ID)
	} else {
		b, err = s.ledger.BalanceAt(q.ctx, a.ID, at)
	}
	if err != nil {
		return reply{}, err
	}
	q.writer.balance(&b, b.Account.Updated)
	return reply{}, nil
}

// balances serves GET /v1/balances?id=…&id=…
func (s *server) balances(q *request) (reply, error) {
	if err := q.ask("id"); err != nil {
		return reply{}, err
	}
	ids := q.query["id"]
	if len(ids) == 0 || len(ids) > maxPage {
		return reply{}, invalid("id", "has to be given, and at most %d times", maxPage)
	}
	q.b = append(q.b, '{')
	q.openList("items")
	missing := refuse(CodeNotFound, "")
	for _, text := range ids {
		r, ok := parseRef(text)
		if !ok || r.role != 0 {
			return reply{}, invalid("id", "%.64q is not an account's id", text)
		}
		a, err := q.opened(r.id)
		var b ledger.Balance
		if err == nil {
			b, err = s.ledger.Balance(q.ctx, a.ID)
		}
		if e := error(nil); err != nil {
			if e = asError(err); e.(*Error).Code != CodeNotFound {
				return reply{}, err
			}
			missing.Details = append(missing.Details, Detail{"id", r.id.String()})
			continue
		}
		q.b = comma(q.b)
		q.writer.balance(&b, b.Account.Updated)
	}
	if len(missing.Details) > 0 {
		return reply{}, missing
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// settings are what an account's representation shows beside its figures.
type settings struct {
	status  ledger.Status
	version uint64
	updated ledger.Time
	profile ledger.TextAt
	now     bool // as it is now: counts are shown too
}

func settingsOf(a *ledger.Account) settings {
	return settings{a.Status, a.Version, a.Updated, a.Profile, true}
}

// fullAccount writes an account.
func (q *request) fullAccount(b *ledger.Balance, st settings) error {
	a := b.Account
	q.b = append(q.b, '{')
	q.writer.account("id", a.ID)
	q.time("created_at", a.Created)
	q.time("updated_at", st.updated)
	book, err := q.bookName(a.Book)
	if err != nil {
		return err
	}
	q.string("book", book)
	if !a.Parent.IsZero() {
		q.writer.account("parent", a.Parent)
	}
	q.string("unit", b.Unit.Code)
	q.string("mode", a.Mode.String())
	q.string("status", st.status.String())
	q.amount("credit_limit", b.Limit, b.Unit)
	if b.HasCap {
		q.amount("cap", b.Cap, b.Unit)
	}
	if st.now {
		effective, err := q.s.ledger.Status(q.ctx, a)
		if err != nil {
			return err
		}
		q.string("effective_status", effective.String())
		q.uint("children", uint64(a.Children))
		q.uint("open_holds", uint64(a.OpenHolds))
	}
	q.uint("version", st.version)
	if err := q.noteAt(a.Book, st.profile); err != nil {
		return err
	}
	q.key("balance")
	q.writer.balance(b, st.updated)
	q.close()
	return nil
}

// bookName returns the name of a book of the tenant.
func (q *request) bookName(id ledger.BookID) (string, error) {
	if name, ok := q.s.books.Load(id); ok {
		return name.(string), nil
	}
	books, err := q.s.ledger.Books(q.ctx, q.tenant)
	if err != nil {
		return "", err
	}
	name := strconv.Itoa(int(id)) // a book that nobody named
	for _, b := range books {
		q.s.books.Store(b.Number, b.Name)
		if b.Number == id {
			name = b.Name
		}
	}
	return name, nil
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// readAccount serves GET /v1/accounts/{id}.
func (s *server) readAccount(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	b, err := s.ledger.Balance(q.ctx, a.ID)
	if err != nil {
		return reply{}, err
	}
	return reply{etag: etag(b.Account.Version)}, q.fullAccount(&b, settingsOf(b.Account))
}

// listAccounts serves GET /v1/accounts.
func (s *server) listAccounts(q *request) (reply, error) {
	if err := q.ask("parent", "roots", "status", "cursor", "limit"); err != nil {
		return reply{}, err
	}
	query := ledger.Query{List: ledger.ListAccounts, Tenant: q.tenant}
	if text := q.query.Get("parent"); text != "" {
		r, ok := parseRef(text)
		if !ok || r.role != 0 {
			return reply{}, invalid("parent", "is not an account's id")
		}
		if _, err := q.opened(r.id); err != nil {
			return reply{}, err
		}
		query.Parent = r.id
	}
	var err error
	if text := q.query.Get("roots"); text != "" {
		if query.Roots, err = strconv.ParseBool(text); err != nil {
			return reply{}, invalid("roots", "has to be true or false")
		}
	}
	status, filtered := ledger.Status(0), q.query.Has("status")
	if filtered {
		if status, filtered = ledger.ParseStatus(q.query.Get("status")); !filtered {
			return reply{}, invalid("status", "has to be open, frozen or closed")
		}
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	query.From = p.from
	for row, err := range s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return reply{}, err
		}
		if row.Account.Mode == ledger.System {
			continue
		}
		if !p.more(row.Key) {
			break
		}
		if filtered && row.Account.Status != status || !q.opens(row.Account) {
			continue
		}
		p.took()
		if err := q.accountItem(row.Account.ID); err != nil {
			return reply{}, err
		}
	}
	return q.endPage(p), nil
}

// accountItem writes an account as an item of a list, as it is now.
func (q *request) accountItem(id ledger.AccountID) error {
	b, err := q.s.ledger.Balance(q.ctx, id)
	if err != nil {
		return err
	}
	q.b = comma(q.b)
	return q.fullAccount(&b, settingsOf(b.Account))
}

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
	bal, err := s.ledger.After(q.ctx, c.Book, e, made.Account)
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

// changeAccount serves PATCH /v1/accounts/{id}.
func (s *server) changeAccount(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	d, err := q.read(maxBody, false)
	if err != nil {
		return reply{}, err
	}
	var b accountBody
	if d.accountBody(&b, patchMembers); d.err != nil {
		return reply{}, d.err
	}
	id, err := q.id(b.id, false)
	if err != nil {
		return reply{}, err
	}
	expect, err := q.ifMatch()
	if err != nil {
		return reply{}, err
	}
	op, err := q.change(a, &b)
	if err != nil {
		return reply{}, err
	}
	const tries = 4
	for n := 1; ; n++ {
		if op.Expect = expect; b.note.name != nil || b.note.metadata != nil {
			if err := q.merge(op, &b); err != nil {
				return reply{}, err
			}
			if expect == 0 && id != "" {
				op.Expect = 0 // the same again has to be the same command
			}
		}
		res, err := q.post(&ledger.Command{Book: a.Book, ID: id, Ops: []ledger.Op{op}})
		if err == nil {
			return q.changed(a, &res)
		}
		if asError(err).Code != CodePrecondition || expect != 0 || n == tries {
			return reply{}, err
		}
	}
}

// change makes the operation, without its profile.
func (q *request) change(a *ledger.Account, b *accountBody) (*ledger.SetAccount, error) {
	op := &ledger.SetAccount{Account: a.ID, Status: b.status, NoCap: b.noCap, Force: b.force}
	unit, err := q.unit(a)
	if err != nil {
		return nil, err
	}
	if !b.limit.isZero() {
		limit, err := b.limit.in(unit, "credit_limit")
		if err != nil {
			return nil, err
		}
		op.Limit = &limit
	}
	if !b.cap.isZero() {
		limit, err := b.cap.in(unit, "cap")
		if err != nil {
			return nil, err
		}
		op.Cap = &limit
	}
	if b.force && b.note.reason == nil {
		return nil, invalid("reason", "is missing: a forced change needs one")
	}
	op.Reason = note{reason: b.note.reason}.compose()
	return op, nil
}

// merge gives op the profile: what the body says, and what there was of the rest.
func (q *request) merge(op *ledger.SetAccount, b *accountBody) error {
	a, err := q.s.ledger.Account(q.ctx, op.Account)
	if err != nil {
		return err
	}
	data, err := q.s.ledger.Text(q.ctx, a.Book, a.Profile)
	if err != nil {
		return err
	}
	was := parseNote(data)
	n := note{name: b.note.name, metadata: b.note.metadata}
	if n.name == nil {
		n.name = was.name
	}
	if n.metadata == nil {
		n.metadata = was.metadata
	}
	op.Profile = n.compose()
	if op.Expect == 0 {
		op.Expect = a.Version
	}
	return nil
}

// ifMatch reads the version that the caller has seen; 0: any.
func (q *request) ifMatch() (uint64, error) {
	text := q.Header.Get("If-Match")
	if text == "" || text == "*" {
		return 0, nil
	}
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		if inner, ok = strings.CutSuffix(inner, `"`); ok {
			if n, err := strconv.ParseUint(inner, 10, 64); err == nil && n > 0 {
				return n, nil
			}
		}
	}
	return 0, refuse(CodePrecondition, "If-Match has to be one ETag, as it was read")
}

// changed writes the account as the change left it.
func (q *request) changed(a *ledger.Account, res *ledger.Result) (reply, error) {
	e := res.Event
	b, err := q.s.ledger.After(q.ctx, a.Book, e, a.ID)
	if err != nil {
		return reply{}, err
	}
	st, err := q.settingsAt(a, e)
	if err != nil {
		return reply{}, err
	}
	return reply{replayed: res.Replayed, etag: etag(e.Seq)}, q.fullAccount(&b, st)
}

// settingsAt returns the settings of an account as an event left them. What the
// event did not set is found where it was set last before.
func (q *request) settingsAt(a *ledger.Account, e *ledger.Event) (settings, error) {
	st := settings{version: e.Seq, updated: e.Time}
	hasStatus, hasProfile := false, false
	look := func(e *ledger.Event) bool {
		for i := len(e.Set) - 1; i >= 0; i-- {
			s := &e.Set[i]
			if s.Account != a.ID {
				continue
			}
			if s.HasStatus && !hasStatus {
				st.status, hasStatus = s.Status, true
			}
			if s.Profile != 0 && !hasProfile {
				st.profile, hasProfile = ledger.TextAt{Seq: e.Seq, N: s.Profile}, true
			}
		}
		for i := range e.Opened {
			if o := &e.Opened[i]; o.Account == a.ID {
				if !hasProfile && o.Profile != 0 {
					st.profile = ledger.TextAt{Seq: e.Seq, N: o.Profile}
				}
				return true
			}
		}
		return hasStatus && hasProfile
	}
	now, err := q.s.ledger.Account(q.ctx, a.ID)
	if err != nil || look(e) {
		return st, err
	}
	if now.Version == e.Seq { // nothing was set since
		st.status, st.profile = now.Status, now.Profile
		return st, nil
	}
	before := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, After: e.Seq, Reverse: true}
	for row, err := range q.s.ledger.Scan(q.ctx, before) {
		if err != nil {
			return st, err
		}
		if look(row.Event) {
			break
		}
	}
	return st, nil
}

// eraseAccount serves POST /v1/accounts/{id}/erase.
func (s *server) eraseAccount(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	d, err := q.read(maxBody, true)
	if err != nil {
		return reply{}, err
	}
	var b accountBody
	if d.accountBody(&b, eraseMembers); d.err != nil {
		return reply{}, d.err
	}
	id, err := q.id(b.id, false)
	if err != nil {
		return reply{}, err
	}
	res, err := q.post(&ledger.Command{Book: a.Book, ID: id, Ops: []ledger.Op{&ledger.Erase{Account: a.ID}}})
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.writer.account("id", a.ID)
	q.time("created_at", a.Created)
	q.time("erased_at", res.Event.Time)
	q.uint("seq", res.Event.Seq)
	err = q.balanceAfter(a.Book, res.Event, a.ID)
	q.close()
	return reply{replayed: res.Replayed}, err
}
