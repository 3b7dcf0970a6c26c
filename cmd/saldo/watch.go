package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"saldo/dialect"
	"saldo/money"
	"saldo/watch"
)

var watchColumns = []string{"source", "vendor", "balance", "unit", "change_1d", "time_left", "age", "state"}

// watchCommand is saldo watch: the balances that others keep for us.
func (a *app) watchCommand() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "watch",
		Short: "The balances that you hold at vendors, in one table",
		Long: `The balances that you hold at vendors, in one table: of a server that watches
them or, without one, of the [[watch.sources]] in the file of settings, asked now.

The file is read when --config names one, or when no server is named by flag,
variable or context. A server knows more: what changed over the last day and how
long a balance lasts take a history.

On a terminal the table is shown again every few seconds; with --once, or off a
terminal, once. With --once the exit code says what was found: 0 all is well, 3 a
balance is at or below low or critical (or a rule of the server fires), 1, 4 or 5
a source could not be read (4: the credential; 5: worth a retry).`,
		Example: `  saldo watch
  saldo watch --once --config saldo.toml
  saldo watch -o json --jq '.[] | select(.state != "ok") | .source'
  saldo watch test twilio
  */15 * * * * saldo watch --once --config /etc/saldo/saldo.toml || mail -s "balances" ops@example.com`,
		RunE: func(c *cobra.Command, _ []string) error { return a.watch(c, once) },
	}
	c.Flags().BoolVar(&once, "once", false, "show the table once, and say by the exit code what it has")
	c.PersistentFlags().String("config", "", "file of settings whose [[watch.sources]] are asked, without a server")
	test := &cobra.Command{
		Use:   "test NAME",
		Short: "Ask one source now, and explain in a sentence what goes wrong",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return a.testSource(c, args[0]) },
	}
	c.AddCommand(test, a.addSource(), a.removeSource(), a.sourceReadings())
	return c
}

// fromFile returns what the file has to watch, if it is what is to be watched.
func (a *app) fromFile(c *cobra.Command) (*watchConfig, error) {
	named := c.Flags().Lookup("config")
	if !named.Changed && (a.to.address != "" || a.to.context != "" || a.getenv("SALDO_ADDRESS") != "" || a.getenv("SALDO_CONTEXT") != "") {
		return nil, nil
	}
	cfg := &config{}
	if _, err := cfg.readFile(a.getenv, c.Flags()); err != nil {
		return nil, err
	}
	switch {
	case named.Changed && (cfg.Watch == nil || len(cfg.Watch.sources) == 0):
		return nil, usagef("%s has no [[watch.sources]]", cfg.File)
	case cfg.Watch == nil || len(cfg.Watch.sources) == 0:
		return nil, nil
	}
	if _, err := a.connect(); err == nil && !named.Changed {
		return nil, nil // there is a server
	}
	return cfg.Watch, nil
}

// looker returns what asks for the sources: a server or, each time, the vendors of
// a file.
func (a *app) looker(c *cobra.Command) (look func(context.Context) ([]object, error), vendors bool, err error) {
	file, err := a.fromFile(c)
	if err != nil || file == nil {
		return a.lookAtServer, false, err
	}
	return func(ctx context.Context) ([]object, error) { return lookAtFile(ctx, file) }, true, nil
}

