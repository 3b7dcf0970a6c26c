package gateway360

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

func TestSuite(t *testing.T) {
	s := &dialecttest.Suite{
		New: func(w *dialecttest.World, o dialect.Options) http.Handler {
			return New(w.Ledger, w.Auth, Options{Options: o})
		},
		Amounts: []dialecttest.Amount{
			{Has: "", Shown: "0.0000"}, {Has: "350.12", Shown: "350.1200"}, {Has: "155.249399", Shown: "155.2493"},
			{Has: "0.000099", Shown: "0.0000"}, {Has: "-0.000001", Shown: "0.0000"}, {Has: "-3.5", Shown: "0.0000"},
			{Has: "123456789012345678901234567890.999999", Shown: "123456789012345678901234567890.9999"},
		},
		Reader: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			return &Client{URL: url, APIKey: w.Issue(auth.Gateway360, account, auth.Read).Secret}
		},
		Wrong: func(_ *dialecttest.World, url string, _ ledger.AccountID) dialect.Reader {
			return &Client{URL: url, APIKey: "399d2b438a53ebed3db8a7d52107f846"}
		},
		Unknown: func(w *dialecttest.World, url string, account ledger.AccountID) dialect.Reader {
			return &Client{URL: url, APIKey: w.Issue(auth.Gateway360, account, auth.Read).Secret, UserName: "nobody"}
		},
		Requests: func(w *dialecttest.World, account ledger.AccountID) []string {
			key := w.Issue(auth.Gateway360, account, auth.Read|auth.Charge|auth.Admin).Secret
			child := w.Open(native.AccountRequest{Parent: account.String()}, "")
			name(w, "child", child)
			return []string{
				post(pathBalance, `{"api_key":"`+key+`"}`),
				post(pathSubaccountBalance, `{"api_key":"`+key+`","user_name":"child"}`),
				post(pathBalance, `{"api_key":"`+key+`","n":[1.5e-3,{"a":"\u00e9\\"},null],"user_name":null}`),
				post(pathSubaccountInfo, `{"api_key":"`+key+`","user_name":"child"}`),
				post(pathSubaccountAdd, `{"api_key":"`+key+`","user_name":"child","amount":"0.01"}`),
				post(pathSubaccountDeduct, `{"api_key":"`+key+`","user_name":"child","amount":0.01}`),
				post(pathSubaccountDelete, `{"api_key":"`+key+`","user_name":"nobody"}`),
				post(pathSubaccountCreate, `{"api_key":"`+key+`","user_name":"child2"`+person1+`}`),
				post(pathCountryPricing, `{"api_key":"`+key+`","country_code":"ES"}`),
				post(pathPrefixPricing, `{"api_key":"`+key+`","prefix":34}`),
				post(pathSend, `{"api_key":"`+key+`"`+manualBodies["send"]+`}`),
			}
		},
		Check: isAnswer,
	}
	s.Run(t)
}

// post is a request in the form of the samples.
func post(path, body string) string {
	return "POST " + path + "\nContent-Type: application/json\nAccept: application/json\n\n" + body
}

// name makes a user_name mean an account.
func name(w *dialecttest.World, user string, account ledger.AccountID) {
	w.T.Helper()
	_, err := w.Auth.Map(w.T.Context(), 0, "", auth.Entry{Dialect: auth.Gateway360, External: user, Account: account, Tenant: w.Tenant.Number})
	if err != nil {
		w.T.Fatal(err)
	}
}

