package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"saldo/dialect/dialecttest"
)

// masks hide what differs from run to run.
var masks = []dialecttest.Masking{
	dialecttest.Mask(`(?m)^(x-amzn-RequestId|Twilio-Request-Id|Twilio-Request-Duration|Date|Ratelimit): .*$`, "$1: *"),
	dialecttest.Mask(`<(RequestI[dD])>[^<]*<`, "<$1>*<"),
	dialecttest.Mask(`\(\d{13}\)`, "(*)"),
	dialecttest.Mask(`(?m)^(Content-Length): .*$`, "$1: *"),
	dialecttest.Mask(`(?m)^(Etag): .*$`, "$1: *"),
	dialecttest.Mask(`/assets/[0-9a-f]{16}/`, "/assets/*/"),
}

const (
	formType = "Content-Type: application/x-www-form-urlencoded\n"
	jsonType = "Content-Type: application/json\n"
	soapBody = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` +
		`<GetAccountBalance xmlns="http://requester.mturk.amazonaws.com/doc/2012-03-25"><Request/></GetAccountBalance></soapenv:Body></soapenv:Envelope>`
)

// routings is every row of the table of routes: who answers it shows in the words.
var routings = []struct{ name, dialect, request string }{
	{"v1", "native", "GET /v1/accounts HTTP/1.1\n"},
	{"openapi-method", "native", "POST /openapi.json HTTP/1.1\n"},
	{"healthz", "native", "GET /healthz HTTP/1.1\n"},
	{"readyz", "native", "GET /readyz HTTP/1.1\n"},
	{"metrics", "native", "GET /metrics HTTP/1.1\nX-Forwarded-For: 192.0.2.9\n"},
	{"unknown", "native", "GET /unknown HTTP/1.1\n"},
	{"root", "native", "GET / HTTP/1.1\nAccept: application/json\n"},
	{"root-browser", "dashboard", "GET / HTTP/1.1\nAccept: text/html,application/xhtml+xml\n"},
	{"page-browser", "dashboard", "GET /accounts/018f0000-0000-7000-8000-00000000a001/holds HTTP/1.1\nAccept: text/html\n"},
	{"root-post", "native", "POST / HTTP/1.1\nContent-Type: text/plain\n\nhello"},
	{"2010-04-01", "twilio", "GET /2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Balance.json HTTP/1.1\n"},
	{"2010-04-01-bare", "twilio", "GET /2010-04-01 HTTP/1.1\n"},
	{"2010-04-01x", "native", "GET /2010-04-01x HTTP/1.1\n"},
	{"api-3.0", "gateway360", "POST /api/3.0/account/get-balance HTTP/1.1\n" + jsonType + "\n{}"},
	{"api-3.0-send", "gateway360", "POST /api/3.0/sms/send HTTP/1.1\n" + jsonType + "\n{\"api_key\":\"399d2b438a53ebed3db8a7d52107f846\"}"},
	{"api-3.0-pricing", "gateway360", "POST /api/3.0/account/pricing/sms/get-country-pricing HTTP/1.1\n" + jsonType + "\n{}"},
	{"api-3.0-subaccount", "gateway360", "POST /api/3.0/subaccount/create HTTP/1.1\n" + jsonType + "\n{}"},
	{"api-3.0-bare", "gateway360", "POST /api/3.0 HTTP/1.1\n" + jsonType + "\n{}"},
	{"v1beta1", "frontier", "GET /v1beta1/organizations/4eef0ae7-3f73-4886-aeb3-c59f4bca67a4/billing/1355c761-e263-4ada-9b10-d4fe3a8c9454/balance HTTP/1.1\n"},
	{"ping", "frontier", "GET /ping HTTP/1.1\n"},
	{"connect", "frontier", "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance HTTP/1.1\n" + jsonType + "\n{}"},
	{"health", "frontier", "POST /grpc.health.v1.Health/Check HTTP/1.1\n" + jsonType + "\n{}"},
	{"reflection", "frontier", "POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo HTTP/1.1\nContent-Type: text/plain\n\n"},
	{"amz-json", "mturk", "POST / HTTP/1.1\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance\n\n{}"},
	{"amz-json-no-target", "mturk", "POST / HTTP/1.1\nContent-Type: application/x-amz-json-1.1\n\n{}"},
	{"amz-target", "mturk", "POST / HTTP/1.1\n" + jsonType + "X-Amz-Target: Else.GetAccountBalance\n\n{}"},
	{"amz-target-operation", "mturk", "POST /?Operation=GetAccountBalance HTTP/1.1\n" + formType + "X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance\n\nx=1"},
	{"operation", "mturk-legacy", "GET /?Service=AWSMechanicalTurkRequester&Operation=GetAccountBalance HTTP/1.1\n"},
	{"operation-action", "mturk-legacy", "GET /?Action=GetAccountBalance&Version=2014-08-15 HTTP/1.1\n"},
	{"operation-form", "mturk-legacy", "POST / HTTP/1.1\n" + formType + "\nOperation=GetAccountBalance"},
	{"onca-xml", "mturk-legacy", "GET /onca/xml?Operation=GetAccountBalance HTTP/1.1\n"},
	{"onca-soap", "mturk-legacy", "POST /onca/soap HTTP/1.1\nContent-Type: text/xml\n\n" + soapBody},
	{"soap", "mturk-legacy", "POST /?Service=AWSMechanicalTurkRequester HTTP/1.1\nContent-Type: text/xml; charset=\"utf-8\"\n\n" + soapBody},
	{"wsdl", "mturk-legacy", "GET /?WSDL&Version=2017-01-17 HTTP/1.1\n"},
	{"requester", "mturk", "POST / HTTP/1.1\nAccept: application/json\n" + jsonType + "\n"},
}

// TestRoutes holds the answer to each row of the table of routes to
// testdata/routes; with its dialect switched off it is the native API's.
func TestRoutes(t *testing.T) {
	all := startNode(t, testConfig(t, "--dialects", strings.Join(vendors, ",")))
	none := startNode(t, testConfig(t, "--dialects", ""))
	for _, r := range routings {
		t.Run(r.name, func(t *testing.T) {
			resp := dialecttest.Sample(t, all.node.customers, "routes/"+r.name, r.request, masks)
			if resp.StatusCode/100 == 3 || resp.Header.Get("Location") != "" {
				t.Errorf("it redirects: %d", resp.StatusCode)
			}
			w := httptest.NewRecorder()
			none.node.customers.ServeHTTP(w, dialecttest.Request(t, r.request))
			if body := w.Body.String(); r.dialect != "native" && r.dialect != "dashboard" && (w.Code < 400 || !strings.HasPrefix(body, `{"success":false,"error":{"code":`)) {
				t.Errorf("without %s it is answered %d %s", r.dialect, w.Code, body)
			}
		})
	}
}

// TestOptionsOfServer asks for the server as a whole, which net/http would answer
// by itself.
func TestOptionsOfServer(t *testing.T) {
	r := startNode(t, testConfig(t))
	q, err := http.NewRequest(http.MethodOptions, r.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	q.URL.Opaque = "*"
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("OPTIONS * is answered %d %v", resp.StatusCode, resp.Header)
	}
}

// TestOwnPlaces gives dialects an address and a host name for themselves.
func TestOwnPlaces(t *testing.T) {
	r := startNode(t, testConfig(t, "--dialects", "twilio,mturk,frontier", "--dialect-listen", "twilio=127.0.0.1:0", "--dialect-host", "mturk=MTurk.example.com."))
	ask := func(url, host string) string {
		t.Helper()
		q, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = host
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %s", resp.StatusCode, b)
	}
	const balance = "/2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Balance.json"
	const amazons = `400 {"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"`
	own := r.dialectURL("twilio")
	if own == r.url() {
		t.Fatal("twilio has no address of its own")
	}
	for _, c := range []struct{ url, host, want string }{
		{own + balance, "", `401 {"code":20003`},
		{own + "/v1/accounts", "", `404 `}, // no native API there
		{own + "/healthz", "", `404 `},
		{r.url() + balance, "", `404 {"success":false`}, // and no Twilio here
		{r.url() + "/v1/accounts", "", `401 {"success":false`},
		{r.url() + "/v1/accounts", "mturk.example.com:7400", amazons},
		{r.url() + "/", "mturk.example.com.", amazons},
		{r.url() + "/ping", "", `200 {"status"`},
		{r.url() + "/ping", "mturk.example.com", amazons},
	} {
		if got := ask(c.url, c.host); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s at %q: %s, want %s…", c.url, c.host, got, c.want)
		}
	}
	for setting, says := range map[string]string{
		"--dialect-listen=gateway360=127.0.0.1:0":                                  "not among the dialects",
		"--dialect-listen=twilio=0.0.0.0:7402":                                     "beyond loopback",
		"--dialect-listen=twilio":                                                  "write a dialect and what it gets",
		"--dialect-host=twilio=http://x":                                           "write the name alone",
		"--dialect-host=twilio=a.example --dialect-listen=twilio=127.0.0.1:0":      "give one of the two",
		"--dialects=twilio,mturk --dialect-host=twilio=a.example,mturk=A.example.": "for two",
		"--mturk-legacy-retired=1999-01-01":                                        "there is no version",
		"--twilio-sub-accounts=some":                                               "write a whole number from 0",
		"--twilio-triggers=1ms":                                                    "at most once a second",
		"--frontier-unit=credits":                                                  "is wrong",
		"--mturk-currency=usd":                                                     "is wrong",
	} {
		f := newFlags(t, append([]string{"--dialects", "twilio"}, strings.Fields(setting)...)...)
		if _, err := readConfig(func(string) string { return "" }, f); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", setting, err, says)
		}
	}
}