func (a *app) watch(c *cobra.Command, once bool) error {
	look, vendors, err := a.looker(c)
	if err != nil {
		return err
	}
	ctx := c.Context()
	if once || a.structured() || a.plain(a.stdout) {
		rows, err := look(ctx)
		if err != nil {
			return err
		}
		if err := a.showList(rows, watchColumns...); err != nil {
			return err
		}
		for _, r := range rows {
			if why := field(r, "why"); why != "" {
				a.say("%s: %s", field(r, "source"), why)
			}
		}
		if !once {
			return nil
		}
		return verdict(rows)
	}
	pause := 5 * time.Second
	if vendors {
		pause = time.Minute // they are asked each time
	}
	for {
		rows, err := look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprint(a.stdout, "\x1b[H\x1b[2J")
		if err := a.showList(rows, watchColumns...); err != nil {
			return err
		}
		for _, r := range rows {
			if why := field(r, "why"); why != "" {
				fmt.Fprintf(a.stdout, "\n%s: %s\n", field(r, "source"), why)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// A foundError is what saldo watch --once ends with when something is not well.
type foundError struct{ code int }

func (e foundError) Error() string { return "something is not well" }

// verdict says by an exit code what a table has: that a balance is low goes
// before what could not be read.
func verdict(rows []object) error {
	code := exitOK
	for _, r := range rows {
		found := exitOK
		switch field(r, "state") {
		case "low", "critical":
			return silent{foundError{exitRefused}}
		case "failed", "unknown":
			found = exitFailed
			switch field(r, "reason") {
			case "credential", "forbidden":
				found = exitDenied
			case "timeout", "throttled", "unavailable", "connection", "dns", "":
				found = exitRetry
			}
		}
		if code == exitOK {
			code = found
		}
	}
	if code == exitOK {
		return nil
	}
	return silent{foundError{code}}
}

// lookAtServer asks a server for its sources.
func (a *app) lookAtServer(ctx context.Context) ([]object, error) {
	s, err := a.asker()
	if err != nil {
		return nil, err
	}
	data, err := s.list(ctx, "/v1/sources", nil, 0)
	if err != nil {
		return nil, err
	}
	rows, err := asObjects(data)
	for _, r := range rows {
		r["source"] = r["name"]
		if t, err := time.Parse(time.RFC3339Nano, field(r, "read_at")); err == nil {
			r["age"] = roughly(time.Since(t))
		}
		left, _ := r["time_left"].(map[string]any)
		r["time_left_seconds"] = left
		r["time_left"] = ""
		if left["known"] == true {
			r["time_left"] = between(seconds(left["least_seconds"]), seconds(left["about_seconds"]), seconds(left["most_seconds"]))
		} else if field(r, "balance") != "" {
			r["time_left"] = "unknown"
		}
	}
	return rows, err
}

func seconds(v any) time.Duration {
	text, _ := v.(json.Number)
	n, _ := text.Int64()
	return time.Duration(n) * time.Second
}

// between writes an interval.
func between(least, about, most time.Duration) string {
	const year = 365 * 24 * time.Hour
	if least >= year {
		return "a year or more"
	}
	if roughly(least) == roughly(most) {
		return "about " + roughly(about)
	}
	if most >= year {
		return roughly(least) + " or more"
	}
	return roughly(least) + " - " + roughly(most)
}

// roughly writes a time with one unit, or two: 45s, 12m, 5h, 3d.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// lookAtFile asks every source of a file, several at a time.
func lookAtFile(ctx context.Context, file *watchConfig) ([]object, error) {
	sources, _, err := file.made(1)
	if err != nil {
		return nil, err
	}
	rows := make([]object, len(sources))
	var all sync.WaitGroup
	places := make(chan struct{}, 16)
	for i, s := range sources {
		all.Add(1)
		go func() {
			defer all.Done()
			places <- struct{}{}
			defer func() { <-places }()
			rows[i] = lookAt(ctx, s)
		}()
	}
	all.Wait()
	return rows, ctx.Err()
}

// lookAt asks a source.
func lookAt(ctx context.Context, s *watch.Source) object {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	row := object{"source": s.Name, "vendor": s.Kind, "state": "ok", "time_left": "unknown"}
	r, err := s.Reader.Read(ctx)
	if err != nil {
		row["reason"], row["why"] = watch.Explain(err)
		row["state"], row["time_left"] = "failed", ""
		return row
	}
	row["balance"], row["unit"], row["age"], row["read_at"] = r.Text, r.Unit, "0s", r.Time.UTC().Format(time.RFC3339)
	if r.Account != "" {
		row["account"] = r.Account
	}
	if r.OnHold != "" {
		row["on_hold"] = r.OnHold
	}
	row["state"] = stateOf(&r, s)
	return row
}

// stateOf compares a reading with the amounts of its source.
func stateOf(r *dialect.Reading, s *watch.Source) string {
	for _, level := range []struct{ name, at string }{{"critical", s.Critical}, {"low", s.Low}} {
		at, err := money.Parse(level.at, money.MaxScale)
		if err != nil {
			continue // none, or a share of a top-up that nobody has seen
		}
		if balance, err := money.Parse(r.Amount.Text(r.Scale), money.MaxScale); err == nil && !at.Less(balance) {
			return level.name
		}
	}
	return "ok"
}

// testSource is saldo watch test.
func (a *app) testSource(c *cobra.Command, name string) error {
	file, err := a.fromFile(c)
	if err != nil {
		return err
	}
	var row object
	if file == nil {
		s, err := a.asker()
		if err != nil {
			return err
		}
		data, err := s.call(c.Context(), http.MethodPost, "/v1/sources/"+url.PathEscape(name)+"/test", object{})
		if err != nil {
			return err
		}
		if row, err = asObject(data); err != nil {
			return err
		}
		row["source"] = row["id"]
	} else {
		sources, _, err := file.made(1)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(sources, func(s *watch.Source) bool { return s.Name == name })
		if i < 0 {
			var names []string
			for _, s := range sources {
				names = append(names, s.Name)
			}
			return usagef("the file has no source %q; it has %s", name, strings.Join(names, ", "))
		}
		row = lookAt(c.Context(), sources[i])
	}
	if why := field(row, "why"); why != "" {
		if a.whole() {
			if err := a.show(row); err != nil {
				return err
			}
			return silent{errors.New(why)}
		}
		return fmt.Errorf("%s cannot be read. %s", name, why)
	}
	return a.show(row, "source", "vendor", "account", "balance", "unit", "on_hold")
}

// addSource is saldo watch add.
func (a *app) addSource() *cobra.Command {
	var secretFile string
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Have the server watch one more source, or change the one of that name",
		Example: `  saldo watch add sms --kind twilio --account AC… --secret-file token.txt --low 20 --critical 5 --runway 3d
  saldo watch add llm --kind deepseek --secret-file - --interval 5m --low 25%
  saldo watch add cloud --kind generic --source-address https://vendor.example/v1/balance --option amount=.balance --option unit=USD --secret-file key.txt`,
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.String("kind", "", "twilio, mturk, gateway360, frontier, saldo, deepseek, openrouter or generic")
	f.String("source-address", "", "where the vendor answers (default: the vendor's own)")
	f.String("account", "", "the account at the vendor")
	f.StringArray("option", nil, "NAME=VALUE: what else the kind needs, as region=us-east-1")
	f.StringArray("label", nil, "NAME=VALUE: goes along with alerts")
	f.String("interval", "", "how often it is asked (default 15m)")
	f.String("low", "", "warn at or below this amount, or this percentage of the last top-up")
	f.String("critical", "", "the same, critical")
	f.String("runway", "", "warn when it lasts no longer than this, as 3d")
	f.String("mirror", "", "our own account for it")
	f.String("id", "", "id of the command")
	f.StringVar(&secretFile, "secret-file", "", "file with the secret; - is stdin")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		body := object{"name": args[0]}
		fieldsOf(c, body, "kind", "account", "interval", "low", "critical", "runway", "mirror", "id")
		if address, _ := f.GetString("source-address"); address != "" {
			body["address"] = address
		}
		for flag, key := range map[string]string{"option": "options", "label": "labels"} {
			given, _ := f.GetStringArray(flag)
			m := object{}
			for _, p := range given {
				k, v, ok := strings.Cut(p, "=")
				if !ok {
					return usagef("--%s %s: write NAME=VALUE", flag, p)
				}
				m[k] = v
			}
			if len(m) > 0 {
				body[key] = m
			}
		}
		if secretFile != "" {
			if body["secret"], err = a.vendorSecret(secretFile, nil); err != nil {
				return err
			}
		}
		data, err := s.call(c.Context(), http.MethodPost, "/v1/sources", body)
		if err != nil {
			return err
		}
		return a.show(data, "name", "vendor", "address", "account", "interval_seconds", "low", "critical", "runway", "state")
	}
	return c
}

func (a *app) removeSource() *cobra.Command {
	return a.simple(&cobra.Command{Use: "remove NAME", Short: "Take a source away from the server, with its history"}, cobra.ExactArgs(1),
		func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
			return s.call(ctx, http.MethodDelete, "/v1/sources/"+url.PathEscape(args[0]), nil)
		}, a.shown("id", "deleted"))
}

func (a *app) sourceReadings() *cobra.Command {
	c := &cobra.Command{Use: "history NAME", Short: "What a source has shown", Example: "  saldo watch history sms --since 720h -o csv"}
	spanFlag(c.Flags(), "since", 7*24*time.Hour, "how far back")
	return a.simple(c, cobra.ExactArgs(1), func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
		back := spanOf(c, "since")
		return s.list(ctx, "/v1/sources/"+url.PathEscape(args[0])+"/readings", url.Values{"since": {time.Now().Add(-back).UTC().Format(time.RFC3339)}}, 0)
	}, a.listed("created_at", "balance", "consumed", "added", "drift"))
}
