package mturk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

// The key pair, the host and the moment of the published examples.
const (
	exampleKey    = "AKIDEXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	exampleHost   = "mturk-requester.us-east-1.amazonaws.com"
	exampleTime   = "20260901T120000Z"
)

var exampleAt = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func suite(server func(*dialecttest.World, dialect.Options) http.Handler) *dialecttest.Suite {
	reader := func(w *dialecttest.World, url string, account ledger.AccountID) *Client {
		issued := w.Issue(auth.MTurk, account, auth.Read)
		return &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: issued.Secret, URL: url}
	}
	return &dialecttest.Suite{
		New: server,
		Amounts: []dialecttest.Amount{
			{Has: "10000", Shown: "10000.00"}, {Has: "", Shown: "0.00"}, {Has: "0.5", Shown: "0.50"},
			{Has: "12.999999", Shown: "12.99"}, {Has: "0.009999", Shown: "0.00"}, {Has: "-3", Shown: "0.00"},
			{Has: "123456789012345678901234.567891", Shown: "123456789012345678901234.56"},
		},
		Reader: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			return reader(w, url, account)
		},
		Wrong: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			r := reader(w, url, account)
			r.SecretAccessKey = r.SecretAccessKey[:39] + "!"
			return r
		},
		Requests: func(w *dialecttest.World, account ledger.AccountID) []string {
			issued := w.Issue(auth.MTurk, account, auth.Read)
			return []string{
				sign(w.T, balanceRequest, issued.Credential.ID, issued.Secret, time.Now()),
				sign(w.T, strings.Replace(balanceRequest, "{}", `{"a": [1, "x"]}`, 1), issued.Credential.ID, issued.Secret, time.Now()),
			}
		},
		Check: checkAnswer,
	}
}

const balanceRequest = "POST / HTTP/1.1\nHost: " + exampleHost + "\nContent-Type: application/x-amz-json-1.1\n" +
	"X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance\nContent-Length: 2\n\n{}"

func TestSuite(t *testing.T) {
	suite(func(w *dialecttest.World, o dialect.Options) http.Handler {
		return New(w.Ledger, w.Auth, Options{Options: o})
	}).Run(t)
}

var (
	requestID   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	balanceBody = regexp.MustCompile(`^\{"AvailableBalance":"[0-9]+\.[0-9]{2}","OnHoldBalance":"0\.00"\}$`)
)

// requestIDHeader is as the service spells it, not as net/http does.
var requestIDHeader = "x-amzn-RequestId"

// checkAnswer says what is wrong with an answer of the JSON 1.1 server.
func checkAnswer(resp *http.Response, body []byte) error {
	var errs []error
	if id := resp.Header[requestIDHeader]; len(id) == 0 || !requestID.MatchString(id[0]) {
		errs = append(errs, fmt.Errorf("x-amzn-RequestId is %q", id))
	}
	if len(resp.Header["X-Amzn-Query-Error"]) > 0 {
		errs = append(errs, errors.New("botocore takes its code from x-amzn-query-error"))
	}
	if got := resp.Header.Get("Content-Length"); got != fmt.Sprint(len(body)) {
		errs = append(errs, fmt.Errorf("Content-Length is %q", got))
	}
	coral := strings.HasPrefix(string(body), `{"Output":`)
	if got := resp.Header.Get("Content-Type"); got != typeJSON && !(coral && got == "application/json") {
		errs = append(errs, fmt.Errorf("Content-Type is %q", got))
	}
	if resp.StatusCode == http.StatusOK {
		if !balanceBody.Match(body) {
			errs = append(errs, errors.New("that is no balance"))
		}
		return errors.Join(errs...)
	}
	var e struct {
		Type   string `json:"__type"`
		Output struct {
			Type string `json:"__type"`
		}
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" && e.Output.Type == "" {
		errs = append(errs, fmt.Errorf("there is no __type (%v)", err))
	}
	return errors.Join(errs...)
}

// An example is a world at the moment of the published examples, with their key
// for an account.
type example struct {
	*dialecttest.World
	account ledger.AccountID
	server  http.Handler
}

func openExample(t testing.TB, amount string) *example {
	w := dialecttest.OpenAt(t, exampleAt)
	e := &example{World: w, account: w.Account("USD", amount)}
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Read}, exampleKey, exampleSecret)
	e.server = New(w.Ledger, w.Auth, Options{Options: dialect.Options{Now: w.Clock.Now}})
	return e
}

