package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"saldo/money"
)

// What a store holds beside money is records of the operator's own book, book 0
// of tenant 0, so it is journaled, durable and read as strictly as a balance.
// Numbers in keys have ten digits, so that they sort.
//
//	kind         key            holds
//	tenant       its number     a tenantRow
//	tenant.name  its name       its number
//	tenant.id    its UUID       its number
//	book         its number     a bookRow; index tenant
//	book.name    tenant/name    its number
//	unit         tenant/code    a unitRow; index tenant
const (
	kindTenant     = "tenant"
	kindTenantName = "tenant.name"
	kindTenantID   = "tenant.id"
	kindBook       = "book"
	kindBookName   = "book.name"
	kindUnit       = "unit"

	indexTenant = "tenant"
)

// FirstBook is the name of the book that every tenant begins with.
const FirstBook = "main"

// A Tenant is an organization.
type Tenant struct {
	Number  TenantID
	ID      AccountID // its UUID
	Name    string    // 1 to 63 of a-z, 0-9 and -; unique
	Created Time
}

// A Book is one journal of a tenant.
type Book struct {
	Number  BookID
	Tenant  TenantID
	Name    string // 1 to 63 of a-z, 0-9 and -; unique in the tenant
	Created Time
}

type tenantRow struct {
	rowVersion
	ID      string `json:"id"`
	Name    string `json:"name"`
	Created Time   `json:"created"`
}

type bookRow struct {
	rowVersion
	Tenant  TenantID `json:"tenant"`
	Name    string   `json:"name"`
	Created Time     `json:"created"`
}

type unitRow struct {
	rowVersion
	Scale uint8  `json:"scale"`
	Kind  string `json:"kind"`
}

// EnsureSystem makes the operator's book where there is none. It is called by
// everything that writes there, so that nobody else has to.
func (l *Ledger) EnsureSystem(ctx context.Context) error { return l.ensureBook(ctx, 0, 0) }

// ensureBook makes a book that its record speaks of and that has no event yet.
func (l *Ledger) ensureBook(ctx context.Context, tenant TenantID, book BookID) error {
	h, err := l.Head(ctx, book)
	if err == nil && h.Seq > 0 {
		return nil
	}
	if err != nil && CodeOf(err) != NotFound {
		return err
	}
	_, err = l.Post(ctx, &Command{Tenant: tenant, Book: book, Ops: []Op{&OpenBook{}}})
	if CodeOf(err) == Exists {
		return nil // another was first
	}
	return err
}

