package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

var update = flag.Bool("update", false, "write testdata/*.http as the server answers now")

// A counting is chance that tests can foretell.
type counting struct{ n atomic.Uint64 }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.n.Add(1) * 131)
	}
	return len(p), nil
}

// TestSamples holds whole exchanges to testdata/*.http, byte for byte.
func TestSamples(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix())
	clock := func() time.Time { return time.Unix(now.Load(), 0).UTC() }
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l, err := ledger.Open(t.Context(), store, ledger.Options{Now: clock, Rand: new(counting)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := auth.Open(t.Context(), l, auth.MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {1}}}, auth.Options{Now: clock, Rand: new(counting)})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := a.FirstOperator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	h := native.New(l, a, native.Options{Now: clock, Limits: dialect.NewLimits(dialect.Rate{Requests: 100, Window: time.Minute})})
	check := contract(t)

	account := ""
	exchange := func(name, method, path, body string, header ...string) {
		t.Helper()
		now.Add(10)
		path, body = strings.ReplaceAll(path, "ACCOUNT", account), strings.ReplaceAll(body, "ACCOUNT", account)
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(header); i += 2 {
			if r.Header.Del(header[i]); header[i+1] != "" {
				r.Header.Set(header[i], header[i+1])
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		resp := w.Result()
		reply, _ := io.ReadAll(resp.Body)
		check(r, []byte(body), resp, reply)
		if account == "" {
			var made struct{ Data struct{ ID string } }
			json.Unmarshal(reply, &made)
			account = made.Data.ID
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s %s HTTP/1.1\n", method, path)
		headers(&text, r.Header)
		fmt.Fprintf(&text, "\n%s\n\nHTTP/1.1 %d %s\n", body, resp.StatusCode, http.StatusText(resp.StatusCode))
		headers(&text, resp.Header)
		fmt.Fprintf(&text, "\n%s\n", reply)
		golden(t, name, bytes.ReplaceAll(text.Bytes(), []byte(token), []byte("TOKEN")))
	}
	at := "/v1/accounts/ACCOUNT"
	exchange("account", "POST", "/v1/accounts", `{"id":"signup-17","unit":"USD","name":"Ada","metadata":{"email":"ada@example.com"}}`)
	exchange("topup", "POST", at+"/topups", `{"id":"invoice-9","amount":"20","reason":"invoice 9"}`)
	exchange("charge", "POST", at+"/charges", `{"id":"order-1","amount":"12.5","category":"sms","count":3,"metadata":{"order":1}}`)
	exchange("charge-repeated", "POST", at+"/charges", `{"id":"order-1","amount":12.50,"category":"sms","count":3,"metadata":{"order":1}}`)
	exchange("charge-mismatch", "POST", at+"/charges", `{"id":"order-1","amount":"13"}`)
	exchange("insufficient", "POST", at+"/charges", `{"id":"order-2","amount":"100"}`)
	exchange("insufficient-problem", "POST", at+"/charges", `{"id":"order-2","amount":"100"}`, "Accept", "application/problem+json")
	exchange("invalid", "POST", at+"/charges", `{"id":"order-3","amount":"1","upto":true}`)
	exchange("balance", "GET", at+"/balance", "")
	exchange("hold", "POST", at+"/holds", `{"id":"job-1","amount":"5","ttl_seconds":600}`)
	exchange("capture", "POST", "/v1/holds/job-1/captures", `{"id":"job-1-paid","amount":"2","final":true}`)
	exchange("batch", "POST", "/v1/transfers", `{"transfers":[{"id":"b-1","from":"ACCOUNT","to":"@revenue","amount":"1"},{"id":"b-2","from":"ACCOUNT","to":"@fees","amount":"0.05"}]}`)
	exchange("refund", "POST", "/v1/transfers/order-1/refunds", `{"id":"sorry-1","amount":"2.5","reason":"late"}`)
	exchange("statement", "GET", at+"/statement?limit=2", "")
	exchange("overview", "GET", "/v1/overview", "")
	exchange("unauthorized", "GET", at+"/balance", "", "Authorization", "")
	exchange("not-found", "GET", "/v1/accounts/01a1ffff-71f2-7e26-8f7c-e1362c814557", "")
	exchange("method", "PUT", at, "{}")
}

func headers(w io.Writer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(w, "%s: %s\n", name, value)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".http")
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}

// TestEndpoint serves a call of another package.
func TestEndpoint(t *testing.T) {
	w := newWorld(t, native.Options{Endpoints: []native.Endpoint{{Method: "POST", Path: "/v1/sources/{id}/test", Operation: "testSource",
		Scope: auth.Admin, Tenant: true, Status: 202, Serve: func(c *native.Call) (any, error) {
			if c.Params[0] != "a b" {
				return nil, native.Refuse(native.CodeNotFound, "")
			}
			return map[string]any{"id": c.Params[0], "created_at": time.Unix(1, 0).UTC(), "body": c.Body, "key": c.ID}, nil
		}}}})
	w.check = nil
	a := w.must("POST", "/v1/sources/a%20b/test", `{"x":1}`, "Idempotency-Key", "k")
	if want := `{"success":true,"data":{"body":{"x":1},"created_at":"1970-01-01T00:00:01Z","id":"a b","key":"k"}}`; a.status != 202 || string(a.body) != want {
		t.Errorf("%d %s, want %s", a.status, a.body, want)
	}
	w.refused(404, "NOT_FOUND", "POST", "/v1/sources/x/test", "")
	w.refused(400, "MALFORMED_JSON", "POST", "/v1/sources/x/test", "{")
	w.refused(401, "UNAUTHORIZED", "POST", "/v1/sources/x/test", "", "Authorization", "")
	if doc := w.must("GET", "/openapi.json", "").body; !bytes.Contains(doc, []byte(`"testSource"`)) {
		t.Error("the document does not have it")
	}
}

// TestLasting has calls that take longer than any bound of a server allows: one
// that may is answered, and knows when its client goes away.
func TestLasting(t *testing.T) {
	const bound = 200 * time.Millisecond
	gone := make(chan error, 1)
	serve := func(c *native.Call) (any, error) {
		wait := 5 * bound
		if string(c.Body) == `{"wait":true}` {
			wait = time.Minute
		}
		select {
		case <-c.Context.Done():
			gone <- c.Context.Err()
			return nil, c.Context.Err()
		case <-time.After(wait):
			return map[string]string{"id": "done"}, nil
		}
	}
	w := newWorld(t, native.Options{Patience: bound, Endpoints: []native.Endpoint{
		{Method: "POST", Path: "/v1/long", Operation: "long", Scope: auth.Operator, Lasting: true, Serve: serve},
		{Method: "POST", Path: "/v1/short", Operation: "short", Scope: auth.Operator, Serve: serve},
	}}, func(h *http.Server) { h.ReadTimeout, h.WriteTimeout = bound, 2*bound })
	w.check = nil
	if a := w.must("POST", "/v1/long", `{}`); a.Data["id"] != "done" {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.refused(503, "TIMEOUT", "POST", "/v1/short", `{}`)
	<-gone
	ctx, cancel := context.WithTimeout(t.Context(), 4*bound)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/long", strings.NewReader(`{"wait":true}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	began := time.Now()
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("who went away was answered")
	}
	if <-gone; time.Since(began) < 3*bound {
		t.Errorf("it ended after %v, before its client went away", time.Since(began))
	}
}

// TestElsewhere serves some calls at another address: here they are neither
// answered nor documented, whoever asks.
func TestElsewhere(t *testing.T) {
	o := native.Options{Elsewhere: []string{"/v1/tenants", "/v1/copies", "/metrics"}, Endpoints: []native.Endpoint{
		{Method: "POST", Path: "/v1/copies", Operation: "copy", Scope: auth.Operator, Serve: func(*native.Call) (any, error) { panic("it was called") }}}}
	w := newWorld(t, o)
	w.check = nil
	for _, call := range []string{"GET /v1/tenants", "POST /v1/tenants", "GET /v1/tenants/main", "DELETE /v1/tenants/x/y/z/a", "POST /v1/copies", "GET /metrics"} {
		method, path, _ := strings.Cut(call, " ")
		a := w.refused(404, "NOT_FOUND", method, path, "")
		if !strings.Contains(a.Error["message"].(string), "another address") {
			t.Errorf("%s says %s", call, a.body)
		}
		w.refused(404, "NOT_FOUND", method, path, "", "Authorization", "")
	}
	if a := w.refused(404, "NOT_FOUND", "GET", "/v1/tenantsx", ""); strings.Contains(string(a.body), "another") {
		t.Errorf("what is nowhere says %s", a.body)
	}
	w.must("GET", "/v1/units", "")
	doc := string(w.must("GET", "/openapi.json", "").body)
	if strings.Contains(doc, `"/v1/tenants`) || strings.Contains(doc, "copies") || !strings.Contains(doc, `"/v1/units"`) {
		t.Error("the document has what is elsewhere")
	}
}

// TestClient makes the main calls with the client half.
func TestClient(t *testing.T) {
	w := newWorld(t, native.Options{})
	c := &native.Client{URL: w.url, Token: w.token, Tenant: "main"}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, err := c.Open(ctx, native.AccountRequest{Unit: "USD", Name: "Ada"})
	must(err)
	_, err = c.TopUp(ctx, a.ID, native.TransferRequest{ID: "t", Amount: "10"})
	must(err)
	charge, err := c.Charge(ctx, a.ID, native.TransferRequest{ID: "c", Amount: "4", Usage: native.Usage{Category: "sms", Count: "2"}, Metadata: map[string]any{"x": 1}})
	must(err)
	if charge.Balance.Spendable != "6.000000" || charge.Count != "2" || string(charge.Metadata) != `{"x":1}` {
		t.Errorf("a charge is %+v", charge)
	}
	_, err = c.Refund(ctx, "c", native.TransferRequest{ID: "r", Amount: "1"})
	must(err)
	_, err = c.Adjust(ctx, a.ID, native.TransferRequest{ID: "ad", Amount: "-1", Reason: "rounding"})
	must(err)
	_, err = c.Hold(ctx, a.ID, native.HoldRequest{ID: "h", Amount: "2", TTLSeconds: 60})
	must(err)
	paid, err := c.Capture(ctx, "h", native.CaptureRequest{ID: "p", To: []native.Payee{{Account: "@fees", Amount: "1"}}})
	must(err)
	released, err := c.Release(ctx, "h", native.HoldRequest{})
	must(err)
	if paid.Hold.Remaining != "1.000000" || released.State != "released" {
		t.Errorf("a capture is %+v, a release %+v", paid, released)
	}
	_, err = c.Transfers(ctx, "", []native.TransferRequest{{ID: "b1", From: a.ID, To: "@revenue", Amount: "1"}, {ID: "b2", From: "@cash", To: a.ID, Amount: "0.5"}})
	must(err)
	_, err = c.Transfer(ctx, native.TransferRequest{ID: "b3", From: a.ID, To: "@revenue", Amount: "1"})
	must(err)
	b, err := c.Balance(ctx, a.ID)
	must(err)
	full, err := c.Account(ctx, a.ID)
	must(err)
	if b.Spendable != "3.500000" || full.Balance.Spendable != b.Spendable || full.Name != "Ada" {
		t.Errorf("a balance is %+v, an account %+v", b, full)
	}
	lines, err := c.Statement(ctx, a.ID, map[string][]string{"limit": {"3"}})
	must(err)
	accounts, err := c.Accounts(ctx, nil)
	must(err)
	if len(lines.Items) != 3 || lines.Next == "" || len(accounts.Items) != 1 {
		t.Errorf("lines %+v, accounts %+v", lines, accounts)
	}
	_, err = c.Charge(ctx, a.ID, native.TransferRequest{ID: "c2", Amount: "40"})
	if e, ok := err.(*native.Error); !ok || e.Code != native.CodeInsufficient || e.Required != "40.000000" || e.LedgerCode() != ledger.Insufficient {
		t.Errorf("a refusal is %#v", err)
	}
}
