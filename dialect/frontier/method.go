package frontier

import (
	"context"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"saldo/auth"
	"saldo/ledger"
)

// A request is one call of a method, in whichever era, of somebody who has
// shown a right credential.
type request struct {
	s          *server
	ctx        context.Context
	call       *call
	credential *auth.Credential
	form       form
}

// A form is how the reply to a request is written.
type form uint8

const (
	formREST   form = iota // JSON that has members that are zero
	formJSON               // Connect's JSON, which has not
	formBinary             // Connect's binary
	formFramed             // gRPC and gRPC-Web: the whole message is made first
)

// rest reports whether a request came in REST.
func (q *request) rest() bool { return q.form == formREST }

// formOf returns the form of a call in Connect, gRPC or gRPC-Web.
func formOf(r connect.AnyRequest) form {
	switch {
	case r.Peer().Protocol != connect.ProtocolConnect:
		return formFramed
	case strings.HasPrefix(r.Header().Get("Content-Type"), contentTypeJSON):
		return formJSON
	}
	return formBinary
}

// A protoMessage is a pointer to a message.
type protoMessage[T any] interface {
	*T
	proto.Message
}

// A method is one call of Frontier's. Check says what is wrong with a request as
// it stands; answer is asked by who has shown a right credential.
type method[In, Out any] struct {
	service string
	name    string
	check   func(*In) error // nil: nothing can be
	answer  func(*request, *In) (*Out, error)
	routes  []string // of REST; see [server.addRoute]
}

// serve makes a method's endpoints: one in Connect and gRPC, one for each route.
func serve[In, Out any, PIn protoMessage[In], POut protoMessage[Out]](s *server, o connect.HandlerOption, m method[In, Out]) {
	procedure := "/" + m.service + "/" + m.name
	s.calls[procedure] = &endpoint{handler: unary(s, procedure, m, o), operation: s.operation(m.name)}
	for _, route := range m.routes {
		s.addRoute(route, "rest"+m.name, func(c *call, ctx context.Context, body string) error {
			return answerREST[In, Out, PIn, POut](s, c, ctx, body, &m)
		})
	}
}

// unary makes the handler of a method in Connect and gRPC: the credential is
// checked before the body is read.
func unary[In, Out any](s *server, procedure string, m method[In, Out], o connect.HandlerOption) http.Handler {
	gate := func(ctx context.Context, _ connect.Spec, _ connect.Peer, h http.Header) (context.Context, error) {
		c := callOf(ctx)
		var err error
		if c.credential, err = s.authenticate(ctx, h, c.from, c.began); err != nil {
			return nil, s.refusedCall(ctx, c, err)
		}
		return ctx, nil
	}
	return connect.NewUnaryHandler(procedure, func(ctx context.Context, r *connect.Request[In]) (*connect.Response[Out], error) {
		c := callOf(ctx)
		if m.check != nil {
			if err := m.check(r.Msg); err != nil {
				return nil, s.refusedCall(ctx, c, err)
			}
		}
		q := &request{s, ledger.Begin(ctx), c, c.credential, formOf(r)}
		out, err := m.answer(q, r.Msg)
		if err != nil {
			return nil, s.refusedCall(ctx, c, err)
		}
		return connect.NewResponse(out), nil
	}, o, connect.WithRequestGate(gate))
}

// refusedCall returns the error that a call in Connect or gRPC ends with.
func (s *server) refusedCall(ctx context.Context, c *call, err error) error {
	r := s.refusal(ctx, c.endpoint.operation, err)
	c.refused = faults[r.fault].code
	return rpcError(r)
}

// may refuses a credential that lacks a scope, or does not open an account.
func (q *request) may(scope auth.Scope, a *ledger.Account) error {
	if err := q.credential.May(scope); err != nil {
		return err
	}
	if !q.s.auth.Opens(q.ctx, q.credential, a) {
		return forbidden
	}
	return nil
}

