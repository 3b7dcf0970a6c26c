package twilio_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
)

// sid is the SID that an account has of itself.
func sid(id ledger.AccountID) string { return "AC" + strings.ReplaceAll(id.String(), "-", "") }

func serve(w *dialecttest.World, o dialect.Options) http.Handler {
	return twilio.New(w.Ledger, w.Auth, twilio.Options{Options: o})
}

// token issues an account's auth token, or an API key.
func token(w *dialecttest.World, account ledger.AccountID, key bool) auth.Issued {
	w.T.Helper()
	issued, err := w.Auth.Issue(w.T.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: w.Tenant.Number, Root: account, Scopes: auth.Read, APIKey: key})
	if err != nil {
		w.T.Fatal(err)
	}
	return issued
}

// lower sets an account's limit, to less than what it has if need be.
func lower(w *dialecttest.World, account ledger.AccountID, limit string) {
	w.T.Helper()
	body := map[string]any{"id": w.ID("limit"), "credit_limit": limit, "force": true, "reason": "a bounced top-up"}
	if err := w.Native.Do(w.T.Context(), http.MethodPatch, "/v1/accounts/"+account.String(), body, nil); err != nil {
		w.T.Fatal(err)
	}
}

func reader(url string, account ledger.AccountID, c auth.Issued) *twilio.Client {
	return &twilio.Client{URL: url, AccountSID: sid(account), User: c.Credential.ID, Secret: c.Secret}
}

func TestSuite(t *testing.T) {
	suite := dialecttest.Suite{
		New: serve,
		Amounts: []dialecttest.Amount{
			{Has: "12.34", Shown: "12.34"}, {Has: "12", Shown: "12.00"}, {Has: "0.05", Shown: "0.05"}, {Has: "1.999999", Shown: "1.99999"}, {Has: "0.000001", Shown: "0.00"},
			{Has: "1.50001", Shown: "1.50001"}, {Has: "1.5", Shown: "1.50"}, {Has: "", Shown: "0.00"},
			{Has: "100000000000000000000.1", Shown: "100000000000000000000.10"},
		},
		Reader: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			return reader(url, account, token(w, account, true))
		},
		Wrong: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			c := reader(url, account, token(w, account, true))
			c.Secret = "00000000000000000000000000000000"
			return c
		},
		Unknown: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			c := reader(url, account, token(w, account, true))
			c.AccountSID = "AC00112233445566778899aabbccddeeff"
			return c
		},
		Requests: func(w *dialecttest.World, account ledger.AccountID) []string {
			c := token(w, account, false)
			var all []string
			for _, extension := range []string{"", ".json", ".xml", ".csv"} {
				all = append(all, request("GET", sid(account), extension, c))
				for _, path := range []string{"", "/Keys", "/Usage/Records", "/Usage/Records/Daily", "/Usage/Triggers", "/Keys/SK00112233445566778899aabbccddeeff"} {
					all = append(all, "GET /2010-04-01/Accounts/"+sid(account)+path+extension+"?PageSize=20&Category=sms\n"+basic(c.Credential.ID, c.Secret))
				}
				all = append(all, "POST /2010-04-01/Accounts/"+sid(account)+"/Usage/Triggers"+extension+"\n"+basic(c.Credential.ID, c.Secret)+
					"Content-Type: application/x-www-form-urlencoded\n\nCallbackUrl=http://x/y&TriggerValue=1&UsageCategory=sms")
			}
			return all
		},
		Check: check,
	}
	suite.Run(t)
}

// request writes a request for a balance.
func request(method, account, extension string, c auth.Issued) string {
	return method + " /2010-04-01/Accounts/" + account + "/Balance" + extension + "\n" + basic(c.Credential.ID, c.Secret)
}

func basic(user, secret string) string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, secret)
	return "Authorization: " + r.Header.Get("Authorization") + "\n"
}

var (
	amountForm = regexp.MustCompile(`^-?[0-9]+\.[0-9]{2,5}$`)
	idForm     = regexp.MustCompile(`^RQ[0-9a-f]{32}$`)
	timeForm   = regexp.MustCompile(`^[0-9]+\.[0-9]{3}$`)
	countForm  = regexp.MustCompile(`^[1-9][0-9]*$`)
)

