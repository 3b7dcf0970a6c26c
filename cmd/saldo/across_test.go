package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	turk "github.com/aws/aws-sdk-go-v2/service/mturk"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier"
	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
)

// An across is one account that every dialect's client knows by an id of its own.
type across struct {
	t       *testing.T
	url     string
	api     *native.Client
	id      ledger.AccountID
	org     string
	readers map[string]dialect.Reader
	keys    map[string]key
}

// Ids that the account was brought along with.
const (
	broughtSID     = "AC0123456789abcdef0123456789ABCDEF"
	broughtBilling = "6FD667C8-480a-445d-beae-0734ee935d22"
)

// openAcross opens the account on a server.
func openAcross(t *testing.T, r *running) *across {
	t.Helper()
	ctx := t.Context()
	x := &across{t: t, url: r.url(), api: &native.Client{URL: r.url(), Token: r.token, Tenant: ledger.FirstBook}, keys: map[string]key{}}
	tenant, err := r.ledger.TenantByName(ctx, ledger.FirstBook)
	mustBe(t, err)
	x.org = tenant.ID.String()
	a, err := x.api.Open(ctx, native.AccountRequest{Unit: "USD"})
	mustBe(t, err)
	x.id, _ = ledger.ParseAccountID(a.ID)
	issue := func(s auth.Spec) {
		t.Helper()
		if s.Tenant = tenant.Number; s.Dialect != auth.Frontier { // whose permissions are of the organization
			s.Root = x.id
		}
		made, err := r.auth.Issue(ctx, 0, "", s)
		mustBe(t, err)
		x.keys[s.Dialect] = key{made.Credential.ID, made.Secret}
	}
	const all = auth.Read | auth.Charge | auth.Admin
	issue(auth.Spec{Dialect: auth.MTurk, Dialects: []string{auth.MTurkLegacy}, Scopes: all})
	issue(auth.Spec{Dialect: auth.Gateway360, Scopes: all})
	issue(auth.Spec{Dialect: auth.Frontier, Scopes: all})
	token := strings.Repeat("0a1b", 8)
	_, err = r.auth.Import(ctx, 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: tenant.Number, Root: x.id, Scopes: all}, broughtSID, token)
	mustBe(t, err)
	x.keys[auth.Twilio] = key{broughtSID, token}
	x.post("/v1/accounts/"+a.ID+"/aliases", object{"id": "alias", "dialect": auth.Frontier, "external": broughtBilling})

	aws, client := x.keys[auth.MTurk], x.keys[auth.Frontier]
	x.readers = map[string]dialect.Reader{
		"native":       &nativeReader{x.api, a.ID},
		"twilio":       &twilio.Client{URL: x.url, AccountSID: broughtSID, Secret: token},
		"mturk":        &mturk.Client{URL: x.url, AccessKeyID: aws.id, SecretAccessKey: aws.secret},
		"mturk legacy": &mturklegacy.Client{URL: x.url, AccessKeyID: aws.id, SecretAccessKey: aws.secret},
		"gateway360":   &gateway360.Client{URL: x.url, APIKey: x.keys[auth.Gateway360].secret},
		"frontier REST": &frontier.Client{URL: x.url, OrgID: x.org, BillingID: broughtBilling, ClientID: client.id, ClientSecret: client.secret,
			API: frontier.REST},
		"frontier Connect": &frontier.Client{URL: x.url, BillingID: broughtBilling, ClientID: client.id, ClientSecret: client.secret, API: frontier.Connect},
	}
	return x
}

// reads has every client read the balance.
func (x *across) reads(after string, want int) {
	x.t.Helper()
	for name, r := range x.readers {
		got, err := r.Read(x.t.Context())
		if err != nil {
			x.t.Fatalf("after %s %s reads %v", after, name, err)
		}
		if whole, rest, _ := strings.Cut(got.Text, "."); whole != fmt.Sprint(want) || strings.Trim(rest, "0") != "" {
			x.t.Errorf("after %s %s reads %s, want %d", after, name, got.Text, want)
		}
	}
}

func (x *across) post(path string, body object) {
	x.t.Helper()
	mustBe(x.t, x.api.Do(x.t.Context(), http.MethodPost, path, body, nil))
}

