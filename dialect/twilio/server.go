package twilio

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// Options of a server. The zero value is usable.
type Options struct {
	dialect.Options
	// Concurrent is how many requests for one account are answered at once by
	// this server; more are refused with 429. 0: any number.
	Concurrent int
	// SubAccounts is how many sub-accounts that are not closed an account may
	// have for more to be made here. 0: 1,000; below 0: none are made.
	SubAccounts int
	// Every is how often usage triggers are looked at (see [Server.Run]). 0: 15 s.
	Every time.Duration
	// Callbacks calls the URLs of usage triggers. nil: a client that gives up
	// after 15 s, follows no redirect and calls no link-local address.
	Callbacks *http.Client
}

// A route is one call of the API.
type route struct {
	method    string
	path      string // after the version, without an extension; {} is any word
	operation string // its operationId, and its label in the metrics
	serve     func(*request) error
	metrics   *dialect.Operation
}

// routes is every call of the API. The first {} of a path is an account's SID.
var routes = append([]route{
	{"GET", "/Accounts/{}/Balance", "fetchBalance", (*request).fetchBalance, nil},
	{"GET", "/Accounts", "listAccount", (*request).listAccounts, nil},
	{"POST", "/Accounts", "createAccount", (*request).createAccount, nil},
	{"GET", "/Accounts/{}", "fetchAccount", (*request).fetchAccount, nil},
	{"POST", "/Accounts/{}", "updateAccount", (*request).updateAccount, nil},
	{"GET", "/Accounts/{}/Keys", "listKey", (*request).listKeys, nil},
	{"POST", "/Accounts/{}/Keys", "createKey", (*request).createKey, nil},
	{"GET", "/Accounts/{}/Keys/{}", "fetchKey", (*request).fetchKey, nil},
	{"POST", "/Accounts/{}/Keys/{}", "updateKey", (*request).updateKey, nil},
	{"DELETE", "/Accounts/{}/Keys/{}", "deleteKey", (*request).deleteKey, nil},
	{"GET", "/Accounts/{}/Usage/Triggers", "listUsageTrigger", (*request).listTriggers, nil},
	{"POST", "/Accounts/{}/Usage/Triggers", "createUsageTrigger", (*request).createTrigger, nil},
	{"GET", "/Accounts/{}/Usage/Triggers/{}", "fetchUsageTrigger", (*request).fetchTrigger, nil},
	{"POST", "/Accounts/{}/Usage/Triggers/{}", "updateUsageTrigger", (*request).updateTrigger, nil},
	{"DELETE", "/Accounts/{}/Usage/Triggers/{}", "deleteUsageTrigger", (*request).deleteTrigger, nil},
}, usageRoutes()...)

// A Server answers for a ledger, and looks after its usage triggers.
type Server struct {
	ledger    *ledger.Ledger
	auth      *auth.Auth
	o         Options
	routes    []route
	preflight *dialect.Operation
	flights   flights
	callbacks *http.Client
	due       chan *ledger.Record // firings that are to be delivered
	pauses    []time.Duration     // between the tries of that
	*dialect.Handler
}

// New returns the API over a ledger. It takes every path below /2010-04-01, and
// answers others as it answers unknown ones.
func New(l *ledger.Ledger, a *auth.Auth, o Options) *Server {
	o.Options = o.Filled()
	o.SubAccounts = cmp.Or(o.SubAccounts, 1000)
	o.Every = cmp.Or(o.Every, 15*time.Second)
	s := &Server{ledger: l, auth: a, o: o, preflight: o.Metrics.Operation(auth.Twilio, "preflight"),
		callbacks: o.Callbacks, due: make(chan *ledger.Record), pauses: pauses}
	if s.callbacks == nil {
		s.callbacks = direct()
	}
	l.OnDue(kindToken, s.equipLate)
	for _, r := range routes {
		r.metrics = o.Metrics.Operation(auth.Twilio, r.operation)
		s.routes = append(s.routes, r)
	}
	s.Handler = dialect.NewHandler(o.Options, o.Metrics.Operation(auth.Twilio, "unknown"), s.answer, s.failed)
	return s
}

// A request is one that is being answered.
type request struct {
	*dialect.Exchange
	s         *Server
	form      form
	extension string
	sid       string           // of the account in the path; see account
	name      string           // the second SID in the path
	cred      *auth.Credential // once account has found it
	flying    ledger.AccountID // whose requests it is counted with
}

// answer fills in the answer to a request.
func (s *Server) answer(x *dialect.Exchange) {
	start := s.Now()
	q := request{Exchange: x, s: s}
	defer q.land()
	path, form := cutForm(x.URL.Path)
	q.form, q.extension = form, x.URL.Path[len(path):]
	q.begin()
	if err := q.serve(path); err != nil {
		q.refuse(err)
	}
	q.Header()["Twilio-Request-Duration"] = duration(s.Now().Sub(start))
}

// failed fills in the answer to a request that answer panicked on.
func (s *Server) failed(x *dialect.Exchange) {
	q := request{Exchange: x, s: s}
	_, q.form = cutForm(x.URL.Path)
	q.begin()
	q.write(&faults[internal])
}

