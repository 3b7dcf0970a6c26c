package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// A mover is a command that moves money: what every one of them has.
type mover struct {
	app    *app
	id     string
	yes    bool
	dryRun bool
}

// moverFlags adds to a command what every mover has.
func (a *app) moverFlags(c *cobra.Command) *mover {
	m := &mover{app: a}
	f := c.Flags()
	f.StringVar(&m.id, "id", "", "id of the command; repeating it under this id moves nothing twice (default: a new one, printed)")
	f.BoolVarP(&m.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&m.dryRun, "dry-run", false, "say what would be asked of the server, and ask nothing that moves money")
	f.String("reason", "", "why, for the statement")
	f.StringArray("metadata", nil, "KEY=VALUE or a JSON object, kept with it")
	return m
}

func usageFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("category", "", "what it was for, as sms")
	f.String("count", "", "how many of it")
	f.String("usage-unit", "", "of what, as messages")
}

// send asks the server for a movement, after the person before the terminal agreed.
func (m *mover) send(c *cobra.Command, s *asker, path string, body object, what string) error {
	fieldsOf(c, body, "reason", "category", "count", "usage-unit", "up-to", "force", "final")
	if err := metadata(c, body); err != nil {
		return err
	}
	made := m.id == ""
	if made {
		m.id = newID()
	}
	body["id"] = m.id
	if m.dryRun {
		return m.preview(c, s, path, body, what)
	}
	if err := m.app.confirm(m.yes, "%s?", what); err != nil {
		return err
	}
	data, err := s.call(c.Context(), http.MethodPost, path, body)
	if err != nil {
		if made && exitCode(err) == exitRetry {
			m.app.say("Repeat the command with --id %s: then it happens once, whether or not it has happened already", m.id)
		}
		if s.replayed {
			m.app.say("This was refused before, under the same id, and is not decided again: a new try needs another --id.")
		}
		return err
	}
	return m.app.showMovement(data, s.replayed)
}

// preview shows what would be asked, in what unit, and what there is now.
func (m *mover) preview(c *cobra.Command, s *asker, path string, body object, what string) error {
	out := object{"dry_run": true, "call": "POST " + path, "body": body}
	unit := ""
	if name, address := subject(path, body); name != "" {
		now, err := s.get(c.Context(), address, nil)
		if err != nil {
			return err
		}
		is, err := asObject(now)
		if err != nil {
			return err
		}
		out[name], out["unit"] = is, is["unit"]
		unit = " (" + field(is, "unit") + ")"
	}
	m.app.say("Dry run%s: %s. Nothing was moved.", unit, strings.ToLower(what[:1])+what[1:])
	return m.app.show(out, "call", "body", "balance.spendable", "hold.remaining", "transfer.refundable", "unit")
}

// subject says what a movement is about, and where that is shown. A batch is
// about many things.
func subject(path string, body object) (name, address string) {
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	switch {
	case parts[0] == "accounts":
		return "balance", "/v1/accounts/" + parts[1] + "/balance"
	case parts[0] == "holds":
		return "hold", "/v1/holds/" + parts[1]
	case len(parts) > 1:
		return "transfer", "/v1/transfers/" + parts[1]
	case body["from"] != nil:
		return "balance", fmt.Sprintf("/v1/accounts/%s/balance", url.PathEscape(fmt.Sprint(body["from"])))
	}
	return "", ""
}

// showMovement prints what a movement changed, and the new balance.
func (a *app) showMovement(data json.RawMessage, replayed bool) error {
	if a.whole() {
		return a.show(data)
	}
	o, err := asObject(data)
	if err != nil {
		return err
	}
	if replayed {
		a.say("This was done before, under the same id; nothing was done again.")
	}
	if items, ok := o["transfers"].([]any); ok {
		rows := []object{}
		for _, item := range items {
			if row, ok := item.(object); ok {
				rows = append(rows, row)
			}
		}
		if err := a.showList(rows, "id", "kind", "from", "to", "amount", "unit"); err != nil || a.output == "csv" {
			return err
		}
		return a.showAfter(o)
	}
	return a.show(o, "id", "kind", "state", "from", "to", "via", "account", "amount", "asked", "remaining", "captured", "unit",
		"expires_at", "balance.posted", "balance.held", "balance.available", "balance.credit_limit", "balance.spendable", "seq")
}

