package gateway360

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

// prices are what messages cost in tests.
func prices(t testing.TB, texts ...string) []Price {
	t.Helper()
	if len(texts) == 0 {
		texts = []string{"ES:34:0.0450:EUR", "ES:346:0.05:EUR", "GB:44:0.03:EUR", "ES:34:1:CREDITS", "AD:376:2.00005:EUR"}
	}
	all, err := ParsePrices(texts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A sinkFunc is a sink that goes wrong in some way.
type sinkFunc func(context.Context, *Batch) ([]Sent, error)

func (f sinkFunc) Send(ctx context.Context, b *Batch) ([]Sent, error) { return f(ctx, b) }

// quiet takes all messages.
var quiet = LogSink{slog.New(slog.DiscardHandler)}

// A shop is an account that sends messages.
type shop struct {
	*dialecttest.World
	h       http.Handler
	account ledger.AccountID
	key     string
}

func newShop(t testing.TB, w *dialecttest.World, sink Sink, unit, amount string, costs ...string) *shop {
	s := &shop{World: w, h: New(w.Ledger, w.Auth, Options{Prices: prices(t, costs...), Sink: sink})}
	s.account = w.Account(unit, amount)
	s.key = w.Issue(auth.Gateway360, s.account, auth.Read|auth.Charge|auth.Admin).Secret
	return s
}

// A sms is what a test sends.
type sms map[string]any

func to(number string) sms { return sms{"from": "ACME", "to": number, "text": "hello"} }

// body is the body of sms/send.
func (s *shop) body(more sms, messages ...sms) string {
	all := sms{"api_key": s.key, "messages": messages}
	for name, value := range more {
		all[name] = value
	}
	b, err := json.Marshal(all)
	if err != nil {
		s.T.Fatal(err)
	}
	return string(b)
}

// call makes a call, and returns the status and the body.
func (s *shop) call(path, body, key string) (int, string) {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	rec := httptest.NewRecorder()
	s.h.ServeHTTP(rec, r)
	if err := isAnswer(rec.Result(), rec.Body.Bytes()); err != nil {
		s.T.Errorf("%s %s is answered %d %s: %v", path, body, rec.Code, rec.Body, err)
	}
	return rec.Code, rec.Body.String()
}

// send returns what became of each message: "ok", or its error_id; or what was
// refused as a whole.
func (s *shop) send(more sms, messages ...sms) string {
	_, answer := s.call(pathSend, s.body(more, messages...), "")
	return became(s.T, answer)
}

func became(t testing.TB, answer string) string {
	var said struct {
		Status  string
		ErrorID string `json:"error_id"`
		Result  json.RawMessage
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil {
		t.Fatal(err)
	}
	if said.Status != "ok" {
		return said.ErrorID
	}
	var items []sendResult
	if err := json.Unmarshal(said.Result, &items); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, it := range items {
		if it.Status == "ok" && len(it.SMSID) == 32 && it.ErrorID == "" {
			all = append(all, "ok")
		} else {
			all = append(all, it.ErrorID)
		}
	}
	return strings.Join(all, " ")
}

// left is what the account has, and what of it is on hold.
func (s *shop) left() string {
	s.T.Helper()
	b, err := s.Native.Balance(context.Background(), s.account.String())
	if err != nil {
		s.T.Fatal(err)
	}
	return b.Spendable + " " + b.Held
}

func (s *shop) want(t *testing.T, left string) {
	t.Helper()
	if got := s.left(); got != left {
		t.Errorf("the account has %s left, want %s", got, left)
	}
}

// used returns the sums of the category sms.
func (s *shop) used() string {
	s.T.Helper()
	ctx := context.Background()
	a, err := s.Ledger.Account(ctx, s.account)
	if err != nil {
		s.T.Fatal(err)
	}
	now, err := s.Ledger.Now()
	if err != nil {
		s.T.Fatal(err)
	}
	sum, err := s.Ledger.Usage(ctx, a, false, "sms", now.Day()-1, now.Day()+1)
	if err != nil {
		s.T.Fatal(err)
	}
	return sum.Count.Text(0) + " " + sum.Unit
}

func TestSend(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "1")
	long := strings.Repeat("x", 161)
	for _, c := range []struct {
		about    string
		more     sms
		messages []sms
		want     string
		left     string
	}{
		{"one", nil, []sms{to("34612345678")}, "ok", "0.950000 0.000000"},
		{"three, one to nowhere", nil, []sms{to("34912345678"), to("33612345678"), to("447700900123")}, "ok INVALID_DESTINATION ok", "0.875000 0.000000"},
		{"fake", sms{"fake": 1}, []sms{to("34612345678"), to("33612345678"), to("x")}, "ok INVALID_DESTINATION INVALID_DESTINATION", "0.875000 0.000000"},
		{"three parts", sms{"concat": 1}, []sms{{"from": "34600000000", "to": 34912345678, "text": strings.Repeat("x", 459)}}, "ok", "0.740000 0.000000"},
		{"too long for one", sms{"concat": 0}, []sms{{"from": "A", "to": "34912345678", "text": long}}, "BAD_PARAMS", "0.740000 0.000000"},
		{"too much, then less", nil, []sms{to("376612345"), to("34912345678")}, "NOT_ENOUGH_BALANCE ok", "0.695000 0.000000"},
		{"all too much", nil, []sms{to("376612345"), to("376612345")}, "NOT_ENOUGH_BALANCE NOT_ENOUGH_BALANCE", "0.695000 0.000000"},
		{"nothing right", nil, []sms{{}, {"from": "ACME"}, {"from": "ACME", "to": "34612345678"}}, "INVALID_SENDER INVALID_DESTINATION MISSING_PARAMS", "0.695000 0.000000"},
		{"members that nobody knows", sms{"x": sms{"messages": 1}, "report_url": "https://example.com/x"}, []sms{{"from": "A", "to": "34912345678", "text": "x", "link": []int{1}}}, "ok", "0.650000 0.000000"},
		{"fifteen, of which fourteen fit", nil, repeated(to("34912345678"), 15), strings.Repeat("ok ", 14) + "NOT_ENOUGH_BALANCE", "0.020000 0.000000"},
	} {
		if got := s.send(c.more, c.messages...); got != c.want {
			t.Errorf("%s: %s, want %s", c.about, got, c.want)
		}
		if got := s.left(); got != c.left {
			t.Errorf("%s: leaves %s, want %s", c.about, got, c.left)
		}
	}
	if got := s.used(); got != "22 messages" {
		t.Errorf("used: %s", got)
	}
}

func repeated(m sms, n int) (all []sms) {
	for range n {
		all = append(all, m)
	}
	return all
}

// TestSendRefused is of whole requests.
func TestSendRefused(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "1")
	for _, c := range []struct {
		body string // what follows the key
		want string
	}{
		{``, idMissing},
		{`,"messages":null`, idBad},
		{`,"messages":{"from":"A","to":"34612345678","text":"x"}`, idBad},
		{`,"messages":[]`, idBad},
		{`,"messages":[{}],"messages":[{}]`, idBad},
		{`,"messages":[{}],"fake":2`, idBad},
		{`,"messages":[{}],"fake":1,"fake":1`, idBad},
		{`,"messages":[{}],"concat":"yes"`, idBad},
		{`,"messages":[{}],"encoding":"UTF8"`, idBad},
		{`,"messages":[{}],"encoding":7`, idBad},
		{`,"messages":[{}],"report_url":"ftp://example.com"`, idBad},
		{`,"messages":[{}],"report_url":"https://` + strings.Repeat("x", maxReportURL) + `"`, idBad},
		{`,"messages":[` + strings.Repeat("{},", maxMessages) + `{}]`, idBad},
	} {
		_, got := s.call(pathSend, `{"api_key":"`+s.key+`"`+c.body+`}`, "")
		if got := became(t, got); got != c.want {
			t.Errorf("%.80s is %s, want %s", c.body, got, c.want)
		}
	}
	for _, key := range []string{strings.Repeat("x", 256)} {
		if _, got := s.call(pathSend, s.body(nil, to("34612345678")), key); became(t, got) != idBad {
			t.Errorf("with the key %.10s… it is %s", key, got)
		}
	}
	if got := s.send(nil, repeated(to("34912345678"), maxMessages)...); strings.Count(got, "ok") != 22 || strings.Count(got, idFunds) != maxMessages-22 {
		t.Errorf("as many messages as there may be are %s", got)
	}
	s.want(t, "0.010000 0.000000")

	nowhere := newShop(t, s.World, nil, "EUR", "1")
	if got := nowhere.send(nil, to("34612345678")); got != idNoSink {
		t.Errorf("without a sink it is %s", got)
	}
	if got := nowhere.send(sms{"fake": 1}, to("34612345678")); got != "ok" {
		t.Errorf("without a sink a fake is %s", got)
	}
	nowhere.h = New(s.Ledger, s.Auth, Options{})
	if got := nowhere.send(sms{"fake": "1"}, to("34612345678"), to("99912345678")); got != "ok ok" {
		t.Errorf("without prices a fake is %s", got)
	}
	nowhere.want(t, "1.000000 0.000000")

	if err := s.Native.Do(t.Context(), "PATCH", "/v1/accounts/"+nowhere.account.String(), map[string]any{"status": "frozen"}, nil); err != nil {
		t.Fatal(err)
	}
	nowhere.h = s.h
	if got := nowhere.send(nil, to("34612345678")); got != idForbidden {
		t.Errorf("of an account that is frozen it is %s", got)
	}
}

// TestCheckMessage has what may be said of one message, with custom echoed.
func TestCheckMessage(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), nil, "EUR", "1")
	with := func(name string, value any) sms {
		m := to("34612345678")
		m[name] = value
		return m
	}
	for _, c := range []struct {
		m    sms
		want string
	}{
		{with("from", "123456789012345"), "ok"},
		{with("from", 34600000000), "ok"},
		{with("from", "GOOD PIZZA"), "ok"},
		{with("from", "12345678901"), "ok"},
		{with("from", "1234567890123456"), idSender},
		{with("from", "twelve chars"), idSender},
		{with("from", ""), idSender},
		{with("from", "  "), idSender},
		{with("from", "Zoë"), idSender},
		{with("from", "+34600000000"), idSender},
		{with("from", []string{"ACME"}), idSender},
		{with("to", "+34612345678"), idDestination},
		{with("to", "034612345678"), idDestination},
		{with("to", "346123"), idDestination},
		{with("to", "3461234567890123"), idDestination},
		{with("to", "34 612345678"), idDestination},
		{with("to", 34612345678), "ok"},
		{with("to", -34612345678), idDestination},
		{with("to", 346.5), idDestination},
		{with("to", true), idDestination},
		{with("text", ""), idMissing},
		{with("text", nil), idMissing},
		{with("text", 1234), "ok"},
		{with("text", []int{1}), idBad},
		{with("text", strings.Repeat("é", 160)), "ok"},
		{with("text", strings.Repeat("x", 161)), idBad},
		{with("text", strings.Repeat("€", 81)), idBad},
		{with("send_at", "2018-02-18 17:30:00"), "ok"},
		{with("send_at", "2018-02-18T17:30:00"), idDateTime},
		{with("send_at", "2018-02-30 17:30:00"), idDateTime},
		{with("send_at", "2018-2-18 17:30:00"), idDateTime},
		{with("send_at", "tomorrow"), idDateTime},
		{with("send_at", 1518975000), idDateTime},
		{with("send_at", nil), "ok"},
		{with("custom", strings.Repeat("é", 32)), "ok"},
		{with("custom", strings.Repeat("x", 33)), idBad},
		{with("custom", 7), "ok"},
		{with("custom", sms{}), idBad},
		{sms{"from": "no one", "to": "34x", "text": "", "send_at": "x"}, idDestination},
	} {
		if got := s.send(sms{"fake": 1}, c.m); got != c.want {
			t.Errorf("%v is %s, want %s", c.m, got, c.want)
		}
	}
	_, got := s.call(pathSend, `{"api_key":"`+s.key+`","fake":1,"messages":[7,null,[{}],{"from":"A","from":"A","to":"34612345678","text":"x"},{"custom":"a \"<é\n","to":"1"}]}`, "")
	want := `{"status":"ok","result":[` + strings.Repeat(`{"status":"error","error_id":"BAD_PARAMS","error_msg":"A message must be an object.","custom":""},`, 3) +
		"{\"status\":\"error\",\"error_id\":\"INVALID_SENDER\",\"error_msg\":\"Parameter `from` must be given once.\",\"custom\":\"\"}," +
		`{"status":"error","error_id":"INVALID_SENDER","error_msg":"The sender must be up to 15 digits, or up to 11 letters and digits.","custom":"a \"\u003cé\n"}]}`
	if got != want {
		t.Errorf("odd messages are\n%s\nwant\n%s", got, want)
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		text     string
		encoding string
		concat   bool
		want     int64
	}{
		{strings.Repeat("x", 160), gsm7, false, 1}, {strings.Repeat("x", 161), gsm7, false, 0}, {strings.Repeat("x", 161), gsm7, true, 2},
		{strings.Repeat("x", 306), gsm7, true, 2}, {strings.Repeat("x", 307), gsm7, true, 3}, {strings.Repeat("x", 459), gsm7, true, 3},
		{strings.Repeat("x", 460), gsm7, true, 0}, {strings.Repeat("€", 80), gsm7, false, 1}, {strings.Repeat("[", 81), gsm7, true, 2},
		{strings.Repeat("ñ", 160), gsm7, false, 1}, {strings.Repeat("ó", 70), ucs2, false, 1}, {strings.Repeat("ó", 71), ucs2, true, 2},
		{strings.Repeat("ó", 201), ucs2, true, 3}, {strings.Repeat("ó", 202), ucs2, true, 0}, {strings.Repeat("😀", 35), ucs2, false, 1},
		{strings.Repeat("😀", 36), ucs2, false, 0}, {strings.Repeat("😀", 36), ucs2, true, 2},
		// Of two characters' room, one is left at a part's end: the next part begins.
		{strings.Repeat("x", 152) + "€" + strings.Repeat("x", 151), gsm7, true, 2}, {strings.Repeat("x", 152) + "€" + strings.Repeat("x", 152), gsm7, true, 3},
		{strings.Repeat("€", 229), gsm7, true, 0}, {strings.Repeat("€", 228), gsm7, true, 3}, {strings.Repeat("😀", 67), ucs2, true, 3},
		{strings.Repeat("x", 159) + "€", gsm7, false, 0}, {strings.Repeat("x", 158) + "€", gsm7, true, 1},
	} {
		if got := parts(c.text, c.encoding, c.concat); got != c.want {
			t.Errorf("%d bytes of %s, concat %v, are %d parts, want %d", len(c.text), c.encoding, c.concat, got, c.want)
		}
	}
}

