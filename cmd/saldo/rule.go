package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"saldo/watch"
)

var ruleColumns = []string{"name", "source", "account", "when", "levels", "to", "id"}

// ruleCommand is saldo rule: who is told when.
func (a *app) ruleCommand() *cobra.Command {
	c := &cobra.Command{Use: "rule", Aliases: []string{"rules"}, Short: "Rules: when somebody is to be told"}
	c.AddCommand(a.createRule(),
		a.simple(&cobra.Command{Use: "list", Short: "List rules"}, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
			return s.list(ctx, "/v1/rules", nil, 0)
		}, func(data json.RawMessage) error {
			if a.whole() {
				return a.showList(data)
			}
			rows, err := asObjects(data)
			if err != nil {
				return err
			}
			for _, r := range rows {
				levelsInWords(r)
			}
			return a.showList(rows, ruleColumns...)
		}),
		a.simple(&cobra.Command{Use: "get RULE", Short: "Show a rule"}, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.get(ctx, "/v1/rules/"+url.PathEscape(args[0]), nil)
		}, a.shownRule("id", "name", "created_at", "source", "account", "when", "levels", "clear", "cooldown_seconds", "quiet_until_top_up", "to", "top_up")),
		a.simple(&cobra.Command{Use: "delete RULE", Short: "Take a rule away"}, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.call(ctx, http.MethodDelete, "/v1/rules/"+url.PathEscape(args[0]), nil)
		}, a.shown("id", "deleted")),
		a.simple(&cobra.Command{Use: "test RULE", Short: "Send a sample to everywhere that a rule tells"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.call(ctx, http.MethodPost, "/v1/rules/"+url.PathEscape(args[0])+"/test", object{})
			}, func(data json.RawMessage) error {
				var sent struct {
					Endpoints json.RawMessage `json:"endpoints"`
				}
				if err := json.Unmarshal(data, &sent); err != nil {
					return err
				}
				return a.showSent(sent.Endpoints)
			}))
	return c
}

