package native

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// Bounds of what this API takes. Each has its refusal.
const (
	maxBody     = 1 << 20
	maxBatch    = 8 << 20
	maxMetadata = 16 << 10
	maxReason   = 1 << 10
	maxName     = 255
	maxPage     = 1000
	defaultPage = 50
	fullPage    = 4 << 20 // bytes of events, after which a page has no more
	maxPoints   = 1000
	maxStreams  = 256

	maxStreamsEach = 32 // of a credential

	// writeTimeout is how long a client may take to read an answer; of one that is
	// written bit by bit, each bit.
	writeTimeout = time.Minute

	// countScale is the decimals of a usage count.
	countScale = 0
)

// Options of the API. The zero value is usable.
type Options struct {
	Logger  *slog.Logger
	Now     func() time.Time // time.Now
	Metrics *dialect.Metrics // nil: nothing is counted
	Limits  *dialect.Limits  // of each credential's requests; nil: none
	// ClientAddr returns whom a request comes from, where proxies may say so;
	// nil takes the connection's other end.
	ClientAddr func(*http.Request) netip.Addr
	// Ready says why the server should get no requests now; nil: it never has to.
	Ready func(context.Context) error
	// Patience is how long a request may take once it was read; 30 s.
	Patience time.Duration
	// Keys seal sessions; without any, sessions end with the process.
	Keys auth.MasterKeys
	// SecureCookies marks cookies Secure even where the connection is not TLS,
	// because a proxy before the server speaks it.
	SecureCookies bool
	// StreamFor is the longest life of a stream of events, after which a client
	// connects again; 1 h.
	StreamFor time.Duration
	// Endpoints are calls that others serve, with the schemas that their
	// documents refer to.
	Endpoints []Endpoint
	Schemas   map[string]json.RawMessage
	// Elsewhere are paths that are served at another address, with all below
	// them: here they are not there, and not in the document.
	Elsewhere []string
	// Done ends streams when it is closed, so that a server can stop.
	Done <-chan struct{}
}

// A route is one call of the API.
type route struct {
	method    string
	path      string
	operation string // its operationId, and its label in the metrics
	scope     auth.Scope
	serve     func(*server, *request) (reply, error)
	kind      routeKind
	metrics   *dialect.Operation
}

// A routeKind says what is done before a route's endpoint is called.
type routeKind uint8

const (
	inTenant  routeKind = iota // a credential, and a tenant
	posting                    // the same, for a call that says nothing before it has posted a command: see [ledger.Ledger.Lean]
	anyTenant                  // a credential
	public                     // nothing
)

