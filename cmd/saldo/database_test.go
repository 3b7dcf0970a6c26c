package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"saldo/store/postgres/pgtest"
)

// TestNodes starts three nodes at once on an empty database, and uses each. Then
// the database goes, and comes back.
func TestNodes(t *testing.T) {
	server := pgtest.Need(t, pgtest.Options{})
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("1 "+strings.Repeat("A", 42)+"E=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := server.URL("postgres")
	nodes := make([]*running, 3)
	var wait sync.WaitGroup
	for i := range nodes {
		wait.Go(func() { nodes[i] = startNode(t, testConfig(t, "--store", url, "--master-key-file", keys)) })
	}
	wait.Wait()
	var tokens []string
	for _, n := range nodes {
		if n == nil {
			t.Fatal("not every node has started")
		}
		if n.token != "" {
			tokens = append(tokens, n.token)
		}
		if isThere(n.config.Data) {
			t.Errorf("a node with a database made the directory %s", n.config.Data)
		}
	}
	if len(tokens) != 1 {
		t.Fatalf("the first operator was made %d times", len(tokens))
	}
	post := func(n *running, path, body string) (int, string, http.Header) {
		t.Helper()
		q, err := http.NewRequest(http.MethodPost, n.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+tokens[0])
		q.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b), resp.Header
	}
	var made struct{ Data struct{ ID string } }
	status, body, _ := post(nodes[0], "/v1/accounts", `{"unit": "USD", "name": "Ann"}`)
	if err := json.Unmarshal([]byte(body), &made); err != nil || status/100 != 2 {
		t.Fatal(status, body, err)
	}
	account := "/v1/accounts/" + made.Data.ID
	if status, body, _ := post(nodes[1], account+"/topups", `{"id": "in", "amount": "20.00"}`); status/100 != 2 {
		t.Fatal(status, body)
	}
	for _, n := range nodes {
		status, body, h := post(n, account+"/charges", `{"id": "out", "amount": "0.35"}`)
		if replayed := h.Get("Idempotent-Replayed") == "true"; status/100 != 2 || replayed != (n != nodes[0]) {
			t.Errorf("%d, replayed %v: %s", status, replayed, body)
		}
	}
	has := func(want string) {
		t.Helper()
		for _, n := range nodes {
			if status, body := n.get(t, n.url()+account+"/balance", "Authorization", "Bearer "+tokens[0]); status != 200 || !strings.Contains(body, `"spendable":"`+want+`"`) {
				t.Errorf("%d %s, want %s", status, body, want)
			}
		}
	}
	has("19.650000")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if status, body := nodes[1].get(t, nodes[1].url()+"/readyz"); status != 503 {
		t.Errorf("without a database: %d %s", status, body)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if status, body := nodes[1].get(t, nodes[1].url()+"/readyz"); status != 200 {
		t.Errorf("with it again: %d %s", status, body)
	}
	has("19.650000")
	for _, args := range [][]string{{"verify", "--store", url}, {"copy", "--from", url, "--to", filepath.Join(t.TempDir(), "copy")}, {"migrate", "--store", url}} {
		if code, stdout, stderr := call(t, args...); code != 0 {
			t.Errorf("%v: %d %s%s", args, code, stdout, stderr)
		}
	}
}

// TestStoreSetting wants what cannot be to be said, and no secret.
func TestStoreSetting(t *testing.T) {
	for _, flags := range [][]string{{"--store", "/var/lib/saldo"}, {"--store", "postgres://h/d"}} {
		if _, err := readConfig(func(string) string { return "" }, newFlags(t, flags...)); err == nil {
			t.Errorf("%v is taken", flags)
		}
	}
	for place, want := range map[string]string{
		"postgres://saldo:geheim@h/d":          "postgres://saldo:xxxxx@h/d",
		"postgres://saldo@h/d?password=geheim": "postgres://saldo@h/d?password=xxxxx",
		"":                                     "",
	} {
		if got := withoutSecret(place); got != want {
			t.Errorf("%s is shown as %s", place, got)
		}
	}
}