// showAfter prints what a movement of several transfers left.
func (a *app) showAfter(o object) error {
	figures := []string{"id", "unit", "posted", "held", "available", "credit_limit", "spendable"}
	rows := []object{}
	if one, ok := o["balance"].(object); ok {
		rows = append(rows, one)
	}
	list, _ := o["balances"].([]any)
	for _, b := range list {
		if row, ok := b.(object); ok {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	return a.showList(rows, figures...)
}

// one makes a command that moves an amount of one account.
func (a *app) one(use, short, example, call, verb string, more func(*cobra.Command)) *cobra.Command {
	c := &cobra.Command{Use: use + " ACCOUNT AMOUNT", Short: short, Example: example, Args: cobra.ExactArgs(2)}
	m := a.moverFlags(c)
	usageFlags(c)
	if more != nil {
		more(c)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		id, err := s.account(c.Context(), args[0])
		if err != nil {
			return err
		}
		body := object{"amount": args[1]}
		fieldsOf(c, body, "to", "against", "expires-at")
		secondsOf(c, body, "ttl", "ttl_seconds")
		return m.send(c, s, "/v1/accounts/"+url.PathEscape(id)+"/"+call, body, fmt.Sprintf("%s %s: %s", verb, args[0], args[1]))
	}
	return c
}

func (a *app) topUpCommand() *cobra.Command {
	return a.one("topup", "Put money in", `  saldo topup ann 20.00
  saldo topup ann 20.00 --id invoice-77 --reason "invoice 77"`, "topups", "Top up", nil)
}

func (a *app) chargeCommand() *cobra.Command {
	return a.one("charge", "Take money out, never more than there is", `  saldo charge ann 0.35
  saldo charge ann 0.35 --id sms-4711 --category sms --count 5
  saldo charge ann 100 --up-to                    # take what there is
  saldo charge ann 15 --force --reason "chargeback" # may leave it below zero`, "charges", "Charge", func(c *cobra.Command) {
		c.Flags().Bool("up-to", false, "take what there is, if it is less")
		c.Flags().Bool("force", false, "the account may fall below zero; needs --reason")
		c.Flags().String("to", "", "who gets it (default: @revenue)")
	})
}

func (a *app) adjustCommand() *cobra.Command {
	return a.one("adjust", "Correct a balance, up or down", `  saldo adjust ann --reason "goodwill" -- 5
  saldo adjust ann --reason "wrong top-up" -- -5`, "adjustments", "Adjust", func(c *cobra.Command) {
		c.Flags().Bool("force", false, "the account may fall below zero; needs --reason")
		c.Flags().String("against", "", "the other side: @cash, @revenue or @fees")
	})
}

// balanceCommand is saldo balance.
func (a *app) balanceCommand() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "balance ACCOUNT...",
		Short: "How much is left",
		Example: `  saldo balance ann
  saldo balance ann --jq .spendable
  saldo balance ann --at 2026-01-31T23:59:59Z
  saldo balance ann bob -o csv
  saldo balance twilio --account-sid AC… --secret-file token.txt`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			query := url.Values{}
			if at != "" {
				query.Set("at", at)
			}
			var all []json.RawMessage
			for _, word := range args {
				id, err := s.account(c.Context(), word)
				if err != nil {
					return err
				}
				data, err := s.get(c.Context(), "/v1/accounts/"+url.PathEscape(id)+"/balance", query)
				if err != nil {
					return err
				}
				all = append(all, data)
			}
			columns := []string{"id", "unit", "posted", "held", "available", "credit_limit", "spendable", "drawn_from", "spent", "cap"}
			if len(all) == 1 {
				return a.show(all[0], append(columns, "as_of", "seq")...)
			}
			list, err := json.Marshal(all)
			if err != nil {
				return err
			}
			return a.showList(json.RawMessage(list), columns[:7]...)
		},
	}
	c.Flags().StringVar(&at, "at", "", "a past time, as 2026-01-31T12:00:00Z")
	c.AddCommand(a.vendorCommands()...)
	return c
}

