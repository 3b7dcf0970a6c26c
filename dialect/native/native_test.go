package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

// A world is a server over a ledger in a directory of its own, and the
// credentials that a test needs.
type world struct {
	t      testing.TB
	url    string
	server *httptest.Server
	ledger *ledger.Ledger
	auth   *auth.Auth
	tenant ledger.Tenant
	token  string // of the operator
	check  func(*http.Request, []byte, *http.Response, []byte)
}

var masterKeys = auth.MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {1, 2, 3}}}

func newWorld(t testing.TB, o native.Options, tune ...func(*http.Server)) *world {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.Open(t.Context(), l, masterKeys, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ledger: l, auth: a}
	if _, ok := t.(*testing.T); ok {
		w.check = contract(t)
	}
	if w.token, _, err = a.FirstOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.tenant, _, err = l.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	o.Keys = masterKeys
	server := httptest.NewUnstartedServer(native.New(l, a, o))
	native.Configure(server.Config)
	for _, set := range tune {
		set(server.Config)
	}
	server.Start()
	w.url, w.server = server.URL, server
	t.Cleanup(func() {
		server.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	Data   map[string]any `json:"data"`
	Error  map[string]any `json:"error"`
}

// do makes a call as the operator, with pairs of headers.
func (w *world) do(method, path, body string, header ...string) *answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Del(header[i]); header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return w.send(r, []byte(body))
}

func (w *world) send(r *http.Request, body []byte) *answer {
	w.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && r.Method != http.MethodHead {
		d := json.NewDecoder(bytes.NewReader(a.body))
		if err := d.Decode(a); err != nil {
			w.t.Errorf("%s %s: %v in %q", r.Method, r.URL, err, a.body)
		}
	}
	if w.check != nil {
		w.check(r, body, resp, a.body)
	}
	return a
}

// must makes a call that has to succeed.
func (w *world) must(method, path, body string, header ...string) *answer {
	w.t.Helper()
	a := w.do(method, path, body, header...)
	if a.status/100 != 2 {
		w.t.Fatalf("%s %s %s: %d %s", method, path, body, a.status, a.body)
	}
	return a
}

// refused makes a call that has to be refused.
func (w *world) refused(status int, code, method, path, body string, header ...string) *answer {
	w.t.Helper()
	a := w.do(method, path, body, header...)
	if a.status != status || a.Error["code"] != code {
		w.t.Errorf("%s %s %.200s: %d %s, want %d %s", method, path, body, a.status, a.body, status, code)
	}
	return a
}

// field makes a call that is refused for a field of its body.
func (w *world) field(field, path, body string) {
	w.t.Helper()
	a := w.refused(400, "VALIDATION_ERROR", "POST", path, body)
	details, _ := a.Error["details"].([]any)
	if len(details) != 1 || details[0].(map[string]any)["field"] != field {
		w.t.Errorf("POST %s %s: the field is not %s: %s", path, body, field, a.body)
	}
}

// account opens an account in USD and tops it up.
func (w *world) account(amount string) string {
	w.t.Helper()
	id := w.must("POST", "/v1/accounts", `{"unit":"USD"}`).Data["id"].(string)
	if amount != "" {
		w.must("POST", "/v1/accounts/"+id+"/topups", fmt.Sprintf(`{"id":"top-%s","amount":%q}`, id, amount))
	}
	return id
}

func (w *world) spendable(id string) string {
	w.t.Helper()
	return w.must("GET", "/v1/accounts/"+id+"/balance", "").Data["spendable"].(string)
}

// contract returns a check of an exchange against the OpenAPI document.
func contract(t testing.TB) func(*http.Request, []byte, *http.Response, []byte) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	return func(r *http.Request, body []byte, resp *http.Response, reply []byte) {
		t.Helper()
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		if again.Method == http.MethodHead {
			return
		}
		if len(body) == 0 {
			again.Body, again.ContentLength = nil, 0
		}
		if path := again.URL.EscapedPath(); strings.Contains(path, "%2F") { // the router takes it for a slash
			again.URL.RawPath = ""
			again.URL.Path = strings.ReplaceAll(path, "%2F", "_")
		}
		route, params, err := router.FindRoute(again)
		if err != nil {
			if resp.StatusCode != 404 && resp.StatusCode != 405 {
				t.Errorf("%s %s is not in the document, but answered with %d", r.Method, r.URL, resp.StatusCode)
			}
			return
		}
		in := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route, Options: options}
		if resp.StatusCode < 300 {
			if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
				t.Errorf("%s %s %.500s was answered, but the document does not allow it: %v", r.Method, r.URL, body, err)
			}
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/") {
			return
		}
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
			Body: io.NopCloser(bytes.NewReader(reply)), Options: options}
		if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
			t.Errorf("%s %s: %d %.1000s: %v", r.Method, r.URL, resp.StatusCode, reply, err)
		}
	}
}

// BenchmarkBalance is the handler without the socket.
func BenchmarkBalance(b *testing.B) {
	w := newWorld(b, native.Options{})
	id := w.account("10")
	r := httptest.NewRequest("GET", "/v1/accounts/"+id+"/balance", nil)
	r.Header.Set("Authorization", "Bearer "+w.token)
	reply := discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		w.server.Config.Handler.ServeHTTP(&reply, r)
	}
	if reply.status != 200 {
		b.Fatal(reply.status)
	}
}

// BenchmarkCharge is the handler without the socket, with one sync for each charge.
func BenchmarkCharge(b *testing.B) {
	w := newWorld(b, native.Options{})
	id := w.account("1000000")
	reply := discard{header: http.Header{}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r := httptest.NewRequest("POST", "/v1/accounts/"+id+"/charges", strings.NewReader(fmt.Sprintf(`{"id":"c-%d","amount":"0.01"}`, n)))
		r.Header.Set("Authorization", "Bearer "+w.token)
		r.Header.Set("Content-Type", "application/json")
		w.server.Config.Handler.ServeHTTP(&reply, r)
	}
	if reply.status != 201 {
		b.Fatal(reply.status)
	}
}

// BenchmarkBatch is the handler without the socket: 8,192 transfers between 1,000 accounts.
func BenchmarkBatch(b *testing.B) {
	w := newWorld(b, native.Options{})
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = w.account("")
	}
	reply := discard{header: http.Header{}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		var body strings.Builder
		fmt.Fprintf(&body, `{"id":"batch-%d","transfers":[`, n)
		for i := range 8192 {
			if i > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `{"from":"@cash","to":%q,"amount":"0.01"}`, ids[i%1000])
		}
		body.WriteString("]}")
		r := httptest.NewRequest("POST", "/v1/transfers", strings.NewReader(body.String()))
		r.Header.Set("Authorization", "Bearer "+w.token)
		r.Header.Set("Content-Type", "application/json")
		b.StartTimer()
		w.server.Config.Handler.ServeHTTP(&reply, r)
	}
	if reply.status != 201 {
		b.Fatal(reply.status)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/8192, "ns/transfer")
}

// discard takes a reply and forgets it.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
