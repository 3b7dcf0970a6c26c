package frontier_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/frontier"
	"saldo/dialect/native"
	"saldo/ledger"
)

// nobody is a billing account that no ledger here has.
const nobody = "6fd667c8-480a-445d-beae-0734ee935d22"

func serve(w *dialecttest.World, o dialect.Options) http.Handler {
	return frontier.New(w.Ledger, w.Auth, frontier.Options{Options: o})
}

func basic(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// client returns the client half with a new credential of an account.
func client(w *dialecttest.World, url string, account ledger.AccountID, api frontier.API) *frontier.Client {
	issued := w.Issue(auth.Frontier, account, auth.Read)
	return &frontier.Client{URL: url, OrgID: w.Tenant.ID.String(), BillingID: account.String(),
		ClientID: issued.Credential.ID, ClientSecret: issued.Secret, API: api}
}

func TestSuite(t *testing.T) {
	for name, api := range map[string]frontier.API{"REST": frontier.REST, "Connect": frontier.Connect, "either": frontier.Either} {
		t.Run(name, func(t *testing.T) {
			s := dialecttest.Suite{
				New:  serve,
				Unit: "CREDITS",
				Amounts: amounts("1000000000", "1000000000", "", "0", "0.9999", "0", "12.75", "12", "-50", "-50", "-0.0001", "-1",
					"9223372036854775807.9999", "9223372036854775807", "-9223372036854775808", "-9223372036854775808"),
				Reader: func(w *dialecttest.World, url string, a ledger.AccountID) dialect.Reader {
					return client(w, url, a, api)
				},
				Wrong: func(w *dialecttest.World, url string, a ledger.AccountID) dialect.Reader {
					c := client(w, url, a, api)
					c.ClientSecret = c.ClientSecret[1:] + "x"
					return c
				},
				Unknown: func(w *dialecttest.World, url string, a ledger.AccountID) dialect.Reader {
					c := client(w, url, a, api)
					c.BillingID = nobody
					return c
				},
				Requests: requests,
				Check:    check,
			}
			s.Run(t)
		})
	}
}

// amounts pairs what accounts have with what they show.
func amounts(pairs ...string) (all []dialecttest.Amount) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, dialecttest.Amount{Has: pairs[i], Shown: pairs[i+1]})
	}
	return all
}

func requests(w *dialecttest.World, a ledger.AccountID) []string {
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge|auth.Admin)
	head := "Authorization: Basic " + basic(issued.Credential.ID, issued.Secret) + "\n"
	call := "POST /raystack.frontier.v1beta1.FrontierService/GetBillingBalance\nContent-Type: application/json\n" + head
	return []string{
		"GET /v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + a.String() + "/balance\n" + head,
		"GET /ping\n",
		"POST /v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + a.String() + "/usages\nContent-Type: application/json\n" + head + "\n" +
			`{"usages":[{"id":"aaaaaaaa-0000-4000-8000-000000000001","source":"x","amount":"1","metadata":{"k":[1,{"v":null}]}}]}`,
		"GET /v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + a.String() + "/transactions?start_range=2026-01-01T00:00:00Z&expand=customer\n" + head,
		"PUT /v1beta1/admin/organizations/" + w.Tenant.ID.String() + "/billing/" + a.String() + "/details\nContent-Type: application/json\n" + head + "\n" +
			`{"credit_min":"0","due_in_days":1}`,
		"POST /v1beta1/serviceusers\n" + head + "\n" + `{"org_id":"` + w.Tenant.ID.String() + `","body":{"title":"t","metadata":{}}}`,
		strings.Replace(call, "GetBillingBalance", "CreateBillingUsage", 1) + "\n" +
			`{"org_id":"` + w.Tenant.ID.String() + `","usages":[{"id":"aaaaaaaa-0000-4000-8000-000000000002","amount":1}]}`,
		strings.Replace(call, "GetBillingBalance", "ListBillingTransactions", 1) + "\n" + `{"billing_id":"` + a.String() + `","end_range":"2030-01-01T00:00:00Z"}`,
		call + "\n" + `{"id":"` + a.String() + `"}`,
		call + "Connect-Protocol-Version: 1\nConnect-Timeout-Ms: 5000\nContent-Encoding: identity\n\n" + `{"id":"` + a.String() + `","org_id":"x"}`,
	}
}

// check says what is wrong with an answer: every one is of a kind that a server
// of Frontier's gives.
func check(r *http.Response, body []byte) error {
	if r.Request != nil && r.Request.Method == http.MethodHead {
		return nil
	}
	if r.StatusCode == http.StatusMethodNotAllowed || r.StatusCode == http.StatusUnsupportedMediaType {
		if len(body) != 0 || r.Header.Get("Allow")+r.Header.Get("Accept-Post") == "" {
			return fmt.Errorf("it is not connect-go's")
		}
		return nil
	}
	switch kind := r.Header.Get("Content-Type"); kind {
	case "application/json":
	case "application/grpc", "application/grpc-web", "application/connect+json": // a spoiled content type
		return nil
	default:
		return fmt.Errorf("its type is %q", kind)
	}
	var said struct {
		Code    any
		Message *string
		Details any
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return err
	}
	switch code := said.Code.(type) {
	case float64:
		if said.Message == nil || said.Details == nil {
			return fmt.Errorf("a refusal of REST lacks members")
		}
	case string:
		if said.Message == nil {
			return fmt.Errorf("the refusal %s says nothing", code)
		}
	default:
		if r.StatusCode != 200 {
			return fmt.Errorf("it is no refusal")
		}
	}
	return nil
}

// accountBelow asks for a sub-account in credits.
func accountBelow(parent ledger.AccountID) native.AccountRequest {
	return native.AccountRequest{Parent: parent.String(), Unit: "CREDITS"}
}

func revoke(t *testing.T, w *dialecttest.World, id string) {
	t.Helper()
	if _, _, err := w.Auth.Revoke(t.Context(), 0, "", id); err != nil {
		t.Fatal(err)
	}
}
