package native

import (
	"encoding/hex"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// An adminBody is what bodies of administration say.
type adminBody struct {
	id         string
	name       string
	code       string
	kind       string
	scale      int
	tenantID   ref
	dialect    string
	dialects   []string
	account    ref
	everything bool
	scopes     []string
	hasScopes  bool
	allow      []string
	expires    ledger.Lifetime
	keyID      string
	secret     string
	apiKey     bool
	overlap    time.Duration
	external   string
	tenant     string
}

var (
	tenantMembers     = []string{"id", "name", "tenant_id"}
	bookMembers       = []string{"id", "name"}
	unitMembers       = []string{"id", "code", "scale", "kind"}
	credentialMembers = []string{"id", "name", "tenant", "dialect", "dialects", "account", "everything", "scopes", "allow",
		"expires_at", "key_id", "secret", "api_key"}
	rotateMembers = []string{"id", "overlap_seconds"}
	aliasMembers  = []string{"id", "dialect", "external"}
)

// admin reads a body of administration.
func (q *request) admin(known []string, optional bool) (*adminBody, string, error) {
	d, err := q.read(maxBody, optional)
	if err != nil {
		return nil, "", err
	}
	b := &adminBody{scale: -1}
	d.object(known, func(name string) { d.adminMember(b, name) })
	if d.end(); d.err != nil {
		return nil, "", d.err
	}
	id, err := q.id(b.id, false)
	return b, id, err
}

func (d *decoder) adminMember(b *adminBody, name string) {
	switch name {
	case "id":
		b.id = d.id()
	case "name":
		b.name = d.word(maxName)
	case "code":
		b.code = d.word(64)
	case "kind":
		b.kind = d.word(64)
	case "scale":
		b.scale = int(d.integer(0, money.MaxScale))
	case "tenant_id":
		b.tenantID = d.customer()
	case "dialect":
		b.dialect = d.word(64)
	case "dialects":
		b.dialects = d.words(16)
	case "account":
		b.account = d.customer()
	case "everything":
		b.everything = d.bool()
	case "scopes":
		b.scopes, b.hasScopes = d.words(16), true
	case "allow":
		b.allow = d.words(64)
	case "expires_at":
		b.expires = d.lifetime(name)
	case "key_id":
		b.keyID = d.word(ledger.MaxID)
	case "secret":
		b.secret = d.word(1024)
	case "api_key":
		b.apiKey = d.bool()
	case "overlap_seconds":
		b.overlap = time.Duration(d.integer(0, 366*24*3600)) * time.Second
	case "external":
		b.external = d.word(ledger.MaxID)
	case "tenant":
		b.tenant = d.word(64)
	}
}

// words reads a list of strings.
func (d *decoder) words(most int) (list []string) {
	d.array(func(n int) {
		if n == most {
			d.fail("has more than %d entries", most)
			return
		}
		list = append(list, d.word(maxName))
	})
	return list
}

func (w *writer) strings(name string, list []string) {
	w.openList(name)
	for _, s := range list {
		w.b = appendQuoted(comma(w.b), s)
	}
	w.closeList()
}

func (q *request) writeTenant(t *ledger.Tenant) {
	q.b = append(q.b, '{')
	q.writer.account("id", t.ID)
	q.time("created_at", t.Created)
	q.string("name", t.Name)
	q.uint("number", uint64(t.Number))
	q.close()
}

// createTenant serves POST /v1/tenants.
func (s *server) createTenant(q *request) (reply, error) {
	b, id, err := q.admin(tenantMembers, false)
	if err != nil {
		return reply{}, err
	}
	t, replayed, err := s.ledger.CreateTenant(q.ctx, q.cred.Number, id, ledger.Tenant{ID: b.tenantID.id, Name: b.name})
	if err != nil {
		return reply{}, err
	}
	q.writeTenant(&t)
	return reply{status: 201, replayed: replayed}, nil
}

// listTenants serves GET /v1/tenants.
func (s *server) listTenants(q *request) (reply, error) {
	if err := q.ask("cursor", "limit"); err != nil {
		return reply{}, err
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	tenants, next, err := s.ledger.Tenants(q.ctx, p.from, p.limit)
	if err != nil {
		return reply{}, err
	}
	for i := range tenants {
		q.b = comma(q.b)
		q.writeTenant(&tenants[i])
	}
	p.last, p.whole = next, next == ""
	return q.endPage(p), nil
}

// readTenant serves GET /v1/tenants/{id}: of an operator any, of others their own.
func (s *server) readTenant(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	t, err := q.pathTenant()
	if err != nil {
		return reply{}, err
	}
	q.writeTenant(&t)
	return reply{}, nil
}

// pathTenant returns the tenant that the path names, if the credential is of it.
func (q *request) pathTenant() (ledger.Tenant, error) {
	t, err := q.s.ledger.Tenant(q.ctx, q.params[0])
	if !q.cred.Everything && (ledger.CodeOf(err) == ledger.NotFound || err == nil && q.cred.Tenant != t.Number) {
		err = refuse(CodeNotFound, "")
	}
	return t, err
}

func (q *request) writeBook(b *ledger.Book) error {
	h, err := q.s.ledger.Head(q.ctx, b.Number)
	if err != nil {
		return err
	}
	q.b = append(q.b, '{')
	q.string("id", b.Name)
	q.time("created_at", b.Created)
	q.time("updated_at", h.Time)
	q.string("name", b.Name)
	q.uint("number", uint64(b.Number))
	q.uint("seq", h.Seq)
	q.string("hash", hex.EncodeToString(h.Hash[:]))
	q.openList("units")
	for _, u := range h.Units {
		q.b = appendQuoted(comma(q.b), u.Code)
	}
	q.closeList()
	q.close()
	return nil
}

// createBook serves POST /v1/books.
func (s *server) createBook(q *request) (reply, error) {
	if err := q.wholeTenant(); err != nil {
		return reply{}, err
	}
	b, id, err := q.admin(bookMembers, false)
	if err != nil {
		return reply{}, err
	}
	book, replayed, err := s.ledger.CreateBook(q.ctx, q.cred.Number, id, q.tenant, b.name)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.string("id", book.Name)
	q.time("created_at", book.Created)
	q.string("name", book.Name)
	q.uint("number", uint64(book.Number))
	q.close()
	return reply{status: 201, replayed: replayed}, nil
}

// wholeTenant refuses a credential that opens only a subtree.
func (q *request) wholeTenant() error {
	if !q.cred.Root.IsZero() {
		return refuse(CodeForbidden, "The credential opens only what is below account %s", q.cred.Root)
	}
	return nil
}

// listBooks serves GET /v1/books.
func (s *server) listBooks(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	if err := q.wholeTenant(); err != nil {
		return reply{}, err
	}
	books, err := s.ledger.Books(q.ctx, q.tenant)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.openList("items")
	for i := range books {
		q.b = comma(q.b)
		if err := q.writeBook(&books[i]); err != nil {
			return reply{}, err
		}
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// readBook serves GET /v1/books/{id}.
func (s *server) readBook(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	if err := q.wholeTenant(); err != nil {
		return reply{}, err
	}
	b, err := q.book(q.params[0])
	if err != nil {
		return reply{}, err
	}
	return reply{}, q.writeBook(&b)
}

func (q *request) writeUnit(u money.Unit, created ledger.Time) {
	q.b = append(q.b, '{')
	q.string("id", u.Code)
	q.time("created_at", created)
	q.string("code", u.Code)
	q.uint("scale", uint64(u.Scale))
	q.string("kind", u.Kind.String())
	q.close()
}

// createUnit serves POST /v1/units.
func (s *server) createUnit(q *request) (reply, error) {
	if err := q.wholeTenant(); err != nil {
		return reply{}, err
	}
	b, id, err := q.admin(unitMembers, false)
	if err != nil {
		return reply{}, err
	}
	u := money.Unit{Code: b.code, Kind: money.Credit}
	switch _, _, iso := money.ISO(b.code); {
	case b.code == "":
		return reply{}, invalid("code", "is missing")
	case b.kind != "":
		if u.Kind, err = money.ParseKind(b.kind); err != nil {
			return reply{}, invalid("kind", "%s", err)
		}
	case iso:
		u.Kind = money.Currency
	}
	switch {
	case b.scale >= 0:
		u.Scale = uint8(b.scale)
	case u.Kind == money.Currency:
		u.Scale = money.DefaultCurrencyScale
	default:
		u.Scale = money.DefaultCreditScale
	}
	replayed, err := s.ledger.CreateUnit(q.ctx, q.cred.Number, id, q.tenant, u)
	if err != nil {
		return reply{}, err
	}
	created, err := q.unitCreated(u.Code)
	if err != nil {
		return reply{}, err
	}
	q.writeUnit(u, created)
	return reply{status: 201, replayed: replayed}, nil
}

// unitCreated returns when a unit was made known to the tenant: when the tenant
// was, for those that always are.
func (q *request) unitCreated(string) (ledger.Time, error) {
	t, err := q.s.ledger.TenantByNumber(q.ctx, q.tenant)
	return t.Created, err
}

// listUnits serves GET /v1/units: those that the tenant made or uses.
func (s *server) listUnits(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	units, err := s.ledger.Units(q.ctx, q.tenant)
	if err != nil {
		return reply{}, err
	}
	books, err := s.ledger.Books(q.ctx, q.tenant)
	if err != nil {
		return reply{}, err
	}
	known := make(map[string]bool)
	for _, u := range units {
		known[u.Code] = true
	}
	for _, b := range books {
		h, err := s.ledger.Head(q.ctx, b.Number)
		if err != nil {
			return reply{}, err
		}
		for _, u := range h.Units {
			if !known[u.Code] {
				known[u.Code] = true
				units = append(units, u)
			}
		}
	}
	created, err := q.unitCreated("")
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.openList("items")
	for _, u := range units {
		q.b = comma(q.b)
		q.writeUnit(u, created)
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// readUnit serves GET /v1/units/{id}.
func (s *server) readUnit(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	u, err := s.ledger.Unit(q.ctx, q.tenant, q.params[0])
	if err != nil {
		return reply{}, err
	}
	created, err := q.unitCreated(u.Code)
	if err != nil {
		return reply{}, err
	}
	q.writeUnit(u, created)
	return reply{}, nil
}
