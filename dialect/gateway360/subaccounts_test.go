package gateway360

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

// about is a body that names a sub-account.
func (s *shop) about(user, more string) string {
	return `{"api_key":"` + s.key + `","user_name":"` + user + `"` + more + `}`
}

const person1 = `,"email":"me@email.com","name":"John","surname":"Doe","password":"new_subaccount_password","language":"es"`

// create makes a sub-account, and returns its key.
func (s *shop) create(t *testing.T, user string) string {
	t.Helper()
	_, answer := s.call(pathSubaccountCreate, s.about(user, person1), "")
	var said struct {
		Result struct {
			UserName string `json:"user_name"`
			Password string
			APIKey   string `json:"api_key"`
		}
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil {
		t.Fatal(err)
	}
	if r := said.Result; r.UserName != user || r.Password != "new_subaccount_password" || len(r.APIKey) != 32 {
		t.Fatalf("creating %s is %s", user, answer)
	}
	return said.Result.APIKey
}

// says makes a call, and holds what is answered to what it has to have.
func (s *shop) says(t *testing.T, path, body, want string) {
	t.Helper()
	if _, got := s.call(path, body, ""); !strings.Contains(got, want) {
		t.Errorf("%s %s is %s, want %s", path, body, got, want)
	}
}

// TestSubaccount follows a sub-account from its beginning to its end.
func TestSubaccount(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	key := s.create(t, "shop1")
	sub := &shop{World: s.World, h: s.h, key: key}
	s.says(t, pathSubaccountInfo, s.about("shop1", ""), `{"status":"ok","result":{"user_name":"shop1","email":"me@email.com","balance":"0.0000","currency":"EUR"}}`)
	s.says(t, pathSubaccountAdd, s.about("shop1", `,"amount":"0.12"`), `{"status":"ok","result":{"balance":"0.1200","currency":"EUR"}}`)
	s.want(t, "9.880000 0.000000")
	s.says(t, pathSubaccountDeduct, s.about("shop1", `,"amount":0.02`), `{"status":"ok","result":{"balance":"0.1000","currency":"EUR"}}`)
	s.want(t, "9.900000 0.000000")
	s.says(t, pathSubaccountDeduct, s.about("shop1", `,"amount":"0.100001"`), `"error_id":"NOT_ENOUGH_BALANCE"`)
	s.says(t, pathSubaccountAdd, s.about("shop1", `,"amount":"9.900001"`), `"error_id":"NOT_ENOUGH_BALANCE"`)
	s.says(t, pathSubaccountCreate, s.about("shop1", person1), "name of an account already")

	// Its own key reads and sends, and does nothing else.
	if got := sub.send(nil, to("34612345678")); got != "ok" {
		t.Errorf("the sub-account sends %s", got)
	}
	s.says(t, pathBalance, `{"api_key":"`+key+`"}`, `"balance":"0.0500"`)
	s.says(t, pathSubaccountCreate, sub.about("shop2", person1), `"error_id":"FORBIDDEN"`)
	s.says(t, pathSubaccountDelete, sub.about("shop1", ""), `"error_id":"FORBIDDEN"`)
	s.says(t, pathSubaccountAdd, sub.about("shop1", `,"amount":1`), "must be the name of a subaccount")
	s.want(t, "9.900000 0.000000") // a sub-account's messages are its own

	// Its end: what it has goes back, the key is none any more, the name is free.
	s.says(t, pathSubaccountDelete, s.about("shop1", ""), `{"status":"ok","result":{}}`)
	s.want(t, "9.950000 0.000000")
	s.says(t, pathBalance, `{"api_key":"`+key+`"}`, `"error_id":"UNAUTHORIZED"`)
	for _, path := range []string{pathSubaccountDelete, pathSubaccountInfo, pathSubaccountBalance} {
		s.says(t, path, s.about("shop1", ""), "must be the name of a subaccount")
	}
	if again := s.create(t, "shop1"); again == key {
		t.Error("the key is the same as before")
	}
	s.says(t, pathSubaccountBalance, s.about("shop1", ""), `"balance":"0.0000"`)
}

func TestCreateRefused(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	for _, c := range []struct{ was, is, want string }{
		{`"email":"me@email.com",`, ``, idMissing}, {`"name":"John",`, ``, idMissing}, {`"surname":"Doe",`, `"surname":null,`, idMissing},
		{`"password":"new_subaccount_password",`, `"password":"",`, idMissing}, {`"language":"es"`, `"x":1`, idMissing},
		{`me@email.com`, `nowhere`, idBad}, {`"John"`, `7`, idBad}, {`"Doe"`, `"a\u0000b"`, idBad}, {`"es"`, `"` + strings.Repeat("e", 17) + `"`, idBad},
		{`"es"`, `"es","language":"en"`, idBad}, {`"es"`, `"es","enable_shortener":2`, idBad}, {`"shop1"`, `"` + strings.Repeat("x", 201) + `"`, idBad},
		{`"shop1"`, `""`, idMissing}, {`"shop1"`, `["x"]`, idBad},
	} {
		s.says(t, pathSubaccountCreate, strings.Replace(s.about("shop1", person1), c.was, c.is, 1), `"error_id":"`+c.want+`"`)
	}
	a, err := s.Ledger.Account(t.Context(), s.account)
	if err != nil || a.Children != 0 {
		t.Errorf("the account has %d sub-accounts, %v", a.Children, err)
	}
	s.says(t, pathSubaccountCreate, s.about("shop1", person1+`,"enable_shortener":1`), `"status":"ok"`)

	// A key gets nobody more than it has itself.
	weak, err := s.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: s.Tenant.Number, Root: s.account, Scopes: auth.Admin})
	if err != nil {
		t.Fatal(err)
	}
	s.says(t, pathSubaccountCreate, strings.Replace(s.about("shop2", person1), s.key, weak.Secret, 1), `"error_id":"FORBIDDEN"`)
	near := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	bound, err := s.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: s.Tenant.Number, Root: s.account, Scopes: auth.Admin | auth.Read, Allow: near})
	if err != nil {
		t.Fatal(err)
	}
	s.key = bound.Secret
	s.create(t, "shop3")
	e, err := s.Auth.Resolve(t.Context(), auth.Gateway360, "shop3")
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := s.Auth.List(t.Context(), s.Tenant.Number, e.Account, "", 10)
	if err != nil || len(keys) != 1 || len(keys[0].Allow) != 1 || keys[0].Allow[0] != near[0] || keys[0].Scopes != auth.Read {
		t.Errorf("the new keys are %+v, %v", keys, err)
	}
}

