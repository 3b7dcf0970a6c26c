package native_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/dialect"
	"saldo/dialect/native"
)

// TestBadInput sends what no call understands: each is refused in the envelope,
// and nothing moves.
func TestBadInput(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	charge := "/v1/accounts/" + id + "/charges"
	seq := func() any { return w.must("GET", "/v1/books/main", "").Data["seq"] }
	before := seq()
	const malformed, invalid = "MALFORMED_JSON", "VALIDATION_ERROR"
	for name, c := range map[string]struct {
		body, code, field string
	}{
		"nothing":              {" ", malformed, ""},
		"truncated":            {`{"id":"a","amount":"1`, malformed, ""},
		"half":                 {`{"id":"a","amount":`, malformed, ""},
		"a list":               {`[]`, invalid, ""},
		"a text":               {`"x"`, invalid, ""},
		"null":                 {`null`, invalid, ""},
		"two objects":          {`{"id":"a","amount":"1"}{}`, malformed, ""},
		"trailing":             {`{"id":"a","amount":"1"} x`, malformed, ""},
		"a comma too many":     {`{"id":"a","amount":"1",}`, malformed, ""},
		"no commas":            {`{"id":"a" "amount":"1"}`, malformed, ""},
		"single quotes":        {`{'id':'a'}`, malformed, ""},
		"a comment":            {`{"id":"a",/* */"amount":"1"}`, malformed, ""},
		"NUL":                  {"{\"id\":\"a\x00\"}", malformed, ""},
		"not UTF-8":            {"{\"id\":\"a\",\"amount\":\"1\",\"reason\":\"\xff\"}", malformed, ""},
		"not UTF-8 in a name":  {"{\"\xc3\":1}", malformed, ""},
		"half a surrogate":     {`{"id":"a","amount":"1","reason":"\ud800"}`, malformed, ""},
		"an unknown escape":    {`{"id":"a","amount":"1","reason":"\x"}`, malformed, ""},
		"a BOM":                {"\ufeff{}", malformed, ""},
		"deep":                 {`{"metadata":` + strings.Repeat(`{"a":`, 100_000), invalid, "metadata.a"},
		"deep lists":           {strings.Repeat(`[`, 500_000), invalid, ""},
		"unknown":              {`{"id":"a","amount":"1","upto":true}`, invalid, "upto"},
		"unknown in capitals":  {`{"id":"a","Amount":"1"}`, invalid, "Amount"},
		"twice":                {`{"id":"a","amount":"1","amount":"2"}`, invalid, "amount"},
		"twice, escaped":       {`{"id":"a","amount":"1","am\u006funt":"2"}`, invalid, "amount"},
		"twice in metadata":    {`{"id":"a","amount":"1","metadata":{"x":1,"x":2}}`, invalid, "metadata.x"},
		"a list in metadata":   {`{"id":"a","amount":"1","metadata":{"x":[]}}`, invalid, "metadata.x"},
		"no amount":            {`{"id":"a"}`, invalid, "amount"},
		"amount null":          {`{"id":"a","amount":null}`, invalid, "amount"},
		"amount true":          {`{"id":"a","amount":true}`, invalid, "amount"},
		"amount empty":         {`{"id":"a","amount":""}`, invalid, "amount"},
		"amount a word":        {`{"id":"a","amount":"ten"}`, invalid, "amount"},
		"amount with a comma":  {`{"id":"a","amount":"1,50"}`, invalid, "amount"},
		"amount in hex":        {`{"id":"a","amount":0x10}`, malformed, ""},
		"amount with a plus":   {`{"id":"a","amount":+1}`, malformed, ""},
		"amount with a zero":   {`{"id":"a","amount":01}`, malformed, ""},
		"amount NaN":           {`{"id":"a","amount":NaN}`, malformed, ""},
		"amount too fine":      {`{"id":"a","amount":"0.0000001"}`, invalid, "amount"},
		"amount too fine, e":   {`{"id":"a","amount":1e-7}`, invalid, "amount"},
		"amount zero":          {`{"id":"a","amount":"0"}`, invalid, ""},
		"amount below zero":    {`{"id":"a","amount":"-1"}`, invalid, ""},
		"amount out of range":  {`{"id":"a","amount":"` + strings.Repeat("9", 60) + `"}`, invalid, "amount"},
		"amount huge exponent": {`{"id":"a","amount":1e999999999}`, invalid, "amount"},
		"id a number":          {`{"id":7,"amount":"1"}`, invalid, "id"},
		"id empty":             {`{"id":"","amount":"1"}`, invalid, "id"},
		"id too long":          {`{"id":"` + strings.Repeat("x", 256) + `","amount":"1"}`, invalid, "id"},
		"id with a line":       {`{"id":"a\nb","amount":"1"}`, invalid, "id"},
		"reason too long":      {`{"id":"a","amount":"1","reason":"` + strings.Repeat("x", 1025) + `"}`, invalid, "reason"},
		"metadata too large":   {`{"id":"a","amount":"1","metadata":{"x":"` + strings.Repeat("x", 16<<10-7) + `"}}`, invalid, "metadata"},
		"to nobody":            {`{"id":"a","amount":"1","to":"me"}`, invalid, "to"},
		"to another unit":      {`{"id":"a","amount":"1","to":"@fees:EUR"}`, invalid, "to"},
		"to itself":            {fmt.Sprintf(`{"id":"a","amount":"1","to":%q}`, id), invalid, ""},
		"count with a half":    {`{"id":"a","amount":"1","count":0.5}`, invalid, "count"},
		"force as a word":      {`{"id":"a","amount":"1","force":"true"}`, invalid, "force"},
	} {
		r := w.do("POST", charge, c.body)
		if r.status != 400 || r.Error["code"] != c.code {
			t.Errorf("%s: %d %.300s, want %s", name, r.status, r.body, c.code)
			continue
		}
		if c.field != "" {
			if field := r.Error["details"].([]any)[0].(map[string]any)["field"]; field != c.field {
				t.Errorf("%s: the field is %v, want %s: %s", name, field, c.field, r.body)
			}
		}
	}
	w.refused(415, "UNSUPPORTED_MEDIA_TYPE", "POST", charge, `{"id":"a","amount":"1"}`, "Content-Type", "")
	w.refused(415, "UNSUPPORTED_MEDIA_TYPE", "POST", charge, `id=a`, "Content-Type", "application/x-www-form-urlencoded")
	w.refused(415, "UNSUPPORTED_MEDIA_TYPE", "POST", charge, `{}`, "Content-Type", "application/json; charset=latin1")
	w.refused(415, "UNSUPPORTED_MEDIA_TYPE", "POST", charge, `{}`, "Content-Encoding", "gzip")
	w.refused(400, "MALFORMED_JSON", "POST", charge, "")
	r := w.do("POST", charge, `{`, "Accept", "application/problem+json")
	if r.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(r.body), `"title":"The body is not valid JSON"`) {
		t.Errorf("a problem: %s", r.body)
	}
	if after := seq(); after != before {
		t.Errorf("bad input made events: seq %v, was %v", after, before)
	}

	// At the edge of each bound, on the inside.
	w.must("POST", charge, `{"id":"`+strings.Repeat("x", 255)+`","amount":"0.000001","reason":"`+strings.Repeat("\\u0001", 1024)+
		`","metadata":{"x":"`+strings.Repeat("x", 16<<10-8)+`"}}`, "Content-Type", "application/json; charset=UTF-8")
}

