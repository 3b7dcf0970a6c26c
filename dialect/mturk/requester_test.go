package mturk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
)

// documented is the curl that is printed with the operation, as a server
// receives it: the fragment of its URL is never sent.
const documented = "POST / HTTP/1.1\nHost: mturk-requester.region.amazonaws.com\nUser-Agent: curl/7.88.1\nAccept: application/json\nContent-Type: application/json\n\n"

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return replaced(documented, "\n\n", "\nAuthorization: "+r.Header.Get("Authorization")+"\n\n")
}

var plainMasks = []dialecttest.Masking{
	dialecttest.Mask(`"id":"[0-9a-f-]{36}"`, `"id":"01990b4e-0000-7000-8000-000000000001"`),
	dialecttest.Mask(`(Authorization: Basic) \S+`, "$1 <credentials>"),
}

func TestPlainSamples(t *testing.T) {
	e := openExample(t, "10000")
	h := NewRequester(e.Ledger, e.Auth, Options{Options: dialect.Options{Now: e.Clock.Now}})
	e.importKey(t, auth.Spec{Root: e.Account("EUR", "5"), Scopes: auth.Read}, "AKIDEUROPEAN", exampleSecret)
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Charge}, "AKIDMAYNOTREAD", exampleSecret)
	sign := func(change func(*signing)) string {
		return signAs(t, documented, exampleKey, exampleSecret, exampleAt, change)
	}
	for _, tt := range []struct{ name, request string }{
		{"plain-balance", basic(exampleKey, exampleSecret)},
		{"plain-balance-signed", sign(func(s *signing) {})},
		{"plain-no-credential", documented},
		{"plain-wrong-secret", basic(exampleKey, exampleSecret+"x")},
		{"plain-unknown-key", basic("AKIDNOBODY", exampleSecret)},
		{"plain-wrong-signature", sign(func(s *signing) { s.header["accept"] = "*/*" })},
		{"plain-signature-of-another-service", sign(func(s *signing) { s.service = "sqs" })},
		{"plain-bearer", replaced(documented, "\n\n", "\nAuthorization: Bearer abc\n\n")},
		{"plain-forbidden", basic("AKIDMAYNOTREAD", exampleSecret)},
		{"plain-not-in-dollars", basic("AKIDEUROPEAN", exampleSecret)},
		{"plain-not-json", basic(exampleKey, exampleSecret) + "{"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkPlainSample(t, h, tt.name, tt.request) })
	}
	for range 10 {
		answer(t, h, basic("AKIDTHROTTLED", "x"))
	}
	checkPlainSample(t, h, "plain-throttled", basic("AKIDTHROTTLED", "x"))
	checkPlainSample(t, NewRequester(nil, e.Auth, Options{Options: dialect.Options{Now: e.Clock.Now}, Desk: new(Desk)}), "plain-internal", basic(exampleKey, exampleSecret))
	elsewhere := dialecttest.OpenAt(t, exampleAt)
	h = NewRequester(elsewhere.Ledger, e.Auth, Options{Options: dialect.Options{Now: e.Clock.Now}})
	checkPlainSample(t, h, "plain-not-found", basic(exampleKey, exampleSecret))
	e.breakDown(t)
	checkPlainSample(t, NewRequester(e.Ledger, e.Auth, Options{}), "plain-unavailable", basic(exampleKey, exampleSecret))
}

func checkPlainSample(t *testing.T, h http.Handler, name, request string) {
	t.Helper()
	resp := dialecttest.Sample(t, h, name, request, plainMasks)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if err := checkPlain(resp, body); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

var plainBalance = regexp.MustCompile(`^\{"success":true,"data":\{"id":"[0-9a-f-]{36}","created_at":"20[0-9T:.-]+Z","AvailableBalance":"[0-9]+\.[0-9]{2}","OnHoldBalance":"0\.00"\}\}$`)

// checkPlain says what is wrong with an answer of the plain server.
func checkPlain(resp *http.Response, body []byte) error {
	var errs []error
	if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		errs = append(errs, fmt.Errorf("the header is %v", resp.Header))
	}
	if (resp.StatusCode == 401) != (resp.Header.Get("Www-Authenticate") != "") ||
		(resp.StatusCode == 429 || resp.StatusCode == 503) != (resp.Header.Get("Retry-After") != "") {
		errs = append(errs, fmt.Errorf("with %d the header is %v", resp.StatusCode, resp.Header))
	}
	if resp.StatusCode == 200 {
		if !plainBalance.Match(body) {
			errs = append(errs, errors.New("that is no balance"))
		}
		return errors.Join(errs...)
	}
	var e struct {
		Success *bool
		Error   struct{ Code, Message string }
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Success == nil || *e.Success || e.Error.Code == "" || e.Error.Message == "" {
		errs = append(errs, fmt.Errorf("that is no refusal (%v)", err))
	}
	return errors.Join(errs...)
}

// What nobody means to send is answered in the envelope.
func TestPlainBad(t *testing.T) {
	w := dialecttest.Open(t)
	h := NewRequester(w.Ledger, w.Auth, Options{})
	for _, request := range []string{
		documented, basic("", ""), basic("a\x00b", "c"), basic(strings.Repeat("x", 5000), "y"), basic("x", strings.Repeat("y", 5000)),
		replaced(documented, "\n\n", "\nAuthorization: Basic !!!\n\n"), replaced(basic("a", "b"), "\n\n", "\nAuthorization: Basic YTpi\n\n"),
		replaced(documented, "\n\n", "\nAuthorization: AWS4-HMAC-SHA256\n\n"),
	} {
		resp, body := answer(t, h, request)
		if err := checkPlain(resp, []byte(body)); err != nil || resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%q is answered %d %s: %v", request, resp.StatusCode, body, err)
		}
	}
	r := dialecttest.Request(t, documented)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", maxBody+1))), -1
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 413 || !strings.Contains(rec.Body.String(), "BODY_TOO_LARGE") {
		t.Errorf("a large body is answered %d %s", rec.Code, rec.Body)
	}
	r = dialecttest.Request(t, documented)
	r.Body = io.NopCloser(broken{})
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 408 || !strings.Contains(rec.Body.String(), "REQUEST_TIMEOUT") {
		t.Errorf("a body that breaks off is answered %d %s", rec.Code, rec.Body)
	}
}