// ending is chance that ends a request where it is needed, as if the server had
// ended.
type ending struct{ now atomic.Bool }

func (e *ending) Read(p []byte) (int, error) {
	if e.now.CompareAndSwap(true, false) {
		panic("the server ends")
	}
	return rand.Read(p)
}

// TestCreateEnds ends the making of a sub-account between the account and its
// key, and after the key: nothing stays of what nobody was told.
func TestCreateEnds(t *testing.T) {
	w := dialecttest.OpenAt(t, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s := newShop(t, w, quiet, "EUR", "10")
	chance := new(ending)
	keys, err := auth.Open(t.Context(), w.Ledger, dialecttest.Keys, auth.Options{Now: w.Clock.Now, Rand: chance})
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Options: dialect.Options{Logger: slog.New(slog.DiscardHandler)}}
	s.h = New(w.Ledger, keys, options) // the world's own keys come again
	chance.now.Store(true)
	s.says(t, pathSubaccountCreate, s.about("half", person1), `"error_id":"INTERNAL_ERROR"`)
	s.says(t, pathSubaccountCreate, s.about("half", person1), "name of an account already") // it may still be being made
	whole := s.create(t, "whole")
	e, err := w.Auth.Resolve(t.Context(), auth.Gateway360, "whole")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.Ledger.Account(t.Context(), e.Account)
	if err != nil {
		t.Fatal(err)
	}
	s.says(t, pathSubaccountAdd, s.about("whole", `,"amount":"1"`), `"status":"ok"`)
	used := s.create(t, "used")
	inUse, err := w.Auth.Resolve(t.Context(), auth.Gateway360, "used")
	if err != nil {
		t.Fatal(err)
	}
	name(w, "below", s.Open(native.AccountRequest{Parent: inUse.Account.String()}, ""))
	for _, id := range []ledger.AccountID{e.Account, inUse.Account} { // as before its last command
		mark := ledger.RecordWrite{Kind: kindBegun, Key: id.String(), Data: begun{V: 1}.encode(), Deadline: a.Created}
		if _, err := w.Ledger.Post(t.Context(), &ledger.Command{Tenant: a.Tenant, Book: a.Book, Records: []ledger.RecordWrite{mark}}); err != nil {
			t.Fatal(err)
		}
	}
	s.h = New(w.Ledger, keys, options) // as after a restart
	w.Clock.Set(w.Clock.Now().Add(2 * making))
	for range 2 { // the first time says that it ends, the second time ends it
		if err := w.Ledger.ActDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for row, err := range w.Ledger.Scan(t.Context(), ledger.Query{List: ledger.ListDeadlines, Until: ledger.MaxTime}) {
		t.Errorf("left is %+v, %v", row.Due, err)
	}
	above, err := w.Ledger.Account(t.Context(), s.account)
	if err != nil || above.Children != 1 {
		t.Errorf("%d sub-accounts are there, %v", above.Children, err)
	}
	s.want(t, "10.000000 0.000000")
	s.says(t, pathBalance, `{"api_key":"`+whole+`"}`, `"error_id":"UNAUTHORIZED"`)
	s.says(t, pathBalance, `{"api_key":"`+used+`"}`, `"status":"ok"`)
	s.create(t, "half")
	s.create(t, "whole")
}

// TestCreateTogether has many make a sub-account of one name: one does, and the
// others leave nothing behind.
func TestCreateTogether(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	var made atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch _, answer := s.call(pathSubaccountCreate, s.about("shop1", person1), ""); {
			case strings.Contains(answer, `"status":"ok"`):
				made.Add(1)
			case !strings.Contains(answer, "name of an account already"):
				t.Errorf("one is %s", answer)
			}
		})
	}
	all.Wait()
	a, err := s.Ledger.Account(t.Context(), s.account)
	if err != nil || made.Load() != 1 || a.Children != 1 {
		t.Errorf("%d were made, %d are there, %v", made.Load(), a.Children, err)
	}
}

