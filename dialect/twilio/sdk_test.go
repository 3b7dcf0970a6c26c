package twilio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	sdk "github.com/twilio/twilio-go"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
)

// A fetch asks for a balance by a vendor's own client, and returns what that
// returned, or the error that its users see.
type fetch func(account, user, secret string) (balance, currency string, err *raised)

// A raised error is what users of a client catch.
type raised struct {
	class   string
	status  int
	code    int
	message string
}

// redirected sends what is meant for any host to one.
type redirected struct{ scheme, host string }

func (d redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = d.scheme, d.host, d.host
	return http.DefaultTransport.RoundTrip(r)
}

// goSDK asks by github.com/twilio/twilio-go, whose base URL is fixed.
func goSDK(t *testing.T, base string) fetch {
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return func(account, user, secret string) (string, string, *raised) {
		c := &client.Client{Credentials: client.NewCredentials(user, secret), HTTPClient: &http.Client{Transport: redirected{at.Scheme, at.Host}}}
		c.SetAccountSid(account)
		got, err := sdk.NewRestClientWithParams(sdk.ClientParams{Client: c}).Api.FetchBalance(&openapi.FetchBalanceParams{})
		var e *client.TwilioRestError
		switch {
		case errors.As(err, &e):
			return "", "", &raised{"TwilioRestError", e.Status, e.Code, e.Message}
		case err != nil:
			return "", "", &raised{class: "another", message: err.Error()}
		case got.Balance == nil || got.Currency == nil || got.AccountSid == nil || *got.AccountSid != account:
			t.Errorf("a balance is %+v", got)
			return "", "", nil
		}
		return *got.Balance, *got.Currency, nil
	}
}

// otherSDK asks by a script of testdata.
func otherSDK(t *testing.T, c *dialecttest.Client) fetch {
	return func(account, user, secret string) (string, string, *raised) {
		a := c.Call("balance", account, user, secret)
		if a.Error != nil {
			text := func(name string) string { s, _ := a.Error[name].(string); return s }
			number := func(name string) int { n, _ := a.Error[name].(float64); return int(n) }
			message := text("msg") // Python's; its message is for people
			if message == "" {
				message = text("message")
			}
			return "", "", &raised{text("type"), number("status"), number("code"), message}
		}
		var got [2]string
		if err := json.Unmarshal(a.Value, &got); err != nil {
			t.Errorf("a balance is %s", a.Value)
		}
		return got[0], got[1], nil
	}
}

func TestGo(t *testing.T) {
	sdks(t, "TwilioRestError", "", goSDK)
}

func TestNode(t *testing.T) {
	sdks(t, "RestException", "", func(t *testing.T, url string) fetch {
		return otherSDK(t, dialecttest.Node(t, "sdk.mjs", "SALDO="+url))
	})
}

func TestPython(t *testing.T) {
	sdks(t, "TwilioRestException", "Unable to fetch record: ", func(t *testing.T, url string) fetch {
		return otherSDK(t, dialecttest.Python(t, "sdk.py", "SALDO="+url))
	})
}

// sdks has a vendor's own client read a balance, see it fall, and raise every
// error. Class is that of its errors, and prefix what it writes before messages.
func sdks(t *testing.T, class, prefix string, open func(*testing.T, string) fetch) {
	w := dialecttest.Open(t)
	get := open(t, w.Serve(serve(w, dialect.Options{})))
	main := w.Account("USD", "20")
	child := w.Open(native.AccountRequest{Parent: main.String(), Mode: "drawing"}, "")
	credits := w.Account("CREDITS", "7.5")
	shows := func(account ledger.AccountID, c auth.Issued, want, unit string) {
		t.Helper()
		if balance, currency, err := get(sid(account), c.Credential.ID, c.Secret); err != nil || balance != want || currency != unit {
			t.Errorf("%q %q, %+v; want %s %s", balance, currency, err, want, unit)
		}
	}
	raises := func(account, user, secret string, status, code int, message string) {
		t.Helper()
		want := raised{class, status, code, prefix + message}
		if _, _, err := get(account, user, secret); err == nil || *err != want {
			t.Errorf("raised %+v, want %+v", err, want)
		}
	}
	tok, key, its := token(w, main, false), token(w, main, true), token(w, child, false)
	shows(main, tok, "20.00", "USD")
	w.Charge(main, "12.50001")
	shows(main, tok, "7.49999", "USD")
	shows(main, key, "7.49999", "USD")
	w.Charge(child, "0.49999") // drawn from the main account
	shows(main, key, "7.00", "USD")
	shows(credits, token(w, credits, false), "7.50", "CREDITS")

	const nobody = "AC00112233445566778899aabbccddeeff"
	raises(sid(main), nobody, tok.Secret, 401, 20003, "Authentication Error - invalid username")
	raises(sid(main), sid(main), "0123456789abcdef0123456789abcdef", 401, 20003, "Authenticate")
	raises(sid(main), its.Credential.ID, its.Secret, 401, 20003, "Authenticate")
	raises(sid(child), key.Credential.ID, key.Secret, 401, 20003, "Authenticate")
	raises(sid(child), tok.Credential.ID, tok.Secret, 404, 20404, missing(sid(child)))
	raises(nobody, tok.Credential.ID, tok.Secret, 404, 20404, missing(nobody))
	for range 20 {
		get(sid(main), key.Credential.ID, "wrong")
	}
	raises(sid(main), key.Credential.ID, "wrong", 429, 20429, "Too Many Requests")
	shows(main, key, "7.00", "USD")

	// The whole table, as the server would write it.
	get = open(t, w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		var i int
		fmt.Sscanf(r.URL.Path, "/2010-04-01/Accounts/AC%d/Balance.json", &i)
		status, _, _ := twilio.FaultAt(i, r.URL.Path)
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(status)
		out.Write(twilio.Fault(i, ".json", r.URL.Path))
	})))
	for i := range twilio.Faults {
		account := fmt.Sprintf("AC%032d", i)
		status, code, message := twilio.FaultAt(i, "/2010-04-01/Accounts/"+account+"/Balance.json")
		raises(account, account, "x", status, code, message)
	}
}
