package frontier_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/frontier"
	pb "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/dialect/native"
	"saldo/ledger"
)

// spend reports n usages of one credit each, in one batch, and returns their ids.
func spend(c *goClient, account ledger.AccountID, n int, who string) (ids []string, err error) {
	in := &pb.CreateBillingUsageRequest{BillingId: account.String()}
	for range n {
		id := fmt.Sprintf("eeeeeeee-0000-4000-8000-%012d", batches.Add(1))
		ids = append(ids, id)
		in.Usages = append(in.Usages, &pb.Usage{Id: id, Amount: 1, Source: "Long", Description: strings.Repeat("d", 100)})
	}
	_, err = called[pb.CreateBillingUsageRequest, pb.CreateBillingUsageResponse](c, "FrontierService", "CreateBillingUsage", who, in)
	return ids, err
}

// TestLongList lists what is longer than any buffer: in pieces, all of it, in
// every form; and what gRPC cannot hold is refused.
func TestLongList(t *testing.T) {
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	url := w.Serve(h)
	account := w.Account("CREDITS", "100000")
	issued := w.Issue(auth.Frontier, account, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	c := &goClient{t, url, http2(t), nil}
	var want []string // newest first
	for range 3 {
		ids, err := spend(c, account, 1000, who)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			want = append([]string{id}, want...)
		}
	}
	check := func(name string, got []string) {
		t.Helper()
		if len(got) != len(want)+1 {
			t.Fatalf("%s lists %d transactions, want %d", name, len(got), len(want)+1)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s has %s as number %d, want %s", name, got[i], i, want[i])
			}
		}
	}
	ask := func(method, path, kind, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", who)
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reply.Body.Close() })
		if reply.StatusCode != 200 || reply.ContentLength != -1 || reply.Uncompressed {
			t.Fatalf("%s %s is answered %d with %d bytes", method, path, reply.StatusCode, reply.ContentLength)
		}
		return reply
	}
	readJSON := func(reply *http.Response) (ids []string) {
		t.Helper()
		var list struct{ Transactions []struct{ ID string } }
		if err := json.NewDecoder(reply.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		for _, row := range list.Transactions {
			ids = append(ids, row.ID)
		}
		return ids
	}
	of := func(list *pb.ListBillingTransactionsResponse) (ids []string) {
		for _, row := range list.GetTransactions() {
			ids = append(ids, row.Id)
		}
		return ids
	}
	const call = "/raystack.frontier.v1beta1.FrontierService/ListBillingTransactions"
	check("REST", readJSON(ask("GET", "/v1beta1/organizations/"+w.Tenant.ID.String()+"/billing/"+account.String()+"/transactions", "", "")))
	check("Connect JSON", readJSON(ask("POST", call, "application/json", `{"billing_id":"`+account.String()+`"}`)))
	in := &pb.ListBillingTransactionsRequest{BillingId: account.String()}
	binary, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(ask("POST", call, "application/proto", string(binary)).Body)
	if err != nil {
		t.Fatal(err)
	}
	list := new(pb.ListBillingTransactionsResponse)
	if err := proto.Unmarshal(body, list); err != nil {
		t.Fatal(err)
	}
	check("Connect", of(list))
	for name, o := range map[string][]connect.ClientOption{"connect-go": nil, "connect-go JSON": {connect.WithProtoJSON()}, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
		list, err := called[pb.ListBillingTransactionsRequest, pb.ListBillingTransactionsResponse](&goClient{t, url, http2(t), o}, "FrontierService", "ListBillingTransactions", who, in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		check(name, of(list))
	}
	frontier.Gathers(h, 1<<10)
	_, err = called[pb.ListBillingTransactionsRequest, pb.ListBillingTransactionsResponse](&goClient{t, url, http2(t), []connect.ClientOption{connect.WithGRPC()}}, "FrontierService", "ListBillingTransactions", who, in)
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a list that is too long is %v", err)
	}
	check("Connect JSON", readJSON(ask("POST", call, "application/json", `{"billing_id":"`+account.String()+`"}`)))
}

