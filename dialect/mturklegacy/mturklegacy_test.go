package mturklegacy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

func TestSuite(t *testing.T) {
	s := dialecttest.Suite{
		New: func(w *dialecttest.World, o dialect.Options) http.Handler {
			return New(w.Ledger, w.Auth, Options{Options: o})
		},
		Amounts: []dialecttest.Amount{
			{Has: "10000", Shown: "10000.00"},
			{Has: "12.349999", Shown: "12.34"},
			{Has: "0.009999", Shown: "0.00"},
			{Has: "-3", Shown: "0.00"},
			{Has: "10000000000000000000000000000000.059999", Shown: "10000000000000000000000000000000.05"},
		},
		Reader: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			return reader(url, w.Issue(auth.MTurkLegacy, account, auth.Read))
		},
		Wrong: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			r := reader(url, w.Issue(auth.MTurkLegacy, account, auth.Read))
			r.SecretAccessKey = strings.Repeat("x", 40)
			return r
		},
		Requests: func(w *dialecttest.World, account ledger.AccountID) []string {
			issued := w.Issue(auth.MTurkLegacy, account, auth.Read)
			keyID, secret, now := issued.Credential.ID, issued.Secret, time.Now().UTC().Format(time.RFC3339)
			return []string{
				getRequest(keyID, secret, now, ""),
				botoRequest(keyID, secret, now),
				soapRequest(keyID, secret, now, "<Request/><Request/>"),
			}
		},
		Check: check,
	}
	s.Run(t)
}

func reader(url string, issued auth.Issued) *Client {
	return &Client{URL: url, AccessKeyID: issued.Credential.ID, SecretAccessKey: issued.Secret}
}