// TestSpendTogether has 64 callers spend 200 credits: exactly 200 messages are
// sent, whether each asks for one or for some at once.
func TestSpendTogether(t *testing.T) {
	for _, each := range []int{1, 3} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			var taken atomic.Int64
			s := newShop(t, dialecttest.Open(t), sinkFunc(func(_ context.Context, b *Batch) ([]Sent, error) {
				taken.Add(int64(len(b.Messages)))
				return make([]Sent, len(b.Messages)), nil
			}), "CREDITS", "200")
			body := s.body(nil, repeated(to("34612345678"), each)...)
			var ok, refused atomic.Int64
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for range 6 {
						_, answer := s.call(pathSend, body, "")
						got := strings.Fields(became(t, answer))
						for _, one := range got {
							switch one {
							case "ok":
								ok.Add(1)
							case idFunds:
								refused.Add(1)
							default:
								t.Errorf("a message is %s", one)
							}
						}
						if len(got) != each {
							t.Errorf("%d messages are answered %v", each, got)
						}
					}
				})
			}
			all.Wait()
			if want := int64(64 * 6 * each); ok.Load() != 200 || taken.Load() != 200 || ok.Load()+refused.Load() != want {
				t.Errorf("%d were sent, %d were taken and %d refused of %d", ok.Load(), taken.Load(), refused.Load(), want)
			}
			s.want(t, "0.0000 0.0000")
			if got := s.used(); got != "200 messages" {
				t.Errorf("used: %s", got)
			}
		})
	}
}

