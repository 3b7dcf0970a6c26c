package native

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
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
	maxPoints   = 1000
	maxStreams  = 256

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
	Rate    Rate             // of each credential
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
	anyTenant                  // a credential
	public                     // nothing
)

// routes is every call of the API.
var routes = []route{
	{"GET", "/v1/accounts/{id}/balance", "readBalance", auth.Read, (*server).balance, inTenant, nil},
	{"POST", "/v1/accounts/{id}/topups", "topUp", auth.TopUp, (*server).topUp, inTenant, nil},
	{"POST", "/v1/accounts/{id}/charges", "charge", auth.Charge, (*server).charge, inTenant, nil},
	{"POST", "/v1/accounts/{id}/adjustments", "adjust", 0, (*server).adjust, inTenant, nil},
	{"POST", "/v1/transfers", "transfer", 0, (*server).transfers, inTenant, nil},
	{"GET", "/v1/transfers/{id}", "readTransfer", auth.Read, (*server).readTransfer, inTenant, nil},
	{"POST", "/v1/transfers/{id}/refunds", "refund", auth.TopUp, (*server).refund, inTenant, nil},

	{"POST", "/v1/accounts/{id}/holds", "placeHold", auth.Charge, (*server).placeHold, inTenant, nil},
	{"GET", "/v1/accounts/{id}/holds", "listHolds", auth.Read, (*server).listHolds, inTenant, nil},
	{"GET", "/v1/holds/{id}", "readHold", auth.Read, (*server).readHold, inTenant, nil},
	{"POST", "/v1/holds/{id}/captures", "captureHold", auth.Charge, (*server).captureHold, inTenant, nil},
	{"POST", "/v1/holds/{id}/release", "releaseHold", auth.Charge, (*server).releaseHold, inTenant, nil},
	{"POST", "/v1/holds/{id}/extend", "extendHold", auth.Charge, (*server).extendHold, inTenant, nil},
	{"POST", "/v1/holds/{id}/raise", "raiseHold", auth.Charge, (*server).raiseHold, inTenant, nil},

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
	limits   limiter
	sessions *sealer
	streams  atomic.Int32
	tenants  sync.Map  // numbers of tenants by name
	books    sync.Map  // names of books by number
	pool     sync.Pool // of *request
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
	s.limits.init(o.Rate)
	var err error
	if s.sessions, err = newSealer(o.Keys); err != nil {
		panic(err) // keys of 32 bytes are long enough
	}
	s.pool.New = func() any { return new(request) }
	for _, r := range routes {
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
	h.MaxHeaderBytes = 16<<10 - 4096 // net/http adds 4096 of its own
	h.ReadHeaderTimeout = 10 * time.Second
	h.ReadTimeout = 10 * time.Second
	h.WriteTimeout = writeTimeout
	h.IdleTimeout = 2 * time.Minute
}

// A request is one request on its way through, with the memory that it uses.
type request struct {
	*http.Request
	s      *server
	ctx    context.Context // does not end when the client goes away; has a deadline when it writes
	cred   *auth.Credential
	tenant ledger.TenantID
	params [3]string // what the path names, in order
	query  url.Values
	in     []byte // the body
	writer        // the reply under construction
	items  []item
	cookie bool // the credential came by cookie
	scope  auth.Scope
}

// A reply is what an endpoint has to say beside the data that it has written.
type reply struct {
	status   int // 200 if 0
	replayed bool
	etag     string
	cookie   *http.Cookie
	bare     string                          // content type: the body is as written, without the envelope
	stream   func(http.ResponseWriter) error // writes it instead, bit by bit
}

// envelope is how every reply begins.
const envelope = `{"success":true,"data":`

// ServeHTTP answers a request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := s.pool.Get().(*request)
	q.Request, q.s = r, s
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
		operation.Observe(status, time.Since(start))
		s.recycle(q)
	}()
	rt, err := s.tree.find(q)
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

// serve finds whose request it is and what it may, and calls the endpoint.
func (q *request) serve(w http.ResponseWriter, rt *route) (reply, error) {
	ctx := context.WithoutCancel(q.Request.Context())
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.s.o.Patience)
		defer cancel()
	}
	q.ctx = ctx
	if rt.kind == public {
		return rt.serve(q.s, q)
	}
	if err := q.authenticate(); err != nil {
		return reply{}, err
	}
	if err := q.s.limits.take(q.cred.Number, q.s.o.Now(), w.Header()); err != nil {
		return reply{}, err
	}
	if err := q.need(rt.scope); err != nil {
		return reply{}, err
	}
	if rt.kind == inTenant {
		if err := q.chooseTenant(); err != nil {
			return reply{}, err
		}
	}
	return rt.serve(q.s, q)
}

