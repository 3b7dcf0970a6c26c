package twilio_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
)

// TestResourceSamples holds every call to testdata, as it is answered and with
// every error that it documents.
func TestResourceSamples(t *testing.T) {
	w, _ := dated(t, "2026-11-21T12:00:00Z", twilio.Options{})
	var err error // keys are made by chance, for the world's own repeats itself
	if w.Auth, err = auth.Open(t.Context(), w.Ledger, dialecttest.Keys, auth.Options{Now: w.Clock.Now}); err != nil {
		t.Fatal(err)
	}
	s := twilio.New(w.Ledger, w.Auth, twilio.Options{Options: dialect.Options{Now: w.Clock.Now}, SubAccounts: 2})
	main := w.Open(native.AccountRequest{AccountID: "018f0000-0000-7000-8000-00000000a001", Unit: "USD"}, "100")
	whole, reading := admin(w, main), token(w, main, true)
	charging, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: w.Tenant.Number, Root: main, Scopes: auth.Charge, APIKey: true})
	if err != nil {
		t.Fatal(err)
	}
	use(w, main, "1.25", "sms", "5")
	until(w, "2026-11-22T12:00:00Z")
	use(w, main, "0.000001", "calls", "2")
	masks := []dialecttest.Masking{
		dialecttest.Mask(`RQ[0-9a-f]{32}`, "RQ00000000000000000000000000000000"),
		dialecttest.Mask(`Authorization: Basic [^\n]+`, "Authorization: Basic CREDENTIAL"),
		dialecttest.Mask(`SK[1-9a-f][0-9a-f]{31}|SK0[1-9a-f][0-9a-f]{30}`, "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		dialecttest.Mask(`(?m)^[0-9a-f]{32},`, "SECRET,"),
		dialecttest.Mask(`(auth_token": "|secret": "|<AuthToken>|<Secret>)[0-9a-f]{32}`, "${1}SECRET"),
	}
	known := basic(whole.Credential.ID, whole.Secret)
	sample := func(name string, status int, call, path, credential, form string) *http.Response {
		t.Helper()
		text := call + " /2010-04-01" + strings.ReplaceAll(path, "{}", sid(main)) + "\n" + credential
		if form != "" {
			text += "Content-Type: application/x-www-form-urlencoded\n\n" + form
		}
		resp := dialecttest.Sample(t, s, name, text, masks)
		if resp.StatusCode != status {
			t.Errorf("%s is %d, want %d", name, resp.StatusCode, status)
		}
		return resp
	}
	made := func(path, form string) string {
		t.Helper()
		a := holderOf(t, s, whole)
		return member(a.wants(201, 0, "POST", path, form), "sid")
	}
	child := made("/Accounts.json", "FriendlyName=Ann%27s&Cap=20")
	trigger := made("/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http%3A%2F%2Fcap.com%2Fstreetfight&TriggerValue=%2B50&UsageCategory=totalprice&Recurring=yearly&TriggerBy=price&FriendlyName=cluster")
	key := made("/Accounts/{}/Keys.json", "FriendlyName=deploy")
	const triggered = "CallbackUrl=http%3A%2F%2Fx%2Fy&Recurring=daily&TriggerBy=price&TriggerValue=%2B50&UsageCategory=totalprice"

	calls := []struct {
		name, method, path string
		form, bad          string // a body that is good, and a query or body that is not
		status             int
		nobodys            bool // its path names no account
	}{
		{"account-list", "GET", "/Accounts", "", "?PageSize=x", 200, true},
		{"account-fetch", "GET", "/Accounts/{}", "", "", 200, false},
		{"account-update", "POST", "/Accounts/" + child, "FriendlyName=Ann+%26+Co&Status=suspended", "Status=asleep", 200, false},
		{"account-create", "POST", "/Accounts", "FriendlyName=Bob", "Cap=much", 201, true},
		{"key-create", "POST", "/Accounts/{}/Keys", "FriendlyName=new", "FriendlyName=%00", 201, false},
		{"key-list", "GET", "/Accounts/{}/Keys", "", "?Page=9", 200, false},
		{"key-fetch", "GET", "/Accounts/{}/Keys/" + key, "", "", 200, false},
		{"key-update", "POST", "/Accounts/{}/Keys/" + key, "FriendlyName=newer", "FriendlyName=%00", 200, false},
		{"key-delete", "DELETE", "/Accounts/{}/Keys/" + key, "", "", 204, false},
		{"usage-list", "GET", "/Accounts/{}/Usage/Records", "", "?StartDate=soon", 200, false},
		{"usage-all-time", "GET", "/Accounts/{}/Usage/Records/AllTime", "", "?Category=%00", 200, false},
		{"usage-daily", "GET", "/Accounts/{}/Usage/Records/Daily", "", "?EndDate=soon", 200, false},
		{"usage-monthly", "GET", "/Accounts/{}/Usage/Records/Monthly", "", "?IncludeSubaccounts=2", 200, false},
		{"usage-yearly", "GET", "/Accounts/{}/Usage/Records/Yearly", "", "?PageToken=x", 200, false},
		{"usage-today", "GET", "/Accounts/{}/Usage/Records/Today", "", "?PageSize=0", 200, false},
		{"usage-yesterday", "GET", "/Accounts/{}/Usage/Records/Yesterday", "", "?PageSize=0", 200, false},
		{"usage-this-month", "GET", "/Accounts/{}/Usage/Records/ThisMonth", "", "?PageSize=0", 200, false},
		{"usage-last-month", "GET", "/Accounts/{}/Usage/Records/LastMonth", "", "?PageSize=0", 200, false},
		{"trigger-create", "POST", "/Accounts/{}/Usage/Triggers", triggered, "UsageCategory=sms", 201, false},
		{"trigger-list", "GET", "/Accounts/{}/Usage/Triggers", "", "?PageSize=0", 200, false},
		{"trigger-fetch", "GET", "/Accounts/{}/Usage/Triggers/" + trigger, "", "", 200, false},
		{"trigger-update", "POST", "/Accounts/{}/Usage/Triggers/" + trigger, "FriendlyName=other", "CallbackUrl=x", 200, false},
		{"trigger-delete", "DELETE", "/Accounts/{}/Usage/Triggers/" + trigger, "", "", 204, false},
	}
	for i, c := range calls {
		sample(c.name+"-no-credentials", 401, c.method, c.path+".json", "", c.form)
		sample(c.name+"-wrong-user", 401, c.method, c.path+".json", basic(fmt.Sprintf("AC%032d", i), whole.Secret), c.form)
		lacking := basic(charging.Credential.ID, charging.Secret)
		if c.name == "account-update" { // a key does not open a sub-account at all
			sample(c.name+"-not-opened", 401, c.method, c.path+".json", lacking, c.form)
			lacking = basic(reading.Credential.ID, reading.Secret)
			sample(c.name+"-no-scope", 403, c.method, "/Accounts/{}.json", lacking, c.form)
		} else {
			sample(c.name+"-no-scope", 403, c.method, c.path+".json", lacking, c.form)
		}
		if !c.nobodys {
			unknown := strings.NewReplacer("{}", "AC00112233445566778899aabbccddeeff", child, "AC00112233445566778899aabbccddeeff").Replace(c.path)
			sample(c.name+"-not-found", 404, c.method, unknown+".json", known, c.form)
		}
		switch {
		case c.bad == "":
		case c.method == "GET":
			sample(c.name+"-invalid", 400, c.method, c.path+".json"+c.bad, known, "")
		default:
			sample(c.name+"-invalid", 400, c.method, c.path+".json", known, c.bad)
		}
		sample(c.name, c.status, c.method, c.path+".json", known, c.form)
		if c.method == "GET" {
			sample(c.name+"-xml", c.status, c.method, c.path, known, "")
			sample(c.name+"-csv", c.status, c.method, c.path+".csv", known, "")
		}
	}
	sample("account-create-too-many", 400, "POST", "/Accounts.json", known, "")
	sample("account-closed", 200, "POST", "/Accounts/"+child+".json", known, "Status=closed")
	sample("account-closed-for-good", 400, "POST", "/Accounts/"+child+".json", known, "Status=active")
	sample("account-not-empty", 400, "POST", "/Accounts/{}.json", known, "Status=closed")
	sample("usage-second-page", 200, "GET", "/Accounts/{}/Usage/Records/Daily.json?Category=sms&PageSize=1", known, "")
	sample("no-such-trigger", 404, "GET", "/Accounts/{}/Usage/Triggers/UT00112233445566778899aabbccddeeff.json", known, "")
	sample("no-such-key", 404, "DELETE", "/Accounts/{}/Keys/SK00112233445566778899aabbccddeeff.json", known, "")
	sample("usage-wrong-method", 405, "POST", "/Accounts/{}/Usage/Records.json", known, "Category=sms")
	all, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Twilio}, Tenant: w.Tenant.Number, Scopes: auth.Read | auth.Admin})
	if err != nil {
		t.Fatal(err)
	}
	list := holderOf(t, s, whole).wants(200, 0, "GET", "/Accounts.json?FriendlyName=Bob", "")["accounts"].([]any)
	bob := member(list[0].(map[string]any), "sid")
	sample("account-suspended", 200, "POST", "/Accounts/{}.json", known, "Status=suspended")
	sample("account-suspended-refused", 401, "GET", "/Accounts/{}.json", known, "")
	sample("account-parent-suspended", 400, "POST", "/Accounts/"+bob+".json", basic(sid(main), all.Secret), "Status=suspended")

	s = twilio.New(w.Ledger, w.Auth, twilio.Options{Options: dialect.Options{Now: w.Clock.Now}, Concurrent: 1})
	id, _ := ledger.ParseAccountID(bob[2:])
	s.Occupy(id)
	sample("too-many-at-once", 429, "GET", "/Accounts/"+bob+".json", basic(sid(main), all.Secret), "")
}
