package native

import (
	"fmt"
	"strings"

	"saldo/ledger"
	"saldo/money"
)

// A ref is how a caller names an account: a UUID, with hyphens or without; AC
// and its 32 hex digits; or @cash, @revenue, @fees, with :USD where the unit
// does not follow from the other account.
type ref struct {
	id   ledger.AccountID // zero: a system account
	role ledger.Role
	unit string
}

// parseRef reads a name of an account.
func parseRef[T string | []byte](s T) (ref, bool) {
	if string(s) == "@revenue" { // most are
		return ref{role: ledger.Revenue}, true
	}
	if len(s) > 0 && s[0] == '@' {
		name, unit, _ := strings.Cut(string(s), ":")
		for _, role := range []ledger.Role{ledger.Cash, ledger.Revenue, ledger.Fees} {
			if name == role.String() {
				return ref{role: role, unit: unit}, len(unit) <= 16 && (unit != "" || len(name) == len(s))
			}
		}
		return ref{}, false
	}
	if len(s) == 34 && s[0] == 'A' && s[1] == 'C' {
		s = s[2:]
	}
	var flat [32]byte // a string of up to 32 bytes that goes no further needs no memory
	if n := copy(flat[:], s); len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return ref{}, false
		}
		n = copy(flat[8:], s[9:13]) + 8
		n += copy(flat[n:], s[14:18])
		n += copy(flat[n:], s[19:23])
		copy(flat[n:], s[24:])
	} else if n != 32 || len(s) != 32 {
		return ref{}, false
	}
	id, ok := ledger.ParseAccountID(string(flat[:]))
	return ref{id: id}, ok && !id.IsZero() && !id.IsSystem()
}

const badAccount = "has to be an account: a UUID, AC and 32 hex digits, or @cash, @revenue, @fees"

// ref reads the name of an account.
func (d *decoder) ref() ref {
	s := d.quoted()
	if d.err != nil {
		return ref{}
	}
	r, ok := parseRef(s)
	if !ok {
		d.fail(badAccount)
	}
	return r
}

// in returns the id of an account in a book, given the unit of the other one.
func (r ref) in(book ledger.BookID, unit uint32) ledger.AccountID {
	if r.role != 0 {
		return ledger.SystemID(book, unit, r.role)
	}
	return r.id
}

// pathAccount returns the account that the path names, if the credential opens it.
func (q *request) pathAccount() (*ledger.Account, error) {
	r, ok := parseRef(q.params[0])
	if !ok {
		return nil, refuse(CodeNotFound, "%.64q is not an account's id: it %s, with the unit here: @cash:USD", q.params[0], badAccount)
	}
	if r.role == 0 {
		return q.opened(r.id)
	}
	return q.system(r, "")
}

// system returns a system account of the tenant, in the book that is named.
func (q *request) system(r ref, book string) (*ledger.Account, error) {
	if book == "" {
		book = q.URL.Query().Get("book")
	}
	b, err := q.book(book)
	if err != nil {
		return nil, err
	}
	h, err := q.s.ledger.Head(q.ctx, b.Number)
	if err != nil {
		return nil, err
	}
	unit, ok := h.UnitIndex(r.unit)
	if !ok && !q.cred.Root.IsZero() { // it opens none of them, and is not told of units
		return nil, refuse(CodeNotFound, "")
	}
	if !ok {
		return nil, unitless(r, b.Name, h.Units)
	}
	return q.opened(ledger.SystemID(b.Number, unit, r.role))
}

// unitless refuses a system account that a book does not have, or of which the
// unit was not said: each unit has one.
func unitless(r ref, book string, units []money.Unit) error {
	const most = 8
	if len(units) == 0 {
		return refuse(CodeNotFound, "The book %s has no unit yet, and so no %s", book, r.role)
	}
	var names []string
	for _, u := range units[:min(most, len(units))] {
		names = append(names, r.role.String()+":"+u.Code)
	}
	if len(units) > most {
		names = append(names, "…")
	}
	text := fmt.Sprintf("The book %s has nothing in the unit %.16q", book, r.unit)
	if r.unit == "" {
		text = fmt.Sprintf("Each unit of the book %s has its own %s: name the unit too", book, r.role)
	}
	return refuse(CodeNotFound, "%s; there are %s", text, strings.Join(names, ", "))
}

// book returns the tenant's book with a name; "" is the one that every tenant has.
func (q *request) book(name string) (ledger.Book, error) {
	if name == "" {
		name = ledger.FirstBook
	}
	return q.s.ledger.BookByName(q.ctx, q.tenant, name)
}

// opened returns an account that the credential opens. What it does not open is
// not there.
func (q *request) opened(id ledger.AccountID) (*ledger.Account, error) {
	a, err := q.present(id)
	if err == nil && !q.opens(a) {
		err = absent(id)
	}
	return a, err
}

// opens reports whether the credential opens an account of the tenant.
func (q *request) opens(a *ledger.Account) bool {
	return q.cred.Root.IsZero() || q.s.auth.Opens(q.ctx, q.cred, a)
}

// present returns an account of the tenant, as [ledger.Ledger.Fixed] does.
func (q *request) present(id ledger.AccountID) (*ledger.Account, error) {
	a, err := q.s.ledger.Fixed(q.ctx, id)
	if err != nil {
		return nil, err
	}
	if a.Tenant != q.tenant {
		return nil, absent(id)
	}
	return a, nil
}

// absent says what the ledger says of an account that is not there.
func absent(id ledger.AccountID) error {
	return &ledger.Error{Refusal: ledger.Refusal{Code: ledger.NotFound, Account: id, Detail: "account " + id.String() + " does not exist"}}
}

// unit returns the unit of an account.
func (q *request) unit(a *ledger.Account) (money.Unit, error) { return q.s.ledger.UnitOf(q.ctx, a) }
