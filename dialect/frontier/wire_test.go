package frontier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// TestRefusals answers every error that the ledger and auth have, in both eras,
// and has the client half read the answers.
func TestRefusals(t *testing.T) {
	status := map[ledger.Code]int{
		ledger.Invalid: 400, ledger.NotFound: 404, ledger.Denied: 403, ledger.Insufficient: 400, ledger.Frozen: 400, ledger.Closed: 400,
		ledger.IDTaken: 409, ledger.Changed: 409, ledger.Exists: 409, ledger.HoldClosed: 400, ledger.HoldExpired: 400, ledger.NotEmpty: 400,
		ledger.OverRefund: 400, ledger.Overflow: 400, ledger.TooMany: 400, ledger.Busy: 503, ledger.Unavailable: 503, ledger.Timeout: 504,
		ledger.Contention: 503, ledger.ClockJump: 503, ledger.Internal: 500,
	}
	type refusal struct {
		err    error
		status int
		reason dialect.Reason
	}
	cases := []refusal{
		{auth.ErrUnknown, 401, dialect.Unauthorized}, {auth.ErrRevoked, 401, dialect.Unauthorized}, {auth.ErrAddress, 401, dialect.Unauthorized},
		{auth.ErrThrottled{RetryAfter: 1500 * time.Millisecond}, 429, dialect.Throttled},
		{auth.ErrForbidden{Missing: auth.Read}, 403, dialect.Forbidden},
		{errors.New("the disk's secret"), 500, dialect.Unavailable},
		{otherOrg, 403, dialect.Forbidden}, {unknownAccount, 404, dialect.NotFound}, {notServing, 503, dialect.Unavailable},
	}
	for _, c := range ledger.Codes() {
		reason := dialect.Refused
		switch {
		case status[c] >= 500 || c == ledger.Changed:
			reason = dialect.Unavailable
		case c == ledger.NotFound:
			reason = dialect.NotFound
		case c == ledger.Denied:
			reason = dialect.Forbidden
		}
		cases = append(cases, refusal{fmt.Errorf("asked: %w", ledger.Errorf(c, "the disk's secret")), status[c], reason})
	}
	for _, c := range cases {
		var log strings.Builder
		o := dialect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}.Filled()
		s := &server{o: Options{Options: o}, routes: make(map[int][]route)}
		op := o.Metrics.Operation(auth.Frontier, "x")
		s.serveCalls(op)
		s.rest = dialect.NewHandler(o, op, func(x *dialect.Exchange) { s.refused(x, c.err) }, nil)
		s.lost.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = s.refuse.Write(w, r, s.refusedCall(r.Context(), callOf(r.Context()), c.err))
		})
		for _, path := range []string{"/v1beta1/x", "/raystack.x"} {
			log.Reset()
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "POST", path, http.NoBody))
			err := readRefusal(&dialect.Reply{Status: rec.Code, Header: rec.Header(), Body: rec.Body.Bytes()})
			var e *dialect.Error
			if rec.Code != c.status || !errors.As(err, &e) || e.Reason != c.reason || e.Code == "" || e.Message == "" || !json.Valid(rec.Body.Bytes()) {
				t.Errorf("%s: %v is %d %s, read as %v; want %d, %s", path, c.err, rec.Code, rec.Body, err, c.status, c.reason)
			}
			if wait := e.RetryAfter; (c.status == 429) != (wait == 2*time.Second) {
				t.Errorf("%s: %v is worth a retry after %v", path, c.err, wait)
			}
			if strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("%s: %v was told: %s", path, c.err, rec.Body)
			}
			if logged := strings.Count(log.String(), "level=ERROR"); logged > 1 || (logged == 1) != (c.status == 500) {
				t.Errorf("%s: %v logged %q", path, c.err, log.String())
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r := s.refusal(ctx, op, c.err); c.status == 500 && r.fault != canceled {
			t.Errorf("who went away is answered %v", r)
		}
	}
}