// cors is what every answer has.
var cors = map[string]string{
	"Access-Control-Allow-Origin":      "*",
	"Access-Control-Allow-Methods":     "GET, POST, DELETE, OPTIONS",
	"Access-Control-Allow-Headers":     "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, Idempotency-Key",
	"Access-Control-Allow-Credentials": "true",
	"Access-Control-Expose-Headers":    "ETag",
}

// A reply is what any answer may say, in each of its forms.
type reply struct {
	AccountSID string `json:"account_sid" xml:"Balance>AccountSid"`
	Balance    string `json:"balance" xml:"Balance>Balance"`
	Currency   string `json:"currency" xml:"Balance>Currency"`

	Code     int    `json:"code" xml:"RestException>Code"`
	Message  string `json:"message" xml:"RestException>Message"`
	MoreInfo string `json:"more_info" xml:"RestException>MoreInfo"`
	Status   int    `json:"status" xml:"RestException>Status"`
	Type     string `json:"type"`
	Title    string `json:"title"`
}

// check says what is wrong with an answer, whatever was asked.
func check(resp *http.Response, body []byte) error {
	h := resp.Header
	for name, value := range cors {
		if h.Get(name) != value {
			return fmt.Errorf("%s is %q", name, h.Get(name))
		}
	}
	if !idForm.MatchString(h.Get("Twilio-Request-Id")) || resp.StatusCode != 500 && !timeForm.MatchString(h.Get("Twilio-Request-Duration")) {
		return fmt.Errorf("the id is %q, the duration %q", h.Get("Twilio-Request-Id"), h.Get("Twilio-Request-Duration"))
	}
	switch {
	case len(body) == 0 && h.Get("Content-Type") == "" && (resp.StatusCode == 200 || resp.StatusCode == 204):
		return nil // a preflight, or what was deleted
	case (resp.StatusCode == 200 || resp.StatusCode == 201) && !strings.Contains(string(body), "urrency"):
		return checkResource(h, body)
	}
	var r reply
	switch h.Get("Content-Type") {
	case "application/json":
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.DisallowUnknownFields()
		if err := d.Decode(&struct {
			*reply
			Detail string `json:"detail"`
		}{&r, ""}); err != nil {
			return err
		}
	case "application/xml":
		if err := xml.Unmarshal(body, &r); err != nil {
			return err
		}
	case "text/csv":
		if strings.Count(string(body), "\n") != 2 {
			return errors.New("it is not two lines")
		}
		if resp.StatusCode == 200 != strings.HasPrefix(string(body), "AccountSid,Balance,Currency\n") {
			return errors.New("the first line is not that of the status")
		}
		return nil
	default:
		return fmt.Errorf("the content type is %q", h.Get("Content-Type"))
	}
	switch {
	case resp.StatusCode == 200:
		if !amountForm.MatchString(r.Balance) || !strings.HasPrefix(r.AccountSID, "AC") || r.Currency == "" || r.Code != 0 || !countForm.MatchString(h.Get("Twilio-Concurrent-Requests")) {
			return fmt.Errorf("a balance is %+v", r)
		}
	case resp.StatusCode < 400:
		return errors.New("SDKs take it for success")
	case r.Status != resp.StatusCode || r.Message == "" || r.MoreInfo != fmt.Sprint("https://www.twilio.com/docs/errors/", r.Code) || r.Type+r.Title != "":
		return fmt.Errorf("an error is %+v", r)
	case resp.StatusCode == 401 != (h.Get("Www-Authenticate") == `Basic realm="Twilio API"`):
		return errors.New("the challenge is missing, or should be")
	}
	return nil
}

// checkResource says what is wrong with an answer about anything but a balance.
func checkResource(h http.Header, body []byte) error {
	if !countForm.MatchString(h.Get("Twilio-Concurrent-Requests")) {
		return errors.New("nobody counts it")
	}
	switch h.Get("Content-Type") {
	case "application/json":
		var any map[string]any
		return json.Unmarshal(body, &any)
	case "application/xml":
		var any struct {
			XMLName xml.Name `xml:"TwilioResponse"`
		}
		return xml.Unmarshal(body, &any)
	case "text/csv":
		lines, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
		if err == nil && len(lines) == 1 {
			err = errors.New("it is a line of names alone")
		}
		return err
	}
	return fmt.Errorf("the content type is %q", h.Get("Content-Type"))
}