// TestListCutShort sees a list that cannot be finished end in a broken
// connection, not in JSON that looks whole.
func TestListCutShort(t *testing.T) {
	w := dialecttest.Open(t)
	var log bytes.Buffer
	h := serve(w, dialect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	account := w.Account("CREDITS", "100000")
	issued := w.Issue(auth.Frontier, account, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	if _, err := spend(&goClient{t, w.Serve(h), http2(t), nil}, account, 1000, who); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"GET /v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + account.String() + "/transactions\n",
		"POST /raystack.frontier.v1beta1.FrontierService/ListBillingTransactions\nContent-Type: application/json\n",
	} {
		log.Reset()
		r := dialecttest.Request(t, text+"Authorization: "+who+"\n\n"+`{"billing_id":"`+account.String()+`"}`)
		rec := &breaking{ResponseRecorder: httptest.NewRecorder()}
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%s ended with %v", text, p)
				}
			}()
			h.ServeHTTP(rec, r)
		}()
		if log.Len() == 0 {
			t.Errorf("%s was cut short and nothing was logged", text)
		}
	}
}

// breaking is a ResponseWriter whose second write fails.
type breaking struct {
	*httptest.ResponseRecorder
	n int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.n++; b.n > 1 {
		return 0, io.ErrClosedPipe
	}
	return b.ResponseRecorder.Write(p)
}

// TestRevertRace reverts 10 credits by 64 callers at once: there are 10
// successes, and no more is given back than was taken.
func TestRevertRace(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	account := w.Account("CREDITS", "100")
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	c := &goClient{t, url, http2(t), nil}
	const usage = "ffffffff-0000-4000-8000-000000000001"
	in := &pb.CreateBillingUsageRequest{BillingId: account.String(), Usages: []*pb.Usage{{Id: usage, Amount: 10}}}
	if _, err := called[pb.CreateBillingUsageRequest, pb.CreateBillingUsageResponse](c, "FrontierService", "CreateBillingUsage", who, in); err != nil {
		t.Fatal(err)
	}
	var given, refused atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			_, err := called[pb.RevertBillingUsageRequest, pb.RevertBillingUsageResponse](c, "AdminService", "RevertBillingUsage", who,
				&pb.RevertBillingUsageRequest{BillingId: account.String(), UsageId: strings.ToUpper(usage), Amount: 1})
			switch {
			case err == nil:
				given.Add(1)
			case connect.CodeOf(err) == connect.CodeInvalidArgument && strings.Contains(err.Error(), "greater than the usage"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if given.Load() != 10 || refused.Load() != 54 {
		t.Errorf("%d were given back, %d refused", given.Load(), refused.Load())
	}
	if b, err := w.Ledger.Balance(t.Context(), account); err != nil || b.Posted.Text(4) != "100.0000" {
		t.Errorf("%s is left, %v", b.Posted.Text(4), err)
	}
}

// TestBroughtAlong spends by ids that were brought along, which are shown again.
func TestBroughtAlong(t *testing.T) {
	const org, billing = "4eef0ae7-3f73-4886-aeb3-c59f4bca67a4", "1355c761-e263-4ada-9b10-d4fe3a8c9454"
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	account := w.Account("CREDITS", "100")
	for external, id := range map[string]ledger.AccountID{org: {}, billing: account} {
		if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Frontier, External: external, Account: id, Tenant: w.Tenant.Number}); err != nil {
			t.Fatal(err)
		}
	}
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge)
	head := "Authorization: Basic " + basic(issued.Credential.ID, issued.Secret) + "\n"
	ask := func(text string) string {
		t.Helper()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, dialecttest.Request(t, text))
		if rec.Code != 200 {
			t.Fatalf("%s is answered %d %s", text, rec.Code, rec.Body)
		}
		return rec.Body.String()
	}
	// The exchange that was recorded at v0.22.0, and the id that its revert had.
	at := "/v1beta1/organizations/" + org + "/billing/" + billing
	ask("POST " + at + "/usages\n" + head + "\n" +
		`{"usages":[{"id":"aaaaaaaa-0000-4000-8000-000000000001","source":"MyApp","description":"d","amount":"10","user_id":"","metadata":{"k":"v"}}]}`)
	ask("POST /v1beta1/admin/organizations/" + org + "/billing/" + billing + "/usage/aaaaaaaa-0000-4000-8000-000000000001/revert\n" + head + "\n" + `{"amount":"4"}`)
	list := ask("GET " + at + "/transactions?expand=customer\n" + head)
	for _, part := range []string{
		`{"transactions":[{"id":"7511ae4a-f588-58e1-9af3-1b482467bb50", "customer_id":"` + billing + `", "source":"system.revert.myapp", "amount":"4", "type":"credit", "description":"Revert: d", "user_id":"", "metadata":{"k":"v", "revert_request_using":"aaaaaaaa-0000-4000-8000-000000000001"}, "created_at":"`,
		`{"id":"aaaaaaaa-0000-4000-8000-000000000001", "customer_id":"` + billing + `", "source":"myapp", "amount":"10", "type":"debit"`,
		`"customer":{"id":"` + billing + `", "org_id":"` + org + `"`,
	} {
		if !strings.Contains(list, part) {
			t.Errorf("the list is %s, want it to have %s", list, part)
		}
	}
	for _, body := range []string{`{"org_id":"` + org + `"}`, `{"org_id":"` + strings.ToUpper(org) + `","billing_id":"` + billing + `"}`} {
		got := ask("POST /raystack.frontier.v1beta1.FrontierService/TotalDebitedTransactions\nContent-Type: application/json\n" + head + "\n" + body)
		if got != `{"debited":{"amount":"6","currency":"VC"}}` {
			t.Errorf("%s debited %s", body, got)
		}
	}
}

