package gateway360

import (
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// ask returns "AMOUNT CURRENCY", or "ERROR_ID: text".
func ask(t *testing.T, h http.Handler, r *http.Request) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if err := isAnswer(rec.Result(), rec.Body.Bytes()); err != nil {
		t.Errorf("%d %s: %v", rec.Code, rec.Body, err)
	}
	var said struct {
		Result  struct{ Balance, Currency string }
		ErrorID string `json:"error_id"`
		Message string `json:"error_msg"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	if said.ErrorID != "" {
		return said.ErrorID + ": " + said.Message
	}
	return said.Result.Balance + " " + said.Result.Currency
}

func TestFaults(t *testing.T) {
	ids := make(map[string]bool)
	stands := make(map[ledger.Code]int)
	for i := range faults {
		f := &faults[i]
		if ids[f.id] || f.message == "" || f.status < 400 {
			t.Errorf("the row %+v is not one of its own", f)
		}
		ids[f.id] = true
		for _, c := range f.codes {
			stands[c]++
			if faultOfLedger(c) != f {
				t.Errorf("%v is answered as %s, not %s", c, faultOfLedger(c).id, f.id)
			}
			if c.Retryable() != (f.status == 503) {
				t.Errorf("%v is answered %d", c, f.status)
			}
		}
		var said map[string]string
		if err := json.Unmarshal(appendRefusal(nil, f.id, f.message), &said); err != nil || said["error_id"] != f.id || said["error_msg"] != f.message || said["status"] != "error" {
			t.Errorf("the row %s is written as %v, %v", f.id, said, err)
		}
		if f.reason.Retryable() != (f.status == 429 || f.status >= 500) {
			t.Errorf("%s is %v to who reads", f.id, f.reason)
		}
	}
	for _, c := range ledger.Codes() {
		if stands[c] != 1 {
			t.Errorf("%v has %d rows", c, stands[c])
		}
	}
}

func TestAppendAmount(t *testing.T) {
	largest := money.FromParts(1<<63-1, 1<<64-1)
	least := money.FromParts(-1<<63, 0)
	for _, c := range []struct {
		amount money.Amount
		scale  int
		want   string
	}{
		{money.New(0), 0, "0.0000"},
		{money.New(1225), 0, "1225.0000"},
		{money.New(1225), 2, "12.2500"},
		{money.New(-5), 1, "-0.5000"},
		{money.New(6000), 4, "0.6000"},
		{money.New(155249399), 6, "155.2493"},
		{money.New(99), 6, "0.0000"},
		{money.New(-1), 6, "-0.0001"},
		{money.New(-1), 18, "-0.0001"},
		{money.New(-100), 6, "-0.0001"},
		{largest, 0, "170141183460469231731687303715884105727.0000"},
		{least, 0, "-170141183460469231731687303715884105728.0000"},
		{least, 3, "-170141183460469231731687303715884105.7280"},
		{largest, 18, "170141183460469231731.6873"},
	} {
		if got := string(appendAmount(nil, c.amount, c.scale)); got != c.want {
			t.Errorf("%v of scale %d is %s, want %s", c.amount, c.scale, got, c.want)
		}
	}
}

func TestDecode(t *testing.T) {
	const bad = "JSON_PARSE_ERROR"
	for _, c := range []struct{ body, want string }{
		{`{}`, `- -`},
		{" \n\t\r{ \"api_key\" : \"k\" } \n", `"k" -`},
		{`{"api_key":"k","user_name":"u"}`, `"k" "u"`},
		{`{"user_name":"u","api_key":"k"}`, `"k" "u"`},
		{`{"api\u005fkey":"k"}`, `"k" -`},
		{`{"API_KEY":"k","api_key ":"k"}`, `- -`},
		{`{"api_key":"a\"}b\\","user_name":"u"}`, `"a\"}b\\" "u"`},
		{`{"x":{"api_key":"no"},"api_key":"k"}`, `"k" -`},
		{`{"x":[{"user_name":"no"},["]}\""]],"api_key":"k"}`, `"k" -`},
		{`{"x":1e999999999,"api_key":12345678901234567890123456789012345678901234567890,"user_name":-0.5E+7}`, `12345678901234567890123456789012345678901234567890 -0.5E+7`},
		{`{"api_key":true ,"user_name":false}`, `true false`},
		{`{"api_key":null}`, `null -`},
		{`{"api_key":["k"],"user_name":{"a":{}}}`, `["k"] {"a":{}}`},
		{`{"api_key":"a","api_key":"b"}`, `"b"twice -`},
		{`{"api_key":"a","api\u005fkey":"b"}`, `"b"twice -`},
		{`{"x":1,"x":2,"api_key":"k"}`, `"k" -`},
		{`{"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `,"api_key":"k"}`, `"k" -`},

		{``, bad},
		{` `, bad},
		{`null`, bad},
		{`[]`, bad},
		{`"api_key"`, bad},
		{`12`, bad},
		{`{`, bad},
		{`{"api_key":"k"`, bad},
		{`{"api_key":"k",}`, bad}, // as the manual's samples of other calls have it
		{`{"api_key":"k"}}`, bad},
		{`{"api_key":"k"}{}`, bad},
		{`{"api_key":"k"} x`, bad},
		{`{'api_key':'k'}`, bad},
		{`{api_key:"k"}`, bad},
		{`{"api_key" "k"}`, bad},
		{`{"api_key":k}`, bad},
		{`{"api_key":01}`, bad},
		{`{"api_key":NaN}`, bad},
		{"{\"api_key\":\"a\nb\"}", bad},
		{`{"api_key":"\x"}`, bad},
		{"\ufeff" + `{"api_key":"k"}`, bad},
		{"{\"api_key\":\"\xff\"}", bad},
		{"{\"api_key\":\"\xc0\x80\"}", bad},
		{"{\x00\"\x00}\x00", bad}, // UTF-16
		{`// note` + "\n" + `{"api_key":"k"}`, bad},
		{`api_key=k`, bad},
		{`{"x":` + strings.Repeat("[", 10001) + strings.Repeat("]", 10001) + `}`, bad},
	} {
		p, err := decode([]byte(c.body))
		got := shown(p.apiKey) + " " + shown(p.userName)
		if err != nil {
			got, _, _ = strings.Cut(err.Error(), ":")
		}
		if got != c.want {
			t.Errorf("%.80q is %s, want %s", c.body, got, c.want)
		}
	}
}

func shown(p param) string {
	switch {
	case p.json == nil:
		return "-"
	case p.twice:
		return string(p.json) + "twice"
	}
	return string(p.json)
}

func TestText(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{``, ``},
		{`null`, ``},
		{`""`, ``},
		{`"k"`, `k`},
		{`"\u0041\n\/\ud83d\ude00"`, "A\n/😀"},
		{`"\ud800"`, "\ufffd"},
		{`1`, "BAD_PARAMS: Parameter `p` must be a string."},
		{`true`, "BAD_PARAMS: Parameter `p` must be a string."},
		{`{}`, "BAD_PARAMS: Parameter `p` must be a string."},
		{`["k"]`, "BAD_PARAMS: Parameter `p` must be a string."},
	} {
		p := param{json: []byte(c.json)}
		if c.json == "" {
			p.json = nil
		}
		got, err := p.text("p")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s is %q, want %q", c.json, got, c.want)
		}
	}
	p := param{json: []byte(`"k"`), twice: true}
	if _, err := p.text("p"); err == nil || err.Error() != "BAD_PARAMS: Parameter `p` must be given once." {
		t.Errorf("a parameter that is given twice is %v", err)
	}
}

