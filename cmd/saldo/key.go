package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"saldo/auth"
)

var keyColumns = []string{"id", "name", "dialects", "tenant", "account", "scopes", "revoked", "credential_expires_at", "created_at", "last_used_at"}

// keyCommand is saldo key: credentials.
func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Aliases: []string{"keys", "credential"}, Short: "Credentials: who may ask, and for what"}
	list := &cobra.Command{Use: "list", Short: "List credentials, without their secrets"}
	list.Flags().String("account", "", "only those of this account")
	list.Flags().Bool("everything", false, "those of operators")
	rotate := &cobra.Command{Use: "rotate KEY", Short: "Give a credential a new secret, shown once", Example: "  saldo key rotate KEY --overlap 24h"}
	spanFlag(rotate.Flags(), "overlap", 0, "how long the old secret stays good too")
	c.AddCommand(a.createKey(),
		a.simple(list, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
			query := url.Values{}
			if word, _ := list.Flags().GetString("account"); word != "" {
				id, err := s.account(ctx, word)
				if err != nil {
					return nil, err
				}
				query.Set("account", id)
			}
			if all, _ := list.Flags().GetBool("everything"); all {
				query.Set("everything", "true")
			}
			return s.list(ctx, "/v1/credentials", query, 0)
		}, a.listed(keyColumns...)),
		a.simple(rotate, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			body := object{"overlap_seconds": 0}
			secondsOf(rotate, body, "overlap", "overlap_seconds")
			return s.call(ctx, http.MethodPost, "/v1/credentials/"+url.PathEscape(args[0])+"/rotate", body)
		}, a.secretShown),
		a.simple(&cobra.Command{Use: "revoke KEY", Short: "End a credential, at once and for good"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.call(ctx, http.MethodDelete, "/v1/credentials/"+url.PathEscape(args[0]), nil)
			}, a.shown(keyColumns...)),
		a.importKey(), a.recoverKey(), a.rekeyKeys())
	return c
}

func keyFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("name", "", "for people")
	f.String("account", "", "the account whose subtree it opens (default: the whole tenant)")
	f.String("dialect", "native", strings.Join(auth.Dialects(), ", "))
	f.StringSlice("dialects", nil, "further dialects: for native tokens, and mturk-legacy for keys of mturk")
	f.StringSlice("scopes", []string{"read"}, "some of read, charge, topup, admin, operator")
	f.StringSlice("allow", nil, "addresses and ranges that it may be used from")
	f.String("expires-at", "", "when it ends, as 2030-01-31T12:00:00Z")
	f.Bool("everything", false, "all tenants")
	f.Bool("api-key", false, "twilio: an API key (SK…) in place of the account's own token")
}

func keyBody(ctx context.Context, c *cobra.Command, s *asker) (object, error) {
	body := object{}
	fieldsOf(c, body, "name", "dialect", "dialects", "allow", "expires-at", "everything", "api-key")
	body["scopes"], _ = c.Flags().GetStringSlice("scopes")
	if word, _ := c.Flags().GetString("account"); word != "" {
		id, err := s.account(ctx, word)
		if err != nil {
			return nil, err
		}
		body["account"] = id
	}
	return body, nil
}

func (a *app) createKey() *cobra.Command {
	c := &cobra.Command{Use: "create", Short: "Make a credential; its secret is shown once",
		Example: `  saldo key create --name billing --scopes read,charge
  saldo key create --account ann --dialect twilio
  saldo key create --account ann --dialect mturk --scopes read,charge`}
	keyFlags(c)
	return a.simple(c, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
		body, err := keyBody(ctx, c, s)
		if err != nil {
			return nil, err
		}
		return s.call(ctx, http.MethodPost, "/v1/credentials", body)
	}, a.secretShown)
}

// secretShown prints a credential that was just given a secret.
func (a *app) secretShown(data json.RawMessage) error {
	if !a.structured() {
		a.say("The secret is shown this once.")
	}
	return a.show(data, "id", "secret", "name", "dialects", "tenant", "account", "scopes", "credential_expires_at")
}

func (a *app) importKey() *cobra.Command {
	var keyID, file string
	c := &cobra.Command{Use: "import", Short: "Take over a credential that a client already uses; its secret is read from a file, or asked for",
		Example: "  saldo key import --account ann --dialect twilio --key-id AC… --secret-file token.txt\n  vault read -field=secret … | saldo key import --account ann --dialect mturk --key-id AKIA… --secret-file -"}
	keyFlags(c)
	c.Flags().StringVar(&keyID, "key-id", "", "what names it beside its secret, where the dialect has that")
	c.Flags().StringVar(&file, "secret-file", "", "file with the secret; - is stdin")
	return a.simple(c, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
		body, err := keyBody(ctx, c, s)
		if err != nil {
			return nil, err
		}
		if body["secret"], err = a.readSecretFrom(file); err != nil {
			return nil, err
		}
		if keyID != "" {
			body["key_id"] = keyID
		}
		return s.call(ctx, http.MethodPost, "/v1/credentials", body)
	}, a.shown(keyColumns...))
}

// readSecretFrom reads a secret from a file, from stdin, or unseen from a terminal.
func (a *app) readSecretFrom(file string) (string, error) {
	var b []byte
	var err error
	switch f, ok := a.stdin.(*os.File); {
	case file == "-":
		b, err = io.ReadAll(io.LimitReader(a.stdin, 1<<16))
	case file != "":
		b, err = os.ReadFile(file)
	case ok && isTerminal(f) && !a.noInput:
		fmt.Fprint(a.stderr, "Secret: ")
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
	default:
		return "", usagef("give --secret-file; - is stdin")
	}
	if secret := strings.TrimSpace(string(b)); secret != "" || err != nil {
		return secret, err
	}
	return "", usagef("the secret is empty")
}