// NewID makes a UUIDv7 from the ledger's clock and chance.
func (l *Ledger) NewID() AccountID {
	var id AccountID
	if _, err := io.ReadFull(l.o.Rand, id[6:]); err != nil {
		panic("ledger: no random numbers: " + err.Error()) // crypto/rand never fails
	}
	ms := uint64(l.o.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// CreateTenant makes a tenant of t's name, and its first book. Without t.ID it
// gets a new one. The bool says that an earlier command with this id did it.
func (l *Ledger) CreateTenant(ctx context.Context, actor uint64, id string, t Tenant) (Tenant, bool, error) {
	if err := validTenantName(t.Name); err != nil {
		return Tenant{}, false, err
	}
	asked := []string{"tenant", t.Name}
	if t.ID.IsZero() {
		t.ID = l.NewID()
	} else {
		asked = append(asked, t.ID.String())
	}
	a := Amendment{Actor: actor, ID: id, Asked: asked}
	answer, replayed, err := l.Amend(ctx, a, func() ([]RecordWrite, []byte, error) { return l.makeTenant(ctx, t) })
	if err != nil {
		return Tenant{}, false, err
	}
	made, err := l.TenantByName(ctx, string(answer))
	if err != nil {
		return Tenant{}, false, err
	}
	_, err = l.BookByName(ctx, made.Number, FirstBook)
	return made, replayed, err
}

func (l *Ledger) makeTenant(ctx context.Context, t Tenant) ([]RecordWrite, []byte, error) {
	if old, err := l.TenantByName(ctx, t.Name); err == nil {
		// It may have been made without its book, by a server that was stopped then.
		if _, err := l.BookByName(ctx, old.Number, FirstBook); err != nil {
			return nil, nil, err
		}
		return nil, nil, Errorf(Exists, "the tenant %s exists already; use it, or choose another name", t.Name)
	} else if CodeOf(err) != NotFound {
		return nil, nil, err
	}
	if _, err := l.TenantByID(ctx, t.ID); err == nil {
		return nil, nil, Errorf(Exists, "a tenant with the id %s exists already; use it, or choose another id", t.ID)
	} else if CodeOf(err) != NotFound {
		return nil, nil, err
	}
	now, err := l.Now()
	if err != nil {
		return nil, nil, err
	}
	n, taken, err := l.NextNumber(ctx, "tenant")
	if err != nil {
		return nil, nil, err
	}
	writes := []RecordWrite{taken,
		{Kind: kindTenant, Key: numberKey(n), Data: encodeRow(tenantRow{rowVersion{1}, t.ID.String(), t.Name, now})},
		{Kind: kindTenantName, Key: t.Name, Data: []byte(numberKey(n))},
		{Kind: kindTenantID, Key: t.ID.String(), Data: []byte(numberKey(n))},
	}
	book, err := l.makeBook(ctx, TenantID(n), FirstBook, now)
	return append(writes, book...), []byte(t.Name), err
}

// CreateBook makes a further book of a tenant. The bool says that an earlier
// command with this id did it.
func (l *Ledger) CreateBook(ctx context.Context, actor uint64, id string, tenant TenantID, name string) (Book, bool, error) {
	if err := validTenantName(name); err != nil {
		return Book{}, false, err
	}
	a := Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"book", name}}
	_, replayed, err := l.Amend(ctx, a, func() ([]RecordWrite, []byte, error) {
		if _, err := l.TenantByNumber(ctx, tenant); err != nil {
			return nil, nil, err
		}
		if _, err := l.BookByName(ctx, tenant, name); err == nil {
			return nil, nil, Errorf(Exists, "the book %s exists already; use it, or choose another name", name)
		} else if CodeOf(err) != NotFound {
			return nil, nil, err
		}
		now, err := l.Now()
		if err != nil {
			return nil, nil, err
		}
		writes, err := l.makeBook(ctx, tenant, name, now)
		return writes, nil, err
	})
	if err != nil {
		return Book{}, false, err
	}
	b, err := l.BookByName(ctx, tenant, name)
	return b, replayed, err
}

func (l *Ledger) makeBook(ctx context.Context, tenant TenantID, name string, now Time) ([]RecordWrite, error) {
	n, taken, err := l.NextNumber(ctx, "book")
	if err != nil {
		return nil, err
	}
	return []RecordWrite{taken,
		{Kind: kindBook, Key: numberKey(n), Data: encodeRow(bookRow{rowVersion{1}, tenant, name, now}), Index: ofTenant(tenant)},
		{Kind: kindBookName, Key: nameKey(tenant, name), Data: []byte(numberKey(n))},
	}, nil
}

// CreateUnit makes a unit known to a tenant. The currencies of ISO 4217 are
// known at scale 6 without it. The same unit again is no change; with another
// scale or kind it is refused with Exists, also where a book has it already.
func (l *Ledger) CreateUnit(ctx context.Context, actor uint64, id string, tenant TenantID, u money.Unit) (bool, error) {
	if err := u.Validate(); err != nil {
		return false, Errorf(Invalid, "%v", err)
	}
	asked := []string{"unit", u.Code, strconv.Itoa(int(u.Scale)), u.Kind.String()}
	_, replayed, err := l.Amend(ctx, Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: asked}, func() ([]RecordWrite, []byte, error) {
		if _, err := l.TenantByNumber(ctx, tenant); err != nil {
			return nil, nil, err
		}
		known, err := l.created(ctx, tenant, u.Code)
		if err != nil {
			return nil, nil, err
		}
		if known == nil {
			if known, err = l.booked(ctx, tenant, u.Code); err != nil {
				return nil, nil, err
			}
		} else if *known == u {
			return nil, nil, nil
		}
		if known != nil && *known != u {
			return nil, nil, Errorf(Exists, "the unit %s exists as a %s of scale %d, which is fixed for ever; choose another code",
				u.Code, known.Kind, known.Scale)
		}
		row := unitRow{rowVersion{1}, u.Scale, u.Kind.String()}
		return []RecordWrite{{Kind: kindUnit, Key: nameKey(tenant, u.Code), Data: encodeRow(row), Index: ofTenant(tenant)}}, nil, nil
	})
	return replayed, err
}