// TestHandOn has one server hand messages on to another, as an operator does who
// sells the platform's messages: both halves at work.
func TestHandOn(t *testing.T) {
	var reported *Batch
	up := newShop(t, dialecttest.Open(t), sinkFunc(func(_ context.Context, b *Batch) ([]Sent, error) {
		reported = b
		return make([]Sent, len(b.Messages)), nil
	}), "EUR", "0.1", "ES:34:0.02:EUR", "GB:44:0.5:EUR")
	s := newShop(t, dialecttest.Open(t), &Client{URL: up.Serve(up.h) + "/", APIKey: up.key}, "EUR", "10")

	one := sms{"from": "ACME", "to": "34612345678", "text": "caf\u00e9 \"x\"", "custom": "my-1", "send_at": "2030-01-02 03:04:05"}
	got := s.send(sms{"report_url": "https://example.com/r", "concat": 1, "encoding": "UCS2"}, one, to("376612345"), to("34612345679"))
	if got != "ok INVALID_DESTINATION ok" { // the middle one has a price here and none above
		t.Errorf("handed on, they are %s", got)
	}
	want := Batch{ReportURL: "https://example.com/r", Concat: true, Encoding: ucs2}
	if reported == nil || len(reported.Messages) != 2 || reported.Messages[0] != (Message{"ACME", "34612345678", `café "x"`, "my-1", "2030-01-02 03:04:05"}) ||
		reported.ReportURL != want.ReportURL || reported.Concat != want.Concat || reported.Encoding != want.Encoding {
		t.Errorf("what was handed on is %+v", reported)
	}
	s.want(t, "9.900000 0.000000")
	up.want(t, "0.060000 0.000000")

	// What the operator has no money for is not the customer's fault, nor his to pay.
	if got := s.send(nil, to("447700900123"), to("34612345678")); got != idBusy+" ok" {
		t.Errorf("where the operator's account is empty, they are %s", got)
	}
	s.want(t, "9.850000 0.000000")
	up.want(t, "0.040000 0.000000")
	if got := s.used(); got != "3 messages" {
		t.Errorf("used: %s", got)
	}
}

