package frontier

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// Options of the server. The zero value is usable.
type Options struct {
	dialect.Options
	// RealUpdatedAt fills updated_at with the time of the account's last change.
	// Frontier itself never does.
	RealUpdatedAt bool
	// Unit is the code of the unit of accounts that are created by this API; ""
	// is CREDITS. A tenant that has no such unit gets it.
	Unit string
	// Ready says why the server should get no requests now, to who asks /ping or
	// grpc.health.v1; nil: it never has to.
	Ready func(context.Context) error
}

// A server answers for a ledger, in both eras.
type server struct {
	ledger  *ledger.Ledger
	auth    *auth.Auth
	o       Options
	rest    *dialect.Handler
	calls   map[string]*endpoint // of Connect and gRPC, by path
	lost    *endpoint            // for the paths that none of them has
	routes  map[int][]route      // of REST, but for the balance, by number of segments
	wrong   *endpoint            // for those of their paths that are asked with another method
	refuse  *connect.ErrorWriter
	gathers int // see maxGathered
	totals  totals
	orgs    sync.Map // ledger.TenantID -> its ledger.AccountID, which never changes

	balanceREST, pingREST *dialect.Operation
}

// New returns Frontier's API over a ledger: REST, Connect, gRPC and gRPC-Web.
// It takes every path that begins with one of [Prefixes]; a server in front of
// it has to speak HTTP/2 for gRPC.
func New(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	o.Options = o.Options.Filled()
	if o.Unit == "" {
		o.Unit = "CREDITS"
	}
	s := &server{ledger: l, auth: a, o: o, gathers: maxGathered, routes: make(map[int][]route)}
	s.balanceREST = o.Metrics.Operation(auth.Frontier, "restGetBillingBalance")
	s.pingREST = o.Metrics.Operation(auth.Frontier, "ping")
	unknown := o.Metrics.Operation(auth.Frontier, "unknown")
	s.rest = dialect.NewHandler(o.Options, unknown, s.answer, func(x *dialect.Exchange) { s.refused(x, internal) })
	s.serveCalls(unknown)
	return s
}

// ServeHTTP answers a request in the form of its path.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := r.URL.Path; strings.HasPrefix(path, "/raystack.") || strings.HasPrefix(path, "/grpc.") {
		e := s.calls[path]
		if e == nil {
			e = s.lost
		}
		s.serveCall(w, r, e, nil)
		return
	}
	if _, _, ok := balancePath(r.URL.Path); !ok {
		if e, p := s.find(r); e != nil {
			s.serveCall(w, r, e, p)
			return
		}
	}
	s.rest.ServeHTTP(w, r)
}

var (
	headerJSON   = []string{contentTypeJSON}
	headerGRPC   = []string{"application/grpc"}
	headerDenied = []string{faults[unauthenticated].rest}
)

// answer answers a balance in REST, a ping, and what is none of the routes.
func (s *server) answer(x *dialect.Exchange) {
	x.Header()["Content-Type"] = headerJSON
	x.Status = http.StatusOK
	if err := s.route(x); err != nil {
		s.refused(x, err)
	}
}

// route calls what a path names.
func (s *server) route(x *dialect.Exchange) error {
	if org, id, ok := balancePath(x.URL.Path); ok {
		x.Operation = s.balanceREST
		if !gets(x.Request) {
			return wrongMethod
		}
		return s.restBalance(x, org, id)
	}
	if x.URL.Path == pingPath {
		x.Operation = s.pingREST
		if !gets(x.Request) {
			return wrongMethod
		}
		return s.ping(x)
	}
	return unknownPath
}

// gets reports whether a request is taken for a GET: grpc-gateway also lets a
// form be posted, for those whose query would be too long.
func gets(r *http.Request) bool {
	return r.Method == http.MethodGet ||
		r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
}

// restBalance answers a balance in REST. The order of the checks is Frontier's.
func (s *server) restBalance(x *dialect.Exchange, org, id string) error {
	ctx := x.Context()
	if _, ok := parseUUID(id); !ok {
		return notUUID
	}
	c, err := s.authenticate(ctx, x.Request.Header, x.From, x.Began)
	if err != nil {
		return err
	}
	b, err := s.balance(ctx, c, id)
	if err != nil {
		return err
	}
	same, err := s.isOrg(ctx, org, b.Account.Tenant)
	switch {
	case err != nil:
		return err
	case !same:
		return otherOrg
	case !s.mayRead(ctx, c, b.Account):
		return forbidden
	}
	n, err := credits(&b)
	if err != nil {
		return err
	}
	x.Header()["Grpc-Metadata-Content-Type"] = headerGRPC
	x.Out = appendBalance(x.Out, n, s.updated(&b))
	return nil
}

