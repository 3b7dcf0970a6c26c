package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"saldo/dialect/native"
)

// TestAccountRulesKilled moves an account's balance over the thresholds of a rule
// and kills the server at once, again and again: what nobody saw is in the
// journal, so each crossing is told once, and none is missing.
func TestAccountRulesKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server many times")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "saldo")
	buildSaldo(t, binary)
	hook := newHook(t)
	p := &program{t: t, binary: binary, env: []string{"HOME=" + dir}, url: "http://" + freePort(t)}
	path := filepath.Join(dir, "saldo.toml")
	writeFile(t, path, fmt.Sprintf("[watch]\nallow = [\"127.0.0.1\"]\n\n[[watch.endpoints]]\nname = \"ops\"\nurl = %q\nsecret = %q\n", hook.URL, hook.secret))
	p.args = []string{"serve", "--config", path, "--data", filepath.Join(dir, "data"), "--listen", strings.TrimPrefix(p.url, "http://"), "--write-context=false"}
	defer func() { p.kill() }()
	p.start()
	token, err := readSecret(filepath.Join(dir, "data", tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	api := &native.Client{URL: p.url, Token: token, Tenant: "main", Tries: 5}
	a, err := api.Open(ctx, native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	fill := func() {
		t.Helper()
		if _, err := api.TopUp(ctx, a.ID, native.TransferRequest{ID: newID(), Amount: "95"}); err != nil {
			t.Fatal(err)
		}
	}
	spend := func() {
		t.Helper()
		if _, err := api.Charge(ctx, a.ID, native.TransferRequest{ID: newID(), Amount: "95"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.TopUp(ctx, a.ID, native.TransferRequest{ID: newID(), Amount: "5"}); err != nil {
		t.Fatal(err)
	}
	fill()
	rule := object{"name": "low", "account": a.ID, "when": "balance",
		"levels": []object{{"level": "warning", "at": "50"}, {"level": "critical", "at": "10"}}}
	if err := api.Do(ctx, "POST", "/v1/rules", rule, &object{}); err != nil {
		t.Fatal(err)
	}
	const rounds = 5
	for round := range rounds {
		hook.set(round == 2) // nothing can be delivered for a while
		spend()
		p.restart()
		fill()
		if round%2 == 1 { // and both at once
			p.restart()
		}
	}
	hook.set(false)
	p.restart()
	const want = rounds * 4
	waitUntil(t, fmt.Sprintf("%d alerts", want), func() bool { return len(hook.seen()) >= want })
	var page struct{ Items []object }
	if err := api.Do(ctx, "GET", "/v1/alerts", nil, &page); err != nil || len(page.Items) != want {
		t.Errorf("%d alerts are written down, not %d: %v", len(page.Items), want, err)
	}
	hook.mu.Lock()
	defer hook.mu.Unlock()
	if len(hook.wrong) > 0 {
		t.Fatal(hook.wrong)
	}
	count := map[string]int{}
	for _, a := range hook.alerts {
		count[fmt.Sprintf("%s %s %d", a.Level, a.State, a.Crossing)]++
	}
	for n := 1; n <= rounds; n++ {
		for _, what := range []string{"warning firing", "critical firing", "warning resolved", "critical resolved"} {
			if key := fmt.Sprintf("%s %d", what, n); count[key] != 1 {
				t.Errorf("%s came %d times", key, count[key])
			}
		}
	}
	if len(hook.ids) != want {
		t.Errorf("%d ids, not %d", len(hook.ids), want)
	}
}