// asks makes a request of a vendor's API, and returns the answer.
func (x *across) asks(path, kind, user, secret, body string) string {
	x.t.Helper()
	q, err := http.NewRequestWithContext(x.t.Context(), http.MethodPost, x.url+path, strings.NewReader(body))
	mustBe(x.t, err)
	q.Header.Set("Content-Type", kind)
	if user != "" {
		q.SetBasicAuth(user, secret)
	}
	resp, err := http.DefaultClient.Do(q)
	mustBe(x.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	mustBe(x.t, err)
	if resp.StatusCode/100 != 2 {
		x.t.Fatalf("%s is answered %d %s", path, resp.StatusCode, answer)
	}
	return string(answer)
}

// form asks with a form.
func (x *across) form(path, user, secret string, v url.Values) string {
	x.t.Helper()
	return x.asks(path, "application/x-www-form-urlencoded", user, secret, v.Encode())
}

// connect makes a call of Frontier's.
func (x *across) connect(method string, body object) {
	x.t.Helper()
	data, err := json.Marshal(body)
	mustBe(x.t, err)
	k := x.keys[auth.Frontier]
	x.asks("/raystack.frontier.v1beta1."+method, "application/json", k.id, k.secret, string(data))
}

const question = `<QuestionForm xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionForm.xsd"/>`

// TestAcross lowers one account by every dialect in turn. After each, all of them
// read the same; in the end the books are proved.
func TestAcross(t *testing.T) {
	c := testConfig(t, "--dialects", strings.Join(vendors, ","), "--gateway360-prices", "ES:34:1.0000:USD", "--gateway360-sink", "log")
	t.Run("turns", func(t *testing.T) { turns(openAcross(t, startNode(t, c))) })
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"verify", "--data", c.Data}, os.Getenv, strings.NewReader(""), &out, &errs); code != exitOK {
		t.Errorf("verify ended with %d: %s%s", code, &out, &errs)
	}
}

func turns(x *across) {
	t, ctx := x.t, x.t.Context()
	at := "/v1/accounts/" + x.id.String()
	x.post(at+"/topups", object{"id": "top-up", "amount": "100"})
	x.reads("a top-up", 100)
	x.post(at+"/charges", object{"id": "charge", "amount": "10"})
	x.reads("a charge", 90)

	made := x.form("/2010-04-01/Accounts.json", broughtSID, x.keys[auth.Twilio].secret, url.Values{"FriendlyName": {"child"}})
	var child struct{ SID string }
	mustBe(t, json.Unmarshal([]byte(made), &child))
	x.post("/v1/accounts/"+child.SID+"/charges", object{"id": "child", "amount": "5", "category": "sms"})
	x.reads("a charge to Twilio's sub-account", 85)

	usage := object{"org_id": x.org, "billing_id": broughtBilling, "usages": []object{{"id": "aaaaaaaa-0000-4000-8000-000000000001", "source": "app", "amount": "7"}}}
	x.connect("FrontierService/CreateBillingUsage", usage)
	x.reads("usage at Frontier", 78)
	x.connect("AdminService/RevertBillingUsage", object{"org_id": x.org, "billing_id": broughtBilling, "usage_id": "aaaaaaaa-0000-4000-8000-000000000001", "amount": "2"})
	x.reads("its revert", 80)

	k := x.keys[auth.MTurk]
	sdk := turk.New(turk.Options{Region: "us-east-1", BaseEndpoint: aws.String(x.url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, nil
		})})
	hit, err := sdk.CreateHIT(ctx, &turk.CreateHITInput{Title: aws.String("t"), Description: aws.String("d"), Question: aws.String(question),
		Reward: aws.String("5.00"), MaxAssignments: aws.Int32(2), AssignmentDurationInSeconds: aws.Int64(600), LifetimeInSeconds: aws.Int64(3600)})
	mustBe(t, err)
	x.reads("a HIT, which sets its cost aside", 68)
	var work struct{ ID string }
	mustBe(t, x.api.Do(ctx, http.MethodPost, "/v1/mturk/hits/"+aws.ToString(hit.HIT.HITId)+"/assignments", object{"worker_id": "A1EXAMPLE"}, &work))
	x.post("/v1/mturk/assignments/"+work.ID+"/submit", object{"answer": "<QuestionFormAnswers/>"})
	_, err = sdk.ApproveAssignment(ctx, &turk.ApproveAssignmentInput{AssignmentId: aws.String(work.ID)})
	mustBe(t, err)
	x.reads("work that is paid of what was set aside", 68)
	_, err = sdk.SendBonus(ctx, &turk.SendBonusInput{AssignmentId: aws.String(work.ID), WorkerId: aws.String("A1EXAMPLE"), BonusAmount: aws.String("5.00"), Reason: aws.String("good")})
	mustBe(t, err)
	x.reads("a bonus", 62)

	x.legacy("CreateHIT", url.Values{"Title": {"t"}, "Description": {"d"}, "Question": {question}, "Reward.1.Amount": {"5.00"}, "Reward.1.CurrencyCode": {"USD"},
		"MaxAssignments": {"1"}, "AssignmentDurationInSeconds": {"600"}, "LifetimeInSeconds": {"3600"}})
	x.reads("a HIT by the older API", 56)

	sent, err := x.readers["gateway360"].(*gateway360.Client).Send(ctx, &gateway360.Batch{Messages: []gateway360.Message{{From: "shop", To: "34666666111", Text: "hello"}}})
	if err != nil || len(sent) != 1 || sent[0].ErrorID != "" {
		t.Fatalf("a message was answered %+v, %v", sent, err)
	}
	x.reads("a message by Gateway360", 55)
	sub, err := x.api.Open(ctx, native.AccountRequest{Parent: x.id.String(), Unit: "USD", Mode: "own"})
	mustBe(t, err)
	x.post("/v1/accounts/"+sub.ID+"/aliases", object{"id": "sub", "dialect": auth.Gateway360, "external": "branch"})
	for _, c := range []struct {
		call, amount string
		want         int
	}{{"add-balance", "5", 50}, {"deduct-balance", "2", 52}} {
		body, err := json.Marshal(object{"api_key": x.keys[auth.Gateway360].secret, "user_name": "branch", "amount": c.amount})
		mustBe(t, err)
		x.asks("/api/3.0/subaccount/"+c.call, "application/json", "", "", string(body))
		x.reads(c.call+" of Gateway360", c.want)
	}
}