// showSent shows what became of samples, and fails if one was not taken.
func (a *app) showSent(list json.RawMessage) error {
	sent, err := asObjects(list)
	if err != nil {
		return err
	}
	if err := a.showList(list, "endpoint", "ok", "why"); err != nil {
		return err
	}
	if len(sent) == 0 {
		return errors.New("nobody is told: there is no endpoint (saldo webhook create)")
	}
	var missing []string
	for _, one := range sent {
		if field(one, "ok") != "true" {
			missing = append(missing, field(one, "endpoint"))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the sample was not taken by %s", strings.Join(missing, ", "))
	}
	return nil
}

// shownRule shows a rule: for people, with its levels in words.
func (a *app) shownRule(columns ...string) func(json.RawMessage) error {
	return func(data json.RawMessage) error {
		if a.whole() {
			return a.show(data, columns...)
		}
		r, err := asObject(data)
		if err != nil {
			return err
		}
		levelsInWords(r)
		return a.show(r, columns...)
	}
}

func levelsInWords(r object) {
	var words []string
	levels, _ := r["levels"].([]any)
	for _, l := range levels {
		o, _ := l.(object)
		words = append(words, strings.TrimSpace(field(o, "level")+" "+field(o, "at")))
	}
	r["levels"] = strings.Join(words, ", ")
}

func (a *app) createRule() *cobra.Command {
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Add a rule about a source or an account",
		Long: `Add a rule about a source or an account. It fires once for each crossing of a
threshold, and resolves once.

--when is one of
  balance       at or below an amount, or a percentage of the last top-up
  runway        it lasts no longer than a time, at the rate of the last days
  reading_age   of a source: it could not be read for a time
  drift         of a source with a mirror: our own account differs by an amount
  credit_used   of an account: this percentage of its credit limit is used
  hold_expired  of an account: a hold ended without being captured`,
		Example: `  saldo rule create ann-low --account ann --warning 20% --critical 0
  saldo rule create sms-empty-soon --source sms --when runway --warning 3d --critical 1d --to ops
  saldo rule create bob-credit --account bob --when credit_used --warning 80%`,
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.String("source", "", "the source that it is about")
	f.String("account", "", "the account that it is about")
	f.String("when", "balance", "what it looks at")
	f.String("warning", "", "threshold of the level warning")
	f.String("critical", "", "threshold of the level critical")
	f.String("clear", "", "how far beyond a threshold it is good again (default 5% of it)")
	spanFlag(f, "cooldown", 0, "the least time between two firings")
	f.Bool("quiet-until-top-up", false, "after a firing, none until the balance was topped up")
	f.StringSlice("to", nil, "names of webhooks (default: all)")
	f.String("top-up-to", "", "top the account up to this amount when the rule fires")
	f.String("top-up-from", "", "the account that pays for it")
	f.String("top-up-webhook", "", "name of a webhook that must confirm the payment, in place of an account")
	f.String("top-up-cap", "", "at most this amount in a period")
	f.String("top-up-period", "", "the period of the cap (default 30d)")
	f.String("id", "", "id of the command")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		body := object{"name": args[0]}
		fieldsOf(c, body, "source", "clear", "quiet-until-top-up", "to", "id")
		body["when"], _ = f.GetString("when")
		if word, _ := f.GetString("account"); word != "" {
			if body["account"], err = s.account(c.Context(), word); err != nil {
				return err
			}
		}
		var levels []object
		for _, name := range []string{"warning", "critical"} {
			if at, _ := f.GetString(name); at != "" {
				levels = append(levels, object{"level": name, "at": at})
			}
		}
		if len(levels) == 0 && body["when"] == string(watch.HoldExpired) {
			levels = append(levels, object{"level": "warning"})
		}
		if len(levels) == 0 {
			return usagef("say --warning, --critical or both")
		}
		body["levels"] = levels
		secondsOf(c, body, "cooldown", "cooldown_seconds")
		if to, _ := f.GetString("top-up-to"); to != "" {
			up := object{"to": to}
			for _, flag := range []string{"webhook", "cap", "period"} {
				if v, _ := f.GetString("top-up-" + flag); v != "" {
					up[flag] = v
				}
			}
			if from, _ := f.GetString("top-up-from"); from != "" {
				if up["from"], err = s.account(c.Context(), from); err != nil {
					return err
				}
			}
			body["top_up"] = up
		} else {
			for _, flag := range []string{"from", "webhook", "cap", "period"} {
				if f.Changed("top-up-" + flag) {
					return usagef("--top-up-%s needs --top-up-to: the amount to come to", flag)
				}
			}
		}
		data, err := s.call(c.Context(), http.MethodPost, "/v1/rules", body)
		if err != nil {
			return err
		}
		return a.shownRule("id", "name", "source", "account", "when", "levels", "to")(data)
	}
	return c
}

