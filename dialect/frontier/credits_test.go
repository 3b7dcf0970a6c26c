package frontier_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	pb "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// An actor makes calls by their names, as programs in other languages do.
type actor interface {
	Call(call string, args ...any) *dialecttest.Answer
}

// over is an actor with one argument in front of all others.
type over struct {
	actor
	first any
}

func (o over) Call(call string, args ...any) *dialecttest.Answer {
	return o.actor.Call(call, append([]any{o.first}, args...)...)
}

// goClient is the client of Connect for Go.
type goClient struct {
	t    *testing.T
	url  string
	http *http.Client
	o    []connect.ClientOption
}

// called makes one call.
func called[In, Out any](c *goClient, service, name, who string, in *In) (*Out, error) {
	all := connect.NewClient[In, Out](c.http, c.url+"/raystack.frontier.v1beta1."+service+"/"+name, c.o...)
	r := connect.NewRequest(in)
	r.Header().Set("Authorization", who)
	out, err := all.CallUnary(c.t.Context(), r)
	if err != nil {
		return nil, err
	}
	return out.Msg, nil
}

// Call is like the scripts of testdata.
func (c *goClient) Call(call string, args ...any) *dialecttest.Answer {
	c.t.Helper()
	text := func(n int) string { return args[n].(string) }
	amount := func(n int) int64 {
		v, err := strconv.ParseInt(text(n), 10, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		return v
	}
	value, err := any(map[string]any{}), error(nil)
	switch who := text(len(args) - 1); call {
	case "balance":
		var out *pb.GetBillingBalanceResponse
		out, err = called[pb.GetBillingBalanceRequest, pb.GetBillingBalanceResponse](c, "FrontierService", procedures[call], who, &pb.GetBillingBalanceRequest{Id: text(1)})
		value = fmt.Sprint(out.GetBalance().GetAmount())
	case "usage":
		in := &pb.CreateBillingUsageRequest{OrgId: text(0), BillingId: text(1)}
		for _, u := range args[2].([]any) {
			u := u.(map[string]any)
			meta, err := structpb.NewStruct(u["metadata"].(map[string]any))
			n, err2 := strconv.ParseInt(u["amount"].(string), 10, 64)
			if err := errors.Join(err, err2); err != nil {
				c.t.Fatal(err)
			}
			in.Usages = append(in.Usages, &pb.Usage{Id: u["id"].(string), Source: u["source"].(string), Description: u["description"].(string),
				Amount: n, UserId: u["user_id"].(string), Metadata: meta})
		}
		_, err = called[pb.CreateBillingUsageRequest, pb.CreateBillingUsageResponse](c, "FrontierService", procedures[call], who, in)
	case "revert":
		_, err = called[pb.RevertBillingUsageRequest, pb.RevertBillingUsageResponse](c, "AdminService", procedures[call], who,
			&pb.RevertBillingUsageRequest{OrgId: text(0), BillingId: text(1), UsageId: text(2), Amount: amount(3)})
	case "transactions":
		var out *pb.ListBillingTransactionsResponse
		out, err = called[pb.ListBillingTransactionsRequest, pb.ListBillingTransactionsResponse](c, "FrontierService", procedures[call], who,
			&pb.ListBillingTransactionsRequest{OrgId: text(0), BillingId: text(1)})
		list := []any{}
		for _, t := range out.GetTransactions() {
			list = append(list, map[string]any{"id": t.Id, "source": t.Source, "amount": fmt.Sprint(t.Amount), "type": t.Type,
				"description": t.Description, "user_id": t.UserId, "metadata": t.Metadata.AsMap()})
		}
		value = list
	case "debited":
		var out *pb.TotalDebitedTransactionsResponse
		out, err = called[pb.TotalDebitedTransactionsRequest, pb.TotalDebitedTransactionsResponse](c, "FrontierService", procedures[call], who,
			&pb.TotalDebitedTransactionsRequest{OrgId: text(0), BillingId: text(1)})
		value = fmt.Sprint(out.GetDebited().GetAmount())
	case "entitled":
		var out *pb.CheckCreditEntitlementResponse
		out, err = called[pb.CheckCreditEntitlementRequest, pb.CheckCreditEntitlementResponse](c, "FrontierService", procedures[call], who,
			&pb.CheckCreditEntitlementRequest{OrgId: text(0), Amount: amount(1)})
		value = out.GetStatus()
	}
	if err != nil {
		return &dialecttest.Answer{Error: map[string]any{"code": float64(connect.CodeOf(err)), "message": err.Error()}}
	}
	b, err := json.Marshal(value)
	if err != nil {
		c.t.Fatal(err)
	}
	return &dialecttest.Answer{Value: b}
}

var procedures = map[string]string{"balance": "GetBillingBalance", "usage": "CreateBillingUsage", "revert": "RevertBillingUsage",
	"transactions": "ListBillingTransactions", "debited": "TotalDebitedTransactions", "entitled": "CheckCreditEntitlement"}

// TestEveryClient reports usage, reverts it, lists and reads with every client
// and transport: all of them get the same answers.
func TestEveryClient(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)

	clients := map[string]actor{}
	for name, o := range map[string][]connect.ClientOption{"connect-go": {}, "connect-go JSON": {connect.WithProtoJSON()},
		"connect-go gRPC-Web": {connect.WithGRPCWeb()}, "connect-go gRPC": {connect.WithGRPC()}} {
		clients[name] = &goClient{t, url, http2(t), o}
	}
	for name, start := range map[string]func(t *testing.T) map[string]actor{
		"@raystack/frontier": func(t *testing.T) map[string]actor {
			return map[string]actor{"": dialecttest.Node(t, "rest.mjs", "URL="+url)}
		},
		"@raystack/proton": func(t *testing.T) map[string]actor {
			node := dialecttest.Node(t, "proton.ts", "URL="+url)
			var names []string
			node.Returns(&names, "transports")
			all := map[string]actor{}
			for _, name := range names {
				all[" "+name] = over{node, name}
			}
			return all
		},
		"python3-grpcio": func(t *testing.T) map[string]actor {
			return map[string]actor{"": dialecttest.Python(t, "generic.py", "ADDRESS="+strings.TrimPrefix(url, "http://"))}
		},
		"connect-go": func(*testing.T) map[string]actor { return clients },
	} {
		t.Run(name, func(t *testing.T) {
			for with, c := range start(t) {
				t.Run(strings.TrimSpace(with), func(t *testing.T) { credits(t, w, c, who) })
			}
		})
	}
}

