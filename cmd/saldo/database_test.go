package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"saldo/dialect/native"
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
	if status, body := nodes[1].get(t, nodes[1].url()+"/readyz"); status != 503 || strings.Contains(body, "user=") {
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

// TestKeysOfDatabase makes an operator's token and a new master key beside a server
// that goes on, and takes the old key away.
func TestKeysOfDatabase(t *testing.T) {
	url, keys := pgtest.Need(t, pgtest.Options{}).URL("postgres"), filepath.Join(t.TempDir(), "keys")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(keys, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, young := "1 "+strings.Repeat("A", 42)+"E=", "2 "+strings.Repeat("B", 42)+"E="
	write(old)
	first := startNode(t, testConfig(t, "--store", url, "--master-key-file", keys))
	a, err := first.client().Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	var sealed struct{ Secret string }
	if err := first.client().Do(t.Context(), http.MethodPost, "/v1/credentials", object{"account": a.ID, "dialect": "twilio", "scopes": []string{"read"}}, &sealed); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		t.Helper()
		code, stdout, stderr := call(t, append(args, "--store", url, "--master-key-file", keys, "-o", "json")...)
		return code, stdout + stderr
	}
	recovered := func() string {
		t.Helper()
		code, stdout, stderr := call(t, "key", "recover", "--store", url, "--master-key-file", keys, "-o", "json")
		var made struct{ Secret string }
		if err := json.Unmarshal([]byte(stdout), &made); err != nil || code != 0 || made.Secret == "" {
			t.Fatalf("%d %s%s", code, stdout, stderr)
		}
		return made.Secret
	}
	opens := func(n *running, token string) {
		t.Helper()
		if status, body := n.get(t, n.url()+"/v1/heads", "Authorization", "Bearer "+token); status != 200 {
			t.Errorf("the token is answered %d %s", status, body)
		}
		q, err := http.NewRequest(http.MethodGet, n.url()+"/2010-04-01/Accounts/AC"+strings.ReplaceAll(a.ID, "-", "")+"/Balance.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth("AC"+strings.ReplaceAll(a.ID, "-", ""), sealed.Secret)
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("the sealed secret is answered %s", resp.Status)
		}
	}
	token := recovered()
	opens(first, token)
	if code, said := run("key", "rekey"); code != exitUsage || !strings.Contains(said, "old master key and the new one") {
		t.Errorf("without a new key: %d %s", code, said)
	}
	write(old, young)
	second := startNode(t, testConfig(t, "--store", url, "--master-key-file", keys))
	if code, said := run("key", "rekey"); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	opens(second, token)
	write(young)
	third := startNode(t, testConfig(t, "--store", url, "--master-key-file", keys))
	opens(third, token)
	opens(third, recovered())
	write(old)
	if _, err := openNode(t.Context(), testConfig(t, "--store", url, "--master-key-file", keys), third.log); err == nil {
		t.Error("a server starts with the old key alone")
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
		"postgres://h/d?sslpassword=geheim":    "postgres://h/d?sslpassword=xxxxx",
		"":                                     "",
	} {
		if got := withoutSecret(place); got != want {
			t.Errorf("%s is shown as %s", place, got)
		}
	}
}

// TestRevokedElsewhere revokes a key through one node: another, which has used it
// a moment ago, takes nothing more for it.
func TestRevokedElsewhere(t *testing.T) {
	url, keys := pgtest.Need(t, pgtest.Options{}).URL("postgres"), filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("1 "+strings.Repeat("A", 42)+"E="), 0o600); err != nil {
		t.Fatal(err)
	}
	first := startNode(t, testConfig(t, "--store", url, "--master-key-file", keys))
	second := startNode(t, testConfig(t, "--store", url, "--master-key-file", keys))
	operator := first.client()
	a, err := operator.Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.Do(t.Context(), http.MethodPost, "/v1/accounts/"+a.ID+"/topups", object{"id": "in", "amount": "10"}, nil); err != nil {
		t.Fatal(err)
	}
	charges := "/v1/accounts/" + a.ID + "/charges"
	post := func(c *native.Client, path, body string) error {
		return c.Do(t.Context(), http.MethodPost, path, json.RawMessage(body), nil)
	}
	// known returns a key that the second node has just seen, and a client with it.
	known := func() (id string, robot *native.Client) {
		t.Helper()
		var key struct{ ID, Secret string }
		if err := operator.Do(t.Context(), http.MethodPost, "/v1/credentials", object{"dialect": "native", "scopes": []string{"read", "charge", "topup"}}, &key); err != nil {
			t.Fatal(err)
		}
		robot = &native.Client{URL: second.url(), Token: key.Secret}
		if err := robot.Do(t.Context(), http.MethodGet, "/v1/accounts/"+a.ID+"/balance", nil, nil); err != nil {
			t.Fatal(err)
		}
		// A node that was wrong to lean looks first for a tenth of a second, which
		// is not what is tested here.
		time.Sleep(150 * time.Millisecond)
		return key.ID, robot
	}
	_, robot := known()
	for _, id := range []string{"c1", "c2"} {
		if err := post(robot, charges, `{"id": "`+id+`", "amount": "1"}`); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, body string }{
		{charges, `{"id": "c3", "amount": "1"}`},
		{charges, `{"id": "c1", "amount": "1"}`}, // a repeat
		{charges, `{"id": "c4", "amount": "100"}`},
		{charges, `{"id": "c5"}`},
		{"/v1/accounts/0190b6a2-0000-7000-8000-000000000000/charges", `{"id": "c6", "amount": "1"}`},
		{"/v1/accounts/" + a.ID + "/holds", `{"id": "h1", "amount": "1"}`},
		{"/v1/holds/h1/captures", `{"id": "h2"}`},
		{"/v1/transfers/c1/refunds", `{"id": "r1"}`},
		{"/v1/transfers", `{"id": "t1", "from": "@cash:USD", "to": "` + a.ID + `", "amount": "1"}`},
		{"/v1/transfers", `{"id": "t2", "transfers": [{"from": "` + a.ID + `", "to": "@revenue", "amount": "1"}]}`},
	} {
		id, robot := known()
		if err := operator.Do(t.Context(), http.MethodDelete, "/v1/credentials/"+id, nil, nil); err != nil {
			t.Fatal(err)
		}
		var fault *native.Error
		if err := post(robot, c.path, c.body); !errors.As(err, &fault) || fault.Status != http.StatusUnauthorized {
			t.Errorf("%s %s by a key that is revoked: %v", c.path, c.body, err)
		}
	}

	// A secret that goes on for a while after it was replaced does.
	id, robot := known()
	if err := operator.Do(t.Context(), http.MethodPost, "/v1/credentials/"+id+"/rotate", object{"overlap_seconds": 600}, nil); err != nil {
		t.Fatal(err)
	}
	if err := post(robot, charges, `{"id": "c7", "amount": "1"}`); err != nil {
		t.Errorf("the secret before, which is still good: %v", err)
	}
	if status, body := second.get(t, second.url()+"/v1/accounts/"+a.ID+"/balance", "Authorization", "Bearer "+operator.Token); status != 200 || !strings.Contains(body, `"spendable":"7.000000"`) {
		t.Errorf("%d %s, want what three charges have left", status, body)
	}
}
