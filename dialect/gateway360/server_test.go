package gateway360

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

// manualKey is the key of the manual's samples.
const manualKey = "399d2b438a53ebed3db8a7d52107f846"

// TestSamples holds whole exchanges to testdata: every refusal that is
// documented or made up, and what the manual prints.
func TestSamples(t *testing.T) {
	w := dialecttest.Open(t)
	h := New(w.Ledger, w.Auth, Options{})
	account := w.Account("EUR", "350.12")
	child := w.Open(native.AccountRequest{Parent: account.String()}, "155.2493")
	credits := w.Open(native.AccountRequest{Parent: account.String(), Unit: "CREDITS"}, "1225")
	name(w, "subaccount_user_name", child)
	imported, err := w.Auth.Import(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: w.Tenant.Number, Root: account, Scopes: auth.Read}, "", manualKey)
	if err != nil {
		t.Fatal(err)
	}
	live := w.Account("EUR", "0.6")
	elsewhere, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: w.Tenant.Number, Root: live, Scopes: auth.Read,
		Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		"LIVE_KEY", w.Issue(auth.Gateway360, live, auth.Read).Secret,
		"CREDITS_KEY", w.Issue(auth.Gateway360, credits, auth.Read).Secret,
		"CHARGE_KEY", w.Issue(auth.Gateway360, live, auth.Charge).Secret,
		"TENANT_TOKEN", token(w, auth.Spec{Tenant: w.Tenant.Number, Scopes: auth.Read}),
		"TWILIO_KEY", w.Issue(auth.Twilio, live, auth.Read).Secret,
		"OTHER_ADDRESS_KEY", elsewhere.Secret,
	}
	const asManual = "POST /api/3.0/account/get-balance\nHost: api.gateway360.com\nContent-Type: application/json\nAccept: application/json\n\n" +
		"{\n    \"api_key\":\"399d2b438a53ebed3db8a7d52107f846\"\n}"
	for _, s := range []struct {
		name, request string
		status        int
		says          string // that has to be in the answer, whatever the file has
	}{
		{"balance", asManual, 200, `{"status":"ok","result":{"balance":"350.1200","currency":"EUR"}}`},
		{"balance-live", post(pathBalance, `{"api_key":"LIVE_KEY"}`), 200, `"balance":"0.6000","currency":"EUR"`},
		{"balance-credits", post(pathBalance, `{"api_key":"CREDITS_KEY"}`), 200, `{"status":"ok","result":{"balance":"1225.0000","currency":"CREDITS"}}`},
		{"subaccount-balance", post(pathSubaccountBalance, `{"api_key":"`+manualKey+`","user_name":"subaccount_user_name"}`), 200,
			`{"status":"ok","result":{"balance":"155.2493","currency":"EUR"}}`},
		{"subaccount-balance-get", strings.Replace(post(pathSubaccountBalance, `{"api_key":"`+manualKey+`","user_name":"subaccount_user_name"}`), "POST", "GET", 1), 200,
			`{"status":"ok","result":{"balance":"155.2493","currency":"EUR"}}`},

		{"unauthorized", post(pathBalance, `{"api_key":"00000000000000000000000000000000"}`), 401,
			`{"status":"error","error_id":"UNAUTHORIZED","error_msg":"Your API key may be invalid or your IP is blocked."}`},
		{"unauthorized-address", post(pathBalance, `{"api_key":"OTHER_ADDRESS_KEY"}`), 401,
			`{"status":"error","error_id":"UNAUTHORIZED","error_msg":"Your API key may be invalid or your IP is blocked."}`},
		{"unauthorized-dialect", post(pathBalance, `{"api_key":"TWILIO_KEY"}`), 401, `"error_id":"UNAUTHORIZED"`},
		{"json-parse-error", post(pathBalance, `{"api_key":"`+manualKey+`",}`), 400,
			`{"status":"error","error_id":"JSON_PARSE_ERROR","error_msg":"Your JSON was formatted incorrectly."}`},
		{"json-parse-error-empty", post(pathBalance, ``), 400, `"error_id":"JSON_PARSE_ERROR"`},
		{"invalid-content-type", "POST " + pathBalance + "\nContent-Type: application/x-www-form-urlencoded\n\napi_key=" + manualKey, 400,
			`{"status":"error","error_id":"INVALID_CONTENT_TYPE","error_msg":"The content type must be: Content-Type: application/json"}`},
		{"invalid-content-type-none", "GET " + pathBalance + "\n\n", 400, `"error_id":"INVALID_CONTENT_TYPE"`},
		{"missing-params", post(pathBalance, `{}`), 400,
			`{"status":"error","error_id":"MISSING_PARAMS","error_msg":"Your request is incomplete and missing some mandatory parameters."}`},
		{"missing-params-user-name", post(pathSubaccountBalance, `{"api_key":"`+manualKey+`"}`), 400, `"error_id":"MISSING_PARAMS"`},
		{"missing-params-tenant", post(pathBalance, `{"api_key":"TENANT_TOKEN"}`), 400, `"error_id":"MISSING_PARAMS"`},
		{"bad-params-type", post(pathBalance, `{"api_key":["`+manualKey+`"]}`), 400, "\"error_id\":\"BAD_PARAMS\",\"error_msg\":\"Parameter `api_key` must be a string.\""},
		{"bad-params-twice", post(pathBalance, `{"api_key":"`+manualKey+`","api_key":"`+manualKey+`"}`), 400, `"error_id":"BAD_PARAMS"`},
		{"bad-params-user-name", post(pathSubaccountBalance, `{"api_key":"`+manualKey+`","user_name":"nobody"}`), 400, `"error_id":"BAD_PARAMS"`},
		{"forbidden", post(pathBalance, `{"api_key":"CHARGE_KEY"}`), 403, `"error_id":"FORBIDDEN"`},
		{"not-found", post("/api/3.0/account/get-credit", `{"api_key":"`+manualKey+`"}`), 404, `"error_id":"NOT_FOUND"`},
		{"method-not-allowed", strings.Replace(asManual, "POST", "PUT", 1), 405, `"error_id":"METHOD_NOT_ALLOWED"`},
	} {
		resp := dialecttest.Sample(t, h, s.name, s.request, nil, words...)
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			err = isAnswer(resp, body)
		}
		if err != nil || resp.StatusCode != s.status || !strings.Contains(string(body), s.says) {
			t.Errorf("%s: %d %s: %v", s.name, resp.StatusCode, body, err)
		}
	}
	if imported.Secret != manualKey {
		t.Errorf("the imported key is %q", imported.Secret)
	}
}

