package twilio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/twilio/twilio-go"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
	"saldo/money"
)

// What scripts of testdata return.
type (
	who struct {
		Account string `json:"account"`
		User    string `json:"user"`
		Secret  string `json:"secret"`
	}
	account struct{ SID, Owner, Name, Status, Token, Created, Balance string }
	record  struct{ Category, Count, Usage, Unit, Price, PriceUnit, Start, End string }
	trigger struct {
		SID, Value, Current, By, Category, Name, Recurring, URL string
		Fired                                                   bool
	}
	key struct{ SID, Name, Secret string }
)

// A caller makes a call by a vendor's own client, named and with arguments as in
// the scripts, and puts what that returned into out; or returns what it raised.
type caller func(out any, call string, args ...any) *raised

// scripted is a caller by a script.
func scripted(t *testing.T, c *dialecttest.Client) caller {
	return func(out any, call string, args ...any) *raised {
		t.Helper()
		a := c.Call(call, args...)
		if a.Error != nil {
			status, _ := a.Error["status"].(float64)
			code, _ := a.Error["code"].(float64)
			return &raised{status: int(status), code: int(code), message: fmt.Sprint(a.Error["message"])}
		}
		reflect.ValueOf(out).Elem().SetZero()
		if err := json.Unmarshal(a.Value, out); err != nil {
			t.Fatalf("%s returned %s: %v", call, a.Value, err)
		}
		return nil
	}
}

// text is what a pointer of twilio-go's points to.
func text[T any](p *T) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}

