package frontier_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/frontier"
	"saldo/ledger"
)

var start = time.Date(2026, 11, 22, 3, 4, 5, 123456000, time.UTC)

// TestSamples holds whole exchanges to files: those of servers of Frontier's
// that were recorded, and each line of the two tables of refusals.
func TestSamples(t *testing.T) {
	w := dialecttest.OpenAt(t, start)
	main := w.Account("CREDITS", "1000000000")
	rich := w.Account("CREDITS", "9223372036854775808")
	low := w.Account("CREDITS", "-50")
	empty := w.Account("CREDITS", "")
	other, _, err := w.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	own := w.Issue(auth.Frontier, main, auth.Read)
	whole := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read)
	words := []string{"{org}", w.Tenant.ID.String(), "{ORG}", strings.ToUpper(w.Tenant.ID.String()), "{other org}", other.ID.String(),
		"{account}", main.String(), "{ACCOUNT}", strings.ToUpper(main.String()), "{rich}", rich.String(), "{low}", low.String(), "{empty}", empty.String(),
		"{credential}", basic(whole.Credential.ID, whole.Secret), "{account's credential}", basic(own.Credential.ID, own.Secret),
		"{three parts}", basic(own.Credential.ID, own.Secret+":x"), "{wrong secret}", basic(own.Credential.ID, "wrong"), "{unknown client}", basic(nobody, own.Secret)}

	h := serve(w, dialect.Options{Now: w.Clock.Now})
	sample := func(h http.Handler, name string, status int, request string) {
		t.Helper()
		got := dialecttest.Sample(t, h, name, request, nil, words...)
		if got.StatusCode != status {
			t.Errorf("%s: status %d, want %d", name, got.StatusCode, status)
		}
	}

	rest := func(name string, status int, id, credential string) {
		t.Helper()
		head := "GET /v1beta1/organizations/{org}/billing/" + id + "/balance\nAccept: application/json\n"
		if credential != "" {
			head += "Authorization: " + credential + "\n"
		}
		sample(h, name, status, head)
	}
	const right = "Basic {credential}"
	rest("rest-balance", 200, "{account}", "Basic {account's credential}")
	rest("rest-upper-case", 200, "{ACCOUNT}", right)
	rest("rest-zero", 200, "{empty}", right)
	rest("rest-negative", 200, "{low}", right)
	rest("rest-too-large", 400, "{rich}", right)
	rest("rest-no-uuid", 400, "not-a-uuid", "")
	rest("rest-no-credential", 401, "{account}", "")
	rest("rest-wrong-secret", 401, "{account}", "Basic {wrong secret}")
	rest("rest-unknown-client", 401, "{account}", "Basic {unknown client}")
	rest("rest-client-no-uuid", 401, "{account}", "Basic "+basic("client", "secret"))
	rest("rest-three-parts", 401, "{account}", "Basic {three parts}")
	rest("rest-bad-bearer", 401, "{account}", "Bearer nonsense")
	rest("rest-unknown-scheme", 401, "{account}", "Digest {credential}")
	rest("rest-not-authorized", 403, "{empty}", "Basic {account's credential}")
	rest("rest-unknown-account", 404, nobody, "Basic {account's credential}")
	const head = "\nAuthorization: " + right + "\n"
	sample(h, "rest-other-org", 403, "GET /v1beta1/organizations/{other org}/billing/{account}/balance"+head)
	sample(h, "rest-org-name", 403, "GET /v1beta1/organizations/main/billing/{account}/balance"+head)
	sample(h, "rest-other-org-not-authorized", 403, "GET /v1beta1/organizations/{other org}/billing/{empty}/balance\nAuthorization: Basic {account's credential}\n")
	rest("rest-unknown-account-no-credential", 401, nobody, "")
	sample(h, "rest-xml", 200, "GET /v1beta1/organizations/{ORG}/billing/{account}/balance?id=x&expand=y\nAccept: application/xml"+head)
	sample(h, "rest-post", 501, "POST /v1beta1/organizations/{org}/billing/{account}/balance"+head)
	sample(h, "rest-head", 501, "HEAD /v1beta1/organizations/{org}/billing/{account}/balance"+head)
	sample(h, "rest-form", 200, "POST /v1beta1/organizations/{org}/billing/{account}/balance\nContent-Type: application/x-www-form-urlencoded"+head)
	sample(h, "rest-unknown-path", 404, "GET /v1beta1/organizations/{org}/billing/{account}/balances"+head)
	sample(h, "rest-trailing-slash", 404, "GET /v1beta1/organizations/{org}/billing/{account}/balance/"+head)
	sample(h, "rest-empty-segment", 404, "GET /v1beta1/organizations/{org}/billing//balance"+head)
	sample(h, "ping", 200, "GET /ping")
	sample(h, "ping-post", 501, "POST /ping")

	call := func(name string, status int, credential, body string, headers ...string) {
		t.Helper()
		text := "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json\n"
		if credential != "" {
			text += "Authorization: " + credential + "\n"
		}
		for _, line := range headers {
			text += line + "\n"
		}
		sample(h, name, status, text+"\n"+body)
	}
	call("connect-balance", 200, right, `{"id":"{account}"}`)
	call("connect-upper-case", 200, right, `{"id":"{ACCOUNT}"}`)
	call("connect-org-id", 200, right, `{"id":"{account}","org_id":"{other org}"}`)
	call("connect-orgId", 200, right, `{"id":"{account}","orgId":"x","more":[1]}`)
	call("connect-zero", 200, right, `{"id":"{empty}"}`)
	call("connect-negative", 200, right, `{"id":"{low}"}`)
	call("connect-too-large", 400, right, `{"id":"{rich}"}`)
	call("connect-no-credential", 401, "", `{"id":"{account}"}`)
	call("connect-wrong-secret", 401, "Basic {wrong secret}", `{"id":"not-a-uuid"}`)
	call("connect-no-uuid", 400, right, `{"id":"not-a-uuid"}`)
	call("connect-no-id", 400, right, `{}`)
	call("connect-unknown-account", 404, right, `{"id":"`+nobody+`"}`)
	call("connect-not-authorized", 403, "Basic {account's credential}", `{"id":"{empty}"}`)
	call("connect-empty-body", 400, right, "")
	call("connect-broken-json", 400, right, `{"id":`)
	call("connect-timeout", 504, right, `{"id":"{account}"}`, "Connect-Timeout-Ms: 0")
	sample(h, "connect-text", 415, "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: text/plain"+head+"\nhello")
	sample(h, "connect-stream", 415, "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/connect+json"+head+"\n{}")
	sample(h, "connect-get", 405, "GET /raystack.frontier.v1beta1.FrontierService/GetBillingBalance?connect=v1&encoding=json&message=%7B%7D"+head)
	sample(h, "connect-options", 405, "OPTIONS /raystack.frontier.v1beta1.FrontierService/GetBillingBalance")
	sample(h, "connect-unknown-call", 501, "POST /raystack.frontier.v1beta1.FrontierService/SearchOrganizationTokens\nContent-Type: application/json"+head+"\n{}")
	sample(h, "connect-unknown-service", 501, "GET /raystack.frontier.v1beta1.AdminService/ListAllUsers")
	sample(h, "health", 200, "POST /grpc.health.v1.Health/Check\nContent-Type: application/json\n\n{}")
	sample(h, "health-unknown", 404, "POST /grpc.health.v1.Health/Check\nContent-Type: application/json\n\n"+`{"service":"other"}`)

	dated := frontier.New(w.Ledger, w.Auth, frontier.Options{RealUpdatedAt: true})
	sample(dated, "rest-updated-at", 200, "GET /v1beta1/organizations/{org}/billing/{account}/balance"+head)
	sample(dated, "connect-charset", 200, "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json; charset=utf-8"+head+"\n"+`{"id":"{account}"}`)
	sample(dated, "connect-updated-at", 200, "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json"+head+"\n"+`{"id":"{account}"}`)
}

