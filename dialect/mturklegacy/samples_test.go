package mturklegacy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/mturk"
	"saldo/dialect/native"
	"saldo/ledger"
)

// The key pair and the time of the vectors.
const (
	exampleKey    = "AKIDEXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	exampleTime   = "2014-08-15T12:00:00Z"
)

var masks = []dialecttest.Masking{
	dialecttest.Mask(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`, "11111111-2222-4333-8444-555555555555"),
	dialecttest.Mask(`A{1000,}| {1000,}|(&a){1000,}|(<Request/>){100,}`, "…"),
}

// example returns a world at the time of the vectors, with an account whose
// holder has the key pair of the vectors.
func example(t *testing.T, unit, amount string, scopes auth.Scope) (*dialecttest.World, http.Handler) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	w := dialecttest.OpenAt(t, at)
	importExample(w, w.Account(unit, amount), scopes)
	return w, handler(w, Options{})
}

// importExample gives an account the key pair of the vectors, for both APIs.
func importExample(w *dialecttest.World, account ledger.AccountID, scopes auth.Scope) {
	w.T.Helper()
	spec := auth.Spec{Dialect: auth.MTurk, Dialects: []string{auth.MTurkLegacy}, Tenant: w.Tenant.Number, Root: account, Scopes: scopes}
	if _, err := w.Auth.Import(w.T.Context(), 0, "", spec, exampleKey, exampleSecret); err != nil {
		w.T.Fatal(err)
	}
}

func handler(w *dialecttest.World, o Options) http.Handler {
	o.Now = w.Clock.Now
	return New(w.Ledger, w.Auth, o)
}

// good is the request of most samples, with more parameters.
func good(more string) string { return getRequest(exampleKey, exampleSecret, exampleTime, more) }

// without returns a request without a part of it, which it has to have.
func without(t *testing.T, request, part string) string { return with(t, request, part, "") }

func with(t *testing.T, request, old, other string) string {
	t.Helper()
	if !strings.Contains(request, old) {
		t.Fatalf("%q is not in %s", old, request)
	}
	return strings.Replace(request, old, other, 1)
}

// quoted returns a signature as it stands in a form.
func quoted(signature [signatureLen]byte) string { return url.QueryEscape(string(signature[:])) }

func TestSamples(t *testing.T) {
	w, h := example(t, "USD", "10000", auth.Read)
	boto := botoRequest(exampleKey, exampleSecret, exampleTime)
	soap := soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/>")
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"get", good(""), 200},
		{"get-onca-xml", with(t, good(""), "GET /?", "GET /onca/xml?"), 200},
		{"boto", boto, 200},
		{"boto-action", with(t, with(t, boto, "&Operation=GetAccountBalance", "&Action=GetAccountBalance"), "Signature=SZ4Bntq1p1VP9n4eoKFwaK6Zj%2FY%3D", "Signature="+
			quoted(sign([]byte(exampleSecret), "ActionGetAccountBalanceAWSAccessKeyIdAKIDEXAMPLESignatureVersion1Timestamp2014-08-15T12:00:00ZVersion2014-08-15"))), 200},
		{"rturk", "POST /?Service=AWSMechanicalTurkRequester HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n" +
			"Operation=GetAccountBalance&Service=AWSMechanicalTurkRequester&AWSAccessKeyId=AKIDEXAMPLE&Timestamp=2014-08-15T14%3A00%3A00%2B02%3A00&Version=2012-03-25&Signature=" +
			quoted(sign([]byte(exampleSecret), "AWSMechanicalTurkRequesterGetAccountBalance2014-08-15T14:00:00+02:00")), 200},
		{"version-absent", without(t, good(""), "&Version=2014-08-15"), 200},
		{"version-2005-10-01", with(t, good(""), "2014-08-15&Op", "2005-10-01&Op"), 200},
		{"version-2006-06-20", with(t, good(""), "2014-08-15&Op", "2006-06-20&Op"), 200},
		{"version-2006-08-23", with(t, good(""), "2014-08-15&Op", "2006-08-23&Op"), 200},
		{"version-2006-10-31", with(t, good(""), "2014-08-15&Op", "2006-10-31&Op"), 200},
		{"version-2007-06-21", with(t, good(""), "2014-08-15&Op", "2007-06-21&Op"), 200},
		{"version-2008-08-02", with(t, good(""), "2014-08-15&Op", "2008-08-02&Op"), 200},
		{"version-2012-03-25", with(t, good(""), "2014-08-15&Op", "2012-03-25&Op"), 200},
		{"soap", soap, 200},
		{"soap-onca", with(t, with(t, soap, "POST /?", "POST /onca/soap?"), "Content-Type: text/xml; charset=\"utf-8\"\n", ""), 200},
		{"soap-three", soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/><Request><ResponseGroup>Minimal</ResponseGroup></Request><Request/>"), 200},
		{"soap-2006", with(t, soap, "doc/2012-03-25", "doc/2006-08-23"), 200},

		{"not-authorized", with(t, good(""), exampleKey, "AKIDNOBODY"), 200},
		{"bad-claims", with(t, good(""), "Operation=GetAccountBalance&Signature=s", "Operation=GetAccountBalance&Signature=S"), 200},
		{"bad-claims-boto", with(t, boto, "Signature=S", "Signature=s"), 200},
		{"bad-claims-early", getRequest(exampleKey, exampleSecret, "2014-08-15T11:44:59.999Z", ""), 200},
		{"bad-claims-late", getRequest(exampleKey, exampleSecret, "2014-08-15T12:15:01Z", ""), 200},
		{"soap-not-authorized", with(t, soap, exampleKey, "AKIDNOBODY"), 200},
		{"soap-bad-claims", with(t, soap, "<Signature>s", "<Signature>S"), 200},

		{"no-operation", without(t, good(""), "Operation=GetAccountBalance&"), 400},
		{"no-key", without(t, good(""), "AWSAccessKeyId=AKIDEXAMPLE&"), 400},
		{"no-timestamp", without(t, good(""), "&Timestamp=2014-08-15T12%3A00%3A00Z"), 400},
		{"no-signature", with(t, good(""), "Signature=s", "S=s"), 400},
		{"unknown-operation", with(t, good(""), "GetAccountBalance", "Help"), 400},
		{"unknown-version", with(t, good(""), "2014-08-15&Op", "2017-01-17&Op"), 400},
		{"other-service", with(t, good(""), "AWSMechanicalTurkRequester", "AWSECommerceService"), 400},
		{"timestamp-form", with(t, good(""), "2014-08-15T12%3A00%3A00Z", "20140815T120000Z"), 400},
		{"signature-version-2", good("&SignatureVersion=2"), 400},
		{"repeated", good("&Operation=GetAccountBalance"), 400},
		{"bad-escape", good("&Keywords=100%"), 400},
		{"bad-utf8", good("&Keywords=%ff"), 400},
		{"semicolon", good("&Keywords=a;b"), 400},
		{"too-many-parameters", "POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n" + strings.Repeat("&a", maxParameters+1), 400},
		{"method", with(t, good(""), "GET", "PUT"), 405},
		{"too-large", "POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\nOperation=" + strings.Repeat("A", maxBody), 413},

		{"soap-no-key", without(t, soap, "<AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId>"), 200},
		{"soap-no-request", without(t, soap, "<Request/>"), 200},
		{"soap-timestamp-form", with(t, soap, exampleTime, "yesterday"), 200},
		{"soap-unknown-operation", strings.ReplaceAll(soap, "GetAccountBalance", "Help"), 400},
		{"soap-unknown-version", with(t, soap, "2012-03-25", "2017-01-17"), 400},
		{"soap-other-namespace", with(t, soap, "http://requester.mturk.amazonaws.com/doc/2012-03-25", "urn:other"), 400},
		{"soap-no-body", soapHead + `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>`, 400},
		{"soap-empty", envelope(""), 400},
		{"soap-two", envelope(`<A xmlns="http://requester.mturk.amazonaws.com/doc/2012-03-25"/><B/>`), 400},
		{"soap-repeated", with(t, soap, "<Signature>", "<Timestamp>x</Timestamp><Signature>"), 400},
		{"soap-too-many-requests", soapRequest(exampleKey, exampleSecret, exampleTime, strings.Repeat("<Request/>", maxRequests+1)), 400},
		{"soap-malformed", soap[:len(soap)-3], 400},
		{"soap-doctype", with(t, with(t, soap, "<soapenv:Envelope", "<!DOCTYPE x [<!ENTITY key SYSTEM \"file:///etc/passwd\">]>\n<soapenv:Envelope"), exampleKey, "&key;"), 400},
		{"soap-entity", with(t, soap, exampleKey, "&key;"), 400},
		{"soap-encoding", with(t, soap, "UTF-8", "UTF-16"), 400},
		{"soap-1.2", strings.ReplaceAll(soap, "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), 400},
		{"soap-must-understand", with(t, soap, "<soapenv:Body>", `<soapenv:Header><x:Security xmlns:x="urn:x" soapenv:mustUnderstand="1"/></soapenv:Header><soapenv:Body>`), 400},
		{"soap-method", with(t, soap, "POST", "GET"), 405},
		{"soap-too-large", soapHead + strings.Repeat(" ", maxBody+1), 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checked(t, dialecttest.Sample(t, h, tt.name, tt.request, masks), tt.status)
		})
	}
	t.Run("a header that may be understood", func(t *testing.T) {
		request := with(t, soap, "<soapenv:Body>", `<soapenv:Header><x:To xmlns:x="urn:x"><AWSAccessKeyId/></x:To></soapenv:Header><soapenv:Body>`)
		resp, body := do(t, h, request)
		if resp.StatusCode != 200 || !strings.Contains(body, "$10,000.00") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	})
	t.Run("incomplete", func(t *testing.T) {
		r := dialecttest.Request(t, boto)
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("Operation="), brokenBody{}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), "<Code>IncompleteBody</Code>") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
	t.Run("the bounds are taken", func(t *testing.T) {
		form := "POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\n" + strings.TrimPrefix(strings.Fields(good(""))[1], "/?")
		n := strings.Count(form, "&") + 1
		_, body, _ := strings.Cut(form, "\n\n")
		for name, request := range map[string]string{
			"parameters": form + strings.Repeat("&a", maxParameters-n),
			"a body":     form + "&a=" + strings.Repeat("A", maxBody-len(body)-len("&a=")),
			"a message":  soap + strings.Repeat(" ", maxBody-len(soap)+len(soapHead)),
		} {
			if resp, answer := do(t, h, request); resp.StatusCode != 200 || !strings.Contains(answer, "$10,000.00") {
				t.Errorf("%s: %d %s", name, resp.StatusCode, answer)
			}
		}
		_, answer := do(t, h, soapRequest(exampleKey, exampleSecret, exampleTime, strings.Repeat("<Request/>", maxRequests)))
		if n := strings.Count(answer, "<GetAccountBalanceResult>"); n != maxRequests {
			t.Errorf("%d requests have %d results", maxRequests, n)
		}
	})
	t.Run("the ends of the window", func(t *testing.T) {
		for _, at := range []string{"2014-08-15T11:45:00Z", "2014-08-15T12:15:00Z", "2014-08-15T12:15:00.000000000Z", "2014-08-15T11:45:00"} {
			if _, body := do(t, h, getRequest(exampleKey, exampleSecret, at, "")); !strings.Contains(body, "$10,000.00") {
				t.Errorf("%s: %s", at, body)
			}
		}
		// Clocks that are wrong are not counted as attempts at a secret.
		for range 100 {
			if _, body := do(t, h, getRequest(exampleKey, "wrong", "2014-08-15T11:00:00Z", "")); !strings.Contains(body, codeBadClaims) {
				t.Fatal(body)
			}
		}
	})
	t.Run("retired", func(t *testing.T) {
		all := handler(w, Options{Retired: retired(t, "all")})
		checked(t, dialecttest.Sample(t, all, "retired", good(""), masks), 403)
		_, want := do(t, all, good(""))
		for _, request := range []string{boto, soap, with(t, good(""), "GetAccountBalance", "Help"), "PUT / HTTP/1.1\n\n", "GET /?Operation=%"} {
			if resp, got := do(t, all, request); resp.StatusCode != 403 || sameFrame(got) != sameFrame(want) {
				t.Errorf("%s\nis answered %d %s", request, resp.StatusCode, got)
			}
		}
		some := handler(w, Options{Retired: retired(t, "2005-10-01,2014-08-15")})
		for version, status := range map[string]int{"2005-10-01": 403, "2014-08-15": 403, "2008-08-02": 200, "2012-03-25": 200} {
			if resp, got := do(t, some, with(t, good(""), "2014-08-15&Op", version+"&Op")); resp.StatusCode != status {
				t.Errorf("version %s is answered %d %s", version, resp.StatusCode, got)
			}
		}
		if resp, _ := do(t, some, without(t, good(""), "&Version=2014-08-15")); resp.StatusCode != 403 {
			t.Errorf("no version, which is the latest, is answered %d", resp.StatusCode)
		}
		if resp, _ := do(t, some, with(t, soap, "2012-03-25", "2005-10-01")); resp.StatusCode != 403 {
			t.Errorf("SOAP of a retired version is answered %d", resp.StatusCode)
		}
	})
	t.Run("throttled", func(t *testing.T) {
		wrong := with(t, good(""), "Operation=GetAccountBalance&Signature=s", "Operation=GetAccountBalance&Signature=S")
		for range 100 {
			if resp, _ := do(t, h, wrong); resp.StatusCode == 503 {
				break
			}
		}
		checked(t, dialecttest.Sample(t, h, "throttled", wrong, masks), 503)
		checked(t, dialecttest.Sample(t, h, "soap-throttled", with(t, soap, "<Signature>s", "<Signature>S"), masks), 503)
		if _, body := do(t, h, good("")); !strings.Contains(body, "$10,000.00") {
			t.Errorf("who has the right secret is answered %s", body)
		}
	})
}

func TestOtherCredentials(t *testing.T) {
	t.Run("without the scope", func(t *testing.T) {
		_, h := example(t, "USD", "5", auth.Charge)
		checked(t, dialecttest.Sample(t, h, "permission-denied", good(""), masks), 200)
		checked(t, dialecttest.Sample(t, h, "soap-permission-denied", soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/><Request/>"), masks), 200)
	})
	t.Run("in another unit", func(t *testing.T) {
		_, h := example(t, "CREDITS", "5", auth.Read)
		checked(t, dialecttest.Sample(t, h, "unsupported-currency", good(""), masks), 200)
	})
	w, h := example(t, "USD", "5", auth.Read)
	account := w.Account("USD", "7")
	at := exampleTime
	for name, want := range map[string]string{
		auth.MTurkLegacy: "$7.00",
		auth.MTurk:       codeUnknownKey, // it was not issued for both
		auth.Twilio:      codeUnknownKey,
	} {
		issued := w.Issue(name, account, auth.Read)
		if _, body := do(t, h, getRequest(issued.Credential.ID, issued.Secret, at, "")); !strings.Contains(body, want) {
			t.Errorf("a key of %s is answered %s, want %s", name, body, want)
		}
	}
	issued := w.Issue(auth.MTurkLegacy, account, auth.Read)
	rotated, err := w.Auth.Rotate(t.Context(), 0, "", issued.Credential.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{issued.Secret, rotated.Secret} {
		if _, body := do(t, h, getRequest(issued.Credential.ID, secret, at, "")); !strings.Contains(body, "$7.00") {
			t.Errorf("while a rotation lasts, a secret is answered %s", body)
		}
	}
	if _, _, err := w.Auth.Revoke(t.Context(), 0, "", issued.Credential.ID); err != nil {
		t.Fatal(err)
	}
	if _, body := do(t, h, getRequest(issued.Credential.ID, rotated.Secret, at, "")); !strings.Contains(body, codeUnknownKey) {
		t.Errorf("a revoked key is answered %s", body)
	}
}

// TestBilled has an account with a credit limit, and one that draws on it.
func TestBilled(t *testing.T) {
	w, h := example(t, "USD", "5", auth.Read)
	billed := w.Open(native.AccountRequest{Unit: "USD", CreditLimit: "100"}, "7")
	w.Charge(billed, "37.501")
	drawing := w.Open(native.AccountRequest{Parent: billed.String(), Mode: "drawing", Cap: "20"}, "")
	for account, want := range map[ledger.AccountID]string{billed: "<Amount>69.49</Amount>", drawing: "<Amount>20.00</Amount>"} {
		issued := w.Issue(auth.MTurkLegacy, account, auth.Read)
		if _, body := do(t, h, getRequest(issued.Credential.ID, issued.Secret, exampleTime, "")); !strings.Contains(body, want) {
			t.Errorf("%s, want %s", body, want)
		}
	}
}

func TestFaultsOfOurs(t *testing.T) {
	w, h := example(t, "USD", "5", auth.Read)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))

	t.Run("a panic", func(t *testing.T) {
		broken := New(nil, w.Auth, Options{Desk: new(mturk.Desk), Options: dialect.Options{Now: w.Clock.Now, Logger: logger}})
		checked(t, dialecttest.Sample(t, broken, "internal-error", good(""), masks), 500)
		checked(t, dialecttest.Sample(t, broken, "soap-internal-error", soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/>"), masks), 500)
		if n := strings.Count(log.String(), "a request failed"); n != 2 {
			t.Errorf("2 panics were logged %d times: %s", n, &log)
		}
	})
	t.Run("an error", func(t *testing.T) {
		for _, tt := range []struct {
			err    error
			code   string
			logged bool
		}{
			{errors.New("the disk is on fire"), codeInternal, true},
			{ledger.Errorf(ledger.Internal, "secret detail"), codeInternal, true},
			{ledger.Errorf(ledger.Busy, "detail"), codeUnavailable, false},
			{ledger.Errorf(ledger.NotFound, "detail"), codeNoAccount, false},
			{context.Canceled, codeUnavailable, false},
			{context.DeadlineExceeded, codeUnavailable, false},
		} {
			log.Reset()
			_, body := answered(t, func(s *server, x *dialect.Exchange) {
				s.o.Logger = logger
				s.refuse(x, &call{op: &operations[0], edition: &versions[0]}, s.refusalOf(x, tt.err))
			})
			if !strings.Contains(string(body), "<Code>"+tt.code+"</Code>") || strings.Contains(string(body), "detail") || tt.logged != (log.Len() > 0) {
				t.Errorf("%v is answered %s and logged as %q", tt.err, body, &log)
			}
		}
	})
	t.Run("a caller that went away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, dialecttest.Request(t, good("")).WithContext(ctx))
		if rec.Code >= 500 && rec.Code != 503 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
	t.Run("a ledger that is closed", func(t *testing.T) {
		if err := w.Ledger.Close(); err != nil {
			t.Fatal(err)
		}
		for _, request := range []string{good(""), soapRequest(exampleKey, exampleSecret, exampleTime, "<Request/>")} {
			if resp, body := do(t, h, request); resp.StatusCode != 503 && resp.StatusCode != 200 || resp.Header.Get("Retry-After") != "" {
				t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
			}
		}
	})
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func retired(t *testing.T, text string) Retired {
	t.Helper()
	r, err := ParseRetired(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checked holds an answer to its status and to what all answers are.
func checked(t *testing.T, resp *http.Response, status int) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Errorf("the status is %d, want %d: %s", resp.StatusCode, status, body)
	}
	if err := check(resp, body); err != nil && status != 500 {
		t.Errorf("%v: %s", err, body)
	}
}

// do sends a request to a handler.
func do(t *testing.T, h http.Handler, request string) (*http.Response, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, dialecttest.Request(t, request))
	return rec.Result(), rec.Body.String()
}

// answered returns what an exchange of a server without a ledger is filled in with.
func answered(t *testing.T, fill func(*server, *dialect.Exchange)) (*http.Response, []byte) {
	t.Helper()
	s := &server{o: dialect.Options{}.Filled()}
	unknown := s.o.Metrics.Operation("", "")
	h := dialect.NewHandler(s.o, unknown, func(x *dialect.Exchange) { fill(s, x) }, nil)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	return rec.Result(), rec.Body.Bytes()
}

// readBody reads a balance from a reply.
func readBody(t *testing.T, status int, body string) (dialect.Reading, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	defer s.Close()
	return (&Client{URL: s.URL, AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}).Read(t.Context())
}

// sameFrame returns an answer without what differs from one to another.
func sameFrame(body string) string {
	return masks[0].Pattern.ReplaceAllString(body, masks[0].With)
}