func TestContentTypes(t *testing.T) {
	for _, c := range []struct {
		types []string
		want  bool
	}{
		{[]string{"application/json"}, true},
		{[]string{"application/json; charset=utf-8"}, true},
		{[]string{"Application/JSON ;charset=\"UTF-8\""}, true},
		{nil, false},
		{[]string{""}, false},
		{[]string{"application/json", "application/json"}, false},
		{[]string{"application/jsonp"}, false},
		{[]string{"application/x-www-form-urlencoded"}, false},
		{[]string{"text/json"}, false},
		{[]string{"application/json, text/plain"}, false},
		{[]string{"multipart/form-data; x=application/json"}, false},
	} {
		if got := isJSON(http.Header{"Content-Type": c.types}); got != c.want {
			t.Errorf("%q is JSON: %v", c.types, got)
		}
	}
}

// FuzzDecode holds the decoder to encoding/json.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"api_key":"k","user_name":"u"}`, `{"x":[1,{"y":"\"}"}],"api\u005fkey":"k"}`, `{"api_key":1,"api_key":null} `, `[]`, `{"a":-1.5e3 ,"b":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decode(body)
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(body, &want)
		if !utf8.Valid(body) || want == nil {
			wantErr = errSyntax
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", body, err, wantErr)
		}
		if err != nil {
			return
		}
		var twin param
		if read(trimmed(body), wanted{"api_key", &twin}); string(twin.json) != string(p.apiKey.json) || twin.twice != p.apiKey.twice {
			t.Fatalf("%q: api_key is read as %q", body, twin.json)
		}
		for name, p := range map[string]*param{"api_key": &p.apiKey, "user_name": &p.userName} {
			if string(p.json) != string(want[name]) {
				t.Fatalf("%q: %s is %q, want %q", body, name, p.json, want[name])
			}
			if len(p.json) > 0 && p.json[0] == '"' && !p.twice {
				var s string
				if err := json.Unmarshal(p.json, &s); err != nil {
					t.Fatal(err)
				}
				if got, err := p.text(name); got != s || err != nil {
					t.Fatalf("%q: %s is %q, %v, want %q", body, name, got, err, s)
				}
			}
		}
		names := make(map[string]bool)
		if len(want) > 0 {
			for name := range members(body[strings.IndexByte(string(body), '{'):]) {
				names[string(unquoted(name))] = true
			}
		}
		if !slices.Equal(slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(want))) {
			t.Fatalf("%q has the names %v, want %v", body, names, want)
		}
	})
}