// ping answers whether requests are welcome.
func (s *server) ping(x *dialect.Exchange) error {
	if !s.serving(x.Context()) {
		return notServing
	}
	x.Out = append(x.Out, `{"status":"SERVING"}`...)
	return nil
}

func (s *server) serving(ctx context.Context) bool {
	return s.o.Ready == nil || s.o.Ready(ctx) == nil
}

// refused answers a refusal in REST.
func (s *server) refused(x *dialect.Exchange, err error) {
	r := s.refusal(x.Context(), x.Operation, err)
	x.Status = codes[faults[r.fault].code].status
	refusedHeader(x.Header(), r)
	x.Out = appendRefusal(x.Out[:0], r)
}

// refusedHeader sets the headers of a refusal in REST.
func refusedHeader(h http.Header, r *refusal) {
	h["Content-Type"] = headerJSON
	if r.fault == unauthenticated {
		h["Www-Authenticate"] = headerDenied
	}
	dialect.SetRetryAfter(h, r.wait)
}

// refusal returns what a caller is told of an error, after logging it if it is
// the server's own.
func (s *server) refusal(ctx context.Context, op *dialect.Operation, err error) *refusal {
	r := refusalOf(err)
	switch {
	case r.fault == internal && ctx.Err() == nil && !errors.Is(err, internal):
		s.o.Logger.Error("a request failed", "operation", op.Name(), "error", err)
	case (r.fault == timedOut || r.fault == internal) && errors.Is(ctx.Err(), context.Canceled):
		return refuse(canceled) // nobody is there to read more
	}
	return r
}

// authenticate returns the credential of a request: a client id and secret by
// Basic, or a token by Bearer or in X-User-Token.
func (s *server) authenticate(ctx context.Context, h http.Header, from func() netip.Addr, began time.Time) (*auth.Credential, error) {
	id, secret, ok := credential(h)
	if !ok {
		return nil, unauthenticated
	}
	c, err := s.auth.Check(ctx, auth.Frontier, id, secret, from())
	if err == nil {
		err = s.o.Limits.Take(c, began, nil)
	}
	return c, err
}

// maxAuthorization is the longest credential that is looked at.
const maxAuthorization = 1024

// credential returns what a request shows of its caller: a client id and secret,
// or a token without an id.
func credential(h http.Header) (id, secret string, ok bool) {
	values := h["Authorization"]
	if len(values) == 0 {
		token := h.Get("X-User-Token")
		return "", token, token != ""
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case len(rest) > maxAuthorization:
		return "", "", false
	case strings.EqualFold(scheme, "Bearer"):
		return "", rest, rest != ""
	case !strings.EqualFold(scheme, "Basic"):
		return "", "", false
	}
	var out [maxAuthorization / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(out[:], []byte(rest))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(out[:n]), ":")
	return id, secret, ok && strings.IndexByte(secret, ':') < 0 // there are exactly two parts
}

// mayRead reports whether a credential may read an account. In Frontier it is a
// permission on the account's organization; here a credential may open less.
func (s *server) mayRead(ctx context.Context, c *auth.Credential, a *ledger.Account) bool {
	return c.May(auth.Read) == nil && s.auth.Opens(ctx, c, a)
}

// balance returns what the account has that a billing id means to a caller.
func (s *server) balance(ctx context.Context, c *auth.Credential, id string) (ledger.Balance, error) {
	account, ok := parseUUID(id)
	if !ok {
		return ledger.Balance{}, unknownAccount
	}
	b, _, err := s.auth.Meant(ctx, auth.Frontier, id, account, func(a *ledger.Account) bool { return s.auth.Opens(ctx, c, a) })
	if err == nil && b.Account.Mode != ledger.Own {
		err = unknownAccount
	}
	return b, err
}

// isOrg reports whether an organization id, its UUID or one that was brought
// along, names a tenant.
func (s *server) isOrg(ctx context.Context, org string, tenant ledger.TenantID) (bool, error) {
	known, ok := s.orgs.Load(tenant)
	if !ok {
		t, err := s.ledger.TenantByNumber(ctx, tenant)
		if err != nil {
			return false, err
		}
		known, _ = s.orgs.LoadOrStore(tenant, t.ID)
	}
	if id, ok := parseUUID(org); ok && id == known.(ledger.AccountID) {
		return true, nil
	}
	e, err := s.auth.Resolve(ctx, auth.Frontier, org)
	if ledger.CodeOf(err) == ledger.NotFound {
		return false, nil
	}
	return err == nil && e.Account.IsZero() && e.Tenant == tenant, err
}

// updated returns the time that a balance shows, or the zero time.
func (s *server) updated(b *ledger.Balance) time.Time {
	if !s.o.RealUpdatedAt {
		return time.Time{}
	}
	return b.Account.Updated.Std()
}
