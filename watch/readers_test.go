package watch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"saldo/dialect"
	"saldo/money"
)

// vendorAt serves one answer at one path to who shows the right token.
func vendorAt(t *testing.T, path, header, token string, status int, answer string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != path:
			http.NotFound(w, r)
		case r.Header.Get(header) != token:
			w.WriteHeader(401)
			_, _ = w.Write([]byte(`{"error":{"message":"Authentication Fails (no such user)"}}`))
		default:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The answers are as the vendors' references print them.
func TestDeepSeekAndOpenRouter(t *testing.T) {
	const deepseek = `{"is_available": true, "balance_infos": [
		{"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00", "topped_up_balance": "100.00"}%]}`
	const usd = `, {"currency": "USD", "total_balance": "-0.50", "granted_balance": "0.00", "topped_up_balance": "-0.50"}`
	for _, c := range []struct {
		name, answer, currency string
		status                 int
		text, unit             string
		reason                 dialect.Reason
	}{
		{"one", strings.Replace(deepseek, "%", "", 1), "", 200, "110.00", "CNY", 0},
		{"USD goes first", strings.Replace(deepseek, "%", usd, 1), "", 200, "-0.50", "USD", 0},
		{"the other", strings.Replace(deepseek, "%", usd, 1), "cny", 200, "110.00", "CNY", 0},
		{"none of it", strings.Replace(deepseek, "%", "", 1), "EUR", 200, "", "", dialect.NotFound},
		{"nothing", `{}`, "", 200, "", "", dialect.Unreadable},
		{"no number", `{"balance_infos":[{"currency":"USD","total_balance":"much"}]}`, "", 200, "", "", dialect.Unreadable},
		{"a page", `<html>`, "", 200, "", "", dialect.Unreadable},
		{"too often", `{}`, "", 429, "", "", dialect.Throttled},
		{"down", `oops`, "", 503, "", "", dialect.Unavailable},
	} {
		r := &DeepSeek{URL: vendorAt(t, "/user/balance", "Authorization", "Bearer k", c.status, c.answer), APIKey: "k", Currency: c.currency}
		expect(t, "deepseek, "+c.name, r, c.text, c.unit, c.reason)
	}
	for _, c := range []struct {
		answer, text string
		reason       dialect.Reason
	}{
		{`{"data":{"total_credits":100.5,"total_usage":25.75}}`, "74.75", 0},
		{`{"data":{"total_credits":0,"total_usage":0}}`, "0.00", 0},
		{`{"data":{"total_credits":1e2,"total_usage":0.1000000000000000055511151231257827}}`, "99.899999999999999995", 0},
		{`{"data":{"total_credits":5,"total_usage":5.25}}`, "-0.25", 0},
		{`{"data":{"total_credits":"x"}}`, "", dialect.Unreadable},
		{`{"data":{}}`, "", dialect.Unreadable},
	} {
		r := &OpenRouter{URL: vendorAt(t, "/api/v1/credits", "Authorization", "Bearer k", 200, c.answer), APIKey: "k"}
		unit := "USD"
		if c.text == "" {
			unit = ""
		}
		expect(t, "openrouter "+c.answer, r, c.text, unit, c.reason)
	}
	wrong := &DeepSeek{URL: vendorAt(t, "/user/balance", "Authorization", "Bearer k", 200, `{}`), APIKey: "wrong"}
	_, err := wrong.Read(t.Context())
	if reason, why := Explain(err); reason != "credential" || !strings.Contains(why, `"Authentication Fails (no such user)."`) {
		t.Errorf("a wrong key: %s, %s", reason, why)
	}
}

func expect(t *testing.T, name string, r dialect.Reader, text, unit string, reason dialect.Reason) {
	t.Helper()
	got, err := r.Read(t.Context())
	var e *dialect.Error
	switch {
	case text != "":
		if err != nil || got.Text != text || got.Unit != unit {
			t.Errorf("%s: %q %q, %v, not %s %s", name, got.Text, got.Unit, err, text, unit)
		}
	case !errors.As(err, &e) || e.Reason != reason:
		t.Errorf("%s: %+v, %v, not %v", name, got, err, reason)
	case reason.Retryable() && e.RetryAfter != 7*time.Second:
		t.Errorf("%s: retry after %v", name, e.RetryAfter)
	}
}

func TestGeneric(t *testing.T) {
	const answer = `{"data": {"balance": "1234567890.123456789012", "cents": 1050, "big": 12345678901234567890.5, "rate": 10.1, "cur": "eur", "list": [{"n": 3}], "flag": true}}`
	for _, c := range []struct {
		amount, unit, text, code string
		reason                   dialect.Reason
	}{
		{".data.balance", "USD", "1234567890.123456789012", "USD", 0},
		{".data.big", "USD", "12345678901234567890.5", "USD", 0}, // beyond a binary fraction
		{".data.cents", ".data.cur", "1050", "EUR", 0},
		{".data.cents / 100", "usd", "10.5", "USD", 0},
		{".data.rate - 0.1", "USD", "10", "USD", 0},
		{".data.list[0].n", "SMS", "3", "SMS", 0},
		{".data.nothing", "USD", "", "", dialect.Unreadable},
		{".data.list", "USD", "", "", dialect.Unreadable},
		{".data.flag", "USD", "", "", dialect.Unreadable},
		{".data.cur", "USD", "", "", dialect.Unreadable},
		{".data.balance", ".data.nothing", "", "", dialect.Unreadable},
		{"error(\"x\")", "USD", "", "", dialect.Unreadable},
	} {
		for auth, header := range map[string][2]string{"bearer": {"Authorization", "Bearer k"}, "header:X-Key": {"X-Key", "k"}, "basic": {"Authorization", "Basic dTpr"}} {
			g, err := NewGeneric(GenericOptions{URL: vendorAt(t, "/b", header[0], header[1], 200, answer) + "/b", Auth: auth, User: "u", Secret: "k", Amount: c.amount, Unit: c.unit})
			must(t, err)
			expect(t, "generic "+c.amount+" "+c.unit, g, c.text, c.code, c.reason)
		}
	}
	for what, o := range map[string]GenericOptions{
		"no address":   {Amount: ".a", Unit: "USD"},
		"another":      {URL: "ftp://x/y", Amount: ".a", Unit: "USD"},
		"no amount":    {URL: "https://x", Unit: "USD"},
		"no unit":      {URL: "https://x", Amount: ".a"},
		"no jq":        {URL: "https://x", Amount: "..[", Unit: "USD"},
		"no such func": {URL: "https://x", Amount: "nope(1)", Unit: "USD"},
		"no method":    {URL: "https://x", Amount: ".a", Unit: "USD", Method: "DELETE"},
		"no auth":      {URL: "https://x", Amount: ".a", Unit: "USD", Auth: "header"},
	} {
		if _, err := NewGeneric(o); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	// A secret in the address is in no message.
	g, err := NewGeneric(GenericOptions{URL: "http://127.0.0.1:9/b", Auth: "query:key", Secret: "hush", Amount: ".a", Unit: "USD"})
	must(t, err)
	_, err = g.Read(t.Context())
	if _, why := Explain(err); err == nil || strings.Contains(err.Error()+why, "hush") {
		t.Errorf("it says %v", err)
	}
}

func TestExplain(t *testing.T) {
	read := func(url string, h *http.Client) error {
		_, err := (&DeepSeek{URL: url, APIKey: "k", HTTP: h}).Read(t.Context())
		return err
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	defer secure.Close()
	trusting := secure.Client()
	trusting.Transport.(*http.Transport).TLSClientConfig.ServerName = "other.example"
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	closing := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer closing.Close()
	for _, c := range []struct {
		what   string
		err    error
		reason string
		says   string
	}{
		{"nobody listens", read("http://127.0.0.1:9", nil), "connection", "Nothing listens"},
		{"a certificate of nobody's", read(secure.URL, nil), "tls", "SSL_CERT_FILE"},
		{"a certificate of another name", read(secure.URL, trusting), "tls", "another name"},
		{"no TLS", read("https"+strings.TrimPrefix(plain.URL, "http"), nil), "tls", "does not speak TLS"},
		{"no such name", read("http://vendor.invalid", nil), "dns", "vendor.invalid is not known"},
		{"silence", read("http://"+silent.Addr().String(), &http.Client{Timeout: 50 * time.Millisecond}), "timeout", "did not answer in time"},
		{"a reply that breaks", read(closing.URL, nil), "connection", "The connection broke"},
		{"another API", read(plain.URL, nil), "no_balance", "no such account"},
		{"a private network", read("http://127.0.0.1:9", Guarded(nil, time.Second)), "connection", "not allowed"},
		{"a blocked address", &dialect.Error{Reason: dialect.Unauthorized, Message: "Your API key may be invalid or your IP is blocked."}, "credential", "allowed addresses"},
		{"no right", &dialect.Error{Reason: dialect.Forbidden}, "forbidden", "may not read the balance"},
		{"a clock", &dialect.Error{Reason: dialect.Unauthorized, Message: "Signature expired: 20261122T000000Z is now earlier than 20261122T001000Z"}, "clock", "clock"},
		{"a clock, before 2017", &dialect.Error{Reason: dialect.Unauthorized, Code: "RequestExpired"}, "clock", "clock"},
		{"too often", &dialect.Error{Reason: dialect.Throttled}, "throttled", "interval longer"},
		{"another page", &dialect.Error{Reason: dialect.Unreadable}, "unreadable", "check kind and address"},
		{"something", &dialect.Error{Reason: dialect.Refused, Message: "No."}, "refused", `"No."`},
		{"a fault", errors.New("x"), "refused", "x"},
		{"a deadline", context.DeadlineExceeded, "timeout", "in time"},
	} {
		reason, why := Explain(c.err)
		if reason != c.reason || !strings.Contains(why, c.says) {
			t.Errorf("%s (%v): %s, %s", c.what, c.err, reason, why)
		}
	}
}

// An Alertmanager gets what its API takes, and a resolution ends what fired.
func TestAlertmanagerAndNotifications(t *testing.T) {
	var bodies []string
	var paths []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies, paths = append(bodies, string(b)), append(paths, r.URL.Path)
	}))
	defer s.Close()
	p := newPlace(t)
	w := p.watch(Options{})
	r := &Rule{ID: "id", Name: "low", Source: "sms", When: BalanceBelow, Levels: []Level{{"critical", mustThreshold(t, "10")}}}
	standing := new(Standing)
	fired, _ := r.Judge(standing, 1_800_000_000_000_000, Measure{Known: true, Amount: mustThreshold(t, "5").Amount, Unit: "USD"})
	resolved, _ := r.Judge(standing, 1_800_000_600_000_000, Measure{Known: true, Amount: mustThreshold(t, "50").Amount, Unit: "USD"})
	e := &Endpoint{Name: "am", URL: "alertmanager+" + s.URL}
	must(t, e.Check())
	must(t, w.TestEndpoint(t.Context(), e, &fired[0]))
	must(t, w.TestEndpoint(t.Context(), e, &resolved[0]))
	type alert struct {
		Labels           map[string]string
		StartsAt, EndsAt time.Time
	}
	var a, b []alert
	must(t, json.Unmarshal([]byte(bodies[0]), &a))
	must(t, json.Unmarshal([]byte(bodies[1]), &b))
	if paths[0] != "/api/v2/alerts" || a[0].Labels["alertname"] != "SaldoBalance" || a[0].Labels["severity"] != "critical" || a[0].Labels["source"] != "sms" ||
		!a[0].EndsAt.After(a[0].StartsAt.Add(time.Hour)) {
		t.Errorf("it got %s %s", paths[0], bodies[0])
	}
	if len(a[0].Labels) != len(b[0].Labels) || b[0].EndsAt.Unix() != 1_800_000_600 {
		t.Errorf("it got %s, then %s", bodies[0], bodies[1])
	}
	e = &Endpoint{Name: "chat", URL: "generic+" + s.URL + "/chat"}
	must(t, e.Check())
	must(t, w.TestEndpoint(t.Context(), e, &fired[0]))
	if !strings.Contains(bodies[2], "sms has 5 USD left") || paths[2] != "/chat" {
		t.Errorf("a service got %s %s", paths[2], bodies[2])
	}
	if shown := e.Shown(); strings.Contains(shown, "chat") {
		t.Errorf("the endpoint is shown as %s", shown)
	}
}

