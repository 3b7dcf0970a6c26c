package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/spf13/cobra"

	"saldo/dialect/native"
)

// A connection says which server a command asks, and as whom.
type connection struct {
	address, tokenFile, context, tenant string

	token string // what tokenFile has, or what the environment gave
}

// A serverContext is a file that says where a server is and which file has the
// token for it:
//
//	$XDG_CONFIG_HOME/saldo/contexts/NAME.toml
//	address = "http://127.0.0.1:7400"
//	token-file = "/var/lib/saldo/operator.token"
type serverContext struct {
	name, address, tokenFile string
}

func contextDir(getenv func(string) string) string {
	return filepath.Join(xdg(getenv, "XDG_CONFIG_HOME", ".config"), "saldo", "contexts")
}

func readContext(getenv func(string) string, name string) (*serverContext, error) {
	path := filepath.Join(contextDir(getenv), name+".toml")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := toml.Parser().Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &serverContext{name: name}
	c.address, _ = m["address"].(string)
	c.tokenFile, _ = m["token-file"].(string)
	if c.address == "" {
		return nil, fmt.Errorf("%s names no address", path)
	}
	return c, nil
}

func (c *serverContext) write(getenv func(string) string) error {
	dir := contextDir(getenv)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeSecret(filepath.Join(dir, c.name+".toml"), fmt.Sprintf("address = %q\ntoken-file = %q", c.address, c.tokenFile))
}

func contextNames(getenv func(string) string) (names []string) {
	files, _ := filepath.Glob(filepath.Join(contextDir(getenv), "*.toml"))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
	}
	slices.Sort(names)
	return names
}

// rememberServer writes a context, unless there is one of that name that may
// still be wanted: it names another token, which is there.
func (a *app) rememberServer(log *slog.Logger, name, address string, cfg *config) {
	tokens, err := filepath.Abs(filepath.Join(cfg.Data, tokenFile))
	if err != nil {
		log.Warn("no context was written", "error", err)
		return
	}
	old, err := readContext(a.getenv, name)
	if err == nil && old.tokenFile != tokens && isThere(old.tokenFile) {
		log.Info("the context "+name+" names another server and was left as it is; commands for this one need --address and --token-file",
			"context_address", old.address, "address", address, "token_file", tokens)
		return
	}
	if err := (&serverContext{name, address, tokens}).write(a.getenv); err != nil {
		log.Warn("no context was written; commands need --address and --token-file", "error", err)
	}
}

// connect finds the server and the token: flags, then the environment, then
// the context.
func (a *app) connect() (*native.Client, error) {
	to := a.to
	to.address = firstOf(to.address, a.getenv("SALDO_ADDRESS"))
	if to.tokenFile == "" {
		to.tokenFile = a.getenv("SALDO_TOKEN_FILE")
		if to.tokenFile == "" {
			to.token = strings.TrimSpace(a.getenv("SALDO_TOKEN"))
		}
	}
	if to.address == "" || to.tokenFile == "" && to.token == "" {
		c, err := a.chooseContext(firstOf(to.context, a.getenv("SALDO_CONTEXT")))
		if err != nil {
			return nil, err
		}
		if to.address == "" {
			to.address = c.address
		} else if to.address != c.address {
			return nil, usagef("give --token-file too: the context %s has a token for %s, not for %s", c.name, c.address, to.address)
		}
		if to.tokenFile == "" && to.token == "" {
			to.tokenFile = c.tokenFile
		}
	}
	place, err := address(to.address)
	if err != nil {
		return nil, err
	}
	if to.tokenFile == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, 1<<16))
		if err != nil {
			return nil, err
		}
		to.token = strings.TrimSpace(string(b))
	} else if to.tokenFile != "" {
		if to.token, err = readSecret(to.tokenFile); err != nil {
			return nil, fmt.Errorf("the token: %w", err)
		}
	}
	return &native.Client{URL: place, Token: to.token}, nil
}

// chooseContext returns the context of a name; without one, default or the only one.
func (a *app) chooseContext(name string) (*serverContext, error) {
	if name == "" {
		names := contextNames(a.getenv)
		switch {
		case len(names) == 0:
			return nil, usagef("no server is known: start one (saldo serve, saldo demo), or give --address and --token-file")
		case len(names) == 1:
			name = names[0]
		case slices.Contains(names, "default"):
			name = "default"
		default:
			return nil, usagef("several servers are known; choose one with --context: %s", strings.Join(names, ", "))
		}
	}
	c, err := readContext(a.getenv, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, a.noContext(name)
	}
	return c, err
}

func (a *app) noContext(name string) error {
	return usagef("there is no context %q; there are: %s", name, firstOf(strings.Join(contextNames(a.getenv), ", "), "none"))
}

// address returns an address of a server with the scheme that it has if it names none.
func address(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usagef("%q is no address of a server; write it as http://127.0.0.1:7400", text)
	}
	return strings.TrimRight(text, "/"), nil
}

// contextCommand is saldo context.
func (a *app) contextCommand() *cobra.Command {
	c := &cobra.Command{Use: "context", Short: "The servers that the other commands can ask"}
	c.AddCommand(&cobra.Command{
		Use:     "list",
		Short:   "List the contexts",
		Example: "  saldo context list\n  saldo balance ACCOUNT --context demo",
		RunE: func(*cobra.Command, []string) error {
			rows := []object{}
			for _, name := range contextNames(a.getenv) {
				c, err := readContext(a.getenv, name)
				if err != nil {
					return err
				}
				rows = append(rows, object{"context": name, "address": c.address, "token_file": c.tokenFile})
			}
			return a.showList(rows, "context", "address", "token_file")
		},
	}, &cobra.Command{
		Use:     "set NAME",
		Short:   "Name a server: its --address and --token-file",
		Example: "  saldo context set prod --address https://saldo.example --token-file ~/.saldo-token",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if a.to.address == "" || a.to.tokenFile == "" || a.to.tokenFile == "-" || strings.ContainsAny(args[0], `/\`) {
				return usagef("a context needs a plain name, --address and --token-file")
			}
			place, err := address(a.to.address)
			if err != nil {
				return err
			}
			tokens, err := filepath.Abs(a.to.tokenFile)
			if err != nil {
				return err
			}
			if _, err := readSecret(tokens); err != nil {
				return fmt.Errorf("the token: %w", err)
			}
			if err := (&serverContext{args[0], place, tokens}).write(a.getenv); err != nil {
				return err
			}
			return a.show(object{"context": args[0], "address": place, "token_file": tokens}, "context", "address", "token_file")
		},
	}, &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a server; its token file stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.ContainsAny(args[0], `/\`) {
				return usagef("%q is no context", args[0])
			}
			err := os.Remove(filepath.Join(contextDir(a.getenv), args[0]+".toml"))
			if errors.Is(err, fs.ErrNotExist) {
				return a.noContext(args[0])
			}
			if err != nil {
				return err
			}
			return a.show(object{"id": args[0], "deleted": true}, "id", "deleted")
		},
	})
	return c
}
