package native

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"saldo/auth"
	"saldo/ledger"
)

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
	to     http.ResponseWriter
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
	if rt.kind != posting || !q.s.ledger.Shared() {
		return q.call(w, rt)
	}
	q.ctx = q.s.ledger.Lean(ctx, q.check)
	rep, err := q.call(w, rt)
	if wrong := q.s.ledger.Prove(q.ctx); wrong != nil {
		return reply{}, wrong
	}
	return rep, err
}

// check refuses a request whose credential may not do what it was taken to be
// allowed.
func (q *request) check(ctx context.Context) error {
	is, err := q.bearer(ctx)
	if was := q.cred; err == nil && (was == nil || is.Number != was.Number || is.Tenant != was.Tenant || is.Root != was.Root ||
		is.Everything != was.Everything || is.Scopes != was.Scopes) {
		err = ledger.Errorf(ledger.Contention, "the credential was changed at this moment; try again")
	}
	return err
}

// call does what a route says, then calls its endpoint.
func (q *request) call(w http.ResponseWriter, rt *route) (reply, error) {
	if rt.kind == public {
		return rt.serve(q.s, q)
	}
	if err := q.authenticate(); err != nil {
		return reply{}, err
	}
	if err := q.s.o.Limits.Take(q.cred, q.s.o.Now(), w.Header()); err != nil {
		return reply{}, err
	}
	if err := q.need(rt.scope); err != nil {
		return reply{}, err
	}
	if rt.kind == inTenant || rt.kind == posting {
		if err := q.chooseTenant(); err != nil {
			return reply{}, err
		}
	}
	if q.Method != http.MethodGet && q.Method != http.MethodHead { // a read asks for what it knows itself
		if err := q.ask(rt.written()...); err != nil {
			return reply{}, err
		}
	}
	return rt.serve(q.s, q)
}

// written returns what the query of a write may have beside the tenant: the book
// of a system account, where the path may name one.
func (rt *route) written() []string {
	switch rt.operation {
	case "topUp", "charge", "adjust":
		return []string{"book"}
	}
	return nil
}

// authenticate finds the credential: a bearer token, or a session's cookie.
func (q *request) authenticate() (err error) {
	q.cred, err = q.bearer(q.ctx)
	return err
}

func (q *request) bearer(ctx context.Context) (*auth.Credential, error) {
	token, err := q.token()
	if err != nil {
		return nil, err
	}
	return q.s.auth.Bearer(ctx, token, q.s.o.ClientAddr(q.Request))
}

func (q *request) token() (string, error) {
	if values := q.Header["Authorization"]; len(values) > 0 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "bearer") || token == "" {
			return "", refuse(CodeUnauthorized, "Give one credential, as Authorization: Bearer and the token")
		}
		return strings.TrimSpace(token), nil
	}
	is, ok, err := q.session()
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", refuse(CodeUnauthorized, "Give a credential, as Authorization: Bearer and the token")
	case q.Method != http.MethodGet && q.Method != http.MethodHead && q.Header.Get(csrfHeader) == "":
		return "", refuse(CodeHeaderRequired, "")
	}
	q.cookie = true
	return is.token, nil
}

// need refuses a credential without a scope.
func (q *request) need(scope auth.Scope) error {
	return q.cred.May(scope)
}

// above refuses a credential whose own root an account is: what bounds its
// holder is for those above to change.
func (q *request) above(a *ledger.Account) error {
	if a.ID == q.cred.Root {
		return refuse(CodeForbidden, "This is for a credential that opens more than account %s and what is below it", a.ID)
	}
	return nil
}

// mayLend refuses a credential that may not let an account have less than
// nothing: that is money, and whoever opens a subtree needs the scope for money
// that comes in, and cannot lend to its own root, nor through an account that
// draws on it.
func (q *request) mayLend(a *ledger.Account) error {
	if q.cred.Root.IsZero() {
		return nil
	}
	for {
		if err := q.above(a); err != nil {
			return err
		}
		if a.Mode != ledger.Drawing {
			return q.need(auth.TopUp)
		}
		var err error
		if a, err = q.present(a.Parent); err != nil {
			return err
		}
	}
}

// chooseTenant finds the tenant that the request is about.
func (q *request) chooseTenant() error {
	refs := q.Header[tenantHeader]
	if q.URL.RawQuery != "" {
		refs = append(refs[:len(refs):len(refs)], q.URL.Query()["tenant"]...)
	}
	ref := ""
	for _, also := range refs {
		if also != "" && ref != "" && also != ref {
			return invalid("tenant", "is %.64q in one place and %.64q in another; %s and tenant in the query are the same thing", ref, also, tenantHeader)
		}
		ref = cmp.Or(ref, also)
	}
	return q.chooseTenantOf(ref)
}

// chooseTenantOf finds the tenant that is named, or that the credential is of.
func (q *request) chooseTenantOf(ref string) error {
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
	switch missing := ledger.CodeOf(err) == ledger.NotFound; {
	case missing && ref == "":
		return refuse(CodeTenantRequired, "")
	case q.cred.Tenant != 0 && (missing || err == nil && q.cred.Tenant != t.Number): // whether there is one is not told
		return refuse(CodeForbidden, "The credential belongs to another tenant")
	case err != nil:
		return err
	}
	q.tenant = t.Number
	if name == t.Name { // which is its for ever
		q.s.tenants.Store(name, t.Number)
	}
	return nil
}

// tenantHeader is where an operator says which tenant is meant.
const tenantHeader = "Saldo-Tenant"

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
		case name == "tenant" && len(given) == 1:
		case name != "tenant" && !slices.Contains(known, name):
			return invalid(shown([]byte(name)), "is not known here; known are %s", strings.Join(append(known, "tenant"), ", "))
		case len(given) > 1 && name != "id":
			return invalid(name, "is given twice")
		}
	}
	q.query = values
	return nil
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
