package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"saldo/dialect/native"
	"saldo/watch"
)

// An asker asks a server, in the name of one command.
type asker struct {
	*native.Client
	app      *app
	replayed bool // the last answer was one given before
}

// RoundTrip notes whether an answer was given before, which stands in a header.
func (s *asker) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	s.replayed = err == nil && resp.Header.Get("Idempotent-Replayed") == "true"
	return resp, err
}

func (a *app) asker() (*asker, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	c.Tenant = firstOf(a.to.tenant, a.getenv("SALDO_TENANT"))
	s := &asker{Client: c, app: a}
	c.HTTP = &http.Client{Transport: s, Timeout: 2 * time.Minute}
	return s, nil
}

// get asks for data.
func (s *asker) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return s.call(ctx, http.MethodGet, path, nil)
}

// call asks, and returns the answer's data.
func (s *asker) call(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	var data json.RawMessage
	if err := s.Do(ctx, method, path, body, &data); err != nil {
		return nil, s.explained(err)
	}
	return data, nil
}

// explained says of a server that cannot be reached what to do.
func (s *asker) explained(err error) error {
	var e *url.Error
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return &usageError{fmt.Sprintf("%s has a certificate that does not hold here: %v (SSL_CERT_FILE names an authority of your own; the name in --address has to be the certificate's)", s.URL, untrusted.Err)}
	}
	if errors.As(err, &e) {
		return fmt.Errorf("%s cannot be reached (is the server running? saldo serve, saldo demo): %w", s.URL, err)
	}
	return err
}

// list asks for the pages of a list until there are most items; 0: all.
func (s *asker) list(ctx context.Context, path string, query url.Values, most int) (json.RawMessage, error) {
	items := []json.RawMessage{}
	err := s.pages(ctx, path, query, most, func(page []json.RawMessage) bool {
		items = append(items, page...)
		return true
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(items)
}

// pages asks for the pages of a list until there were most items (0: all), or
// take has had enough.
func (s *asker) pages(ctx context.Context, path string, query url.Values, most int, take func([]json.RawMessage) bool) error {
	if most < 0 {
		return usagef("--limit %d: write how many at most, or 0 for all", most)
	}
	if query == nil {
		query = url.Values{}
	}
	for had := 0; ; {
		size := 1000
		if most > 0 {
			size = min(size, most-had)
		}
		query.Set("limit", fmt.Sprint(size))
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		data, err := s.get(ctx, path, query)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return err
		}
		had += len(page.Items)
		if !take(page.Items) || page.Next == "" || most > 0 && had >= most {
			return nil
		}
		query.Set("cursor", page.Next)
	}
}

// account returns the path of what a word names: an id or, of accounts, the
// exact name of one. All that have the word are looked at, for a second one of
// that name may be anywhere among them.
func (s *asker) account(ctx context.Context, word string) (string, error) {
	if isAccountID(word) {
		return word, nil
	}
	var ids []string
	err := s.pages(ctx, "/v1/search", url.Values{"q": {word}}, 0, func(page []json.RawMessage) bool {
		for _, item := range page {
			var found struct{ ID, Name string }
			if json.Unmarshal(item, &found) == nil && strings.EqualFold(found.Name, word) {
				ids = append(ids, found.ID)
			}
		}
		return len(ids) < 2
	})
	if err != nil {
		return "", err
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", &native.Error{Status: 404, Code: native.CodeNotFound, Message: fmt.Sprintf("no account has the id or the name %q; saldo account search finds parts of names", word)}
	}
	return "", usagef("several accounts have the name %q; use an id: %s", word, strings.Join(ids, ", "))
}

func isAccountID(s string) bool {
	if strings.HasPrefix(s, "@") || len(s) == 34 && strings.HasPrefix(s, "AC") {
		return true
	}
	_, err := uuid.Parse(s)
	return err == nil
}

// newID makes the id of a command that was given none.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// fieldsOf adds what was given by flag to a body.
func fieldsOf(c *cobra.Command, body object, flags ...string) {
	for _, name := range flags {
		f := c.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		key := strings.ReplaceAll(name, "-", "_")
		switch f.Value.Type() {
		case "bool":
			body[key] = f.Value.String() == "true"
		case "stringSlice":
			body[key], _ = c.Flags().GetStringSlice(name)
		case "int":
			body[key], _ = c.Flags().GetInt(name)
		default:
			body[key] = f.Value.String()
		}
	}
}

// A span is the time that a flag gives, in which days may stand: 36h, 3d.
type span time.Duration

func (s *span) String() string { return time.Duration(*s).String() }
func (s *span) Type() string   { return "duration" }

func (s *span) Set(text string) error {
	d, err := watch.ParseDuration(text)
	if err == nil && d%time.Second != 0 {
		err = errors.New("write whole seconds")
	}
	*s = span(d)
	return err
}

func spanFlag(f *pflag.FlagSet, name string, value time.Duration, usage string) {
	s := span(value)
	f.Var(&s, name, usage)
}

func spanOf(c *cobra.Command, name string) time.Duration {
	s, _ := c.Flags().Lookup(name).Value.(*span)
	return time.Duration(*s)
}

// secondsOf adds the time that was given by a flag to a body.
func secondsOf(c *cobra.Command, body object, name, key string) {
	if f := c.Flags().Lookup(name); f != nil && f.Changed {
		body[key] = int64(spanOf(c, name) / time.Second)
	}
}

// metadata reads --metadata: a JSON object, or KEY=VALUE.
func metadata(c *cobra.Command, body object) error {
	pairs, err := c.Flags().GetStringArray("metadata")
	if err != nil || len(pairs) == 0 {
		return nil
	}
	m := object{}
	for _, p := range pairs {
		if strings.HasPrefix(strings.TrimSpace(p), "{") {
			given, err := decoded(json.RawMessage(p))
			o, ok := given.(object)
			if err != nil || !ok {
				return usagef("--metadata %s: write KEY=VALUE, or a JSON object", p)
			}
			maps.Copy(m, o)
			continue
		}
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return usagef("--metadata %s: write KEY=VALUE, or a JSON object", p)
		}
		m[k] = v
	}
	body["metadata"] = m
	return nil
}

// confirm asks a person on a terminal whether to go on. Where nobody can be
// asked, the command itself was the answer.
func (a *app) confirm(yes bool, format string, args ...any) error {
	if yes || a.noInput || !isTerminal(a.stdin) {
		return nil
	}
	fmt.Fprintf(a.stderr, format+" [y/N] ", args...)
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