// routes is every call of the API.
var routes = []route{
	{"GET", "/v1/accounts/{id}/balance", "readBalance", auth.Read, (*server).balance, inTenant, nil},
	{"POST", "/v1/accounts/{id}/topups", "topUp", auth.TopUp, (*server).topUp, posting, nil},
	{"POST", "/v1/accounts/{id}/charges", "charge", auth.Charge, (*server).charge, posting, nil},
	{"POST", "/v1/accounts/{id}/adjustments", "adjust", 0, (*server).adjust, posting, nil},
	{"POST", "/v1/transfers", "transfer", 0, (*server).transfers, posting, nil},
	{"GET", "/v1/transfers/{id}", "readTransfer", auth.Read, (*server).readTransfer, inTenant, nil},
	{"POST", "/v1/transfers/{id}/refunds", "refund", auth.TopUp, (*server).refund, posting, nil},

	{"POST", "/v1/accounts/{id}/holds", "placeHold", auth.Charge, (*server).placeHold, posting, nil},
	{"GET", "/v1/accounts/{id}/holds", "listHolds", auth.Read, (*server).listHolds, inTenant, nil},
	{"GET", "/v1/holds/{id}", "readHold", auth.Read, (*server).readHold, inTenant, nil},
	{"POST", "/v1/holds/{id}/captures", "captureHold", auth.Charge, (*server).captureHold, posting, nil},
	{"POST", "/v1/holds/{id}/release", "releaseHold", auth.Charge, (*server).releaseHold, posting, nil},
	{"POST", "/v1/holds/{id}/extend", "extendHold", auth.Charge, (*server).extendHold, posting, nil},
	{"POST", "/v1/holds/{id}/raise", "raiseHold", auth.Charge, (*server).raiseHold, posting, nil},

	{"POST", "/v1/accounts", "createAccount", auth.Admin, (*server).createAccount, inTenant, nil},
	{"GET", "/v1/accounts", "listAccounts", auth.Read, (*server).listAccounts, inTenant, nil},
	{"GET", "/v1/accounts/{id}", "readAccount", auth.Read, (*server).readAccount, inTenant, nil},
	{"PATCH", "/v1/accounts/{id}", "changeAccount", auth.Admin, (*server).changeAccount, inTenant, nil},
	{"POST", "/v1/accounts/{id}/erase", "eraseAccount", auth.Admin, (*server).eraseAccount, inTenant, nil},
	{"GET", "/v1/accounts/{id}/statement", "readStatement", auth.Read, (*server).statement, inTenant, nil},
	{"GET", "/v1/accounts/{id}/series", "readSeries", auth.Read, (*server).series, inTenant, nil},
	{"GET", "/v1/accounts/{id}/aliases", "listAliases", auth.Read, (*server).listAliases, inTenant, nil},
	{"POST", "/v1/accounts/{id}/aliases", "createAlias", auth.Admin, (*server).createAlias, inTenant, nil},
	{"DELETE", "/v1/accounts/{id}/aliases/{dialect}/{external}", "deleteAlias", auth.Admin, (*server).deleteAlias, inTenant, nil},
	{"GET", "/v1/balances", "readBalances", auth.Read, (*server).balances, inTenant, nil},
	{"GET", "/v1/search", "search", auth.Read, (*server).search, inTenant, nil},
	{"GET", "/v1/overview", "readOverview", auth.Read, (*server).overview, inTenant, nil},
	{"GET", "/v1/events", "listEvents", auth.Read, (*server).events, inTenant, nil},

	{"GET", "/v1/tenants", "listTenants", auth.Operator, (*server).listTenants, anyTenant, nil},
	{"POST", "/v1/tenants", "createTenant", auth.Operator, (*server).createTenant, anyTenant, nil},
	{"GET", "/v1/tenants/{id}", "readTenant", auth.Read, (*server).readTenant, anyTenant, nil},
	{"GET", "/v1/tenants/{id}/aliases", "listTenantAliases", auth.Read, (*server).listAliases, anyTenant, nil},
	{"POST", "/v1/tenants/{id}/aliases", "createTenantAlias", auth.Admin, (*server).createAlias, anyTenant, nil},
	{"DELETE", "/v1/tenants/{id}/aliases/{dialect}/{external}", "deleteTenantAlias", auth.Admin, (*server).deleteAlias, anyTenant, nil},
	{"GET", "/v1/books", "listBooks", auth.Read, (*server).listBooks, inTenant, nil},
	{"POST", "/v1/books", "createBook", auth.Admin, (*server).createBook, inTenant, nil},
	{"GET", "/v1/books/{id}", "readBook", auth.Read, (*server).readBook, inTenant, nil},
	{"GET", "/v1/units", "listUnits", auth.Read, (*server).listUnits, inTenant, nil},
	{"POST", "/v1/units", "createUnit", auth.Admin, (*server).createUnit, inTenant, nil},
	{"GET", "/v1/units/{id}", "readUnit", auth.Read, (*server).readUnit, inTenant, nil},
	{"GET", "/v1/credentials", "listCredentials", auth.Admin, (*server).listCredentials, anyTenant, nil},
	{"POST", "/v1/credentials", "createCredential", auth.Admin, (*server).createCredential, anyTenant, nil},
	{"GET", "/v1/credentials/{id}", "readCredential", auth.Admin, (*server).readCredential, anyTenant, nil},
	{"POST", "/v1/credentials/{id}/rotate", "rotateCredential", auth.Admin, (*server).rotateCredential, anyTenant, nil},
	{"DELETE", "/v1/credentials/{id}", "revokeCredential", auth.Admin, (*server).revokeCredential, anyTenant, nil},

	{"POST", "/v1/session", "createSession", 0, (*server).createSession, anyTenant, nil},
	{"GET", "/v1/session", "readSession", 0, (*server).readSession, anyTenant, nil},
	{"DELETE", "/v1/session", "deleteSession", 0, (*server).deleteSession, public, nil},

	{"GET", "/openapi.json", "readOpenAPI", 0, (*server).openAPI, public, nil},
	{"GET", "/healthz", "readHealth", 0, (*server).health, public, nil},
	{"GET", "/readyz", "readReadiness", 0, (*server).ready, public, nil},
}