func TestMoveRefused(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	s.create(t, "own")
	name(s.World, "credits", s.Open(native.AccountRequest{Parent: s.account.String(), Unit: "CREDITS"}, "5"))
	name(s.World, "drawing", s.Open(native.AccountRequest{Parent: s.account.String(), Mode: "drawing"}, ""))
	name(s.World, "main", s.account)
	name(s.World, "elsewhere", s.Account("EUR", "5"))
	for _, c := range []struct{ user, amount, want string }{
		{"own", ``, idMissing}, {"own", `,"amount":""`, idMissing}, {"own", `,"amount":null`, idMissing},
		{"own", `,"amount":0`, "above zero"}, {"own", `,"amount":"-1"`, "above zero"}, {"own", `,"amount":"1e3"`, "above zero"}, {"own", `,"amount":"1,50"`, "above zero"},
		{"own", `,"amount":true`, "a string or a number"}, {"own", `,"amount":[1]`, "a string or a number"}, {"own", `,"amount":1,"amount":1`, "once"},
		{"own", `,"amount":"0.0000001"`, "more decimals than EUR has: 6."}, {"own", `,"amount":1e-7`, "more decimals than EUR has: 6."},
		{"own", `,"amount":1e60`, "above zero"}, {"own", `,"amount":"170141183460469231731687303715884.000000"`, ""},
		{"credits", `,"amount":1`, "The account has its balance in EUR and the subaccount in CREDITS"}, {"drawing", `,"amount":1`, "none of its own"},
		{"main", `,"amount":1`, "must be the name of a subaccount"}, {"elsewhere", `,"amount":1`, "must be the name of a subaccount"}, {"nobody", `,"amount":1`, "must be the name of a subaccount"},
		{"own", `,"amount":10.5`, idFunds}, {"own", `,"amount":"10.000001"`, idFunds},
	} {
		for _, path := range []string{pathSubaccountAdd, pathSubaccountDeduct} {
			s.says(t, path, s.about(c.user, c.amount), `"status":"error"`)
			s.says(t, path, s.about(c.user, c.amount), c.want)
		}
	}
	s.want(t, "10.000000 0.000000")
	s.says(t, pathSubaccountAdd, s.about("own", `,"amount":1.5e-1`), `"balance":"0.1500"`) // a number has no form

	// Who draws on another's balance has none to share out.
	drawing := s.Open(native.AccountRequest{Parent: s.account.String(), Mode: "drawing"}, "")
	below := s.Open(native.AccountRequest{Parent: drawing.String()}, "0.5")
	name(s.World, "below", below)
	draws := &shop{World: s.World, h: s.h, key: s.Issue(auth.Gateway360, drawing, auth.Read|auth.Charge|auth.Admin).Secret}
	for _, path := range []string{pathSubaccountAdd, pathSubaccountDeduct, pathSubaccountDelete} {
		s.says(t, path, draws.about("below", `,"amount":0.1`), "none of its own to share out")
	}
	s.says(t, pathSubaccountBalance, draws.about("below", ""), `"balance":"0.5000"`)

	// A token that opens more than one account: the account above has the other side.
	wide := token(s.World, auth.Spec{Tenant: s.Tenant.Number, Scopes: auth.Read | auth.Charge | auth.Admin})
	wider := &shop{World: s.World, h: s.h, key: wide}
	s.says(t, pathSubaccountAdd, wider.about("own", `,"amount":1`), `"balance":"1.1500"`)
	s.want(t, "8.850000 0.000000")
	s.says(t, pathSubaccountDeduct, wider.about("elsewhere", `,"amount":1`), "is no subaccount")
	s.says(t, pathSubaccountCreate, wider.about("x", person1), "opens more than one account")
	s.says(t, pathSend, strings.Replace(wider.body(nil, to("34612345678")), `{`, `{"user_name":"own",`, 1), `"status":"ok","sms_id"`)
	s.says(t, pathSend, wider.body(nil, to("34612345678")), "`user_name` is mandatory")
	s.says(t, pathSubaccountBalance, s.about("own", ""), `"balance":"1.1000"`)
}

