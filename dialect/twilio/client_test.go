package twilio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"saldo/dialect"
	"saldo/dialect/twilio"
	"saldo/money"
)

const anAccount = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// replying is a client of a server that always answers the same.
func replying(status int, body string, header ...string) *twilio.Client {
	return &twilio.Client{AccountSID: anAccount, Secret: "x", HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		w.WriteString(body)
		return w.Result(), nil
	})}}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRead(t *testing.T) {
	for _, c := range []struct{ body, text, unit, account string }{
		{`{"account_sid": "AC1", "balance": "0.05", "currency": "USD"}`, "0.05", "USD", "AC1"},
		{`{"currency": "GBP", "balance": "1.00000", "account_sid": "ACX"}`, "1.00000", "GBP", "ACX"},
		{`{"balance":"-3.21","currency":"eur","new":{}}`, "-3.21", "EUR", ""},
		{`{"balance":12.5,"currency":"USD","account_sid":null}`, "12.5", "USD", ""},
		{`{"balance":12,"currency":"USD"}`, "12", "USD", ""},
		{`{"balance":"+7.000000000","currency":"USD"}`, "+7.000000000", "USD", ""},
	} {
		got, err := replying(200, c.body).Read(t.Context())
		if err != nil || got.Text != c.text || got.Unit != c.unit || got.Account != c.account || got.Time.IsZero() {
			t.Errorf("%s is %+v, %v", c.body, got, err)
			continue
		}
		if want := strings.TrimPrefix(c.text, "+"); got.Amount.Text(got.Scale) != want {
			t.Errorf("%s is %s", c.body, got.Amount.Text(got.Scale))
		}
	}
	got, err := replying(200, `{"balance":1.25e2,"currency":"USD"}`).Read(t.Context())
	if err != nil || got.Amount.TextMin(got.Scale, 0) != "125" {
		t.Errorf("1.25e2 is %+v, %v", got, err)
	}
}