func FuzzChunk(f *testing.F) {
	f.Add("1800000000 12.5 3 4 900\n1800000900 12 3.5 4 1800 -0.5\n")
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseChunk([]byte(s))
		if err != nil {
			return
		}
		again, err := parseChunk(c.append(nil))
		if err != nil || len(again) != len(c) {
			t.Fatalf("%q is read as %v, and then %v, %v", s, c, again, err)
		}
		for i := range c {
			if c[i] != again[i] {
				t.Fatalf("%v is not %v", again[i], c[i])
			}
		}
	})
}

func FuzzThreshold(f *testing.F) {
	for _, s := range []string{"12.50", "20%", "36h", "3d", "1d12h", "-5", "0", "0.01%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseThreshold(s)
		if err != nil {
			return
		}
		if again, err := ParseThreshold(x.String()); err != nil || again != x {
			t.Fatalf("%q is %v, and then %v, %v", s, x, again, err)
		}
	})
}

// An answered is a vendor that gives one answer.
type answered struct {
	status int
	body   string
}

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// FuzzReading gives the readers what a vendor may answer: an error of theirs, or
// an amount that is what was written, in a unit.
func FuzzReading(f *testing.F) {
	f.Add(200, `{"is_available": true, "balance_infos": [{"currency": "CNY", "total_balance": "110.00"}]}`)
	f.Add(200, `{"data":{"total_credits":1e2,"total_usage":0.1000000000000000055511151231257827}}`)
	f.Add(200, `{"data":{"balance":1050,"currency":"eur"}}`)
	f.Add(200, `{"data":{"balance":-1e-9,"currency":"USD"}} x`)
	f.Add(402, `{"error":{"message":"Insufficient Balance"}}`)
	f.Add(503, `{"message":"é"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		client := &http.Client{Transport: answered{status, body}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		plain, err := NewGeneric(GenericOptions{URL: "https://vendor.example", Amount: ".data.balance", Unit: ".data.currency"})
		must(t, err)
		cents, err := NewGeneric(GenericOptions{URL: "https://vendor.example", Amount: ".data.balance / 100", Unit: "USD"})
		must(t, err)
		plain.HTTP, cents.HTTP = client, client
		for name, r := range map[string]dialect.Reader{
			deepSeek: &DeepSeek{HTTP: client}, openRouter: &OpenRouter{HTTP: client}, "plain": plain, "cents": cents,
		} {
			got, err := r.Read(t.Context())
			if err != nil {
				var e *dialect.Error
				if !errors.As(err, &e) || !utf8.ValidString(e.Message) && utf8.ValidString(body) {
					t.Errorf("%s: %d %q is refused by %#v", name, status, body, err)
				}
				continue
			}
			if a, err := money.Parse(got.Text, got.Scale); err != nil || a != got.Amount || got.Unit == "" || status/100 != 2 {
				t.Errorf("%s: %d %q is read as %+v", name, status, body, got)
			}
		}
	})
}
