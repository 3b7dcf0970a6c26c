package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"saldo/dialect/gateway360"
	"saldo/dialect/native"
	"saldo/ledger"
)

// demoPrices are what messages cost in the demo, which writes them to its log.
var demoPrices = []string{"ES:34:0.0450:EUR", "GB:44:0.0325:EUR", "US:1:0.0080:EUR", "ES:34:1:CREDITS", "GB:44:1:CREDITS", "US:1:1:CREDITS"}

// demoCommand is saldo demo: a server with sample accounts.
func (a *app) demoCommand() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a server with sample accounts, to try things on",
		Long: `Run a server with sample accounts, as the vendors' own documents show theirs,
and ask each in its vendor's language. Its directory is a temporary one that
goes when the demo ends, unless --data names one; that is an ordinary data
directory, and saldo serve runs on it too. Each demo on it gives the vendors'
accounts new secrets. Other accounts move all the while.

With --check every answer is compared with the books, and the demo ends: exit
code 0, or what is wrong.

With -o json the first line of stdout is an object with what a script needs, and
the demo stays up, without traffic, until it gets SIGTERM or Ctrl-C (the native
account is a spare one of 100 USD):

  {"url", "native": {"token", "account_id"},
   "twilio": {"account_sid", "auth_token", "subaccount_sid"},
   "mturk": {"access_key_id", "secret_access_key"},
   "gateway360": {"api_key", "subaccount", "subaccount_api_key"},
   "frontier": {"org_id", "billing_id", "client_id", "client_secret"}}`,
		Example: `  saldo demo
  saldo demo --check
  saldo demo -o json > demo.json &          # then: jq .twilio demo.json
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
	if len(cfg.DialectHost) > 0 {
		return usagef("the demo asks each dialect at its address: it cannot have dialect-host (by %s)", cfg.from["dialect-host"])
	}
	ctx := c.Context()
	if cfg.from["dialects"] == "default" {
		cfg.Dialects = vendors // the legacy API too
	}
	if cfg.from["gateway360-prices"] == "default" && cfg.Gateway360Sink == "" {
		cfg.Gateway360Sink = sinkLog
		if cfg.Gateway360Prices, err = gateway360.ParsePrices(demoPrices); err != nil {
			return err
		}
	}
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

// demoToken returns the operator's token, and has it in a file. Of a database
// that has books already it is only known to who was shown it.
func (a *app) demoToken(n *node, file string) (string, error) {
	if n.config.Store == "" {
		return readSecret(file)
	}
	token := firstOf(n.token, strings.TrimSpace(a.getenv("SALDO_TOKEN")))
	if token == "" {
		return "", usagef("the database has books already: set SALDO_TOKEN to its operator's token, or name an empty database")
	}
	return token, writeSecret(file, token)
}

// demoWith fills the server, shows it, and waits.
func (a *app) demoWith(ctx context.Context, f *front, n *node, log *slog.Logger, check bool, done chan error) error {
	tokens := filepath.Join(n.config.Data, tokenFile)
	token, err := a.demoToken(n, tokens)
	if err != nil {
		return err
	}
	s := &asker{Client: &native.Client{URL: f.adminURL(), Token: token, Tenant: ledger.FirstBook}, app: a}
	s.HTTP = &http.Client{Transport: s, Timeout: time.Minute}
	all := &cast{asker: s, front: f, serves: n.config.Dialects}
	if err := all.fill(ctx); err != nil {
		return fmt.Errorf("filling the demo: %w", err)
	}
	if all.renewed {
		a.say("The books were used before. The vendors' accounts have new secrets now: those that an earlier demo showed open nothing any more.")
	}
	faces, err := all.faces(ctx)
	if err != nil {
		return fmt.Errorf("asking the demo: %w", err)
	}
	if check {
		return a.checkDemo(ctx, all, faces)
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
		err = a.announce(all)
	} else if err = a.present(all, faces, name); err == nil {
		go all.traffic(ctx, log)
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
