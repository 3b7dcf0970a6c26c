package frontier_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	pb "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// quiet is a ResponseWriter that keeps its headers only.
type quiet struct {
	header http.Header
	status int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q *quiet) WriteHeader(status int)      { q.status = status }

// BenchmarkBalance reads a balance in process, by each API and by handlers that
// answer the same without looking at anything.
func BenchmarkBalance(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("CREDITS", "1000000000")
	h := serve(w, dialect.Options{Limits: dialecttest.Wide})
	for name, root := range map[string]ledger.AccountID{"account": account, "tenant": {}} {
		issued := w.Issue(auth.Frontier, root, auth.Read)
		b.Run("REST/"+name, func(b *testing.B) { get(b, h, w, account, "Basic "+basic(issued.Credential.ID, issued.Secret)) })
	}
	issued := w.Issue(auth.Frontier, account, auth.Read)
	credential := "Basic " + basic(issued.Credential.ID, issued.Secret)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const body = `{"balance":{"amount":"1000000000", "currency":"VC", "updated_at":null}}`
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = io.WriteString(w, body)
	})
	b.Run("REST/bare", func(b *testing.B) { get(b, bare, w, account, credential) })
	plain := connect.NewUnaryHandler(balanceCall, func(context.Context, *connect.Request[pb.GetBillingBalanceRequest]) (*connect.Response[pb.GetBillingBalanceResponse], error) {
		return connect.NewResponse(&pb.GetBillingBalanceResponse{Balance: &pb.BillingAccount_Balance{Amount: 1000000000, Currency: "VC"}}), nil
	}, connect.WithReadMaxBytes(1<<20))
	for _, kind := range []string{"json", "proto"} {
		body := `{"id":"` + account.String() + `"}`
		if kind == "proto" {
			body = "\x0a\x24" + account.String()
		}
		b.Run("Connect/"+kind, func(b *testing.B) { post(b, h, "application/"+kind, body, credential) })
		b.Run("Connect/bare "+kind, func(b *testing.B) { post(b, plain, "application/"+kind, body, credential) })
	}
}

func get(b *testing.B, h http.Handler, w *dialecttest.World, account ledger.AccountID, credential string) {
	r := dialecttest.Request(b, "GET /v1beta1/organizations/"+w.Tenant.ID.String()+"/billing/"+account.String()+"/balance\nAuthorization: "+credential+"\n")
	q := &quiet{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(q.header)
		h.ServeHTTP(q, r)
	}
	if q.status != 0 && q.status != 200 {
		b.Fatal(q.status)
	}
}

func post(b *testing.B, h http.Handler, kind, body, credential string) {
	postTo(b, h, balanceCall, kind, body, credential)
}

func postTo(b *testing.B, h http.Handler, path, kind, body, credential string) {
	r := dialecttest.Request(b, "POST "+path+"\nContent-Type: "+kind+"\nAuthorization: "+credential+"\n")
	q := &quiet{header: http.Header{}}
	in := strings.NewReader(body)
	r.Body = io.NopCloser(in)
	b.ReportAllocs()
	for b.Loop() {
		clear(q.header)
		in.Reset(body)
		h.ServeHTTP(q, r)
	}
	if q.status != 0 && q.status != 200 {
		b.Fatal(q.status)
	}
}

// BenchmarkUsage reports one credit a request in process, by many callers at
// once, by each API.
func BenchmarkUsage(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("CREDITS", "1000000000")
	h := serve(w, dialect.Options{})
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Charge)
	credential := "Basic " + basic(issued.Credential.ID, issued.Secret)
	usage := func() *pb.Usage {
		return &pb.Usage{Id: fmt.Sprintf("cccccccc-0000-4000-8000-%012d", batches.Add(1)), Source: "bench", Description: "one call", Amount: 1}
	}
	rest := func() (string, string, []byte) {
		return "/v1beta1/organizations/" + w.Tenant.ID.String() + "/billing/" + account.String() + "/usages", "application/json",
			[]byte(`{"usages":[{"id":"` + usage().Id + `","source":"bench","description":"one call","amount":"1"}]}`)
	}
	binary := func() (string, string, []byte) {
		body, err := proto.Marshal(&pb.CreateBillingUsageRequest{BillingId: account.String(), Usages: []*pb.Usage{usage()}})
		if err != nil {
			b.Fatal(err)
		}
		return "/raystack.frontier.v1beta1.FrontierService/CreateBillingUsage", "application/proto", body
	}
	for name, ask := range map[string]func() (string, string, []byte){"REST": rest, "Connect": binary} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				q := &quiet{header: http.Header{}}
				for pb.Next() {
					path, kind, body := ask()
					r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, path, bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					r.Header = http.Header{"Authorization": {credential}, "Content-Type": {kind}}
					r.RemoteAddr = "192.0.2.1:1234"
					clear(q.header)
					q.status = 0
					if h.ServeHTTP(q, r); q.status != 0 && q.status != 200 {
						b.Error(q.status)
						return
					}
				}
			})
		})
	}
}

// BenchmarkTransactions lists the last hundred of many transactions, by each API.
func BenchmarkTransactions(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("CREDITS", "1000000000")
	h := serve(w, dialect.Options{})
	issued := w.Issue(auth.Frontier, account, auth.Read|auth.Charge)
	credential := "Basic " + basic(issued.Credential.ID, issued.Secret)
	report := func(n int) {
		in := &pb.CreateBillingUsageRequest{BillingId: account.String()}
		for range n {
			in.Usages = append(in.Usages, &pb.Usage{Id: fmt.Sprintf("dddddddd-0000-4000-8000-%012d", batches.Add(1)), Source: "bench", Description: "one call", Amount: 1})
		}
		body, err := proto.Marshal(in)
		if err != nil {
			b.Fatal(err)
		}
		r := dialecttest.Request(b, "POST /raystack.frontier.v1beta1.FrontierService/CreateBillingUsage\nContent-Type: application/proto\nAuthorization: "+credential+"\n")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		q := &quiet{header: http.Header{}}
		if h.ServeHTTP(q, r); q.status != 0 && q.status != 200 {
			b.Fatal(q.status)
		}
	}
	for range 10 {
		report(1000)
	}
	time.Sleep(time.Millisecond)
	from := time.Now().UTC()
	report(100)
	at := from.Format(time.RFC3339Nano)
	b.Run("REST", func(b *testing.B) {
		r := dialecttest.Request(b, "GET /v1beta1/organizations/"+w.Tenant.ID.String()+"/billing/"+account.String()+"/transactions?start_range="+at+"\nAuthorization: "+credential+"\n")
		q := &quiet{header: http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			clear(q.header)
			if h.ServeHTTP(q, r); q.status != 200 {
				b.Fatal(q.status)
			}
		}
	})
	const list = "/raystack.frontier.v1beta1.FrontierService/ListBillingTransactions"
	in := &pb.ListBillingTransactionsRequest{BillingId: account.String(), StartRange: timestamppb.New(from)}
	binary, err := proto.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Connect/json", func(b *testing.B) {
		postTo(b, h, list, "application/json", `{"billing_id":"`+account.String()+`","start_range":"`+at+`"}`, credential)
	})
	b.Run("Connect/proto", func(b *testing.B) { postTo(b, h, list, "application/proto", string(binary), credential) })
}
