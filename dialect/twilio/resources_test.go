package twilio_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
	"saldo/money"
)

// A holder asks about an account with one credential.
type holder struct {
	t       *testing.T
	h       http.Handler
	account string
	auth    string
}

func holderOf(t *testing.T, h http.Handler, c auth.Issued) holder {
	return holder{t, h, sid(c.Credential.Root), basic(c.Credential.ID, c.Secret)}
}

// ask makes a request about the account, with a form as its body if it is a POST.
func (a holder) ask(method, path, form string) (int, map[string]any) {
	a.t.Helper()
	path = strings.ReplaceAll(path, "{}", a.account)
	text := method + " /2010-04-01" + path + "\n" + a.auth + "Content-Type: application/x-www-form-urlencoded\n\n" + form
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, dialecttest.Request(a.t, text))
	resp := w.Result()
	body, _ := io.ReadAll(resp.Body)
	var got map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &got); err != nil {
			a.t.Fatalf("%s %s is %d %s: %v", method, path, resp.StatusCode, body, err)
		}
	}
	return resp.StatusCode, got
}

// wants wants a status, and a code if it is an error.
func (a holder) wants(status, code int, method, path, form string) map[string]any {
	a.t.Helper()
	st, got := a.ask(method, path, form)
	if c, _ := got["code"].(float64); st != status || int(c) != code {
		a.t.Errorf("%s %s %s is %d %v, want %d, %d", method, path, form, st, got, status, code)
	}
	return got
}