func TestDeleteRefused(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	post := func(path string, in map[string]any) {
		t.Helper()
		if err := s.Native.Do(t.Context(), "POST", path, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	child := func(user, amount string, r native.AccountRequest) ledger.AccountID {
		r.Parent = s.account.String()
		id := s.Open(r, amount)
		name(s.World, user, id)
		return id
	}
	held := child("held", "5", native.AccountRequest{})
	post("/v1/accounts/"+held.String()+"/holds", map[string]any{"id": "h", "amount": "1"})
	s.says(t, pathSubaccountDelete, s.about("held", ""), "amounts on hold")
	post("/v1/holds/h/release", map[string]any{"id": "r"})

	parent := child("parent", "", native.AccountRequest{})
	below := s.Open(native.AccountRequest{Parent: parent.String()}, "1")
	name(s.World, "below", below)
	s.says(t, pathSubaccountDelete, s.about("parent", ""), "delete them first")

	child("owes", "-3", native.AccountRequest{})
	s.says(t, pathSubaccountDelete, s.about("owes", ""), "owes")
	child("credits", "5", native.AccountRequest{Unit: "CREDITS"})
	s.says(t, pathSubaccountDelete, s.about("credits", ""), "in CREDITS")
	child("no credits", "", native.AccountRequest{Unit: "CREDITS"})
	s.says(t, pathSubaccountDelete, s.about("no credits", ""), `"status":"ok"`)
	drawing := child("drawing", "", native.AccountRequest{Mode: "drawing"})
	s.Charge(drawing, "1")
	s.says(t, pathSubaccountDelete, s.about("drawing", ""), `"status":"ok"`)
	frozen := child("frozen", "2", native.AccountRequest{})
	if err := s.Native.Do(t.Context(), "PATCH", "/v1/accounts/"+frozen.String(), map[string]any{"status": "frozen"}, nil); err != nil {
		t.Fatal(err)
	}
	s.says(t, pathSubaccountDelete, s.about("frozen", ""), `"error_id":"FORBIDDEN"`)

	s.want(t, "9.000000 0.000000")
	s.says(t, pathSubaccountDelete, s.about("below", ""), `"status":"ok"`)
	s.says(t, pathSubaccountDelete, s.about("parent", ""), `"status":"ok"`)
	s.says(t, pathSubaccountDelete, s.about("held", ""), `"status":"ok"`)
	s.want(t, "15.000000 0.000000")

	// Closed elsewhere, or broken off after that: the rest is done.
	s.create(t, "half")
	e, err := s.Auth.Resolve(t.Context(), auth.Gateway360, "half")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Native.Do(t.Context(), "PATCH", "/v1/accounts/"+e.Account.String(), map[string]any{"status": "closed"}, nil); err != nil {
		t.Fatal(err)
	}
	s.says(t, pathSubaccountDelete, s.about("half", ""), `"status":"ok"`)
	s.create(t, "half")
}

// TestDeleteWhileCharged ends a sub-account that sends all the while: no money is
// lost or made, whoever is faster.
func TestDeleteWhileCharged(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	sub := &shop{World: s.World, h: s.h, key: s.create(t, "shop1")}
	s.says(t, pathSubaccountAdd, s.about("shop1", `,"amount":"5"`), `"balance":"5.0000"`)
	var sent atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				_, answer := sub.call(pathSend, sub.body(nil, to("34612345678")), "")
				switch got := became(t, answer); got {
				case "ok":
					sent.Add(1)
				case idKey, idForbidden, idThrottled, idFunds: // it is closed, or all is spent
					return
				default:
					t.Errorf("a message is %s", got)
					return
				}
			}
		})
	}
	for {
		_, answer := s.call(pathSubaccountDelete, s.about("shop1", ""), "")
		if strings.Contains(answer, `"status":"ok"`) {
			break
		}
		if !strings.Contains(answer, "on hold") && !strings.Contains(answer, idBusy) && !strings.Contains(answer, idBad) && !strings.Contains(answer, idFunds) {
			t.Fatalf("deleting it is %s", answer)
		}
	}
	all.Wait()
	cents := 1000 - 5*sent.Load()
	s.want(t, fmt.Sprintf("%d.%02d0000 0.000000", cents/100, cents%100))
}

