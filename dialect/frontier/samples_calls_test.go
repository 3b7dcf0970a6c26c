package frontier_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	pb "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/dialect/native"
	"saldo/ledger"
)

// A book is a world of exchanges that are held to files.
type book struct {
	*dialecttest.World
	t     *testing.T
	h     http.Handler
	words []string
	masks []dialecttest.Masking
}

func openBook(t *testing.T) *book {
	w := dialecttest.OpenAt(t, start)
	b := &book{World: w, t: t, h: serve(w, dialect.Options{Now: w.Clock.Now})}
	b.word("{org}", w.Tenant.ID.String())
	return b
}

// word makes a word stand for a text in the files.
func (b *book) word(word, text string) { b.words = append(b.words, word, text) }

// account opens an account that a word stands for.
func (b *book) account(word, amount string) ledger.AccountID {
	b.tick()
	id := b.Account("CREDITS", amount)
	b.word(word, id.String())
	return id
}

// tick moves the clock, so that what is made next is newer.
func (b *book) tick() { b.Clock.Set(b.Clock.Now().Add(time.Millisecond)) }

// credential issues a credential whose Basic form a word stands for.
func (b *book) credential(word string, root ledger.AccountID, scopes auth.Scope) {
	issued := b.Issue(auth.Frontier, root, scopes)
	b.word(word, basic(issued.Credential.ID, issued.Secret))
}

// settings changes an account by the native API.
func (b *book) settings(id ledger.AccountID, body map[string]any) {
	b.t.Helper()
	if err := b.Native.Do(b.t.Context(), http.MethodPatch, "/v1/accounts/"+id.String(), body, nil); err != nil {
		b.t.Fatal(err)
	}
}

// sample sends a request.
func (b *book) sample(name string, status int, request string) *http.Response {
	b.t.Helper()
	got := dialecttest.Sample(b.t, b.h, name, request, b.masks, b.words...)
	if got.StatusCode != status {
		b.t.Errorf("%s: status %d, want %d", name, got.StatusCode, status)
	}
	return got
}

// rest sends a request in REST.
func (b *book) rest(name string, status int, line, credential, body string) *http.Response {
	b.t.Helper()
	head := strings.Replace(line, " /", " /v1beta1/", 1) + "\n"
	if credential != "" {
		head += "Authorization: Basic " + credential + "\n"
	}
	if body != "" {
		head += "Content-Type: application/json\n\n" + body
	}
	return b.sample("calls/rest-"+name, status, head)
}

// rpc makes a call in Connect's JSON.
func (b *book) rpc(name string, status int, method, credential, body string) *http.Response {
	b.t.Helper()
	head := "POST /raystack.frontier.v1beta1." + method + "\nContent-Type: application/json\n"
	if credential != "" {
		head += "Authorization: Basic " + credential + "\n"
	}
	return b.sample("calls/connect-"+name, status, head+"\n"+body)
}

// usage is one usage of a batch.
func usage(id, amount, more string) string {
	return `{"id":"aaaaaaaa-0000-4000-8000-0000000000` + id + `","source":"MyApp","description":"d","amount":` + amount + more + `}`
}

func usages(body ...string) string { return `{"usages":[` + strings.Join(body, ",") + `]}` }

// orgUsages is usages as they are reported for an organization.
func orgUsages(body ...string) string {
	return `{"org_id":"{org}",` + strings.TrimPrefix(usages(body...), "{")
}

