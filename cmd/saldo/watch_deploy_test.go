package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// needPrograms makes sure that programs of a Debian package are there. Where
// they cannot be, the test is skipped, or fails under CI.
func needPrograms(t *testing.T, pkg string, programs ...string) {
	t.Helper()
	there := func() error {
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				return err
			}
		}
		return nil
	}
	err := there()
	if apt, missing := exec.LookPath("apt-get"); err != nil && missing == nil && os.Geteuid() == 0 {
		fmt.Fprintf(os.Stderr, "the tests need Debian's %s: installing it\n", pkg)
		install := func(args ...string) error {
			c := exec.Command(apt, args...)
			c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			return c.Run()
		}
		if install("install", "-y", "--no-install-recommends", pkg) != nil {
			err = errors.Join(install("update"), install("install", "-y", "--no-install-recommends", pkg))
		}
		err = errors.Join(err, there())
		if there() == nil {
			err = nil
		}
	}
	if err == nil {
		return
	}
	text := fmt.Sprintf("the test needs Debian's %s: install it (%v)", pkg, err)
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// TestDeploy checks what deploy/ has with Prometheus's own tool, and that every
// metric that it names is one that a server has.
func TestDeploy(t *testing.T) {
	needPrograms(t, "prometheus", "promtool")
	dir := filepath.Join("..", "..", "deploy")
	promtool := func(stdin string, args ...string) {
		t.Helper()
		c := exec.Command("promtool", args...)
		c.Dir = filepath.Join(dir, "prometheus")
		c.Stdin = strings.NewReader(stdin)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	promtool("", "check", "rules", "saldo.rules.yml")
	promtool("", "check", "config", "prometheus.yml")
	promtool("", "test", "rules", "saldo.rules.test.yml")

	vendor := startNode(t, testConfig(t))
	c := testConfig(t)
	path := filepath.Join(t.TempDir(), "saldo.toml")
	token := filepath.Join(vendor.config.Data, tokenFile)
	account := opened(t, vendor, "USD", "36.897383")
	writeFile(t, path, fmt.Sprintf("[[watch.sources]]\nname = \"sms\"\nkind = \"saldo\"\naddress = %q\naccount = %q\ntenant = \"main\"\nsecret_file = %q\nlow = \"40\"\ncritical = \"10\"\nmirror = %q\n",
		vendor.url(), account, token, account))
	c.Watch = watchOf(t, path)
	own := startNode(t, c)
	waitUntil(t, "it is read", func() bool { l := own.watch.Looks(0); return len(l) == 1 && l[0].Balance != "" })
	own.get(t, own.url()+"/v1/sources", "Authorization", "Bearer "+own.token)
	_, metrics := own.get(t, own.url()+"/metrics")
	promtool(metrics, "check", "metrics")
	if !strings.Contains(metrics, `saldo_source_spendable{source="sms",tenant="main",unit="USD",vendor="saldo"} 36.897383`+"\n") {
		t.Errorf("a balance of 36.897383 is not in %s", metrics)
	}

	// What is absent here: nothing drifts, lasts, or was asked for long.
	absent := map[string]bool{"saldo_source_runway_seconds": true, "saldo_source_runway_least_seconds": true, "saldo_source_drift": true}
	for _, d := range watchDescs {
		for name := range absent {
			if strings.Contains(d.String(), `"`+name+`"`) {
				metrics += name + " 1\n"
			}
		}
	}
	name := regexp.MustCompile(`\bsaldo_[a-z_]+`)
	for _, file := range []string{"prometheus/saldo.rules.yml", "grafana/saldo.json"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllString(string(b), -1) {
			if !strings.Contains(metrics, "\n"+m+"{") && !strings.Contains(metrics, "\n"+m+" ") {
				t.Errorf("%s names %s, which a server does not have", file, m)
			}
		}
		if strings.HasSuffix(file, ".json") {
			var dashboard struct {
				Panels []struct {
					Targets []struct {
						Expr string `json:"expr"`
					} `json:"targets"`
				} `json:"panels"`
			}
			if err := json.Unmarshal(b, &dashboard); err != nil {
				t.Fatal(err)
			}
			rules := "groups:\n  - name: dashboard\n    rules:\n"
			for i, p := range dashboard.Panels {
				for j, q := range p.Targets {
					expr, _ := json.Marshal(strings.ReplaceAll(q.Expr, "$source", ".*"))
					rules += fmt.Sprintf("      - { record: \"q%d_%d\", expr: %s }\n", i, j, expr)
				}
			}
			made := filepath.Join(t.TempDir(), "dashboard.yml")
			writeFile(t, made, rules)
			promtool("", "check", "rules", made)
		}
	}
}

// TestWatchDocument checks the document that a server serves, and answers of the
// calls about watching against it.
func TestWatchDocument(t *testing.T) {
	r := startNode(t, testConfig(t))
	_, text := r.get(t, r.url()+"/openapi.json")
	doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: r.url()}}
	if err := doc.Validate(t.Context(), openapi3.DisableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path, body string) string {
		t.Helper()
		q, err := http.NewRequest(method, r.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+r.token)
		q.Header.Set("Saldo-Tenant", "main")
		if body != "" {
			q.Header.Set("Content-Type", "application/json")
		}
		route, params, err := router.FindRoute(q)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		in := &openapi3filter.RequestValidationInput{Request: q, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
		q.Body = io.NopCloser(strings.NewReader(body))
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode > 299 {
			t.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
		}
		if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
			Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(strings.NewReader(string(answer)))}); err != nil {
			t.Errorf("%s %s: %v\n%s", method, path, err, answer)
		}
		return string(answer)
	}
	account := opened(t, r, "USD", "25")
	call("POST", "/v1/sources", `{"id":"s","name":"llm","kind":"deepseek","address":"http://127.0.0.1:9","secret":"x","interval":"1h","low":"5","labels":{"a":"b"}}`)
	waitUntil(t, "it was tried", func() bool { return strings.Contains(call("GET", "/v1/sources", ""), `"state":"failed"`) })
	call("GET", "/v1/sources/llm", "")
	call("POST", "/v1/sources/llm/test", "{}")
	call("GET", "/v1/sources/llm/readings", "")
	call("POST", "/v1/webhooks", `{"name":"ops","url":"http://127.0.0.1:9/hook","types":["account.*"]}`)
	call("GET", "/v1/webhooks", "")
	call("GET", "/v1/webhooks/ops", "")
	call("POST", "/v1/webhooks/ops/test", "{}")
	call("POST", "/v1/webhooks/ops/rotate", "{}")
	call("POST", "/v1/rules", fmt.Sprintf(`{"name":"low","account":%q,"when":"balance","levels":[{"level":"warning","at":"30"}],"to":["ops"],"cooldown_seconds":60}`, account))
	call("GET", "/v1/rules", "")
	call("GET", "/v1/rules/low", "")
	call("POST", "/v1/rules/low/test", "{}")
	waitUntil(t, "it fires", func() bool { return strings.Contains(call("GET", "/v1/alerts", ""), `"state":"firing"`) })
	if answer := call("GET", "/v1/alerts?state=firing", ""); strings.Count(answer, `"rule":"low"`) != 1 {
		t.Errorf("what fires: %s", answer)
	}
	for more, says := range map[string]string{
		`"top_up":{"webhook":"nowhere","to":"50","cap":"100"}`: "there is no webhook of that name",
		`"cooldown_seconds":18446744074`:                       "has to be a whole number from 0 to 31622400",
	} {
		refused, err := http.NewRequest("POST", r.url()+"/v1/rules", strings.NewReader(fmt.Sprintf(
			`{"name":"fill","account":%q,"when":"balance","levels":[{"level":"warning","at":"30"}],%s}`, account, more)))
		if err != nil {
			t.Fatal(err)
		}
		refused.Header = http.Header{"Authorization": {"Bearer " + r.token}, "Saldo-Tenant": {"main"}, "Content-Type": {"application/json"}}
		resp, err := http.DefaultClient.Do(refused)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 400 || !strings.Contains(string(answer), says) {
			t.Errorf("a rule with %s: %s %s", more, resp.Status, answer)
		}
	}
	call("POST", "/v1/rules", `{"name":"another","source":"llm","when":"balance","levels":[{"level":"warning","at":"1"}]}`)
	for query, want := range map[string]string{"?account=" + account: "low", "?source=llm": "another", "?limit=1": "another"} {
		if got := field(mustObject(t, call("GET", "/v1/rules"+query, "")), "data.items.name"); got != want {
			t.Errorf("the first rule of %s is %s, want %s", query, got, want)
		}
	}
	if answer := call("GET", "/v1/rules?limit=1", ""); !strings.Contains(answer, `"next":`) {
		t.Errorf("one of two rules has no next: %s", answer)
	}
	waitUntil(t, "it is refused", func() bool { return strings.Contains(call("GET", "/v1/deliveries?state=open", ""), `"tries":1`) })
	id := field(mustObject(t, call("GET", "/v1/deliveries", "")), "data.items.id")
	call("POST", "/v1/deliveries/"+id+"/replay", "{}")
	call("POST", "/v1/webhooks/ops/enable", "{}")
	call("DELETE", "/v1/rules/low", "")
	if answer := call("GET", "/v1/alerts?state=firing", ""); strings.Contains(answer, `"rule":"low"`) {
		t.Errorf("a rule that is gone fires: %s", answer)
	}
	call("DELETE", "/v1/webhooks/ops", "")
	call("DELETE", "/v1/sources/llm", "")

	// Who opens one account is told nothing of the tenant's sources and rules.
	key := map[string]any{}
	if err := r.client().Do(t.Context(), "POST", "/v1/credentials", object{"account": account, "scopes": []string{"read", "admin"}}, &key); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/sources", "/v1/rules", "/v1/webhooks", "/v1/alerts", "/v1/deliveries"} {
		if status, body := r.get(t, r.url()+path, "Authorization", "Bearer "+fmt.Sprint(key["secret"])); status != 403 {
			t.Errorf("%s by a credential of one account: %d %s", path, status, body)
		}
	}
}

// mustObject reads an answer; of a list, its first item.
func mustObject(t *testing.T, text string) object {
	t.Helper()
	var o struct {
		Data struct {
			Items []object `json:"items"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil || len(o.Data.Items) == 0 {
		t.Fatalf("%v in %s", err, text)
	}
	return object{"data": object{"items": o.Data.Items[0]}}
}
