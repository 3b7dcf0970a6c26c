package frontier_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"

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
	h := serve(w, dialect.Options{})
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
	r := dialecttest.Request(b, "POST "+balanceCall+"\nContent-Type: "+kind+"\nAuthorization: "+credential+"\n")
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
