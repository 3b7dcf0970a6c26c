package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

var accountColumns = []string{"id", "name", "unit", "mode", "status", "balance.posted", "balance.held", "balance.spendable"}

var accountDetails = []string{"id", "name", "created_at", "updated_at", "book", "parent", "unit", "mode", "status", "effective_status",
	"children", "open_holds", "version", "metadata", "balance.posted", "balance.held", "balance.available", "balance.credit_limit",
	"balance.spendable", "balance.drawn_from", "balance.spent", "balance.cap", "balance.as_of"}

// accountCommand is saldo account.
func (a *app) accountCommand() *cobra.Command {
	c := &cobra.Command{Use: "account", Aliases: []string{"accounts"}, Short: "Open, find and change accounts"}
	c.AddCommand(a.createAccount(), a.getAccount(), a.listAccounts(), a.searchAccounts(), a.setAccount(),
		a.statusCommand("freeze", "frozen", "No new charges and holds; top-ups, refunds and open holds go on"),
		a.statusCommand("unfreeze", "open", "Open a frozen account again"),
		a.statusCommand("close", "closed", "Close an account: it needs a zero balance, no open holds, closed sub-accounts"),
		a.aliasCommand("an account", "  saldo account alias add ann gateway360 ann_user", func(ctx context.Context, s *asker, word string) (string, error) {
			id, err := s.account(ctx, word)
			return "/v1/accounts/" + url.PathEscape(id), err
		}))
	return c
}

func (a *app) createAccount() *cobra.Command {
	c := &cobra.Command{
		Use:   "create",
		Short: "Open an account",
		Example: `  saldo account create --unit USD --name Ann
  saldo account create --unit CREDITS --name Bob --credit-limit 50
  saldo account create --parent ann --mode drawing --cap 5.00 --name "Ann's phone"`,
	}
	f := c.Flags()
	f.String("unit", "", "a currency of ISO 4217 or a unit of your own (default: the parent's)")
	f.String("name", "", "for people; found by search")
	f.String("parent", "", "the account above")
	f.String("mode", "", "own (a balance of its own) or drawing (the parent pays)")
	f.String("book", "", "which book it lives in, for ever (default: main)")
	f.String("credit-limit", "", "how far below zero it may go; below zero: what has to stay")
	f.String("cap", "", "how much a drawing account may spend")
	f.String("account-id", "", "a UUID of your choice")
	f.String("id", "", "id of the command, so that repeating it opens one account")
	f.StringArray("metadata", nil, "KEY=VALUE or a JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		body := object{}
		fieldsOf(c, body, "unit", "name", "mode", "book", "credit-limit", "cap", "account-id", "id")
		if err := metadata(c, body); err != nil {
			return err
		}
		if p, _ := f.GetString("parent"); p != "" {
			if body["parent"], err = s.account(c.Context(), p); err != nil {
				return err
			}
		}
		data, err := s.call(c.Context(), http.MethodPost, "/v1/accounts", body)
		if err != nil {
			return err
		}
		return a.show(data, accountDetails...)
	}
	return c
}

// onAccount makes a command about the account that its one argument names.
func (a *app) onAccount(c *cobra.Command, do func(ctx context.Context, s *asker, path string) (json.RawMessage, error), columns ...string) *cobra.Command {
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		id, err := s.account(c.Context(), args[0])
		if err != nil {
			return err
		}
		data, err := do(c.Context(), s, "/v1/accounts/"+url.PathEscape(id))
		if err != nil {
			return err
		}
		return a.show(data, columns...)
	}
	return c
}

func (a *app) getAccount() *cobra.Command {
	return a.onAccount(&cobra.Command{Use: "get ACCOUNT", Short: "Show an account", Example: "  saldo account get ann"},
		func(ctx context.Context, s *asker, path string) (json.RawMessage, error) {
			return s.get(ctx, path, nil)
		}, accountDetails...)
}

func (a *app) listAccounts() *cobra.Command {
	var parent, status string
	var roots bool
	var limit int
	c := &cobra.Command{
		Use: "list", Short: "List accounts",
		Example: "  saldo account list\n  saldo account list --parent ann -o csv\n  saldo account list --json id,balance.spendable",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			query := url.Values{}
			if parent != "" {
				id, err := s.account(c.Context(), parent)
				if err != nil {
					return err
				}
				query.Set("parent", id)
			}
			if roots {
				query.Set("roots", "true")
			}
			if status != "" {
				query.Set("status", status)
			}
			data, err := s.list(c.Context(), "/v1/accounts", query, limit)
			if err != nil {
				return err
			}
			return a.showList(data, accountColumns...)
		},
	}
	c.Flags().StringVar(&parent, "parent", "", "only its sub-accounts")
	c.Flags().BoolVar(&roots, "roots", false, "no sub-accounts")
	c.Flags().StringVar(&status, "status", "", "open, frozen or closed")
	c.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return c
}