var errSyntax = refuse(idJSON, "")

// FuzzMessages holds what is read of messages to encoding/json, and what is
// answered to one item for each.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{`[{"from":"A","to":"34612345678","text":"x","custom":"c"}]`, `[1,{"to":34612345678 , "text":"\u00e9"},[],{},null, "x"]`, `[{"a":[{}],"custom":"\ud800"},{"custom":1.5e3}]`, `{}`, ` [ ] `} {
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, messages []byte, concat bool) {
		body := []byte(`{"messages":` + string(messages) + `}`)
		if _, err := decode(body); err != nil {
			return
		}
		var said struct{ Messages []map[string]json.RawMessage }
		var bare struct{ Messages []json.RawMessage }
		if json.Unmarshal(body, &bare) != nil {
			return // no array
		}
		q := &sending{call: &call{Exchange: &dialect.Exchange{Body: body}}}
		err := q.decode()
		if n := len(bare.Messages); (err == nil) != (1 <= n && n <= maxMessages) {
			t.Fatalf("%q: %v", messages, err)
		}
		if err != nil {
			return
		}
		if len(q.items) != len(bare.Messages) {
			t.Fatalf("%q has %d items", messages, len(q.items))
		}
		_ = json.Unmarshal(body, &said) // as far as they are objects
		for i, it := range q.items {
			want, plain := "", ""
			if i < len(said.Messages) && said.Messages[i] != nil {
				want = string(said.Messages[i]["to"])
			}
			if json.Unmarshal([]byte(want), &plain) == nil && it.open() && it.To != plain {
				t.Fatalf("%q: item %d is for %q, want %q", messages, i, it.To, plain)
			}
			if n := parts(it.Text, gsm7, concat); n < 0 || n > maxParts {
				t.Fatalf("%q has %d parts", it.Text, n)
			}
			if utf8.RuneCountInString(it.Custom) > maxCustom && it.open() {
				t.Fatalf("%q: custom is %q", messages, it.Custom)
			}
		}
		q.answer()
		var answer struct{ Result []sendResult }
		if err := json.Unmarshal(q.Out, &answer); err != nil || len(answer.Result) != len(q.items) {
			t.Fatalf("%q is answered %q, %v", messages, q.Out, err)
		}
	})
}