func TestThrottled(t *testing.T) {
	w := dialecttest.Open(t)
	h := New(w.Ledger, w.Auth, Options{})
	for range 50 {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, dialecttest.Request(t, post(pathBalance, `{"api_key":"wrong"}`)))
		if rec.Code != 401 {
			break
		}
	}
	mask := []dialecttest.Masking{dialecttest.Mask(`Retry-After: [1-9][0-9]*`, "Retry-After: SECONDS")}
	resp := dialecttest.Sample(t, h, "too-many-requests", post(pathBalance, `{"api_key":"wrong"}`), mask)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("many wrong keys are answered %d, try again in %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}

// TestOrder sends requests with more than one thing wrong: the first check that
// fails answers.
func TestOrder(t *testing.T) {
	w := dialecttest.Open(t)
	h := New(w.Ledger, w.Auth, Options{})
	key := w.Issue(auth.Gateway360, w.Account("EUR", "1"), auth.Read).Secret
	charges := w.Issue(auth.Gateway360, w.Account("EUR", "1"), auth.Charge).Secret
	const json, form = "application/json", "application/x-www-form-urlencoded"
	for _, c := range []struct{ method, path, contentType, body, want string }{
		{"PUT", "/api/3.0/nothing", form, "x", idPath},
		{"PUT", pathBalance, form, "x", idMethod},
		{"HEAD", pathBalance, json, "{}", idMethod},
		{"POST", pathBalance, form, "x", idContentType},
		{"POST", pathBalance, form, strings.Repeat(" ", maxBody+1), idContentType},
		{"POST", pathBalance, json, strings.Repeat(" ", maxBody+1), idTooLarge},
		{"POST", pathBalance, json, "x", idJSON},
		{"POST", pathBalance, json, `["api_key"]`, idJSON},
		{"POST", pathBalance, json, `{"user_name":1}`, idMissing},
		{"POST", pathBalance, json, `{"api_key":"","user_name":1}`, idMissing},
		{"POST", pathBalance, json, `{"api_key":null}`, idMissing},
		{"POST", pathBalance, json, `{"api_key":1,"user_name":1}`, idBad},
		{"POST", pathBalance, json, `{"api_key":"wrong","user_name":1}`, idKey},
		{"POST", pathBalance, json, `{"api_key":"` + strings.Repeat("x", 1000) + `"}`, idKey},
		{"POST", pathBalance, json, `{"api_key":"` + charges + `","user_name":1}`, idForbidden},
		{"POST", pathBalance, json, `{"api_key":"` + key + `","user_name":1}`, idBad},
		{"POST", pathBalance, json, `{"api_key":"` + key + `","user_name":"a","user_name":"a"}`, idBad},
		{"POST", pathBalance, json, `{"api_key":"` + key + `","user_name":"` + strings.Repeat("é", 5000) + `"}`, idBad},
		{"POST", pathBalance, json, `{"api_key":"` + key + `","user_name":"\u0000"}`, idBad},
		{"POST", pathSubaccountBalance, json, `{"api_key":"` + key + `","user_name":{}}`, idBad},
		{"POST", "/api/3.0", json, "{}", idPath},
		{"POST", "/api/3.0/", json, "{}", idPath},
		{"POST", pathBalance + "/", json, "{}", idPath},
		{"POST", "/api/3.0//account/get-balance", json, "{}", idPath},
		{"POST", "/api/3.0/account/../account/get-balance", json, "{}", idPath},
		{"POST", "/api/3.0/sms/send-link", json, "{}", idPath},
		{"GET", pathSend, json, "{}", idMethod},
		{"GET", pathSubaccountAdd, form, "{}", idMethod},
		{"POST", pathSend, json, `{"api_key":"` + key + `","messages":1}`, idForbidden},
		{"POST", pathSubaccountCreate, json, `{"api_key":"` + charges + `","user_name":1}`, idForbidden},
		{"POST", pathSend, json, `{"api_key":"` + charges + `","messages":1,"fake":7}`, idBad},
		{"POST", pathSend, json, `{"api_key":"` + charges + `","messages":[{}]}`, idNoSink},
		{"POST", pathSubaccountAdd, json, `{"api_key":"` + charges + `","user_name":"nobody","amount":-1}`, idBad},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.contentType)
		if got := ask(t, h, r); !strings.HasPrefix(got, c.want+": ") {
			t.Errorf("%s %s %.60s is %s, want %s", c.method, c.path, c.body, got, c.want)
		}
	}
	r := httptest.NewRequest("DELETE", pathBalance, nil)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if got := rec.Header().Get("Allow"); got != "GET, POST" {
		t.Errorf("the methods of a read are %q", got)
	}
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", pathSend, nil))
	if got := rec.Header().Get("Allow"); got != "POST" {
		t.Errorf("the methods of a write are %q", got)
	}
}