// TestOtherAccounts reports usage for accounts that are not roots, of other
// tenants, and of other units.
func TestOtherAccounts(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	parent := w.Account("CREDITS", "10")
	child := w.Open(accountBelow(parent), "5")
	draws := w.Open(native.AccountRequest{Parent: parent.String(), Mode: "drawing"}, "")
	dollars := w.Account("USD", "1.5")
	c := &goClient{t, url, http2(t), nil}
	issue := func(spec auth.Spec) string {
		t.Helper()
		issued, err := w.Auth.Issue(t.Context(), 0, "", spec)
		if err != nil {
			t.Fatal(err)
		}
		return "Basic " + basic(issued.Credential.ID, issued.Secret)
	}
	own := issue(auth.Spec{Dialect: auth.Frontier, Tenant: w.Tenant.Number, Root: parent, Scopes: auth.Read | auth.Charge})
	platform := issue(auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Frontier}, Everything: true, Scopes: auth.Operator})
	for name, ask := range map[string]struct {
		account ledger.AccountID
		who     string
		want    connect.Code // 0: it is charged
	}{
		"a child":                  {child, own, 0},
		"one that draws":           {draws, own, connect.CodeNotFound},
		"a neighbour":              {dollars, own, connect.CodePermissionDenied},
		"anything by the platform": {dollars, platform, 0},
		"too much of it":           {dollars, platform, connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			n := 1
			if ask.want == connect.CodeInvalidArgument {
				n = 2
			}
			if _, err := spend(c, ask.account, n, ask.who); ask.want == 0 && err != nil || ask.want != 0 && connect.CodeOf(err) != ask.want {
				t.Errorf("it came to %v, want %v", err, ask.want)
			}
		})
	}
	// Without a billing id the credential's own account is meant.
	in := &pb.TotalDebitedTransactionsRequest{OrgId: "main"}
	if _, err := spend(c, parent, 3, own); err != nil {
		t.Fatal(err)
	}
	out, err := called[pb.TotalDebitedTransactionsRequest, pb.TotalDebitedTransactionsResponse](c, "FrontierService", "TotalDebitedTransactions", own, in)
	if err != nil || out.GetDebited().GetAmount() != 3 {
		t.Errorf("debited %v, %v", out, err)
	}
}