func (e *example) importKey(t testing.TB, spec auth.Spec, id, secret string) {
	t.Helper()
	spec.Dialect, spec.Tenant = auth.MTurk, e.Tenant.Number
	_, err := e.Auth.Import(t.Context(), 0, "", spec, id, secret)
	must(t, err)
}

// signed signs a request with the example's key at its moment.
func signed(t testing.TB, request string) string {
	return sign(t, request, exampleKey, exampleSecret, exampleAt)
}

// replaced replaces in a request that was signed.
func replaced(request string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(request)
}

var masks = []dialecttest.Masking{dialecttest.Mask(`x-amzn-RequestId: [0-9a-f-]{36}`, "x-amzn-RequestId: 5f0c1d2e-0000-4000-8000-000000000001")}

const exampleSignature = "6432dbc5938f5157125f75a76d46f11e5188009a07d82528825a595189d0f95a"

func TestSamples(t *testing.T) {
	e := openExample(t, "10000")
	good := signed(t, balanceRequest)
	if !strings.Contains(good, "Signature="+exampleSignature) {
		t.Fatalf("the example is signed otherwise than it was published:\n%s", good)
	}
	at := func(offset time.Duration) string {
		return sign(t, balanceRequest, exampleKey, exampleSecret, exampleAt.Add(offset))
	}
	unsigned := func(name string) string {
		return signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, without(name))
	}
	e.importKey(t, auth.Spec{Root: e.Account("EUR", "5"), Scopes: auth.Read}, "AKIDEUROPEAN", exampleSecret)
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Charge}, "AKIDMAYNOTREAD", exampleSecret)
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Read, Expires: ledger.TimeOf(exampleAt.Add(time.Hour))}, "AKIDEXPIRED", exampleSecret)
	as := func(key string, at time.Time) string { return sign(t, balanceRequest, key, exampleSecret, at) }

	for _, tt := range []struct{ name, request string }{
		{"balance", good},
		{"balance-sandbox", signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, func(s *signing) { s.region = "sandbox" })},
		{"missing-authentication", balanceRequest},
		{"no-equal-sign", replaced(good, "Credential=AKIDEXAMPLE/20260901/us-east-1/mturk-requester/aws4_request", "Credential")},
		{"no-parameters", replaced(good, "SignedHeaders=", "Signed=", "Signature=", "Sig=")},
		{"other-scheme", replaced(balanceRequest, "\n\n", "\nAuthorization: Basic QUtJREVYQU1QTEU6c2VjcmV0\n\n")},
		{"four-parts", replaced(good, "/us-east-1", "")},
		{"no-date", replaced(good, "X-Amz-Date: 20260901T120000Z\n", "")},
		{"bad-date", replaced(good, "X-Amz-Date: 20260901T120000Z", "X-Amz-Date: 2026-09-01T12:00:00Z")},
		{"unknown-key", as("AKIDNOBODY", exampleAt)},
		{"session-token", signed(t, replaced(balanceRequest, "\n\n", "\nX-Amz-Security-Token: FwoGZXIvYXdzEXAMPLE\n\n"))},
		{"expired-key", "expired"},
		{"wrong-signature", replaced(good, "Signature=6", "Signature=7")},
		{"other-body", replaced(good, "{}", "[]")},
		{"signature-expired", at(-30 * time.Minute)},
		{"not-yet-current", at(30 * time.Minute)},
		{"scope-date", signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, func(s *signing) { s.scopeDate = "20260831" })},
		{"scope-region", signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, func(s *signing) { s.region = "" })},
		{"scope-service", signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, func(s *signing) { s.service = "sqs" })},
		{"scope-terminator", signAs(t, balanceRequest, exampleKey, exampleSecret, exampleAt, func(s *signing) { s.terminator = "aws3_request" })},
		{"host-unsigned", unsigned("host")},
		{"date-unsigned", unsigned("x-amz-date")},
		{"target-unsigned", unsigned("x-amz-target")},
		{"access-denied", as("AKIDMAYNOTREAD", exampleAt)},
		{"unknown-operation", replaced(balanceRequest, "GetAccountBalance", "GetAccountBalances")},
		{"other-service", replaced(balanceRequest, "MTurkRequesterServiceV20170117", "DynamoDB_20120810")},
		{"missing-target", replaced(balanceRequest, "X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance\n", "")},
		{"unknown-operation-not-amazon-json", replaced(balanceRequest, "application/x-amz-json-1.1", "application/json", "GetAccountBalance", "")},
		{"operation-not-served", signed(t, replaced(balanceRequest, "GetAccountBalance", "ListWorkerBlocks"))},
		{"other-method", replaced(balanceRequest, "POST", "GET")},
		{"other-path", replaced(balanceRequest, "POST /", "POST /mturk")},
		{"not-json", signed(t, replaced(balanceRequest, "{}", `{"`))},
		{"not-an-object", signed(t, replaced(balanceRequest, "{}", `[]`))},
		{"not-in-dollars", as("AKIDEUROPEAN", exampleAt)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.request == "expired" {
				e.Clock.Set(exampleAt.Add(time.Hour))
				defer e.Clock.Set(exampleAt)
				tt.request = as("AKIDEXPIRED", exampleAt.Add(time.Hour))
			}
			checkSample(t, e.server, tt.name, tt.request)
		})
	}
	for range 10 {
		answer(t, e.server, as("AKIDTHROTTLED", exampleAt))
	}
	checkSample(t, e.server, "throttled", as("AKIDTHROTTLED", exampleAt))
	checkSample(t, New(nil, e.Auth, Options{Options: dialect.Options{Now: e.Clock.Now}, Desk: new(Desk)}), "internal-failure", good)
	elsewhere := dialecttest.OpenAt(t, exampleAt) // where nobody knows the account
	checkSample(t, New(elsewhere.Ledger, e.Auth, Options{Options: dialect.Options{Now: e.Clock.Now}}), "account-not-linked", good)
	e.breakDown(t)
	checkSample(t, New(e.Ledger, e.Auth, Options{Options: dialect.Options{Now: atExample}}), "service-unavailable", good)
	e.Clock.Set(exampleAt.AddDate(10, 0, 0))
	checkSample(t, New(e.Ledger, e.Auth, Options{Options: dialect.Options{Now: atExample}}), "clock-jump", good)
}