// TestAddresses makes every call from an address that the key does not allow.
func TestAddresses(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	issued, err := s.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: s.Tenant.Number, Root: s.account,
		Scopes: auth.Read | auth.Charge | auth.Admin, Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		s.says(t, r.path, strings.Replace(s.about("x", person1+`,"amount":1,"messages":[{}]`), s.key, issued.Secret, 1), `"error_id":"UNAUTHORIZED"`)
		_, narrow := s.call(r.path, strings.Replace(s.about("x", ""), s.key, s.Issue(auth.Gateway360, s.account, (auth.Read|auth.Charge|auth.Admin)&^r.scope).Secret, 1), "")
		if !strings.Contains(narrow, `"error_id":"FORBIDDEN"`) {
			t.Errorf("%s without its scope is %s", r.path, narrow)
		}
	}
}

func TestPricing(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "10")
	const (
		es     = `{"country_code":"ES","prefix":"34","price":"0.0450","currency":"EUR"}`
		mobile = `{"country_code":"ES","prefix":"346","price":"0.0500","currency":"EUR"}`
		gb     = `{"country_code":"GB","prefix":"44","price":"0.0300","currency":"EUR"}`
		ad     = `{"country_code":"AD","prefix":"376","price":"2.00005","currency":"EUR"}`
	)
	for _, c := range []struct {
		path, more string
		want       string
	}{
		{pathCountryPricing, ``, es + "," + mobile + "," + gb + "," + ad}, {pathCountryPricing, `,"country_code":"ES"`, es + "," + mobile},
		{pathCountryPricing, `,"country_code":"gb"`, gb}, {pathCountryPricing, `,"country_code":"FR"`, ``}, {pathCountryPricing, `,"country_code":null`, es + "," + mobile + "," + gb + "," + ad},
		{pathPrefixPricing, `,"prefix":"34"`, es + "," + mobile}, {pathPrefixPricing, `,"prefix":346`, mobile}, {pathPrefixPricing, `,"prefix":"34612345678"`, mobile},
		{pathPrefixPricing, `,"prefix":"349"`, es}, {pathPrefixPricing, `,"prefix":"1"`, ``}, {pathPrefixPricing, `,"prefix":"3"`, es + "," + mobile + "," + ad},
	} {
		s.says(t, c.path, `{"api_key":"`+s.key+`"`+c.more+`}`, `{"status":"ok","result":[`+c.want+`]}`)
	}
	for more, want := range map[string]string{`,"country_code":"ESP"`: idBad, `,"country_code":1`: idBad} {
		s.says(t, pathCountryPricing, `{"api_key":"`+s.key+`"`+more+`}`, want)
	}
	for more, want := range map[string]string{``: idMissing, `,"prefix":""`: idMissing, `,"prefix":"+34"`: idBad, `,"prefix":{}`: idBad, `,"prefix":-34`: idBad, `,"prefix":"1234567890123456"`: idBad} {
		s.says(t, pathPrefixPricing, `{"api_key":"`+s.key+`"`+more+`}`, want)
	}
	credits := newShop(t, s.World, quiet, "CREDITS", "10")
	s.says(t, pathCountryPricing, `{"api_key":"`+credits.key+`"}`, `[{"country_code":"ES","prefix":"34","price":"1.0000","currency":"CREDITS"}]`)
}