func TestReadRefused(t *testing.T) {
	const hint = "ask the owner account"
	for _, c := range []struct {
		status        int
		body          string
		reason        dialect.Reason
		code, message string
	}{
		{200, `{"balance":null,"currency":null,"account_sid":"AC1"}`, dialect.NotFound, "", hint},
		{200, `{}`, dialect.Unreadable, "", "not a balance"},
		{200, `null`, dialect.Unreadable, "", "not a balance"},
		{200, `[]`, dialect.Unreadable, "", "not a balance"},
		{200, ``, dialect.Unreadable, "", "not a balance"},
		{200, `{"balance":"1.0"}`, dialect.Unreadable, "", "currency"},
		{200, `{"balance":"1.0","currency":"U$D"}`, dialect.Unreadable, "", "currency"},
		{200, `{"balance":"","currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{200, `{"balance":"1,000.00","currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{200, `{"balance":true,"currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{200, `{"balance":{},"currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{200, `{"balance":1e999999999,"currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{200, `{"balance":"` + strings.Repeat("9", 99) + `","currency":"USD"}`, dialect.Unreadable, "", "amount"},
		{201, `{"balance":"1.0","currency":"USD"}`, dialect.Unreadable, "", ""},
		{302, `{"balance":"1.0","currency":"USD"}`, dialect.Unreadable, "", ""},
		{404, string(twilio.Fault(8, ".json", "/x")), dialect.NotFound, "20404", hint},
		{404, "<html>", dialect.NotFound, "", ""},
		{400, `{"code":20003,"message":"m","status":400}`, dialect.Unauthorized, "20003", "m"},
		{403, `{"code":"20008","message":"m"}`, dialect.Forbidden, "20008", "m"},
		{403, `{"code":20403,"message":"m"}`, dialect.Forbidden, "20403", "m"},
		{403, `{"code":99999,"message":"m"}`, dialect.Forbidden, "99999", "m"},
		{401, `{"message":"m"}`, dialect.Unauthorized, "", "m"},
		{429, `{"code":20429,"message":"Too Many Requests"}`, dialect.Throttled, "20429", "Too"},
		{500, `{"code":20500,"message":"m"}`, dialect.Unavailable, "20500", "m"},
		{503, "", dialect.Unavailable, "", ""},
		{418, `{"code":1}`, dialect.Refused, "1", ""},
	} {
		got, err := replying(c.status, c.body, "Retry-After", "7").Read(t.Context())
		var e *dialect.Error
		if !errors.As(err, &e) || e.Reason != c.reason || e.Code != c.code || !strings.Contains(e.Message, c.message) || e.Dialect != "twilio" || e.Status != c.status {
			t.Errorf("%d %.80s is %+v, %#v", c.status, c.body, got, err)
		} else if c.status >= 400 && e.RetryAfter != 7*time.Second {
			t.Errorf("%d is to be repeated after %v", c.status, e.RetryAfter)
		}
	}
	_, err := replying(403, `{"code":1,"message":"`+strings.Repeat("ä", 9000)+`"}`).Read(t.Context())
	if e := new(dialect.Error); !errors.As(err, &e) || len(e.Message) > 1024 || e.Message == "" {
		t.Errorf("a long message is %d bytes", len(e.Message))
	}
	for _, sid := range []string{"", "AC1", "../../AC", "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", anAccount + "/x"} {
		c := replying(200, `{"balance":"1.0","currency":"USD"}`)
		c.AccountSID = sid
		if e := new(dialect.Error); !errors.As(second(c.Read(t.Context())), &e) || e.Reason != dialect.Refused {
			t.Errorf("the SID %q is %v", sid, e)
		}
	}
}

func second(_ dialect.Reading, err error) error { return err }

// TestAsked is what the client sends.
func TestAsked(t *testing.T) {
	for _, c := range []struct {
		client         twilio.Client
		url, user, key string
	}{
		{twilio.Client{AccountSID: anAccount, Secret: "s"}, "https://api.twilio.com", anAccount, "s"},
		{twilio.Client{AccountSID: anAccount, User: "SK1", Secret: "t", URL: "http://x.test:1/base/"}, "http://x.test:1/base", "SK1", "t"},
	} {
		c.client.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			user, key, _ := r.BasicAuth()
			if got := r.URL.String(); got != c.url+"/2010-04-01/Accounts/"+anAccount+"/Balance.json" || r.Method != "GET" || user != c.user || key != c.key {
				t.Errorf("asked %s %s as %s %s", r.Method, got, user, key)
			}
			return nil, errors.New("no route")
		})}
		if e := new(dialect.Error); !errors.As(second(c.client.Read(t.Context())), &e) || e.Reason != dialect.Unavailable {
			t.Errorf("no connection is %v", e)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(200, `{"account_sid": "AC1", "balance": "0.05", "currency": "USD"}`)
	f.Add(200, `{"balance": 1.5e-3, "currency": "USD"}`)
	f.Add(404, `{"code": 20404, "message": "", "status": 404}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got, err := replying(100+(status&0x7fffffff)%500, body).Read(t.Context())
		var e *dialect.Error
		if err != nil && (!errors.As(err, &e) || len(e.Message) > 1200) || err == nil && (got.Unit == "" || got.Text == "" || got.Scale > money.MaxScale) {
			t.Errorf("%d %q is %+v, %v", status, body, got, err)
		}
	})
}

// FuzzAmount compares what is shown with arithmetic of big numbers.
func FuzzAmount(f *testing.F) {
	f.Add(int64(0), uint64(1), uint8(6))
	f.Add(int64(-1), uint64(1<<64-1), uint8(18))
	f.Add(int64(-1<<63), uint64(0), uint8(0))
	f.Fuzz(func(t *testing.T, hi int64, lo uint64, scale uint8) {
		s := int(scale) % (money.MaxScale + 1)
		a := money.FromParts(hi, lo)
		text := twilio.AmountText(a, s)
		if !amountForm.MatchString(text) {
			t.Fatalf("%v of scale %d is %q", a, s, text)
		}
		shown, _ := new(big.Rat).SetString(text)
		has := new(big.Rat).SetFrac(a.Big(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(s)), nil))
		less := new(big.Rat).Sub(has, shown)
		if less.Sign() < 0 || less.Cmp(big.NewRat(1, 100000)) >= 0 || s <= 5 && less.Sign() != 0 {
			t.Errorf("%v of scale %d is %q", a, s, text)
		}
		if i := strings.IndexByte(text, '.'); len(text)-i-1 > 2 && text[len(text)-1] == '0' || text == "-0.00" {
			t.Errorf("%v of scale %d is %q", a, s, text)
		}
	})
}

func FuzzParseSID(f *testing.F) {
	f.Add(anAccount)
	f.Add("AC018f0000-0000-7000-8000-00000000a0")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := twilio.ParseSID(s)
		if want := "AC" + strings.ReplaceAll(id.String(), "-", ""); ok && "AC"+strings.ToLower(s[2:]) != want {
			t.Errorf("%q is %s", s, want)
		}
	})
}

func TestQuoted(t *testing.T) {
	const odd = "\x00\x1f\n\"\\/é"
	var r reply
	if err := json.Unmarshal(twilio.Fault(8, ".json", odd), &r); err != nil || !strings.Contains(r.Message, odd) {
		t.Errorf("%q, %v", r.Message, err)
	}
}

// FuzzFault writes errors about paths as they come.
func FuzzFault(f *testing.F) {
	f.Add("/2010-04-01/x.json")
	f.Add("/%s<&>\"\\,.csv")
	f.Fuzz(func(t *testing.T, path string) {
		if i := strings.IndexFunc(path, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			return // an escaped path has none of these
		}
		for extension, form := range map[string]string{".json": "application/json", "": "application/xml", ".csv": "text/csv"} {
			w := httptest.NewRecorder()
			for name, value := range cors {
				w.Header().Set(name, value)
			}
			w.Header().Set("Twilio-Request-Id", "RQ"+fmt.Sprintf("%032x", 1))
			w.Header().Set("Twilio-Request-Duration", "0.000")
			w.Header().Set("Content-Type", form)
			body := twilio.Fault(8, extension, path)
			w.WriteHeader(404)
			if err := check(w.Result(), body); err != nil {
				t.Errorf("%q: %v", body, err)
			}
		}
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.000", 999 * time.Microsecond: "0.000", 80 * time.Millisecond: "0.080",
		12*time.Second + 345*time.Millisecond: "12.345",
	} {
		if got := twilio.Duration(d); got != want {
			t.Errorf("%v is %s", d, got)
		}
	}
}