// webhookCommand is saldo webhook: where alerts go.
func (a *app) webhookCommand() *cobra.Command {
	columns := []string{"name", "kind", "url", "types", "disabled", "why"}
	c := &cobra.Command{Use: "webhook", Aliases: []string{"webhooks"}, Short: "Where alerts go: webhooks, Alertmanager, chats, mail"}
	create := &cobra.Command{
		Use:   "create NAME URL",
		Short: "Add an endpoint; the secret of a webhook is shown once",
		Long: `Add an endpoint. The URL's scheme says what it is:

  https://…                   a webhook, signed as the Standard Webhooks are
  alertmanager+http://HOST:9093   a Prometheus Alertmanager
  slack://…, smtp://…, ntfy://…   a service that shoutrrr knows; the URL is its`,
		Example: `  saldo webhook create ops https://ops.example/hooks/saldo
  saldo webhook create pager https://pager.example/hook --types 'source.balance.*'
  saldo webhook create alerts alertmanager+http://10.0.0.9:9093
  saldo webhook create mail - < url.txt`,
	}
	create.Flags().StringSlice("types", nil, "types of alerts, as account.balance.low or source.* (default: all)")
	create.Flags().String("id", "", "id of the command")
	on := func(use, short, call string, show func(json.RawMessage) error) *cobra.Command {
		return a.simple(&cobra.Command{Use: use + " NAME", Short: short}, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.call(ctx, http.MethodPost, "/v1/webhooks/"+url.PathEscape(args[0])+"/"+call, object{})
		}, show)
	}
	secretShown := func(data json.RawMessage) error {
		made, err := asObject(data)
		if err != nil {
			return err
		}
		if !a.structured() && field(made, "secret") != "" { // webhooks alone have one
			a.say("The secret is shown this once.")
		}
		return a.show(data, "name", "kind", "url", "secret", "types")
	}
	c.AddCommand(
		a.simple(create, cobra.ExactArgs(2), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			body := object{"name": args[0], "url": args[1]}
			if args[1] == "-" { // it may have secrets in it
				text, err := a.vendorSecret("-", nil)
				if err != nil {
					return nil, err
				}
				body["url"] = text
			}
			fieldsOf(create, body, "types", "id")
			return s.call(ctx, http.MethodPost, "/v1/webhooks", body)
		}, secretShown),
		a.simple(&cobra.Command{Use: "list", Short: "List endpoints"}, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
			return s.list(ctx, "/v1/webhooks", nil, 0)
		}, a.listed(columns...)),
		a.simple(&cobra.Command{Use: "delete NAME", Short: "Take an endpoint away"}, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.call(ctx, http.MethodDelete, "/v1/webhooks/"+url.PathEscape(args[0]), nil)
		}, a.shown("id", "deleted")),
		on("rotate", "Give a webhook a new secret; the one before signs too, until the next rotation", "rotate", secretShown),
		on("enable", "Let an endpoint that was disabled get alerts again", "enable", a.shown(columns...)),
		on("test", "Send a sample", "test", func(data json.RawMessage) error { return a.showSent(json.RawMessage("[" + string(data) + "]")) }),
		&cobra.Command{Use: "secret", Short: "Make a secret for a webhook in the file of settings", RunE: func(*cobra.Command, []string) error {
			return a.show(object{"secret": watch.NewSecret()}, "secret")
		}})
	return c
}

// deliveryCommand is saldo delivery: alerts on their way.
func (a *app) deliveryCommand() *cobra.Command {
	c := &cobra.Command{Use: "delivery", Aliases: []string{"deliveries"}, Short: "Alerts on their way, and those that could not be delivered"}
	list := &cobra.Command{Use: "list", Short: "List deliveries that are dead: tried for three days, or refused for good"}
	list.Flags().Bool("open", false, "those that are on their way")
	c.AddCommand(
		a.simple(list, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
			state := "dead"
			if open, _ := list.Flags().GetBool("open"); open {
				state = "open"
			}
			return s.list(ctx, "/v1/deliveries", url.Values{"state": {state}}, 0)
		}, a.listed("id", "endpoint", "alert", "tries", "error", "next_at", "created_at")),
		a.simple(&cobra.Command{Use: "replay ID", Short: "Deliver once more, under the same id of the message"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.call(ctx, http.MethodPost, "/v1/deliveries/"+url.PathEscape(args[0])+"/replay", object{})
			}, a.shown("id")))
	return c
}

// alertCommand is saldo alert: what has fired.
func (a *app) alertCommand() *cobra.Command {
	c := &cobra.Command{Use: "alert", Aliases: []string{"alerts"}}
	list := &cobra.Command{Use: "list"}
	for _, one := range []*cobra.Command{c, list} { // saldo alert is as good as saldo alert list
		one.Short = "What rules have fired and resolved, newest first"
		one.Flags().Int("limit", 50, "at most so many; 0: all")
		one.Flags().Bool("firing", false, "only what fires now")
		a.simple(one, cobra.NoArgs, func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
			query := url.Values{}
			if firing, _ := one.Flags().GetBool("firing"); firing {
				query.Set("state", "firing")
			}
			most, _ := one.Flags().GetInt("limit")
			return s.list(ctx, "/v1/alerts", query, most)
		}, a.listed("created_at", "state", "level", "rule", "text", "id"))
	}
	c.AddCommand(list)
	return c
}
