package native_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"saldo/dialect/native"
)

// TestEdges: each bound is kept at its edge, and passed by one is refused.
func TestEdges(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("1000")
	at := "/v1/accounts/" + id
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		method, path, within, beyond string
	}{
		"name":           {"POST", "/v1/accounts", `{"unit":"USD","name":"` + x(255) + `"}`, `{"unit":"USD","name":"` + x(256) + `"}`},
		"name, in bytes": {"PATCH", at, `{"name":"` + strings.Repeat("é", 127) + `"}`, `{"name":"` + strings.Repeat("é", 128) + `"}`},
		"credential": {"POST", "/v1/credentials", `{"scopes":["read"],"name":"` + x(255) + `"}`,
			`{"scopes":["read"],"name":"` + x(256) + `"}`},
		"category":    {"POST", at + "/charges", `{"id":"e1","amount":"1","category":"` + x(64) + `"}`, `{"id":"e2","amount":"1","category":"` + x(65) + `"}`},
		"usage unit":  {"POST", at + "/charges", `{"id":"e3","amount":"1","usage_unit":"` + x(32) + `"}`, `{"id":"e4","amount":"1","usage_unit":"` + x(33) + `"}`},
		"reason":      {"POST", at + "/holds", `{"id":"e5","amount":"1","reason":"` + x(1024) + `"}`, `{"id":"e6","amount":"1","reason":"` + x(1025) + `"}`},
		"metadata":    {"POST", at + "/holds", `{"id":"e7","amount":"1","metadata":{"x":"` + x(16<<10-8) + `"}}`, `{"id":"e8","amount":"1","metadata":{"x":"` + x(16<<10-7) + `"}}`},
		"metadata, 2": {"PATCH", at, `{"metadata":{"x":"` + x(16<<10-8) + `"}}`, `{"metadata":{"x":"` + x(16<<10-7) + `"}}`},
		"id":          {"POST", at + "/holds", `{"id":"` + x(255) + `","amount":"1"}`, `{"id":"` + x(256) + `","amount":"1"}`},
		"id of a part": {"POST", "/v1/transfers", `{"transfers":[{"id":"` + strings.Repeat("y", 255) + `","from":"` + id + `","to":"@fees","amount":"1"}]}`,
			`{"transfers":[{"id":"` + strings.Repeat("y", 256) + `","from":"` + id + `","to":"@fees","amount":"1"}]}`},
		"scale": {"POST", "/v1/units", `{"code":"FINE","scale":18}`, `{"code":"FINER","scale":19}`},
		"unit":  {"POST", "/v1/units", `{"code":"ABCDEFGHIJKLMNOP"}`, `{"code":"ABCDEFGHIJKLMNOPQ"}`},
		"life":  {"POST", at + "/holds", `{"id":"e9","amount":"1","ttl_seconds":3153600000}`, `{"id":"e10","amount":"1","ttl_seconds":3153600001}`},
		"last":  {"POST", at + "/holds", `{"id":"e11","amount":"1","expires_at":"9999-12-31T23:59:59Z"}`, `{"id":"e12","amount":"1","expires_at":"9999-12-31T23:59:59-01:00"}`},
	} {
		if a := w.do(c.method, c.path, c.within); a.status/100 != 2 {
			t.Errorf("%s, within: %d %.300s", name, a.status, a.body)
		}
		if a := w.do(c.method, c.path, c.beyond); a.status != 400 || a.Error["code"] != "VALIDATION_ERROR" {
			t.Errorf("%s, beyond: %d %.300s", name, a.status, a.body)
		}
	}
	w.must("GET", "/v1/holds/"+x(255), "")
	w.refused(404, "NOT_FOUND", "GET", "/v1/holds/"+x(256), "")
	w.must("POST", at+"/charges", `{"amount":"1"}`, "Idempotency-Key", strings.Repeat("z", 255))
	w.refused(400, "VALIDATION_ERROR", "POST", at+"/charges", `{"amount":"1"}`, "Idempotency-Key", strings.Repeat("z", 256))

	for _, path := range []string{"/v1/accounts", "/v1/search", "/v1/events", "/v1/tenants", "/v1/credentials", at + "/holds", at + "/statement"} {
		for limit, status := range map[string]int{"1": 200, "1000": 200, "0": 400, "1001": 400, "-1": 400, "1e2": 400} {
			if a := w.do("GET", path+"?q=x&limit="+limit, ""); path == "/v1/search" && a.status != status {
				t.Errorf("%s, limit %q: %d %s", path, limit, a.status, a.body)
			}
			if path == "/v1/search" {
				continue
			}
			if a := w.do("GET", path+"?limit="+limit, ""); a.status != status {
				t.Errorf("%s, limit %q: %d %s", path, limit, a.status, a.body)
			}
		}
	}
	for points, status := range map[string]int{"1": 200, "1000": 200, "0": 400, "1001": 400} {
		if a := w.do("GET", at+"/series?points="+points, ""); a.status != status {
			t.Errorf("%s points: %d %.300s", points, a.status, a.body)
		}
	}
	for n, status := range map[int]int{255: 200, 256: 400} {
		if a := w.do("GET", "/v1/search?q="+x(n), ""); a.status != status {
			t.Errorf("a search of %d bytes: %d %s", n, a.status, a.body)
		}
	}
}