// TestFailures calls what stands between what goes wrong and its answer: what
// cannot be brought about from outside, and what is logged.
func TestFailures(t *testing.T) {
	w := dialecttest.Open(t)
	for _, c := range []struct {
		err    error
		want   string
		retry  string
		logged bool
	}{
		{errors.New("secret internals"), idInternal, "", true},
		{ledger.Errorf(ledger.Internal, "secret internals"), idInternal, "", true},
		{fmt.Errorf("reading: %w", ledger.Errorf(ledger.Unavailable, "secret internals")), idBusy, "1", false},
		{ledger.Errorf(ledger.Timeout, "secret internals"), idBusy, "1", false},
		{ledger.Errorf(ledger.Busy, "secret internals"), idBusy, "1", false},
		{ledger.Errorf(ledger.Contention, "secret internals"), idBusy, "1", false},
		{ledger.Errorf(ledger.ClockJump, "secret internals"), idBusy, "1", false},
		{context.Canceled, idBusy, "1", false},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), idBusy, "1", false},
		{ledger.Errorf(ledger.NotFound, "secret internals"), idBad, "", false},
		{ledger.Errorf(ledger.Insufficient, "secret internals"), idFunds, "", false},
		{auth.ErrRevoked, idKey, "", false},
		{auth.ErrExpired, idKey, "", false},
		{auth.ErrAddress, idKey, "", false},
		{auth.ErrDialect, idKey, "", false},
		{auth.ErrThrottled{RetryAfter: 1500e6}, idThrottled, "2", false},
		{auth.ErrForbidden{Missing: auth.Read}, idForbidden, "", false},
	} {
		var log bytes.Buffer
		s := &server{o: dialect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		h := dialect.NewHandler(s.o, s.o.Metrics.Operation(auth.Gateway360, "test"), func(x *dialect.Exchange) { s.refuse(x, c.err) }, nil)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))
		if err := isAnswer(rec.Result(), rec.Body.Bytes()); err != nil || !strings.Contains(rec.Body.String(), `"error_id":"`+c.want+`"`) {
			t.Errorf("%v is answered %d %s, want %s: %v", c.err, rec.Code, rec.Body, c.want, err)
		}
		if got := rec.Header().Get("Retry-After"); got != c.retry {
			t.Errorf("%v is answered to try again in %q, want %q", c.err, got, c.retry)
		}
		if strings.Contains(rec.Body.String(), "internals") || (strings.Count(log.String(), "\n") == 1) != c.logged {
			t.Errorf("%v is answered %s, and logged %q", c.err, rec.Body, &log)
		}
	}
	h := New(new(ledger.Ledger), w.Auth, Options{}) // which cannot but panic
	key := w.Issue(auth.Gateway360, w.Account("EUR", "1"), auth.Read).Secret
	if got := ask(t, h, dialecttest.Request(t, post(pathBalance, `{"api_key":"`+key+`"}`))); !strings.HasPrefix(got, idInternal) {
		t.Errorf("a panic is answered %s", got)
	}
}