// legacy makes a call of MTurk's API before 2017.
func (x *across) legacy(operation string, v url.Values) {
	x.t.Helper()
	k, now := x.keys[auth.MTurk], time.Now().UTC().Format("2006-01-02T15:04:05Z")
	mac := hmac.New(sha1.New, []byte(k.secret))
	io.WriteString(mac, "AWSMechanicalTurkRequester"+operation+now)
	v.Set("Service", "AWSMechanicalTurkRequester")
	v.Set("Version", "2014-08-15")
	v.Set("Operation", operation)
	v.Set("AWSAccessKeyId", k.id)
	v.Set("Timestamp", now)
	v.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if answer := x.form("/", "", "", v); !strings.Contains(answer, "<IsValid>True</IsValid>") {
		x.t.Fatalf("%s is answered %s", operation, answer)
	}
}

// TestOneRate: one rate holds for all dialects together, and each refuses what is
// beyond it in its own words.
func TestOneRate(t *testing.T) {
	const most = 4
	r := startNode(t, testConfig(t, "--rate", fmt.Sprint(most)))
	tenant, err := r.ledger.TenantByName(t.Context(), ledger.FirstBook)
	mustBe(t, err)
	made, err := r.auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Twilio, auth.Gateway360, auth.Frontier},
		Tenant: tenant.Number, Scopes: auth.Read})
	mustBe(t, err)
	api := &native.Client{URL: r.url(), Token: r.token, Tenant: ledger.FirstBook, Tries: 1}
	a, err := api.Open(t.Context(), native.AccountRequest{Unit: "USD"}) // with another credential
	mustBe(t, err)
	sid := "AC" + strings.ReplaceAll(a.ID, "-", "")
	readers := map[string]dialect.Reader{
		"native":   &nativeReader{&native.Client{URL: r.url(), Token: made.Secret, Tries: 1}, a.ID},
		"twilio":   &twilio.Client{URL: r.url(), AccountSID: sid, Secret: made.Secret},
		"REST":     &frontier.Client{URL: r.url(), OrgID: tenant.ID.String(), BillingID: a.ID, Token: made.Secret, API: frontier.REST},
		"frontier": &frontier.Client{URL: r.url(), BillingID: a.ID, Token: made.Secret, API: frontier.Connect},
	}
	if len(readers) != most {
		t.Fatal("each has to have one turn")
	}
	for name, reader := range readers {
		if _, err := reader.Read(t.Context()); err != nil {
			t.Errorf("%s reads %v", name, err)
		}
	}
	for name, want := range map[string]string{"native": "RATE_LIMITED", "twilio": "20429", "REST": "resource_exhausted", "frontier": "resource_exhausted"} {
		_, err := readers[name].Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("beyond the rate %s reads %v, want %s", name, err, want)
		}
	}
}
