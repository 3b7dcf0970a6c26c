package mturklegacy

import (
	"encoding/json"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect/dialecttest"
)

// TestBoto reads a balance with boto 2 itself.
func TestBoto(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("USD", "1234567.899")
	issued := w.Issue(auth.MTurkLegacy, account, auth.Read)
	url := w.Serve(New(w.Ledger, w.Auth, Options{}))
	python := dialecttest.PythonWith(t, "boto", "python3-boto", "boto2.py", "URL="+url, "KEY="+issued.Credential.ID, "SECRET="+issued.Secret)
	balance := func(how map[string]string, want string) {
		t.Helper()
		var got struct {
			Status    bool
			RequestID string `json:"request_id"`
			Prices    json.RawMessage
		}
		if python.Returns(&got, "balance", how); !got.Status || len(got.RequestID) != 36 || string(got.Prices) != want {
			t.Errorf("%v: %t %q %s, want %s", how, got.Status, got.RequestID, got.Prices, want)
		}
	}
	balance(nil, `[[1234567.89, "USD", "$1,234,567.89"]]`)
	balance(map[string]string{"version": "2006-08-23"}, `[[1234567.89, "USD", "$1,234,567.89"], [0.0, "USD", "$0.00"]]`)
	w.Charge(account, "0.01")
	balance(nil, `[[1234567.88, "USD", "$1,234,567.88"]]`)

	raises := func(call string, how map[string]string, status int, code string) {
		t.Helper()
		python.Raises(map[string]any{"type": "MTurkRequestError", "status": status, "error_code": code}, call, how)
	}
	raises("balance", map[string]string{"key": "AKIDNOBODY"}, 200, "AWS.NotAuthorized")
	raises("balance", map[string]string{"secret": "wrong"}, 200, "AWS.BadClaimsSupplied")
	raises("balance", map[string]string{"version": "2017-01-17"}, 400, "NoSuchVersion")
	raises("help", nil, 400, "InvalidAction")
	gone := w.Serve(New(w.Ledger, w.Auth, Options{Retired: retired(t, "all")}))
	raises("balance", map[string]string{"url": gone}, 403, "Forbidden")
	denied := w.Issue(auth.MTurkLegacy, account, auth.Charge)
	raises("balance", map[string]string{"key": denied.Credential.ID, "secret": denied.Secret}, 200, "AWS.MechanicalTurk.PermissionDenied")
	var throttled *dialecttest.Answer
	for range 30 {
		throttled = python.Call("balance", map[string]string{"secret": "wrong"})
		if throttled.Error == nil || throttled.Error["status"] != 200.0 {
			break
		}
	}
	if e := throttled.Error; e == nil || e["type"] != "BotoServerError" || e["status"] != 503.0 || e["error_code"] != "ServiceUnavailable" {
		t.Errorf("who is throttled is told %v", e) // boto 2 raises 5xx as its own
	}
	balance(nil, `[[1234567.88, "USD", "$1,234,567.88"]]`)
}

