package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"saldo/dialect/native"
)

// demoCommand is saldo demo: a server with sample accounts.
func (a *app) demoCommand() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a server with sample accounts, to try things on",
		Long: `Run a server with sample accounts. Its directory is a temporary one that goes
when the demo ends, unless --data names one; that is an ordinary data directory,
and saldo serve runs on it too.

With -o json the first line of stdout is an object with everything a script
needs, and the demo stays up until it gets SIGTERM or Ctrl-C.`,
		Example: `  saldo demo
  saldo demo --check                # ask every account again, and end
  saldo demo --data ./demo-data --listen 127.0.0.1:7500`,
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c, check) },
	}
	configFlags(c.Flags())
	c.Flags().BoolVar(&check, "check", false, "ask again what every account has, and end: 0 if all is as it should be")
	return c
}

func (a *app) demo(c *cobra.Command, check bool) (err error) {
	cfg, err := readConfig(a.getenv, c.Flags())
	if err != nil {
		return err
	}
	ctx := c.Context()
	if cfg.from["data"] != "flag" {
		if cfg.Data, err = os.MkdirTemp("", "saldo-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.Data)) }()
	}
	level := "error"
	if cfg.from["log-level"] != "default" {
		level = cfg.LogLevel
	}
	log := a.logger(a.stderr, cfg.LogFormat, level)
	a.limitMemory(cfg.Memory, cfg.Cache)
	f, err := listen(ctx, cfg)
	if err != nil && cfg.from["listen"] == "default" {
		taken := cfg.Listen
		cfg.Listen = "127.0.0.1:0"
		if f, err = listen(ctx, cfg); err == nil {
			a.say("%s is taken; the demo listens on %s.", taken, f.customers.Addr())
		}
	}
	if err != nil {
		return err
	}
	defer f.close()
	n, err := openNode(ctx, cfg, log)
	if err != nil {
		return err
	}
	served, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- f.serve(served, n, nil) }()
	err = a.demoWith(ctx, f, n, log, check, done)
	stop()
	return errors.Join(err, <-done, n.close())
}

// demoWith fills the server, shows it, and waits.
func (a *app) demoWith(ctx context.Context, f *front, n *node, log *slog.Logger, check bool, done chan error) error {
	tokens := filepath.Join(n.config.Data, tokenFile)
	token, err := readSecret(tokens)
	if err != nil {
		return err
	}
	s := &asker{Client: &native.Client{URL: f.adminURL(), Token: token}, app: a}
	samples, err := fill(ctx, s)
	if err != nil {
		return fmt.Errorf("filling the demo: %w", err)
	}
	var rows []object
	for i := range samples {
		data, err := s.get(ctx, "/v1/accounts/"+samples[i].id+"/balance", nil)
		if err != nil {
			return err
		}
		row, err := asObject(data)
		if err != nil {
			return err
		}
		row["name"] = samples[i].name
		rows = append(rows, row)
	}
	if check {
		return a.checkDemo(samples, rows)
	}
	name := ""
	if n.config.WriteContext {
		var forget func()
		if name, forget, err = a.rememberDemo(f.adminURL(), tokens); err != nil {
			log.Warn("no context was written", "error", err)
		} else {
			defer forget()
		}
	}
	if a.structured() {
		err = a.announce(f, token, samples)
	} else {
		err = a.present(f, token, name, rows)
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-done:
		done <- nil
		return err
	}
}