func TestBodyBounds(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	charge := "/v1/accounts/" + id + "/charges"
	body := `{"id":"edge","amount":"1"}`
	w.must("POST", charge, body+strings.Repeat(" ", 1<<20-len(body)))
	w.refused(413, "BODY_TOO_LARGE", "POST", charge, body+strings.Repeat(" ", 1<<20-len(body)+1))

	// Without a length, as it comes.
	r, err := http.NewRequest("POST", w.url+charge, io.MultiReader(strings.NewReader(body), strings.NewReader(strings.Repeat(" ", 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	w.check = nil
	if a := w.send(r, nil); a.status != 413 {
		t.Errorf("chunked and too large: %d %s", a.status, a.body)
	}

	var batch bytes.Buffer
	batch.WriteString(`{"id":"big","transfers":[`)
	one := fmt.Sprintf(`{"from":"@cash","to":%q,"amount":"0.000001"}`, id)
	for n := range 8192 {
		if n > 0 {
			batch.WriteByte(',')
		}
		batch.WriteString(one)
	}
	a := w.do("POST", "/v1/transfers", batch.String()+"]}")
	if a.status != 201 || len(a.Data["transfers"].([]any)) != 8192 {
		t.Errorf("8,192 transfers: %d %.300s", a.status, a.body)
	}
	w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers", batch.String()+","+one+"]}")

	for query, status := range map[string]int{"limit=1000": 200, "limit=1001": 400, "limit=0": 400, "limit=x": 400} {
		if a := w.do("GET", "/v1/accounts?"+query, ""); a.status != status {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	for _, path := range []string{"/", "/v1", "/v1/", "/v1//accounts", "/v1/accounts/", "/v1/accounts/" + id + "/", "/v2/accounts",
		"/v1/accounts/../tenants", "/v1/accounts/%zz/balance", "/v1/accounts/x/balance", "//v1/accounts",
		"/v1/accounts/" + id + "/balance/extra", "/v1/accounts/00000000-0000-0000-0000-000000000000/balance",
		"/v1/accounts/00000000-0000-0001-0000-000000000001/balance"} {
		r, err := http.NewRequest("GET", w.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		r.Header.Set("Authorization", "Bearer "+w.token)
		w.check = nil
		if a := w.send(r, nil); a.status != 404 && a.status != 400 || a.status == 404 && a.Error["code"] != "NOT_FOUND" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	a := w.refused(405, "METHOD_NOT_ALLOWED", "DELETE", "/v1/accounts/"+id, "")
	if got := a.header.Get("Allow"); got != "GET, HEAD, PATCH" {
		t.Errorf("Allow: %s", got)
	}
	get, head := w.do("GET", "/v1/accounts/"+id+"/holds", ""), w.do("HEAD", "/v1/accounts/"+id+"/holds", "")
	if head.status != 200 || len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(len(get.body)) {
		t.Errorf("HEAD: %d %v %q", head.status, head.header, head.body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json"} {
		w.must("GET", path, "", "Authorization", "")
	}
}

// TestHeaders: up to 16 KiB of them are taken. What is larger net/http refuses
// before any handler sees it.
func TestHeaders(t *testing.T) {
	w := newWorld(t, native.Options{})
	w.check = nil
	if a := w.do("GET", "/healthz", "", "X-Large", strings.Repeat("x", 15<<10)); a.status != 200 {
		t.Errorf("15 KiB: %d", a.status)
	}
	if a := w.do("GET", "/healthz", "", "X-Large", strings.Repeat("x", 24<<10)); a.status != 431 {
		t.Errorf("24 KiB: %d", a.status)
	}
}

func TestRates(t *testing.T) {
	w := newWorld(t, native.Options{Limits: dialect.NewLimits(dialect.Rate{Requests: 3, Window: time.Hour})})
	for range 3 {
		w.must("GET", "/v1/units", "")
	}
	a := w.refused(429, "RATE_LIMITED", "GET", "/v1/units", "")
	if a.header.Get("Retry-After") != "1200" || a.header.Get("RateLimit-Policy") != `"default";q=3;w=3600` || a.header.Get("RateLimit") != `"default";r=0;t=4800` {
		t.Errorf("headers: %v", a.header)
	}
}

// TestBrokenConnections sends requests that stop in the middle.
func TestBrokenConnections(t *testing.T) {
	w := newWorld(t, native.Options{}, func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
	id := w.account("10")
	head := "POST /v1/accounts/" + id + "/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.token +
		"\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n"
	for name, c := range map[string]struct {
		body  string
		close bool
		want  string
	}{
		"half-closed in the body":    {`{"id":"br1","amount":`, true, "BODY_INCOMPLETE"},
		"half-closed after the body": {`{"id":"br2","amount":"1" }`, true, `"success":true`},
		"stalled in the body":        {`{"id":"br3","amount":`, false, "REQUEST_TIMEOUT"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, head+c.body)
		if c.close {
			conn.(*net.TCPConn).CloseWrite()
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		reply := make([]byte, 4096)
		n, err := conn.Read(reply)
		if err != nil || !strings.Contains(string(reply[:n]), c.want) {
			t.Errorf("%s: %s %v, want %s", name, reply[:n], err, c.want)
		}
		conn.Close()
	}
	if got := w.spendable(id); got != "9.000000" {
		t.Errorf("spendable %s", got)
	}
}