// TestClientReads gives the client half what the vendor is known to answer, and
// what it may.
func TestClientReads(t *testing.T) {
	for _, c := range []struct {
		status   int
		body     string
		userName string
		want     string // amount and unit, or reason, code and message
	}{
		{200, `{"status": "ok","result": {"balance": "0.6000", "currency": "EUR"}}`, "", "0.6000 EUR"},
		{200, `{"status":"ok","result":{"balance":"1225","currency":"CREDITS"}}`, "", "1225 CREDITS"},
		{200, `{"status":"ok","result":{"balance":155.2493,"currency":"USD","more":{}},"responseCode":200}`, "", "155.2493 USD"},
		{200, `{"status":"ok","result":{"balance":"-12.5000","currency":"GBP"}}`, "", "-12.5000 GBP"},
		{201, `{"status":"ok","result":{"balance":-3,"currency":"SMS"}}`, "u", "-3 SMS"},
		{200, `{"status":"ok","result":{"balance":"350,12","currency":"EUR"}}`, "", "unreadable"},
		{200, `{"status":"ok","result":{"balance":1e3,"currency":"EUR"}}`, "", "unreadable"},
		{200, `{"status":"ok","result":{"balance":null,"currency":"EUR"}}`, "", "unreadable"},
		{200, `{"status":"ok","result":{"balance":"","currency":"EUR"}}`, "", "unreadable"},
		{200, `{"status":"ok","result":{"balance":"1.0000"}}`, "", "unreadable"},
		{200, `{"status":"ok","result":[]}`, "", "unreadable"},
		{200, `{"status":"ok"}`, "", "unreadable"},
		{200, `{}`, "", "unreadable"},
		{200, `{"status":1}`, "", "unreadable"},
		{200, `null`, "", "unreadable"},
		{200, ``, "", "unreadable"},
		{302, `<html>`, "", "unreadable"},
		{401, `{"status":"error","error_id":"UNAUTHORIZED","error_msg":"Your API key may be invalid or your IP is blocked."}`, "",
			"unauthorized UNAUTHORIZED Your API key may be invalid or your IP is blocked."},
		{400, `{"status":"error","error_id":"JSON_PARSE_ERROR","error_msg":"Your JSON was formatted incorrectly."}`, "",
			"refused JSON_PARSE_ERROR Your JSON was formatted incorrectly."},
		{200, `{"status":"error","error_id":"UNAUTHORIZED","error_msg":"x"}`, "", "unauthorized UNAUTHORIZED x"},
		{200, `{"status":"error","error_id":"NEW_ONE","error_msg":"x"}`, "", "refused NEW_ONE x"},
		{400, `{"status":"error","error_id":"BAD_PARAMS","error_msg":"x"}`, "", "refused BAD_PARAMS x"},
		{400, `{"status":"error","error_id":"BAD_PARAMS","error_msg":"x"}`, "u", "not found BAD_PARAMS x"},
		{403, `{"status":"error","error_id":"NEW_ONE","error_msg":"x"}`, "u", "forbidden NEW_ONE x"},
		{500, `{"status":"error","error_id":"NEW_ONE","error_msg":"x"}`, "", "unavailable NEW_ONE x"},
		{500, `{"status":"ok","result":{"balance":"1.0000","currency":"EUR"}}`, "", "unavailable"},
		{502, `<html>bad gateway</html>`, "", "unavailable"},
		{429, `slow down`, "", "throttled"},
		{404, `{"message":"no route"}`, "", "not found"},
	} {
		reply := &dialect.Reply{Status: c.status, Header: http.Header{}, Body: []byte(c.body)}
		got, err := (&Client{UserName: c.userName}).reading(reply)
		text := got.Text + " " + got.Unit
		var e *dialect.Error
		if errors.As(err, &e) {
			text = strings.TrimSpace(e.Reason.String() + " " + e.Code + " " + e.Message)
			if e.Reason == dialect.Unreadable {
				text = e.Reason.String()
			}
		} else if err != nil {
			text = err.Error()
		}
		if text != c.want || err == nil && got.Account != c.userName {
			t.Errorf("%d %s is %q of %q, want %q", c.status, c.body, text, got.Account, c.want)
		}
	}
}