// TestSinkFails has sinks that do not take messages: nobody pays, and nothing
// stays on hold.
func TestSinkFails(t *testing.T) {
	w := dialecttest.Open(t)
	gone := newShop(t, dialecttest.Open(t), quiet, "EUR", "1")
	for name, sink := range map[string]Sink{
		"an error":            sinkFunc(func(context.Context, *Batch) ([]Sent, error) { return nil, errors.New("down") }),
		"nobody":              &Client{URL: "http://127.0.0.1:1", APIKey: "x"},
		"a key that is wrong": &Client{URL: gone.Serve(gone.h), APIKey: manualKey},
		"a refusal of its own": sinkFunc(func(_ context.Context, b *Batch) ([]Sent, error) {
			return []Sent{{ErrorID: "X"}, {ErrorID: idFunds}}, nil
		}),
	} {
		s := newShop(t, w, sink, "EUR", "1")
		if got := s.send(nil, to("34612345678"), to("34612345679")); got != idBusy+" "+idBusy {
			t.Errorf("%s: %s", name, got)
		}
		s.want(t, "1.000000 0.000000")
	}
}

// TestNobodyKnows has sinks that may have taken the messages: what they cost
// stays on hold, and a repeat sends nothing.
func TestNobodyKnows(t *testing.T) {
	w := dialecttest.Open(t)
	answers := func(status int, body string) string {
		return w.Serve(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			if status == 0 {
				panic(http.ErrAbortHandler) // the connection ends without an answer
			}
			out.WriteHeader(status)
			io.WriteString(out, body)
		}))
	}
	for name, sink := range map[string]Sink{
		"another number": sinkFunc(func(context.Context, *Batch) ([]Sent, error) { return make([]Sent, 2), nil }),
		"another page":   &Client{URL: answers(200, "<html>"), APIKey: "x"},
		"a broken proxy": &Client{URL: answers(502, "<html>"), APIKey: "x"},
		"its own fault":  &Client{URL: answers(500, `{"status":"error","error_id":"INTERNAL_ERROR","error_msg":"x"}`), APIKey: "x"},
		"no answer":      &Client{URL: answers(0, ""), APIKey: "x"},
		"too few":        &Client{URL: answers(200, `{"status":"ok","result":[]}`), APIKey: "x"},
	} {
		s := newShop(t, w, sink, "EUR", "1")
		body := s.body(nil, to("34612345678"))
		for range 2 {
			if _, got := s.call(pathSend, body, "k"); !strings.Contains(got, idBusy) {
				t.Errorf("%s: %s", name, got)
			}
			s.want(t, "0.950000 0.050000")
		}
	}
}

