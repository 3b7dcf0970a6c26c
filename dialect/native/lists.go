package native

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"saldo/ledger"
)

// examined is how many rows a page may look at to find those that its filters
// let through. A page that ends there has fewer items, and a cursor. It is a
// variable for its test alone.
var examined = 20_000

// A page is one page of a list under construction.
type page struct {
	from   string // where the cursor says to begin
	limit  int
	print  [8]byte // of the filters
	taken  int
	looked int
	last   string // key of the last row that was looked at
	whole  bool   // nothing follows
}

// page reads limit and cursor, and opens the list. A cursor is 8 bytes of the
// SHA-256 of path and filters, and where the last page ended.
func (q *request) page() (*page, error) {
	p := &page{limit: defaultPage, whole: true}
	if text := q.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return nil, invalid("limit", "has to be a whole number from 1 to %d", maxPage)
		}
		p.limit = n
	}
	h := sha256.New()
	h.Write([]byte(strconv.Itoa(int(q.tenant)) + q.URL.Path))
	names := make([]string, 0, len(q.query))
	for name := range q.query {
		if name != "cursor" && name != "limit" && name != "tenant" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		h.Write([]byte("\x00" + name + "=" + q.query.Get(name)))
	}
	copy(p.print[:], h.Sum(nil))
	if text := q.query.Get("cursor"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(raw) <= len(p.print) {
			return nil, invalid("cursor", "has to be what next was, unchanged")
		}
		if string(raw[:len(p.print)]) != string(p.print[:]) {
			return nil, refuse(CodeCursor, "")
		}
		p.from = string(raw[len(p.print):])
	}
	q.b = append(q.b, '{')
	q.openList("items")
	return p, nil
}

// more reports whether there is room for the row with a key, which follows the
// last one.
func (p *page) more(key string) bool {
	if p.taken == p.limit {
		p.whole = false
		return false
	}
	return p.passes(key)
}

// passes is more for a row that is no item.
func (p *page) passes(key string) bool {
	if p.looked == examined {
		p.whole = false
		return false
	}
	p.looked++
	p.last = key
	return true
}

// took counts an item.
func (p *page) took() { p.taken++ }

// endPage closes the list.
func (q *request) endPage(p *page) reply {
	q.closeList()
	if !p.whole {
		q.string("next", base64.RawURLEncoding.EncodeToString(append(p.print[:], p.last...)))
	}
	q.close()
	return reply{}
}

// moment reads a time of the query; the zero time if it was not given.
func (q *request) moment(name string) (ledger.Time, error) {
	text := q.query.Get(name)
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(text, " ", "+")) // a + of an offset that was not escaped
	if err != nil || t.Unix() <= 0 || t.Year() > 9999 {
		return 0, invalid(name, "has to be a time, as 2030-01-31T12:00:00Z")
	}
	return ledger.TimeOf(t), nil
}

// series serves GET /v1/accounts/{id}/series: the figures of an account at
// evenly spaced times, exact from the journal.
func (s *server) series(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	if err := q.ask("from", "to", "points", "book"); err != nil {
		return reply{}, err
	}
	from, to, points, err := q.span(a)
	if err != nil {
		return reply{}, err
	}
	unit, err := q.unit(a)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.account("id", a.ID)
	q.time("created_at", a.Created)
	q.string("unit", unit.Code)
	q.time("from", from)
	q.time("to", to)
	q.openList("items")
	for n := range points {
		at := to
		if points > 1 {
			at = from + (to-from)*ledger.Time(n)/ledger.Time(points-1)
		}
		if at < a.Created {
			continue
		}
		b, err := s.ledger.BalanceAt(q.ctx, a.ID, at)
		if err != nil {
			return reply{}, err
		}
		q.item()
		q.time("at", at)
		q.amount("posted", b.Posted, unit)
		q.amount("held", b.Held, unit)
		q.amount("available", b.Available, unit)
		q.amount("credit_limit", b.Limit, unit)
		q.amount("spendable", b.Spendable, unit)
		if a.Mode == ledger.Drawing {
			q.amount("spent", b.Spent, unit)
		}
		q.uint("seq", b.Seq)
		q.close()
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// span reads from, to and points.
func (q *request) span(a *ledger.Account) (from, to ledger.Time, points int, err error) {
	if from, err = q.moment("from"); err != nil {
		return
	}
	if to, err = q.moment("to"); err != nil {
		return
	}
	now, err := q.s.ledger.Now() // not this machine's: the books may go by another
	if err != nil {
		return
	}
	if now--; to == 0 || to > now {
		to = now
	}
	if from == 0 {
		from = a.Created
	}
	if from > to {
		err = invalid("from", "has to be before to, and not in the future")
		return
	}
	points = 50
	if text := q.query.Get("points"); text != "" {
		if points, err = strconv.Atoi(text); err != nil || points < 1 || points > maxPoints {
			err = invalid("points", "has to be a whole number from 1 to %d", maxPoints)
		}
	}
	return
}