func member(m map[string]any, name string) string {
	if m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

// TestParameters is every parameter that cannot be.
func TestParameters(t *testing.T) {
	w := dialecttest.Open(t)
	main := w.Account("USD", "10")
	a := holderOf(t, serve(w, dialect.Options{}), admin(w, main))
	long := strings.Repeat("x", 65)
	u := "CallbackUrl=http://x/y&TriggerValue=1&UsageCategory=sms"
	for _, c := range []struct{ method, path, form string }{
		{"GET", "/Accounts.json?PageSize=0", ""}, {"GET", "/Accounts.json?PageSize=x", ""}, {"GET", "/Accounts.json?PageSize=-1", ""},
		{"GET", "/Accounts.json?Page=-1", ""}, {"GET", "/Accounts.json?Page=3", ""}, {"GET", "/Accounts.json?PageToken=%25", ""},
		{"GET", "/Accounts.json?PageToken=AA", ""}, {"GET", "/Accounts.json?Status=asleep", ""}, {"GET", "/Accounts.json?x=%zz", ""},
		{"POST", "/Accounts.json", "FriendlyName=" + long}, {"POST", "/Accounts.json", "FriendlyName=a%00b"}, {"POST", "/Accounts.json", "FriendlyName=%ff"},
		{"POST", "/Accounts.json", "a;b"}, {"POST", "/Accounts.json", "FriendlyName=%zz"}, {"POST", "/Accounts.json", strings.Repeat("x", 70000)},
		{"POST", "/Accounts.json", "Cap=lots"}, {"POST", "/Accounts.json", "Cap=-1"}, {"POST", "/Accounts/{}.json", "Cap=1"},
		{"POST", "/Accounts/{}.json", "Status=dormant"}, {"POST", "/Accounts/{}.json", "FriendlyName=" + long}, {"POST", "/Accounts/{}.json", "Status=closed"},
		{"POST", "/Accounts/{}/Keys.json", "FriendlyName=" + long}, {"GET", "/Accounts/{}/Keys.json?PageSize=1.5", ""},
		{"GET", "/Accounts/{}/Usage/Records.json?StartDate=tomorrow", ""}, {"GET", "/Accounts/{}/Usage/Records.json?EndDate=2026-13-01", ""},
		{"GET", "/Accounts/{}/Usage/Records/Daily.json?StartDate=30days", ""}, {"GET", "/Accounts/{}/Usage/Records.json?StartDate=-99999999999days", ""},
		{"GET", "/Accounts/{}/Usage/Records.json?IncludeSubaccounts=perhaps", ""}, {"GET", "/Accounts/{}/Usage/Records.json?Category=" + long, ""},
		{"GET", "/Accounts/{}/Usage/Records/Daily.json?PageToken=AAAAAAAA", ""},
		{"POST", "/Accounts/{}/Usage/Triggers.json", ""}, {"POST", "/Accounts/{}/Usage/Triggers.json", "TriggerValue=1&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=ftp://x&TriggerValue=1&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=/y&TriggerValue=1&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=1"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=1&UsageCategory=" + long},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=0&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=-1&UsageCategory=sms"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=1.5&UsageCategory=sms&TriggerBy=count"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=%2B5&UsageCategory=balance"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", u + "&TriggerBy=weight"}, {"POST", "/Accounts/{}/Usage/Triggers.json", u + "&Recurring=hourly"},
		{"POST", "/Accounts/{}/Usage/Triggers.json", u + "&CallbackMethod=PUT"}, {"POST", "/Accounts/{}/Usage/Triggers.json", u + "&FriendlyName=" + long},
		{"POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=1&UsageCategory=balance&TriggerBy=count"},
	} {
		if got := a.wants(400, 20001, c.method, c.path, c.form); strings.Contains(member(got, "message"), "%") || len(member(got, "message")) < 15 {
			t.Errorf("%v", got)
		}
	}
	made := a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", u)
	a.wants(400, 20001, "POST", "/Accounts/{}/Usage/Triggers/"+member(made, "sid")+".json", "CallbackUrl=x")
	for _, path := range []string{"/Keys/SK00112233445566778899aabbccddeeff", "/Keys/" + a.account, "/Usage/Triggers/UT00112233445566778899aabbccddeeff", "/Usage/Triggers/x"} {
		a.wants(404, 20404, "GET", "/Accounts/{}"+path+".json", "")
		a.wants(404, 20404, "POST", "/Accounts/{}"+path+".json", "")
		a.wants(404, 20404, "DELETE", "/Accounts/{}"+path+".json", "")
	}
	for _, path := range []string{"/Accounts", "/Accounts/{}", "/Accounts/{}/Keys", "/Accounts/{}/Usage/Records", "/Accounts/{}/Usage/Records/Today", "/Accounts/{}/Usage/Triggers"} {
		a.wants(405, 20004, "DELETE", path+".json", "")
	}
}

// TestPermissions has who may read and no more, who may nothing, and strangers.
func TestPermissions(t *testing.T) {
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	main, other := w.Account("USD", "10"), w.Account("USD", "10")
	whole, reading := admin(w, main), token(w, main, true)
	trigger := member(holderOf(t, h, whole).wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://x/y&TriggerValue=1&UsageCategory=sms"), "sid")
	writes := [][2]string{{"POST", "/Accounts"}, {"POST", "/Accounts/{}"}, {"POST", "/Accounts/{}/Keys"}, {"POST", "/Accounts/{}/Keys/" + reading.Credential.ID},
		{"DELETE", "/Accounts/{}/Keys/" + reading.Credential.ID}, {"POST", "/Accounts/{}/Usage/Triggers"}, {"POST", "/Accounts/{}/Usage/Triggers/" + trigger},
		{"DELETE", "/Accounts/{}/Usage/Triggers/" + trigger}}
	reads := [][2]string{{"GET", "/Accounts"}, {"GET", "/Accounts/{}"}, {"GET", "/Accounts/{}/Keys"}, {"GET", "/Accounts/{}/Keys/" + reading.Credential.ID},
		{"GET", "/Accounts/{}/Usage/Records"}, {"GET", "/Accounts/{}/Usage/Records/Daily"}, {"GET", "/Accounts/{}/Usage/Triggers"}, {"GET", "/Accounts/{}/Usage/Triggers/" + trigger}}
	a := holderOf(t, h, reading)
	for _, c := range writes {
		a.wants(403, 20006, c[0], c[1]+".json", "")
	}
	for _, c := range reads {
		a.wants(200, 0, c[0], c[1]+".json", "")
	}
	// An API key, and who may do less than the token, do not see the token.
	if got := a.wants(200, 0, "GET", "/Accounts/{}.json", ""); got["auth_token"] != nil {
		t.Errorf("a key sees %v", got)
	}
	keyless, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Twilio}, Tenant: w.Tenant.Number, Scopes: auth.Read})
	if err != nil {
		t.Fatal(err)
	}
	wide := holder{t, h, sid(main), basic(sid(main), keyless.Secret)}
	if got := wide.wants(200, 0, "GET", "/Accounts.json", ""); len(got["accounts"].([]any)) != 1 || got["accounts"].([]any)[0].(map[string]any)["auth_token"] != nil {
		t.Errorf("who may read the tenant sees %v", got)
	}
	holder{t, h, "", basic("nobody", keyless.Secret)}.wants(401, 20003, "GET", "/Accounts.json", "")
	// Nor does who may do the same for less long, or from fewer addresses.
	now, err := w.Ledger.Now()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec auth.Spec
		sees bool
	}{
		{auth.Spec{}, true},
		{auth.Spec{Expires: now.Add(time.Hour)}, false},
		{auth.Spec{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}}, false},
	} {
		c.spec.Dialect, c.spec.Dialects, c.spec.Tenant, c.spec.Root = auth.Native, []string{auth.Twilio}, w.Tenant.Number, main
		c.spec.Scopes = auth.Read | auth.Admin | auth.Charge
		like, err := w.Auth.Issue(t.Context(), 0, "", c.spec)
		if err != nil {
			t.Fatal(err)
		}
		got := holder{t, h, sid(main), basic(sid(main), like.Secret)}.wants(200, 0, "GET", "/Accounts/{}.json", "")
		if sees := got["auth_token"] == whole.Secret; sees != c.sees {
			t.Errorf("whose credential ends at %v and is for %v sees %v", c.spec.Expires, c.spec.Allow, got["auth_token"])
		}
	}

	// A token that is being rotated away does not tell its successor.
	rotated, err := w.Auth.Rotate(t.Context(), 0, "", whole.Credential.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{whole.Secret, rotated.Secret} {
		if got := (holder{t, h, sid(main), basic(sid(main), secret)}).wants(200, 0, "GET", "/Accounts/{}.json", ""); got["auth_token"] != secret {
			t.Errorf("who asks with %s sees %v", secret, got["auth_token"])
		}
	}

	charging := holderOf(t, h, w.Issue(auth.Twilio, other, auth.Charge))
	stranger := holder{t, h, sid(main), charging.auth}
	for _, c := range slices.Concat(reads, writes) {
		if strings.Contains(c[1], "{}") {
			stranger.wants(401, 20003, c[0], c[1]+".json", "")
		} else {
			charging.wants(403, 20006, c[0], c[1]+".json", "")
		}
		holder{t, h, sid(main), ""}.wants(401, 20003, c[0], c[1]+".json", "")
	}
	// A key of another account is nobody's here, and so is a trigger.
	of := holderOf(t, h, admin(w, w.Account("USD", "")))
	of.wants(404, 20404, "DELETE", "/Accounts/{}/Keys/"+reading.Credential.ID+".json", "")
	of.wants(404, 20404, "DELETE", "/Accounts/{}/Usage/Triggers/"+trigger+".json", "")
}