func TestParsePrices(t *testing.T) {
	for text, want := range map[string]string{
		"ES:34:0.0450": "write country", "es:34:0.0450:EUR": "two capitals", "ES:+34:0.0450:EUR": "digits", "ES::0.0450:EUR": "digits", "ES:1234567890123456:1:EUR": "digits",
		"ES:34:0:EUR": "above zero", "ES:34:-1:EUR": "above zero", "ES:34:x:EUR": "not a decimal", "ES:34:0.0000000000000000001:EUR": "decimals", "ES:34:1:eur": "not a unit",
		"ES:34:1:EUR,ES:34:2:EUR": "there is a price of 34 in EUR before",
	} {
		if _, err := ParsePrices(strings.Split(text, ",")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is %v, want %s", text, err, want)
		}
	}
	if _, err := ParsePrices(make([]string, maxPrices+1)); err == nil || !strings.Contains(err.Error(), "the most are") {
		t.Errorf("too many prices are %v", err)
	}
	// A price that its unit has too few decimals for is a fault of the operator's.
	s := newShop(t, dialecttest.Open(t), quiet, "CREDITS", "10", "ES:34:0.00005:CREDITS")
	if got := s.send(nil, to("34612345678")); got != idInternal {
		t.Errorf("it is %s", got)
	}
	s.want(t, "10.0000 0.0000")
}