// created returns the unit that a tenant made with a code, or nil.
func (l *Ledger) created(ctx context.Context, tenant TenantID, code string) (*money.Unit, error) {
	r, err := l.Record(ctx, RecordKey{Kind: kindUnit, Key: nameKey(tenant, code)})
	if err != nil || r == nil {
		return nil, err
	}
	return unitOf(r)
}

func unitOf(r *Record) (*money.Unit, error) {
	row, err := decodeRow[unitRow](r)
	if err != nil {
		return nil, err
	}
	kind, err := money.ParseKind(row.Kind)
	if err != nil {
		return nil, errRow(r, err)
	}
	_, code, _ := strings.Cut(r.Key, "/")
	u := money.Unit{Code: code, Scale: row.Scale, Kind: kind}
	if err := u.Validate(); err != nil {
		return nil, errRow(r, err)
	}
	return &u, nil
}

// booked returns the unit with a code that a book of a tenant has, or nil.
func (l *Ledger) booked(ctx context.Context, tenant TenantID, code string) (*money.Unit, error) {
	books, err := l.Books(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, b := range books {
		h, err := l.Head(ctx, b.Number)
		if err != nil {
			return nil, err
		}
		if i, ok := h.UnitIndex(code); ok {
			return &h.Units[i], nil
		}
	}
	return nil, nil
}

// Unit returns the unit that a code means to a tenant.
func (l *Ledger) Unit(ctx context.Context, tenant TenantID, code string) (money.Unit, error) {
	u, err := l.created(ctx, tenant, code)
	if err != nil {
		return money.Unit{}, err
	}
	if u != nil {
		return *u, nil
	}
	if iso, _, ok := money.ISO(code); ok {
		return iso, nil
	}
	return money.Unit{}, Errorf(NotFound, "there is no unit %.32q; create it first, or use a code of ISO 4217", code)
}

// Units returns the units that a tenant made, in order of code.
func (l *Ledger) Units(ctx context.Context, tenant TenantID) ([]money.Unit, error) {
	var units []money.Unit
	q := Query{List: ListRecords, Kind: kindUnit, Index: indexTenant, Value: numberKey(tenant)}
	for row, err := range l.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		u, err := unitOf(row.Record)
		if err != nil {
			return nil, err
		}
		units = append(units, *u)
	}
	return units, nil
}

// Tenant returns the tenant that a person means: by number, UUID or name.
func (l *Ledger) Tenant(ctx context.Context, ref string) (Tenant, error) {
	if n, err := strconv.ParseUint(ref, 10, 32); err == nil {
		return l.TenantByNumber(ctx, TenantID(n))
	}
	if id, ok := ParseAccountID(ref); ok {
		return l.TenantByID(ctx, id)
	}
	return l.TenantByName(ctx, ref)
}

// TenantByName returns the tenant with a name.
func (l *Ledger) TenantByName(ctx context.Context, name string) (Tenant, error) {
	if validTenantName(name) != nil {
		return Tenant{}, Errorf(NotFound, "there is no tenant %.80q", name)
	}
	r, err := l.pointed(ctx, kindTenantName, name, kindTenant)
	return l.tenantOf(r, err, name)
}

// TenantByID returns the tenant with a UUID.
func (l *Ledger) TenantByID(ctx context.Context, id AccountID) (Tenant, error) {
	r, err := l.pointed(ctx, kindTenantID, id.String(), kindTenant)
	return l.tenantOf(r, err, id)
}

// TenantByNumber returns the tenant with a number.
func (l *Ledger) TenantByNumber(ctx context.Context, n TenantID) (Tenant, error) {
	r, err := l.Record(ctx, RecordKey{Kind: kindTenant, Key: numberKey(n)})
	return l.tenantOf(r, err, n)
}

// A readTenant is what was read of a record. It holds as long as the record does.
type readTenant struct {
	record *Record
	tenant Tenant
}