// announce prints the line that scripts read.
func (a *app) announce(f *front, token string, samples []sample) error {
	accounts := object{}
	for _, s := range samples {
		accounts[s.name] = s.id
	}
	line, err := json.Marshal(object{"url": f.url(), "native": object{"token": token, "account_id": samples[0].id, "accounts": accounts}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}

// present shows a person what there is.
func (a *app) present(f *front, token, context string, rows []object) error {
	fmt.Fprintf(a.stdout, "Saldo answers at %s. Balances, as just answered over HTTP:\n\n", f.url())
	if err := a.showList(rows, "name", "unit", "posted", "held", "available", "credit_limit", "spendable"); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, `
Ask again:

  TOKEN=%s
  curl -s -H "Authorization: Bearer $TOKEN" %s/v1/accounts/%s/balance
  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{"id": "try-1", "amount": "0.35"}' %s/v1/accounts/%s/charges

`, token, f.url(), rows[0]["id"], f.url(), rows[0]["id"])
	if context != "" {
		fmt.Fprintf(a.stdout, "\nor: saldo balance ann --context %s\n", context)
	}
	fmt.Fprintln(a.stdout, "\nCtrl-C ends it.")
	return nil
}

// rememberDemo writes a context, under a name of its own when another demo has
// the first, and returns what takes it away.
func (a *app) rememberDemo(address, tokens string) (name string, forget func(), err error) {
	if tokens, err = filepath.Abs(tokens); err != nil {
		return "", nil, err
	}
	c := &serverContext{"demo", address, tokens}
	for n := 2; ; n++ {
		old, err := readContext(a.getenv, c.name)
		if err != nil || old.tokenFile == tokens || !isThere(old.tokenFile) {
			break
		}
		c.name = fmt.Sprintf("demo-%d", n)
	}
	if err := c.write(a.getenv); err != nil {
		return "", nil, err
	}
	return c.name, func() { os.Remove(filepath.Join(contextDir(a.getenv), c.name+".toml")) }, nil
}

// A sample is an account of the demo, and what it has to have.
type sample struct {
	name string
	id   string
	open object   // what opens it
	do   []string // what is done then: METHOD-less calls of the account, each followed by its body
	want object   // figures of its balance
}

func samples() []sample {
	return []sample{
		{name: "ann", open: object{"unit": "USD"},
			do: []string{"topups", `{"id": "demo-1", "amount": "20.00", "reason": "first top-up"}`,
				"charges", `{"id": "demo-2", "amount": "0.35", "category": "sms", "count": "5", "usage_unit": "messages"}`},
			want: object{"posted": "17.150000", "held": "0.000000", "spendable": "17.150000"}},
		{name: "ann's phone", open: object{"parent": "ann", "mode": "drawing", "cap": "5.00"},
			do:   []string{"charges", `{"id": "demo-3", "amount": "2.50"}`},
			want: object{"spent": "2.500000", "cap": "5.000000", "spendable": "2.500000"}},
		{name: "bjørn", open: object{"unit": "EUR"},
			do: []string{"topups", `{"id": "demo-4", "amount": "350.12"}`,
				"holds", `{"id": "demo-hold", "amount": "40.00", "ttl_seconds": 604800, "reason": "a job that runs"}`},
			want: object{"posted": "350.120000", "held": "40.000000", "spendable": "310.120000"}},
		{name: "chandra", open: object{"unit": "CREDITS"},
			do:   []string{"topups", `{"id": "demo-5", "amount": "100"}`, "charges", `{"id": "demo-6", "amount": "20.5"}`},
			want: object{"posted": "79.5000", "spendable": "79.5000"}},
		{name: "dora", open: object{"unit": "USD", "credit_limit": "25"},
			do:   []string{"topups", `{"id": "demo-7", "amount": "12.75"}`, "charges", `{"id": "demo-8", "amount": "20.00"}`},
			want: object{"posted": "-7.250000", "credit_limit": "25.000000", "spendable": "17.750000"}},
	}
}

// fill makes the sample accounts, or finds them again: every command has an id,
// so that a directory that is used again has each of them once.
func fill(ctx context.Context, s *asker) ([]sample, error) {
	if _, err := s.call(ctx, http.MethodPost, "/v1/units", object{"id": "demo-unit", "code": "CREDITS", "scale": 4, "kind": "credit"}); err != nil {
		return nil, err
	}
	all := samples()
	ids := map[string]string{}
	for i := range all {
		sample := &all[i]
		sample.open["name"], sample.open["id"] = sample.name, "demo-account-"+fmt.Sprint(i+1)
		if parent, ok := sample.open["parent"].(string); ok {
			sample.open["parent"] = ids[parent]
		}
		var made struct{ ID string }
		if err := s.Do(ctx, http.MethodPost, "/v1/accounts", sample.open, &made); err != nil {
			return nil, err
		}
		sample.id, ids[sample.name] = made.ID, made.ID
		for step := 0; step < len(sample.do); step += 2 {
			path := "/v1/accounts/" + url.PathEscape(made.ID) + "/" + sample.do[step]
			if _, err := s.call(ctx, http.MethodPost, path, json.RawMessage(sample.do[step+1])); err != nil {
				return nil, fmt.Errorf("%s of %s: %w", sample.do[step], sample.name, err)
			}
		}
	}
	return all, nil
}

// checkDemo compares what was answered with what has to be.
func (a *app) checkDemo(samples []sample, rows []object) error {
	var wrong []error
	for i, s := range samples {
		for figure, want := range s.want {
			if got := field(rows[i], figure); got != want {
				wrong = append(wrong, fmt.Errorf("%s of %s is %s, and has to be %s", figure, s.name, got, want))
			}
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d accounts answered as they should.\n", len(rows))
	return nil
}