// TestClients reads a balance as the clients of the time did.
func TestClients(t *testing.T) {
	w := dialecttest.Open(t)
	account := w.Account("USD", "1234567.899")
	issued := w.Issue(auth.MTurkLegacy, account, auth.Read)
	url := w.Serve(New(w.Ledger, w.Auth, Options{}))
	python := dialecttest.Python(t, "clients.py", "URL="+url, "KEY="+issued.Credential.ID, "SECRET="+issued.Secret)

	type botoPrice struct {
		Amount    float64 `json:"amount"` // as boto reads it
		Currency  string  `json:"currency_code"`
		Formatted string  `json:"formatted_price"`
	}
	type botoResult struct {
		Valid     bool   `json:"is_valid"`
		RequestID string `json:"request_id"`
		Available botoPrice
		OnHold    *botoPrice
	}
	boto := func(args ...any) botoResult {
		t.Helper()
		var raw struct {
			botoResult
			Available botoPrice  `json:"AvailableBalance"`
			OnHold    *botoPrice `json:"OnHoldBalance"`
		}
		python.Returns(&raw, "boto", args...)
		raw.botoResult.Available, raw.botoResult.OnHold = raw.Available, raw.OnHold
		return raw.botoResult
	}

	t.Run("boto 2", func(t *testing.T) {
		got := boto()
		if want := (botoPrice{1234567.89, "USD", "$1,234,567.89"}); !got.Valid || len(got.RequestID) != 36 || got.Available != want || got.OnHold != nil {
			t.Errorf("%+v", got)
		}
		if got := boto("2006-08-23"); got.OnHold == nil || *got.OnHold != (botoPrice{0, "USD", "$0.00"}) {
			t.Errorf("in 2006: %+v", got)
		}
		// Values that have to be escaped are signed as they were before.
		boto("2014-08-15", issued.Secret, issued.Credential.ID, "GetAccountBalance", 0,
			map[string]string{"RequesterAnnotation": "a/b+c d=é&~*'(;)", "aa": "", "Zz.1.B": "1", "zz.1.a": "2"})
		const who = "The identity contained in the request is not authorized to use this AWSAccessKeyId"
		if a := python.Call("boto", "2014-08-15", "secret", "AKIDNOBODY"); a.Error == nil || a.Error["error_code"] != "AWS.NotAuthorized" ||
			a.Error["status"] != 200.0 || !strings.HasPrefix(a.Error["error_message"].(string), who+" (") {
			t.Errorf("an unknown key: %+v", a.Error)
		}
		python.Raises(map[string]any{"type": "MTurkRequestError", "status": 200, "error_code": "AWS.BadClaimsSupplied"}, "boto", "2014-08-15", "wrong")
		python.Raises(map[string]any{"status": 200, "error_code": "AWS.BadClaimsSupplied"}, "boto", "2014-08-15", issued.Secret, issued.Credential.ID, "GetAccountBalance", -1000)
		python.Raises(map[string]any{"status": 400, "error_code": "InvalidAction"}, "boto", "2014-08-15", issued.Secret, issued.Credential.ID, "Help")
		python.Raises(map[string]any{"status": 400, "error_code": "NoSuchVersion"}, "boto", "2017-01-17")
	})
	t.Run("GET", func(t *testing.T) {
		for _, path := range []string{"/", "/onca/xml"} {
			var got struct{ IsValid, Amount, CurrencyCode, FormattedPrice string }
			python.Returns(&got, "get", path)
			if got != (struct{ IsValid, Amount, CurrencyCode, FormattedPrice string }{"True", "1234567.89", "USD", "$1,234,567.89"}) {
				t.Errorf("%s: %+v", path, got)
			}
		}
		python.Raises(map[string]any{"status": 200, "error_code": "AWS.BadClaimsSupplied"}, "get", "/", "2014-08-15", "wrong")
	})
	t.Run("rturk", func(t *testing.T) {
		for _, offset := range []string{"+02:00", "-07:00", "+00:00"} {
			var got float64
			if python.Returns(&got, "rturk", offset); got != 1234567.89 {
				t.Errorf("%s: %v", offset, got)
			}
		}
	})
	t.Run("SOAP", func(t *testing.T) {
		var got struct {
			Results                int
			Valid, Amounts, Prices []string
		}
		python.Returns(&got, "soap", 3)
		if got.Results != 3 || strings.Join(got.Valid, " ") != "True True True" || strings.Join(got.Amounts, " ") != "1234567.89 1234567.89 1234567.89" || got.Prices[2] != "$1,234,567.89" {
			t.Errorf("%+v", got)
		}
		python.Returns(&got, "soap", 1, "2014-08-15", issued.Secret, "GetAccountBalance", "/onca/soap")
		python.Raises(map[string]any{"type": "MTurkRequestError", "status": 200, "error_code": "AWS.BadClaimsSupplied"}, "soap", 1, "2012-03-25", "wrong")
		python.Raises(map[string]any{"type": "RuntimeError", "message": "400 aws:Client.InvalidAction: The action Help is not valid for this web service, which serves " + served()},
			"soap", 1, "2012-03-25", issued.Secret, "Help")
	})
	w.Charge(account, "0.01")
	if got := boto(); got.Available.Formatted != "$1,234,567.88" {
		t.Errorf("after a charge of a cent: %+v", got)
	}
	retiredURL := w.Serve(New(w.Ledger, w.Auth, Options{Retired: retired(t, "all")}))
	gone := dialecttest.Python(t, "clients.py", "URL="+retiredURL, "KEY="+issued.Credential.ID, "SECRET="+issued.Secret)
	for _, call := range []string{"boto", "get"} {
		gone.Raises(map[string]any{"type": "MTurkRequestError", "status": 403, "error_code": "Forbidden", "error_message": "This Requester API is no longer supported. " +
			"Please use the latest API using the official AWS SDK. https://aws.amazon.com/getting-started/tools-sdks"}, call)
	}
	_, err := reader(retiredURL, issued).Read(t.Context())
	if err == nil || err.Error() != "mturk-legacy: refused (Forbidden): This Requester API is no longer supported. "+
		"Please use the latest API using the official AWS SDK. https://aws.amazon.com/getting-started/tools-sdks" {
		t.Errorf("the client half says %v", err)
	}
}