// TestSubAccounts is what becomes of a family.
func TestSubAccounts(t *testing.T) {
	w := dialecttest.Open(t)
	s := twilio.New(w.Ledger, w.Auth, twilio.Options{SubAccounts: 2})
	main := w.Account("USD", "10")
	a := holderOf(t, s, admin(w, main))
	made := a.wants(201, 0, "POST", "/Accounts.json", "FriendlyName=Ann&Cap=3.50")
	if made["cap"] != "3.50" || made["type"] != "Full" || made["status"] != "active" {
		t.Errorf("made is %v", made)
	}
	child, _ := ledger.ParseAccountID(member(made, "sid")[2:])
	its := holder{t, s, sid(child), basic(sid(child), member(made, "auth_token"))}
	charge := func(amount string) error {
		_, err := w.Native.Charge(t.Context(), child.String(), native.TransferRequest{ID: w.ID("c"), Amount: amount})
		return err
	}
	if err := charge("4"); err == nil {
		t.Error("the cap does not hold")
	}
	for _, form := range []string{"Cap=", "Cap=100", "Cap=1", "FriendlyName=Bea&Cap=100"} { // its holder does not lift it
		its.wants(403, 20006, "POST", "/Accounts/{}.json", form)
	}
	if got := its.wants(200, 0, "GET", "/Accounts/{}.json", ""); got["cap"] != "3.50" || got["friendly_name"] != "Ann" {
		t.Errorf("after its holder tried it is %v", got)
	}
	if err := charge("3"); err != nil {
		t.Error(err)
	}
	a.wants(200, 0, "POST", "/Accounts/"+sid(child)+".json", "Cap=")
	if err := charge("4"); err != nil {
		t.Errorf("without a cap: %v", err)
	}
	// What others keep in the profile stays.
	body := map[string]any{"id": w.ID("p"), "metadata": map[string]string{"crm": "7"}}
	if err := w.Native.Do(t.Context(), http.MethodPatch, "/v1/accounts/"+child.String(), body, nil); err != nil {
		t.Fatal(err)
	}
	if got := a.wants(200, 0, "POST", "/Accounts/"+sid(child)+".json", "FriendlyName=Bea+%26+Co"); got["friendly_name"] != "Bea & Co" {
		t.Errorf("renamed it is %v", got)
	}
	read, err := w.Native.Account(t.Context(), child.String())
	if err != nil || read.Name != "Bea & Co" || string(read.Metadata) != `{"crm":"7"}` {
		t.Errorf("natively it is %+v, %v", read, err)
	}

	second := member(a.wants(201, 0, "POST", "/Accounts.json", ""), "sid")
	a.wants(400, 21480, "POST", "/Accounts.json", "")
	a.wants(200, 0, "POST", "/Accounts/"+second+".json", "Status=closed")
	a.wants(400, 21479, "POST", "/Accounts/"+second+".json", "Status=active")
	a.wants(201, 0, "POST", "/Accounts.json", "")
	its.wants(403, 20006, "POST", "/Accounts.json", "")

	// A parent that is suspended suspends its children.
	all, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Twilio}, Tenant: w.Tenant.Number, Scopes: auth.Read | auth.Admin})
	if err != nil {
		t.Fatal(err)
	}
	over := holder{t, s, sid(child), basic(sid(main), all.Secret)}
	a.wants(200, 0, "POST", "/Accounts/{}.json", "Status=suspended")
	a.wants(401, 20003, "GET", "/Accounts/{}.json", "")
	its.wants(401, 20003, "GET", "/Accounts/{}.json", "")
	if got := over.wants(200, 0, "GET", "/Accounts/{}.json", ""); got["status"] != "suspended" {
		t.Errorf("the child of one that is suspended is %v", got)
	}
	over.wants(400, 21476, "POST", "/Accounts/{}.json", "Status=active")
	over.wants(200, 0, "POST", "/Accounts/"+sid(main)+".json", "Status=active")
	its.wants(200, 0, "GET", "/Accounts/{}.json", "")
	over.wants(400, 20001, "POST", "/Accounts/"+sid(main)+".json", "Status=closed") // it has money
}

