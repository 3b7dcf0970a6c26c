package native

import (
	"strconv"

	"saldo/ledger"
	"saldo/money"
)

// balance serves GET /v1/accounts/{id}/balance.
func (s *server) balance(q *request) (reply, error) {
	if err := q.ask("at", "book", "consistency"); err != nil {
		return reply{}, err
	}
	switch q.query.Get("consistency") {
	case "":
	case "stale":
		q.ctx = ledger.Stale(q.ctx)
	default:
		return reply{}, invalid("consistency", "has to be stale, or not to be there")
	}
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	at, err := q.moment("at")
	if err != nil {
		return reply{}, err
	}
	var b ledger.Balance
	if at == 0 {
		b, err = s.ledger.Balance(q.ctx, a.ID)
	} else if b, err = s.ledger.BalanceAt(q.ctx, a.ID, at); ledger.CodeOf(err) == ledger.Invalid {
		err = invalid("at", "has to be in the past")
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

// after returns the balance of an account as an event left it. Of a drawing
// account that says what those above it had then, for the repeat to say it too.
func (q *request) after(book ledger.BookID, e *ledger.Event, id ledger.AccountID) (ledger.Balance, error) {
	b, err := q.s.ledger.After(q.ctx, book, e, id)
	if err != nil || b.DrawnFrom.IsZero() {
		return b, err
	}
	if _, ok := e.BalanceAfter(b.DrawnFrom); ok { // then so did it all on the way there
		return b, nil
	}
	bounded := b.HasCap
	room := b.Account.Room()
	for a := b.Account; a.Mode == ledger.Drawing; {
		if a, err = q.asOf(a.Parent, e.Seq); err != nil {
			return b, err
		}
		switch {
		case a.Mode != ledger.Drawing:
			b.Spendable = a.Spendable()
		case a.HasCap && (!bounded || a.Room().Less(room)):
			room, bounded = a.Room(), true
		}
	}
	if bounded {
		b.Spendable = money.Min(b.Spendable, room)
	}
	return b, nil
}

// asOf returns an account with what bounds spending as it was after an event of
// its book.
func (q *request) asOf(id ledger.AccountID, seq uint64) (*ledger.Account, error) {
	now, err := q.s.ledger.Account(q.ctx, id)
	if err != nil || now.Seq <= seq {
		return now, err
	}
	a := *now
	query := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: id, After: seq + 1, Reverse: true, Limit: 1}
	for row, err := range q.s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return nil, err
		}
		then, _ := row.Event.BalanceAfter(id)
		if a.Posted, a.Held = then.Posted, then.Held; a.Mode == ledger.Drawing {
			a.Cap, a.HasCap = then.Limit, then.Capped
		} else {
			a.Limit = then.Limit
		}
	}
	return &a, nil
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
	if err := q.ask("book"); err != nil {
		return reply{}, err
	}
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