// isAnswer says what is wrong with an answer: it is one of the two envelopes,
// with the status that belongs to it.
func isAnswer(resp *http.Response, body []byte) error {
	var said struct {
		Status  string
		Result  json.RawMessage
		ErrorID string `json:"error_id"`
		Message string `json:"error_msg"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return err
	}
	f := faultOf(said.ErrorID)
	switch {
	case resp.Header.Get("Content-Type") != "application/json":
		return errors.New("it is not of the type of JSON")
	case said.Status == "ok" && (resp.StatusCode != 200 || said.Result == nil || said.ErrorID != ""):
		return errors.New("it is not a whole answer")
	case said.Status == "error" && (f == nil || f.status != resp.StatusCode || said.Message == "" || said.Result != nil):
		return errors.New("it is not a refusal of the table")
	case said.Status != "ok" && said.Status != "error":
		return errors.New("it has another status")
	}
	return nil
}

// A family is an account with what is below and beside it.
type family struct {
	*dialecttest.World
	h                                http.Handler
	root, child, grandchild, drawing ledger.AccountID
	elsewhere                        ledger.AccountID // another tree of the tenant
	key, childKey, otherKey, tenants string
	everything, rooted               string
}

func newFamily(t *testing.T) *family {
	w := dialecttest.Open(t)
	f := &family{World: w, h: New(w.Ledger, w.Auth, Options{})}
	f.root = w.Account("EUR", "350.12")
	f.child = w.Open(native.AccountRequest{Parent: f.root.String(), Unit: "CREDITS"}, "1225")
	f.grandchild = w.Open(native.AccountRequest{Parent: f.child.String(), Unit: "CREDITS"}, "7")
	f.drawing = w.Open(native.AccountRequest{Parent: f.root.String(), Mode: "drawing", Cap: "100"}, "")
	f.elsewhere = w.Account("EUR", "99")
	for user, account := range map[string]ledger.AccountID{
		"main": f.root, "child": f.child, "Zoë Müller": f.grandchild, "drawing": f.drawing, "elsewhere": f.elsewhere,
	} {
		name(w, user, account)
	}
	name(w, "tenant", ledger.AccountID{})
	f.key = w.Issue(auth.Gateway360, f.root, auth.Read).Secret
	f.childKey = w.Issue(auth.Gateway360, f.child, auth.Read).Secret
	f.otherKey = w.Issue(auth.Gateway360, f.elsewhere, auth.Read).Secret
	f.tenants = token(w, auth.Spec{Tenant: w.Tenant.Number, Scopes: auth.Read})
	f.everything = token(w, auth.Spec{Everything: true, Scopes: auth.Operator})
	f.rooted = token(w, auth.Spec{Tenant: w.Tenant.Number, Root: f.child, Scopes: auth.Read})
	return f
}

// token issues a native token that is taken here too.
func token(w *dialecttest.World, spec auth.Spec) string {
	w.T.Helper()
	spec.Dialect, spec.Dialects = auth.Native, []string{auth.Gateway360}
	issued, err := w.Auth.Issue(w.T.Context(), 0, "", spec)
	if err != nil {
		w.T.Fatal(err)
	}
	return issued.Secret
}

func TestWhoseBalance(t *testing.T) {
	f := newFamily(t)
	const (
		none     = "BAD_PARAMS: Parameter `user_name` must be the name of a subaccount of yours."
		missing  = "MISSING_PARAMS: Your request is incomplete and missing some mandatory parameters."
		nameIt   = "MISSING_PARAMS: This API key opens more than one account: the parameter `user_name` is mandatory."
		mainEUR  = "350.1200 EUR"
		childCR  = "1225.0000 CREDITS"
		grandCR  = "7.0000 CREDITS"
		drawnEUR = "100.0000 EUR"
	)
	for _, c := range []struct{ about, path, key, user, want string }{
		{"a key alone", pathBalance, f.key, ``, mainEUR},
		{"a sub-account's own key", pathBalance, f.childKey, ``, childCR},
		{"a key with the name of its own account", pathBalance, f.key, `"main"`, mainEUR},
		{"a sub-account's key with its own name", pathBalance, f.childKey, `"child"`, childCR},
		{"a key with a sub-account's name", pathBalance, f.key, `"child"`, childCR},
		{"no name", pathBalance, f.key, `null`, mainEUR},
		{"an empty name", pathBalance, f.key, `""`, mainEUR},
		{"a name that is nobody's", pathBalance, f.key, `"nobody"`, none},
		{"a name that is not the key's", pathBalance, f.key, `"elsewhere"`, none},
		{"a parent's name", pathBalance, f.childKey, `"main"`, none},

		{"a sub-account", pathSubaccountBalance, f.key, `"child"`, childCR},
		{"one below it", pathSubaccountBalance, f.key, `"Zoë Müller"`, grandCR},
		{"one below it, escaped", pathSubaccountBalance, f.key, `"Zo\u00eb M\u00fcller"`, grandCR},
		{"one that draws", pathSubaccountBalance, f.key, `"drawing"`, drawnEUR},
		{"one of a sub-account", pathSubaccountBalance, f.childKey, `"Zoë Müller"`, grandCR},
		{"the account itself", pathSubaccountBalance, f.key, `"main"`, none},
		{"nobody", pathSubaccountBalance, f.key, `"nobody"`, none},
		{"another case", pathSubaccountBalance, f.key, `"Child"`, none},
		{"of another tree", pathSubaccountBalance, f.key, `"elsewhere"`, none},
		{"of a sibling", pathSubaccountBalance, f.otherKey, `"child"`, none},
		{"above", pathSubaccountBalance, f.childKey, `"main"`, none},
		{"a tenant's name", pathSubaccountBalance, f.tenants, `"tenant"`, none},
		{"no name", pathSubaccountBalance, f.key, ``, missing},
		{"an empty name", pathSubaccountBalance, f.key, `""`, missing},
		{"null", pathSubaccountBalance, f.key, `null`, missing},

		{"a tenant's token", pathBalance, f.tenants, ``, nameIt},
		{"a tenant's token and a name", pathBalance, f.tenants, `"main"`, mainEUR},
		{"a tenant's token and a name", pathSubaccountBalance, f.tenants, `"main"`, mainEUR},
		{"an operator's token", pathBalance, f.everything, ``, nameIt},
		{"an operator's token and a name", pathBalance, f.everything, `"child"`, childCR},
		{"an operator's token and a name", pathSubaccountBalance, f.everything, `"child"`, childCR},
		{"an account's token", pathBalance, f.rooted, ``, childCR},
		{"an account's token and a name", pathSubaccountBalance, f.rooted, `"main"`, none},
	} {
		body := `{"api_key":"` + c.key + `"`
		if c.user != "" {
			body += `,"user_name":` + c.user
		}
		if got := f.ask(t, post(c.path, body+"}")); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.about, c.path, got, c.want)
		}
	}
}

// ask returns "AMOUNT CURRENCY", or "ERROR_ID: text".
func (f *family) ask(t *testing.T, request string) string {
	t.Helper()
	return ask(t, f.h, dialecttest.Request(t, request))
}

func TestDrawing(t *testing.T) {
	f := newFamily(t)
	read := post(pathSubaccountBalance, `{"api_key":"`+f.key+`","user_name":"drawing"}`)
	f.Charge(f.drawing, "30") // of its cap of 100
	if got := f.ask(t, read); got != "70.0000 EUR" {
		t.Errorf("after a charge it shows %q", got)
	}
	f.Charge(f.root, "300") // leaves 20.12 of its payer's
	if got := f.ask(t, read); got != "20.1200 EUR" {
		t.Errorf("after its payer's charge it shows %q", got)
	}
}

func TestCreditAndHolds(t *testing.T) {
	w := dialecttest.Open(t)
	h := New(w.Ledger, w.Auth, Options{})
	id := w.Open(native.AccountRequest{Unit: "USD", CreditLimit: "5"}, "10")
	read := post(pathBalance, `{"api_key":"`+w.Issue(auth.Gateway360, id, auth.Read).Secret+`"}`)
	check := func(want string) {
		t.Helper()
		if got := ask(t, h, dialecttest.Request(t, read)); got != want {
			t.Errorf("it shows %q, want %q", got, want)
		}
	}
	check("15.0000 USD")
	post := func(path string, in map[string]any) {
		t.Helper()
		if err := w.Native.Do(t.Context(), "POST", path, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	post("/v1/accounts/"+id.String()+"/holds", map[string]any{"id": "hold", "amount": "3.00005"})
	check("11.9999 USD")
	post("/v1/holds/hold/release", map[string]any{"id": "release"})
	check("15.0000 USD")
	post("/v1/accounts/"+id.String()+"/charges", map[string]any{"id": "forced", "amount": "15.00005", "force": true, "reason": "chargeback"})
	check("-0.0001 USD")
}

func TestRevoked(t *testing.T) {
	w := dialecttest.Open(t)
	id := w.Account("EUR", "1")
	issued := w.Issue(auth.Gateway360, id, auth.Read)
	c := &Client{URL: w.Serve(New(w.Ledger, w.Auth, Options{})), APIKey: issued.Secret}
	if got, err := c.Read(t.Context()); err != nil || got.Text != "1.0000" || got.Unit != "EUR" || time.Since(got.Time) > time.Minute {
		t.Fatalf("read %+v, %v", got, err)
	}
	if _, _, err := w.Auth.Revoke(t.Context(), 0, "", issued.Credential.ID); err != nil {
		t.Fatal(err)
	}
	var e *dialect.Error
	if _, err := c.Read(t.Context()); !errors.As(err, &e) || e.Reason != dialect.Unauthorized || e.Code != idKey || e.Status != 401 {
		t.Errorf("a revoked key is %v", err)
	}
	if strings.Contains(fmt.Sprint(e), issued.Secret) {
		t.Error("the error tells the key")
	}
}
