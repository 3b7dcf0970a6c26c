package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"saldo/dialect/native"
	"saldo/watch"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

// watchOf reads [watch] of a file of settings.
func watchOf(t *testing.T, path string) *watchConfig {
	t.Helper()
	f := newFlags(t, "--config", path)
	c := &config{}
	if _, err := c.readFile(func(string) string { return "" }, f); err != nil {
		t.Fatal(err)
	}
	return c.Watch
}

func (r *running) client() *native.Client {
	return &native.Client{URL: r.url(), Token: r.token, Tenant: "main"}
}

// opened opens an account with some money.
func opened(t *testing.T, r *running, unit, amount string) string {
	t.Helper()
	a, err := r.client().Open(t.Context(), native.AccountRequest{Unit: unit})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client().TopUp(t.Context(), a.ID, native.TransferRequest{ID: newID(), Amount: amount}); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func TestWatchFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "saldo.toml")
	getenv := func(name string) string { return map[string]string{"TOKEN": "from the environment"}[name] }
	read := func(text string, mode os.FileMode) (*watchConfig, error) {
		writeFile(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		c := &config{}
		_, err := c.readFile(getenv, newFlags(t, "--config", path))
		return c.Watch, err
	}
	writeFile(t, filepath.Join(dir, "secret"), "from a file\n")
	const sms = "[[watch.sources]]\nname = \"sms\"\nkind = \"gateway360\"\n"
	for text, want := range map[string]string{
		sms + "secret = \"x\"":         "x",
		sms + "secret_env = \"TOKEN\"": "from the environment",
		sms + "secret_file = \"secret\"\nlow = 20\ncritical = \"25%\"\nrunway = \"3d\"\ninterval = \"90s\"\nlabels = { team = \"a\" }": "from a file",
	} {
		c, err := read(text, 0o600)
		if err != nil || len(c.secrets) != 1 || c.secrets[0] != want {
			t.Errorf("%s\nis read as %+v, %v", text, c, err)
		}
	}
	for text, want := range map[string]string{
		sms: "needs secret",
		sms + "secret = \"x\"\nsecret_env = \"TOKEN\"":                                                       "give one of",
		sms + "secret_env = \"NOTHING\"":                                                                     "is not set",
		sms + "secret = \"x\"\nlow = 20.5":                                                                   "in quotes",
		sms + "secret = \"x\"\nlow = \"a lot\"":                                                              "no threshold",
		sms + "secret = \"x\"\ninterval = \"1ms\"":                                                           "has to be from 1s",
		sms + "secret = \"x\"\nregion = \"eu\"":                                                              "has no region",
		sms + "secret = \"x\"\naddress = \"ftp://x\"":                                                        "https://",
		sms + "secret = \"x\"\n" + sms + "secret = \"y\"":                                                    "two sources sms",
		"[[watch.sources]]\nname = \"A b\"\nkind = \"deepseek\"\nsecret = \"x\"":                             "cannot be used",
		"[[watch.sources]]\nname = \"a\"\nkind = \"nexmo\"\nsecret = \"x\"":                                  "there is no kind",
		"[[watch.sources]]\nname = \"a\"\nkind = \"generic\"\naddress = \"https://x\"\nunit = \"USD\"":       "needs amount",
		"[watch]\nallow = [\"home\"]":                                                                        "neither an address",
		"[watch]\nsource = 1":                                                                                "has no \"source\"",
		"[[watch.endpoints]]\nname = \"ops\"\nurl = \"https://x.example/hook\"":                              "needs a secret",
		"[[watch.endpoints]]\nname = \"ops\"\nurl = \"carrier-pigeon://x\"":                                  "no service",
		"[[watch.endpoints]]\nname = \"ops\"\nurl = \"https://x.example/hook\"\nsecret = \"whsec_c2hvcnQ=\"": "24 to 64",
	} {
		if _, err := read(text, 0o600); err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitUsage {
			t.Errorf("%s\nis read with %v, not %q", text, err, want)
		}
	}
	if _, err := read(sms+"secret = \"x\"", 0o644); err == nil || !strings.Contains(err.Error(), "everybody on this machine can read") {
		t.Errorf("a secret in a file that all can read: %v", err)
	}
	if _, err := read(sms+"secret_file = \"secret\"", 0o644); err != nil {
		t.Errorf("a file that all can read, without a secret: %v", err)
	}
}

// A hook takes webhooks and checks them with the library's own check. It can be
// told to fail.
type hook struct {
	*httptest.Server
	secret string
	mu     sync.Mutex
	fail   bool
	ids    map[string]int // how often each came
	alerts []watch.Alert  // each id once, as it first came
	wrong  []string
}

func newHook(t *testing.T) *hook {
	h := &hook{secret: watch.NewSecret(), ids: map[string]int{}}
	check, err := standardwebhooks.NewWebhook(h.secret)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err := check.Verify(body, r.Header); err != nil {
			h.wrong = append(h.wrong, err.Error())
		}
		if h.fail {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		id := r.Header.Get("Webhook-Id")
		if h.ids[id]++; h.ids[id] == 1 {
			var b struct{ Data watch.Alert }
			if err := json.Unmarshal(body, &b); err != nil || b.Data.ID != id {
				h.wrong = append(h.wrong, fmt.Sprintf("the message %s is about %s: %v", id, b.Data.ID, err))
			}
			h.alerts = append(h.alerts, b.Data)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) seen() []watch.Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.alerts)
}

