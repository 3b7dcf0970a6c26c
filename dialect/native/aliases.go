package native

import (
	"saldo/auth"
	"saldo/ledger"
)

// A holder is what has other names: an account, or the whole tenant.
type holder struct {
	account *ledger.Account // nil: the tenant
	tenant  ledger.Tenant
	created ledger.Time
}

// holder returns what the path names: /v1/accounts/{id}/… or /v1/tenants/{id}/….
func (q *request) holder() (h holder, err error) {
	if q.URL.Path[:len("/v1/t")] != "/v1/t" {
		if h.account, err = q.pathAccount(); err == nil {
			h.created = h.account.Created
		}
		return h, err
	}
	if h.tenant, err = q.pathTenant(); err != nil {
		return h, err
	}
	h.created, q.tenant = h.tenant.Created, h.tenant.Number
	return h, q.wholeTenant()
}

// entry returns what an external id means that means the holder.
func (h *holder) entry(q *request, dialect, external string) auth.Entry {
	e := auth.Entry{Dialect: dialect, External: external, Tenant: q.tenant}
	if h.account != nil {
		e.Account = h.account.ID
	}
	return e
}

func (q *request) writeAlias(e *auth.Entry, h *holder) {
	q.b = append(q.b, '{')
	q.string("id", e.Dialect+"/"+e.External)
	q.time("created_at", h.created)
	if h.account != nil {
		q.writer.account("account", h.account.ID)
	} else {
		q.string("tenant", h.tenant.Name)
	}
	q.string("dialect", e.Dialect)
	q.string("external", e.External)
	q.close()
}

// listAliases serves GET /v1/accounts/{id}/aliases and /v1/tenants/{id}/aliases:
// what other systems call it.
func (s *server) listAliases(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	h, err := q.holder()
	if err != nil {
		return reply{}, err
	}
	var entries []auth.Entry
	if h.account != nil {
		entries, err = s.auth.Externals(q.ctx, h.account.ID)
	} else {
		entries, err = s.auth.TenantExternals(q.ctx, q.tenant)
	}
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.openList("items")
	for i := range entries {
		q.b = comma(q.b)
		q.writeAlias(&entries[i], &h)
	}
	q.closeList()
	q.close()
	return reply{}, nil
}

// createAlias serves POST to the same.
func (s *server) createAlias(q *request) (reply, error) {
	h, err := q.holder()
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
	case h.account != nil && h.account.ID.IsSystem():
		return reply{}, refuse(CodeValidation, "A system account has no other names")
	}
	e := h.entry(q, b.dialect, b.external)
	replayed, err := s.auth.Map(q.ctx, q.cred.Number, id, e)
	if err != nil {
		return reply{}, err
	}
	q.writeAlias(&e, &h)
	return reply{status: 201, replayed: replayed}, nil
}

// deleteAlias serves DELETE of the same with /{dialect}/{external}.
func (s *server) deleteAlias(q *request) (reply, error) {
	h, err := q.holder()
	if err != nil {
		return reply{}, err
	}
	id, err := q.id("", false)
	if err != nil {
		return reply{}, err
	}
	want := h.entry(q, q.params[1], q.params[2]) // as it was asked, also by the repeat of what took it away
	e, err := s.auth.Resolve(q.ctx, want.Dialect, want.External)
	switch {
	case err == nil && (e.Account != want.Account || e.Tenant != want.Tenant):
		return reply{}, refuse(CodeNotFound, "")
	case err != nil && ledger.CodeOf(err) != ledger.NotFound:
		return reply{}, err
	}
	replayed, err := s.auth.Unmap(q.ctx, q.cred.Number, id, q.tenant, want.Dialect, want.External)
	if err != nil {
		return reply{}, err
	}
	q.writeAlias(&want, &h)
	return reply{replayed: replayed}, nil
}