// An asker makes requests of one handler.
type asker struct {
	t *testing.T
	h http.Handler
}

// ask makes a request and returns what was answered.
func (a asker) ask(text string) (*http.Response, string) {
	a.t.Helper()
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, dialecttest.Request(a.t, text))
	resp := w.Result()
	body, _ := io.ReadAll(resp.Body)
	if err := check(resp, body); err != nil {
		a.t.Errorf("%s\nwas answered %d %q: %v", text, resp.StatusCode, body, err)
	}
	return resp, string(body)
}

// wants makes a request for JSON that is answered with a status and a code, or
// a balance.
func (a asker) wants(status, code int, message, text string) {
	a.t.Helper()
	resp, body := a.ask(text)
	var r reply
	json.Unmarshal([]byte(body), &r)
	if resp.StatusCode != status || r.Code != code || r.Message+r.Balance != message {
		a.t.Errorf("%s\nwas answered %d %s, want %d, %d %q", text, resp.StatusCode, body, status, code, message)
	}
}

func missing(sid string) string {
	return "The requested resource /2010-04-01/Accounts/" + sid + "/Balance.json was not found"
}

// TestWhoMayRead has each credential ask for each account.
func TestWhoMayRead(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	main, other := w.Account("USD", "10"), w.Account("USD", "20")
	own := w.Open(native.AccountRequest{Parent: main.String(), Unit: "USD"}, "5")
	drawing := w.Open(native.AccountRequest{Parent: main.String(), Mode: "drawing"}, "")
	abroad, _, err := w.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "abroad"})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *w.Native
	elsewhere.Tenant = "abroad"
	opened, err := elsewhere.Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	far, _ := ledger.ParseAccountID(opened.ID)
	issue := func(spec auth.Spec) auth.Issued {
		t.Helper()
		issued, err := w.Auth.Issue(t.Context(), 0, "", spec)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^[a-zA-Z0-9-]+$`).MatchString(issued.Secret) {
			t.Errorf("twilio-go refuses to send %q", issued.Secret)
		}
		return issued
	}
	native := []string{auth.Twilio}
	who := map[string]auth.Issued{
		"main token":    token(w, main, false),
		"main key":      token(w, main, true),
		"own token":     token(w, own, false),
		"own key":       token(w, own, true),
		"drawing token": token(w, drawing, false),
		"other token":   token(w, other, false),
		"tenant": issue(auth.Spec{Dialect: auth.Native, Dialects: native, Tenant: w.Tenant.Number,
			Scopes: auth.Read}),
		"subtree":  issue(auth.Spec{Dialect: auth.Native, Dialects: native, Tenant: w.Tenant.Number, Root: main, Scopes: auth.Read}),
		"operator": issue(auth.Spec{Dialect: auth.Native, Dialects: native, Everything: true, Scopes: auth.Operator}),
		"abroad":   issue(auth.Spec{Dialect: auth.Native, Dialects: native, Tenant: abroad.Number, Scopes: auth.Read}),
	}
	accounts := []ledger.AccountID{main, own, drawing, other, far}
	const no, lost = "Authenticate", "lost"
	for name, want := range map[string][5]string{
		//               main     own   drawing other    far
		"main token":    {"10.00", lost, lost, no, lost},
		"main key":      {"10.00", no, no, no, lost},
		"own token":     {no, lost, no, no, lost},
		"own key":       {no, lost, no, no, lost},
		"drawing token": {no, no, lost, no, lost},
		"other token":   {no, no, no, "20.00", lost},
		"tenant":        {"10.00", lost, lost, "20.00", lost},
		"subtree":       {"10.00", lost, lost, no, lost},
		"operator":      {"10.00", lost, lost, "20.00", "0.00"},
		"abroad":        {lost, lost, lost, lost, "0.00"},
	} {
		for i, account := range accounts {
			status, code, message := 200, 0, want[i]
			switch want[i] {
			case no:
				status, code = 401, 20003
			case lost:
				status, code, message = 404, 20404, missing(sid(account))
			}
			c := who[name]
			if c.Credential.Dialect == auth.Native {
				c.Credential.ID = sid(main) // any key id will do
			}
			t.Run(name, func(t *testing.T) {
				asker{t, a.h}.wants(status, code, message, request("GET", sid(account), ".json", c))
			})
		}
	}
	nobody := "AC00112233445566778899aabbccddeeff"
	a.wants(404, 20404, missing(nobody), request("GET", nobody, ".json", who["own key"]))
	a.wants(404, 20404, missing("ACxyz"), request("GET", "ACxyz", ".json", who["main token"]))
	a.wants(404, 20404, missing("SK"+sid(main)[2:]), request("GET", "SK"+sid(main)[2:], ".json", who["main token"]))
	system := sid(ledger.SystemID(1, 0, ledger.Cash))
	a.wants(404, 20404, missing(system), request("GET", system, ".json", who["operator"]))
	upper := "AC" + strings.ToUpper(sid(main)[2:])
	if _, body := a.ask(request("GET", upper, ".json", who["main key"])); !strings.Contains(body, `"`+sid(main)+`"`) {
		t.Errorf("%s is answered %s", upper, body)
	}
}

// TestRefusals is the order of checks, and which of the texts of 401 comes when.
func TestRefusals(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	account := w.Account("USD", "10")
	at, good := sid(account), token(w, account, false)
	path := "GET /2010-04-01/Accounts/" + at + "/Balance.json\n"
	const nobody, username, wrong = "Authentication Error - No credentials provided", "Authentication Error - invalid username", "Authenticate"
	for _, c := range []struct {
		name, text, message string
	}{
		{"no header", path, nobody},
		{"an empty header", path + "Authorization: Basic Og==\n", nobody},
		{"unknown user", path + basic("AC00112233445566778899aabbccddeeff", good.Secret), username},
		{"no user", path + basic("", good.Secret), username},
		{"space after the user", path + basic(at+" ", good.Secret), username},
		{"wrong secret", path + basic(at, "x"+good.Secret[1:]), wrong},
		{"no secret", path + basic(at, ""), wrong},
		{"bearer", path + "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x\n", wrong},
		{"no base64", path + "Authorization: Basic ****\n", wrong},
		{"user in capitals", path + basic("AC"+strings.ToUpper(at[2:]), good.Secret), "10.00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, code := 401, 20003
			if c.message == "10.00" {
				status, code = 200, 0
			}
			asker{t, a.h}.wants(status, code, c.message, c.text)
		})
	}
	revoked := token(w, account, true)
	if _, _, err := w.Auth.Revoke(t.Context(), 0, "", revoked.Credential.ID); err != nil {
		t.Fatal(err)
	}
	a.wants(401, 20003, wrong, request("GET", at, ".json", revoked))
	gateway := w.Issue(auth.MTurk, account, auth.Read)
	a.wants(401, 20003, username, request("GET", at, ".json", gateway))
	scopeless, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: w.Tenant.Number, Root: account, Scopes: auth.Charge, APIKey: true})
	if err != nil {
		t.Fatal(err)
	}
	a.wants(403, 20006, "Access Denied", request("GET", at, ".json", scopeless))

	// Path and method come before the credential.
	for _, text := range []string{"GET /2010-04-01/Nothing.json", "GET /2010-04-01/Accounts/" + at + "/Nothing.json", "GET /2010-04-01/Accounts/" + at + "/Balance/.json",
		"GET /2010-04-01/Accounts//Balance.json", "GET /2010-04-01/Accounts/" + at + "/balance.json", "GET /elsewhere.json"} {
		resp, body := a.ask(text)
		if want := "The requested resource " + strings.Fields(text)[1] + " was not found"; resp.StatusCode != 404 || !strings.Contains(body, want) {
			t.Errorf("%s is %d %s", text, resp.StatusCode, body)
		}
	}
	for _, method := range []string{"POST", "DELETE", "PUT", "PATCH", "TRACE", "FOO"} {
		resp, body := a.ask(strings.Replace(path, "GET", method, 1))
		if resp.StatusCode != 405 || !strings.Contains(body, `"code": 20004`) || resp.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s is %d %v %s", method, resp.StatusCode, resp.Header, body)
		}
	}
	if resp, body := a.ask("GET /2010-04-01/%3Cb%3E&x%22.xml?q=1"); !strings.Contains(body, "resource /2010-04-01/%3Cb%3E&amp;x%22.xml was") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if _, body := a.ask("GET /2010-04-01/a,b.csv"); body != "Code,Message,MoreInfo,Status\n20404,\"The requested resource /2010-04-01/a,b.csv was not found\",https://www.twilio.com/docs/errors/20404,404\n" {
		t.Errorf("%q", body)
	}
}

// TestSuspended has callers whose account is frozen or closed.
func TestSuspended(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	main := w.Account("USD", "")
	child := w.Open(native.AccountRequest{Parent: main.String(), Unit: "USD"}, "")
	set := func(account ledger.AccountID, status string) {
		t.Helper()
		if err := w.Native.Do(t.Context(), http.MethodPatch, "/v1/accounts/"+account.String(), map[string]any{"status": status}, nil); err != nil {
			t.Fatal(err)
		}
	}
	mains, childs := token(w, main, false), token(w, child, false)
	all, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Twilio}, Tenant: w.Tenant.Number, Scopes: auth.Read})
	if err != nil {
		t.Fatal(err)
	}
	all.Credential.ID = sid(main)
	a.wants(200, 0, "0.00", request("GET", sid(main), ".json", mains))
	a.wants(404, 20404, missing(sid(child)), request("GET", sid(child), ".json", childs))
	set(main, "frozen")
	a.wants(401, 20003, "Authenticate", request("GET", sid(main), ".json", mains))
	a.wants(401, 20003, "Authenticate", request("GET", sid(child), ".json", childs)) // by its parent
	a.wants(200, 0, "0.00", request("GET", sid(main), ".json", all))
	set(main, "open")
	a.wants(200, 0, "0.00", request("GET", sid(main), ".json", mains))
	set(child, "frozen")
	a.wants(401, 20003, "Authenticate", request("GET", sid(child), ".json", childs))
	a.wants(404, 20404, missing(sid(child)), request("GET", sid(child), ".json", mains))
	set(child, "closed")
	set(main, "closed")
	a.wants(401, 20003, "Authenticate", request("GET", sid(main), ".json", mains))
	a.wants(401, 20003, "Authenticate", request("GET", "AC00112233445566778899aabbccddeeff", ".json", mains))
}

// TestImported asks by a SID that an account was brought along with.
func TestImported(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	account, other := w.Account("USD", "7"), w.Account("USD", "8")
	const brought = "ACabcdef0123456789ABCDEF0123456789"
	if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Twilio, External: brought, Account: account, Tenant: w.Tenant.Number}); err != nil {
		t.Fatal(err)
	}
	issued := token(w, account, false)
	imported, err := w.Auth.Import(t.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: w.Tenant.Number, Root: account, Scopes: auth.Read, APIKey: true},
		"SK0123456789abcdef0123456789abcdef", "an-old-secret-of-8-or-more")
	if err != nil {
		t.Fatal(err)
	}
	imported.Secret = "an-old-secret-of-8-or-more"
	if issued.Credential.ID != brought {
		t.Errorf("the token's user is %s", issued.Credential.ID)
	}
	for _, c := range []auth.Issued{issued, imported} {
		for _, asked := range []string{brought, "AC" + strings.ToLower(brought[2:]), "AC" + strings.ToUpper(brought[2:])} {
			resp, body := a.ask(request("GET", asked, ".json", c))
			if want := `{"account_sid": "` + brought + `", "balance": "7.00", "currency": "USD"}`; body != want {
				t.Errorf("%s is answered %d %s, want %s", asked, resp.StatusCode, body, want)
			}
		}
		a.wants(200, 0, "7.00", request("GET", sid(account), ".json", c))
	}
	a.wants(401, 20003, "Authenticate", request("GET", brought, ".json", token(w, other, false)))

	// Nobody takes the SID by giving an account its digits.
	digits, _ := ledger.ParseAccountID(brought[2:])
	w.Open(native.AccountRequest{AccountID: digits.String(), Unit: "USD"}, "")
	a.wants(200, 0, "7.00", request("GET", brought, ".json", imported))
	a.wants(401, 20003, "Authenticate", request("GET", brought, ".json", token(w, other, true)))
	if _, err := w.Auth.Unmap(t.Context(), 0, "", w.Tenant.Number, auth.Twilio, brought); err != nil {
		t.Fatal(err)
	}
	a.wants(401, 20003, "Authenticate", request("GET", brought, ".json", imported)) // it means the other account now
}

// TestShown has units of few and many decimals, holds and limits.
func TestShown(t *testing.T) {
	w := dialecttest.Open(t)
	a := asker{t, serve(w, dialect.Options{})}
	for _, scale := range []int{0, 1, 18} {
		code := fmt.Sprint("UNIT", scale)
		if err := w.Native.Do(t.Context(), http.MethodPost, "/v1/units", map[string]any{"id": code, "code": code, "scale": scale, "kind": "credit"}, nil); err != nil {
			t.Fatal(err)
		}
		account := w.Account(code, "12")
		body := func() string {
			_, body := a.ask(request("GET", sid(account), ".json", token(w, account, true)))
			return body
		}
		if want := `"balance": "12.00", "currency": "` + code + `"}`; !strings.HasSuffix(body(), want) {
			t.Errorf("12 of %s are %s", code, body())
		}
	}
	account := w.Open(native.AccountRequest{Unit: "USD", CreditLimit: "50"}, "10")
	c := token(w, account, false)
	if _, err := w.Native.Hold(t.Context(), account.String(), native.HoldRequest{ID: "h", Amount: "3.25"}); err != nil {
		t.Fatal(err)
	}
	a.wants(200, 0, "56.75", request("GET", sid(account), ".json", c))
	for limit, want := range map[string]string{"-5": "-2.50", "-2.500001": "-0.00001", "-2.500011": "-0.00002"} {
		below := w.Account("USD", "2.5")
		lower(w, below, limit)
		a.wants(200, 0, want, request("GET", sid(below), ".json", token(w, below, false)))
	}
}

// TestThrottled fails until it is told to wait.
func TestThrottled(t *testing.T) {
	w := dialecttest.OpenAt(t, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	a := asker{t, serve(w, dialect.Options{Now: w.Clock.Now})}
	account := w.Account("USD", "1")
	good := token(w, account, false)
	bad := good
	bad.Secret = "wrong"
	for range 10 {
		a.wants(401, 20003, "Authenticate", request("GET", sid(account), ".json", bad))
	}
	a.wants(429, 20429, "Too Many Requests", request("GET", sid(account), ".json", bad))
	if resp, _ := a.ask(request("GET", sid(account), "", bad)); resp.Header.Get("Retry-After") != "20" {
		t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
	}
	a.wants(200, 0, "1.00", request("GET", sid(account), ".json", good))
}

// TestHeadAndPreflight are the methods without a body.
func TestHeadAndPreflight(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	account := w.Account("USD", "1")
	c := token(w, account, false)
	for _, extension := range []string{"", ".json", ".xml", ".csv"} {
		at := url + "/2010-04-01/Accounts/" + sid(account) + "/Balance" + extension
		do := func(method, secret string) (*http.Response, string) {
			t.Helper()
			r, _ := http.NewRequestWithContext(t.Context(), method, at, nil)
			if secret != "" {
				r.SetBasicAuth(c.Credential.ID, secret)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp, string(body)
		}
		for _, secret := range []string{c.Secret, "wrong"} {
			got, body := do("GET", secret)
			head, none := do("HEAD", secret)
			if head.StatusCode != got.StatusCode || head.ContentLength != int64(len(body)) || none != "" || head.Header.Get("Content-Type") != got.Header.Get("Content-Type") {
				t.Errorf("HEAD is %v %q, GET %v %q", head, none, got, body)
			}
		}
		if resp, body := do("OPTIONS", ""); resp.StatusCode != 200 || body != "" || resp.Header.Get("Content-Length") != "0" || check(resp, nil) != nil {
			t.Errorf("OPTIONS is %v %q", resp, body)
		}
	}
}

// TestErrors is what becomes of each error: of every code of the ledger, of the
// credential, of who went away, of what nobody expected.
func TestErrors(t *testing.T) {
	answers := map[error][2]int{
		auth.ErrUnauthorized:                  {401, 20003},
		auth.ErrUnknown:                       {401, 20003},
		auth.ErrSecret:                        {401, 20003},
		auth.ErrRevoked:                       {401, 20003},
		auth.ErrExpired:                       {401, 20003},
		auth.ErrAddress:                       {401, 20003},
		auth.ErrDialect:                       {401, 20003},
		auth.ErrForbidden{Missing: auth.Read}: {403, 20006},
		auth.ErrThrottled{RetryAfter: time.Second + 1}: {429, 20429},
		context.Canceled:           {503, 20503},
		context.DeadlineExceeded:   {503, 20503},
		errors.New("what is this"): {500, 20500},
	}
	codes := map[ledger.Code][2]int{
		ledger.Invalid: {400, 20001}, ledger.NotFound: {404, 20404}, ledger.Denied: {403, 20006}, ledger.Insufficient: {403, 20005},
		ledger.Frozen: {403, 20005}, ledger.Closed: {403, 20005}, ledger.IDTaken: {400, 20001}, ledger.Changed: {400, 20001},
		ledger.Exists: {400, 20001}, ledger.HoldClosed: {400, 20001}, ledger.HoldExpired: {400, 20001}, ledger.NotEmpty: {400, 20001},
		ledger.OverRefund: {400, 20001}, ledger.Overflow: {400, 20001}, ledger.TooMany: {400, 20001}, ledger.Busy: {429, 20429},
		ledger.Unavailable: {503, 20503}, ledger.Timeout: {503, 20503}, ledger.Contention: {503, 20503}, ledger.ClockJump: {503, 20503},
		ledger.Internal: {500, 20500},
	}
	for _, code := range ledger.Codes() {
		if codes[code] == [2]int{} {
			t.Errorf("nothing is wanted of %v", code)
		}
		answers[fmt.Errorf("wrapped: %w", ledger.Errorf(code, "x"))] = codes[code]
	}
	retry := map[int]string{20429: "12"} // of seconds: 2 of the throttle, 1 of a queue that is full
	for err, want := range answers {
		var log strings.Builder
		a := asker{t, twilio.Refusing(dialect.Options{Logger: logTo(&log)}, err)}
		w := httptest.NewRecorder()
		a.h.ServeHTTP(w, dialecttest.Request(t, "GET /x.json"))
		var r reply
		if e := json.Unmarshal(w.Body.Bytes(), &r); e != nil || w.Code != want[0] || r.Status != want[0] || r.Code != want[1] {
			t.Errorf("%v is %d %s, want %v", err, w.Code, w.Body, want)
		}
		if after := w.Header().Get("Retry-After"); (after == "") != (retry[want[1]] == "") || !strings.Contains(retry[want[1]], after) {
			t.Errorf("%v is to be repeated after %q", err, after)
		}
		if logged := strings.Count(log.String(), "a request failed"); logged > 1 || (logged == 1) != (want[0] == 500) ||
			logged == 1 && !strings.Contains(log.String(), w.Header().Get("Twilio-Request-Id")) {
			t.Errorf("%v is logged as %q", err, log.String())
		}
	}
}

// TestInternal breaks what is below the server.
func TestInternal(t *testing.T) {
	w := dialecttest.Open(t)
	var log strings.Builder
	h := twilio.New(w.Ledger, nil, twilio.Options{Options: dialect.Options{Logger: logTo(&log)}}) // which panics
	account := w.Account("USD", "1")
	for _, extension := range []string{"", ".json", ".csv"} {
		resp, body := asker{t, h}.ask(request("GET", sid(account), extension, token(w, account, true)))
		if resp.StatusCode != 500 || !strings.Contains(body, "20500") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	if strings.Count(log.String(), "a request failed") != 3 || !strings.Contains(log.String(), "fetchBalance") {
		t.Errorf("the log is %s", &log)
	}
}

// TestRequestsInFlight counts what is being answered.
func TestRequestsInFlight(t *testing.T) {
	var f twilio.Flights
	a, b := ledger.AccountID{15: 1}, ledger.AccountID{15: 65} // of one shard
	got := []int{f.Enter(a), f.Enter(a), f.Enter(b)}
	f.Leave(a)
	got = append(got, f.Enter(a))
	f.Leave(a)
	f.Leave(a)
	f.Leave(b)
	got = append(got, f.Enter(a))
	f.Leave(a)
	if !slices.Equal(got, []int{1, 2, 1, 2, 1}) || f.Kept() != 0 {
		t.Errorf("counts are %v, %d are kept", got, f.Kept())
	}
}
