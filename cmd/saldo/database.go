package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
	"saldo/store/postgres"
)

// isDatabase reports whether a place of books is a database, and not a directory.
func isDatabase(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// withoutSecret is a database's URL as it may be shown.
func withoutSecret(place string) string {
	u, err := url.Parse(place)
	if err != nil || !isDatabase(place) {
		return place
	}
	q := u.Query()
	for _, key := range []string{"password", "sslpassword"} {
		if q.Has(key) {
			q.Set(key, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

// checkStore checks the setting store, and what goes with it.
func (c *config) checkStore(r *reader) {
	switch {
	case c.Store == "":
	case !isDatabase(c.Store):
		r.fail("store", "has to be postgres://…; for a directory there is data")
	case c.MasterKey == "" && c.MasterKeyFile == "":
		r.fail("store", "needs the master key: give every node the same, by master-key-file or SALDO_MASTER_KEY (a line of 1, a space and the output of 'openssl rand -base64 32')")
	}
}

// openDatabase opens the books of a node that shares them with others.
func (n *node) openDatabase(ctx context.Context) (ledger.Store, error) {
	var err error
	if n.database, err = postgres.Open(ctx, n.config.Store, postgres.Options{Logger: n.log}); err != nil {
		return nil, fmt.Errorf("the database: %w", err)
	}
	return countedShared{n.database, counted{n.database, n.metrics}}, nil
}

// books is the node's store, whichever it is.
func (n *node) books() ledger.Store {
	if n.database != nil {
		return n.database
	}
	return n.store
}

// readyDatabase says whether the database can be written to.
func (n *node) readyDatabase(ctx context.Context) error {
	if n.database == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.database.Ping(ctx); err != nil { // whoever asks is told no host
		n.log.Warn("the database does not answer", "error", err)
		return ledger.Errorf(ledger.Unavailable, "the database does not answer")
	}
	return nil
}

// beginning marks where each request begins, so that one look at the database
// serves all that it reads.
func beginning(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(ledger.Begin(r.Context())))
	})
}

// begun marks the requests of every handler.
func (n *node) begun() {
	if n.database == nil {
		return
	}
	n.wrap(beginning)
}

// wrap puts something before every handler.
func (n *node) wrap(with func(http.Handler) http.Handler) {
	n.customers = with(n.customers)
	if n.admin != nil {
		n.admin = with(n.admin)
	}
	for name, h := range n.own {
		n.own[name] = with(h)
	}
}

// countedShared is counted for a store that nodes share.
type countedShared struct {
	ledger.SharedStore
	counted counted
}

func (s countedShared) Append(ctx context.Context, b *ledger.Batch) error {
	return s.counted.Append(ctx, b)
}

func (s countedShared) Lock(ctx context.Context, known []ledger.BookEnd) (ledger.StoreLock, error) {
	lock, err := s.SharedStore.Lock(ctx, known)
	if err != nil {
		return nil, err
	}
	return countedLock{lock, s.counted.m}, nil
}

type countedLock struct {
	ledger.StoreLock
	m *metrics
}

func (l countedLock) Append(ctx context.Context, b *ledger.Batch) error {
	err := l.StoreLock.Append(ctx, b)
	if err == nil {
		l.m.count(b)
	}
	return err
}

// errInDatabase is for what a node does to a data directory alone.
var errInDatabase = &native.Error{Status: http.StatusConflict, Code: native.CodeValidation,
	Message: "The books are in a database: back it up with its own tools, and prove them with saldo verify --store"}

// migrateCommand is saldo migrate.
func (a *app) migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Make a database's tables, or bring them up to date",
		Long: `Make the tables of the books in a PostgreSQL database, or bring them to what this
version needs. A server does so by itself when it starts, if it may; several at
once wait for each other. Nodes of the version before go on while the tables
only gain something.`,
		Example: "  saldo migrate --store postgres://saldo@db.example.com/saldo",
	}
	c.Flags().String("store", "", "postgres://… (default: SALDO_STORE)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		place, err := a.storeFlag(c)
		if err != nil {
			return err
		}
		m, err := postgres.Migrate(c.Context(), place)
		if err != nil {
			return err
		}
		return a.show(object{"from": m.From, "to": m.To, "format": m.Format}, "from", "to", "format")
	}
	return c
}

func (a *app) storeFlag(c *cobra.Command) (string, error) {
	place, _ := c.Flags().GetString("store")
	if place = firstOf(place, a.getenv("SALDO_STORE")); !isDatabase(place) {
		return "", usagef("give --store postgres://…")
	}
	return place, nil
}

// verifyDatabase proves books in a database, as they are when it begins.
func verifyDatabase(ctx context.Context, place string, o ledger.VerifyOptions) (r ledger.Report, err error) {
	store, err := postgres.OpenSnapshot(ctx, place, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if r, err = ledger.Verify(ctx, store, o); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the books are NOT proved: %w", err)
	}
	return r, err
}

// copyCommand is saldo copy.
func (a *app) copyCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "copy --from BOOKS --to BOOKS",
		Short: "Copy all books between a data directory and a database, either way",
		Long: `Copy all books from a data directory to a PostgreSQL database, or back. The
journals are copied byte by byte, so their hash chains are the same; what they
make is made again. Stop the servers of both. A copy that was broken off goes on
when it is called again; nothing is copied over other books.

The master key is not copied: give the server of the copy the same.`,
		Example: `  saldo copy --from ./data --to postgres://saldo@db.example.com/saldo
  saldo copy --from postgres://saldo@db.example.com/saldo --to ./data`,
	}
	c.Flags().StringVar(&from, "from", "", "data directory, or postgres://…")
	c.Flags().StringVar(&to, "to", "", "data directory, or postgres://…")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if from == "" || to == "" {
			return usagef("give --from and --to")
		}
		ctx := c.Context()
		source, closeSource, err := openFrom(ctx, from)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSource()) }()
		target, closeTarget, err := openTo(ctx, to)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeTarget()) }()
		p := a.progress("copying")
		heads, err := ledger.Copy(ctx, source, target, p.events)
		p.end()
		if err != nil {
			return err
		}
		items := []object{}
		for _, h := range heads {
			items = append(items, headObject(h))
		}
		return a.showList(items, "book", "seq", "hash")
	}
	return c
}

// openFrom opens books to be read.
func openFrom(ctx context.Context, place string) (ledger.Store, func() error, error) {
	quiet := slog.New(slog.DiscardHandler)
	if isDatabase(place) {
		s, err := postgres.OpenSnapshot(ctx, place, postgres.Options{Logger: quiet})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	s, err := openToRead(place)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// openTo opens books, or makes some, to be written.
func openTo(ctx context.Context, place string) (ledger.Store, func() error, error) {
	quiet := slog.New(slog.DiscardHandler)
	if isDatabase(place) {
		s, err := postgres.Open(ctx, place, postgres.Options{Logger: quiet})
		if err != nil {
			return nil, nil, err
		}
		return s, func() error { return errors.Join(s.WaitErased(ctx), s.Close()) }, nil
	}
	dir, err := filepath.Abs(place)
	if err != nil {
		return nil, nil, err
	}
	s, err := embedded.Open(dir, embedded.Options{DiskReserve: -1, Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	return s, func() error { return errors.Join(s.WaitIndexes(ctx), s.WaitErased(ctx), s.Close()) }, nil
}