// authenticate finds the credential: a bearer token, or a session's cookie.
func (q *request) authenticate() error {
	token, err := q.token()
	if err != nil {
		return err
	}
	q.cred, err = q.s.auth.Bearer(q.ctx, token, q.s.o.ClientAddr(q.Request))
	return err
}

func (q *request) token() (string, error) {
	if values := q.Header["Authorization"]; len(values) > 0 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "bearer") || token == "" {
			return "", refuse(CodeUnauthorized, "Give one credential, as Authorization: Bearer and the token")
		}
		return strings.TrimSpace(token), nil
	}
	token, ok := q.sessionToken()
	switch {
	case !ok:
		return "", refuse(CodeUnauthorized, "Give a credential, as Authorization: Bearer and the token")
	case q.Method != http.MethodGet && q.Method != http.MethodHead && q.Header.Get(csrfHeader) == "":
		return "", refuse(CodeHeaderRequired, "")
	}
	q.cookie = true
	return token, nil
}

// need refuses a credential without a scope.
func (q *request) need(scope auth.Scope) error {
	return q.cred.May(scope)
}

// chooseTenant finds the tenant that the request is about.
func (q *request) chooseTenant() error {
	ref := q.Header.Get(tenantHeader)
	if q.URL.RawQuery != "" {
		if named := q.URL.Query().Get("tenant"); named != "" {
			ref = named
		}
	}
	if ref == "" && q.cred.Tenant != 0 {
		q.tenant = q.cred.Tenant
		return nil
	}
	name := ref
	if ref == "" {
		name = ledger.FirstBook // the tenant that a new server begins with is called as its book
	}
	if n, ok := q.s.tenants.Load(name); ok && q.cred.Tenant == 0 {
		q.tenant = n.(ledger.TenantID)
		return nil
	}
	t, err := q.s.ledger.Tenant(q.ctx, name)
	switch {
	case err != nil && ref == "":
		return refuse(CodeTenantRequired, "")
	case err != nil:
		return err
	case q.cred.Tenant != 0 && q.cred.Tenant != t.Number:
		return refuse(CodeForbidden, "The credential belongs to another tenant")
	}
	q.tenant = t.Number
	if name == t.Name { // which is its for ever
		q.s.tenants.Store(name, t.Number)
	}
	return nil
}

// tenantHeader is where an operator says which tenant is meant.
const tenantHeader = "Saldo-Tenant"

// values of headers that are the same in every reply.
var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	isTrue      = []string{"true"}
)

// answer writes a reply.
func (q *request) answer(w http.ResponseWriter, rep *reply) int {
	h := w.Header()
	body := q.b
	if rep.bare != "" {
		body = body[len(envelope):]
		h["Content-Type"] = []string{rep.bare}
	} else {
		q.b = append(q.b, '}')
		body = q.b
		h["Content-Type"] = typeJSON
	}
	if rep.replayed {
		h["Idempotent-Replayed"] = isTrue
	}
	if rep.etag != "" {
		h["Etag"] = []string{rep.etag}
	}
	if rep.cookie != nil {
		http.SetCookie(w, rep.cookie)
	}
	if rep.status == 0 {
		rep.status = http.StatusOK
	}
	q.send(w, rep.status, body)
	return rep.status
}

func (q *request) send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		w.Write(body) // whoever does not listen any more cannot be told so
	}
}

// refuse writes a refusal.
func (q *request) refuse(w http.ResponseWriter, err error) int {
	e := asError(err)
	if e.cause != nil {
		q.s.o.Logger.Error("a request failed", "method", q.Method, "path", q.URL.Path, "error", e.cause)
	}
	h := w.Header()
	h["Content-Type"] = typeJSON
	problem := wants(q.Request, "application/problem+json")
	if problem {
		h["Content-Type"] = typeProblem
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		h["Www-Authenticate"] = []string{`Bearer realm="saldo"`}
	case e.allow != "":
		h["Allow"] = []string{e.allow}
	case e.Code == CodeBodyTooLarge || e.Code == CodeRequestTimeout || e.Code == CodeBodyIncomplete:
		h["Connection"] = []string{"close"} // the rest of the body is not waited for
	}
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int((e.RetryAfter + time.Second - 1) / time.Second))}
	}
	if e.Replayed {
		h["Idempotent-Replayed"] = isTrue
	}
	q.b = q.b[:0]
	q.error(e, problem)
	q.send(w, e.Status, q.b)
	return e.Status
}

// wants reports whether a request's Accept names a type.
func wants(r *http.Request, mediaType string) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), mediaType) {
				return true
			}
		}
	}
	return false
}

