package frontier_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/frontier"
	"saldo/dialect/frontier/proto/buf/validate"
	pb "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/dialect/native"
	"saldo/ledger"
)

const balanceCall = "/raystack.frontier.v1beta1.FrontierService/GetBillingBalance"

// http2 speaks HTTP/2 without TLS.
func http2(t *testing.T) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: p}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A caller asks for a balance with a credential, and says what code and message
// it was refused with.
type caller func(ctx context.Context, id, authorization string) (*pb.GetBillingBalanceResponse, connect.Code, string, []any)

// TestClients reads balances with the clients of Connect and gRPC for Go.
func TestClients(t *testing.T) {
	w := dialecttest.Open(t)
	// Each request comes from somewhere else, so that none is throttled.
	var from atomic.Uint32
	url := w.Serve(serve(w, dialect.Options{ClientAddr: func(*http.Request) netip.Addr {
		n := from.Add(1)
		return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
	}}))
	account, stranger := w.Account("CREDITS", "100.75"), w.Account("CREDITS", "1")
	issued := w.Issue(auth.Frontier, account, auth.Read)
	right := "Basic " + basic(issued.Credential.ID, issued.Secret)

	callers := map[string]caller{"grpc-go": grpcCaller(t, url)}
	for name, o := range map[string][]connect.ClientOption{
		"Connect": {}, "Connect JSON": {connect.WithProtoJSON()}, "Connect gzip": {connect.WithSendGzip()},
		"gRPC-Web": {connect.WithGRPCWeb()}, "gRPC-Web JSON": {connect.WithGRPCWeb(), connect.WithProtoJSON()}, "gRPC": {connect.WithGRPC()},
	} {
		callers[name+" over HTTP/2"] = connectCaller(http2(t), url, o...)
		if name != "gRPC" {
			callers[name] = connectCaller(http.DefaultClient, url, o...)
		}
	}
	left := int64(100)
	for name, ask := range callers {
		t.Run(name, func(t *testing.T) {
			reads := func() {
				t.Helper()
				got, code, message, _ := ask(t.Context(), account.String(), right)
				if code != 0 || got.GetBalance().GetAmount() != left || got.GetBalance().GetCurrency() != "VC" || got.GetBalance().GetUpdatedAt() != nil {
					t.Fatalf("read %v, %v %s; want %d", got, code, message, left)
				}
			}
			reads()
			w.Charge(account, "1")
			left--
			reads()
			for _, c := range []struct {
				id, authorization string
				code              connect.Code
				message           string
			}{
				{account.String(), "", connect.CodeUnauthenticated, "not authenticated"},
				{account.String(), right[:len(right)-8], connect.CodeUnauthenticated, "not authenticated"},
				{"x", "Bearer x", connect.CodeUnauthenticated, "not authenticated"},
				{nobody, right, connect.CodeNotFound, "not found"},
				{stranger.String(), right, connect.CodePermissionDenied, "not authorized"},
				{"x", right, connect.CodeInvalidArgument, "validation error:\n - id: value must be a valid UUID [string.uuid]"},
				{"", right, connect.CodeInvalidArgument, "validation error:\n - id: value is empty, which is not a valid UUID [string.uuid_empty]"},
			} {
				got, code, message, details := ask(t.Context(), c.id, c.authorization)
				if got != nil || code != c.code || message != c.message {
					t.Errorf("%q with %q: %v, %v %q; want %v %q", c.id, c.authorization, got, code, message, c.code, c.message)
				}
				if code == connect.CodeInvalidArgument && (len(details) != 1 || details[0].(*validate.Violations).GetViolations()[0].GetField().GetElements()[0].GetFieldName() != "id") {
					t.Errorf("the details are %v", details)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
			defer cancel()
			if _, code, _, _ := ask(ctx, account.String(), right); code != connect.CodeDeadlineExceeded {
				t.Errorf("without time: %v", code)
			}
		})
	}
}

func connectCaller(h *http.Client, url string, o ...connect.ClientOption) caller {
	c := connect.NewClient[pb.GetBillingBalanceRequest, pb.GetBillingBalanceResponse](h, url+balanceCall, o...)
	return func(ctx context.Context, id, authorization string) (*pb.GetBillingBalanceResponse, connect.Code, string, []any) {
		r := connect.NewRequest(&pb.GetBillingBalanceRequest{Id: id})
		if authorization != "" {
			r.Header().Set("Authorization", authorization)
		}
		got, err := c.CallUnary(ctx, r)
		if err == nil {
			return got.Msg, 0, "", nil
		}
		var e *connect.Error
		if !errors.As(err, &e) {
			return nil, connect.CodeUnknown, err.Error(), nil
		}
		var details []any
		for _, d := range e.Details() {
			v, err := d.Value()
			if err != nil {
				v = nil
			}
			details = append(details, v)
		}
		return nil, e.Code(), e.Message(), details
	}
}

func grpcDial(t *testing.T, url string) *grpc.ClientConn {
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func grpcCaller(t *testing.T, url string) caller {
	conn := grpcDial(t, url)
	return func(ctx context.Context, id, authorization string) (*pb.GetBillingBalanceResponse, connect.Code, string, []any) {
		if authorization != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
		}
		out := new(pb.GetBillingBalanceResponse)
		err := conn.Invoke(ctx, balanceCall, &pb.GetBillingBalanceRequest{Id: id}, out)
		if err == nil {
			return out, 0, "", nil
		}
		s := status.Convert(err)
		return nil, connect.Code(s.Code()), s.Message(), s.Details()
	}
}

// TestAround sees what a gRPC server has around its calls.
func TestAround(t *testing.T) {
	w := dialecttest.Open(t)
	well := true
	url := w.Serve(frontier.New(w.Ledger, w.Auth, frontier.Options{Ready: func(context.Context) error {
		if well {
			return nil
		}
		return errors.New("not now")
	}}))
	conn := grpcDial(t, url)
	health := grpc_health_v1.NewHealthClient(conn)
	serving := func(want grpc_health_v1.HealthCheckResponse_ServingStatus, ping int) {
		t.Helper()
		for _, name := range []string{"", "raystack.frontier.v1beta1.FrontierService"} {
			got, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
			if err != nil || got.Status != want {
				t.Errorf("%q is %v, %v; want %v", name, got, err, want)
			}
		}
		resp, err := http.Get(url + "/ping")
		if err != nil || resp.StatusCode != ping {
			t.Fatalf("ping is %v, %v; want %d", resp, err, ping)
		}
		resp.Body.Close()
	}
	serving(grpc_health_v1.HealthCheckResponse_SERVING, 200)
	well = false
	serving(grpc_health_v1.HealthCheckResponse_NOT_SERVING, 503)
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("the health of another service is %v", err)
	}
	stream, err := health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("watching is %v", err)
	}
	for _, path := range []string{"/raystack.frontier.v1beta1.FrontierService/ListUsers", "/raystack.frontier.v1beta1.AdminService/X", "/grpc.health.v1.Health/X"} {
		err := conn.Invoke(t.Context(), path, &pb.GetBillingBalanceRequest{}, &pb.GetBillingBalanceResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s is %v", path, err)
		}
	}

	reflection := grpcreflect.NewClient(http2(t), url, connect.WithGRPC())
	r := reflection.NewStream(t.Context())
	defer r.Close()
	names, err := r.ListServices()
	if err != nil || !slices.Contains(names, "raystack.frontier.v1beta1.FrontierService") {
		t.Errorf("services are %v, %v", names, err)
	}
	files, err := r.FileContainingSymbol("raystack.frontier.v1beta1.FrontierService")
	if err != nil || len(files) == 0 || len(files[0].GetService()) != 1 {
		t.Errorf("the service's file is %v, %v", files, err)
	}
}