// TestPages goes through lists forwards, and one page back.
func TestPages(t *testing.T) {
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	main := w.Account("USD", "10")
	a := holderOf(t, h, admin(w, main))
	for i := range 7 {
		a.wants(201, 0, "POST", "/Accounts.json", fmt.Sprint("FriendlyName=sub", i))
		a.wants(201, 0, "POST", "/Accounts/{}/Keys.json", fmt.Sprint("FriendlyName=key", i))
		a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", fmt.Sprint("CallbackUrl=http://x/y&TriggerValue=1&UsageCategory=sms&FriendlyName=trigger", i))
	}
	for _, c := range []struct {
		path, key string
		of        func(map[string]any) string
		total     int
	}{
		{"/Accounts.json?PageSize=3", "accounts", func(m map[string]any) string { return member(m, "friendly_name") }, 8},
		{"/Accounts/{}/Keys.json?PageSize=3", "keys", func(m map[string]any) string { return member(m, "friendly_name") }, 7},
		{"/Accounts/{}/Usage/Triggers.json?PageSize=3", "usage_triggers", func(m map[string]any) string { return member(m, "friendly_name") }, 7},
	} {
		var names, firsts []string
		n := 0
		for at := c.path; at != ""; n++ {
			got := a.wants(200, 0, "GET", at, "")
			known := []string{"end", "first_page_uri", "next_page_uri", "page", "page_size", "previous_page_uri", "start", "uri", c.key}
			for name := range got {
				if !slices.Contains(known, name) {
					t.Errorf("%s has %q, which Python's SDK would take for the records", at, name)
				}
			}
			records := got[c.key].([]any)
			if member(got, "page") != fmt.Sprint(n) || member(got, "start") != fmt.Sprint(3*n) || member(got, "end") != fmt.Sprint(3*n+len(records)-1) || member(got, "page_size") != "3" {
				t.Errorf("%s is %v", at, got)
			}
			for i, r := range records {
				if names = append(names, c.of(r.(map[string]any))); i == 0 {
					firsts = append(firsts, names[len(names)-1])
				}
			}
			if back := strings.TrimPrefix(member(got, "previous_page_uri"), "/2010-04-01"); n > 0 {
				before := a.wants(200, 0, "GET", back, "")
				if first := c.of(before[c.key].([]any)[0].(map[string]any)); first != firsts[n-1] || member(before, "page") != fmt.Sprint(n-1) {
					t.Errorf("before %s comes %v", at, before)
				}
			} else if back != "" {
				t.Errorf("before the first page comes %s", back)
			}
			if next := strings.TrimPrefix(member(got, "next_page_uri"), "/2010-04-01"); next == "" || next != at {
				at = next
			}
		}
		if slices.Sort(names); len(names) != c.total || len(slices.Compact(names)) != c.total || n != 3 {
			t.Errorf("%s has %q in %d pages", c.path, names, n)
		}
	}
}

// stopping is chance that runs out, once.
type stopping struct{ stop atomic.Bool }

func (c *stopping) Read(p []byte) (int, error) {
	if c.stop.CompareAndSwap(true, false) {
		return 0, errors.New("stopped here")
	}
	return rand.Read(p)
}