func TestDepth(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("")
	for range 7 {
		id = w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q}`, id)).Data["id"].(string)
	}
	if a := w.do("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q}`, id)); a.status != 409 || a.Error["code"] != "LIMIT_EXCEEDED" {
		t.Errorf("the ninth level: %d %s", a.status, a.body)
	}
	as := w.as(fmt.Sprintf(`{"account":%q,"scopes":["read"]}`, id))
	w.must("GET", "/v1/accounts/"+id+"/balance", "", as...)
}

func TestPayees(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("1000")
	w.must("POST", "/v1/accounts/"+id+"/holds", `{"id":"many","amount":"100"}`)
	to := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`{"account":"@fees","amount":"0.5"},`, n), ",")
	}
	if a := w.must("POST", "/v1/holds/many/captures", `{"id":"p-64","to":[`+to(64)+`]}`); len(a.Data["transfers"].([]any)) != 64 {
		t.Errorf("64 payees: %s", a.body)
	}
	a := w.refused(400, "VALIDATION_ERROR", "POST", "/v1/holds/many/captures", `{"id":"p-65","to":[`+to(65)+`]}`)
	if field := a.Error["details"].([]any)[0].(map[string]any)["field"]; field != "to[64]" {
		t.Errorf("the field is %v: %s", field, a.body)
	}
	w.must("GET", "/v1/transfers/p-64", "")
	w.must("POST", "/v1/transfers/p-64%2363/refunds", `{"id":"p-back"}`)
	w.refused(404, "NOT_FOUND", "POST", "/v1/transfers/p-64%2364/refunds", `{"id":"p-back-2"}`)
}

func TestBatchBody(t *testing.T) {
	w := newWorld(t, native.Options{})
	body := fmt.Sprintf(`{"id":"wide","transfers":[{"from":"@cash","to":%q,"amount":"1"}]}`, w.account(""))
	w.must("POST", "/v1/transfers", body+strings.Repeat(" ", 8<<20-len(body)))
	w.refused(413, "BODY_TOO_LARGE", "POST", "/v1/transfers", body+strings.Repeat(" ", 8<<20-len(body)+1))
}

// TestHeaderEdge: 16 KiB of a request's head are taken, and no more.
func TestHeaderEdge(t *testing.T) {
	w := newWorld(t, native.Options{})
	for size, want := range map[int]string{16 << 10: "HTTP/1.1 200", 16<<10 + 1: "HTTP/1.1 431"} {
		head := "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: "
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(conn, head+strings.Repeat("x", size-len(head)-4)+"\r\n\r\n")
		reply := make([]byte, len(want))
		if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != want {
			t.Errorf("%d bytes: %q %v, want %s", size, reply, err, want)
		}
		conn.Close()
	}
}

// TestUnknownQueries: a question that is not understood is not answered as another.
func TestUnknownQueries(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	at := "/v1/accounts/" + id
	w.must("POST", at+"/holds", `{"id":"uq","amount":"1"}`)
	key := w.must("POST", "/v1/credentials", `{"scopes":["read"]}`).Data["id"].(string)
	for _, path := range []string{at, at + "/balance", at + "/holds", at + "/statement", at + "/series", at + "/aliases", "/v1/holds/uq",
		"/v1/transfers/top-" + id, "/v1/accounts", "/v1/balances", "/v1/search", "/v1/overview", "/v1/events", "/v1/tenants", "/v1/tenants/main",
		"/v1/books", "/v1/books/main", "/v1/units", "/v1/units/USD", "/v1/credentials", "/v1/credentials/" + key, "/v1/session"} {
		w.refused(400, "VALIDATION_ERROR", "GET", path+"?When=2020-01-01T00:00:00Z", "")
	}
}

// TestRepliesAreUTF8: also those that repeat what came in.
func TestRepliesAreUTF8(t *testing.T) {
	w := newWorld(t, native.Options{})
	for _, path := range []string{"/v1/holds/%ff", "/v1/transfers/%ff", "/v1/accounts/%ff", "/v1/units/%ff", "/v1/books/%ff", "/v1/tenants/%ff",
		"/v1/credentials/%ff", "/v1/accounts?%ff=1", "/v1/units?tenant=%ff", "/v1/accounts?cursor=%ff", "/v1/search?q=%ff", "/v1/%ff"} {
		for _, accept := range []string{"application/json", "application/problem+json"} {
			if a := w.do("GET", path, "", "Accept", accept); strings.ToValidUTF8(string(a.body), "") != string(a.body) || a.status >= 500 {
				t.Errorf("%s: %d %q", path, a.status, a.body)
			}
		}
	}
}

// TestSeriesOfTheBooks asks a server for figures whose clock is ahead of the one
// that the books go by, as a database's may be.
func TestSeriesOfTheBooks(t *testing.T) {
	w := newWorld(t, native.Options{Now: func() time.Time { return time.Now().Add(time.Minute) }})
	at := "/v1/accounts/" + w.account("5") + "/series?points=2"
	for _, query := range []string{"", "&to=" + time.Now().Add(time.Second).UTC().Format(time.RFC3339)} {
		items := w.must("GET", at+query, "").Data["items"].([]any)
		if last := items[len(items)-1].(map[string]any); last["posted"] != "5.000000" {
			t.Errorf("the last figures are %v", last)
		}
	}
}