// TestClientAsks holds what the client half sends to the manual.
func TestClientAsks(t *testing.T) {
	w := dialecttest.Open(t)
	var got string
	url := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Accept"), body)
		out.Write([]byte(`{"status":"ok","result":{"balance":"1.0000","currency":"EUR"}}`))
	}))
	for _, c := range []struct {
		client *Client
		want   string
	}{
		{&Client{URL: url, APIKey: manualKey}, "POST /api/3.0/account/get-balance application/json application/json " + `{"api_key":"` + manualKey + `"}`},
		{&Client{URL: url + "/", APIKey: "k", UserName: `a "b"`}, "POST /api/3.0/subaccount/get-balance application/json application/json " + `{"api_key":"k","user_name":"a \"b\""}`},
	} {
		if _, err := c.client.Read(t.Context()); err != nil || got != c.want {
			t.Errorf("the client sends %s, %v; want %s", got, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Client{URL: url}).Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up is told %v", err)
	}
	var asked refuser
	c := &Client{APIKey: "k", HTTP: &http.Client{Transport: &asked}} // without a URL
	var e *dialect.Error
	if _, err := c.Read(t.Context()); !errors.As(err, &e) || asked.url != DefaultURL+pathBalance || e.Reason != dialect.Unavailable {
		t.Errorf("without a URL %s is asked, and it is %v", asked.url, err)
	}
}

// A refuser connects to nobody.
type refuser struct{ url string }

func (f *refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	f.url = r.URL.String()
	return nil, errors.New("no connection")
}

func BenchmarkBalance(b *testing.B) {
	w := dialecttest.Open(b)
	h := New(w.Ledger, w.Auth, Options{})
	account := w.Account("EUR", "350.12")
	name(w, "subaccount_user_name", w.Open(native.AccountRequest{Parent: account.String()}, "155.2493"))
	key := w.Issue(auth.Gateway360, account, auth.Read).Secret
	for _, bench := range []struct{ name, path, body string }{
		{"account", pathBalance, `{"api_key":"` + key + `"}`},
		{"subaccount", pathSubaccountBalance, `{"api_key":"` + key + `","user_name":"subaccount_user_name"}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := dialecttest.Request(b, post(bench.path, bench.body)).WithContext(context.Background())
			body := strings.NewReader(bench.body)
			r.Body = io.NopCloser(body)
			out := &writer{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(bench.body)
				clear(out.header)
				h.ServeHTTP(out, r)
				if out.status != http.StatusOK || !json.Valid(out.body) {
					b.Fatalf("%d %s", out.status, out.body)
				}
			}
		})
	}
}

// A writer keeps the last answer.
type writer struct {
	header http.Header
	status int
	body   []byte
}

func (w *writer) Header() http.Header    { return w.header }
func (w *writer) WriteHeader(status int) { w.status = status }
func (w *writer) Write(b []byte) (int, error) {
	w.body = append(w.body[:0], b...)
	return len(b), nil
}