// TestTokenComesLate stops the making of a sub-account after the account was made
// and before its token: the token comes when the server looks at what is due.
func TestTokenComesLate(t *testing.T) {
	w, _ := dated(t, "2026-03-01T12:00:00Z", twilio.Options{})
	chance := new(stopping)
	unlucky, err := auth.Open(t.Context(), w.Ledger, dialecttest.Keys, auth.Options{Now: w.Clock.Now, Rand: chance})
	if err != nil {
		t.Fatal(err)
	}
	main := w.Account("USD", "10")
	maker := admin(w, main)
	chance.stop.Store(true)
	before := twilio.New(w.Ledger, unlucky, twilio.Options{Options: dialect.Options{Now: w.Clock.Now}})
	holderOf(t, before, maker).wants(500, 20500, "POST", "/Accounts.json", "FriendlyName=Ann")
	if chance.stop.Load() {
		t.Fatal("it was not stopped there")
	}
	s := twilio.New(w.Ledger, w.Auth, twilio.Options{Options: dialect.Options{Now: w.Clock.Now}}) // as after a restart
	a := holderOf(t, s, maker)
	child := func() map[string]any {
		t.Helper()
		all := a.wants(200, 0, "GET", "/Accounts.json", "")["accounts"].([]any)
		if len(all) != 2 {
			t.Fatalf("the accounts are %v", all)
		}
		return all[1].(map[string]any)
	}
	if got := child(); got["auth_token"] != nil || got["friendly_name"] != "Ann" {
		t.Fatalf("the sub-account is %v", got)
	}
	until(w, "2026-03-01T12:02:00Z")
	for range 2 { // the second time there is nothing left to do
		if err := w.Ledger.ActDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := child()
	its := holder{t, s, member(got, "sid"), basic(member(got, "sid"), member(got, "auth_token"))}
	its.wants(200, 0, "GET", "/Accounts/{}.json", "")
	its.wants(201, 0, "POST", "/Accounts/{}/Keys.json", "") // it may do what its maker may

	// One that is made without a stop has its token at once, and it stays the same.
	made := a.wants(201, 0, "POST", "/Accounts.json", "FriendlyName=Bea")
	until(w, "2026-03-01T12:04:00Z")
	if err := w.Ledger.ActDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := a.wants(200, 0, "GET", "/Accounts/"+member(made, "sid")+".json", ""); member(made, "auth_token") == "" || again["auth_token"] != made["auth_token"] {
		t.Errorf("made is %v, later %v", made, again)
	}
	for row, err := range w.Ledger.Scan(t.Context(), ledger.Query{List: ledger.ListDeadlines, Until: 1 << 62}) {
		t.Errorf("left is %+v, %v", row.Due, err)
	}

	// A token that would have expired meanwhile is let go.
	brief, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: w.Tenant.Number, Root: w.Account("USD", ""),
		Scopes: auth.Read | auth.Admin, Expires: ledger.TimeOf(w.Clock.Now().Add(time.Minute))})
	if err != nil {
		t.Fatal(err)
	}
	chance.stop.Store(true)
	holderOf(t, twilio.New(w.Ledger, unlucky, twilio.Options{Options: dialect.Options{Now: w.Clock.Now}}), brief).wants(500, 20500, "POST", "/Accounts.json", "")
	until(w, "2026-03-01T12:06:00Z")
	for range 2 {
		if err := w.Ledger.ActDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for row, err := range w.Ledger.Scan(t.Context(), ledger.Query{List: ledger.ListDeadlines, Until: 1 << 62}) {
		t.Errorf("left is %+v, %v", row.Due, err)
	}
}

// dated is a world whose clock can be moved, and a server on it.
func dated(t *testing.T, at string, o twilio.Options) (*dialecttest.World, *twilio.Server) {
	t.Helper()
	start, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	w := dialecttest.OpenAt(t, start)
	o.Now = w.Clock.Now
	return w, twilio.New(w.Ledger, w.Auth, o)
}

// until moves a world's clock, in steps that the ledger believes.
func until(w *dialecttest.World, at string) {
	end, err := time.Parse(time.RFC3339, at)
	if err != nil {
		w.T.Fatal(err)
	}
	for now := w.Clock.Now(); now.Before(end); {
		if now = now.Add(12 * time.Hour); now.After(end) {
			now = end
		}
		w.Clock.Set(now)
		if _, err := w.Ledger.Now(); err != nil {
			w.T.Fatal(err)
		}
	}
}

func use(w *dialecttest.World, id ledger.AccountID, amount, category, count string) {
	w.T.Helper()
	_, err := w.Native.Charge(w.T.Context(), id.String(), native.TransferRequest{ID: w.ID("use"), Amount: amount, Usage: native.Usage{Category: category, Count: count, UsageUnit: "messages"}})
	if err != nil {
		w.T.Fatal(err)
	}
}