// opt is a parameter of twilio-go's, left out if it is "".
func opt(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// inGo is a caller by twilio-go.
func inGo(t *testing.T, base string) caller {
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	connect := func(w who) *openapi.ApiService {
		c := &client.Client{Credentials: client.NewCredentials(w.User, w.Secret), HTTPClient: &http.Client{Transport: redirected{at.Scheme, at.Host}}}
		c.SetAccountSid(w.Account)
		return sdk.NewRestClientWithParams(sdk.ClientParams{Client: c}).Api
	}
	toAccount := func(a *openapi.ApiV2010Account) account {
		uris := *a.SubresourceUris
		return account{*a.Sid, *a.OwnerAccountSid, *a.FriendlyName, *a.Status, text(a.AuthToken), *a.DateCreated, fmt.Sprint(uris["balance"])}
	}
	toTrigger := func(u *openapi.ApiV2010UsageTrigger) trigger {
		return trigger{*u.Sid, *u.TriggerValue, *u.CurrentValue, *u.TriggerBy, *u.UsageCategory, *u.FriendlyName, text(u.Recurring), *u.CallbackUrl, u.DateFired != nil}
	}
	do := func(call string, args []any) (any, error) {
		s := func(i int) string { v, _ := args[i].(string); return v }
		if call == "validate" {
			v := client.NewRequestValidator(s(0))
			return v.Validate(s(1), args[2].(map[string]string), s(3)), nil
		}
		if call == "balance" {
			b, err := connect(who{s(0), s(1), s(2)}).FetchBalance(&openapi.FetchBalanceParams{})
			if err != nil {
				return nil, err
			}
			return []string{*b.Balance, *b.Currency}, nil
		}
		api := connect(args[0].(who))
		switch call {
		case "createAccount":
			a, err := api.CreateAccount(&openapi.CreateAccountParams{FriendlyName: opt(s(1))})
			if err != nil {
				return nil, err
			}
			return toAccount(a), nil
		case "fetchAccount":
			a, err := api.FetchAccount(s(1))
			if err != nil {
				return nil, err
			}
			return toAccount(a), nil
		case "updateAccount":
			a, err := api.UpdateAccount(s(1), &openapi.UpdateAccountParams{FriendlyName: opt(s(2)), Status: opt(s(3))})
			if err != nil {
				return nil, err
			}
			return toAccount(a), nil
		case "listAccounts":
			size := args[3].(int)
			found, err := api.ListAccount(&openapi.ListAccountParams{FriendlyName: opt(s(1)), Status: opt(s(2)), PageSize: &size})
			all := []account{}
			for i := range found {
				all = append(all, toAccount(&found[i]))
			}
			return all, err
		case "createKey":
			k, err := api.CreateNewKey(&openapi.CreateNewKeyParams{FriendlyName: opt(s(1))})
			if err != nil {
				return nil, err
			}
			return key{*k.Sid, *k.FriendlyName, *k.Secret}, nil
		case "fetchKey":
			k, err := api.FetchKey(s(1), &openapi.FetchKeyParams{})
			if err != nil {
				return nil, err
			}
			return key{*k.Sid, *k.FriendlyName, ""}, nil
		case "updateKey":
			k, err := api.UpdateKey(s(1), &openapi.UpdateKeyParams{FriendlyName: opt(s(2))})
			if err != nil {
				return nil, err
			}
			return key{*k.Sid, *k.FriendlyName, ""}, nil
		case "deleteKey":
			return true, api.DeleteKey(s(1), &openapi.DeleteKeyParams{})
		case "listKeys":
			found, err := api.ListKey(&openapi.ListKeyParams{})
			all := []key{}
			for _, k := range found {
				all = append(all, key{*k.Sid, *k.FriendlyName, ""})
			}
			return all, err
		case "usage":
			return goUsage(api, s(1), opt(s(2)), args[3].(int))
		case "createTrigger":
			u, err := api.CreateUsageTrigger(&openapi.CreateUsageTriggerParams{UsageCategory: opt(s(1)), TriggerBy: opt(s(2)), TriggerValue: opt(s(3)),
				Recurring: opt(s(4)), CallbackUrl: opt(s(5)), FriendlyName: opt("first")})
			if err != nil {
				return nil, err
			}
			return toTrigger(u), nil
		case "fetchTrigger":
			u, err := api.FetchUsageTrigger(s(1), &openapi.FetchUsageTriggerParams{})
			if err != nil {
				return nil, err
			}
			return toTrigger(u), nil
		case "updateTrigger":
			u, err := api.UpdateUsageTrigger(s(1), &openapi.UpdateUsageTriggerParams{FriendlyName: opt(s(2))})
			if err != nil {
				return nil, err
			}
			return toTrigger(u), nil
		case "deleteTrigger":
			return true, api.DeleteUsageTrigger(s(1), &openapi.DeleteUsageTriggerParams{})
		case "listTriggers":
			found, err := api.ListUsageTrigger(&openapi.ListUsageTriggerParams{Recurring: opt(s(1))})
			all := []trigger{}
			for i := range found {
				all = append(all, toTrigger(&found[i]))
			}
			return all, err
		}
		return nil, errors.New("no such call")
	}
	return func(out any, call string, args ...any) *raised {
		t.Helper()
		v, err := do(call, args)
		var e *client.TwilioRestError
		if errors.As(err, &e) {
			return &raised{status: e.Status, code: e.Code, message: e.Message}
		}
		if err != nil {
			t.Fatalf("%s: %v", call, err)
		}
		reflect.ValueOf(out).Elem().Set(reflect.ValueOf(v))
		return nil
	}
}

// goUsage reads usage records. twilio-go makes a float32 of their prices.
func goUsage(api *openapi.ApiService, list string, category *string, size int) ([]record, error) {
	all := []record{}
	add := func(category, count, usage, unit, currency, start, end *string, price *float32) {
		all = append(all, record{text(category), text(count), text(usage), text(unit), text(price), text(currency), text(start), text(end)})
	}
	switch list {
	case "":
		found, err := api.ListUsageRecord(&openapi.ListUsageRecordParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "Today":
		found, err := api.ListUsageRecordToday(&openapi.ListUsageRecordTodayParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "Yesterday":
		found, err := api.ListUsageRecordYesterday(&openapi.ListUsageRecordYesterdayParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "ThisMonth":
		found, err := api.ListUsageRecordThisMonth(&openapi.ListUsageRecordThisMonthParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "LastMonth":
		found, err := api.ListUsageRecordLastMonth(&openapi.ListUsageRecordLastMonthParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "Daily":
		found, err := api.ListUsageRecordDaily(&openapi.ListUsageRecordDailyParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "Monthly":
		found, err := api.ListUsageRecordMonthly(&openapi.ListUsageRecordMonthlyParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	case "Yearly":
		found, err := api.ListUsageRecordYearly(&openapi.ListUsageRecordYearlyParams{Category: category, PageSize: &size})
		for _, r := range found {
			add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
		}
		return all, err
	}
	found, err := api.ListUsageRecordAllTime(&openapi.ListUsageRecordAllTimeParams{Category: category, PageSize: &size})
	for _, r := range found {
		add(r.Category, r.Count, r.Usage, r.UsageUnit, r.PriceUnit, r.StartDate, r.EndDate, r.Price)
	}
	return all, err
}

func TestAccountsInGo(t *testing.T) { siblings(t, inGo) }

func TestAccountsInNode(t *testing.T) {
	siblings(t, func(t *testing.T, url string) caller {
		return scripted(t, dialecttest.Node(t, "sdk.mjs", "SALDO="+url))
	})
}

func TestAccountsInPython(t *testing.T) {
	siblings(t, func(t *testing.T, url string) caller {
		return scripted(t, dialecttest.Python(t, "sdk.py", "SALDO="+url))
	})
}

// A hook takes callbacks. It fails the first call about each firing.
type hook struct {
	mu    sync.Mutex
	calls []call
	seen  map[string]int
	told  chan call // those that were answered well
}

type call struct {
	method, url, signature string
	params                 map[string]string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := call{r.Method, "http://" + r.Host + r.URL.String(), r.Header.Get("X-Twilio-Signature"), map[string]string{}}
	v, _ := url.ParseQuery(string(body))
	for name := range v {
		c.params[name] = v.Get(name)
	}
	token := v.Get("IdempotencyToken") + r.URL.Query().Get("IdempotencyToken")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	if h.seen[token]++; h.seen[token] == 1 {
		w.WriteHeader(500)
		return
	}
	h.told <- c
}

// admin issues an auth token that may manage its account.
func admin(w *dialecttest.World, account ledger.AccountID) auth.Issued {
	w.T.Helper()
	return w.Issue(auth.Twilio, account, auth.Read|auth.Charge|auth.Admin)
}

// serveAll serves everything, its callbacks included, until the test ends.
func serveAll(w *dialecttest.World, o twilio.Options) string {
	s := twilio.New(w.Ledger, w.Auth, o)
	s.SetPauses(20 * time.Millisecond)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	w.T.Cleanup(func() { stop(); running.Wait() })
	return w.Serve(s)
}

// siblings has a vendor's own client do all that there is beside the balance.
func siblings(t *testing.T, open func(*testing.T, string) caller) {
	w := dialecttest.Open(t)
	do := open(t, serveAll(w, twilio.Options{Every: 20 * time.Millisecond}))
	must := func(out any, call string, args ...any) {
		t.Helper()
		if err := do(out, call, args...); err != nil {
			t.Fatalf("%s raised %+v", call, err)
		}
	}
	refused := func(status, code int, call string, args ...any) {
		t.Helper()
		var out any
		if err := do(&out, call, args...); err == nil || err.status != status || err.code != code {
			t.Errorf("%s raised %+v, want %d, %d", call, err, status, code)
		}
	}
	main := w.Account("USD", "20")
	issued := admin(w, main)
	me := who{sid(main), issued.Credential.ID, issued.Secret}

	// A sub-account draws on the main account.
	var child, got account
	must(&child, "createAccount", me, "Ann's")
	childID, ok := ledger.ParseAccountID(child.SID[2:])
	if !ok || child.Owner != sid(main) || child.Name != "Ann's" || child.Status != "active" || len(child.Token) != 32 ||
		child.Balance != "/2010-04-01/Accounts/"+child.SID+"/Balance.json" {
		t.Fatalf("a sub-account is %+v", child)
	}
	its := who{child.SID, child.SID, child.Token}
	if must(&got, "fetchAccount", its, child.SID); got != child {
		t.Errorf("of itself it is %+v, of its parent %+v", got, child)
	}
	if must(&got, "fetchAccount", me, sid(main)); got.Token != issued.Secret || got.Owner != sid(main) {
		t.Errorf("the main account is %+v", got)
	}
	charge := func(id ledger.AccountID, amount, category, count string) {
		t.Helper()
		_, err := w.Native.Charge(t.Context(), id.String(), native.TransferRequest{ID: w.ID("c"), Amount: amount,
			Usage: native.Usage{Category: category, Count: count, UsageUnit: "messages"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	charge(childID, "1.25", "sms", "5")
	charge(main, "0.75", "sms", "1")
	charge(main, "2", "calls", "3")
	shows(t, do, me, "16.00")

	// Accounts are listed, filtered, renamed.
	var all []account
	var second account
	must(&second, "createAccount", me, "")
	if !strings.HasPrefix(second.Name, "SubAccount Created at 20") {
		t.Errorf("without a name it is called %q", second.Name)
	}
	must(&second, "updateAccount", me, second.SID, "Bob's", "")
	sids := func() (s []string) {
		for _, a := range all {
			s = append(s, a.SID)
		}
		return s
	}
	if must(&all, "listAccounts", me, "", "", 1); !reflect.DeepEqual(sids(), []string{sid(main), child.SID, second.SID}) {
		t.Errorf("the accounts are %+v", all)
	}
	if must(&all, "listAccounts", me, "Bob's", "", 50); !reflect.DeepEqual(sids(), []string{second.SID}) {
		t.Errorf("Bob's are %+v", all)
	}
	if must(&all, "listAccounts", its, "", "", 50); !reflect.DeepEqual(sids(), []string{child.SID}) {
		t.Errorf("a sub-account sees %+v", all)
	}
	refused(403, 20006, "createAccount", its, "x")
	refused(404, 20404, "fetchAccount", me, "AC00112233445566778899aabbccddeeff")
	refused(401, 20003, "fetchAccount", its, sid(main))

	// Suspended: its credentials are not taken. Closed is for good.
	must(&got, "updateAccount", me, child.SID, "", "suspended")
	refused(401, 20003, "fetchAccount", its, child.SID)
	if must(&all, "listAccounts", me, "", "suspended", 50); !reflect.DeepEqual(sids(), []string{child.SID}) {
		t.Errorf("suspended are %+v", all)
	}
	must(&got, "updateAccount", me, child.SID, "", "active")
	if must(&got, "fetchAccount", its, child.SID); got.Status != "active" {
		t.Errorf("active again it is %+v", got)
	}
	must(&second, "updateAccount", me, second.SID, "", "closed")
	refused(400, 21479, "updateAccount", me, second.SID, "", "active")
	refused(400, 20001, "updateAccount", me, child.SID, "", "sleeping")

	// Usage.
	var records []record
	today := time.Now().UTC().Format(time.DateOnly)
	wants := func(list, category string, want ...string) {
		t.Helper()
		must(&records, "usage", me, list, category, 2)
		var got []string
		for _, r := range records {
			if r.PriceUnit != "usd" || r.End != today && list != "Yesterday" && list != "LastMonth" {
				t.Errorf("%+v", r)
			}
			got = append(got, strings.TrimSpace(fmt.Sprint(r.Category, " ", r.Count, " ", r.Usage, r.Unit, " ", r.Price)))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s is %q, want %q", list, category, got, want)
		}
	}
	for _, list := range []string{"", "AllTime", "Today", "ThisMonth", "Daily", "Monthly", "Yearly"} {
		wants(list, "", "totalprice  4usd 4", "calls 3 3messages 2", "sms 6 6messages 2")
		wants(list, "sms", "sms 6 6messages 2")
	}
	for _, list := range []string{"Yesterday", "LastMonth"} {
		wants(list, "", "totalprice  0usd 0", "calls 0 0 0", "sms 0 0 0")
	}

	// A trigger is called once for each crossing, signed, and tried again.
	h := &hook{seen: map[string]int{}, told: make(chan call, 10)}
	at := httptest.NewServer(h)
	defer at.Close()
	var u trigger
	must(&u, "createTrigger", me, "sms", "price", "+1.5", "daily", at.URL+"/hook?a=b")
	if u.Value != "3.5" || u.Current != "2" || u.By != "price" || u.Recurring != "daily" || u.Fired || u.Name != "first" || !strings.HasPrefix(u.SID, "UT") {
		t.Errorf("the trigger is %+v", u)
	}
	var low, counted trigger
	must(&low, "createTrigger", me, "balance", "price", "14", "", at.URL+"/low")
	must(&counted, "createTrigger", me, "calls", "count", "1000", "", at.URL+"/never")
	charge(childID, "1.4", "sms", "1")
	time.Sleep(100 * time.Millisecond)
	charge(childID, "0.11", "sms", "1")
	c := next(t, h)
	if c.params["UsageTriggerSid"] != u.SID || c.params["AccountSid"] != sid(main) || c.params["TriggerValue"] != "3.5" || c.params["CurrentValue"] != "3.51" ||
		c.params["Recurring"] != "daily" || c.params["UsageCategory"] != "sms" || c.params["TriggerBy"] != "price" ||
		c.params["UsageRecordUri"] != "/2010-04-01/Accounts/"+sid(main)+"/Usage/Records.json?Category=sms" || len(c.params) != 10 {
		t.Errorf("the callback is %+v", c)
	}
	var valid bool
	if must(&valid, "validate", issued.Secret, c.url, c.params, c.signature); !valid {
		t.Errorf("the SDK finds the signature wrong of %+v", c)
	}
	c.params["CurrentValue"] = "9"
	if must(&valid, "validate", issued.Secret, c.url, c.params, c.signature); valid {
		t.Error("the SDK finds the signature of something else right")
	}
	charge(main, "1", "fax", "1") // 13.49 are left
	if c := next(t, h); c.params["UsageTriggerSid"] != low.SID || c.params["CurrentValue"] != "13.49" {
		t.Errorf("the callback of a balance is %+v", c)
	}
	if must(&u, "fetchTrigger", me, u.SID); !u.Fired || u.Current != "3.51" {
		t.Errorf("the trigger is %+v", u)
	}
	must(&u, "updateTrigger", me, u.SID, "second")
	var triggers []trigger
	if must(&triggers, "listTriggers", me, "daily"); len(triggers) != 1 || triggers[0] != u || u.Name != "second" {
		t.Errorf("the daily triggers are %+v", triggers)
	}
	if must(&triggers, "listTriggers", me, ""); len(triggers) != 3 {
		t.Errorf("the triggers are %+v", triggers)
	}
	var done bool
	must(&done, "deleteTrigger", me, counted.SID)
	refused(404, 20404, "fetchTrigger", me, counted.SID)
	charge(main, "0.1", "sms", "1")
	time.Sleep(200 * time.Millisecond)
	if h.mu.Lock(); len(h.calls) != 4 { // each once wrong and once well
		t.Errorf("%d calls: %+v", len(h.calls), h.calls)
	}
	h.mu.Unlock()

	// A thousand records, in pages.
	c2 := &ledger.Command{Tenant: w.Tenant.Number, Book: 1, ID: w.ID("many")}
	for i := range 1000 {
		c2.Ops = append(c2.Ops, &ledger.Transfer{Kind: ledger.Charge, From: main, To: ledger.SystemID(1, 0, ledger.Revenue), Amount: money.New(1),
			Usage: ledger.Usage{Category: fmt.Sprintf("many-%03d", i)}})
	}
	if _, err := w.Ledger.Post(t.Context(), c2); err != nil {
		t.Fatal(err)
	}
	must(&records, "usage", me, "Today", "", 90)
	if len(records) != 1004 || records[0].Category != "totalprice" || records[4-1].Category != "many-000" || records[1002].Category != "many-999" || records[1003].Category != "sms" {
		t.Errorf("%d records: %+v …", len(records), records[:min(len(records), 5)])
	}

	// A key is made, used, renamed, and replaced by another.
	var old, fresh key
	must(&old, "createKey", me, "old")
	byKey := who{sid(main), old.SID, old.Secret}
	must(&records, "usage", byKey, "", "sms", 50)
	refused(403, 20006, "createKey", byKey, "x")
	must(&fresh, "createKey", me, "new")
	if must(&fresh, "updateKey", me, fresh.SID, "newer"); fresh.Name != "newer" || fresh.Secret != "" {
		t.Errorf("renamed it is %+v", fresh)
	}
	must(&done, "deleteKey", me, old.SID)
	refused(401, 20003, "fetchKey", byKey, fresh.SID) // of pages Python raises no code
	refused(404, 20404, "fetchKey", me, old.SID)
	var keys []key
	if must(&keys, "listKeys", me); len(keys) != 1 || keys[0] != (key{fresh.SID, "newer", ""}) {
		t.Errorf("the keys are %+v", keys)
	}
}

// shows wants a balance.
func shows(t *testing.T, do caller, w who, want string) {
	t.Helper()
	var got []string
	if err := do(&got, "balance", w.Account, w.User, w.Secret); err != nil || got[0] != want || got[1] != "USD" {
		t.Errorf("the balance is %q, %+v; want %s", got, err, want)
	}
}

// next is the next callback that was answered well.
func next(t *testing.T, h *hook) call {
	t.Helper()
	select {
	case c := <-h.told:
		return c
	case <-time.After(10 * time.Second):
		h.mu.Lock()
		defer h.mu.Unlock()
		t.Fatalf("no callback came: %+v", h.calls)
	}
	return call{}
}