// FuzzAmountParam holds amounts of requests to those of package money.
func FuzzAmountParam(f *testing.F) {
	for _, seed := range []string{`"150"`, `150`, `0.0001`, `1e2`, `"1e2"`, `-1`, `null`, `"0"`, `1.00000000000`} {
		f.Add([]byte(seed), uint8(4))
	}
	f.Fuzz(func(t *testing.T, value []byte, scale uint8) {
		body := []byte(`{"amount":` + string(value) + `}`)
		if _, err := decode(body); err != nil {
			return
		}
		var p param
		read(body, wanted{"amount", &p})
		unit := money.Unit{Code: "EUR", Scale: scale % (money.MaxScale + 1)}
		a, err := p.amount("amount", unit)
		if err != nil {
			return
		}
		text, _ := p.scalar("amount")
		want, err := money.ParseNumber(text, int(unit.Scale))
		if p.json[0] == '"' {
			want, err = unit.Parse(text)
		}
		if err != nil || a != want || a.Sign() <= 0 {
			t.Fatalf("%s is %v, want %v, %v", value, a, want, err)
		}
	})
}

// FuzzAmount holds what is shown to what there is.
func FuzzAmount(f *testing.F) {
	f.Add(int64(0), uint64(155249399), uint8(6))
	f.Add(int64(-1), ^uint64(0), uint8(18))
	f.Add(int64(1)<<62, uint64(7), uint8(0))
	f.Fuzz(func(t *testing.T, hi int64, lo uint64, scale uint8) {
		scale %= money.MaxScale + 1
		a := money.FromParts(hi, lo)
		text := string(appendAmount(nil, a, int(scale)))
		whole, frac, found := strings.Cut(text, ".")
		n, ok := new(big.Int).SetString(whole+frac, 10)
		if !found || len(frac) != decimals || !ok {
			t.Fatalf("%v of scale %d is %q", a, scale, text)
		}
		// n / 10^4 <= a / 10^scale < (n + 1) / 10^4
		has := new(big.Int).Mul(a.Big(), power(decimals))
		low := new(big.Int).Mul(n, power(int64(scale)))
		high := new(big.Int).Add(low, power(int64(scale)))
		if low.Cmp(has) > 0 || has.Cmp(high) >= 0 {
			t.Fatalf("%v of scale %d is %s", a, scale, text)
		}
	})
}

func power(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// FuzzReading gives the client half what a server may answer.
func FuzzReading(f *testing.F) {
	f.Add(200, []byte(`{"status": "ok","result": {"balance": "0.6000", "currency": "EUR"}}`), true)
	f.Add(200, []byte(`{"status":"ok","result":{"balance":-12,"currency":"CREDITS"}}`), false)
	f.Add(401, []byte(`{"status":"error","error_id":"UNAUTHORIZED","error_msg":"x"}`), false)
	f.Fuzz(func(t *testing.T, status int, body []byte, named bool) {
		c := &Client{}
		if named {
			c.UserName = "u"
		}
		got, err := c.reading(&dialect.Reply{Status: status, Header: http.Header{}, Body: body})
		if err != nil {
			return
		}
		if a, err := money.Parse(got.Text, got.Scale); err != nil || a != got.Amount || got.Unit == "" || status/100 != 2 {
			t.Fatalf("%d %q was read as %+v", status, body, got)
		}
	})
}
