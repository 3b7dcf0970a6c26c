package native

import (
	"net/netip"
	"strconv"

	"saldo/auth"
	"saldo/ledger"
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
	switch {
	case spec.Everything && b.tenant != "":
		return spec, invalid("tenant", "cannot be said of a credential for everything")
	case b.tenant != "":
		if err := q.chooseTenantOf(b.tenant); err != nil {
			return spec, err
		}
		spec.Tenant = q.tenant
	case !spec.Everything:
		if err := q.chooseTenant(); err != nil {
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
	none := refuse(CodeNotFound, "No credential has the id %.64s, or it opens more than yours", q.params[0])
	c, err := q.s.auth.ByID(q.ctx, q.params[0])
	if ledger.CodeOf(err) == ledger.NotFound {
		return c, none
	}
	if err != nil {
		return c, err
	}
	switch {
	case q.cred.Everything:
	case c.Everything || c.Tenant != q.cred.Tenant:
		return c, none
	case !q.cred.Root.IsZero():
		if c.Root.IsZero() {
			return c, none
		}
		root, err := q.s.ledger.Account(q.ctx, c.Root)
		if err != nil {
			return c, err
		}
		if !q.s.auth.Opens(q.ctx, q.cred, root) {
			return c, none
		}
	}
	return c, nil
}

// readCredential serves GET /v1/credentials/{id}.
func (s *server) readCredential(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
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
	spec := specOf(&c)
	spec.Allow, spec.Expires = c.Allow, c.Expires // whoever rotates it learns the secret
	if err := s.auth.MayIssue(q.ctx, q.cred, spec); err != nil {
		return reply{}, err
	}
	made, err := s.auth.Rotate(q.ctx, q.cred.Number, id, c.ID, b.overlap)
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&made.Credential, made.Secret)
	return reply{replayed: made.Replayed}, nil
}

// specOf returns what a credential opens and may.
func specOf(c *auth.Credential) auth.Spec {
	return auth.Spec{Tenant: c.Tenant, Root: c.Root, Everything: c.Everything, Scopes: c.Scopes}
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
	spec := specOf(&c)
	spec.Allow, spec.Expires = q.cred.Allow, q.cred.Expires // whoever could issue it may end it
	if err := s.auth.MayIssue(q.ctx, q.cred, spec); err != nil {
		return reply{}, err
	}
	revoked, replayed, err := s.auth.Revoke(q.ctx, q.cred.Number, id, c.ID)
	if err != nil {
		return reply{}, err
	}
	q.writeCredential(&revoked, "")
	return reply{replayed: replayed}, nil
}