// TestUsageSamples holds reports and reverts of usage to files, with every
// refusal that they have.
func TestUsageSamples(t *testing.T) {
	b := openBook(t)
	main := b.account("{account}", "100")
	b.account("{other}", "1")
	frozen := b.account("{frozen}", "1")
	b.credential("{platform}", ledger.AccountID{}, auth.Read|auth.Charge)
	b.credential("{reader}", ledger.AccountID{}, auth.Read)
	b.credential("{own}", main, auth.Read|auth.Charge)
	b.settings(frozen, map[string]any{"status": "frozen"})

	const report = "POST /organizations/{org}/billing/{account}/usages"
	const meta = `,"user_id":"u-1","metadata":{"k":"v","n":1.5,"deep":{"list":[true,null]}}`
	b.rest("usage", 200, report, "{platform}", usages(usage("01", `"10"`, meta)))
	b.rest("usage-repeated", 409, report, "{platform}", usages(usage("01", `"10"`, meta)))
	b.rest("usage-repeated-otherwise", 409, report, "{platform}", usages(usage("01", "11", "")))
	b.rest("usage-batch-with-repeated", 409, report, "{platform}", usages(usage("02", "1", ""), usage("01", "1", "")))
	b.rest("usage-batch-of-one-id", 409, report, "{platform}", usages(usage("02", "1", ""), usage("02", "1", "")))
	b.rest("usage-batch", 200, report, "{own}", usages(usage("02", "1", ""), usage("03", "2", "")))
	b.rest("usage-none", 200, report, "{platform}", "{}")
	b.rest("usage-insufficient", 400, report, "{platform}", usages(usage("04", "88", "")))
	b.rest("usage-batch-insufficient", 400, report, "{platform}", usages(usage("04", "80", ""), usage("05", "8", "")))
	b.rest("usage-after-refusal", 200, report, "{platform}", usages(usage("04", "1", "")))
	b.rest("usage-negative", 400, report, "{platform}", usages(usage("06", "-1", "")))
	b.rest("usage-zero", 400, report, "{platform}", usages(usage("06", "0", "")))
	b.rest("usage-fraction", 400, report, "{platform}", usages(usage("06", "1.5", "")))
	b.rest("usage-no-uuid", 400, report, "{platform}", `{"usages":[{"id":"x","amount":"1"}]}`)
	b.rest("usage-no-id", 400, report, "", `{"usages":[{"amount":"1"}]}`)
	b.rest("usage-feature", 400, report, "{platform}", usages(usage("06", "1", `,"type":"feature"`)))
	b.rest("usage-broken-json", 400, report, "{platform}", `{b`)
	b.rest("usage-no-credential", 401, report, "", usages(usage("06", "1", "")))
	b.rest("usage-not-authorized", 403, report, "{reader}", usages(usage("06", "1", "")))
	b.rest("usage-other-account", 403, "POST /organizations/{org}/billing/{other}/usages", "{own}", usages(usage("06", "1", "")))
	b.rest("usage-other-org", 403, "POST /organizations/"+nobody+"/billing/{account}/usages", "{platform}", usages(usage("06", "1", "")))
	b.rest("usage-unknown-account", 404, "POST /organizations/{org}/billing/"+nobody+"/usages", "{platform}", usages(usage("06", "1", "")))
	b.rest("usage-billing-no-uuid", 400, "POST /organizations/{org}/billing/x/usages", "{platform}", usages(usage("06", "1", "")))
	b.rest("usage-frozen", 400, "POST /organizations/{org}/billing/{frozen}/usages", "{platform}", usages(usage("06", "1", "")))
	b.rest("usage-get", 501, "GET /organizations/{org}/billing/{account}/usages", "{platform}", "")
	const short = "POST /organizations/billing/usages"
	b.rest("usage-by-org", 200, short, "{platform}", orgUsages(usage("07", "1", "")))
	b.rest("usage-by-project", 404, short, "{platform}", `{"project_id":"p","usages":[]}`)
	b.rest("usage-unknown-org", 404, short, "{platform}", `{"org_id":"`+nobody+`"}`)
	b.rest("usage-too-large", 400, report, "{platform}", usages(usage("06", `"9223372036854775808"`, "")))

	const call = "FrontierService/CreateBillingUsage"
	b.rpc("usage", 200, call, "{platform}", orgUsages(usage("11", `"10"`, meta)))
	b.rpc("usage-by-account", 200, call, "{platform}", `{"billingId":"{account}",`+usages(usage("12", "2", ""))[1:])
	b.rpc("usage-repeated", 409, call, "{platform}", orgUsages(usage("11", `"10"`, meta)))
	b.rpc("usage-insufficient", 400, call, "{platform}", orgUsages(usage("13", "1000", "")))
	b.rpc("usage-negative", 400, call, "{platform}", orgUsages(usage("13", "1", ""), usage("14", "-1", "")))
	b.rpc("usage-zero", 400, call, "{platform}", orgUsages(usage("13", "0", "")))
	b.rpc("usage-no-uuid", 400, call, "{platform}", `{"org_id":"{org}","usages":[{"id":"x","amount":"1"}]}`)
	b.rpc("usage-fraction", 400, call, "{platform}", orgUsages(usage("13", "1.5", "")))
	b.rpc("usage-feature", 400, call, "{platform}", orgUsages(usage("13", "1", `,"type":"feature"`)))
	b.rpc("usage-no-credential", 401, call, "", orgUsages(usage("13", "1", "")))
	b.rpc("usage-not-authorized", 403, call, "{reader}", orgUsages(usage("13", "1", "")))
	b.rpc("usage-unknown-org", 404, call, "{platform}", `{"org_id":"not-there"}`)
	b.rpc("usage-no-org", 404, call, "{platform}", `{}`)
	b.rpc("usage-unknown-account", 404, call, "{platform}", `{"billing_id":"`+nobody+`"}`)
	b.rpc("usage-frozen", 400, call, "{platform}", `{"billing_id":"{frozen}",`+usages(usage("13", "1", ""))[1:])

	const revert = "POST /admin/organizations/{org}/billing/{account}/usage/aaaaaaaa-0000-4000-8000-000000000001/revert"
	b.rest("revert", 200, revert, "{platform}", `{"amount":"4"}`)
	b.rest("revert-again", 200, revert, "{platform}", `{"amount":"4"}`)
	b.rest("revert-too-much", 400, revert, "{platform}", `{"amount":"3"}`)
	b.rest("revert-rest", 200, revert, "{platform}", `{"amount":2}`)
	b.rest("revert-nothing-left", 400, revert, "{platform}", `{"amount":1}`)
	b.rest("revert-zero", 400, revert, "{platform}", `{}`)
	b.rest("revert-no-credential", 401, revert, "", `{"amount":1}`)
	b.rest("revert-not-authorized", 403, revert, "{reader}", `{"amount":1}`)
	b.rest("revert-own-credits", 403, revert, "{own}", `{"amount":1}`)
	b.rest("revert-unknown-usage", 400, strings.Replace(revert, "0001/", "0099/", 1), "{platform}", `{"amount":1}`)
	b.rest("revert-other-account", 400, strings.Replace(revert, "{account}", "{other}", 1), "{platform}", `{"amount":1}`)
	b.rest("revert-by-org", 200, "POST /organizations/billing/usages/revert", "{platform}", `{"org_id":"{org}","usage_id":"AAAAAAAA-0000-4000-8000-000000000002","amount":"1"}`)

	const revertCall = "AdminService/RevertBillingUsage"
	about := func(id, amount string) string {
		return `{"org_id":"{org}","usage_id":"aaaaaaaa-0000-4000-8000-0000000000` + id + `","amount":"` + amount + `"}`
	}
	b.rpc("revert", 200, revertCall, "{platform}", about("11", "4"))
	b.rpc("revert-too-much", 400, revertCall, "{platform}", about("11", "7"))
	b.rpc("revert-revert", 409, revertCall, "{platform}", `{"org_id":"{org}","usage_id":"`+revertOf("aaaaaaaa-0000-4000-8000-000000000011", main.String())+`","amount":"1"}`)
	b.rpc("revert-unknown-usage", 400, revertCall, "{platform}", about("99", "1"))
	b.rpc("revert-zero", 400, revertCall, "{platform}", about("11", "0"))
	b.rpc("revert-not-authorized", 403, revertCall, "{reader}", about("11", "1"))
	b.rpc("revert-no-credential", 401, revertCall, "", about("11", "1"))

	if got, err := b.Ledger.Balance(t.Context(), main); err != nil || got.Posted.Text(4) != "88.0000" {
		t.Errorf("what is left is %s, %v", got.Posted.Text(4), err)
	}
}