// TestBytes holds binary replies to those that a server of Frontier's gave.
func TestBytes(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("CREDITS", "999999990")
	issued := w.Issue(auth.Frontier, account, auth.Read)
	h := serve(w, dialect.Options{})
	message := append([]byte{0x0a, 36}, account.String()...)
	frame := append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
	const reply = "0a0a08f693ebdc0312025643"
	for _, c := range []struct {
		kind string
		body []byte
		want string
	}{
		{"application/proto", message, reply},
		{"application/proto", append(message[:len(message):len(message)], 0x12, 2, 'x', 'y'), reply}, // org_id
		{"application/grpc-web+proto", frame, "000000000c" + reply + "8000000010" + hex.EncodeToString([]byte("grpc-status: 0\r\n"))},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, balanceCall, bytes.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.SetBasicAuth(issued.Credential.ID, issued.Secret)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		got := hex.EncodeToString(rec.Body.Bytes())
		if rec.Code != 200 || got != c.want || rec.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s: %d %s, want %s", c.kind, rec.Code, got, c.want)
		}
	}
}

// TestWhoReads sees which credentials open which accounts, and by which names.
func TestWhoReads(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	parent := w.Account("CREDITS", "7")
	child := w.Open(accountBelow(parent), "3")
	aside := w.Account("CREDITS", "9")
	drawing := accountBelow(parent)
	drawing.Mode = "drawing"
	poor := w.Open(drawing, "")
	brought := func(external string, account ledger.AccountID) {
		t.Helper()
		if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Frontier, External: external, Account: account, Tenant: w.Tenant.Number}); err != nil {
			t.Fatal(err)
		}
	}
	other, _, err := w.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Frontier, External: "rival", Tenant: other.Number}); err != nil {
		t.Fatal(err)
	}
	const billing, org = "1355c761-e263-4ada-9b10-d4fe3a8c9454", "4eef0ae7-3f73-4886-aeb3-c59f4bca67a4"
	brought(billing, child)
	brought(org, ledger.AccountID{})
	brought("acme", ledger.AccountID{})

	issue := func(spec auth.Spec) string {
		t.Helper()
		issued, err := w.Auth.Issue(t.Context(), 0, "", spec)
		if err != nil {
			t.Fatal(err)
		}
		return issued.Secret
	}
	narrow := w.Issue(auth.Frontier, parent, auth.Read)
	wide := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read)
	charger := w.Issue(auth.Frontier, parent, auth.Charge)
	main := w.Tenant.ID.String()
	token := issue(auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Frontier}, Tenant: w.Tenant.Number, Scopes: auth.Read})
	elsewhere := issue(auth.Spec{Dialect: auth.Native, Tenant: w.Tenant.Number, Scopes: auth.Read})
	all := issue(auth.Spec{Dialect: auth.Native, Dialects: []string{auth.Frontier}, Everything: true, Scopes: auth.Operator})

	const ok, wrong, denied, lost = "", "unauthorized", "forbidden", "not found"
	for _, c := range []struct {
		name          string
		c             *frontier.Client
		text          string
		rest, connect string
	}{
		{"own", &frontier.Client{OrgID: main, BillingID: parent.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "7", ok, ok},
		{"capitals", &frontier.Client{OrgID: strings.ToUpper(main), BillingID: strings.ToUpper(parent.String()), ClientID: strings.ToUpper(narrow.Credential.ID), ClientSecret: narrow.Secret}, "7", ok, ok},
		{"child", &frontier.Client{OrgID: main, BillingID: child.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", ok, ok},
		{"brought along", &frontier.Client{OrgID: org, BillingID: billing, ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", ok, ok},
		{"brought along, capitals", &frontier.Client{OrgID: strings.ToUpper(org), BillingID: strings.ToUpper(billing), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", ok, ok},
		{"org by a name", &frontier.Client{OrgID: "acme", BillingID: child.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", ok, ok},
		{"org of another tenant", &frontier.Client{OrgID: "rival", BillingID: child.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", denied, ok},
		{"billing id as org", &frontier.Client{OrgID: billing, BillingID: child.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "3", denied, ok},
		{"org as billing id", &frontier.Client{OrgID: org, BillingID: org, ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "", lost, lost},
		{"aside", &frontier.Client{OrgID: main, BillingID: aside.String(), ClientID: narrow.Credential.ID, ClientSecret: narrow.Secret}, "", denied, denied},
		{"aside, whole tenant", &frontier.Client{OrgID: main, BillingID: aside.String(), ClientID: wide.Credential.ID, ClientSecret: wide.Secret}, "9", ok, ok},
		{"no scope", &frontier.Client{OrgID: main, BillingID: parent.String(), ClientID: charger.Credential.ID, ClientSecret: charger.Secret}, "", denied, denied},
		{"drawing", &frontier.Client{OrgID: main, BillingID: poor.String(), ClientID: wide.Credential.ID, ClientSecret: wide.Secret}, "", lost, lost},
		{"system account", &frontier.Client{OrgID: main, BillingID: "00000000-0000-0001-0000-000000000001", Token: all}, "", lost, lost},
		{"token", &frontier.Client{OrgID: main, BillingID: aside.String(), Token: token}, "9", ok, ok},
		{"token as secret", &frontier.Client{OrgID: main, BillingID: aside.String(), ClientID: "any", ClientSecret: token}, "9", ok, ok},
		{"token as secret alone", &frontier.Client{OrgID: main, BillingID: aside.String(), ClientSecret: token}, "9", ok, ok},
		{"operator", &frontier.Client{OrgID: main, BillingID: aside.String(), Token: all}, "9", ok, ok},
		{"token of another dialect", &frontier.Client{OrgID: main, BillingID: aside.String(), Token: elsewhere}, "", wrong, wrong},
		{"secret as token", &frontier.Client{OrgID: main, BillingID: parent.String(), Token: narrow.Secret}, "", wrong, wrong},
		{"no credential", &frontier.Client{OrgID: main, BillingID: parent.String()}, "", wrong, wrong},
	} {
		for api, want := range map[frontier.API]string{frontier.REST: c.rest, frontier.Connect: c.connect} {
			r := c.c
			r.URL, r.API = url+"/", api
			got, err := r.Read(t.Context())
			var e *dialect.Error
			switch {
			case want == ok && (err != nil || got.Text != c.text || got.Unit != "VC" || got.Account != c.c.BillingID):
				t.Errorf("%s, API %d: %+v, %v; want %s", c.name, api, got, err, c.text)
			case want != ok && (!errors.As(err, &e) || e.Reason.String() != want):
				t.Errorf("%s, API %d: %+v, %v; want it refused: %s", c.name, api, got, err, want)
			}
		}
	}
	// X-User-Token is Bearer by another name.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1beta1/organizations/"+main+"/billing/"+aside.String()+"/balance", nil)
	r.Header.Set("X-User-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("X-User-Token: %v, %v", resp, err)
	}
	resp.Body.Close()
	// A revoked credential fails the next time.
	c := client(w, url, parent, frontier.REST)
	if _, err := c.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	revoke(t, w, c.ClientID)
	if _, err := c.Read(t.Context()); err == nil {
		t.Error("a revoked credential reads")
	}
}

// TestNobodyTakesAnID has another tenant give an account the id that was brought
// along for one of ours.
func TestNobodyTakesAnID(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(serve(w, dialect.Options{}))
	account := w.Account("CREDITS", "7")
	const billing = "1355c761-e263-4ada-9b10-d4fe3a8c9454"
	if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Frontier, External: billing, Account: account, Tenant: w.Tenant.Number}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "others"}); err != nil {
		t.Fatal(err)
	}
	others := &native.Client{URL: w.Native.URL, Token: w.Native.Token, Tenant: "others"}
	if _, err := others.Open(t.Context(), native.AccountRequest{ID: "take", AccountID: billing, Unit: "USD"}); err != nil {
		t.Fatal(err)
	}
	// Nor is it taken from who opens both, by somebody of the same tenant.
	const second = "1355c761-e263-4ada-9b10-d4fe3a8c9455"
	if _, err := w.Auth.Map(t.Context(), 0, "", auth.Entry{Dialect: auth.Frontier, External: second, Account: account, Tenant: w.Tenant.Number}); err != nil {
		t.Fatal(err)
	}
	w.Open(native.AccountRequest{AccountID: second, Unit: "CREDITS"}, "")
	for what, spec := range map[string]auth.Spec{
		"the organization": {Dialect: auth.Frontier, Tenant: w.Tenant.Number, Scopes: auth.Read},
		"the platform":     {Dialect: auth.Native, Dialects: []string{auth.Frontier}, Everything: true, Scopes: auth.Operator},
	} {
		issued, err := w.Auth.Issue(t.Context(), 0, "", spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{billing, second} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+balanceCall, strings.NewReader(`{"id":"`+id+`"}`))
			r.SetBasicAuth(issued.Credential.ID, issued.Secret)
			r.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), `"amount":"7"`) {
				t.Errorf("%s reads of %s %d %s", what, id, resp.StatusCode, body)
			}
			resp.Body.Close()
		}
	}
	// A tenant's name is not taken by another that brings it along.
	if err := others.Do(t.Context(), http.MethodPost, "/v1/tenants/others/aliases", map[string]any{"dialect": "frontier", "external": w.Tenant.Name}, nil); err != nil {
		t.Fatal(err)
	}
	whole := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1beta1/organizations/"+w.Tenant.Name, nil)
	r.SetBasicAuth(whole.Credential.ID, whole.Secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("by its name the organization is answered %d", resp.StatusCode)
	}
	for _, api := range []frontier.API{frontier.REST, frontier.Connect} {
		c := client(w, url, account, api)
		c.BillingID = billing
		if got, err := c.Read(t.Context()); err != nil || got.Text != "7" {
			t.Errorf("API %d: %+v, %v", api, got, err)
		}
	}
	// So does every other call.
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/raystack.frontier.v1beta1.FrontierService/ListBillingTransactions",
		strings.NewReader(`{"orgId":"`+w.Tenant.ID.String()+`","billingId":"`+billing+`"}`))
	c := client(w, url, account, frontier.Connect)
	r.SetBasicAuth(c.ClientID, c.ClientSecret)
	r.Header.Set("Content-Type", "application/json")
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(body), `"amount":"7"`) {
		t.Errorf("transactions: %d %s", resp.StatusCode, body)
	}
}

// TestHeld sees what is set aside gone from the balance, and back.
func TestHeld(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Open(native.AccountRequest{Unit: "CREDITS", CreditLimit: "50"}, "10")
	c := client(w, w.Serve(serve(w, dialect.Options{})), account, frontier.REST)
	shows := func(want string) {
		t.Helper()
		if got, err := c.Read(t.Context()); err != nil || got.Text != want {
			t.Errorf("read %+v, %v; want %s", got, err, want)
		}
	}
	do := func(path string, body map[string]any) {
		t.Helper()
		if err := w.Native.Do(t.Context(), http.MethodPost, path, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	shows("10")
	do("/v1/accounts/"+account.String()+"/holds", map[string]any{"id": "h1", "amount": "12.5"})
	shows("-3")
	do("/v1/holds/h1/release", map[string]any{"id": "r1"})
	shows("10")
}

// TestBounds sends what is too much.
func TestBounds(t *testing.T) {
	w := dialecttest.Open(t)
	issued := w.Issue(auth.Frontier, ledger.AccountID{}, auth.Read)
	h := serve(w, dialect.Options{})
	send := func(body io.Reader, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, balanceCall, body)
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(issued.Credential.ID, issued.Secret)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	body := func(n int) string {
		const head, tail = `{"x":"`, `"}`
		return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
	}
	if rec := send(strings.NewReader(body(1 << 20))); rec.Code != 400 {
		t.Errorf("1 MiB: %d %s", rec.Code, rec.Body)
	}
	for _, n := range []int{1<<20 + 1, 2 << 20, 8 << 20} {
		in := strings.NewReader(body(n))
		if rec := send(in); rec.Code != 429 || !strings.Contains(rec.Body.String(), `"resource_exhausted"`) {
			t.Errorf("%d bytes: %d %s", n, rec.Code, rec.Body)
		}
		if read := n - in.Len(); read > 2<<20 {
			t.Errorf("%d bytes were read", read)
		}
	}
	// What 1 MiB can become: it is not decompressed to its end.
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	for range 256 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	rec := send(bytes.NewReader(bomb.Bytes()), "Content-Encoding", "gzip")
	if rec.Code != 429 || !strings.Contains(rec.Body.String(), "on and on") {
		t.Errorf("a bomb of %d bytes: %d %s", bomb.Len(), rec.Code, rec.Body)
	}
	if rec := send(strings.NewReader("not gzip"), "Content-Encoding", "gzip"); rec.Code != 400 {
		t.Errorf("no gzip: %d %s", rec.Code, rec.Body)
	}
	if rec := send(strings.NewReader("{}"), "Content-Encoding", "br"); rec.Code != 501 {
		t.Errorf("br: %d %s", rec.Code, rec.Body)
	}
	if rec := send(strings.NewReader("{}"), "Authorization", "Basic "+strings.Repeat("A", 1100)); rec.Code != 401 {
		t.Errorf("a long credential: %d %s", rec.Code, rec.Body)
	}
}

// TestEras has the client half ask a server that has no REST any more.
func TestEras(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("CREDITS", "5")
	h := serve(w, dialect.Options{})
	var asked []string
	url := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method)
		if agent, sent := r.Header["User-Agent"]; sent {
			t.Errorf("a User-Agent was sent: %q", agent)
		}
		if strings.HasPrefix(r.URL.Path, "/v1beta1/") {
			http.NotFound(out, r)
			return
		}
		h.ServeHTTP(out, r)
	}))
	c := client(w, url, account, frontier.Either)
	for range 2 {
		if got, err := c.Read(t.Context()); err != nil || got.Text != "5" {
			t.Errorf("read %+v, %v", got, err)
		}
	}
	if want := []string{"GET", "POST", "POST"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	lost := client(w, url, account, frontier.Either)
	lost.BillingID = nobody
	var e *dialect.Error
	if _, err := lost.Read(t.Context()); !errors.As(err, &e) || e.Reason != dialect.NotFound || e.Code != "not_found" {
		t.Errorf("nobody is %v", err)
	}
	old := client(w, url, account, frontier.REST)
	if _, err := old.Read(t.Context()); !errors.As(err, &e) || e.Reason != dialect.Unreadable {
		t.Errorf("REST of a server without it is %v", err)
	}
	orgless := client(w, url, account, frontier.Either)
	orgless.OrgID = ""
	asked = nil
	if got, err := orgless.Read(t.Context()); err != nil || got.Text != "5" || len(asked) != 1 {
		t.Errorf("without an organization: %+v, %v, asked %q", got, err, asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestMetrics sees a call counted by what came of it, in every protocol.
func TestMetrics(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("CREDITS", "1")
	registry := prometheus.NewRegistry()
	url := w.Serve(serve(w, dialect.Options{Metrics: dialect.NewMetrics(registry)}))
	good, bad := client(w, url, account, frontier.REST), client(w, url, account, frontier.Connect)
	bad.BillingID = nobody
	for _, c := range []*frontier.Client{good, bad} {
		_, _ = c.Read(t.Context())
	}
	ask := grpcCaller(t, url)
	_, _, _, _ = ask(t.Context(), account.String(), "")
	_, _, _, _ = ask(t.Context(), account.String(), "Basic "+basic(good.ClientID, good.ClientSecret))
	for _, path := range []string{"/ping", "/v1beta1/x", "/grpc.x"} {
		if resp, err := http.Get(url + path); err == nil {
			resp.Body.Close()
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		if f.GetName() != "saldo_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = int(m.GetCounter().GetValue())
		}
	}
	want := map[string]int{"200 frontier restGetBillingBalance": 1, "404 frontier GetBillingBalance": 1, "401 frontier GetBillingBalance": 1,
		"200 frontier GetBillingBalance": 1, "200 frontier ping": 1, "404 frontier unknown": 1, "501 frontier unknown": 1}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

// TestPanics sees a fault of ours answered in the form that was asked in, and logged.
func TestPanics(t *testing.T) {
	w := dialecttest.Open(t)
	var log bytes.Buffer
	o := frontier.Options{Ready: func(context.Context) error { panic("ready") }}
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	h := frontier.New(w.Ledger, w.Auth, o)
	for _, c := range []struct{ request, want string }{
		{"GET /ping\n", `{"code":13, "message":"internal server error", "details":[]}`},
		{"POST /grpc.health.v1.Health/Check\nContent-Type: application/json\n\n{}", `{"code":"internal","message":"internal server error"}`},
	} {
		log.Reset()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, dialecttest.Request(t, c.request))
		if rec.Code != 500 || rec.Body.String() != c.want || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", c.request, rec.Code, rec.Body)
		}
		if !strings.Contains(log.String(), "panic=ready") {
			t.Errorf("the log is %q", log.String())
		}
	}
}