func atExample() time.Time { return exampleAt }

// breakDown closes the ledger while something in it is due that it has to write.
func (e *example) breakDown(t *testing.T) {
	hold(t, e.World, e.account, "1")
	must(t, e.Ledger.Close())
	e.Clock.Set(exampleAt.Add(2 * time.Hour))
}

func checkSample(t *testing.T, h http.Handler, name, request string) {
	t.Helper()
	resp := dialecttest.Sample(t, h, name, request, masks)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if err := checkAnswer(resp, body); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if strings.Contains(string(body), "QUtJREVYQU1QTEU6c2VjcmV0") || strings.Contains(string(body), exampleSecret) {
		t.Errorf("%s: the answer tells a secret: %s", name, body)
	}
}

// answer sends a request to a handler.
func answer(t testing.TB, h http.Handler, request string) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, dialecttest.Request(t, request))
	return rec.Result(), rec.Body.String()
}

// The published example is answered to the byte, but for its request id.
func TestPublishedExample(t *testing.T) {
	e := openExample(t, "10000")
	resp, body := answer(t, e.server, `POST / HTTP/1.1
Host: mturk-requester.us-east-1.amazonaws.com
Content-Type: application/x-amz-json-1.1
X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance
X-Amz-Date: 20260901T120000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260901/us-east-1/mturk-requester/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=6432dbc5938f5157125f75a76d46f11e5188009a07d82528825a595189d0f95a
Content-Length: 2

{}`)
	if want := `{"AvailableBalance":"10000.00","OnHoldBalance":"0.00"}`; resp.StatusCode != 200 || body != want {
		t.Errorf("%d %s, want 200 %s", resp.StatusCode, body, want)
	}
	if got := resp.Header.Get("Content-Length"); got != "54" {
		t.Errorf("Content-Length is %s", got)
	}
}

