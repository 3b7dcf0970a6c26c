package gateway360

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
)

// TestCurl runs the manual's cURL samples.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("this test needs curl: install it")
	}
	w := dialecttest.Open(t)
	url := w.Serve(New(w.Ledger, w.Auth, Options{}))
	account := w.Account("EUR", "350.12")
	child := w.Open(native.AccountRequest{Parent: account.String()}, "155.2493")
	name(w, "subaccount_user_name", child)
	key := w.Issue(auth.Gateway360, account, auth.Read).Secret

	// As the manual prints it, with the URL and the key put in.
	curl := func(path, body string, more ...string) string {
		t.Helper()
		args := append([]string{"-sS", "-w", " %{http_code}", "-X", "POST", "-H", "Content-Type: application/json", "-H", "Accept: application/json", "-d", body}, more...)
		out, err := exec.CommandContext(t.Context(), "curl", append(args, url+path)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("curl got %s, want %s", got, want)
		}
	}
	body := "{\n    \"api_key\":\"" + key + "\"\n}"
	sub := "{\n    \"api_key\":\"" + key + "\",\n    \"user_name\":\"subaccount_user_name\"\n}"
	check(curl(pathBalance, body), `{"status":"ok","result":{"balance":"350.1200","currency":"EUR"}} 200`)
	check(curl(pathSubaccountBalance, sub), `{"status":"ok","result":{"balance":"155.2493","currency":"EUR"}} 200`)
	w.Charge(account, "100.00005")
	w.Charge(child, "0.2493")
	check(curl(pathBalance, body), `{"status":"ok","result":{"balance":"250.1199","currency":"EUR"}} 200`)
	check(curl(pathSubaccountBalance, sub), `{"status":"ok","result":{"balance":"155.0000","currency":"EUR"}} 200`)
	check(curl(pathSubaccountBalance, sub, "-X", "GET"), `{"status":"ok","result":{"balance":"155.0000","currency":"EUR"}} 200`)
	check(curl(pathBalance, body, "--http2-prior-knowledge"), `{"status":"ok","result":{"balance":"250.1199","currency":"EUR"}} 200`)

	check(curl(pathBalance, strings.Replace(body, key, manualKey, 1)),
		`{"status":"error","error_id":"UNAUTHORIZED","error_msg":"Your API key may be invalid or your IP is blocked."} 401`)
	check(curl(pathSubaccountBalance, strings.Replace(sub, "name\"\n", "name\",\n", 1)), // the manual's comma too many
		`{"status":"error","error_id":"JSON_PARSE_ERROR","error_msg":"Your JSON was formatted incorrectly."} 400`)
	check(curl(pathBalance, "{}"),
		`{"status":"error","error_id":"MISSING_PARAMS","error_msg":"Your request is incomplete and missing some mandatory parameters."} 400`)
	check(curl(pathSubaccountBalance, body),
		`{"status":"error","error_id":"MISSING_PARAMS","error_msg":"Your request is incomplete and missing some mandatory parameters."} 400`)
	check(curl(pathSubaccountBalance, strings.Replace(sub, "subaccount_user_name", "nobody", 1)),
		"{\"status\":\"error\",\"error_id\":\"BAD_PARAMS\",\"error_msg\":\"Parameter `user_name` must be the name of a subaccount of yours.\"} 400")
	check(curl("/api/3.0/sms/send-link", body), `{"status":"error","error_id":"NOT_FOUND","error_msg":"There is no such function here."} 404`)
	check(curl(pathBalance, body, "-X", "DELETE"), `{"status":"error","error_id":"METHOD_NOT_ALLOWED","error_msg":"The method must be: POST"} 405`)

	// Without the header, curl says that it is a form.
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "-w", " %{http_code}", "-d", body, url+pathBalance).CombinedOutput()
	check(string(out), `{"status":"error","error_id":"INVALID_CONTENT_TYPE","error_msg":"The content type must be: Content-Type: application/json"} 400`)
	if err != nil {
		t.Error(err)
	}
	// A large body is announced, and refused before it is sent.
	large := exec.CommandContext(t.Context(), "curl", "-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json", "--data-binary", "@-", url+pathBalance)
	large.Stdin = strings.NewReader(`{"api_key":"` + strings.Repeat("x", 3<<20) + `"}`)
	out, err = large.CombinedOutput()
	check(string(out), `{"status":"error","error_id":"REQUEST_TOO_LARGE","error_msg":"Your request is too large."} 413`)
	if err != nil {
		t.Error(err)
	}
}