// TestRevertTakesFromNobody: what was paid to an account is given back only by who
// opens that, too.
func TestRevertTakesFromNobody(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	main, other := w.Account("CREDITS", "10"), w.Account("CREDITS", "")
	child := w.Open(accountBelow(main), "")
	c := &goClient{t, url, http2(t), nil}
	issue := func(root ledger.AccountID) string {
		t.Helper()
		issued, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Frontier}, Tenant: w.Tenant.Number,
			Root: root, Scopes: auth.Read | auth.Charge | auth.TopUp})
		if err != nil {
			t.Fatal(err)
		}
		return "Basic " + basic("any", issued.Secret)
	}
	own, whole := issue(main), issue(ledger.AccountID{})
	for n, ask := range []struct {
		kind string
		to   ledger.AccountID
		who  string
		want connect.Code // 0: it is given back
	}{
		{"charge", other, own, connect.CodePermissionDenied},
		{"move", other, own, connect.CodePermissionDenied},
		{"charge", child, own, 0},
		{"charge", other, whole, 0},
	} {
		id := fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n)
		if _, err := w.Native.Transfer(t.Context(), native.TransferRequest{ID: id, From: main.String(), To: ask.to.String(), Kind: ask.kind, Amount: "2"}); err != nil {
			t.Fatal(err)
		}
		in := &pb.RevertBillingUsageRequest{BillingId: main.String(), UsageId: id, Amount: 2}
		_, err := called[pb.RevertBillingUsageRequest, pb.RevertBillingUsageResponse](c, "AdminService", "RevertBillingUsage", ask.who, in)
		if ask.want == 0 && err != nil || ask.want != 0 && connect.CodeOf(err) != ask.want {
			t.Errorf("of a %s to %v it came to %v, want %v", ask.kind, ask.to, err, ask.want)
		}
	}
	b, err := w.Native.Balance(t.Context(), other.String())
	if err != nil || b.Posted != "4.0000" {
		t.Errorf("the other account has %+v, %v", b, err)
	}
}

// TestLongTexts: what was taken can be given back, however much its text says, and
// what an account's says is no longer when it is written again.
func TestLongTexts(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	account := w.Account("CREDITS", "100")
	c := &goClient{t, url, http2(t), nil}
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge|auth.Admin)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	tags, err := structpb.NewStruct(map[string]any{"html": strings.Repeat("<&>", 5000)})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for n, u := range []*pb.Usage{{Metadata: tags}, {Metadata: tags, UserId: "u", Source: "s", Description: "d"},
		{Description: strings.Repeat("d", ledger.MaxText-300)}, {Description: strings.Repeat("d", ledger.MaxText-100)},
		{Description: strings.Repeat("d", ledger.MaxText-20)}, {Description: strings.Repeat("d", ledger.MaxText)}} {
		u.Id, u.Amount = fmt.Sprintf("bbbbbbbb-0000-4000-8000-%012d", n), 1
		in := &pb.CreateBillingUsageRequest{BillingId: account.String(), Usages: []*pb.Usage{u}}
		if _, err := called[pb.CreateBillingUsageRequest, pb.CreateBillingUsageResponse](c, "FrontierService", "CreateBillingUsage", who, in); err != nil {
			if connect.CodeOf(err) != connect.CodeOutOfRange {
				t.Errorf("usage %d: %v", n, err)
			}
			continue
		}
		taken++
		back := &pb.RevertBillingUsageRequest{BillingId: account.String(), UsageId: u.Id, Amount: 1}
		if _, err := called[pb.RevertBillingUsageRequest, pb.RevertBillingUsageResponse](c, "AdminService", "RevertBillingUsage", who, back); err != nil {
			t.Errorf("usage %d was taken, and is not given back: %v", n, err)
		}
	}
	if taken != 3 {
		t.Errorf("%d usages were taken", taken)
	}
	for _, metadata := range []*structpb.Struct{tags, nil} {
		in := &pb.UpdateBillingAccountRequest{Id: account.String(), Body: &pb.BillingAccountRequestBody{Name: "Ann", Metadata: metadata}}
		out, err := called[pb.UpdateBillingAccountRequest, pb.UpdateBillingAccountResponse](c, "FrontierService", "UpdateBillingAccount", who, in)
		if err != nil || !proto.Equal(out.GetBillingAccount().GetMetadata(), tags) {
			t.Errorf("updated it is %v, %v", out, err)
		}
	}
}