var batches atomic.Int64

// credits spends 100 credits of a new account with a client.
func credits(t *testing.T, w *dialecttest.World, c actor, who string) {
	account := w.Account("CREDITS", "100")
	org, id, batch := w.Tenant.ID.String(), account.String(), batches.Add(1)
	usage := func(n int) string { return fmt.Sprintf("aaaaaaaa-0000-4000-8000-%010d%02d", batch, n) }
	of := func(n int, amount, user string, meta map[string]any) map[string]any {
		return map[string]any{"id": usage(n), "source": "MyApp", "description": "über", "amount": amount, "user_id": user, "metadata": meta}
	}
	gives := func(want any, call string, args ...any) {
		t.Helper()
		a := c.Call(call, append(args, who)...)
		if a.Error != nil {
			t.Fatalf("%s raised %v", call, a.Error)
		}
		var got any
		if err := json.Unmarshal(a.Value, &got); err != nil {
			t.Fatal(err)
		}
		if text, wanted := fmt.Sprint(got), fmt.Sprint(want); text != wanted {
			t.Errorf("%s returned\n%s, want\n%s", call, text, wanted)
		}
	}
	refused := func(code connect.Code, call string, args ...any) {
		t.Helper()
		a := c.Call(call, append(args, who)...)
		got := a.Error["code"]
		if n, ok := a.Error["number"]; ok {
			got = n
		}
		if fmt.Sprint(got) != fmt.Sprint(float64(code)) {
			t.Errorf("%s came to %s, %v; want code %d", call, a.Value, a.Error, code)
		}
	}
	empty := map[string]any{}
	gives(empty, "usage", org, id, []any{of(1, "10", "u-1", map[string]any{"k": "v"}), of(2, "1", "", empty)})
	refused(connect.CodeAlreadyExists, "usage", org, id, []any{of(1, "10", "u-1", map[string]any{"k": "v"})})
	refused(connect.CodeAlreadyExists, "usage", org, id, []any{of(3, "1", "", empty), of(2, "1", "", empty)})
	refused(connect.CodeInvalidArgument, "usage", org, id, []any{of(3, "90", "", empty)})
	refused(connect.CodeInvalidArgument, "usage", org, id, []any{of(3, "0", "", empty)})
	refused(connect.CodeNotFound, "usage", org, nobody, []any{of(3, "1", "", empty)})
	gives(empty, "revert", org, id, usage(1), "4")
	refused(connect.CodeInvalidArgument, "revert", org, id, usage(1), "7")
	refused(connect.CodeAlreadyExists, "revert", org, id, revertOf(usage(1), id), "1")
	gives(empty, "usage", org, id, []any{of(3, "2", "", empty)})

	line := func(id, source, amount, kind, description, user string, meta map[string]any) map[string]any {
		return map[string]any{"id": id, "source": source, "amount": amount, "type": kind, "description": description, "user_id": user, "metadata": meta}
	}
	topUp := "" // has no id that can be foretold
	a := c.Call("transactions", org, id, who)
	var list []map[string]any
	if err := json.Unmarshal(a.Value, &list); err != nil || len(list) == 0 {
		t.Fatalf("transactions came to %s, %v", a.Value, a.Error)
	}
	topUp = list[len(list)-1]["id"].(string)
	gives([]any{
		line(usage(3), "myapp", "2", "debit", "über", "", empty),
		line(revertOf(usage(1), id), "system.revert.myapp", "4", "credit", "Revert: über", "u-1", map[string]any{"k": "v", "revert_request_using": usage(1)}),
		line(usage(2), "myapp", "1", "debit", "über", "", empty),
		line(usage(1), "myapp", "10", "debit", "über", "u-1", map[string]any{"k": "v"}),
		line(topUp, "system.buy", "100", "credit", "", "", empty),
	}, "transactions", org, id)
	gives("91", "balance", org, id)
	gives("9", "debited", org, id)
	gives(true, "entitled", org, "1")
}