// tenantOf reads what a look-up found by ref.
func (l *Ledger) tenantOf(r *Record, err error, ref any) (Tenant, error) {
	switch {
	case err != nil:
		return Tenant{}, err
	case r == nil:
		return Tenant{}, Errorf(NotFound, "there is no tenant %v", ref)
	}
	if was, ok := l.tenants.Load(r.Key); ok && was.(*readTenant).record == r {
		return was.(*readTenant).tenant, nil
	}
	n, err := numberOf(r.Key)
	if err != nil {
		return Tenant{}, errRow(r, err)
	}
	row, err := decodeRow[tenantRow](r)
	if err != nil {
		return Tenant{}, err
	}
	id, ok := ParseAccountID(row.ID)
	if !ok {
		return Tenant{}, errRow(r, errors.New("its id is not a UUID"))
	}
	t := Tenant{TenantID(n), id, row.Name, row.Created}
	l.tenants.Store(r.Key, &readTenant{r, t})
	return t, nil
}

// Tenants lists tenants in order of number, after the one where an earlier page
// ended. The string is where the next page begins; "" at the end.
func (l *Ledger) Tenants(ctx context.Context, from string, limit int) ([]Tenant, string, error) {
	limit = max(limit, 1)
	var tenants []Tenant
	next := ""
	for row, err := range l.Scan(ctx, Query{List: ListRecords, Kind: kindTenant, From: from, Limit: limit + 1}) {
		if err != nil {
			return nil, "", err
		}
		if len(tenants) == limit {
			return tenants, next, nil
		}
		t, err := l.tenantOf(row.Record, nil, row.Key)
		if err != nil {
			return nil, "", err
		}
		tenants, next = append(tenants, t), row.Key
	}
	return tenants, "", nil
}

// Books lists a tenant's books in order of number.
func (l *Ledger) Books(ctx context.Context, tenant TenantID) ([]Book, error) {
	var books []Book
	q := Query{List: ListRecords, Kind: kindBook, Index: indexTenant, Value: numberKey(tenant)}
	for row, err := range l.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		b, err := l.bookOf(ctx, row.Record)
		if err != nil {
			return nil, err
		}
		books = append(books, b)
	}
	return books, nil
}

// BookByName returns a tenant's book with a name.
func (l *Ledger) BookByName(ctx context.Context, tenant TenantID, name string) (Book, error) {
	var r *Record
	var err error
	if validTenantName(name) == nil {
		r, err = l.pointed(ctx, kindBookName, nameKey(tenant, name), kindBook)
	}
	if err == nil && r == nil {
		err = Errorf(NotFound, "the tenant has no book %.80q", name)
	}
	if err != nil {
		return Book{}, err
	}
	return l.bookOf(ctx, r)
}

// bookOf reads a book's record, and makes the book if that was left undone.
func (l *Ledger) bookOf(ctx context.Context, r *Record) (Book, error) {
	n, err := numberOf(r.Key)
	if err != nil {
		return Book{}, errRow(r, err)
	}
	row, err := decodeRow[bookRow](r)
	if err != nil {
		return Book{}, err
	}
	return Book{BookID(n), row.Tenant, row.Name, row.Created}, l.ensureBook(ctx, row.Tenant, BookID(n))
}

// pointed returns the record of a kind that a pointer names, or nil.
func (l *Ledger) pointed(ctx context.Context, pointer, key, kind string) (*Record, error) {
	p, err := l.Record(ctx, RecordKey{Kind: pointer, Key: key})
	if err != nil || p == nil {
		return nil, err
	}
	return l.Record(ctx, RecordKey{Kind: kind, Key: string(p.Data)})
}

// validTenantName says what is wrong with the name of a tenant or book. A name
// is neither a number nor a UUID, so that one word can be any of them.
func validTenantName(name string) error {
	ok, letter := len(name) >= 1 && len(name) <= 63, false
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter = letter || 'a' <= c && c <= 'z'
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-')
	}
	if _, uuid := ParseAccountID(name); !ok || !letter || uuid {
		return Errorf(Invalid, "the name %.80q cannot be used; write 1 to 63 of a-z, 0-9 and -, at least one letter, and no UUID", name)
	}
	return nil
}

func numberKey[T ~uint32 | ~uint64](n T) string { return fmt.Sprintf("%010d", n) }

func numberOf(key string) (uint64, error) { return strconv.ParseUint(key, 10, 32) }

func nameKey(tenant TenantID, name string) string { return numberKey(tenant) + "/" + name }

func ofTenant(t TenantID) []IndexEntry { return []IndexEntry{{indexTenant, numberKey(t)}} }