// TestCurlCalls runs the manual's cURL samples of what stands around the balance,
// but for the comma too many that some of them have.
func TestCurlCalls(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("this test needs curl: install it")
	}
	s := newShop(t, dialecttest.Open(t), quiet, "EUR", "350.12")
	url := s.Serve(s.h)
	bodies := maps.Clone(manualBodies)
	for call, body := range bodies { // they are about the sub-account that is made here
		bodies[call] = strings.Replace(body, `"subaccount_user_name"`, `"new_subaccount_user_name"`, 1)
	}
	curl := func(call string, more ...string) string {
		t.Helper()
		args := append([]string{"-sS", "-w", " %{http_code}", "-X", "POST", "-H", "Content-Type: application/json", "-H", "Accept: application/json",
			"-d", "{\n\t\"api_key\":\"" + s.key + "\"" + bodies[call] + "\n}"}, more...)
		out, err := exec.CommandContext(t.Context(), "curl", append(args, url+callPaths[call])...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	check := func(got, pattern string) {
		t.Helper()
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("curl got %s, want %s", got, pattern)
		}
	}
	check(curl("create"), `{"status":"ok","result":{"user_name":"new_subaccount_user_name","password":"new_subaccount_password","api_key":"[0-9a-f]{32}"}} 200`)
	check(curl("add-balance"), `{"status":"ok","result":{"balance":"150.0000","currency":"EUR"}} 200`)
	check(curl("get-info"), `{"status":"ok","result":{"user_name":"new_subaccount_user_name","email":"me@email.com","balance":"150.0000","currency":"EUR"}} 200`)
	check(curl("deduct-balance"), `{"status":"ok","result":{"balance":"0.0000","currency":"EUR"}} 200`)
	check(curl("deduct-balance"), `{"status":"error","error_id":"NOT_ENOUGH_BALANCE","error_msg":"Your account has no funds."} 402`)
	check(curl("delete"), `{"status":"ok","result":{}} 200`)
	check(curl("country-pricing"), `{"status":"ok","result":\[{"country_code":"ES","prefix":"34","price":"0.0450","currency":"EUR"},.*\]} 200`)
	check(curl("prefix-pricing"), `{"status":"ok","result":\[{"country_code":"ES",.*\]} 200`)
	const two = `{"status":"ok","result":\[{"status":"ok","sms_id":"[0-9a-f]{32}","custom":"MyMsgID1"},{"status":"ok","sms_id":"[0-9a-f]{32}","custom":""}\]} 200`
	check(curl("send"), two)
	s.want(t, "350.020000 0.000000")
	first := curl("send", "-H", "Idempotency-Key: k")
	check(first, two)
	check(curl("send", "-H", "Idempotency-Key: k"), regexp.QuoteMeta(first))
	s.want(t, "349.920000 0.000000")
}