// serve finds the route that is meant and has it answer.
func (q *request) serve(path string) error {
	if q.Method == http.MethodOptions {
		q.Operation, q.Status = q.s.preflight, http.StatusOK
		return nil
	}
	path, ok := strings.CutPrefix(path, version)
	method := q.Method
	if method == http.MethodHead {
		method = http.MethodGet // whose body is not sent
	}
	var allowed []string
	for i := range q.s.routes {
		r := &q.s.routes[i]
		sid, name, is := match(r.path, path)
		if !ok || !is {
			continue
		}
		if r.method == method {
			q.Operation, q.sid, q.name = r.metrics, sid, name
			return r.serve(q)
		}
		if !slices.Contains(allowed, r.method) {
			allowed = append(allowed, r.method)
		}
	}
	if allowed == nil {
		return &faults[notFound]
	}
	q.Header()["Allow"] = []string{allow(allowed)}
	return &faults[wrongMethod]
}

// match reports whether a path is one of a pattern, and returns what stands for
// the first and the second {}.
func match(pattern, path string) (sid, name string, ok bool) {
	for {
		before, after, found := strings.Cut(pattern, "{}")
		if !found {
			return sid, name, path == pattern
		}
		rest, is := strings.CutPrefix(path, before)
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		if !is || end == 0 {
			return "", "", false
		}
		if sid == "" {
			sid = rest[:end]
		} else {
			name = rest[:end]
		}
		pattern, path = after, rest[end:]
	}
}

// allow lists the methods that a path takes.
func allow(methods []string) string {
	list := strings.Join(methods, ", ")
	list = strings.Replace(list, http.MethodGet, "GET, HEAD", 1)
	return list + ", OPTIONS"
}

// Values of headers that are the same in every answer. The vendor sends more:
// X-Api-Domain and Strict-Transport-Security would say of its hosts what is not
// so of this one.
var (
	typeOf           = [...][]string{asXML: {"application/xml"}, asJSON: {"application/json"}, asCSV: {"text/csv"}}
	anyOrigin        = []string{"*"}
	allowMethods     = []string{"GET, POST, DELETE, OPTIONS"}
	allowHeaders     = []string{"Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, Idempotency-Key"}
	allowCredentials = []string{"true"}
	exposeHeaders    = []string{"ETag"}
	poweredBy        = []string{"AT-5000"}
	shenanigans      = []string{"none"}
	homeRegion       = []string{"us1"}
	challenge        = []string{`Basic realm="Twilio API"`}
	noTime           = []string{"0.000"}
	aSecond          = []string{"1"}
)

// begin sets what is in the header of every answer.
func (q *request) begin() {
	h := q.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Allow-Methods"] = allowMethods
	h["Access-Control-Allow-Headers"] = allowHeaders
	h["Access-Control-Allow-Credentials"] = allowCredentials
	h["Access-Control-Expose-Headers"] = exposeHeaders
	h["X-Powered-By"] = poweredBy
	h["X-Shenanigans"] = shenanigans
	h["X-Home-Region"] = homeRegion
	h["Twilio-Request-Id"] = []string{requestID()}
}

// requestID returns an id by which an answer is found in the log. It is no secret.
func requestID() string {
	var raw [16]byte
	for i, n := 0, [2]uint64{rand.Uint64(), rand.Uint64()}; i < len(raw); i++ {
		raw[i] = byte(n[i/8] >> (i % 8 * 8))
	}
	id := [34]byte{'R', 'Q'}
	hex.Encode(id[2:], raw[:])
	return string(id[:])
}

// duration returns a time as the vendor tells it: seconds with three decimals.
func duration(d time.Duration) []string {
	ms := d.Milliseconds()
	if ms <= 0 {
		return noTime
	}
	b := strconv.AppendInt(nil, ms/1000, 10)
	return []string{string(append(b, '.', '0'+byte(ms/100%10), '0'+byte(ms/10%10), '0'+byte(ms%10)))}
}

// give answers with a resource.
func (q *request) give(status int, element string, fields ...field) {
	q.Status = status
	q.Header()["Content-Type"] = typeOf[q.form]
	q.Out = q.form.append(q.Out, element, false, fields...)
}

// gone answers that what was in the path is there no more.
func (q *request) gone() { q.Status = http.StatusNoContent }

// refuse answers with an error.
func (q *request) refuse(err error) {
	var own *fault
	var throttled auth.ErrThrottled
	var forbidden auth.ErrForbidden
	switch {
	case errors.As(err, &own):
	case errors.As(err, &throttled):
		own = &faults[tooMany]
		dialect.SetRetryAfter(q.Header(), throttled.RetryAfter)
	case errors.Is(err, auth.ErrUnknown):
		own = &faults[wrongUser]
	case errors.Is(err, auth.ErrUnauthorized):
		own = &faults[wrongSecret]
	case errors.As(err, &forbidden):
		own = &faults[accessDenied]
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		own = &faults[unavailable] // and who asked does not listen any more
	default:
		own = q.refused(err)
	}
	q.write(own)
}

// refused returns the fault for an error of the ledger, or of nobody.
func (q *request) refused(err error) *fault {
	code := ledger.CodeOf(err)
	if code == ledger.Internal {
		q.s.Logger.Error("a request failed", "dialect", auth.Twilio, "operation", q.Operation.Name(),
			"request", q.Header()["Twilio-Request-Id"][0], "error", err)
	}
	if code == ledger.Busy {
		q.Header()["Retry-After"] = aSecond
	}
	return faultOf(code)
}

// write answers with a fault.
func (q *request) write(f *fault) {
	h := q.Header()
	h["Content-Type"] = typeOf[q.form]
	if f.status == http.StatusUnauthorized {
		h["Www-Authenticate"] = challenge
	}
	q.Status = f.status
	q.Out = f.append(q.Out[:0], q.form, q.URL.EscapedPath())
}
