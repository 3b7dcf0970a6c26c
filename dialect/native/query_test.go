package native_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect/native"
)

// TestOneTenant names a tenant in two places, which agree or are refused.
func TestOneTenant(t *testing.T) {
	w := newWorld(t, native.Options{})
	w.must("POST", "/v1/tenants", `{"name":"acme"}`)
	w.must("POST", "/v1/units", `{"code":"SMS","scale":0,"kind":"credit"}`, "Saldo-Tenant", "acme")
	w.must("GET", "/v1/units/SMS?tenant=acme", "", "Saldo-Tenant", "acme")
	w.must("GET", "/v1/units/SMS?tenant=", "", "Saldo-Tenant", "acme")
	w.refused(404, "NOT_FOUND", "GET", "/v1/units/SMS?tenant=main", "")
	for _, c := range []struct{ method, path, header, body string }{
		{"GET", "/v1/units/SMS?tenant=acme", "main", ""},
		{"GET", "/v1/units/SMS?tenant=main", "acme", ""},
		{"GET", "/v1/units/SMS?tenant=acme&tenant=main", "", ""},
		{"GET", "/v1/units/SMS?tenant=acme&tenant=acme", "", ""},
		{"POST", "/v1/units?tenant=acme", "main", `{"code":"MMS","scale":0,"kind":"credit"}`},
		{"POST", "/v1/credentials?tenant=acme", "main", `{"scopes":["read"]}`},
	} {
		header := []string{"Saldo-Tenant", c.header}
		if c.header == "" {
			header = nil
		}
		w.refused(400, "VALIDATION_ERROR", c.method, c.path, c.body, header...)
	}
	w.refused(404, "NOT_FOUND", "GET", "/v1/units/MMS?tenant=acme", "")
}

// TestWritesKnowTheirQueries puts what nobody asked for into the query of every write
// that is documented: a misspelled name is refused, and nothing happens.
func TestWritesKnowTheirQueries(t *testing.T) {
	w := newWorld(t, native.Options{Endpoints: []native.Endpoint{{Method: "POST", Path: "/v1/sources", Operation: "createSource", Scope: auth.Admin, Tenant: true,
		Serve: func(*native.Call) (any, error) { return map[string]string{"id": "x"}, nil }}}})
	w.check = nil // it knows nothing of this one
	id := w.account("10")
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(w.must("GET", "/openapi.json", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	writes := 0
	for path, methods := range doc.Paths {
		for method, call := range methods {
			method = strings.ToUpper(method)
			if method == http.MethodGet || path == "/v1/session" && method == http.MethodDelete {
				continue
			}
			writes++
			at := strings.NewReplacer("/accounts/{id}", "/accounts/"+id, "/tenants/{id}", "/tenants/main", "{id}", "x", "{dialect}", "twilio", "{external}", "x").Replace(path)
			a := w.refused(400, "VALIDATION_ERROR", method, at+"?dry_run=true", `{"id":"q","amount":"1"}`)
			if text := string(a.body); !strings.Contains(text, `"field":"dry_run"`) || !strings.Contains(text, "known are") {
				t.Errorf("%s %s says %s", method, path, text)
			}
			for _, p := range call.Parameters { // what is documented is known
				if p.In != "query" {
					continue
				}
				a := w.do(method, at+"?"+p.Name+"=main", `{"id":"doc","nothing":1}`)
				if strings.Contains(string(a.body), fmt.Sprintf(`"field":%q`, p.Name)) {
					t.Errorf("%s %s does not know %s: %s", method, path, p.Name, a.body)
				}
			}
		}
	}
	if writes < 25 {
		t.Errorf("%d writes are documented", writes)
	}
	if got := w.spendable(id); got != "10.000000" {
		t.Errorf("%s is left", got)
	}
	w.must("POST", "/v1/books", `{"name":"second"}`)
	made := w.must("POST", "/v1/accounts", `{"unit":"USD","book":"second"}`).Data["id"].(string)
	w.must("POST", "/v1/accounts/"+made+"/topups", `{"id":"t","amount":"5"}`)
	if got := w.must("POST", "/v1/accounts/@fees:USD/topups?book=second", `{"id":"tf","amount":"2"}`).Data["balance"].(map[string]any)["posted"]; got != "2.000000" {
		t.Errorf("the second book's fees are %v", got)
	}
	if got := w.must("GET", "/v1/accounts/@cash:USD/balance?book=second", "").Data["posted"]; got != "-7.000000" {
		t.Errorf("the second book's cash is %v", got)
	}
}

// TestSystemAccountsHaveUnits says what to write to who names a system account
// without its unit; who opens none of them is not told what units there are.
func TestSystemAccountsHaveUnits(t *testing.T) {
	w := newWorld(t, native.Options{})
	says := func(path, want string, header ...string) {
		t.Helper()
		if a := w.refused(404, "NOT_FOUND", "GET", path, "", header...); !strings.Contains(a.Error["message"].(string), want) {
			t.Errorf("%s says %s, want %q in it", path, a.body, want)
		}
	}
	says("/v1/accounts/@cash/balance", "The book main has no unit yet, and so no @cash")
	id := w.account("10")
	says("/v1/accounts/@cash/balance", "Each unit of the book main has its own @cash: name the unit too; there are @cash:USD")
	says("/v1/accounts/@fees:EUR/balance", `nothing in the unit "EUR"; there are @fees:USD`)
	says("/v1/accounts/@cash:/balance", "with the unit here: @cash:USD")
	says("/v1/accounts/@petty:USD/balance", "with the unit here: @cash:USD")
	for n := range 20 {
		w.must("POST", "/v1/units", fmt.Sprintf(`{"code":"U%d","scale":0,"kind":"credit"}`, n))
		w.must("POST", "/v1/accounts", fmt.Sprintf(`{"unit":"U%d"}`, n))
	}
	says("/v1/accounts/@revenue/balance", "@revenue:U6, …")
	key := w.must("POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["read"]}`, id)).Data["secret"].(string)
	for _, path := range []string{"/v1/accounts/@cash/balance", "/v1/accounts/@cash:EUR/balance", "/v1/accounts/@cash:USD/balance"} {
		if a := w.refused(404, "NOT_FOUND", "GET", path, "", "Authorization", "Bearer "+key); strings.Contains(a.Error["message"].(string), "unit") {
			t.Errorf("%s tells who opens none of them %s", path, a.body)
		}
	}
}