// TestPython runs the manual's Python sample, which has http.client of the
// standard library, and the package requests.
func TestPython(t *testing.T) {
	w := dialecttest.Open(t)
	url := w.Serve(New(w.Ledger, w.Auth, Options{Prices: prices(t), Sink: quiet}))
	p := dialecttest.Python(t, "samples.py", "URL="+url)
	account := w.Account("EUR", "350.12")
	child := w.Open(native.AccountRequest{Parent: account.String(), Unit: "CREDITS"}, "1225")
	name(w, "subaccount_user_name", child)
	key := w.Issue(auth.Gateway360, account, auth.Read).Secret

	type result struct{ Balance, Currency string }
	check := func(want result, call string, args ...any) {
		t.Helper()
		var got result
		if p.Returns(&got, call, args...); got != want {
			t.Errorf("%s returned %+v, want %+v", call, got, want)
		}
	}
	raw := func(path, payload, body string, status int) {
		t.Helper()
		var got struct {
			Status     int
			Type, Body string
		}
		p.Returns(&got, "manual", path, payload)
		if got.Status != status || got.Type != "application/json" || got.Body != body {
			t.Errorf("the manual's sample got %+v, want %d %s", got, status, body)
		}
	}
	own := map[string]any{"api_key": key}
	sub := map[string]any{"api_key": key, "user_name": "subaccount_user_name"}
	raw(pathBalance, "{\n    \"api_key\":\""+key+"\"\n}", `{"status":"ok","result":{"balance":"350.1200","currency":"EUR"}}`, 200)
	check(result{"350.1200", "EUR"}, "by_requests", pathBalance, own)
	check(result{"1225.0000", "CREDITS"}, "by_requests", pathSubaccountBalance, sub)
	check(result{"1225.0000", "CREDITS"}, "by_requests", pathBalance, sub)
	w.Charge(account, "50.12")
	w.Charge(child, "25")
	raw(pathBalance, "{\n    \"api_key\":\""+key+"\"\n}", `{"status":"ok","result":{"balance":"300.0000","currency":"EUR"}}`, 200)
	check(result{"300.0000", "EUR"}, "by_requests", pathBalance, own)
	check(result{"1200.0000", "CREDITS"}, "by_requests", pathSubaccountBalance, sub)
	var got struct {
		Status string
		Result result
	}
	if p.Returns(&got, "get_with_body", pathSubaccountBalance, sub); got.Status != "ok" || got.Result.Balance != "1200.0000" {
		t.Errorf("GET with a body returned %+v", got)
	}

	// What is sent is seen in the balance.
	sending := w.Issue(auth.Gateway360, account, auth.Read|auth.Charge).Secret
	var results []sendResult
	p.Returns(&results, "by_requests", pathSend, map[string]any{"api_key": sending, "messages": []any{
		map[string]any{"from": "ACME", "to": "34612345678", "text": "h\u00e9llo", "custom": "1"}, map[string]any{"from": "ACME", "to": 1, "text": "x"}}})
	if len(results) != 2 || results[0].Status != "ok" || len(results[0].SMSID) != 32 || results[1].Status != "error" || results[1].ErrorID != idDestination {
		t.Errorf("sending returned %+v", results)
	}
	check(result{"299.9500", "EUR"}, "by_requests", pathBalance, own)
	raw(pathSend, `{"api_key":"`+sending+`","messages":[{"from":"ACME","to":"x","text":"x"}]}`,
		`{"status":"ok","result":[{"status":"error","error_id":"INVALID_DESTINATION","error_msg":"The destination must be an international number: 7 to 15 digits, without a plus.","custom":""}]}`, 200)

	p.Raises(map[string]any{"type": "HTTPError", "message": "401 Client Error: Unauthorized for url: " + url + pathBalance}, "by_requests", pathBalance, map[string]any{"api_key": "wrong"})
	p.Raises(map[string]any{"type": "HTTPError"}, "by_requests", pathSubaccountBalance, own)
	refused := func(path, body, contentType string, status int, id string) {
		t.Helper()
		var got struct {
			Status int
			Body   struct {
				Status string
				ID     string `json:"error_id"`
			}
		}
		p.Returns(&got, "refused", path, body, map[string]string{"Content-Type": contentType})
		if got.Status != status || got.Body.Status != "error" || got.Body.ID != id {
			t.Errorf("%s with %s got %+v, want %d %s", path, body, got, status, id)
		}
	}
	const json = "application/json"
	refused(pathBalance, "{\"api_key\":\""+key+"\",}", json, 400, idJSON)
	refused(pathBalance, "{\"api_key\":\""+key+"\"}", "text/plain", 400, idContentType)
	refused(pathBalance, "{}", json, 400, idMissing)
	refused(pathBalance, "{\"api_key\":7}", json+"; charset=UTF-8", 400, idBad)
	refused(pathBalance, "{\"api_key\":\"wrong\"}", json, 401, idKey)
	refused(pathSubaccountBalance, "{\"api_key\":\""+key+"\",\"user_name\":\"nobody\"}", json, 400, idBad)
	refused("/api/3.0/account/nothing", "{}", json, 404, idPath)

	if err := w.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	c := &Client{URL: url, APIKey: key}
	var e *dialect.Error
	if _, err := c.Read(t.Context()); err != nil && (!errors.As(err, &e) || e.Reason != dialect.Unavailable) {
		t.Errorf("a server that stops says %v", err)
	}
}