// A program is saldo as a process of its own.
type program struct {
	t      *testing.T
	binary string
	args   []string
	env    []string
	cmd    *exec.Cmd
	url    string
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stderr = os.Stderr
	if !testing.Verbose() {
		p.cmd.Stderr = nil
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	waitUntil(p.t, "the server is ready", func() bool {
		resp, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

func (p *program) kill() {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	p.cmd = nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestWatchEveryVendor runs Saldo as each of the vendors, and another Saldo that
// watches them through the client halves. Balances fall and are topped up, either
// side is killed again and again, and one alert for each crossing arrives at a
// receiver: no second id, and none missing. Prometheus scrapes the watcher, and
// its rules fire.
func TestWatchEveryVendor(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "saldo")
	buildSaldo(t, binary)
	hook := newHook(t)
	vendor := &program{t: t, binary: binary, env: []string{"HOME=" + dir}, url: "http://" + freePort(t)}
	vendor.args = []string{"serve", "--data", filepath.Join(dir, "vendor"), "--listen", strings.TrimPrefix(vendor.url, "http://"), "--dialects",
		strings.Join(vendors, ","), "--write-context=false"}
	defer func() { vendor.kill() }()
	vendor.start()
	token, err := readSecret(filepath.Join(dir, "vendor", tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	api := &native.Client{URL: vendor.url, Token: token, Tenant: "main", Tries: 20}
	sources := vendorSources(t, api, vendor.url)

	watcher := &program{t: t, binary: binary, env: []string{"HOME=" + dir}, url: "http://" + freePort(t)}
	path := filepath.Join(dir, "watcher.toml")
	text := fmt.Sprintf("[watch]\nallow = [\"127.0.0.1\"]\n\n[[watch.endpoints]]\nname = \"ops\"\nurl = %q\nsecret = %q\n", hook.URL, hook.secret)
	for _, s := range sources {
		text += "\n" + s.toml
	}
	writeFile(t, path, text)
	watcher.args = []string{"serve", "--config", path, "--data", filepath.Join(dir, "watcher"), "--listen", strings.TrimPrefix(watcher.url, "http://"), "--write-context=false"}
	defer func() { watcher.kill() }()
	watcher.start()
	prometheus := startPrometheus(t, dir, watcher.url)

	ctx := t.Context()
	move := func(s *vendorSource, up bool, amount string) {
		t.Helper()
		r := native.TransferRequest{ID: newID(), Amount: amount}
		var err error
		if up {
			_, err = api.TopUp(ctx, s.account, r)
		} else {
			_, err = api.Charge(ctx, s.account, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Every balance is 100; low is 50, critical is 10. In each round it falls to 5,
	// which are two crossings, and is topped up again, which are two resolutions.
	var last []object
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last table: %v", last)
		}
	})
	shown := func(state string) func() bool {
		return func() bool {
			rows, err := watched1(ctx, dir, watcher.url)
			last = rows
			if err != nil || len(rows) != len(sources) {
				return false
			}
			for _, r := range rows {
				if field(r, "state") != state {
					return false
				}
			}
			return true
		}
	}
	waitUntil(t, "all are read", shown("ok"))
	rounds := 3
	for round := range rounds {
		for i := range sources {
			move(&sources[i], false, "95")
			if i == 2 { // some have been seen, and others not
				(map[int]*program{0: watcher, 1: vendor, 2: watcher})[round%3].restart()
			}
		}
		if round == 1 {
			hook.set(true) // nothing can be delivered for a while
		}
		waitUntil(t, "all are critical", shown("critical"))
		watcher.restart()
		if round == 0 {
			prometheus.wantAlert(t, "SaldoSourceCritical", len(sources))
		}
		for i := range sources {
			move(&sources[i], true, "95")
		}
		waitUntil(t, "all are well", shown("ok"))
		watcher.restart()
		hook.set(false)
	}
	want := len(sources) * rounds * 4
	waitUntil(t, fmt.Sprintf("%d alerts", want), func() bool { return len(hook.seen()) >= want })
	time.Sleep(500 * time.Millisecond)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	if len(hook.wrong) > 0 {
		t.Fatal(hook.wrong)
	}
	count := map[string]int{}
	for _, a := range hook.alerts {
		count[fmt.Sprintf("%s %s %s %d", a.Source, a.Level, a.State, a.Crossing)]++
	}
	if len(hook.ids) != want {
		t.Errorf("%d ids, not %d", len(hook.ids), want)
	}
	for _, s := range sources {
		for n := 1; n <= rounds; n++ {
			for _, level := range []string{"warning", "critical"} {
				for _, state := range []string{"firing", "resolved"} {
					if key := fmt.Sprintf("%s %s %s %d", s.name, level, state, n); count[key] != 1 {
						t.Errorf("%s came %d times", key, count[key])
					}
				}
			}
		}
	}
}

func (p *program) restart() { p.kill(); p.start() }

func (h *hook) set(fail bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = fail
}

// watched1 asks a server for its sources, as its operator.
func watched1(ctx context.Context, dir, url string) ([]object, error) {
	token, err := readSecret(filepath.Join(dir, "watcher", tokenFile))
	if err != nil {
		return nil, err
	}
	var page struct {
		Items []object `json:"items"`
	}
	c := &native.Client{URL: url, Token: token, Tenant: "main"}
	return page.Items, c.Do(ctx, http.MethodGet, "/v1/sources", nil, &page)
}

// A vendorSource is an account of the vendor's, and how it is watched.
type vendorSource struct{ name, account, toml string }

// vendorSources opens an account with 100 in each dialect, and a credential.
func vendorSources(t *testing.T, api *native.Client, url string) (all []vendorSource) {
	t.Helper()
	ctx := t.Context()
	call := func(method, path string, in any) object {
		t.Helper()
		var out object
		if err := api.Do(ctx, method, path, in, &out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return out
	}
	call("POST", "/v1/units", object{"id": "u", "code": "VC", "scale": 0, "kind": "credit"})
	tenant := call("GET", "/v1/tenants/main", nil)
	add := func(name, unit, dialect, kind, extra string, account func(key object, id string) string, secret func(key object) string) {
		t.Helper()
		a := call("POST", "/v1/accounts", object{"unit": unit, "id": newID()})
		id := field(a, "id")
		if _, err := api.TopUp(ctx, id, native.TransferRequest{ID: newID(), Amount: "100"}); err != nil {
			t.Fatal(err)
		}
		body := object{"id": newID(), "dialect": dialect, "account": id, "scopes": []string{"read"}}
		if name == "mturk-legacy" {
			body["dialects"] = []string{"mturk-legacy"}
		}
		key := call("POST", "/v1/credentials", body)
		text := fmt.Sprintf("[[watch.sources]]\nname = %q\nkind = %q\naddress = %q\nsecret = %q\ninterval = \"1s\"\nlow = \"50\"\ncritical = \"10\"\n%s",
			name, kind, url, secret(key), strings.ReplaceAll(extra, "CLIENT", field(key, "id")))
		if account != nil {
			text += fmt.Sprintf("account = %q\n", account(key, id))
		}
		all = append(all, vendorSource{name, id, text})
	}
	secret := func(key object) string { return field(key, "secret") }
	keyID := func(key object, _ string) string { return field(key, "id") }
	own := func(_ object, id string) string { return id }
	add("twilio", "USD", "twilio", "twilio", "", keyID, secret)
	add("mturk", "USD", "mturk", "mturk", "", keyID, secret)
	add("mturk-legacy", "USD", "mturk", "mturk", "legacy = \"2014-08-15\"\n", keyID, secret)
	add("gateway360", "EUR", "gateway360", "gateway360", "", nil, secret)
	add("frontier", "VC", "frontier", "frontier", fmt.Sprintf("org_id = %q\nclient_id = \"CLIENT\"\n", field(tenant, "id")), own, secret)
	add("saldo", "USD", "native", "saldo", "", own, secret)
	return all
}

// A scraper is Prometheus.
type scraper struct{ url string }

func startPrometheus(t *testing.T, dir, target string) *scraper {
	t.Helper()
	needPrograms(t, "prometheus", "prometheus")
	rules, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus", "saldo.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	// The same rules, without the minutes that they wait.
	hasty := filepath.Join(dir, "rules.yml")
	writeFile(t, hasty, strings.NewReplacer("for: 5m", "for: 0s", "for: 1m", "for: 0s").Replace(string(b)))
	config := filepath.Join(dir, "prometheus.yml")
	writeFile(t, config, fmt.Sprintf("global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [%q]\nscrape_configs: [{ job_name: saldo, static_configs: [{ targets: [%q] }] }]\n",
		hasty, strings.TrimPrefix(target, "http://")))
	s := &scraper{"http://" + freePort(t)}
	c := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+strings.TrimPrefix(s.url, "http://"), "--log.level=error")
	if testing.Verbose() {
		c.Stderr = os.Stderr
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	return s
}

// wantAlert waits until an alert fires for so many sources.
func (s *scraper) wantAlert(t *testing.T, name string, n int) {
	t.Helper()
	waitUntil(t, name, func() bool {
		resp, err := http.Get(s.url + "/api/v1/alerts")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var out struct {
			Data struct {
				Alerts []struct {
					State  string            `json:"state"`
					Labels map[string]string `json:"labels"`
				} `json:"alerts"`
			} `json:"data"`
		}
		if json.NewDecoder(resp.Body).Decode(&out) != nil {
			return false
		}
		firing := map[string]bool{}
		for _, a := range out.Data.Alerts {
			if a.Labels["alertname"] == name && a.State == "firing" {
				firing[a.Labels["source"]] = true
			}
		}
		return len(firing) == n
	})
}