// TestRace spends 200 credits by 64 callers at once, who ask for more: there are
// 200 successes, and every other answer says that the credits are insufficient.
func TestRace(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read|auth.Charge)
	who := "Basic " + basic(issued.Credential.ID, issued.Secret)
	for name, o := range map[string][]connect.ClientOption{"Connect": {}, "gRPC": {connect.WithGRPC()}, "REST": nil} {
		t.Run(name, func(t *testing.T) {
			account := w.Account("CREDITS", "200")
			c := &goClient{t, url, http2(t), o}
			var spent, refused atomic.Int64
			var all sync.WaitGroup
			for caller := range 64 {
				all.Go(func() {
					for n := range 5 {
						in := &pb.CreateBillingUsageRequest{BillingId: account.String(), Usages: []*pb.Usage{{
							Id: fmt.Sprintf("bbbbbbbb-0000-4000-8000-%010d%02d", batches.Add(1), n), Amount: 1}}}
						var err error
						if name == "REST" {
							err = report(t.Context(), c, w.Tenant.ID.String(), account.String(), in.Usages[0].Id, who)
						} else {
							_, err = called[pb.CreateBillingUsageRequest, pb.CreateBillingUsageResponse](c, "FrontierService", "CreateBillingUsage", who, in)
						}
						switch {
						case err == nil:
							spent.Add(1)
						case connect.CodeOf(err) == connect.CodeInvalidArgument && strings.HasSuffix(err.Error(), "insufficient credits"):
							refused.Add(1)
						default:
							t.Errorf("caller %d: %v", caller, err)
						}
					}
				})
			}
			all.Wait()
			if spent.Load() != 200 || refused.Load() != 64*5-200 {
				t.Errorf("%d were spent, %d refused", spent.Load(), refused.Load())
			}
			if b, err := w.Ledger.Balance(t.Context(), account); err != nil || !b.Posted.IsZero() {
				t.Errorf("%v is left, %v", b.Posted, err)
			}
		})
	}
}

// report reports one credit in REST.
func report(ctx context.Context, c *goClient, org, account, id, who string) error {
	body := `{"usages":[{"id":"` + id + `","amount":"1"}]}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1beta1/organizations/"+org+"/billing/"+account+"/usages", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", who)
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode == http.StatusOK {
		return nil
	}
	var said struct {
		Code    uint32
		Message string
	}
	err = json.NewDecoder(reply.Body).Decode(&said)
	return errors.Join(err, connect.NewError(connect.Code(said.Code), errors.New(said.Message)))
}