// recoverKey is for operators who lost their token and have the data directory.
func (a *app) recoverKey() *cobra.Command {
	c := &cobra.Command{Use: "recover", Short: "Make a new operator's token, for whoever has the books and their master key",
		Long: `Make a new operator's token, for whoever has the books and their master key. With
a data directory the server has to be stopped, and the token goes into the file
operator.token there. With a database servers may go on, and it is shown.`,
		Example: "  saldo key recover --data /var/lib/saldo\n  saldo key recover --store postgres://saldo@db.example.com/saldo --master-key-file /etc/saldo/master.key"}
	configFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := readConfig(a.getenv, c.Flags())
		if err != nil {
			return err
		}
		if cfg.Store == "" && !isThere(filepath.Join(cfg.Data, "FORMAT")) {
			return fmt.Errorf("%s holds no books", cfg.Data)
		}
		n, err := openNode(c.Context(), cfg, a.logger(a.stderr, cfg.LogFormat, "warn"))
		if err != nil {
			return err
		}
		made, err := n.auth.Issue(c.Context(), 0, "", auth.Spec{Dialect: auth.Native, Name: "recovered operator", Everything: true, Scopes: auth.Operator})
		if n.database != nil {
			if err := errors.Join(err, n.close()); err != nil {
				return err
			}
			a.say("The token is shown this once. Those before are still good: revoke them with saldo key list --everything and saldo key revoke.")
			return a.show(object{"id": made.Credential.ID, "secret": made.Secret}, "id", "secret")
		}
		path := filepath.Join(cfg.Data, tokenFile)
		if err == nil {
			err = writeSecret(path, made.Secret)
		}
		if err := errors.Join(err, n.close()); err != nil {
			return err
		}
		a.say("The new token is in %s. Those before are still good: revoke them with saldo key list --everything and saldo key revoke.", path)
		return a.show(object{"id": made.Credential.ID, "token_file": path}, "id", "token_file")
	}
	return c
}

// rekeyKeys changes the master key of a store that no server has open. Until it
// is done the file has the old key too, so that it can be done again.
func (a *app) rekeyKeys() *cobra.Command {
	c := &cobra.Command{Use: "rekey", Short: "Make a new master key and seal every secret under it, with the server stopped",
		Long: `Make a new master key, seal every secret under it, and take the old one out of
the file. Browser sessions end; tokens and keys stay good. Backups that were made
before still need the old key: keep a copy of it with them.

With a database no file is written, since every server has one, and servers may
go on: add a line with the new key to each server's master keys (2, a space, and
the output of 'openssl rand -base64 32'), restart them one by one, run this with
the same keys, take the old line out and restart them again.`,
		Example: "  cp /var/lib/saldo/master.key /safe/place/\n  saldo key rekey --data /var/lib/saldo\n  saldo key rekey --store postgres://saldo@db.example.com/saldo --master-key-file /etc/saldo/master.key"}
	configFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := readConfig(a.getenv, c.Flags())
		if err != nil {
			return err
		}
		if cfg.Store != "" {
			return a.rekeyDatabase(c.Context(), cfg)
		}
		path := firstOf(cfg.MasterKeyFile, filepath.Join(cfg.Data, auth.MasterKeyFile))
		if cfg.MasterKey != "" || !isThere(filepath.Join(cfg.Data, "FORMAT")) || !isThere(path) {
			return fmt.Errorf("%s has to hold books, and %s their master key", cfg.Data, path)
		}
		old, err := auth.LoadMasterKeys(cfg.Data, cfg.MasterKeyFile, "")
		if err != nil {
			return err
		}
		both, err := old.Add(rand.Reader)
		if err != nil {
			return err
		}
		log := a.logger(a.stderr, cfg.LogFormat, "warn")
		before, err := openNode(c.Context(), cfg, log) // is it the right key, and nobody else there?
		if err != nil {
			return err
		}
		if err := errors.Join(before.close(), auth.WriteMasterKeys(path, both)); err != nil {
			return err
		}
		n, err := openNode(c.Context(), cfg, log)
		if err != nil {
			return err
		}
		if err := errors.Join(n.auth.Rekey(c.Context(), nil), n.close()); err != nil {
			return fmt.Errorf("%s has the old key and the new one now; run this again: %w", path, err)
		}
		only := auth.MasterKeys{Current: both.Current, Keys: map[uint32][32]byte{both.Current: both.Keys[both.Current]}}
		if err := auth.WriteMasterKeys(path, only); err != nil {
			return err
		}
		return a.show(object{"master_key": both.Current, "file": path}, "master_key", "file")
	}
	return c
}

// rekeyDatabase seals every secret under the newest of the master keys that were
// given, as the servers have been given it before.
func (a *app) rekeyDatabase(ctx context.Context, cfg *config) error {
	keys, err := auth.LoadMasterKeys("", cfg.MasterKeyFile, cfg.MasterKey)
	if err != nil {
		return err
	}
	if len(keys.Keys) < 2 {
		return usagef("give the old master key and the new one: a line for each, and first to every server (see saldo key rekey --help)")
	}
	n, err := openNode(ctx, cfg, a.logger(a.stderr, cfg.LogFormat, "warn"))
	if err != nil {
		return err
	}
	if err := errors.Join(n.auth.Rekey(ctx, nil), n.close()); err != nil {
		return err
	}
	a.say("Every secret is sealed under master key %d. Take the others out of every server's, and restart them.", keys.Current)
	return a.show(object{"master_key": keys.Current}, "master_key")
}
