package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// statementCommand is saldo statement.
func (a *app) statementCommand() *cobra.Command {
	var from, to, kind string
	var oldest bool
	var limit int
	c := &cobra.Command{
		Use: "statement ACCOUNT", Short: "What happened on an account, line by line, with the running balance", Args: cobra.ExactArgs(1),
		Example: `  saldo statement ann
  saldo statement ann --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --oldest-first -o csv > january.csv
  saldo statement ann --kind charge --limit 0 -o json`,
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
			for name, value := range map[string]string{"from": from, "to": to, "kind": kind} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if oldest {
				query.Set("order", "asc")
			}
			data, err := s.list(c.Context(), "/v1/accounts/"+url.PathEscape(id)+"/statement", query, limit)
			if err != nil {
				return err
			}
			columns := []string{"created_at", "id", "kind", "amount", "posted", "unit", "counterparty"}
			if a.output == "csv" {
				columns = append(columns, "via", "category", "count", "usage_unit", "of", "hold", "reason", "seq", "forced")
			} else {
				columns = append(columns, "reason", "forced")
			}
			return a.showList(data, columns...)
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "from this time on")
	f.StringVar(&to, "to", "", "before this time")
	f.StringVar(&kind, "kind", "", "topup, charge, capture, refund, adjustment or move")
	f.BoolVar(&oldest, "oldest-first", false, "in the order in which it happened")
	f.IntVar(&limit, "limit", 50, "how many lines at most; 0: all")
	return c
}

// eventsCommand is saldo events.
func (a *app) eventsCommand() *cobra.Command {
	var after, book string
	var follow bool
	var limit int
	c := &cobra.Command{
		Use: "events", Short: "A book's journal, in order; one JSON object a line with -o json --follow",
		Example: "  saldo events --after 100\n  saldo events --follow",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			query := url.Values{}
			if book != "" {
				query.Set("book", book)
			}
			if after != "" {
				query.Set("after", after)
			}
			if follow && c.Flags().Changed("limit") {
				return usagef("--limit does not go with --follow, which goes on until it is stopped")
			}
			if follow {
				return a.follow(c.Context(), s, query)
			}
			data, err := s.events(c.Context(), query, limit)
			if err != nil {
				return err
			}
			rows, err := asObjects(data)
			if err != nil || a.whole() {
				return errorOr(err, func() error { return a.showList(data) })
			}
			for _, o := range rows {
				o["what"] = summary(o)
			}
			return a.showList(rows, "seq", "created_at", "outcome", "what", "command_id")
		},
	}
	f := c.Flags()
	f.StringVar(&after, "after", "", "only events after this seq")
	f.StringVar(&book, "book", "", "which book (default: main)")
	f.BoolVarP(&follow, "follow", "f", false, "go on as events happen, until Ctrl-C")
	f.IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return c
}

func errorOr(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// events asks for the pages of a journal, whose cursor is a seq.
func (s *asker) events(ctx context.Context, query url.Values, most int) (json.RawMessage, error) {
	items := []json.RawMessage{}
	for {
		size := 1000
		if most > 0 {
			size = min(size, most-len(items))
		}
		query.Set("limit", strconv.Itoa(size))
		data, err := s.get(ctx, "/v1/events", query)
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || most > 0 && len(items) >= most {
			return json.Marshal(items)
		}
		query.Set("after", page.Next)
	}
}

// summary says in a few words what an event did.
func summary(o object) string {
	var parts []string
	each := func(name string, say func(object) string) {
		list, _ := o[name].([]any)
		for _, v := range list {
			if item, ok := v.(object); ok && len(parts) < 3 {
				parts = append(parts, say(item))
			}
		}
	}
	each("transfers", func(t object) string { return fmt.Sprintf("%v %v %v", t["kind"], t["amount"], t["unit"]) })
	each("holds", func(h object) string { return fmt.Sprintf("hold %v %v %v", h["act"], h["amount"], h["unit"]) })
	each("opened", func(a object) string { return fmt.Sprintf("opened %v", a["id"]) })
	each("settings", func(a object) string { return fmt.Sprintf("set %v", a["id"]) })
	for _, name := range []string{"erased", "units"} {
		list, _ := o[name].([]any)
		for _, v := range list {
			if len(parts) < 3 {
				parts = append(parts, fmt.Sprintf("%s %v", strings.TrimSuffix(name, "s"), v))
			}
		}
	}
	if fmt.Sprint(o["seq"]) == "1" {
		parts = append([]string{"opened the book"}, parts...)
	}
	if code, ok := o["code"]; ok {
		parts = append(parts, fmt.Sprint(code))
	}
	if len(parts) == 0 {
		return "kept a record" // of a dialect's: events do not show them
	}
	return strings.Join(parts, ", ")
}

// follow prints events as they happen, one a line. It connects again when the
// connection ends.
func (a *app) follow(ctx context.Context, s *asker, query url.Values) error {
	for {
		last, err := a.stream(ctx, s, query)
		if last != "" {
			query.Set("after", last)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && exitCode(err) != exitRetry {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// stream reads one connection's events, and returns the id of the last.
func (a *app) stream(ctx context.Context, s *asker, query url.Values) (last string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/events?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+s.Token)
	if s.Tenant != "" {
		r.Header.Set("Saldo-Tenant", s.Tenant)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", s.explained(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return "", fmt.Errorf("%s answers %s: %s", s.URL, resp.Status, b)
	}
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		line := in.Text()
		if id, ok := strings.CutPrefix(line, "id:"); ok {
			last = strings.TrimSpace(id)
		}
		data, ok := strings.CutPrefix(line, "data:")
		if !ok {
			continue
		}
		if err := a.printEvent([]byte(strings.TrimSpace(data))); err != nil {
			return last, err
		}
	}
	return last, in.Err()
}

func (a *app) printEvent(data []byte) error {
	if a.jq != "" || len(a.fields) > 0 {
		return a.show(json.RawMessage(data))
	}
	if a.output == "json" {
		_, err := fmt.Fprintf(a.stdout, "%s\n", data)
		return err
	}
	o, err := asObject(json.RawMessage(data))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s  %s  %s  %s\n", field(o, "seq"), field(o, "created_at"), field(o, "outcome"), summary(o))
	return err
}
