package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"saldo/auth"
	"saldo/dialect/native"
)

// A question is a balance read in a vendor's dialect.
type question struct {
	name, what string
	// request makes it, for an account and a key that opens it.
	request func(w *world, account string, k key) (*http.Request, string, error)
	dialect string
	connect bool // the baseline is a bare Connect handler
}

// A key is a credential in the form of a vendor.
type key struct{ ID, Secret string }

var questions = []question{
	{name: "twilio", what: "Twilio: Balance.json with Basic", dialect: auth.Twilio,
		request: func(w *world, _ string, k key) (*http.Request, string, error) {
			r, err := w.ask(http.MethodGet, "/2010-04-01/Accounts/"+k.ID+"/Balance.json", "", "Authorization", basic(k))
			return r, "", err
		}},
	{name: "mturk", what: "MTurk: GetAccountBalance with Signature V4, made beforehand", dialect: auth.MTurk,
		request: func(w *world, _ string, k key) (*http.Request, string, error) {
			const body = "{}"
			r, err := w.sign(k, "GetAccountBalance", body)
			return r, body, err
		}},
	{name: "gateway360", what: "Gateway360: account/get-balance", dialect: auth.Gateway360,
		request: func(w *world, _ string, k key) (*http.Request, string, error) {
			body := `{"api_key":"` + k.Secret + `"}`
			r, err := w.ask(http.MethodPost, "/api/3.0/account/get-balance", body, "Content-Type", "application/json", "Accept", "application/json")
			return r, body, err
		}},
	{name: "frontier", what: "Frontier: the balance by REST with Basic", dialect: auth.Frontier,
		request: func(w *world, account string, k key) (*http.Request, string, error) {
			var org struct{ ID string }
			if err := w.client.Do(context.Background(), http.MethodGet, "/v1/tenants/main", nil, &org); err != nil {
				return nil, "", err
			}
			r, err := w.ask(http.MethodGet, "/v1beta1/organizations/"+org.ID+"/billing/"+account+"/balance", "", "Authorization", basic(k))
			return r, "", err
		}},
	{name: "frontier-connect", what: "Frontier: GetBillingBalance by Connect in JSON with Basic", dialect: auth.Frontier, connect: true,
		request: func(w *world, account string, k key) (*http.Request, string, error) {
			body := `{"id":"` + account + `"}`
			r, err := w.ask(http.MethodPost, connectPath, body, "Content-Type", "application/json", "Connect-Protocol-Version", "1", "Authorization", basic(k))
			return r, body, err
		}},
}

func basic(k key) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(k.ID+":"+k.Secret))
}

// ask makes a request for the server, with pairs of headers.
func (w *world) ask(method, path, body string, headers ...string) (*http.Request, error) {
	r, err := http.NewRequest(method, "http://"+w.host+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r, nil
}

// FrontierUsage measures usage that is reported by Frontier's REST, one credit a
// request on one account; beside native charges of another account of the same
// server.
func FrontierUsage(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var org struct{ ID string }
	if err := w.client.Do(ctx, http.MethodGet, "/v1/tenants/main", nil, &org); err != nil {
		return nil, err
	}
	var k key
	spec := map[string]any{"dialect": auth.Frontier, "scopes": []string{"read", "charge"}}
	if err := w.client.Do(ctx, http.MethodPost, "/v1/credentials", spec, &k); err != nil {
		return nil, err
	}
	a, err := w.client.Open(ctx, native.AccountRequest{Unit: "USD"})
	if err != nil {
		return nil, err
	}
	if _, err := w.client.TopUp(ctx, a.ID, native.TransferRequest{ID: "bench-" + a.ID, Amount: "1000000000000"}); err != nil {
		return nil, err
	}
	head := "POST /v1beta1/organizations/" + org.ID + "/billing/" + a.ID + "/usages HTTP/1.1\r\nHost: " + w.host +
		"\r\nAuthorization: " + basic(k) + "\r\nContent-Type: application/json\r\nContent-Length: "
	var n atomic.Uint64
	run := rand.Uint32()
	usage := Load{Request: func(dst []byte, _, _ int) []byte {
		body := fmt.Appendf(nil, `{"usages":[{"id":"%08x-0000-4000-8000-%012x","source":"bench","description":"one call","amount":"1"}]}`, run, n.Add(1))
		return append(fmt.Appendf(append(dst, head...), "%d%s", len(body), headEnd), body...)
	}}
	r = &Report{Scenario: "frontier-usage", What: "Frontier: one usage a request by REST with Basic, all on one account, over HTTP",
		Baseline: "native charges of one account of the same server", Unit: "usages/s", Clients: o.Clients}
	charge := w.charges(func() string { return w.account })
	return r, w.beside(ctx, r, usage, w.host, charge)
}

// onWire returns a request as it goes over the wire.
func onWire(r *http.Request, body string) []byte {
	b := []byte(r.Method + " " + r.URL.RequestURI() + " HTTP/1.1\r\nHost: " + r.URL.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		b = append(b, "\r\n"+name+": "+r.Header.Get(name)...)
	}
	if body != "" {
		b = append(b, "\r\nContent-Length: "+strconv.Itoa(len(body))...)
	}
	return append(append(b, headEnd...), body...)
}

// question returns a question as it goes over the wire, with a new credential
// for an account.
func (w *world) question(ctx context.Context, q *question, account string) ([]byte, error) {
	var k key
	spec := map[string]any{"dialect": q.dialect, "account": account, "scopes": []string{"read"}}
	if err := w.client.Do(ctx, http.MethodPost, "/v1/credentials", spec, &k); err != nil {
		return nil, err
	}
	asked, body, err := q.request(w, account, k)
	if err != nil {
		return nil, err
	}
	return onWire(asked, body), nil
}

// Vendor measures reads of one balance in a vendor's dialect, beside a bare
// net/http handler that writes the same headers and the same body; or, for
// Connect, beside a bare Connect handler that returns the same message.
func Vendor(ctx context.Context, o Options, name string) (r *Report, err error) {
	at := slices.IndexFunc(questions, func(q question) bool { return q.name == name })
	if at < 0 {
		return nil, fmt.Errorf("bench: no dialect %s", name)
	}
	q := questions[at]
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	a, err := w.client.Open(ctx, native.AccountRequest{Unit: "USD"})
	if err != nil {
		return nil, err
	}
	if _, err := w.client.TopUp(ctx, a.ID, native.TransferRequest{ID: "bench-" + a.ID, Amount: "10000"}); err != nil {
		return nil, err
	}
	request, err := w.question(ctx, &q, a.ID)
	if err != nil {
		return nil, err
	}
	sample, err := w.sample(ctx, name, request)
	if err != nil {
		return nil, err
	}
	baseline := &Baseline{Sample: sample, Connect: q.connect}
	r = &Report{Scenario: name, What: q.what + ", over HTTP", Baseline: "net/http writing the same headers and body", Unit: "reads/s", Clients: o.Clients}
	if q.connect {
		r.Baseline = "a Connect handler that returns the same message"
	}
	return r, w.pairs(ctx, r, Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}, 1, baseline)
}
