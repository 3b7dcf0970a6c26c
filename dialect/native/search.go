package native

import (
	"strings"
	"unicode"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// search serves GET /v1/search?q=: accounts by id, by what another system calls
// them, by the id of a credential, by a hold or a transfer of theirs, and by the
// words of name and metadata.
func (s *server) search(q *request) (reply, error) {
	if err := q.ask("q", "cursor", "limit"); err != nil {
		return reply{}, err
	}
	text := strings.TrimSpace(q.query.Get("q"))
	if text == "" || len(text) > maxName {
		return reply{}, invalid("q", "has to be 1 to %d bytes", maxName)
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	seen, err := q.direct(p, text)
	if err != nil {
		return reply{}, err
	}
	words := wordsOf(text)
	if len(words) == 0 {
		return q.endPage(p), nil
	}
	query := ledger.Query{List: ledger.ListSearch, Tenant: q.tenant, Word: rarest(words), From: p.from}
	for row, err := range s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return reply{}, err
		}
		if !p.more(row.Key) {
			break
		}
		a := row.Account
		if seen[a.ID] || !q.opens(a) {
			continue
		}
		if ok, err := q.says(a, words); err != nil {
			return reply{}, err
		} else if !ok {
			continue
		}
		p.took()
		if err := q.accountItem(a.ID); err != nil {
			return reply{}, err
		}
	}
	return q.endPage(p), nil
}

// wordsOf returns the words of a text as the index of profiles has them: in lower
// case, runs of letters and digits, and what looks like an e-mail address whole.
func wordsOf(text string) (words []string) {
	apart := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }
	for _, field := range strings.Fields(strings.ToLower(text)) {
		if whole := strings.TrimFunc(field, apart); strings.Contains(whole, "@") {
			words = append(words, whole)
			continue
		}
		words = append(words, strings.FieldsFunc(field, apart)...)
	}
	return words
}

// rarest returns the word that fewest accounts are likely to have: a number or a
// code rather than a word, and the longest of these.
func rarest(words []string) string {
	best := words[0]
	for _, w := range words[1:] {
		numbered, before := strings.ContainsFunc(w, unicode.IsDigit), strings.ContainsFunc(best, unicode.IsDigit)
		if numbered && !before || numbered == before && len(w) > len(best) {
			best = w
		}
	}
	return best
}

// says reports whether an account's profile has all of the words.
func (q *request) says(a *ledger.Account, words []string) (bool, error) {
	if len(words) == 1 {
		return true, nil
	}
	data, err := q.s.ledger.Text(q.ctx, a.Book, a.Profile)
	if err != nil {
		return false, err
	}
	profile := strings.ToLower(string(data))
	for _, w := range words {
		if !strings.Contains(profile, w) {
			return false, nil
		}
	}
	return true, nil
}

// beforeWords is a cursor's place before every account that is found by words.
const beforeWords = "\x00"

// direct returns the accounts that a text names by itself. The first page begins
// with them.
func (q *request) direct(p *page, text string) (map[ledger.AccountID]bool, error) {
	var ids []ledger.AccountID
	if r, ok := parseRef(text); ok && r.role == 0 {
		ids = append(ids, r.id)
	}
	for _, d := range auth.Dialects() {
		if e, err := q.s.auth.Resolve(q.ctx, d, text); err == nil && e.Tenant == q.tenant && !e.Account.IsZero() {
			ids = append(ids, e.Account)
		}
	}
	if c, err := q.s.auth.ByID(q.ctx, text); err == nil && c.Tenant == q.tenant {
		ids = append(ids, c.Root)
	}
	if ledger.ValidID(text) {
		if h, err := q.s.ledger.Hold(q.ctx, q.tenant, text); err == nil {
			ids = append(ids, h.Owner())
		} else if _, e, n, err := q.s.ledger.Find(q.ctx, q.tenant, text); err == nil && n < len(e.Transfers) {
			t := &e.Transfers[n]
			ids = append(ids, t.Via, t.From, t.To)
		}
	}
	seen := make(map[ledger.AccountID]bool)
	for _, id := range ids {
		if id.IsZero() || id.IsSystem() || seen[id] {
			continue
		}
		if seen[id] = true; p.from != "" {
			continue
		}
		if _, err := q.opened(id); err != nil {
			if asError(err).Code == CodeNotFound {
				continue
			}
			return nil, err
		}
		p.last = beforeWords
		p.took()
		if err := q.accountItem(id); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// overview serves GET /v1/overview: what all customers of the tenant have, came
// in with and spent, by unit. It is read off the system accounts: every unit of
// a book sums to zero.
func (s *server) overview(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	if err := q.wholeTenant(); err != nil {
		return reply{}, err
	}
	t, err := s.ledger.TenantByNumber(q.ctx, q.tenant)
	if err != nil {
		return reply{}, err
	}
	books, err := s.ledger.Books(q.ctx, q.tenant)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.writer.account("id", t.ID)
	q.time("created_at", t.Created)
	q.string("tenant", t.Name)
	q.openList("items")
	for i := range books {
		head, err := s.ledger.Head(q.ctx, books[i].Number)
		if err != nil {
			return reply{}, err
		}
		for n, unit := range head.Units {
			if err := q.total(&books[i], uint32(n), unit); err != nil {
				return reply{}, err
			}
		}
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// total writes the figures of a unit of a book.
func (q *request) total(book *ledger.Book, n uint32, unit money.Unit) error {
	var posted [3]money.Amount
	var sum money.Amount
	for i, role := range []ledger.Role{ledger.Cash, ledger.Revenue, ledger.Fees} {
		b, err := q.s.ledger.Balance(q.ctx, ledger.SystemID(book.Number, n, role))
		if err != nil {
			return err
		}
		posted[i] = b.Posted
		sum, _ = sum.Add(b.Posted)
	}
	in, _ := posted[0].Neg()
	customers, _ := sum.Neg()
	q.item()
	q.string("book", book.Name)
	q.string("unit", unit.Code)
	q.uint("scale", uint64(unit.Scale))
	q.string("kind", unit.Kind.String())
	q.amount("customers", customers, unit)
	q.amount("paid_in", in, unit)
	q.amount("revenue", posted[1], unit)
	q.amount("fees", posted[2], unit)
	q.close()
	return nil
}