// TestUsageByDay uses things over years, and sums them up in every way.
func TestUsageByDay(t *testing.T) {
	w, s := dated(t, "2024-12-30T12:00:00Z", twilio.Options{})
	main := w.Account("USD", "100")
	child := w.Open(native.AccountRequest{Parent: main.String(), Mode: "drawing"}, "")
	a := holderOf(t, s, admin(w, main))
	use(w, main, "1", "sms", "1")
	until(w, "2025-01-31T23:59:59Z")
	use(w, main, "2", "sms", "2")
	until(w, "2025-02-01T00:00:00Z")
	use(w, child, "4", "calls", "3")
	until(w, "2025-03-01T08:00:00Z")
	use(w, main, "8", "sms", "4")
	w.Charge(main, "16") // of no category
	shows := func(path string, want ...string) {
		t.Helper()
		got := a.wants(200, 0, "GET", "/Accounts/{}/Usage/Records"+path, "")
		var lines []string
		for _, r := range got["usage_records"].([]any) {
			r := r.(map[string]any)
			lines = append(lines, fmt.Sprintf("%s %s..%s %s %s", r["category"], r["start_date"], r["end_date"], member(r, "count"), r["price"]))
		}
		if !slices.Equal(lines, want) {
			t.Errorf("%s is\n%s\nwant\n%s", path, strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	}
	const all = "2024-12-30..2025-03-01"
	shows(".json", "totalprice "+all+"  31", "calls "+all+" 3 4", "sms "+all+" 7 11")
	shows("/AllTime.json?IncludeSubaccounts=false", "totalprice "+all+"  27", "sms "+all+" 7 11")
	shows("/AllTime.json?Category=calls&IncludeSubaccounts=False", "calls "+all+" 0 0")
	shows(".json?Category=sms&StartDate=2025-01-01&EndDate=2025-01-31", "sms 2025-01-01..2025-01-31 2 2")
	shows(".json?Category=sms&StartDate=-30days&EndDate=%2B30days", "sms 2025-01-30..2025-03-31 6 10")
	shows(".json?Category=sms&StartDate=2008-01-02&EndDate=2008-01-02", "sms 2008-01-02..2008-01-02 0 0")
	shows(".json?Category=sms&StartDate=2025-02-02&EndDate=2025-02-01")
	shows("/Today.json?Category=totalprice", "totalprice 2025-03-01..2025-03-01  24")
	shows("/Yesterday.json?Category=totalprice", "totalprice 2025-02-28..2025-02-28  0")
	shows("/ThisMonth.json?Category=totalprice", "totalprice 2025-03-01..2025-03-01  24")
	shows("/LastMonth.json?Category=totalprice", "totalprice 2025-02-01..2025-02-28  4")
	shows("/Monthly.json?Category=totalprice", "totalprice 2025-03-01..2025-03-01  24", "totalprice 2025-02-01..2025-02-28  4",
		"totalprice 2025-01-01..2025-01-31  2", "totalprice 2024-12-30..2024-12-31  1")
	shows("/Yearly.json", "totalprice 2025-01-01..2025-03-01  30", "calls 2025-01-01..2025-03-01 3 4", "sms 2025-01-01..2025-03-01 6 10",
		"totalprice 2024-12-30..2024-12-31  1", "calls 2024-12-30..2024-12-31 0 0", "sms 2024-12-30..2024-12-31 1 1")
	shows("/Daily.json?Category=sms&StartDate=2025-01-31&EndDate=2025-02-01", "sms 2025-02-01..2025-02-01 0 0", "sms 2025-01-31..2025-01-31 2 2")
	// A page ends within a day, and the next goes on there.
	got := a.wants(200, 0, "GET", "/Accounts/{}/Usage/Records/Daily.json?PageSize=2&StartDate=2025-02-28", "")
	n := 0
	for next := member(got, "next_page_uri"); next != ""; n++ {
		got = a.wants(200, 0, "GET", strings.TrimPrefix(next, "/2010-04-01"), "")
		next = member(got, "next_page_uri")
	}
	if last := got["usage_records"].([]any); n != 2 || len(last) != 2 || last[1].(map[string]any)["category"] != "sms" || last[1].(map[string]any)["end_date"] != "2025-02-28" {
		t.Errorf("after %d pages comes %v", n, got)
	}

	// A refund gives the price back on its day, and no count.
	if _, err := w.Ledger.Post(t.Context(), &ledger.Command{Tenant: w.Tenant.Number, Book: 1, ID: "use-x", Ops: []ledger.Op{
		&ledger.Transfer{Kind: ledger.Charge, From: main, To: ledger.SystemID(1, 0, ledger.Revenue), Amount: money.New(5_000_000), Usage: ledger.Usage{Category: "fax", Count: money.New(2)}}}}); err != nil {
		t.Fatal(err)
	}
	until(w, "2025-03-02T08:00:00Z")
	if _, err := w.Ledger.Post(t.Context(), &ledger.Command{Tenant: w.Tenant.Number, Book: 1, ID: "back-x", Ops: []ledger.Op{&ledger.Refund{Of: "use-x"}}}); err != nil {
		t.Fatal(err)
	}
	shows("/Today.json?Category=fax", "fax 2025-03-02..2025-03-02 0 -5")
	shows("/Yesterday.json?Category=fax", "fax 2025-03-01..2025-03-01 2 5")
	shows("/AllTime.json?Category=fax", "fax 2024-12-30..2025-03-02 2 0")
}

// TestTriggersFireOnce has two servers look at the same triggers again and again.
func TestTriggersFireOnce(t *testing.T) {
	w, s := dated(t, "2026-01-30T12:00:00Z", twilio.Options{})
	other := twilio.NewWatcher(twilio.New(w.Ledger, w.Auth, twilio.Options{}))
	mine := twilio.NewWatcher(s)
	main := w.Account("USD", "100")
	a := holderOf(t, s, admin(w, main))
	create := func(form string) string {
		t.Helper()
		return member(a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", "CallbackUrl=http://127.0.0.1:1/&"+form), "sid")
	}
	names := map[string]string{
		create("UsageCategory=sms&TriggerValue=5"):                                                    "once",
		create("UsageCategory=sms&TriggerValue=5&TriggerBy=count&Recurring=daily"):                    "daily",
		create("UsageCategory=totalprice&TriggerValue=7&TriggerBy=price&Recurring=monthly"):           "monthly",
		create("UsageCategory=sms&TriggerValue=1000&Recurring=yearly"):                                "never",
		create("UsageCategory=balance&TriggerValue=90"):                                               "low",
		create("UsageCategory=balance&TriggerValue=90&Recurring=alltime"):                             "each low",
		create("UsageCategory=balance&TriggerValue=90&Recurring=daily"):                               "daily low",
		create("UsageCategory=totalprice&TriggerValue=%2B6&TriggerBy=usage&Recurring=alltime"):        "all",
		create("UsageCategory=sms&TriggerValue=6&TriggerBy=usage&CallbackMethod=get&Recurring=daily"): "later",
	}
	looks := func(want ...string) {
		t.Helper()
		var all sync.WaitGroup
		for _, one := range []*twilio.Watcher{mine, other, twilio.NewWatcher(s)} {
			all.Go(func() {
				for range 3 {
					if err := one.Look(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		keys, err := s.Firings(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, key := range keys {
			sid, crossing, _ := strings.Cut(key, "/")
			if name := names[sid]; name != "each low" {
				got = append(got, name+" "+crossing)
			} else {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("fired are %q, want %q", got, want)
		}
	}
	looks()
	use(w, main, "4", "sms", "4")
	looks()
	use(w, main, "2", "sms", "1")
	first := []string{"once once", "daily 2026-01-30", "all once"}
	looks(slices.Clone(first)...)
	// What crosses its value just before the day ends is seen the day after.
	until(w, "2026-01-30T23:59:59Z")
	use(w, main, "1", "sms", "1")
	until(w, "2026-01-31T00:00:30Z")
	second := append(first, "later 2026-01-30", "monthly 2026-01")
	looks(slices.Clone(second)...)
	use(w, main, "4", "sms", "5")
	third := append(second, "daily 2026-01-31", "low once", "each low", "daily low 2026-01-31") // 89 are left
	looks(slices.Clone(third)...)
	use(w, main, "1", "", "")
	looks(slices.Clone(third)...)
	// What fires each time has to be above its value in between.
	w.TopUp(main, "10")
	looks(slices.Clone(third)...)
	use(w, main, "9", "", "")
	fourth := append(third, "each low")
	looks(slices.Clone(fourth)...)
	// What is daily fires the next day as long as it is low, whether anything happens or not.
	until(w, "2026-02-01T00:00:00Z")
	looks(append(fourth, "daily low 2026-02-01")...)
}

// TestCallbacks is how URLs are called: signed, again when that fails, with one
// token each crossing, by whoever is there.
func TestCallbacks(t *testing.T) {
	w := dialecttest.Open(t)
	main := w.Account("USD", "100")
	issued := admin(w, main)
	h := &hook{seen: map[string]int{}, told: make(chan call, 10)}
	at := httptest.NewServer(h)
	defer at.Close()

	first := twilio.New(w.Ledger, w.Auth, twilio.Options{Every: 10 * time.Millisecond})
	first.SetPauses(time.Second) // so that who comes later has to do it
	a := holderOf(t, first, issued)
	a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", "UsageCategory=sms&TriggerValue=1&CallbackMethod=GET&CallbackUrl="+url.QueryEscape(at.URL+"/hook?x=1#part"))
	use(w, main, "1", "sms", "1")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { first.Run(ctx) })
	for range 500 {
		h.mu.Lock()
		n := len(h.calls)
		h.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	running.Wait()
	h.mu.Lock()
	failed := h.calls[0]
	h.mu.Unlock()
	u, _ := url.Parse(failed.url)
	q := u.Query()
	if failed.method != "GET" || q.Get("x") != "1" || q.Get("AccountSid") != sid(main) || q.Get("CurrentValue") != "1" || q.Get("IdempotencyToken") == "" || len(failed.params) != 0 {
		t.Errorf("the call is %+v", failed)
	}
	if want := twilio.Signature(failed.url, nil, issued.Secret); failed.signature != want {
		t.Errorf("the signature is %s, want %s", failed.signature, want)
	}
	keys, err := first.Firings(t.Context(), 1)
	if err != nil || len(keys) != 1 {
		t.Errorf("left to be told is %v, %v", keys, err)
	}
	serveAll(w, twilio.Options{Every: 10 * time.Millisecond})
	again := next(t, h)
	if again.url != failed.url || again.signature != failed.signature {
		t.Errorf("again it is %+v, after %+v", again, failed)
	}
	for range 100 {
		if keys, err = first.Firings(t.Context(), 1); err == nil && len(keys) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("left to be told is %v, %v", keys, err)
}

// TestCallbacksEnd gives up, and forgets what was deleted. Nothing that is logged
// repeats an address, which may have a secret in it.
func TestCallbacksEnd(t *testing.T) {
	w := dialecttest.Open(t)
	main := w.Account("USD", "100")
	var log bytes.Buffer
	o := twilio.Options{Every: 10 * time.Millisecond}
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := twilio.New(w.Ledger, w.Auth, o)
	s.SetPauses(time.Millisecond)
	a := holderOf(t, s, admin(w, main))
	a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", "UsageCategory=sms&TriggerValue=1&CallbackUrl=http://127.0.0.1:1/s3cret")
	gone := a.wants(201, 0, "POST", "/Accounts/{}/Usage/Triggers.json", "UsageCategory=sms&TriggerValue=1&CallbackUrl=http://127.0.0.1:1/")
	use(w, main, "1", "sms", "1")
	if err := twilio.NewWatcher(s).Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.Firings(t.Context(), 1); len(keys) != 2 || err != nil {
		t.Fatalf("to be told are %v, %v", keys, err)
	}
	a.wants(204, 0, "DELETE", "/Accounts/{}/Usage/Triggers/"+member(gone, "sid")+".json", "")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	ended := false
	for n := 0; n < 1000 && !ended; n++ {
		time.Sleep(10 * time.Millisecond)
		keys, err := s.Firings(t.Context(), 1)
		ended = err == nil && len(keys) == 0
	}
	stop()
	running.Wait()
	if !ended {
		t.Error("it goes on for ever")
	}
	if text := log.String(); !strings.Contains(text, "given up") || strings.Contains(text, "s3cret") {
		t.Errorf("logged was %s", text)
	}
}

// TestSignature compares with a signature that the vendor's own helper made.
func TestSignature(t *testing.T) {
	v, err := url.ParseQuery("AccountSid=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&UsageTriggerSid=UTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&DateFired=Sun%2C+04+Oct+2026+12%3A00%3A00+%2B0000&Recurring=monthly&UsageCategory=totalprice&TriggerBy=price&TriggerValue=60&CurrentValue=60.52&UsageRecordUri=%2F2010-04-01%2FAccounts%2FACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%2FUsage%2FRecords.json%3FCategory%3Dtotalprice&IdempotencyToken=idem-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := twilio.Signature("https://example.test/hooks/twilio-usage", v, "0123456789abcdef0123456789abcdef"); got != "mn/Bwni+QoBgYPWJwIL/YnXCpSU=" {
		t.Errorf("the signature is %s", got)
	}
}

// TestDirect calls no address where clouds keep what is secret.
func TestDirect(t *testing.T) {
	for _, at := range []string{"http://169.254.169.254/latest", "http://[fe80::1%25lo]/", "http://0.0.0.0:1/", "http://[::ffff:169.254.169.254]/"} {
		if _, err := twilio.Direct().Get(at); err == nil || !strings.Contains(err.Error(), "not called") {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// TestConcurrency answers no more at once than it may, of one account.
func TestConcurrency(t *testing.T) {
	w := dialecttest.Open(t)
	s := twilio.New(w.Ledger, w.Auth, twilio.Options{Concurrent: 1})
	one, two := holderOf(t, s, admin(w, w.Account("USD", "1"))), holderOf(t, s, admin(w, w.Account("USD", "1")))
	var all sync.WaitGroup
	statuses := make(chan int, 400)
	for range 8 {
		all.Go(func() {
			for range 50 {
				st, _ := one.ask("GET", "/Accounts/{}/Usage/Records.json", "")
				statuses <- st
			}
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for st := range statuses {
		count[st]++
	}
	if count[200] == 0 || count[429] == 0 || count[200]+count[429] != 400 {
		t.Errorf("answers are %v", count)
	}
	one.wants(200, 0, "GET", "/Accounts/{}/Balance.json", "")
	two.wants(200, 0, "GET", "/Accounts/{}/Balance.json", "")
}

func FuzzPageToken(f *testing.F) {
	for _, s := range []string{"", "AA", "AGFi", "AQFhYg", "!!", "AQA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if again, ok := twilio.ReadToken(token); ok {
			if once, ok := twilio.ReadToken(again); !ok || once != again {
				t.Errorf("%q becomes %q, then %q", token, again, once)
			}
		}
		if again, ok := twilio.ReadPlace(token); ok && again != token {
			t.Errorf("the place %q becomes %q", token, again)
		}
	})
}

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"2026-11-22", "-30days", "+30days", "-1day", "", "days", "0001-01-01", "9999-12-31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		day, err := twilio.ParseDay(text, 20000)
		if err == nil && (day < -800_000 || day > 3_000_000) {
			t.Errorf("%q is day %d", text, day)
		}
	})
}

func FuzzCallbackURL(f *testing.F) {
	for _, s := range []string{"http://x/y", "https://[::1]:80/?a=b#c", "ftp://x", "//x", "http://", "http://x\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if twilio.CheckURL(text) != nil {
			return
		}
		if _, err := http.NewRequest("POST", text, nil); err != nil {
			t.Errorf("%q passes and cannot be called: %v", text, err)
		}
	})
}

// FuzzForm posts any form to everything that takes one.
func FuzzForm(f *testing.F) {
	w := dialecttest.Open(f)
	s := twilio.New(w.Ledger, w.Auth, twilio.Options{SubAccounts: 5})
	main := w.Account("USD", "10")
	c := admin(w, main)
	for _, form := range []string{"", "FriendlyName=a&Status=active&Cap=1", "CallbackUrl=http://x/y&TriggerValue=%2B1.5&UsageCategory=balance&TriggerBy=price&Recurring=daily", "a;b", "%", "Status=suspended"} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		if strings.Contains(form, "Status") {
			form = strings.ReplaceAll(form, "suspended", "active") // it would be refused everything from then on
		}
		for _, path := range []string{"/Accounts", "/Accounts/" + sid(main), "/Accounts/" + sid(main) + "/Keys", "/Accounts/" + sid(main) + "/Usage/Triggers"} {
			r := httptest.NewRequest("POST", "/2010-04-01"+path+".json", strings.NewReader(form))
			r.SetBasicAuth(c.Credential.ID, c.Secret)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %q is %d %s", path, form, w.Code, w.Body)
			}
		}
	})
}