// A body is read up to its bound, and one that breaks off is not waited for.
func TestBodies(t *testing.T) {
	e := openExample(t, "1")
	within := `{"a":"` + strings.Repeat("x", maxBody-8) + `"}`
	if resp, body := answer(t, e.server, signed(t, replaced(balanceRequest, "{}", within, "Content-Length: 2\n", ""))); resp.StatusCode != 200 {
		t.Errorf("a body of 1 MiB is answered %d %s", resp.StatusCode, body)
	}
	resp, body := answer(t, e.server, signed(t, replaced(balanceRequest, "{}", within+" ", "Content-Length: 2\n", "")))
	if resp.StatusCode != 413 || !strings.Contains(body, "RequestEntityTooLargeException") || resp.Header.Get("Connection") != "close" {
		t.Errorf("a body of more than 1 MiB is answered %d %s, %v", resp.StatusCode, body, resp.Header)
	}
	r := dialecttest.Request(t, signed(t, balanceRequest))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))
	rec := httptest.NewRecorder()
	e.server.ServeHTTP(rec, r)
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), "RequestTimeoutException") || rec.Header().Get("Connection") != "close" {
		t.Errorf("a body that breaks off is answered %d %s", rec.Code, rec.Body)
	}
	for body, want := range map[string]int{
		"": 200, "{}": 200, " {}\t\n": 200, `{"Unknown":null}`: 200,
		"null": 400, "1": 400, `""`: 400, "[{}]": 400, "{}{}": 400, "{,}": 400, " ": 400, `{"a":1`: 400,
	} {
		if resp, got := answer(t, e.server, signed(t, replaced(balanceRequest, "{}", body, "Content-Length: 2\n", ""))); resp.StatusCode != want {
			t.Errorf("the body %q is answered %d %s, want %d", body, resp.StatusCode, got, want)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// What happens to a requester shows in the balance.
func TestShown(t *testing.T) {
	w := dialecttest.Open(t)
	h := w.Serve(New(w.Ledger, w.Auth, Options{}))
	shows := func(what string, account ledger.AccountID, want string) {
		t.Helper()
		issued := w.Issue(auth.MTurk, account, auth.Read)
		r := &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: issued.Secret, URL: h}
		got, err := r.Read(t.Context())
		if err != nil || got.Text != want || got.Unit != "USD" || got.OnHold != "0.00" || got.Time.IsZero() {
			t.Errorf("%s: %+v, %v; want %s", what, got, err, want)
		}
	}
	prepaid := w.Account("USD", "20")
	shows("prepaid", prepaid, "20.00")
	hold := hold(t, w, prepaid, "5.001")
	shows("with a hold", prepaid, "14.99")
	w.Charge(prepaid, "4")
	shows("with a charge", prepaid, "10.99")
	must(t, w.Native.Do(t.Context(), "POST", "/v1/holds/"+hold+"/release", map[string]any{"id": w.ID("release")}, nil))
	shows("without the hold", prepaid, "16.00")

	billed := w.Open(native.AccountRequest{Unit: "USD", CreditLimit: "100"}, "")
	shows("billed", billed, "100.00")
	w.TopUp(billed, "7")
	shows("with prepaid money", billed, "100.00")
	w.Charge(billed, "30.255")
	shows("with a charge that is more than that", billed, "76.74")

	child := w.Open(native.AccountRequest{Unit: "USD", Parent: prepaid.String(), Mode: "drawing"}, "")
	shows("drawing", child, "16.00")
}

func hold(t *testing.T, w *dialecttest.World, account ledger.AccountID, amount string) string {
	t.Helper()
	id := w.ID("hold")
	must(t, w.Native.Do(t.Context(), "POST", "/v1/accounts/"+account.String()+"/holds", map[string]any{"id": id, "amount": amount, "ttl_seconds": 3600}, nil))
	return id
}

// A key that was revoked, rotated, or for other APIs or addresses.
func TestKeys(t *testing.T) {
	w := dialecttest.Open(t)
	ctx := t.Context()
	url := w.Serve(New(w.Ledger, w.Auth, Options{}))
	account := w.Account("USD", "3")
	issued := w.Issue(auth.MTurk, account, auth.Read)
	with := func(secret string) *Client {
		return &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: secret, URL: url}
	}
	refusedWith := func(what string, r *Client, want string) {
		t.Helper()
		_, err := r.Read(ctx)
		if e := new(dialect.Error); !errors.As(err, &e) || e.Code != want || e.Reason != dialect.Unauthorized {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	reads := func(what string, r *Client) {
		t.Helper()
		if _, err := r.Read(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	reads("issued", with(issued.Secret))
	second, err := w.Auth.Rotate(ctx, 0, "", issued.Credential.ID, time.Hour)
	must(t, err)
	reads("the new secret", with(second.Secret))
	reads("the old secret for a while", with(issued.Secret))
	third, err := w.Auth.Rotate(ctx, 0, "", issued.Credential.ID, 0)
	must(t, err)
	reads("the newest secret", with(third.Secret))
	refusedWith("a secret that ended", with(second.Secret), "InvalidSignatureException")
	_, _, err = w.Auth.Revoke(ctx, 0, "", issued.Credential.ID)
	must(t, err)
	refusedWith("a revoked key", with(third.Secret), "UnrecognizedClientException")

	legacy := w.Issue(auth.MTurkLegacy, account, auth.Read)
	refusedWith("a key for the older API", &Client{AccessKeyID: legacy.Credential.ID, SecretAccessKey: legacy.Secret, URL: url}, "UnrecognizedClientException")
	session := &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: third.Secret, SessionToken: "token", URL: url}
	refusedWith("a session", session, "UnrecognizedClientException")
}

// A clock that is wrong by more than a signature may be is mended by the Date of
// the answer, in our client as in the vendor's.
func TestClientsClock(t *testing.T) {
	w := dialecttest.Open(t)
	server := New(w.Ledger, w.Auth, Options{Options: dialect.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}})
	url := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		server.ServeHTTP(out, r)
	}))
	issued := w.Issue(auth.MTurk, w.Account("USD", "3"), auth.Read)
	r := &Client{AccessKeyID: issued.Credential.ID, SecretAccessKey: issued.Secret, URL: url}
	if got, err := r.Read(t.Context()); err != nil || got.Text != "3.00" {
		t.Errorf("with a clock that is an hour late: %+v, %v", got, err)
	}
	r.SecretAccessKey = strings.Repeat("x", 40)
	if _, err := r.Read(t.Context()); codeOf(err) != "InvalidSignatureException" {
		t.Errorf("with a wrong secret: %v", err)
	}
}

