package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"saldo/dialect/native"
	"saldo/store/postgres/pgtest"
)

// A stage is a demo that runs for a test, and the line that it printed.
type stage struct {
	URL    string
	Native struct {
		Token     string
		AccountID string `json:"account_id"`
	}
	Twilio struct {
		AccountSID    string `json:"account_sid"`
		AuthToken     string `json:"auth_token"`
		SubaccountSID string `json:"subaccount_sid"`
	}
	MTurk struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
	}
	Gateway360 struct {
		APIKey           string `json:"api_key"`
		Subaccount       string
		SubaccountAPIKey string `json:"subaccount_api_key"`
	}
	Frontier struct {
		OrgID        string `json:"org_id"`
		BillingID    string `json:"billing_id"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	home string
}

// startDemo runs saldo demo -o json until the test ends.
func startDemo(t *testing.T, args ...string) *stage {
	t.Helper()
	s := &stage{home: t.TempDir()}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		args = append([]string{"demo", "-o", "json", "--listen", "127.0.0.1:0", "--write-context=false"}, args...)
		ended <- run(ctx, args, s.getenv(nil), strings.NewReader(""), in, os.Stderr)
		in.Close()
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the demo ended with %d", code)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	go io.Copy(io.Discard, out)
	return s
}

func (s *stage) getenv(vars map[string]string) func(string) string {
	return func(name string) string {
		if name == "HOME" || name == "XDG_STATE_HOME" || name == "XDG_CONFIG_HOME" {
			return s.home
		}
		return vars[name]
	}
}

// says runs a command of the program with variables, and returns its exit code
// and what it said.
func (s *stage) says(t *testing.T, vars map[string]string, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, s.getenv(vars), strings.NewReader(""), &out, &errs)
	return code, out.String() + errs.String()
}

// TestVendorBalances asks with saldo balance VENDOR what the demo's line is for,
// and sees a native charge in each answer.
func TestVendorBalances(t *testing.T) {
	s := startDemo(t)
	token := filepath.Join(s.home, "token")
	if err := writeSecret(token, s.Twilio.AuthToken); err != nil {
		t.Fatal(err)
	}
	twilio := []string{"balance", "twilio", "--address", s.URL, "--account-sid", s.Twilio.AccountSID, "--secret-file", token}
	gateway := map[string]string{"GATEWAY360_API_KEY": s.Gateway360.APIKey}
	aws := map[string]string{"AWS_ACCESS_KEY_ID": s.MTurk.AccessKeyID, "AWS_SECRET_ACCESS_KEY": s.MTurk.SecretAccessKey, "AWS_ENDPOINT_URL_MTURK": s.URL}
	frontier := map[string]string{"FRONTIER_URL": s.URL, "FRONTIER_ORG_ID": s.Frontier.OrgID, "FRONTIER_BILLING_ID": s.Frontier.BillingID,
		"FRONTIER_CLIENT_ID": s.Frontier.ClientID, "FRONTIER_CLIENT_SECRET": s.Frontier.ClientSecret}
	withToken := maps.Clone(frontier)
	withToken["FRONTIER_TOKEN"] = "x"
	saldo := map[string]string{"SALDO_ADDRESS": s.URL, "SALDO_TOKEN": s.Native.Token}
	api := &native.Client{URL: s.URL, Token: s.Native.Token, Tenant: "main"}
	for _, c := range []struct {
		what          string
		vars          map[string]string
		args          []string
		charge        string // account
		amount        string
		before, after string
	}{
		{"twilio", nil, twilio, s.Twilio.AccountSID, "0.02", "0.05 USD", "0.03 USD"},
		{"a Twilio sub-account spends its owner's", nil, twilio, s.Twilio.SubaccountSID, "0.015", "0.03 USD", "0.015 USD"},
		{"gateway360", gateway, []string{"balance", "gateway360", "--address", s.URL}, "", "", "155.2493 EUR", ""},
		{"its sub-account", gateway, []string{"balance", "gateway360", "--address", s.URL, "--user-name", s.Gateway360.Subaccount}, "", "", "1225.0000 CREDITS", ""},
		{"the sub-account's own key", map[string]string{"GATEWAY360_API_KEY": s.Gateway360.SubaccountAPIKey},
			[]string{"balance", "gateway360", "--address", s.URL}, "", "", "1225.0000 CREDITS", ""},
		{"mturk", aws, []string{"balance", "mturk"}, "", "", "10000.00 USD", ""},
		{"mturk before 2017", aws, []string{"balance", "mturk", "--legacy", "2014-08-15"}, "", "", "10000.00 USD", ""},
		{"frontier", frontier, []string{"balance", "frontier"}, s.Frontier.BillingID, "0.5", "1000 VC", "999 VC"},
		{"frontier, with a token beside", withToken, []string{"balance", "frontier"}, "", "", "999 VC", ""},
		{"twilio, with an API secret beside", map[string]string{"TWILIO_ACCOUNT_SID": s.Twilio.AccountSID, "TWILIO_AUTH_TOKEN": s.Twilio.AuthToken, "TWILIO_API_SECRET": "x"},
			[]string{"balance", "twilio", "--address", s.URL}, "", "", "0.015 USD", ""},
		{"saldo", saldo, []string{"balance", "saldo", "spare"}, s.Native.AccountID, "1.25", "100.000000 USD", "98.750000 USD"},
	} {
		args := append(c.args, "--jq", `.balance + " " + .unit`)
		if code, got := s.says(t, c.vars, args...); code != exitOK || strings.TrimSpace(got) != c.before {
			t.Errorf("%s: %d %s, want %s", c.what, code, got, c.before)
		}
		if c.charge == "" {
			continue
		}
		if _, err := api.Charge(t.Context(), c.charge, native.TransferRequest{ID: c.what, Amount: c.amount}); err != nil {
			t.Fatal(err)
		}
		if code, got := s.says(t, c.vars, args...); code != exitOK || strings.TrimSpace(got) != c.after {
			t.Errorf("%s after a charge of %s: %d %s, want %s", c.what, c.amount, code, got, c.after)
		}
	}

	aws["AWS_SECRET_ACCESS_KEY"] = "wrong"
	for _, c := range []struct {
		code int
		says string
		vars map[string]string
		args []string
	}{
		{exitUsage, "it cannot have dialect-host", nil, []string{"demo", "--check", "--dialect-host", "twilio=t.example"}},
		{exitUsage, "say --account-sid, or set TWILIO_ACCOUNT_SID", nil, []string{"balance", "twilio"}},
		{exitUsage, "no secret: give --secret-file, or set TWILIO_AUTH_TOKEN\n", nil, []string{"balance", "twilio", "--account-sid", s.Twilio.AccountSID}},
		{exitUsage, "or set TWILIO_API_SECRET\n", map[string]string{"TWILIO_AUTH_TOKEN": s.Twilio.AuthToken},
			[]string{"balance", "twilio", "--address", s.URL, "--account-sid", s.Twilio.AccountSID, "--key-sid", "SK00112233445566778899aabbccddeeff"}},
		{exitUsage, "or set FRONTIER_TOKEN\n", map[string]string{"FRONTIER_CLIENT_SECRET": s.Frontier.ClientSecret},
			[]string{"balance", "frontier", "--address", s.URL, "--org-id", s.Frontier.OrgID, "--billing-id", s.Frontier.BillingID}},
		{exitUsage, "say --address, or set FRONTIER_URL", map[string]string{"FRONTIER_ORG_ID": "x", "FRONTIER_BILLING_ID": "x"}, []string{"balance", "frontier"}},
		{exitDenied, "unauthorized", aws, []string{"balance", "mturk"}},
		{exitFailed, "not found", nil, []string{"balance", "twilio", "--address", s.URL, "--account-sid", s.Twilio.SubaccountSID, "--key-sid", s.Twilio.AccountSID, "--secret-file", token}},
		{exitRetry, "unavailable", gateway, []string{"balance", "gateway360", "--address", "http://127.0.0.1:1"}},
	} {
		if code, got := s.says(t, c.vars, c.args...); code != c.code || !strings.Contains(got, c.says) {
			t.Errorf("%v: %d %s, want %d %s", c.args, code, got, c.code, c.says)
		}
	}
}

// TestDemoOnDatabase fills an empty database, and does not guess the token of
// one that has books.
func TestDemoOnDatabase(t *testing.T) {
	url := pgtest.Need(t, pgtest.Options{}).URL("postgres")
	s := &stage{home: t.TempDir()}
	keys := filepath.Join(s.home, "keys")
	if err := os.WriteFile(keys, []byte("1 "+strings.Repeat("A", 42)+"E=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"demo", "--check", "--listen", "127.0.0.1:0", "--write-context=false", "--store", url, "--master-key-file", keys}
	if code, got := s.says(t, nil, args...); code != exitOK || !strings.Contains(got, "as the books have it") {
		t.Errorf("an empty database: %d %s", code, got)
	}
	if code, got := s.says(t, nil, args...); code != exitUsage || !strings.Contains(got, "set SALDO_TOKEN") {
		t.Errorf("the same again: %d %s", code, got)
	}
}

// TestDemoSends has the demo's Gateway360 account pay for messages.
func TestDemoSends(t *testing.T) {
	s := startDemo(t)
	ask := func(call, more string) string {
		t.Helper()
		resp, err := http.Post(s.URL+"/api/3.0/"+call, "application/json", strings.NewReader(`{"api_key":"`+s.Gateway360.APIKey+`"`+more+`}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const messages = `,"messages":[{"from":"ACME","to":"34612345678","text":"hello"},{"from":"ACME","to":"x","text":"hello"}]`
	const left = `{"status":"ok","result":{"balance":"155.%s","currency":"EUR"}}`
	for _, c := range []struct{ call, more, want string }{
		{"sms/send", messages + `,"fake":1`, `{"status":"ok","result":[{"status":"ok","sms_id":"`},
		{"account/get-balance", ``, fmt.Sprintf(left, "2493")},
		{"sms/send", messages, `{"status":"ok","result":[{"status":"ok","sms_id":"`},
		{"account/get-balance", ``, fmt.Sprintf(left, "2043")},
		{"account/pricing/sms/get-prefix-pricing", `,"prefix":"44"`, `{"status":"ok","result":[{"country_code":"GB","prefix":"44","price":"0.0325","currency":"EUR"}]}`},
		{"subaccount/add-balance", `,"user_name":"` + s.Gateway360.Subaccount + `","amount":"1"`, `{"status":"error","error_id":"BAD_PARAMS","error_msg":"The account has its balance in EUR and the subaccount in CREDITS`},
		{"subaccount/create", `,"user_name":"shop1","email":"me@example.com","name":"J","surname":"D","password":"p","language":"es"`, `{"status":"ok","result":{"user_name":"shop1","password":"p","api_key":"`},
		{"subaccount/add-balance", `,"user_name":"shop1","amount":"5.2043"`, `{"status":"ok","result":{"balance":"5.2043","currency":"EUR"}}`},
		{"subaccount/delete", `,"user_name":"shop1"`, `{"status":"ok"`},
		{"account/get-balance", ``, fmt.Sprintf(left, "2043")},
	} {
		if got := ask(c.call, c.more); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s is %s, want %s", c.call, c.more, got, c.want)
		}
	}
}