// A server answers for a ledger.
type server struct {
	ledger   *ledger.Ledger
	auth     *auth.Auth
	o        Options
	tree     *node
	lost     *dialect.Operation // what no route answers
	sessions *sealer
	document []byte
	tenants  sync.Map  // numbers of tenants by name
	books    sync.Map  // names of books by number
	pool     sync.Pool // of *request

	streams   atomic.Int32 // that are open
	streaming sync.Map     // number of a credential -> how many of them are its
}

// New returns the API over a ledger.
func New(l *ledger.Ledger, a *auth.Auth, o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.StreamFor == 0 {
		o.StreamFor = time.Hour
	}
	if o.ClientAddr == nil {
		o.ClientAddr = remoteAddr
	}
	s := &server{ledger: l, auth: a, o: o, tree: new(node), lost: o.Metrics.Operation("native", "unknown")}
	var err error
	if s.sessions, err = newSealer(o.Keys); err != nil {
		panic(err) // keys of 32 bytes are long enough
	}
	s.pool.New = func() any { return new(request) }
	l.OnDue(kindEnded, forgetSession)
	if s.document, err = documented(o.Endpoints, o.Schemas, o.Elsewhere); err != nil {
		panic(err) // of who wrote the endpoints
	}
	all := slices.Clone(routes)
	for i := range o.Endpoints {
		all = append(all, o.Endpoints[i].route())
	}
	for _, r := range all {
		if under(o.Elsewhere, r.path) {
			continue
		}
		r.metrics = o.Metrics.Operation("native", r.operation)
		s.tree.add(&r)
	}
	return s
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// Configure sets the bounds of a server for this API: of headers, of the time
// that reading a request takes, of idle connections.
func Configure(h *http.Server) {
	h.MaxHeaderBytes = 16<<10 - 4096 // net/http adds what its buffer holds, 4096
	h.ReadHeaderTimeout = 10 * time.Second
	h.ReadTimeout = 10 * time.Second
	h.WriteTimeout = writeTimeout
	h.IdleTimeout = 2 * time.Minute
}

// ServeHTTP answers a request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := s.pool.Get().(*request)
	q.Request, q.s, q.to = r, s, w
	q.b = append(q.b[:0], envelope...)
	operation := s.lost
	status := 0
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.o.Logger.Error("a request failed", "operation", operation.Name(), "panic", p, "stack", string(debug.Stack()))
			if status == 0 {
				status = q.refuse(w, refuse(CodeInternal, ""))
			}
		}
		operation.Observe(r.Context(), status, time.Since(start))
		s.recycle(q)
	}()
	rt, err := s.tree.find(q)
	if err != nil && under(s.o.Elsewhere, r.URL.Path) {
		err = refuse(CodeNotFound, "There is no such thing here; it is served at another address")
	}
	var rep reply
	if err == nil {
		operation = rt.metrics
		rep, err = q.serve(w, rt)
	}
	switch {
	case err != nil:
		status = q.refuse(w, err)
	case rep.stream != nil:
		status = http.StatusOK
		if err := rep.stream(w); err != nil {
			panic(http.ErrAbortHandler) // so that the client sees that it is not whole
		}
	default:
		status = q.answer(w, &rep)
	}
}

// recycle keeps a request's memory for the next, unless it is large.
func (s *server) recycle(q *request) {
	const most = 4 << 20
	if cap(q.in) > most || cap(q.b) > most {
		return
	}
	clear(q.items)
	*q = request{in: q.in[:0], writer: writer{q.b[:0]}, items: q.items[:0]}
	s.pool.Put(q)
}