// TestTextIsShared: what one dialect knows of an account outlives a change by
// another, each way round.
func TestTextIsShared(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Admin)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	c := &goClient{t, url, http2(t), nil}
	nested, err := structpb.NewStruct(map[string]any{"plan": map[string]any{"seats": 3.0}})
	if err != nil {
		t.Fatal(err)
	}
	body := &pb.BillingAccountRequestBody{Name: "Ann", Email: "ann@example.org", Phone: "1", Metadata: nested,
		Address: &pb.BillingAccount_Address{City: "Aarhus"}, TaxData: []*pb.BillingAccount_Tax{{Type: "vat", Id: "DK1"}}}
	made, err := called[pb.CreateBillingAccountRequest, pb.CreateBillingAccountResponse](c, "FrontierService", "CreateBillingAccount", who,
		&pb.CreateBillingAccountRequest{OrgId: w.Tenant.ID.String(), Offline: true, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	id := made.BillingAccount.Id
	patch := func(body map[string]any) {
		t.Helper()
		if err := w.Native.Do(t.Context(), http.MethodPatch, "/v1/accounts/"+id, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *pb.BillingAccount {
		t.Helper()
		got, err := called[pb.GetBillingAccountRequest, pb.GetBillingAccountResponse](c, "FrontierService", "GetBillingAccount", who, &pb.GetBillingAccountRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		return got.BillingAccount
	}
	want := made.BillingAccount
	same := func() {
		t.Helper()
		got := read()
		got.UpdatedAt, want.UpdatedAt = nil, nil
		if !proto.Equal(got, want) {
			t.Errorf("the account is\n%v, want\n%v", got, want)
		}
	}
	rename := map[string]any{"id": "rename", "name": "Bea"}
	patch(rename)
	want.Name = "Bea"
	same()
	patch(map[string]any{"metadata": map[string]any{"crm": "7"}})
	want.Metadata, _ = structpb.NewStruct(map[string]any{"crm": "7"})
	same()
	patch(rename) // the repeat is the same command still
	same()

	// The other way: what Frontier does not know stays when Frontier changes the rest.
	account, _ := ledger.ParseAccountID(id)
	a, err := w.Ledger.Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	text, err := w.Ledger.Text(t.Context(), a.Book, a.Profile)
	if err != nil {
		t.Fatal(err)
	}
	text = dialect.SetMembers(text, map[string]json.RawMessage{"another": []byte(`{"of":"its own"}`)})
	if _, err := w.Ledger.Post(t.Context(), &ledger.Command{Tenant: a.Tenant, Book: a.Book, Ops: []ledger.Op{
		&ledger.SetAccount{Account: a.ID, Expect: a.Version, Profile: &ledger.Text{Data: text}}}}); err != nil {
		t.Fatal(err)
	}
	body = &pb.BillingAccountRequestBody{Name: "Cleo"}
	if _, err := called[pb.UpdateBillingAccountRequest, pb.UpdateBillingAccountResponse](c, "FrontierService", "UpdateBillingAccount", who,
		&pb.UpdateBillingAccountRequest{Id: id, Body: body}); err != nil {
		t.Fatal(err)
	}
	want.Name, want.Email, want.Phone, want.Address, want.TaxData = "Cleo", "", "", new(pb.BillingAccount_Address), nil
	same()
	if a, err = w.Ledger.Account(t.Context(), account); err == nil {
		text, err = w.Ledger.Text(t.Context(), a.Book, a.Profile)
	}
	if err != nil || !strings.Contains(string(text), `"another":{"of":"its own"}`) || strings.Contains(string(text), "Aarhus") {
		t.Errorf("the text is %s, %v", text, err)
	}
}

// TestDebitedGrows asks for the total again and again, and of a server that has
// not been asked yet.
func TestDebitedGrows(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("CREDITS", "100")
	issued := w.Issue(auth.Frontier, account, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	asked := &goClient{t, w.Serve(serve(w, dialect.Options{})), http2(t), nil}
	in := &pb.TotalDebitedTransactionsRequest{BillingId: account.String()}
	total := func(c *goClient) int64 {
		t.Helper()
		out, err := called[pb.TotalDebitedTransactionsRequest, pb.TotalDebitedTransactionsResponse](c, "FrontierService", "TotalDebitedTransactions", who, in)
		if err != nil {
			t.Fatal(err)
		}
		return out.Debited.Amount
	}
	var all sync.WaitGroup
	for n := range int64(5) {
		if _, err := spend(asked, account, 3, who); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			all.Go(func() {
				if got := total(asked); got != 3*n+3 {
					t.Errorf("after %d usages %d are debited", 3*n+3, got)
				}
			})
		}
		all.Wait()
	}
	if fresh := (&goClient{t, w.Serve(serve(w, dialect.Options{})), http2(t), nil}); total(fresh) != 15 {
		t.Errorf("a new server says %d", total(fresh))
	}
}

// TestEveryCallAsks makes every call of the schema as nobody, with a wrong
// secret, and as somebody who may do nothing that it needs.
func TestEveryCallAsks(t *testing.T) {
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	account := w.Account("CREDITS", "1")
	mute := w.Issue(auth.Frontier, account, auth.Charge) // may read nothing
	made := 0
	for _, file := range []protoreflect.FileDescriptor{pb.File_raystack_frontier_v1beta1_frontier_proto, pb.File_raystack_frontier_v1beta1_admin_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for n := range service.Methods().Len() {
				call := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(n).Name())
				ask := func(credential string) int {
					rec := httptest.NewRecorder()
					h.ServeHTTP(rec, dialecttest.Request(t, "POST "+call+"\nContent-Type: application/json\n"+credential+"\n"+
						`{"id":"`+account.String()+`","org_id":"`+w.Tenant.ID.String()+`","body":{"name":"x"},"offline":true,"amount":1}`))
					return rec.Code
				}
				made++
				for _, credential := range []string{"", "Authorization: Bearer wrong\n", "Authorization: Basic " + basic(mute.Credential.ID, "wrong") + "\n"} {
					if code := ask(credential); code != http.StatusUnauthorized && code != http.StatusTooManyRequests {
						t.Errorf("%s with %q is answered %d", call, credential, code)
					}
				}
				if strings.HasSuffix(call, "BillingUsage") {
					continue // the scope that it has
				}
				if code := ask("Authorization: Basic " + basic(mute.Credential.ID, mute.Secret) + "\n"); code != http.StatusForbidden && code != http.StatusNotFound {
					t.Errorf("%s by who may not read is answered %d", call, code)
				}
			}
		}
	}
	if made < 30 {
		t.Errorf("the schema has %d calls", made)
	}
}

// TestTooLong sends bodies beyond the bound.
func TestTooLong(t *testing.T) {
	w := dialecttest.Open(t)
	h := serve(w, dialect.Options{})
	account := w.Account("CREDITS", "1")
	issued := w.Issue(auth.Frontier, account, auth.Read|auth.Charge)
	head := "Authorization: Basic " + basic(issued.Credential.ID, issued.Secret) + "\n"
	for _, text := range []string{
		"POST /v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + account.String() + "/usages\n" + head,
		"POST /raystack.frontier.v1beta1.FrontierService/CreateBillingUsage\nContent-Type: application/json\n" + head,
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, dialecttest.Request(t, text+"\n"+`{"usages":[],"x":"`+strings.Repeat("x", 1<<20)+`"}`))
		if rec.Code != http.StatusTooManyRequests {
			t.Errorf("%s is answered %d %s", text, rec.Code, rec.Body)
		}
	}
	// What is too long for one transfer's free text is refused, not cut.
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, dialecttest.Request(t, "POST /v1beta1/organizations/"+w.Tenant.ID.String()+"/billing/"+account.String()+"/usages\n"+head+"\n"+
		usages(usage("01", "1", `,"metadata":{"k":"`+strings.Repeat("x", 30<<10)+`"}`))))
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"code":11`) {
		t.Errorf("a long text is answered %d %s", rec.Code, rec.Body)
	}
}

// FuzzREST sends any request to REST: the answer is JSON, and no fault of the
// server.
func FuzzREST(f *testing.F) {
	w := dialecttest.Open(f)
	var log bytes.Buffer
	h := serve(w, dialect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	account := w.Account("CREDITS", "100")
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge|auth.Admin)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	at := "/v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + account.String()
	f.Add("POST", at+"/usages", "", usages(usage("01", "1", `,"metadata":{"k":[null,1e300]}`)))
	f.Add("GET", at+"/transactions", "start_range=2026-11-22T03:04:05Z&expand=customer&since=%ff", "")
	f.Add("GET", "/v1beta1/organizations/%2f/billing", "page_size=1", "")
	f.Add("PUT", "/v1beta1/admin/organizations/x/billing/"+account.String()+"/details", "", `{"creditMin":"-9223372036854775808"}`)
	f.Add("POST", "/v1beta1/serviceusers", "", `{"org_id":"main","body":{"title":"\u0000"}}`)
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/v1beta1/") {
			t.Skip()
		}
		r.URL.Path, r.URL.RawQuery = path, query
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("Authorization", who)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 500 && rec.Code != http.StatusNotImplemented || !json.Valid(rec.Body.Bytes()) || log.Len() > 0 {
			t.Errorf("%s %s?%s %q is answered %d %s; %s", method, path, query, body, rec.Code, rec.Body, &log)
		}
	})
}