// transferCommand is saldo transfer.
func (a *app) transferCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "transfer FROM TO AMOUNT",
		Short: "Move money from account to account; batches and refunds",
		Example: `  saldo transfer ann bob 5.00
  saldo transfer batch transfers.json
  generate | saldo transfer batch -
  saldo transfer refund invoice-77 --amount 2.50
  saldo transfer get invoice-77`,
		Args: cobra.ExactArgs(3),
	}
	m := a.moverFlags(c)
	usageFlags(c)
	c.Flags().String("kind", "", "move, charge, topup or adjustment (default: by the accounts)")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		from, err := s.account(c.Context(), args[0])
		if err != nil {
			return err
		}
		to, err := s.account(c.Context(), args[1])
		if err != nil {
			return err
		}
		body := object{"from": from, "to": to, "amount": args[2]}
		fieldsOf(c, body, "kind")
		return m.send(c, s, "/v1/transfers", body, fmt.Sprintf("Move %s from %s to %s", args[2], args[0], args[1]))
	}
	c.AddCommand(a.batchCommand(), a.refundCommand(), a.simple(&cobra.Command{Use: "get ID", Short: "Show a transfer"}, cobra.ExactArgs(1),
		func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.get(ctx, "/v1/transfers/"+url.PathEscape(args[0]), nil)
		}, a.shown("id", "created_at", "kind", "from", "to", "via", "amount", "unit", "of", "refunded", "refundable", "category", "count", "reason", "metadata", "seq")))
	return c
}

func (a *app) refundCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "refund TRANSFER",
		Short:   "Give back what is left of an earlier transfer, or part of it",
		Example: "  saldo transfer refund sms-4711\n  saldo transfer refund sms-4711 --amount 0.10 --reason \"not delivered\"",
		Args:    cobra.ExactArgs(1),
	}
	m := a.moverFlags(c)
	c.Flags().String("amount", "", "part of it (default: all that is left)")
	c.Flags().Bool("force", false, "the payee may fall below zero; needs --reason")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		body := object{}
		fieldsOf(c, body, "amount")
		what := "Refund what is left of " + args[0]
		if part, ok := body["amount"]; ok {
			what = fmt.Sprintf("Refund %v of %s", part, args[0])
		}
		return m.send(c, s, "/v1/transfers/"+url.PathEscape(args[0])+"/refunds", body, what)
	}
	return c
}

func (a *app) batchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "batch FILE",
		Short: "Make many transfers, all or none",
		Long: `Make many transfers at once, all or none. FILE (- is stdin) has a JSON array of
transfers, or an object with them under "transfers", or one transfer a line:
{"id": "t1", "from": "…", "to": "@revenue", "amount": "0.35"}`,
		Example: "  saldo transfer batch transfers.json\n  generate | saldo transfer batch - --yes",
		Args:    cobra.ExactArgs(1),
	}
	m := a.moverFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		items, err := a.readBatch(args[0])
		if err != nil {
			return err
		}
		s, err := a.asker()
		if err != nil {
			return err
		}
		return m.send(c, s, "/v1/transfers", object{"transfers": items}, fmt.Sprintf("Make %d transfers", len(items)))
	}
	return c
}

func (a *app) readBatch(name string) ([]json.RawMessage, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var items []json.RawMessage
	for d := json.NewDecoder(io.LimitReader(in, 64<<20)); ; {
		var v json.RawMessage
		err := d.Decode(&v)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, usagef("%s: %v", name, err)
		}
		var many []json.RawMessage
		var wrapped struct{ Transfers []json.RawMessage }
		switch {
		case json.Unmarshal(v, &many) == nil:
			items = append(items, many...)
		case json.Unmarshal(v, &wrapped) == nil && wrapped.Transfers != nil:
			items = append(items, wrapped.Transfers...)
		default:
			items = append(items, v)
		}
	}
	if len(items) == 0 {
		return nil, usagef("%s has no transfers", name)
	}
	return items, nil
}