// ownsOrg refuses a credential that lacks a scope, or opens less than an
// organization.
func (q *request) ownsOrg(scope auth.Scope, tenant ledger.TenantID) error {
	if err := q.credential.May(scope); err != nil {
		return err
	}
	if !q.credential.Everything && (q.credential.Tenant != tenant || !q.credential.Root.IsZero()) {
		return forbidden
	}
	return nil
}

// org returns the tenant that an organization's id names: its UUID, its name, or one
// that was brought along. The credential has to be of it.
func (q *request) org(ref string) (ledger.Tenant, error) {
	t, err := q.findOrg(ref)
	if ledger.CodeOf(err) == ledger.NotFound {
		err = unknownOrg
	}
	if err == nil && !q.credential.Everything && q.credential.Tenant != t.Number {
		err = forbidden
	}
	return t, err
}

// findOrg finds what org returns. What a tenant has of its own comes first: nobody
// brings another's name along for theirs.
func (q *request) findOrg(ref string) (ledger.Tenant, error) {
	find := q.s.ledger.TenantByName
	if id, ok := parseUUID(ref); ok {
		find = func(ctx context.Context, _ string) (ledger.Tenant, error) { return q.s.ledger.TenantByID(ctx, id) }
	}
	if t, err := find(q.ctx, ref); ledger.CodeOf(err) != ledger.NotFound {
		return t, err
	}
	e, err := q.s.auth.Resolve(q.ctx, auth.Frontier, ref)
	switch {
	case err != nil:
		return ledger.Tenant{}, err
	case !e.Account.IsZero():
		return ledger.Tenant{}, unknownOrg
	}
	return q.s.ledger.TenantByNumber(q.ctx, e.Tenant)
}

// account returns the account that a request is about: the one with a billing
// id or, without one, the organization's. Where both are said the one has to be
// of the other.
func (q *request) account(scope auth.Scope, org, billing string) (*ledger.Account, error) {
	if billing == "" {
		return q.orgAccount(scope, org)
	}
	b, err := q.s.balance(q.ctx, q.credential, billing)
	if err != nil {
		return nil, err
	}
	a := b.Account
	if org != "" {
		switch same, err := q.s.isOrg(q.ctx, org, a.Tenant); {
		case err != nil:
			return nil, err
		case !same:
			return nil, otherOrg
		}
	}
	return a, q.may(scope, a)
}

// orgAccount returns the account that is meant where only an organization is
// named: the one that the credential is for or, if it is for the organization,
// the oldest that is open or, if none is, frozen.
func (q *request) orgAccount(scope auth.Scope, org string) (*ledger.Account, error) {
	t, err := q.org(org)
	if err != nil {
		return nil, err
	}
	if err := q.credential.May(scope); err != nil {
		return nil, err
	}
	if root := q.credential.Root; !root.IsZero() {
		a, err := q.s.ledger.Account(q.ctx, root)
		if err == nil && a.Mode != ledger.Own {
			err = unknownAccount
		}
		return a, err
	}
	var oldest ledger.AccountID
	for row, err := range q.s.ledger.Scan(q.ctx, ledger.Query{List: ledger.ListAccounts, Tenant: t.Number, Roots: true}) {
		if err != nil {
			return nil, err
		}
		a := row.Account
		if a.Mode == ledger.Own && (a.Status == ledger.StatusOpen || a.Status == ledger.StatusFrozen && oldest.IsZero()) {
			oldest = a.ID
		}
		if a.Mode == ledger.Own && a.Status == ledger.StatusOpen {
			break
		}
	}
	if oldest.IsZero() {
		return nil, unknownAccount
	}
	return q.s.ledger.Account(q.ctx, oldest)
}

// openAccount is account for what deals with accounts themselves: there, one
// that is closed was deleted.
func (q *request) openAccount(scope auth.Scope, org, billing string) (*ledger.Account, error) {
	if !q.rest() {
		org = "" // the schema has dropped it
	}
	a, err := q.account(scope, org, billing)
	if err == nil && a.Status == ledger.StatusClosed {
		err = unknownAccount
	}
	return a, err
}
