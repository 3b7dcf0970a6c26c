package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"saldo/dialect/native"
)

// call runs the program in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	home := t.TempDir()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, func(name string) string { return map[string]string{"HOME": home}[name] }, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestRun(t *testing.T) {
	code, out, errs := call(t, "version", "-o", "json")
	var v struct{ Version string }
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || v.Version != version || errs != "" {
		t.Errorf("version: %d %q %q %v", code, out, errs, err)
	}
	if code, out, errs := call(t, "topup"); code != exitUsage || out != "" || !strings.Contains(errs, "Try 'saldo topup --help'") {
		t.Errorf("topup: %d %q %q", code, out, errs)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if code := run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, func(string) string { return "" }, strings.NewReader(""), io.Discard, io.Discard); code != exitRetry {
		t.Errorf("a demo that is told to stop before it began ends with %d", code)
	}
}

// Every command that does something says in a line what, and no flag takes a
// secret.
func TestCommands(t *testing.T) {
	a := &app{getenv: func(string) string { return "" }}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s does not say what it does", c.CommandPath())
		}
		for _, name := range []string{"token", "secret", "password", "master-key"} {
			if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
				t.Errorf("%s takes a secret in --%s", c.CommandPath(), name)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.command())
}

// TestNameOfMany asks for accounts by a name that is a part of many others.
func TestNameOfMany(t *testing.T) {
	r := startNode(t, testConfig(t))
	client := &native.Client{URL: r.url(), Token: r.token}
	open := func(name string) string {
		a, err := client.Open(t.Context(), native.AccountRequest{Unit: "USD", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	for i := range 120 {
		open(fmt.Sprint("Ann ", i))
	}
	ann := open("Ann")
	ask := func() (int, string, string) {
		return call(t, "balance", "ann", "--jq", ".id", "--address", r.url(), "--token-file", filepath.Join(r.config.Data, tokenFile))
	}
	if code, out, errs := ask(); code != exitOK || strings.TrimSpace(out) != ann {
		t.Errorf("behind a hundred others: %d %q %q", code, out, errs)
	}
	for i := range 1000 {
		open(fmt.Sprint("Ann's phone ", i))
	}
	open("ann")
	if code, out, errs := ask(); code != exitUsage || !strings.Contains(errs, "several accounts have the name") {
		t.Errorf("two of one name, a thousand others between them: %d %q %q", code, out, errs)
	}
}

// TestNumbersOfMetadata holds the command line to numbers as they are written.
func TestNumbersOfMetadata(t *testing.T) {
	r := startNode(t, testConfig(t))
	client := &native.Client{URL: r.url(), Token: r.token}
	a, err := client.Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	saldo := func(args ...string) string {
		code, out, errs := call(t, append(args, "--address", r.url(), "--token-file", filepath.Join(r.config.Data, tokenFile))...)
		if code != exitOK {
			t.Fatalf("%v: %d %s", args, code, errs)
		}
		return out
	}
	saldo("topup", a.ID, "5", "--id", "in", "--metadata", `{"order": 12345678901234567890, "rate": 1.10, "far": 1e400}`)
	for _, form := range []string{"table", "json", "yaml"} {
		out := saldo("transfer", "get", "in", "-o", form)
		for _, number := range []string{"12345678901234567890", "1.10", "1e400"} {
			if !strings.Contains(out, number) || strings.Contains(out, `"`+number) {
				t.Errorf("-o %s has no number %s: %s", form, number, out)
			}
		}
	}
	if out := saldo("transfer", "get", "in", "--jq", ".metadata.order"); out != "12345678901234567890\n" {
		t.Errorf("--jq: %q", out)
	}
	if code, _, errs := call(t, "topup", a.ID, "5", "--metadata", `{"a":1} {}`, "--address", r.url(), "--token-file", filepath.Join(r.config.Data, tokenFile)); code != exitUsage {
		t.Errorf("metadata of two objects: %d %s", code, errs)
	}
}

func TestNearest(t *testing.T) {
	for typed, want := range map[string]string{"trusted_proxy": "trusted-proxies", "tlsCert": "tls-cert", "TLS_KEY": "tls-key", "lisen": "listen", "listen_addr": "", "x": ""} {
		if got := nearest(typed); got != want {
			t.Errorf("%s: %q, not %q", typed, got, want)
		}
	}
}

// TestLegible has a server, and a customer's name, say what a terminal obeys.
func TestLegible(t *testing.T) {
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "bbbb") {
			fmt.Fprint(w, `{"account_sid": "\u001b[2Jå", "balance": "1.00", "currency": "USD"}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"code": 20006, "message": "\u001b]0;x\u0007\u009b2Jno, å"}`)
	}))
	defer odd.Close()
	for sid, want := range map[string]string{"a": "no, å", "b": "å"} {
		var out bytes.Buffer
		run(t.Context(), []string{"balance", "twilio", "--address", odd.URL, "--account-sid", "AC" + strings.Repeat(sid, 32)}, func(name string) string {
			return map[string]string{"TWILIO_AUTH_TOKEN": "x"}[name]
		}, strings.NewReader(""), &out, &out)
		if text := out.String(); !strings.Contains(text, want) || strings.ContainsAny(text, "\x1b\a\u009b") {
			t.Errorf("%q", text)
		}
	}
}