// TestHoldEnded has somebody end the hold while messages are handed on, or take the
// id under which they would be paid: they are paid for all the same.
func TestHoldEnded(t *testing.T) {
	for _, c := range []struct {
		what   string
		meddle func(s *shop, ctx context.Context, hold string) error
		again  string // what is said to a repeat
	}{
		{"ended", func(s *shop, ctx context.Context, hold string) error {
			_, err := s.Native.Release(ctx, hold, native.HoldRequest{ID: s.ID("release")})
			return err
		}, "ok ok"},
		{"id taken", func(s *shop, ctx context.Context, hold string) error {
			_, err := s.Native.TopUp(ctx, s.account.String(), native.TransferRequest{ID: hold + "-paid", Amount: "0.01"})
			return err
		}, idBad},
	} {
		t.Run(c.what, func(t *testing.T) {
			var s *shop
			s = newShop(t, dialecttest.Open(t), sinkFunc(func(ctx context.Context, b *Batch) ([]Sent, error) {
				a, err := s.Ledger.Account(ctx, s.account)
				if err != nil {
					return nil, err
				}
				for row, err := range s.Ledger.Scan(ctx, ledger.Query{List: ledger.ListHolds, Book: a.Book, Tenant: a.Tenant, Account: a.ID, Open: true}) {
					if err == nil {
						err = c.meddle(s, ctx, row.Hold.ID)
					}
					if err != nil {
						return nil, err
					}
				}
				return make([]Sent, len(b.Messages)), nil
			}), "EUR", "1")
			body := s.body(nil, to("34612345678"), to("34612345679"))
			for _, want := range []string{"ok ok", c.again} {
				if _, got := s.call(pathSend, body, "k"); became(t, got) != want {
					t.Errorf("it is %s, want %s", got, want)
				}
			}
			if got := s.used(); got != "2 messages" {
				t.Errorf("used is %s", got)
			}
			if left := s.left(); !strings.HasSuffix(left, " 0.000000") {
				t.Errorf("left is %s", left)
			}
		})
	}
}

// TestCallerGoes has the caller go away while its messages are handed on: they
// are paid for all the same.
func TestCallerGoes(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := newShop(t, dialecttest.Open(t), sinkFunc(func(ctx context.Context, b *Batch) ([]Sent, error) {
		leave()
		return make([]Sent, len(b.Messages)), ctx.Err()
	}), "EUR", "1")
	r := dialecttest.Request(t, post(pathSend, s.body(nil, to("34612345678")))).WithContext(ctx)
	rec := httptest.NewRecorder()
	if s.h.ServeHTTP(rec, r); became(t, rec.Body.String()) != "ok" {
		t.Errorf("it is answered %s", rec.Body)
	}
	s.want(t, "0.950000 0.000000")
}