func (a *app) searchAccounts() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "search WORD", Short: "Find accounts by name, metadata or an id of another system", Args: cobra.ExactArgs(1),
		Example: "  saldo account search ann\n  saldo account search ann@example.com",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			data, err := s.list(c.Context(), "/v1/search", url.Values{"q": {args[0]}}, limit)
			if err != nil {
				return err
			}
			return a.showList(data, accountColumns...)
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return c
}

func (a *app) setAccount() *cobra.Command {
	c := &cobra.Command{Use: "set ACCOUNT", Short: "Change an account's limit, cap, name or metadata",
		Example: "  saldo account set ann --credit-limit 100 --reason \"paid by invoice\"\n  saldo account set \"Ann's phone\" --cap 10\n  saldo account set \"Ann's phone\" --no-cap"}
	f := c.Flags()
	f.String("name", "", "for people")
	f.String("credit-limit", "", "how far below zero it may go")
	f.String("cap", "", "how much a drawing account may spend")
	f.Bool("no-cap", false, "take the cap away")
	f.Bool("force", false, "the new limit may leave the account below it; needs --reason")
	f.String("reason", "", "why, for the record")
	f.String("id", "", "id of the command")
	f.StringArray("metadata", nil, "KEY=VALUE or a JSON object; all of it anew")
	return a.onAccount(c, func(ctx context.Context, s *asker, path string) (json.RawMessage, error) {
		body := object{}
		fieldsOf(c, body, "name", "credit-limit", "cap", "force", "reason", "id")
		if none, _ := f.GetBool("no-cap"); none {
			body["cap"] = nil
		}
		if err := metadata(c, body); err != nil {
			return nil, err
		}
		if len(body) == 0 {
			return nil, usagef("nothing to change was given")
		}
		return s.call(ctx, http.MethodPatch, path, body)
	}, accountDetails...)
}

func (a *app) statusCommand(name, status, short string) *cobra.Command {
	c := &cobra.Command{Use: name + " ACCOUNT", Short: short, Example: "  saldo account " + name + " ann --reason \"on request\""}
	c.Flags().String("reason", "", "why, for the record")
	return a.onAccount(c, func(ctx context.Context, s *asker, path string) (json.RawMessage, error) {
		body := object{"status": status}
		fieldsOf(c, body, "reason")
		return s.call(ctx, http.MethodPatch, path, body)
	}, accountDetails...)
}

// aliasCommand is saldo account alias and saldo tenant alias: what other systems
// call it. Path returns the path of what a word names.
func (a *app) aliasCommand(noun, example string, path func(ctx context.Context, s *asker, word string) (string, error)) *cobra.Command {
	c := &cobra.Command{Use: "alias", Short: "What other systems call " + noun}
	of := strings.ToUpper(noun[strings.IndexByte(noun, ' ')+1:])
	columns := []string{"dialect", "external", "account", "tenant"}
	c.AddCommand(
		a.simple(&cobra.Command{Use: "list " + of, Short: "List its other names"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				at, err := path(ctx, s, args[0])
				if err != nil {
					return nil, err
				}
				return s.get(ctx, at+"/aliases", nil)
			}, a.paged(columns...)),
		a.simple(&cobra.Command{Use: "add " + of + " DIALECT EXTERNAL", Short: "Let a dialect's id mean this", Example: example}, cobra.ExactArgs(3),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				at, err := path(ctx, s, args[0])
				if err != nil {
					return nil, err
				}
				return s.call(ctx, http.MethodPost, at+"/aliases", object{"dialect": args[1], "external": args[2]})
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "remove " + of + " DIALECT EXTERNAL", Short: "Let it mean this no more"}, cobra.ExactArgs(3),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				at, err := path(ctx, s, args[0])
				if err != nil {
					return nil, err
				}
				return s.call(ctx, http.MethodDelete, at+"/aliases/"+url.PathEscape(args[1])+"/"+url.PathEscape(args[2]), nil)
			}, a.shown(columns...)))
	return c
}

// showItems prints the items of a list that comes in one page.
func (a *app) showItems(data json.RawMessage, columns ...string) error {
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return err
	}
	if page.Items == nil {
		page.Items = []json.RawMessage{}
	}
	list, err := json.Marshal(page.Items)
	if err != nil {
		return err
	}
	return a.showList(json.RawMessage(list), columns...)
}

// eraseCommand is saldo erase.
func (a *app) eraseCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{Use: "erase ACCOUNT", Short: "Remove a person: names, reasons and metadata of an account; the figures stay",
		Long: `Remove all free text of an account: its name and metadata, and the reasons and
metadata of everything that touched it. Amounts stay, and the journal still
proves itself. Backups that were made before still have the text.`,
		Example: "  saldo erase ann --yes"}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return a.onAccount(c, func(ctx context.Context, s *asker, path string) (json.RawMessage, error) {
		if !yes && !isTerminal(a.stdin) {
			return nil, usagef("this cannot be undone: say --yes")
		}
		if err := a.confirm(yes, "Erase every name and text of %s? This cannot be undone.", strings.TrimPrefix(path, "/v1/accounts/")); err != nil {
			return nil, err
		}
		return s.call(ctx, http.MethodPost, path+"/erase", object{})
	}, accountDetails...)
}
