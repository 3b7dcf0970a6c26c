package native

import (
	"saldo/auth"
	"saldo/ledger"
)

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
	if err := q.ask(); err != nil {
		return reply{}, err
	}
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
	}
	e = auth.Entry{Dialect: q.params[1], External: q.params[2]} // as it was asked, also by the repeat of what took it away
	replayed, err := s.auth.Unmap(q.ctx, q.cred.Number, id, q.tenant, e.Dialect, e.External)
	if err != nil {
		return reply{}, err
	}
	q.writeAlias(&e, a)
	return reply{replayed: replayed}, nil
}