// nativeCodes are what the native API says for codes of the ledger.
var nativeCodes = map[ledger.Code]string{
	ledger.Invalid: native.CodeValidation, ledger.NotFound: native.CodeNotFound, ledger.Denied: native.CodeForbidden,
	ledger.Insufficient: native.CodeInsufficient, ledger.Frozen: native.CodeFrozen, ledger.Closed: native.CodeClosed,
	ledger.IDTaken: native.CodeMismatch, ledger.Changed: native.CodePrecondition, ledger.Exists: native.CodeExists,
	ledger.HoldClosed: native.CodeHoldClosed, ledger.HoldExpired: native.CodeHoldExpired, ledger.NotEmpty: native.CodeNotEmpty,
	ledger.OverRefund: native.CodeOverRefund, ledger.Overflow: native.CodeOverflow, ledger.TooMany: native.CodeTooMany,
	ledger.Busy: native.CodeBusy, ledger.Unavailable: native.CodeUnavailable, ledger.Timeout: native.CodeTimeout,
	ledger.Contention: native.CodeContention, ledger.ClockJump: native.CodeClockJump, ledger.Internal: native.CodeInternal,
}

// Every code of the ledger has one row, and what may pass is answered in a way
// that the SDKs retry.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		if f.kind == "" || f.plain.code == "" || f.plain.status == 0 || f.status == 0 {
			t.Errorf("%+v lacks something", f)
		}
		if f.status == 400 && f.kind == serviceFault {
			t.Errorf("%+v would not be retried", f)
		}
		if (f.reason == dialect.Unavailable) != (f.status >= 500 || f.kind == "RequestTimeoutException") {
			t.Errorf("%+v has a reason that its status has not", f)
		}
	}
	for _, code := range ledger.Codes() {
		n := 0
		for _, f := range faults {
			if f.ledger == code {
				n++
			}
		}
		f := faultOf(code)
		if n != 1 || f.ledger != code {
			t.Errorf("%v has %d rows", code, n)
		}
		if code.Retryable() && (f.status != 503 || f.plain.status != 503) {
			t.Errorf("%v is answered %d and %d", code, f.status, f.plain.status)
		}
		if want := nativeCodes[code]; f.plain.code != want {
			t.Errorf("%v is %s in the plain form, and %s in the native API", code, f.plain.code, want)
		}
	}
	if f := faultOf(ledger.Code(77)); f != &faults[faultInternal] {
		t.Errorf("a code that nobody knows is %+v", f)
	}
}