// TestThrottled sees wrong secrets answered 429 in both eras, and a right one pass.
func TestThrottled(t *testing.T) {
	w := dialecttest.OpenAt(t, start)
	account := w.Account("CREDITS", "1")
	issued := w.Issue(auth.Frontier, account, auth.Read)
	h := serve(w, dialect.Options{Now: w.Clock.Now})
	words := []string{"{org}", w.Tenant.ID.String(), "{account}", account.String(), "{wrong}", basic(issued.Credential.ID, "wrong")}
	rest := "GET /v1beta1/organizations/{org}/billing/{account}/balance\nAuthorization: Basic {wrong}\n"
	for range 20 {
		r := dialecttest.Request(t, strings.NewReplacer(words...).Replace(rest))
		h.ServeHTTP(discard{}, r)
	}
	dialecttest.Sample(t, h, "rest-throttled", rest, nil, words...)
	dialecttest.Sample(t, h, "connect-throttled", "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json\nAuthorization: Basic {wrong}\n\n{}", nil, words...)
	// Beyond its rate a right secret is answered the same, in other words.
	bound := serve(w, dialect.Options{Now: w.Clock.Now, Limits: dialect.NewLimits(dialect.Rate{Requests: 1, Window: time.Minute})})
	words = append(words, "{right}", basic(issued.Credential.ID, issued.Secret))
	bound.ServeHTTP(discard{}, dialecttest.Request(t, strings.NewReplacer(words...).Replace(strings.ReplaceAll(rest, "{wrong}", "{right}"))))
	dialecttest.Sample(t, bound, "rest-rate", strings.ReplaceAll(rest, "{wrong}", "{right}"), nil, words...)
	dialecttest.Sample(t, bound, "connect-rate", "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json\nAuthorization: Basic {right}\n\n{}", nil, words...)
	right := strings.ReplaceAll(rest, "{wrong}", basic(issued.Credential.ID, issued.Secret))
	if r := dialecttest.Sample(t, h, "rest-right-secret", right, nil, words...); r.StatusCode != 200 {
		t.Errorf("the right secret was answered %d", r.StatusCode)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
