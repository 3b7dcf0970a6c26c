package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

var holdColumns = []string{"id", "account", "state", "amount", "remaining", "captured", "unit", "expires_at"}

// holdCommand is saldo hold.
func (a *app) holdCommand() *cobra.Command {
	c := &cobra.Command{Use: "hold", Aliases: []string{"holds"}, Short: "Set money aside, and pay from it"}
	place := a.one("place", "Set an amount aside", `  saldo hold place ann 5.00 --ttl 1h
  saldo hold place ann 5.00 --id job-12 --expires-at never`, "holds", "Hold", func(c *cobra.Command) {
		spanFlag(c.Flags(), "ttl", 0, "how long it lives, as 36h or 3d (default: 7 days)")
		c.Flags().String("expires-at", "", "until when, as 2030-01-31T12:00:00Z, or never")
	})
	for _, f := range []string{"category", "count", "usage-unit"} {
		_ = place.Flags().MarkHidden(f) // a hold is not yet a use
	}
	c.AddCommand(place,
		a.onHold("capture HOLD [AMOUNT]", "Pay from a hold", `  saldo hold capture job-12
  saldo hold capture job-12 3.20 --final
  saldo hold capture job-12 --to bob=3.00 --to @fees=0.20`, "captures", "Capture", func(c *cobra.Command) {
			usageFlags(c)
			c.Flags().Bool("final", false, "release what is left")
			c.Flags().StringArray("to", nil, "ACCOUNT=AMOUNT, once for each payee (default: all to @revenue)")
		}),
		a.onHold("release HOLD", "End a hold; its money is free again", "  saldo hold release job-12", "release", "Release", nil),
		a.onHold("raise HOLD AMOUNT", "Set more aside", "  saldo hold raise job-12 2.00", "raise", "Raise by", nil),
		a.onHold("extend HOLD", "Let a hold live longer", "  saldo hold extend job-12 --ttl 24h", "extend", "Extend", func(c *cobra.Command) {
			spanFlag(c.Flags(), "ttl", 0, "how long from now, as 36h or 3d")
			c.Flags().String("expires-at", "", "until when, as 2030-01-31T12:00:00Z, or never")
		}),
		a.getHold(), a.listHolds())
	return c
}

// onHold makes a command that does something with a hold.
func (a *app) onHold(use, short, example, call, verb string, more func(*cobra.Command)) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example}
	words := strings.Fields(use)[1:]
	c.Args = cobra.ExactArgs(len(words))
	if strings.Contains(use, "[") {
		c.Args = cobra.RangeArgs(1, 2)
	}
	m := a.moverFlags(c)
	if more != nil {
		more(c)
	}
	if call == "extend" || call == "raise" {
		_ = c.Flags().MarkHidden("reason")
		_ = c.Flags().MarkHidden("metadata")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		body := object{}
		what := verb + " " + strings.Join(args, " ")
		if len(args) > 1 {
			body["amount"] = args[1]
		}
		fieldsOf(c, body, "expires-at")
		secondsOf(c, body, "ttl", "ttl_seconds")
		if payees, err := c.Flags().GetStringArray("to"); err == nil && len(payees) > 0 {
			to := []object{}
			for _, p := range payees {
				name, amount, ok := strings.Cut(p, "=")
				if !ok {
					return usagef("--to %s: write ACCOUNT=AMOUNT", p)
				}
				id, err := s.account(c.Context(), name)
				if err != nil {
					return err
				}
				to = append(to, object{"account": id, "amount": amount})
			}
			body["to"] = to
			what += fmt.Sprintf(" for %s", strings.Join(payees, ", "))
		}
		return m.send(c, s, "/v1/holds/"+url.PathEscape(args[0])+"/"+call, body, what)
	}
	return c
}

func (a *app) getHold() *cobra.Command {
	return a.simple(&cobra.Command{Use: "get HOLD", Short: "Show a hold"}, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
		return s.get(ctx, "/v1/holds/"+url.PathEscape(args[0]), nil)
	}, a.shown(append(holdColumns, "created_at", "updated_at", "drawn_from", "reason", "metadata")...))
}

func (a *app) listHolds() *cobra.Command {
	var all bool
	var limit int
	c := &cobra.Command{Use: "list ACCOUNT", Short: "List an account's open holds", Args: cobra.ExactArgs(1),
		Example: "  saldo hold list ann\n  saldo hold list ann --all",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			id, err := s.account(c.Context(), args[0])
			if err != nil {
				return err
			}
			query := url.Values{}
			if all {
				query.Set("state", "all")
			}
			data, err := s.list(c.Context(), "/v1/accounts/"+url.PathEscape(id)+"/holds", query, limit)
			if err != nil {
				return err
			}
			return a.showList(data, holdColumns...)
		}}
	c.Flags().BoolVar(&all, "all", false, "those that ended too")
	c.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return c
}