// TestFaults looks at the table itself.
func TestFaults(t *testing.T) {
	rows := map[ledger.Code]int{}
	for f := range faults {
		row := &faults[f]
		rows[row.ledger]++
		if row.rest == "" || row.rpc == "" || int(row.code) >= len(codes) || codes[row.code].status == 0 {
			t.Errorf("row %d is %+v", f, row)
		}
		if body := appendRefusal(nil, refuse(fault(f))); !json.Valid(body) {
			t.Errorf("row %d is %s", f, body)
		}
	}
	for _, c := range ledger.Codes() {
		if rows[c] != 1 {
			t.Errorf("%v has %d rows", c, rows[c])
		}
	}
	for c := connect.CodeCanceled; c <= connect.CodeUnauthenticated; c++ {
		for _, text := range []string{fmt.Sprint(uint32(c)), `"` + c.String() + `"`} {
			if got := readCode([]byte(text)); got != c {
				t.Errorf("%s is read as %v", text, got)
			}
		}
	}
	for _, text := range []string{"", "0", "17", `"code_17"`, `"nonsense"`, "-1", "null", "{}"} {
		if got := readCode([]byte(text)); got != 0 {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}

func TestAppendTime(t *testing.T) {
	for us, want := range map[int64]string{
		0: "1970-01-01T00:00:00Z", 1: "1970-01-01T00:00:00.000001Z", 120_000: "1970-01-01T00:00:00.120Z", 1_700_000_000_123_450: "2023-11-14T22:13:20.123450Z",
	} {
		if got := string(appendTime(nil, ledger.Time(us).Std().In(time.FixedZone("", 3600)))); got != want {
			t.Errorf("%d is %s, want %s", us, got, want)
		}
	}
}

func TestCompacted(t *testing.T) {
	for in, want := range map[string]string{`["x" , {"a": "b c", "d":1}`: `["x" , {"a":"b c","d":1}`, `["x" , {"a":1}`: `["x" , {"a":1}`} {
		b := append(make([]byte, 0, 64), in...)
		if got, err := compacted(b, len(`["x" , `)); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestReadBalance(t *testing.T) {
	for _, c := range []struct{ body, text, unit string }{
		{`{"balance":{"amount":"1000000000", "currency":"VC", "updated_at":null}}`, "1000000000", "VC"},
		{`{"balance":{"currency":"VC"}}`, "0", "VC"},
		{`{"balance":{}}`, "0", "VC"},
		{`{"balance":{"amount":null}}`, "0", "VC"},
		{`{"balance":{"amount":"-50","currency":"X"},"more":1}`, "-50", "X"},
		{`{"balance":{"amount":9007199254740993}}`, "9007199254740993", "VC"},
		{`{"balance":null}`, "", ""}, {`{}`, "", ""}, {``, "", ""}, {`[]`, "", ""}, {`<html>`, "", ""},
		{`{"balance":{"amount":"1e3"}}`, "", ""}, {`{"balance":{"amount":{}}}`, "", ""}, {`{"balance":{"amount":"12 "}}`, "", ""},
		{`{"balance":{"amount":"` + strings.Repeat("9", 100) + `"}}`, "", ""},
	} {
		var r dialect.Reading
		err := readBalance(&r, []byte(c.body))
		if (err == nil) != (c.text != "") || err == nil && (r.Text != c.text || r.Unit != c.unit) {
			t.Errorf("%s is read as %+v, %v", c.body, r, err)
		}
	}
}

func FuzzReadBalance(f *testing.F) {
	f.Add([]byte(`{"balance":{"amount":"1000000000", "currency":"VC", "updated_at":null}}`))
	f.Add([]byte(`{"code":5, "message":"customer doesn't exist", "details":[]}`))
	f.Add([]byte(`{"code":"not_found","message":"not found"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r dialect.Reading
		if readBalance(&r, body) == nil && r.Scale == 0 {
			if want, ok := new(big.Int).SetString(r.Text, 10); !ok || want.String() != r.Amount.String() {
				t.Errorf("%q is read as %v", r.Text, r.Amount)
			}
		}
		for _, status := range []int{302, 400, 404, 500} {
			var e *dialect.Error
			if err := readRefusal(&dialect.Reply{Status: status, Body: body}); !errors.As(err, &e) || len(e.Message) > maxQuoted {
				t.Errorf("%q is refused as %v", body, err)
			}
		}
	})
}

func FuzzBalancePath(f *testing.F) {
	f.Add("/v1beta1/organizations/4eef0ae7/billing/1355c761/balance")
	f.Add("/v1beta1/organizations//billing/x/balance")
	f.Fuzz(func(t *testing.T, path string) {
		org, id, ok := balancePath(path)
		made := "/v1beta1/organizations/" + org + "/billing/" + id + "/balance"
		if want := made == path && org != "" && id != "" && !strings.Contains(org+id, "/"); ok != want {
			t.Errorf("%q is %q, %q, %v", path, org, id, ok)
		}
	})
}

func FuzzCredential(f *testing.F) {
	f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte("id:secret")))
	f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte("id:secret:more")))
	f.Add("Bearer saldo")
	f.Add("basic  ")
	f.Fuzz(func(t *testing.T, text string) {
		id, secret, ok := credential(http.Header{"Authorization": {text}})
		r := &http.Request{Header: http.Header{"Authorization": {text}}}
		user, password, basic := r.BasicAuth()
		basic = basic && !strings.Contains(password, ":") && len(text) <= maxAuthorization
		if basic && (!ok || id != user || secret != password) {
			t.Errorf("%q is %q, %q, %v", text, id, secret, ok)
		}
		if !basic && ok && (id != "" || secret == "" || !strings.EqualFold(text[:7], "Bearer ")) {
			t.Errorf("%q is taken as %q, %q", text, id, secret)
		}
	})
}
