package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
	account := opened(t, vendor, "USD", "25")
	writeFile(t, path, fmt.Sprintf("[[watch.sources]]\nname = \"sms\"\nkind = \"saldo\"\naddress = %q\naccount = %q\ntenant = \"main\"\nsecret_file = %q\nlow = \"30\"\ncritical = \"10\"\nmirror = %q\n",
		vendor.url(), account, token, account))
	c.Watch = watchOf(t, path)
	own := startNode(t, c)
	waitUntil(t, "it is read", func() bool { l := own.watch.Looks(0); return len(l) == 1 && l[0].Balance != "" })
	own.get(t, own.url()+"/v1/sources", "Authorization", "Bearer "+own.token)
	_, metrics := own.get(t, own.url()+"/metrics")
	promtool(metrics, "check", "metrics")

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
