package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// simple makes a command that asks one thing.
func (a *app) simple(c *cobra.Command, args cobra.PositionalArgs, ask func(ctx context.Context, s *asker, args []string) (json.RawMessage, error),
	show func(data json.RawMessage) error) *cobra.Command {
	c.Args = args
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		data, err := ask(c.Context(), s, args)
		if err != nil {
			return err
		}
		return show(data)
	}
	return c
}

// shown, listed and paged print the answer of a simple command.
func (a *app) shown(columns ...string) func(json.RawMessage) error {
	return func(data json.RawMessage) error { return a.show(data, columns...) }
}

func (a *app) listed(columns ...string) func(json.RawMessage) error {
	return func(data json.RawMessage) error { return a.showList(data, columns...) }
}

func (a *app) paged(columns ...string) func(json.RawMessage) error {
	return func(data json.RawMessage) error { return a.showItems(data, columns...) }
}

// tenantCommand is saldo tenant.
func (a *app) tenantCommand() *cobra.Command {
	columns := []string{"name", "number", "id", "created_at"}
	c := &cobra.Command{Use: "tenant", Aliases: []string{"tenants"}, Short: "The organizations that share a server"}
	c.AddCommand(
		a.simple(&cobra.Command{Use: "create NAME", Short: "Make a tenant, and its first book", Example: "  saldo tenant create acme"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.call(ctx, http.MethodPost, "/v1/tenants", object{"name": args[0]})
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "get NAME", Short: "Show a tenant"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.get(ctx, "/v1/tenants/"+url.PathEscape(args[0]), nil)
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "list", Short: "List the tenants"}, cobra.NoArgs,
			func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
				return s.list(ctx, "/v1/tenants", nil, 0)
			}, a.listed(columns...)),
		a.aliasCommand("a tenant", "  saldo tenant alias add acme frontier 4eef0ae7-3f73-4886-aeb3-c59f4bca67a4",
			func(_ context.Context, _ *asker, word string) (string, error) {
				return "/v1/tenants/" + url.PathEscape(word), nil
			}))
	return c
}

// bookCommand is saldo book.
func (a *app) bookCommand() *cobra.Command {
	columns := []string{"name", "number", "seq", "hash", "units", "created_at"}
	c := &cobra.Command{Use: "book", Aliases: []string{"books"}, Short: "The journals of a tenant"}
	c.AddCommand(
		a.simple(&cobra.Command{Use: "create NAME", Short: "Make a further book", Example: "  saldo book create europe"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.call(ctx, http.MethodPost, "/v1/books", object{"name": args[0]})
			}, a.shown("name", "number", "created_at")),
		a.simple(&cobra.Command{Use: "get NAME", Short: "Show a book and its head"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.get(ctx, "/v1/books/"+url.PathEscape(args[0]), nil)
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "list", Short: "List the books and their heads"}, cobra.NoArgs,
			func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
				return s.get(ctx, "/v1/books", nil)
			}, a.paged(columns...)))
	return c
}

// unitCommand is saldo unit.
func (a *app) unitCommand() *cobra.Command {
	columns := []string{"code", "kind", "scale"}
	c := &cobra.Command{Use: "unit", Aliases: []string{"units"}, Short: "What balances count: currencies, and units of your own"}
	create := &cobra.Command{Use: "create CODE", Short: "Make a unit; its scale is fixed for ever",
		Example: "  saldo unit create CREDITS\n  saldo unit create SMS --scale 0"}
	create.Flags().Int("scale", 4, "decimals that are kept, 0 to 18")
	create.Flags().String("kind", "credit", "credit or currency")
	c.AddCommand(
		a.simple(create, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				body := object{"code": args[0]}
				fieldsOf(create, body, "scale", "kind")
				return s.call(ctx, http.MethodPost, "/v1/units", body)
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "get CODE", Short: "Show a unit"}, cobra.ExactArgs(1),
			func(ctx context.Context, s *asker, args []string) (json.RawMessage, error) {
				return s.get(ctx, "/v1/units/"+url.PathEscape(args[0]), nil)
			}, a.shown(columns...)),
		a.simple(&cobra.Command{Use: "list", Short: "List the units that were made or are in use"}, cobra.NoArgs,
			func(ctx context.Context, s *asker, _ []string) (json.RawMessage, error) {
				return s.get(ctx, "/v1/units", nil)
			}, a.paged(columns...)))
	return c
}