// TestTransactionSamples holds lists, sums and checks of credits to files.
func TestTransactionSamples(t *testing.T) {
	b := openBook(t)
	main := b.account("{account}", "")
	empty := b.account("{empty}", "")
	b.credential("{platform}", ledger.AccountID{}, auth.Read|auth.Charge)
	b.credential("{own}", main, auth.Read)
	b.credential("{other}", empty, auth.Read)
	b.credential("{charger}", ledger.AccountID{}, auth.Charge)
	b.TopUp(main, "100.5")
	b.tick()
	const meta = `,"user_id":"u-1","metadata":{"k":"v"}`
	b.rest("usage-listed", 200, "POST /organizations/{org}/billing/{account}/usages", "{platform}", usages(usage("01", `"10"`, meta), usage("02", "1", "")))
	b.tick()
	b.rest("revert-listed", 200, "POST /admin/organizations/{org}/billing/{account}/usage/aaaaaaaa-0000-4000-8000-000000000001/revert", "{platform}", `{"amount":"4"}`)
	b.tick()
	b.Charge(main, "0.6")
	if _, err := b.Native.Adjust(t.Context(), main.String(), native.TransferRequest{ID: "gift", Amount: "2.75", Reason: "a gift", Metadata: map[string]any{"why": "so"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Native.Refund(t.Context(), "charge-2", native.TransferRequest{ID: "refund"}); err != nil {
		t.Fatal(err)
	}
	b.word("{revert}", revertOf("aaaaaaaa-0000-4000-8000-000000000001", main.String()))

	const at = "GET /organizations/{org}/billing/{account}/transactions"
	b.rest("transactions", 200, at, "{own}", "")
	b.rest("transactions-by-org", 200, "GET /organizations/{org}/billing/transactions", "{own}", "")
	b.rest("transactions-range", 200, at+"?start_range=2026-11-22T03:04:05.126456Z&end_range=2026-11-22T03:04:05.127456Z", "{own}", "")
	b.rest("transactions-since", 200, at+"?since=2026-11-22T03:04:05.127Z", "{own}", "")
	b.rest("transactions-end", 200, at+"?endRange=2026-11-22T03:04:05.125456Z", "{own}", "")
	b.rest("transactions-expand", 200, at+"?end_range=2026-11-22T03:04:05.125456Z&expand=customer&expand=user", "{own}", "")
	b.sample("calls/rest-transactions-form", 200, "POST "+strings.Replace(strings.TrimPrefix(at, "GET "), "/", "/v1beta1/", 1)+
		"\nAuthorization: Basic {own}\nContent-Type: application/x-www-form-urlencoded\n\nend_range=2026-11-22T03%3A04%3A05.125456Z")
	b.rest("transactions-none", 200, "GET /organizations/{org}/billing/{empty}/transactions", "{platform}", "")
	b.rest("transactions-bad-time", 400, at+"?start_range=yesterday", "{own}", "")
	b.rest("transactions-two-times", 400, at+"?start_range=2026-11-22T03:04:05Z&start_range=2026-11-22T03:04:05Z", "{own}", "")
	b.rest("transactions-no-uuid", 400, strings.Replace(at, "{account}", "x", 1), "", "")
	b.rest("transactions-no-credential", 401, at, "", "")
	b.rest("transactions-not-authorized", 403, at, "{other}", "")
	b.rest("transactions-no-scope", 403, at, "{charger}", "")
	b.rest("transactions-other-org", 403, strings.Replace(at, "{org}", nobody, 1), "{own}", "")
	b.rest("transactions-unknown-account", 404, strings.Replace(at, "{account}", nobody, 1), "{own}", "")
	b.rest("transactions-put", 501, strings.Replace(at, "GET", "PUT", 1), "{own}", "")

	const list = "FrontierService/ListBillingTransactions"
	b.rpc("transactions", 200, list, "{own}", `{"org_id":"{org}","billing_id":"{account}"}`)
	b.rpc("transactions-by-name", 200, list, "{own}", `{"org_id":"main","start_range":"2026-11-22T03:04:05.127Z"}`)
	b.rpc("transactions-expand", 200, list, "{own}", `{"org_id":"{org}","end_range":"2026-11-22T03:04:05.125456Z","expand":["customer"]}`)
	b.rpc("transactions-none", 200, list, "{platform}", `{"org_id":"{org}","billing_id":"{empty}"}`)
	b.rpc("transactions-no-org", 400, list, "{own}", `{}`)
	b.rpc("transactions-no-uuid", 400, list, "{own}", `{"billing_id":"x"}`)
	b.rpc("transactions-no-credential", 401, list, "", `{"billing_id":"{account}"}`)
	b.rpc("transactions-not-authorized", 403, list, "{other}", `{"billing_id":"{account}"}`)
	b.rpc("transactions-other-org", 403, list, "{own}", `{"org_id":"`+nobody+`","billing_id":"{account}"}`)
	b.rpc("transactions-unknown-org", 404, list, "{own}", `{"org_id":"`+nobody+`"}`)

	const debited = "GET /organizations/{org}/billing/{account}/debited_transactions_total"
	b.rest("debited", 200, debited, "{own}", "")
	b.rest("debited-none", 200, strings.Replace(debited, "{account}", "{empty}", 1), "{platform}", "")
	b.rest("debited-no-uuid", 400, strings.Replace(debited, "{account}", "x", 1), "", "")
	b.rest("debited-no-credential", 401, debited, "", "")
	b.rest("debited-not-authorized", 403, debited, "{other}", "")
	b.rest("debited-unknown-account", 404, strings.Replace(debited, "{account}", nobody, 1), "{own}", "")
	const total = "FrontierService/TotalDebitedTransactions"
	b.rpc("debited", 200, total, "{own}", `{"org_id":"{org}"}`)
	b.rpc("debited-none", 200, total, "{platform}", `{"billing_id":"{empty}"}`)
	b.rpc("debited-no-org", 400, total, "{own}", `{}`)
	b.rpc("debited-not-authorized", 403, total, "{other}", `{"billing_id":"{account}"}`)

	check := func(amount string) string { return `{"org_id":"{org}","amount":"` + amount + `"}` }
	b.rest("entitled", 200, "POST /billing/check", "{own}", check("96"))
	b.rest("not-entitled", 200, "POST /billing/check", "{own}", check("97"))
	b.rest("entitlement-zero", 400, "POST /billing/check", "{own}", check("0"))
	b.rest("entitlement-negative", 400, "POST /billing/check", "{own}", check("-1"))
	b.rest("entitlement-no-org", 400, "POST /billing/check", "{own}", `{"amount":1}`)
	b.rest("entitlement-no-credential", 401, "POST /billing/check", "", check("1"))
	b.rest("entitlement-no-scope", 403, "POST /billing/check", "{charger}", check("1"))
	b.rest("entitlement-unknown-org", 404, "POST /billing/check", "{own}", `{"org_id":"`+nobody+`","amount":1}`)
	const entitlement = "FrontierService/CheckCreditEntitlement"
	b.settings(main, map[string]any{"credit_limit": "10"})
	b.rpc("entitled", 200, entitlement, "{own}", check("106"))
	b.rpc("not-entitled", 200, entitlement, "{own}", check("107"))
	b.rpc("entitlement-zero", 400, entitlement, "{own}", check("0"))
	b.rpc("entitlement-no-credential", 401, entitlement, "", check("1"))
	b.rpc("entitlement-no-scope", 403, entitlement, "{charger}", check("1"))
	b.rpc("entitlement-unknown-org", 404, entitlement, "{own}", `{"org_id":"`+nobody+`","amount":1}`)
}

// TestAccountSamples holds what is done with accounts themselves to files.
func TestAccountSamples(t *testing.T) {
	b := openBook(t)
	main := b.account("{account}", "100")
	b.credential("{owner}", ledger.AccountID{}, auth.Read|auth.Admin)
	b.credential("{reader}", ledger.AccountID{}, auth.Read)
	b.credential("{own}", main, auth.Read|auth.Admin)
	b.credential("{platform}", ledger.AccountID{}, auth.Read|auth.Charge)
	b.masks = append(b.masks, dialecttest.Mask(`"id":"[0-9a-f-]{36}"`, `"id":"{new account}"`))

	const all = "POST /organizations/{org}/billing"
	const body = `{"name":"Ann","email":"ann@example.com","phone":"+1","address":{"line1":"1 Road","city":"Town","country":"NZ","postal_code":"1","state":"S","line2":"-"},"currency":"nzd","tax_data":[{"type":"nz_gst","id":"1"}],"metadata":{"k":{"v":[1,"2"]}}}`
	created := func(answer *http.Response) string {
		t.Helper()
		var made struct {
			BillingAccount struct{ ID string } `json:"billing_account"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&made); err != nil {
			t.Fatal(err)
		}
		return made.BillingAccount.ID
	}
	b.tick()
	b.word("{new account}", created(b.rest("account-create", 200, all, "{owner}", `{"offline":true,"body":`+body+`}`)))
	b.masks = nil
	b.sample("calls/rest-account-create-by-form-type", 501, strings.Replace(all, "/", "/v1beta1/", 1)+
		"\nAuthorization: Basic {owner}\nContent-Type: application/x-www-form-urlencoded\n\n"+`{"body":{}}`)
	b.rest("account-create-online", 501, all, "{owner}", `{"body":`+body+`}`)
	b.rest("account-create-no-body", 400, all, "", `{"offline":true}`)
	b.rest("account-create-broken-json", 400, all, "", `{`)
	b.rest("account-create-no-credential", 401, all, "", `{"body":{}}`)
	b.rest("account-create-not-authorized", 403, all, "{reader}", `{"offline":true,"body":{}}`)
	b.rest("account-create-of-own", 403, all, "{own}", `{"offline":true,"body":{}}`)
	b.rest("account-create-unknown-org", 404, "POST /organizations/"+nobody+"/billing", "{owner}", `{"offline":true,"body":{}}`)

	const one = " /organizations/{org}/billing/{new account}"
	b.rest("account", 200, "GET"+one, "{reader}", "")
	b.rest("account-with-all", 200, "GET"+one+"?with_payment_methods=true&with_billing_details=1&expand=organization", "{reader}", "")
	b.rest("account-bad-flag", 400, "GET"+one+"?with_billing_details=maybe", "{reader}", "")
	b.rest("account-no-uuid", 400, "GET /organizations/{org}/billing/x", "", "")
	b.rest("account-no-credential", 401, "GET"+one, "", "")
	b.rest("account-not-authorized", 403, "GET"+one, "{own}", "")
	b.rest("account-other-org", 403, "GET /organizations/"+nobody+"/billing/{new account}", "{reader}", "")
	b.rest("account-unknown", 404, "GET /organizations/{org}/billing/"+nobody, "{reader}", "")
	b.rest("accounts", 200, "GET /organizations/{org}/billing", "{reader}", "")
	b.rest("accounts-of-own", 200, "GET /organizations/{org}/billing?expand=organization", "{own}", "")
	b.rest("accounts-no-credential", 401, "GET /organizations/{org}/billing", "", "")
	b.rest("accounts-unknown-org", 404, "GET /organizations/"+nobody+"/billing", "{reader}", "")
	b.rest("accounts-all", 200, "GET /admin/billing/accounts", "{owner}", "")
	b.rest("accounts-all-not-authorized", 403, "GET /admin/billing/accounts", "{reader}", "")

	b.tick()
	b.rest("account-update", 200, "PUT"+one, "{owner}", `{"body":{"name":"Bob","email":"bob@example.com"}}`)
	b.rest("account-update-no-body", 400, "PUT"+one, "{owner}", `{}`)
	b.rest("account-update-not-authorized", 403, "PUT"+one, "{reader}", `{"body":{}}`)
	b.rest("account-update-no-credential", 401, "PUT"+one, "", `{"body":{}}`)
	b.rest("account-update-unknown", 404, "PUT /organizations/{org}/billing/"+nobody, "{owner}", `{"body":{}}`)
	b.rest("account-disable", 200, "POST"+one+"/disable", "{owner}", `{}`)
	b.rest("account-disabled", 200, "GET"+one, "{reader}", "")
	b.rest("account-disable-again", 200, "POST"+one+"/disable", "{owner}", "")
	b.rest("account-enable", 200, "POST"+one+"/enable", "{owner}", `{}`)
	b.rest("account-enable-not-authorized", 403, "POST"+one+"/enable", "{reader}", `{}`)
	b.rest("account-enable-no-credential", 401, "POST"+one+"/enable", "", `{}`)
	b.rest("account-disable-own", 403, "POST /organizations/{org}/billing/{account}/disable", "{own}", `{}`)

	const admin = " /admin/organizations/{org}/billing/{new account}/"
	b.rest("details", 200, "GET"+admin+"details", "{owner}", "")
	b.rest("details-update", 200, "PUT"+admin+"details", "{owner}", `{"credit_min":"-50","due_in_days":"14"}`)
	b.rest("details-updated", 200, "GET"+admin+"details", "{owner}", "")
	b.rest("limits-above-balance", 400, "PUT"+admin+"limits", "{owner}", `{"credit_min":"1"}`)
	b.rest("limits-too-large", 400, "PUT"+admin+"limits", "{owner}", `{"credit_min":"-9223372036854775808"}`)
	b.rest("limits-update", 200, "PUT"+admin+"limits", "{owner}", `{"credit_min":"-7"}`)
	b.rest("limits-updated", 200, "GET"+admin+"details", "{owner}", "")
	b.rest("details-negative-days", 400, "PUT"+admin+"details", "{owner}", `{"due_in_days":-1}`)
	b.rest("details-no-uuid", 400, "GET /admin/organizations/{org}/billing/x/details", "{owner}", "")
	b.rest("details-no-credential", 401, "GET"+admin+"details", "", "")
	b.rest("details-not-authorized", 403, "GET"+admin+"details", "{reader}", "")
	b.rest("details-own", 403, "PUT /admin/organizations/{org}/billing/{account}/details", "{own}", `{"credit_min":"-50"}`)
	b.rest("details-unknown", 404, "GET /admin/organizations/{org}/billing/"+nobody+"/details", "{owner}", "")

	b.rest("account-delete-not-empty", 400, "DELETE /organizations/{org}/billing/{account}", "{owner}", "")
	b.rest("account-delete-not-authorized", 403, "DELETE"+one, "{reader}", "")
	b.rest("account-delete-no-credential", 401, "DELETE"+one, "", "")
	b.rest("account-delete", 200, "DELETE"+one, "{owner}", "")
	b.rest("account-deleted", 404, "GET"+one, "{reader}", "")
	b.rest("accounts-without-deleted", 200, "GET /organizations/{org}/billing", "{reader}", "")

	const service = "FrontierService/"
	b.masks = append(b.masks, dialecttest.Mask(`"id":"[0-9a-f-]{36}","org_id"`, `"id":"{second account}","org_id"`))
	b.tick()
	b.word("{second account}", created(b.rpc("account-create", 200, service+"CreateBillingAccount", "{owner}", `{"org_id":"{org}","offline":true,"body":`+body+`}`)))
	b.masks = nil
	second := `{"id":"{second account}"}`
	b.rpc("account-create-online", 501, service+"CreateBillingAccount", "{owner}", `{"org_id":"{org}","body":`+body+`}`)
	b.rpc("account-create-no-body", 400, service+"CreateBillingAccount", "{owner}", `{"org_id":"{org}"}`)
	b.rpc("account-create-not-authorized", 403, service+"CreateBillingAccount", "{reader}", `{"org_id":"{org}","offline":true,"body":{}}`)
	b.rpc("account-create-unknown-org", 404, service+"CreateBillingAccount", "{owner}", `{"org_id":"`+nobody+`","offline":true,"body":{}}`)
	b.rpc("account", 200, service+"GetBillingAccount", "{reader}", second)
	b.rpc("account-with-all", 200, service+"GetBillingAccount", "{reader}", `{"id":"{second account}","withBillingDetails":true,"expand":["organization"]}`)
	b.rpc("account-no-uuid", 400, service+"GetBillingAccount", "{reader}", `{"id":"x"}`)
	b.rpc("account-no-credential", 401, service+"GetBillingAccount", "", second)
	b.rpc("account-not-authorized", 403, service+"GetBillingAccount", "{own}", second)
	b.rpc("account-unknown", 404, service+"GetBillingAccount", "{reader}", `{"id":"`+nobody+`"}`)
	b.rpc("accounts", 200, service+"ListBillingAccounts", "{reader}", `{"org_id":"{org}"}`)
	b.rpc("accounts-no-org", 400, service+"ListBillingAccounts", "{reader}", `{}`)
	b.rpc("accounts-all", 200, "AdminService/ListAllBillingAccounts", "{owner}", `{"org_id":"{org}"}`)
	b.tick()
	b.rpc("account-update", 200, service+"UpdateBillingAccount", "{owner}", `{"id":"{second account}","body":{"name":"Bob"}}`)
	b.rpc("account-update-no-body", 400, service+"UpdateBillingAccount", "{owner}", second)
	b.rpc("account-disable", 200, service+"DisableBillingAccount", "{owner}", second)
	b.rpc("account-enable", 200, service+"EnableBillingAccount", "{owner}", second)
	b.rpc("details-update", 200, "AdminService/UpdateBillingAccountDetails", "{owner}", `{"id":"{second account}","credit_min":-50}`)
	b.rpc("details", 200, "AdminService/GetBillingAccountDetails", "{owner}", second)
	b.rpc("limits-above-balance", 400, "AdminService/UpdateBillingAccountLimits", "{owner}", `{"id":"{account}","credit_min":101}`)
	b.rpc("limits-update", 200, "AdminService/UpdateBillingAccountLimits", "{owner}", `{"id":"{account}","credit_min":"25"}`)
	b.rpc("limits", 200, "AdminService/GetBillingAccountDetails", "{owner}", `{"id":"{account}"}`)
	b.rpc("usage-to-limit", 400, service+"CreateBillingUsage", "{platform}", `{"billing_id":"{account}",`+usages(usage("01", "76", ""))[1:])
	b.rpc("entitled-to-limit", 200, service+"CheckCreditEntitlement", "{own}", `{"org_id":"{org}","amount":75}`)
	b.rpc("details-not-authorized", 403, "AdminService/GetBillingAccountDetails", "{reader}", second)
	b.rpc("account-delete-not-empty", 400, service+"DeleteBillingAccount", "{owner}", `{"id":"{account}"}`)
	b.rpc("account-delete", 200, service+"DeleteBillingAccount", "{owner}", second)
	b.rpc("account-delete-again", 404, service+"DeleteBillingAccount", "{owner}", second)

	b.rest("provider-checkout", 501, "POST /organizations/{org}/billing/{account}/checkouts", "{owner}", `{}`)
	b.rest("provider-invoices", 501, "GET /organizations/{org}/billing/invoices", "{owner}", "")
	b.rest("provider-plans", 501, "GET /billing/plans", "", "")
	b.rest("provider-plans-delete", 501, "DELETE /billing/plans", "", "")
	b.rpc("provider-checkout", 501, service+"CreateCheckout", "{owner}", `{}`)
	b.rpc("provider-admin", 501, "AdminService/DelegatedCheckout", "{owner}", `{}`)
}

// TestOrganizationSamples holds organizations, service users and their
// credentials to files.
func TestOrganizationSamples(t *testing.T) {
	b := openBook(t)
	main := b.account("{account}", "1")
	b.credential("{owner}", ledger.AccountID{}, auth.Read|auth.Admin)
	b.credential("{reader}", ledger.AccountID{}, auth.Read)
	b.credential("{own}", main, auth.Read|auth.Admin)
	const token = "saldo" + "0123456789abcdefghijklmnopqrstuvwxyzABCD"
	everything := auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Frontier}, Everything: true, Scopes: auth.Operator}
	if _, err := b.Auth.Import(t.Context(), 0, "", everything, "", token); err != nil {
		t.Fatal(err)
	}
	b.word("{operator}", basic("any", token))
	other, _, err := b.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	b.word("{other org}", other.ID.String())
	made := func(answer *http.Response, word, member string) {
		t.Helper()
		var reply map[string]map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&reply); err != nil {
			t.Fatal(err)
		}
		for _, object := range reply {
			b.word(word, object[member].(string))
		}
	}
	mask := func(member, word string) {
		b.masks = []dialecttest.Masking{dialecttest.Mask(`"`+member+`":("?|)[^"]+"`, `"`+member+`":"`+word+`"`)}
	}

	b.tick()
	mask("id", "{new org}")
	made(b.rest("org-create", 200, "POST /organizations", "{operator}", `{"name":"acme","title":"Acme"}`), "{new org}", "id")
	b.masks = nil
	b.rest("org-create-again", 409, "POST /organizations", "{operator}", `{"name":"acme"}`)
	b.rest("org-create-bad-name", 400, "POST /organizations", "{operator}", `{"name":"Acme Inc"}`)
	b.rest("org-create-no-credential", 401, "POST /organizations", "", `{"name":"acme"}`)
	b.rest("org-create-not-authorized", 403, "POST /organizations", "{owner}", `{"name":"acme"}`)
	b.rest("org", 200, "GET /organizations/{org}", "{reader}", "")
	b.rest("org-by-name", 200, "GET /organizations/acme", "{operator}", "")
	b.rest("org-no-credential", 401, "GET /organizations/{org}", "", "")
	b.rest("org-not-authorized", 403, "GET /organizations/{other org}", "{owner}", "")
	b.rest("org-unknown", 404, "GET /organizations/"+nobody, "{reader}", "")
	b.rest("orgs", 200, "GET /organizations", "{reader}", "")
	b.rest("orgs-of-operator", 200, "GET /organizations?page_size=1&page_num=2", "{operator}", "")
	b.rest("orgs-disabled", 200, "GET /organizations?state=disabled", "{operator}", "")
	b.rest("orgs-bad-page", 400, "GET /organizations?page_size=-1", "{operator}", "")
	b.rpc("org-create-again", 409, "FrontierService/CreateOrganization", "{operator}", `{"body":{"name":"acme"}}`)
	b.rpc("org-create-bad-name", 400, "FrontierService/CreateOrganization", "{operator}", `{"body":{"name":"A b"}}`)
	b.rpc("org-create-no-body", 400, "FrontierService/CreateOrganization", "{operator}", `{}`)
	b.rpc("org", 200, "FrontierService/GetOrganization", "{reader}", `{"id":"main"}`)
	b.rpc("org-unknown", 404, "FrontierService/GetOrganization", "{reader}", `{"id":"nowhere"}`)
	b.rpc("orgs", 200, "FrontierService/ListOrganizations", "{operator}", `{}`)

	b.tick()
	mask("id", "{user}")
	made(b.rest("user-create", 200, "POST /serviceusers", "{owner}", `{"org_id":"{org}","body":{"title":"reports","metadata":{"team":"x"}}}`), "{user}", "id")
	b.masks = nil
	b.rest("user-create-no-org", 400, "POST /serviceusers", "{owner}", `{"body":{}}`)
	b.rest("user-create-no-credential", 401, "POST /serviceusers", "", `{"org_id":"{org}"}`)
	b.rest("user-create-not-authorized", 403, "POST /organizations/{org}/serviceusers", "{reader}", `{}`)
	b.rest("user-create-of-own", 403, "POST /organizations/{org}/serviceusers", "{own}", `{}`)
	b.rest("user-create-unknown-org", 404, "POST /organizations/"+nobody+"/serviceusers", "{owner}", `{}`)
	b.rest("user", 200, "GET /organizations/{org}/serviceusers/{user}", "{reader}", "")
	b.rest("user-other-org", 403, "GET /organizations/{other org}/serviceusers/{user}", "{owner}", "")
	b.rest("user-unknown", 404, "GET /organizations/{org}/serviceusers/"+nobody, "{reader}", "")
	b.rest("user-no-uuid", 404, "GET /serviceusers/x", "{reader}", "")
	b.rest("users", 200, "GET /serviceusers?org_id={org}", "{reader}", "")
	b.rest("users-disabled", 200, "GET /organizations/{org}/serviceusers?state=disabled", "{reader}", "")
	b.rest("orgs-of-user", 200, "GET /organizations?user_id={user}", "{operator}", "")

	secrets := "/organizations/{org}/serviceusers/{user}/secrets"
	both := func(member string) {
		b.masks = []dialecttest.Masking{dialecttest.Mask(`"id":"[^"]+"`, `"id":"{credential}"`), dialecttest.Mask(`"`+member+`":"[^"]+"`, `"`+member+`":"{new `+member+`}"`)}
	}
	both("secret")
	var secret struct{ Secret struct{ ID, Secret string } }
	if err := json.NewDecoder(b.rest("secret-create", 200, "POST "+secrets, "{owner}", `{"title":"first"}`).Body).Decode(&secret); err != nil {
		t.Fatal(err)
	}
	both("token")
	var opaque struct{ Token struct{ ID, Token string } }
	if err := json.NewDecoder(b.rpc("token-create", 200, "FrontierService/CreateServiceUserToken", "{owner}", `{"id":"{user}","org_id":"{org}","title":"second"}`).Body).Decode(&opaque); err != nil {
		t.Fatal(err)
	}
	b.masks = nil
	if len(secret.Secret.Secret) != 43 || len(opaque.Token.Token) != 64 {
		t.Errorf("the secrets are %d and %d characters", len(secret.Secret.Secret), len(opaque.Token.Token))
	}
	b.word("{secret id}", secret.Secret.ID)
	b.word("{token id}", opaque.Token.ID)
	b.word("{with secret}", basic(secret.Secret.ID, secret.Secret.Secret))
	b.word("{with token}", basic(opaque.Token.ID, opaque.Token.Token))
	for _, who := range []string{"{with secret}", "{with token}"} {
		name := strings.Trim(who, "{}")[len("with "):]
		b.rest(name+"-reads", 200, "GET /organizations/{org}/billing/{account}/balance", who, "")
		b.rest(name+"-charges-not", 403, "POST /organizations/{org}/billing/{account}/usages", who, usages(usage("01", "1", "")))
	}
	b.rest("secret-create-not-authorized", 403, "POST "+secrets, "{reader}", `{}`)
	b.rest("secret-create-unknown-user", 404, "POST /serviceusers/"+nobody+"/secrets", "{owner}", `{}`)
	b.rest("secrets", 200, "GET "+secrets, "{owner}", "")
	b.rest("tokens", 200, "GET /serviceusers/{user}/tokens", "{owner}", "")
	b.rpc("tokens", 200, "FrontierService/ListServiceUserTokens", "{owner}", `{"id":"{user}"}`)
	b.rest("secret-delete-token", 404, "DELETE "+secrets+"/{token id}", "{owner}", "")
	b.rest("secret-delete", 200, "DELETE "+secrets+"/{secret id}", "{owner}", "")
	b.rest("secret-deleted", 401, "GET /organizations/{org}/billing/{account}/balance", "{with secret}", "")
	b.rpc("secret-delete-again", 404, "FrontierService/DeleteServiceUserCredential", "{owner}", `{"id":"{user}","secret_id":"{secret id}"}`)
	b.rest("user-delete-not-authorized", 403, "DELETE /serviceusers/{user}", "{reader}", "")
	b.rest("user-delete", 200, "DELETE /organizations/{org}/serviceusers/{user}", "{owner}", "")
	b.rest("token-deleted", 401, "GET /organizations/{org}/billing/{account}/balance", "{with token}", "")
	b.rpc("user-deleted", 404, "FrontierService/GetServiceUser", "{owner}", `{"id":"{user}"}`)
}

// TestRefusalSamples holds what every call has in common to files: without a
// credential, with one that may not, and about what there is not, in both forms.
func TestRefusalSamples(t *testing.T) {
	const (
		billing = "/organizations/{org}/billing"
		account = billing + "/{account}"
		admin   = "/admin/organizations/{org}/billing/{account}"
		user    = "/serviceusers/{user}"
	)
	calls := []struct{ name, route, missing string }{ // missing: what its path or body names that is not there
		{"FrontierService/GetBillingBalance", "GET " + account + "/balance", "{account}"},
		{"FrontierService/CreateBillingUsage", "POST " + account + "/usages", "{account}"},
		{"AdminService/RevertBillingUsage", "POST " + admin + "/usage/{usage}/revert", "{account}"},
		{"FrontierService/ListBillingTransactions", "GET " + account + "/transactions", "{account}"},
		{"FrontierService/TotalDebitedTransactions", "GET " + account + "/debited_transactions_total", "{account}"},
		{"FrontierService/CheckCreditEntitlement", "POST /billing/check", "{org}"},
		{"FrontierService/CreateBillingAccount", "POST " + billing, "{org}"},
		{"FrontierService/ListBillingAccounts", "GET " + billing, "{org}"},
		{"FrontierService/GetBillingAccount", "GET " + account, "{account}"},
		{"FrontierService/UpdateBillingAccount", "PUT " + account, "{account}"},
		{"FrontierService/DeleteBillingAccount", "DELETE " + account, "{account}"},
		{"FrontierService/EnableBillingAccount", "POST " + account + "/enable", "{account}"},
		{"FrontierService/DisableBillingAccount", "POST " + account + "/disable", "{account}"},
		{"AdminService/ListAllBillingAccounts", "GET /admin/billing/accounts", ""},
		{"AdminService/GetBillingAccountDetails", "GET " + admin + "/details", "{account}"},
		{"AdminService/UpdateBillingAccountDetails", "PUT " + admin + "/details", "{account}"},
		{"AdminService/UpdateBillingAccountLimits", "PUT " + admin + "/limits", "{account}"},
		{"FrontierService/CreateOrganization", "POST /organizations", ""},
		{"FrontierService/GetOrganization", "GET /organizations/{org}", "{org}"},
		{"FrontierService/ListOrganizations", "GET /organizations", ""},
		{"FrontierService/CreateServiceUser", "POST /serviceusers", "{org}"},
		{"FrontierService/ListServiceUsers", "GET /organizations/{org}/serviceusers", "{org}"},
		{"FrontierService/GetServiceUser", "GET " + user, "{user}"},
		{"FrontierService/DeleteServiceUser", "DELETE " + user, "{user}"},
		{"FrontierService/CreateServiceUserCredential", "POST " + user + "/secrets", "{user}"},
		{"FrontierService/ListServiceUserCredentials", "GET " + user + "/secrets", "{user}"},
		{"FrontierService/DeleteServiceUserCredential", "DELETE " + user + "/secrets/{usage}", "{user}"},
		{"FrontierService/CreateServiceUserToken", "POST " + user + "/tokens", "{user}"},
		{"FrontierService/ListServiceUserTokens", "GET " + user + "/tokens", "{user}"},
		{"FrontierService/DeleteServiceUserToken", "DELETE " + user + "/tokens/{usage}", "{user}"},
	}
	b := openBook(t)
	main := b.account("{account}", "10")
	b.credential("{owner}", ledger.AccountID{}, auth.Read|auth.Charge|auth.Admin)
	b.credential("{reader}", main, auth.Read)
	b.credential("{charger}", main, auth.Charge)
	var made map[string]map[string]any
	if err := json.NewDecoder(b.rest("user-of-refusals", 200, "POST /serviceusers", "{owner}", `{"org_id":"{org}","body":{"title":"reports"}}`).Body).Decode(&made); err != nil {
		t.Fatal(err)
	}
	b.word("{user}", made["serviceuser"]["id"].(string))
	b.word("{usage}", "aaaaaaaa-0000-4000-8000-000000000001")
	b.word("{nobody}", nobody)
	served := map[string]bool{}
	for _, c := range calls {
		served["raystack.frontier.v1beta1."+strings.Replace(c.name, "/", ".", 1)] = true
		_, name, _ := strings.Cut(c.name, "/")
		id := "{account}"
		switch {
		case strings.Contains(name, "ServiceUser"):
			id = "{user}"
		case name == "GetOrganization":
			id = "{org}"
		}
		body := `{"id":"` + id + `","org_id":"{org}","billing_id":"{account}","usage_id":"{usage}","secret_id":"{usage}","token_id":"{usage}","amount":1,"offline":true,` +
			`"body":{"name":"acme"},"usages":[{"id":"{usage}","amount":1}]}`
		wrong := "{charger}"
		if strings.HasSuffix(name, "BillingUsage") {
			wrong = "{reader}"
		}
		both := func(what string, status int, who string, change func(string) string) {
			sent := change(body)
			if strings.HasPrefix(c.route, "GET") || strings.HasPrefix(c.route, "DELETE") {
				sent = ""
			} else if name == "CreateOrganization" {
				sent = `{"name":"acme"}`
			}
			b.rest(name+"-"+what, status, change(c.route), who, sent)
			b.rpc(name+"-"+what, status, c.name, who, change(body))
		}
		same := func(s string) string { return s }
		both("no-credential", 401, "", same)
		both("not-authorized", 403, wrong, same)
		if c.missing != "" {
			both("unknown", 404, "{owner}", func(s string) string { return strings.ReplaceAll(s, c.missing, "{nobody}") })
		}
	}
	for _, file := range []protoreflect.FileDescriptor{pb.File_raystack_frontier_v1beta1_frontier_proto, pb.File_raystack_frontier_v1beta1_admin_proto} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for n := range methods.Len() {
				if name := string(methods.Get(n).FullName()); !served[name] {
					t.Errorf("%s is not among the samples", name)
				}
			}
		}
	}
}

// revertOf is the id that Frontier gives the first revert of a usage.
func revertOf(usage, account string) string {
	return uuid.NewSHA1(uuid.MustParse("967416d0-716e-4308-b58f-2468ac14f20a"), []byte(usage+":"+account)).String()
}