// check says what is wrong with any answer of the server.
func check(resp *http.Response, body []byte) error {
	if got := resp.Header.Get("Content-Type"); got != "text/xml" && got != "text/xml; charset=utf-8" {
		return fmt.Errorf("the content type is %q", got)
	}
	if !slices.Contains([]int{200, 400, 403, 405, 413, 503}, resp.StatusCode) {
		return errors.New("this status is none of the API's")
	}
	root := ""
	err := scan(body, func(path []*element) error {
		if len(path) == 1 {
			root = path[0].Local
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	known := func(op operation) bool { return root == op.name+"Response" }
	if root != "Response" && root != "Envelope" && !slices.ContainsFunc(operations, known) {
		return fmt.Errorf("the root is %q", root)
	}
	a, err := readAnswer(body)
	if bytes.Count(body, []byte("<IsValid>")) > 1 { // one result may be good and another bad
		return err
	}
	if err != nil || a.code == "" && a.valid != "True" || a.code != "" && a.valid == "True" {
		return fmt.Errorf("%+v, %v: neither a result nor an error", a, err)
	}
	return nil
}

// signature returns the documented signature.
func signature(secret, operation, timestamp string) string {
	s := sign([]byte(secret), "AWSMechanicalTurkRequester"+operation+timestamp)
	return string(s[:])
}

// getRequest returns a request by GET, with more at the end of the query.
func getRequest(keyID, secret, timestamp, more string) string {
	return "GET /?Service=AWSMechanicalTurkRequester&AWSAccessKeyId=" + keyID + "&Version=2014-08-15&Operation=GetAccountBalance&Signature=" +
		url.QueryEscape(signature(secret, "GetAccountBalance", timestamp)) + "&Timestamp=" + url.QueryEscape(timestamp) + more +
		" HTTP/1.1\nHost: mechanicalturk.amazonaws.com\n\n"
}

// botoRequest returns a request as boto 2 sends it.
func botoRequest(keyID, secret, timestamp string) string {
	s := sign([]byte(secret), "AWSAccessKeyId"+keyID+"OperationGetAccountBalanceSignatureVersion1Timestamp"+timestamp+"Version2014-08-15")
	return "POST / HTTP/1.1\nHost: mechanicalturk.amazonaws.com\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\n\n" +
		"AWSAccessKeyId=" + keyID + "&Operation=GetAccountBalance&SignatureVersion=1&Timestamp=" + url.QueryEscape(timestamp) +
		"&Version=2014-08-15&Signature=" + url.QueryEscape(string(s[:]))
}

const soapHead = "POST /?Service=AWSMechanicalTurkRequester HTTP/1.1\nHost: mechanicalturk.amazonaws.com\n" +
	"Content-Type: text/xml; charset=\"utf-8\"\nSOAPAction: " + soapAction + "\n\n"

// envelope returns a SOAP request with a body.
func envelope(body string) string {
	return soapHead + `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` + body + `</soapenv:Body></soapenv:Envelope>`
}

// soapRequest returns a request by SOAP.
func soapRequest(keyID, secret, timestamp, requests string) string {
	return envelope(`<GetAccountBalance xmlns="http://requester.mturk.amazonaws.com/doc/2012-03-25"><AWSAccessKeyId>` + keyID +
		`</AWSAccessKeyId><Timestamp>` + timestamp + `</Timestamp><Signature>` + signature(secret, "GetAccountBalance", timestamp) +
		`</Signature>` + requests + `</GetAccountBalance>`)
}

// TestFaults reads every row of the table back from every frame it may stand in.
func TestFaults(t *testing.T) {
	covered := map[ledger.Code]bool{}
	for i := range faults {
		f := &faults[i]
		covered[f.ledger] = true
		if f.text == "" {
			continue // only ever read
		}
		for _, soap := range []bool{false, true} {
			c := &call{soap: soap, op: &operations[0], edition: &versions[6]}
			if f.place == atDoor && f.status < 500 {
				c.op = nil
			}
			message := "text with <Errors> & \x00 in it"
			resp, body := answered(t, func(s *server, x *dialect.Exchange) { s.refuse(x, c, &refusal{fault: f, message: message}) })
			a, err := readAnswer(body)
			if err != nil {
				t.Fatalf("%s: %v in %s", f.code, err, body)
			}
			e := a.refusal(&dialect.Reply{Status: resp.StatusCode})
			if !strings.HasSuffix(e.Code, f.code) || e.Reason != f.reason || resp.StatusCode != f.status {
				t.Errorf("%s, soap %t: read as %+v with status %d, want reason %s, status %d", f.code, soap, e, resp.StatusCode, f.reason, f.status)
			}
			if want := "text with <Errors> & \ufffd in it"; e.Message != want {
				t.Errorf("%s, soap %t: the message is %q, want %q", f.code, soap, e.Message, want)
			}
			if f.place != atDoorAlways && soap != strings.Contains(string(body), "soapenv:Envelope") {
				t.Errorf("%s, soap %t: %s", f.code, soap, body)
			}
		}
	}
	for _, code := range ledger.Codes() {
		if !covered[code] {
			t.Errorf("no row for what the ledger calls %s", code)
		}
		if f := faultOfLedger(code); f.text == "" || strings.Contains(f.text, "%") || code.Retryable() != (f.status == 503) {
			t.Errorf("the ledger's %s is answered with %+v", code, f)
		}
	}
}

// TestReasons has what clients of the real service met, and a watcher has to
// tell apart.
func TestReasons(t *testing.T) {
	for _, tt := range []struct {
		body   string
		status int
		want   dialect.Error
	}{
		{`<?xml version="1.0"?><GetAccountBalanceResponse><OperationRequest><RequestId>e08ceba4-0110-4ef7-a0eb-50fbffbc6eb9</RequestId><Errors><Error><Code>AWS.NotAuthorized</Code><Message>The identity contained in the request is not authorized to use this AWSAccessKeyId (1399076300389)</Message></Error></Errors></OperationRequest></GetAccountBalanceResponse>`, 200,
			dialect.Error{Reason: dialect.Unauthorized, Code: "AWS.NotAuthorized", Message: "The identity contained in the request is not authorized to use this AWSAccessKeyId"}},
		{`<CreateHITResponse><HIT><Request><IsValid>False</IsValid><Errors><Error><Code>AWS.MechanicalTurk.InsufficientFunds</Code><Message>No (1563818969320 s)</Message></Error><Error><Code>Second</Code></Error></Errors></Request></HIT></CreateHITResponse>`, 200,
			dialect.Error{Reason: dialect.Refused, Code: "AWS.MechanicalTurk.InsufficientFunds", Message: "No"}},
		{`<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired. Timestamp date is 2014-11-14T08:54:44Z</Message></Error></Errors><RequestID>1</RequestID></Response>`, 400,
			dialect.Error{Reason: dialect.Unauthorized, Code: "RequestExpired", Message: "Request has expired. Timestamp date is 2014-11-14T08:54:44Z"}},
		{`<Response><Errors><Error><Code>Forbidden</Code><Message>This Requester API is no longer supported.</Message></Error></Errors></Response>`, 403,
			dialect.Error{Reason: dialect.Refused, Code: "Forbidden", Message: "This Requester API is no longer supported."}},
		{`<A><Errors><Error><Code>AWS.New</Code><Message>(text) (in brackets)</Message></Error></Errors></A>`, 200,
			dialect.Error{Reason: dialect.Refused, Code: "AWS.New", Message: "(text) (in brackets)"}},
		{`<A><Errors/></A>`, 503, dialect.Error{Reason: dialect.Unavailable, Code: "Errors"}},
		{`<Response><Errors><Error><Code>New</Code></Error></Errors></Response>`, 404, dialect.Error{Reason: dialect.NotFound, Code: "New"}},
		{`<E><Body><Fault><faultcode>aws:Server.ServiceUnavailable</faultcode><faultstring>later</faultstring></Fault></Body></E>`, 503,
			dialect.Error{Reason: dialect.Unavailable, Code: "aws:Server.ServiceUnavailable", Message: "later"}},
		{`not XML`, 200, dialect.Error{Reason: dialect.Unreadable, Message: "the answer is not one of this API: something stands outside of its element"}},
		{`<a>`, 403, dialect.Error{Reason: dialect.Forbidden}},
		{``, 503, dialect.Error{Reason: dialect.Unavailable}},
		{`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, 200, dialect.Error{Reason: dialect.Unreadable, Message: "the answer is not one of this API: it has a document type"}},
	} {
		e := readingError(t, tt.status, tt.body)
		tt.want.Dialect, tt.want.Status = "mturk-legacy", tt.status
		if *e != tt.want {
			t.Errorf("%d %s\nis %+v\nwant %+v", tt.status, tt.body, *e, tt.want)
		}
	}
}

// TestReadings has answers as the real service, its documentation and other
// servers write them.
func TestReadings(t *testing.T) {
	const ok = "<Request><IsValid>True</IsValid></Request>"
	balance := func(price string) string {
		return "<GetAccountBalanceResult>" + ok + "<AvailableBalance>" + price + "</AvailableBalance></GetAccountBalanceResult>"
	}
	for _, tt := range []struct{ body, text, amount, unit string }{
		{balance("<Amount>10000.000</Amount><CurrencyCode>USD</CurrencyCode><FormattedPrice>$10,000.00</FormattedPrice>"), "10000.000", "10000000", "USD"},
		{"<?xml version=\"1.0\"?>\n<R><OperationRequest/>" + balance("\n<Amount> 5 </Amount>\n<CurrencyCode>USD</CurrencyCode>") + "</R>", "5", "5", "USD"},
		{balance("<Amount>.5</Amount><CurrencyCode>EUR</CurrencyCode>"), ".5", "5", "EUR"},
		{balance("<Amount>+7.</Amount><CurrencyCode>USD</CurrencyCode>"), "+7.", "7", "USD"},
		{balance("<Amount>-0.25</Amount><CurrencyCode>USD</CurrencyCode>"), "-0.25", "-25", "USD"},
	} {
		got, err := readBody(t, 200, tt.body)
		if err != nil || got.Text != tt.text || got.Amount.String() != tt.amount || got.Unit != tt.unit {
			t.Errorf("%s\nreads %+v, %v; want %s, %s steps of %s", tt.body, got, err, tt.text, tt.amount, tt.unit)
		}
	}
	for _, price := range []string{
		"", "<Amount>5</Amount>", "<CurrencyCode>USD</CurrencyCode>", "<Amount/><CurrencyCode>USD</CurrencyCode>",
		"<Amount>1e3</Amount><CurrencyCode>USD</CurrencyCode>", "<Amount>$5</Amount><CurrencyCode>USD</CurrencyCode>",
		"<Amount>+-5</Amount><CurrencyCode>USD</CurrencyCode>", "<Amount>--5</Amount><CurrencyCode>USD</CurrencyCode>", "<Amount>.</Amount><CurrencyCode>USD</CurrencyCode>",
		"<Amount>5,00</Amount><CurrencyCode>USD</CurrencyCode>", "<Amount>NaN</Amount><CurrencyCode>USD</CurrencyCode>",
		"<Amount>0." + strings.Repeat("0", 19) + "</Amount><CurrencyCode>USD</CurrencyCode>",
		"<Amount>" + strings.Repeat("9", 40) + "</Amount><CurrencyCode>USD</CurrencyCode>",
	} {
		if e := readingError(t, 200, balance(price)); e.Reason != dialect.Unreadable {
			t.Errorf("%q is %v", price, e)
		}
	}
	for _, body := range []string{
		strings.Replace(balance("<Amount>5</Amount><CurrencyCode>USD</CurrencyCode>"), "True", "true", 1), // boto 2 wants exactly True
		strings.Replace(balance("<Amount>5</Amount><CurrencyCode>USD</CurrencyCode>"), ok, "", 1),
	} {
		if e := readingError(t, 200, body); e.Reason != dialect.Unreadable {
			t.Errorf("%s is %v", body, e)
		}
	}
	if e := readingError(t, 201, balance("<Amount>5</Amount><CurrencyCode>USD</CurrencyCode>")); e.Reason != dialect.Unreadable {
		t.Errorf("a status of 201 is %v", e)
	}
}

func readingError(t *testing.T, status int, body string) *dialect.Error {
	t.Helper()
	got, err := readBody(t, status, body)
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Fatalf("%d %s\nis read as %+v, %v", status, body, got, err)
	}
	return e
}

// TestClientHalf looks at what the client half sends, and at connections that fail.
func TestClientHalf(t *testing.T) {
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got = r
	}))
	defer s.Close()
	noon, _ := time.Parse(time.RFC3339, exampleTime)
	r := Client{URL: s.URL, AccessKeyID: exampleKey, SecretAccessKey: exampleSecret, Now: func() time.Time { return noon.In(time.FixedZone("", 3600)) }}
	r.Read(t.Context())
	want := url.Values{
		"Service": {"AWSMechanicalTurkRequester"}, "Operation": {"GetAccountBalance"}, "Version": {"2014-08-15"},
		"AWSAccessKeyId": {exampleKey}, "Timestamp": {exampleTime}, "Signature": {"seBLNgDmbckU/oTYlXRP2l8y8zQ="},
	}
	if got.Method != "POST" || got.URL.RawQuery != "" || got.PostForm.Encode() != want.Encode() {
		t.Errorf("%s %s %v, want %v", got.Method, got.URL, got.PostForm, want)
	}
	r.Version = "2008-08-02"
	if r.Read(t.Context()); got.PostForm.Get("Version") != "2008-08-02" {
		t.Errorf("%v", got.PostForm)
	}
	if req, err := (&Client{}).request(t.Context(), "X"); err != nil || req.URL.String() != DefaultURL {
		t.Errorf("%v, %v", req, err)
	}
	r.URL = "http://127.0.0.1:1"
	var e *dialect.Error
	if _, err := r.Read(t.Context()); !errors.As(err, &e) || e.Reason != dialect.Unavailable {
		t.Errorf("a connection that fails is %v", err)
	}
	r.URL = "not a URL\n"
	if _, err := r.Read(t.Context()); err == nil {
		t.Error("what is no URL was read")
	}
}

// TestNoAccount has credentials that no key of this API can be.
func TestNoAccount(t *testing.T) {
	w := dialecttest.Open(t)
	for name, root := range map[string]ledger.AccountID{"of a whole tenant": {}, "of an account that is gone": w.Ledger.NewID()} {
		_, body := answered(t, func(s *server, x *dialect.Exchange) {
			s.desk = mturk.NewDesk(w.Ledger, mturk.DeskOptions{})
			c := &call{op: &operations[0], edition: &versions[0], credential: &auth.Credential{Root: root}}
			s.refuse(x, c, s.refusalOf(x, s.employ(x, c)))
		})
		if !strings.Contains(string(body), "<IsValid>False</IsValid><Errors><Error><Code>AWS.MechanicalTurk.MustRegister</Code>") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// TestXML has what a decoder has to refuse, and what it has to take.
func TestXML(t *testing.T) {
	deep := strings.Repeat("<a>", maxDepth) + strings.Repeat("</a>", maxDepth)
	for _, tt := range []struct {
		text string
		want error // nil: it is fine; errAny: whatever
	}{
		{"<a/>", nil},
		{"\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- x --><a>&amp;&#65;<![CDATA[<b>]]></a>\n", nil},
		{deep, nil},
		{"<a>" + deep + "</a>", errDeep},
		{"<a>" + strings.Repeat("<b/>", maxElements-1) + "</a>", nil},
		{"<a>" + strings.Repeat("<b/>", maxElements) + "</a>", errMany},
		{"<!DOCTYPE a><a/>", errDocType},
		{"<a/><!DOCTYPE a>", errDocType},
		{`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, errDocType},
		{"<a>&x;</a>", errAny},
		{"<a><?php x?></a>", errInstruction},
		{"<a/><?xml version=\"1.0\"?>", errInstruction},
		{"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><a/>", errEncoding},
		{"<a>\xff</a>", errAny},
		{"<a></b>", errAny},
		{"<a><b></a>", errAny},
		{"<a/><a/>", errOutside},
		{"x<a/>", errOutside},
		{"<a/>x", errOutside},
		{"", errNoElement},
		{"<a>", errAny},
	} {
		err := scan([]byte(tt.text), nil, nil)
		if tt.want == errAny && err == nil || tt.want != errAny && !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.text, err, tt.want)
		}
	}
}

var errAny = errors.New("any")

func TestAppendText(t *testing.T) {
	const in = "a<b>&\"'\t\n\r\x00\x1f\x7f\ufffe\uffff\xff é €"
	var back string
	if err := xml.Unmarshal([]byte("<a>"+string(appendText(nil, in))+"</a>"), &back); err != nil {
		t.Fatal(err)
	}
	if want := "a<b>&\"'\t\n\r\ufffd\ufffd\x7f\ufffd\ufffd\ufffd é €"; back != want {
		t.Errorf("%q came back as %q, want %q", in, back, want)
	}
}

func TestRetired(t *testing.T) {
	for _, text := range []string{"", "all", "2005-10-01", "2006-06-20,2014-08-15"} {
		if r, err := ParseRetired(text); err != nil || r.String() != text {
			t.Errorf("%q reads as %q, %v", text, r, err)
		}
	}
	if r, err := ParseRetired(" 2014-08-15 , 2006-06-20 "); err != nil || r.String() != "2006-06-20,2014-08-15" {
		t.Errorf("with spaces it reads as %q, %v", r, err)
	}
	for _, text := range []string{"All", "2017-01-17", ",", "2014-08-15,"} {
		if r, err := ParseRetired(text); err == nil {
			t.Errorf("%q reads as %q", text, r)
		}
	}
}

// TestUsed sees that a key counts as used by a signature, and not by its id.
func TestUsed(t *testing.T) {
	w, h := example(t, "USD", "1", auth.Read)
	for _, secret := range []string{"another", exampleSecret} {
		h.ServeHTTP(httptest.NewRecorder(), dialecttest.Request(t, getRequest(exampleKey, secret, exampleTime, "")))
		c, err := w.Auth.ByID(t.Context(), exampleKey)
		if err != nil || (c.LastUsed != 0) != (secret == exampleSecret) {
			t.Errorf("used at %d, %v after a signature with %s", c.LastUsed, err, secret)
		}
	}
}