// Whatever the ledger or a context says becomes a refusal; what is our own fault
// is there for the log.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		err    error
		kind   string
		status int
		logged bool
		body   string
	}{
		{ledger.Errorf(ledger.Busy, "full"), "ServiceUnavailableException", 503, false, `{"__type":"ServiceUnavailableException","message":"Too much is waiting. Try again."}`},
		{ledger.Errorf(ledger.Internal, "oops"), "ServiceFault", 500, true, `{"__type":"ServiceFault","Message":"The service failed; it was noted. Try again. (1788264000000)"}`},
		{errors.New("oops"), "ServiceFault", 500, true, ""},
		{context.Canceled, "ServiceUnavailableException", 503, false, ""},
		{context.DeadlineExceeded, "ServiceUnavailableException", 503, false, ""},
		{ledger.Errorf(ledger.NotFound, "gone"), "RequestError", 400, false, ""},
		{ledger.Errorf(ledger.Insufficient, "no"), "RequestError", 400, false,
			`{"__type":"RequestError","Message":"This Requester has insufficient funds in their account to complete this transaction. Please visit https://requester.mturk.com/prepayments/new to purchase Prepaid HITs. (1788264000000)","TurkErrorCode":"AWS.MechanicalTurk.InsufficientFunds"}`},
		{ledger.Errorf(ledger.IDTaken, "no"), "RequestError", 400, false, `{"__type":"RequestError","Message":"The idempotency token has already been processed. (1788264000000)"}`},
		{auth.ErrThrottled{RetryAfter: time.Second}, "ThrottlingException", 400, false, `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
		{auth.ErrAddress, "UnrecognizedClientException", 400, false, ""},
		{auth.ErrForbidden{Missing: auth.Read}, "AccessDeniedException", 400, false, `{"__type":"AccessDeniedException","Message":"The credential does not allow this."}`},
	} {
		r := refusalOf(tt.err)
		if r.kind != tt.kind || r.status != tt.status || (r.cause != nil) != tt.logged {
			t.Errorf("%v is %d %s, logged: %v", tt.err, r.status, r.kind, r.cause)
		}
		if got := string(r.append(nil, exampleAt, false)); tt.body != "" && got != tt.body {
			t.Errorf("%v is\n%s, want\n%s", tt.err, got, tt.body)
		}
		if (r.retryAfter > 0) != (r.status == 503 || r.kind == "ThrottlingException") {
			t.Errorf("%v may be tried again after %v", tt.err, r.retryAfter)
		}
	}
}

// The table of operations is the model's, as the vendor's own package has it.
func TestOperations(t *testing.T) {
	var names []string
	for _, op := range operations {
		names = append(names, op.name)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != 39 {
		t.Errorf("%d operations, or not in order: %v", len(names), names)
	}
	e := openExample(t, "1")
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Read | auth.Charge}, "AKIDOFALL", exampleSecret)
	for _, op := range operations {
		if op.serve != nil {
			continue
		}
		resp, body := answer(t, e.server, sign(t, replaced(balanceRequest, "GetAccountBalance", op.name), "AKIDOFALL", exampleSecret, exampleAt))
		if want := `{"__type":"RequestError","Message":"` + op.name + ` is not served here. (1788264000000)","TurkErrorCode":"AWS.MechanicalTurk.NotServed"}`; resp.StatusCode != 400 || body != want {
			t.Errorf("%s is answered %d %s", op.name, resp.StatusCode, body)
		}
	}
}

// The page tells of every refusal there is, and what it shows of exchanges is
// what was answered.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/dialects/mturk.md")
	must(t, err)
	page := strings.ReplaceAll(string(text), "`…", "`AWS.MechanicalTurk.")
	for _, f := range faults {
		for _, word := range []string{f.kind, f.turk} {
			if word != "" && !strings.Contains(page, "`"+word) {
				t.Errorf("it does not tell of %s", word)
			}
		}
	}
	for _, word := range []string{parameterError, codeInsufficientFunds, codePermissionDenied, codeHITAlreadyExists, codeHITDoesNotExist, codeHITTypeDoesNotExist,
		codeInvalidHITState, codeInvalidIncrease, codeAssignmentMissing, codeAssignmentState, codeInvalidParameter, codeXMLParse, codeNotServed} {
		if !strings.Contains(page, "`"+word) {
			t.Errorf("it does not tell of %s", word)
		}
	}
	for _, op := range operations {
		if !strings.Contains(page, "`"+op.name+"`") {
			t.Errorf("it does not tell of %s", op.name)
		}
	}
	for _, sample := range []string{"balance", "plain-balance", "unknown-operation-not-amazon-json"} {
		exchange, err := os.ReadFile("testdata/" + sample + ".http")
		must(t, err)
		lines := strings.Split(strings.TrimSpace(string(exchange)), "\n")
		if body := lines[len(lines)-1]; !strings.Contains(page, body) {
			t.Errorf("it does not show %s", body)
		}
	}
}

