package twilio_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
)

func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// TestSamples holds whole exchanges to testdata. The ids of requests differ.
func TestSamples(t *testing.T) {
	w := dialecttest.OpenAt(t, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	h := serve(w, dialect.Options{Now: w.Clock.Now})
	open := func(account, unit, amount, alias string) auth.Issued {
		t.Helper()
		id := w.Open(native.AccountRequest{AccountID: account, Unit: unit}, amount)
		if alias != "" {
			if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Twilio, External: alias, Account: id, Tenant: w.Tenant.Number}); err != nil {
				t.Fatal(err)
			}
		}
		return token(w, id, false)
	}
	const documented, child = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	cents := open("018f0000-0000-7000-8000-00000000a001", "USD", "0.05", documented)
	pounds := open("018f0000-0000-7000-8000-00000000a002", "GBP", "1.000001", "")
	debt := open("018f0000-0000-7000-8000-00000000a003", "CREDITS", "1.79", "")
	lower(w, debt.Credential.Root, "-5")
	w.Open(native.AccountRequest{AccountID: "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb", Parent: "018f0000-0000-7000-8000-00000000a001", Unit: "USD"}, "")

	masks := []dialecttest.Masking{
		dialecttest.Mask(`RQ[0-9a-f]{32}`, "RQ00000000000000000000000000000000"),
		dialecttest.Mask(`Authorization: Basic [^\n]+`, "Authorization: Basic CREDENTIAL"),
	}
	sample := func(name string, status int, text string) {
		t.Helper()
		resp := dialecttest.Sample(t, h, name, text, masks)
		if resp.StatusCode != status {
			t.Errorf("%s is %d, want %d", name, resp.StatusCode, status)
		}
	}
	get := func(sid, extension string) string {
		return "GET /2010-04-01/Accounts/" + sid + "/Balance" + extension + "\nHost: api.twilio.com\n"
	}
	known := basic(cents.Credential.ID, cents.Secret)
	sample("balance-json", 200, get(documented, ".json")+known)
	sample("balance-xml", 200, get(documented, ".xml")+known)
	sample("balance-without-extension", 200, get(documented, "")+known)
	sample("balance-csv", 200, get(documented, ".csv")+known)
	sample("balance-gbp", 200, get(pounds.Credential.ID, ".json")+basic(pounds.Credential.ID, pounds.Secret))
	sample("balance-negative", 200, get(debt.Credential.ID, ".json")+basic(debt.Credential.ID, debt.Secret))
	sample("preflight", 200, strings.Replace(get(documented, ".json"), "GET", "OPTIONS", 1)+"Origin: https://example.com\nAccess-Control-Request-Method: GET\nAccess-Control-Request-Headers: authorization\n")
	for form, extension := range map[string]string{"json": ".json", "xml": "", "csv": ".csv"} {
		sample("no-credentials-"+form, 401, get(documented, extension))
		sample("wrong-user-"+form, 401, get(documented, extension)+basic("AC00112233445566778899aabbccddeeff", cents.Secret))
		sample("wrong-secret-"+form, 401, get(documented, extension)+basic(documented, "wrong"))
		sample("sub-account-"+form, 404, get(child, extension)+known)
		sample("method-"+form, 405, strings.Replace(get(documented, extension), "GET", "POST", 1)+known)
		sample("no-such-path-"+form, 404, "GET /2010-04-01/Accounts/"+documented+"/Nothing"+extension+"\n"+known)
	}
	sample("strangers-account", 401, get(documented, ".json")+basic(pounds.Credential.ID, pounds.Secret))
	for range 10 {
		h.ServeHTTP(discard{http.Header{}}, dialecttest.Request(t, get(documented, "")+basic(debt.Credential.ID, "wrong")))
	}
	sample("too-many-requests", 429, get(documented, ".json")+basic(debt.Credential.ID, "wrong"))
}

// discard is a reply that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// TestFaultsAsWritten holds the whole table, in every form, to a file.
func TestFaultsAsWritten(t *testing.T) {
	var text strings.Builder
	for i := range twilio.Faults {
		for _, extension := range []string{".json", "", ".csv"} {
			fmt.Fprintf(&text, "%s\n\n", twilio.Fault(i, extension, "/2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/Balance"+extension))
		}
	}
	dialecttest.Golden(t, "faults.txt", []byte(text.String()))
}

// TestRecorded compares with bytes that the vendor sent: recordings published
// in voicera/gooseberry (2018) and, for the compact form, in two repositories.
func TestRecorded(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	account := w.Account("USD", "1")
	bad := token(w, account, false)
	bad.Secret = "wrong"
	const (
		inJSON  = `{"code": 20003, "detail": "Your AccountSid or AuthToken was incorrect.", "message": "Authenticate", "more_info": "https://www.twilio.com/docs/errors/20003", "status": 401}`
		inXML   = "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>20003</Code><Detail>Your AccountSid or AuthToken was incorrect.</Detail><Message>Authenticate</Message><MoreInfo>https://www.twilio.com/docs/errors/20003</MoreInfo><Status>401</Status></RestException></TwilioResponse>"
		compact = `{"code":20003,"message":"Authentication Error - invalid username","more_info":"https://www.twilio.com/docs/errors/20003","status":401}`
	)
	if len(inJSON) != 171 || len(inXML) != 293 {
		t.Fatalf("the recordings are %d and %d bytes", len(inJSON), len(inXML))
	}
	if resp, body := a.ask(request("GET", sid(account), ".json", bad)); body != inJSON || resp.ContentLength != 171 {
		t.Errorf("%d %s", resp.ContentLength, body)
	}
	if resp, body := a.ask(request("GET", sid(account), "", bad)); body != inXML || resp.ContentLength != 293 {
		t.Errorf("%d %s", resp.ContentLength, body)
	}
	bad.Credential.ID = "AC00112233445566778899aabbccddeeff"
	if _, body := a.ask(request("GET", sid(account), ".json", bad)); body != compact {
		t.Error(body)
	}
}
