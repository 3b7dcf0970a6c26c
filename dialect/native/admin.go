package native

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// credentialMembers writes what a credential opens and may, and nothing secret.
func (q *request) credentialMembers(c *auth.Credential) {
	q.uint("number", c.Number)
	q.string("dialect", c.Dialect)
	q.strings("dialects", c.Dialects)
	q.word("name", c.Name)
	if c.Tenant != 0 {
		if t, err := q.s.ledger.TenantByNumber(q.ctx, c.Tenant); err == nil {
			q.string("tenant", t.Name)
		}
	}
	if !c.Root.IsZero() {
		q.writer.account("account", c.Root)
	}
	q.flag("everything", c.Everything)
	q.strings("scopes", c.Scopes.Names())
	if len(c.Allow) > 0 {
		q.openList("allow")
		for _, p := range c.Allow {
			q.b = appendQuoted(comma(q.b), p.String())
		}
		q.closeList()
	}
	if c.Expires != 0 {
		q.time("credential_expires_at", c.Expires)
	}
	q.flag("revoked", c.Revoked)
	if c.LastUsed != 0 {
		q.time("last_used_at", c.LastUsed)
	}
}

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
	t, err := s.ledger.Tenant(q.ctx, q.params[0])
	if err == nil && !q.cred.Everything && q.cred.Tenant != t.Number {
		err = refuse(CodeNotFound, "")
	}
	if err != nil {
		return reply{}, err
	}
	q.writeTenant(&t)
	return reply{}, nil
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

func (q *request) writeCredential(c *auth.Credential, secret string) {
	q.b = append(q.b, '{')
	q.string("id", c.ID)
	q.time("created_at", c.Created)
	q.credentialMembers(c)
	q.word("secret", secret)
	q.close()
}

// createCredential serves POST /v1/credentials: a new one, or with secret one
// that a client already uses.
func (s *server) createCredential(q *request) (reply, error) {
	b, id, err := q.admin(credentialMembers, false)
	if err != nil {
		return reply{}, err
	}
	spec, err := q.spec(b)
	if err != nil {
		return reply{}, err
	}
	if err := s.auth.MayIssue(q.ctx, q.cred, spec); err != nil {
		return reply{}, err
	}
	var made auth.Issued
	if b.secret != "" {
		made, err = s.auth.Import(q.ctx, q.cred.Number, id, spec, b.keyID, b.secret)
		made.Secret = "" // whoever brought it knows it
	} else if b.keyID != "" {
		return reply{}, invalid("secret", "is missing: it comes with key_id")
	} else {
		made, err = s.auth.Issue(q.ctx, q.cred.Number, id, spec)
	}
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&made.Credential, made.Secret)
	return reply{status: 201, replayed: made.Replayed}, nil
}

// spec makes of a body what the credential is to be.
func (q *request) spec(b *adminBody) (auth.Spec, error) {
	spec := auth.Spec{Dialect: b.dialect, Dialects: b.dialects, Name: b.name, Root: b.account.id, Everything: b.everything,
		APIKey: b.apiKey, Expires: b.expires.At}
	if spec.Dialect == "" {
		spec.Dialect = auth.Native
	}
	if !spec.Everything {
		if b.tenant != "" {
			t, err := q.s.ledger.Tenant(q.ctx, b.tenant)
			if err != nil {
				return spec, err
			}
			q.tenant = t.Number
		} else if err := q.chooseTenant(); err != nil {
			return spec, err
		}
		spec.Tenant = q.tenant
	}
	if !b.hasScopes {
		return spec, invalid("scopes", "is missing: some of read, charge, topup, admin, operator")
	}
	var err error
	if spec.Scopes, err = auth.ParseScopes(b.scopes); err != nil {
		return spec, err
	}
	for _, text := range b.allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return spec, invalid("allow", "%.64q is neither an address nor a range of them", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		spec.Allow = append(spec.Allow, p)
	}
	return spec, nil
}

// credential returns the credential that the path names, if the caller opens all
// that it opens.
func (q *request) credential() (auth.Credential, error) {
	c, err := q.s.auth.ByID(q.ctx, q.params[0])
	if err != nil {
		return c, err
	}
	switch {
	case q.cred.Everything:
	case c.Everything || c.Tenant != q.cred.Tenant:
		return c, refuse(CodeNotFound, "")
	case !q.cred.Root.IsZero():
		if c.Root.IsZero() {
			return c, refuse(CodeNotFound, "")
		}
		root, err := q.s.ledger.Account(q.ctx, c.Root)
		if err != nil {
			return c, err
		}
		if !q.s.auth.Opens(q.ctx, q.cred, root) {
			return c, refuse(CodeNotFound, "")
		}
	}
	return c, nil
}

// readCredential serves GET /v1/credentials/{id}.
func (s *server) readCredential(q *request) (reply, error) {
	c, err := q.credential()
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&c, "")
	return reply{}, nil
}