// Whatever a server says is read or refused, never taken for another amount.
func FuzzDecodeBalance(f *testing.F) {
	for _, seed := range []string{
		`{"AvailableBalance":"10000.00","OnHoldBalance":"0.00"}`, `{"AvailableBalance":10000.00}`, `{"AvailableBalance":null}`,
		`{"AvailableBalance":"1e9"}`, `{"AvailableBalance":""}`, `{}`, `[]`, `null`, `{"AvailableBalance":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeBalance(body)
		if err != nil {
			return
		}
		if r.Unit != "USD" || !sameAmount(r) {
			t.Errorf("%q was read as %+v", body, r)
		}
	})
}

// sameAmount reports whether an amount is what its text says.
func sameAmount(r dialect.Reading) bool {
	want, ok := new(big.Rat).SetString(r.Text)
	got, _ := new(big.Rat).SetString(r.Amount.Text(r.Scale))
	return ok && want.Cmp(got) == 0
}

func FuzzRefused(f *testing.F) {
	f.Add(400, "", []byte(`{"__type":"RequestError","Message":"no","TurkErrorCode":"AWS.AccountNotLinked"}`))
	f.Add(400, "ThrottlingException:http://x", []byte(`{"message":"Rate exceeded"}`))
	f.Add(500, "", []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		err := refused(&dialect.Reply{Status: status, Header: http.Header{"X-Amzn-Errortype": {kind}}, Body: body})
		if e := new(dialect.Error); !errors.As(err, &e) || e.Status != status || e.Error() == "" {
			t.Errorf("%d %q is %v", status, body, err)
		}
	})
}

// What the real service, and others in its place, say in other ways.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		status     int
		kind, body string
		reason     dialect.Reason
		code, text string
	}{
		{400, "", `{"__type":"RequestError","Message":"m (1)","TurkErrorCode":"AWS.AccountNotLinked"}`, dialect.NotFound, "AWS.AccountNotLinked", "m (1)"},
		{400, "", `{"__type":"RequestError","Message":"m","TurkErrorCode":"AWS.MechanicalTurk.New"}`, dialect.Refused, "AWS.MechanicalTurk.New", "m"},
		{400, "", `{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"m"}`, dialect.Unauthorized, "UnrecognizedClientException", "m"},
		{403, "", `{"__type":"InvalidSignatureException","message":"m"}`, dialect.Unauthorized, "InvalidSignatureException", "m"},
		{400, "ThrottlingException:http://internal.example/", `{"message":"m"}`, dialect.Throttled, "ThrottlingException", "m"},
		{400, "", `{"__type":"AccessDeniedException","Message":"m"}`, dialect.Forbidden, "AccessDeniedException", "m"},
		{500, "", `{"__type":"ServiceFault","Message":"m"}`, dialect.Unavailable, "ServiceFault", "m"},
		{503, "", `Service Unavailable`, dialect.Unavailable, "", ""},
		{505, "", `HTTP Version Not Supported`, dialect.Unavailable, "", ""},
		{429, "", ``, dialect.Throttled, "", ""},
	} {
		err := refused(&dialect.Reply{Status: tt.status, Header: http.Header{"X-Amzn-Errortype": {tt.kind}}, Body: []byte(tt.body)})
		if e := new(dialect.Error); !errors.As(err, &e) || e.Reason != tt.reason || e.Code != tt.code || e.Message != tt.text {
			t.Errorf("%d %s is %+v", tt.status, tt.body, e)
		}
	}
}

// TestUsed sees that a key counts as used by a signature, and not by its id.
func TestUsed(t *testing.T) {
	e := openExample(t, "1")
	good := signed(t, balanceRequest)
	for _, request := range []string{replaced(good, "Signature=6", "Signature=7"), good} {
		e.server.ServeHTTP(httptest.NewRecorder(), dialecttest.Request(t, request))
		c, err := e.Auth.ByID(t.Context(), exampleKey)
		must(t, err)
		if (c.LastUsed != 0) != (request == good) {
			t.Errorf("used at %d after %s", c.LastUsed, request)
		}
	}
}