// error writes a refusal in the envelope, or as RFC 9457 has it.
func (w *writer) error(e *Error, problem bool) {
	if problem {
		w.b = append(w.b, '{')
		w.string("type", "/openapi.json#"+e.Code)
		title := e.Message
		if f := faultOf(e.Code); f != nil {
			title = f.message
		}
		w.string("title", title)
		w.uint("status", uint64(e.Status))
		w.string("detail", e.Message)
		w.string("code", e.Code)
	} else {
		w.b = append(w.b, `{"success":false,"error":{`...)
		w.string("code", e.Code)
		w.string("message", e.Message)
	}
	if len(e.Details) > 0 {
		w.openList("details")
		for _, d := range e.Details {
			w.item()
			w.string("field", d.Field)
			w.string("reason", d.Reason)
			w.close()
		}
		w.closeList()
	}
	w.bool("retryable", e.Retryable)
	w.word("required", e.Required)
	w.word("spendable", e.Spendable)
	w.word("unit", e.Unit)
	w.word("account", e.Account)
	w.word("limit_source", e.LimitSource)
	w.close()
	if !problem {
		w.close()
	}
}

// read reads the body, of at most limit bytes, and returns what decodes it.
// Where optional, an empty body is an empty object.
func (q *request) read(limit int, optional bool) (decoder, error) {
	r := q.Request
	if r.ContentLength > int64(limit) {
		return decoder{}, refuse(CodeBodyTooLarge, "The body is too large: at most %d bytes are taken", limit)
	}
	if r.ContentLength > int64(cap(q.in)) {
		q.in = make([]byte, 0, r.ContentLength+1)
	}
	if cap(q.in) == 0 {
		q.in = make([]byte, 0, 4<<10)
	}
	q.in = q.in[:0]
	for {
		n, err := r.Body.Read(q.in[len(q.in):cap(q.in)])
		q.in = q.in[:len(q.in)+n]
		switch {
		case len(q.in) > limit:
			return decoder{}, refuse(CodeBodyTooLarge, "The body is too large: at most %d bytes are taken", limit)
		case err == io.EOF:
			return q.decoder(optional)
		case err != nil:
			return decoder{}, unread(err)
		}
		if len(q.in) == cap(q.in) {
			q.in = append(q.in, 0)[:len(q.in)]
		}
	}
}

// unread says why a body could not be read.
func unread(err error) error {
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return refuse(CodeRequestTimeout, "")
	}
	return refuse(CodeBodyIncomplete, "")
}

func (q *request) decoder(optional bool) (decoder, error) {
	if len(q.in) == 0 {
		if optional {
			q.in = append(q.in, "{}"...)
			return decoder{b: q.in}, nil
		}
		return decoder{}, refuse(CodeMalformedJSON, "The call needs a body: a JSON object")
	}
	if !isJSON(q.Header["Content-Type"]) || len(q.Header["Content-Encoding"]) > 0 {
		return decoder{}, refuse(CodeMediaType, "")
	}
	return decoder{b: q.in}, nil
}

func isJSON(types []string) bool {
	if len(types) != 1 {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	name, params, _ := strings.Cut(types[0], ";")
	if !strings.EqualFold(strings.TrimSpace(name), "application/json") {
		return false
	}
	key, charset, ok := strings.Cut(params, "=")
	return strings.TrimSpace(params) == "" || ok && strings.EqualFold(strings.TrimSpace(key), "charset") &&
		strings.EqualFold(strings.Trim(charset, `" `), "utf-8")
}

// id returns the caller's id of a call: what the body says, or the header
// Idempotency-Key, which agree where both are given.
func (q *request) id(body string, required bool) (string, error) {
	values := q.Header["Idempotency-Key"]
	key := ""
	if len(values) > 0 {
		key = values[0]
		if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
			key = key[1 : n-1] // a structured field's string
		}
		if len(values) > 1 || !ledger.ValidID(key) {
			return "", invalid("Idempotency-Key", badID)
		}
	}
	switch {
	case key == "" && body == "" && required:
		return "", refuse(CodeIDRequired, "")
	case key != "" && body != "" && key != body:
		return "", refuse(CodeKeyDisagrees, "")
	case body == "":
		return key, nil
	}
	return body, nil
}

// ask reads the query, which may have no other names than these.
func (q *request) ask(known ...string) error {
	if q.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return invalid("query", "%s", err)
	}
	for name, given := range values {
		switch {
		case name == "tenant":
		case !contains(known, name):
			return invalid(shown([]byte(name)), "is not known here; known are %s", strings.Join(append(known, "tenant"), ", "))
		case len(given) > 1 && name != "id":
			return invalid(name, "is given twice")
		}
	}
	q.query = values
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// post asks the ledger, in the name of the caller.
func (q *request) post(c *ledger.Command) (ledger.Result, error) {
	c.Tenant, c.Actor, c.Remember = q.tenant, q.cred.Number, true
	res, err := q.s.ledger.Post(q.ctx, c)
	if err != nil {
		e := asError(err)
		e.Replayed = res.Replayed
		return res, e
	}
	return res, nil
}