// listCredentials serves GET /v1/credentials: of a tenant, of an account, or of
// the operator with ?everything=true.
func (s *server) listCredentials(q *request) (reply, error) {
	if err := q.ask("account", "everything", "cursor", "limit"); err != nil {
		return reply{}, err
	}
	root := q.cred.Root
	if text := q.query.Get("everything"); text != "" {
		everything, err := strconv.ParseBool(text)
		switch {
		case err != nil:
			return reply{}, invalid("everything", "has to be true or false")
		case everything && !q.cred.Everything:
			return reply{}, refuse(CodeForbidden, "")
		case !everything:
			if err := q.chooseTenant(); err != nil {
				return reply{}, err
			}
		}
	} else if err := q.chooseTenant(); err != nil {
		return reply{}, err
	}
	if text := q.query.Get("account"); text != "" {
		r, ok := parseRef(text)
		if !ok || r.role != 0 {
			return reply{}, invalid("account", "is not an account's id")
		}
		if _, err := q.opened(r.id); err != nil {
			return reply{}, err
		}
		root = r.id
	}
	p, err := q.page()
	if err != nil {
		return reply{}, err
	}
	list, next, err := s.auth.List(q.ctx, q.tenant, root, p.from, p.limit)
	if err != nil {
		return reply{}, err
	}
	for i := range list {
		q.b = comma(q.b)
		q.writeCredential(&list[i], "")
	}
	p.last, p.whole = next, next == ""
	return q.endPage(p), nil
}

// rotateCredential serves POST /v1/credentials/{id}/rotate.
func (s *server) rotateCredential(q *request) (reply, error) {
	c, err := q.credential()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.admin(rotateMembers, true)
	if err != nil {
		return reply{}, err
	}
	if err := q.mayReplace(&c); err != nil {
		return reply{}, err
	}
	made, err := s.auth.Rotate(q.ctx, q.cred.Number, id, c.ID, b.overlap)
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&made.Credential, made.Secret)
	return reply{replayed: made.Replayed}, nil
}

// mayReplace refuses a new secret of a credential that may more than the caller.
func (q *request) mayReplace(c *auth.Credential) error {
	return q.s.auth.MayIssue(q.ctx, q.cred, auth.Spec{Tenant: c.Tenant, Root: c.Root, Everything: c.Everything, Scopes: c.Scopes})
}

// revokeCredential serves DELETE /v1/credentials/{id}.
func (s *server) revokeCredential(q *request) (reply, error) {
	c, err := q.credential()
	if err != nil {
		return reply{}, err
	}
	id, err := q.id("", false)
	if err != nil {
		return reply{}, err
	}
	if err := q.mayReplace(&c); err != nil {
		return reply{}, err
	}
	revoked, replayed, err := s.auth.Revoke(q.ctx, q.cred.Number, id, c.ID)
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&revoked, "")
	return reply{replayed: replayed}, nil
}

func (q *request) writeAlias(e *auth.Entry, a *ledger.Account) {
	q.b = append(q.b, '{')
	q.string("id", e.Dialect+"/"+e.External)
	q.time("created_at", a.Created)
	q.writer.account("account", a.ID)
	q.string("dialect", e.Dialect)
	q.string("external", e.External)
	q.close()
}

// listAliases serves GET /v1/accounts/{id}/aliases: what other systems call it.
func (s *server) listAliases(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	entries, err := s.auth.Externals(q.ctx, a.ID)
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.openList("items")
	for i := range entries {
		q.b = comma(q.b)
		q.writeAlias(&entries[i], a)
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// createAlias serves POST /v1/accounts/{id}/aliases.
func (s *server) createAlias(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	b, id, err := q.admin(aliasMembers, false)
	if err != nil {
		return reply{}, err
	}
	switch {
	case b.dialect == "":
		return reply{}, invalid("dialect", "is missing")
	case b.external == "":
		return reply{}, invalid("external", "is missing")
	case a.ID.IsSystem():
		return reply{}, refuse(CodeValidation, "A system account has no other names")
	}
	e := auth.Entry{Dialect: b.dialect, External: b.external, Account: a.ID, Tenant: q.tenant}
	replayed, err := s.auth.Map(q.ctx, q.cred.Number, id, e)
	if err != nil {
		return reply{}, err
	}
	q.writeAlias(&e, a)
	return reply{status: 201, replayed: replayed}, nil
}

// deleteAlias serves DELETE /v1/accounts/{id}/aliases/{dialect}/{external}.
func (s *server) deleteAlias(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	id, err := q.id("", false)
	if err != nil {
		return reply{}, err
	}
	e, err := s.auth.Resolve(q.ctx, q.params[1], q.params[2])
	switch {
	case err == nil && e.Account != a.ID:
		return reply{}, refuse(CodeNotFound, "")
	case err != nil && ledger.CodeOf(err) != ledger.NotFound:
		return reply{}, err
	case err != nil:
		e = auth.Entry{Dialect: q.params[1], External: q.params[2]} // a repeat of what took it away
	}
	replayed, err := s.auth.Unmap(q.ctx, q.cred.Number, id, q.tenant, e.Dialect, e.External)
	if err != nil {
		return reply{}, err
	}
	q.writeAlias(&e, a)
	return reply{replayed: replayed}, nil
}
