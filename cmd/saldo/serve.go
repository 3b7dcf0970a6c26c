package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// serveCommand is saldo serve.
func (a *app) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Run a server on a data directory.

The first start makes the directory (0700), a master key that seals secrets, the
tenant "main" and the first operator, whose token is shown once and kept in
DIR/operator.token (0600). Every setting can be given by flag, by variable
(SALDO_LISTEN), by a file that a variable names (SALDO_LISTEN_FILE) or in a file
of settings: 'saldo config list' has them all, in that order of precedence.

SIGTERM and Ctrl-C stop it after the requests at hand; SIGHUP reads the TLS
certificate again, and the sources and endpoints in the file of settings.`,
		Example: `  saldo serve --data ./data
  saldo serve --data /var/lib/saldo --listen :443 --tls-cert chain.pem --tls-key key.pem
  saldo serve --data ./data --listen 10.0.0.5:7400 --plaintext-behind-proxy --trusted-proxies 10.0.0.1
  saldo serve --data ./data --admin-listen 127.0.0.1:7401`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(a.getenv, c.Flags())
			if err != nil {
				return err
			}
			return a.serve(c.Context(), cfg)
		},
	}
	configFlags(c.Flags())
	return c
}

func (a *app) serve(ctx context.Context, cfg *config) error {
	log := a.logger(a.stderr, cfg.LogFormat, cfg.LogLevel)
	a.limitMemory(cfg.Memory, cfg.Cache)
	f, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer f.close()
	n, err := openNode(ctx, cfg, log)
	if err != nil {
		return err
	}
	if n.store != nil {
		if err := n.store.SetOwner("address " + f.adminURL()); err != nil {
			return errors.Join(err, n.close())
		}
	}
	tokens := filepath.Join(cfg.Data, tokenFile)
	switch {
	case n.token != "" && n.database != nil:
		a.say("The first operator's token, shown this once and kept nowhere:\n\n    %s\n", n.token)
	case n.database != nil:
	case n.token != "":
		a.say("The first operator's token, shown this once and kept in %s:\n\n    %s\n", tokens, n.token)
	case !isThere(tokens):
		log.Info("there is no " + tokens + "; if the operator's token is lost: saldo key recover --data " + cfg.Data)
	}
	if cfg.WriteContext && n.database == nil {
		a.rememberServer(log, "default", f.adminURL(), cfg)
	}
	debug.FreeOSMemory() // opening a large directory takes more than serving it
	n.logHeads(ctx, "start")
	log.Info("serving", "url", f.url(), "admin", f.adminURL(), "dialects", cfg.Dialects, "books", firstOf(withoutSecret(cfg.Store), cfg.Data), "version", version)
	reload, stop := hangups()
	defer stop()
	err = f.serve(ctx, n, reload)
	n.logHeads(context.WithoutCancel(ctx), "stop")
	if err := errors.Join(err, n.close()); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	log.Info("stopped")
	return nil
}

// hangups tells of every SIGHUP.
func hangups() (<-chan struct{}, func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	out := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(out)
		for {
			select {
			case <-signals:
				select {
				case out <- struct{}{}:
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(done)
		<-out
	}
}

// limitMemory tells the garbage collector how large its part of the process may
// become: the cache of blocks and the tables in memory are not its to collect.
// Up to there it collects less often than Go does by itself, which makes more
// charges a second (saldo bench charge).
func (a *app) limitMemory(bytes, cache int64) {
	if bytes <= 0 || a.getenv("GOMEMLIMIT") != "" {
		return
	}
	const tables = 4 << 24 // of 16 MB, one being filled and some being written
	debug.SetMemoryLimit(max(bytes-cache-tables, 64<<20))
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
}
