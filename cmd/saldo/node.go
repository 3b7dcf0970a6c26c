package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"saldo/auth"
	"saldo/dash"
	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
	"saldo/store/postgres"
	"saldo/watch"
)

// tokenFile is the name of the file, in the data directory, that has the token
// of the first operator.
const tokenFile = "operator.token"

// A node is a server without its listeners: a store that it has to itself, the
// ledger on it, who may ask, and what answers.
type node struct {
	config   *config
	log      *slog.Logger
	store    *embedded.Store // nil: the books are in the database
	database *postgres.Store
	ledger   *ledger.Ledger
	auth     *auth.Auth
	desk     *mturk.Desk
	metrics  *metrics
	traces   *tracing // nil: none
	watch    *watch.Watch
	file     watchedFile

	customers http.Handler
	admin     http.Handler            // nil: customers has it all
	own       map[string]http.Handler // of dialects that have a listener for themselves
	stopping  atomic.Bool
	ending    chan struct{}   // closed when stopping: event streams end
	requests  sync.RWMutex    // each that is answered has it for reading
	running   sync.WaitGroup  // what dialects do by themselves
	work      context.Context // of that: ends with close
	stopWork  context.CancelFunc
	token     string // of the first operator, when it was made now
}

// openNode opens the data directory, or makes it, and everything on it.
func openNode(ctx context.Context, c *config, log *slog.Logger) (_ *node, err error) {
	n := &node{config: c, log: log, ending: make(chan struct{})}
	n.work, n.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	registry := prometheus.NewRegistry()
	n.metrics = newMetrics(registry)
	store, err := n.openStore(ctx)
	if err != nil {
		return nil, err
	}
	o := ledger.Options{Logger: log, Observe: n.metrics.commit}
	if c.Traces {
		if n.traces, err = openTracing(ctx, log); err != nil {
			return nil, err
		}
		store, o.Posted = n.traces.store(store), n.traces.posted
	}
	if n.ledger, err = ledger.Open(ctx, store, o); err != nil {
		return nil, err
	}
	keys, err := n.masterKeys(ctx)
	if err != nil {
		return nil, err
	}
	if n.auth, err = auth.Open(ctx, n.ledger, keys, auth.Options{Logger: log}); err != nil {
		return nil, err
	}
	if err := n.begin(ctx); err != nil {
		return nil, err
	}
	tokens := n.config.MTurkTokens
	if tokens == 0 {
		tokens = -1 // for ever
	}
	// Whether its dialects are spoken or not: what is due is due.
	n.desk = mturk.NewDesk(n.ledger, mturk.DeskOptions{Logger: log, Fees: &n.config.MTurkFees, TokenLife: tokens, Currency: n.config.MTurkCurrency})
	if err := n.openWatch(ctx, keys); err != nil {
		return nil, err
	}
	n.metrics.watch(n)
	n.route(registry, keys)
	n.begun()
	if n.traces != nil {
		n.wrap(n.traces.requests)
	}
	return n, nil
}

// masterKeys returns the keys that secrets are sealed under. A directory without
// books gets one of its own; one with books has lost theirs.
func (n *node) masterKeys(ctx context.Context) (auth.MasterKeys, error) {
	c := n.config
	if path := filepath.Join(c.Data, auth.MasterKeyFile); c.MasterKey == "" && c.MasterKeyFile == "" && !isThere(path) {
		head, err := n.ledger.Head(ctx, 0) // the operator's, which every store begins with
		if err != nil {
			return auth.MasterKeys{}, err
		}
		if head.Seq > 0 {
			return auth.MasterKeys{}, fmt.Errorf("%s is missing: put back the one that these books were used with, or the copy that was kept of it (backups leave it out unless asked)", path)
		}
	}
	return auth.LoadMasterKeys(c.Data, c.MasterKeyFile, c.MasterKey)
}

// openWatch begins to watch what the file and the store say.
func (n *node) openWatch(ctx context.Context, keys auth.MasterKeys) error {
	t, err := n.ledger.TenantByName(ctx, ledger.FirstBook)
	if err != nil {
		return err
	}
	o := watch.Options{Ledger: n.ledger, Logger: n.log, Keys: keys}
	if n.traces != nil {
		o.Tracer = n.traces.tracer
	}
	if n.config.Store != "" {
		host, _ := os.Hostname()
		o.Node = host + " " + newID() // of this process: what another one claimed runs out
	}
	if n.config.Watch != nil {
		o.Allow = n.config.Watch.allow
	}
	if o.Sources, o.Endpoints, err = n.config.Watch.made(t.Number); err != nil {
		return err
	}
	n.file = watchedFile{n.config.Watch, o.Sources}
	// Whoever may add sources has chosen their addresses, and not this server's
	// operator: they are on the Internet, or where the operator allows it.
	guarded := watch.Guarded(o.Allow, 30*time.Second)
	o.Reader = func(s *watch.Spec, secret string) (dialect.Reader, error) { return sourceReader(s, secret, guarded) }
	n.watch, err = watch.Open(ctx, o)
	return err
}

// openStore opens the store that the node is told to have.
func (n *node) openStore(ctx context.Context) (_ ledger.Store, err error) {
	c := n.config
	if c.Store != "" {
		return n.openDatabase(ctx)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	if n.store, err = embedded.Open(c.Data, embedded.Options{Logger: n.log, CacheBytes: c.Cache, DiskReserve: reserveOf(c.DiskReserve)}); err != nil {
		return nil, err
	}
	return counted{n.store, n.metrics}, nil
}

// reserveOf turns none, as the setting has it, into what the store calls none.
func reserveOf(bytes int64) int64 {
	if bytes == 0 {
		return -1
	}
	return bytes
}

// begin makes what a new store begins with: an operator and a tenant.
func (n *node) begin(ctx context.Context) error {
	token, made, err := n.auth.FirstOperator(ctx)
	if err != nil {
		return err
	}
	if made {
		n.token = token
		if n.database == nil {
			err = writeSecret(filepath.Join(n.config.Data, tokenFile), token)
		}
		if err != nil {
			return err
		}
	}
	_, err = n.ledger.TenantByName(ctx, ledger.FirstBook)
	if ledger.CodeOf(err) == ledger.NotFound {
		_, _, err = n.ledger.CreateTenant(ctx, 0, "", ledger.Tenant{Name: ledger.FirstBook})
		if ledger.CodeOf(err) == ledger.Exists {
			err = nil
		}
	}
	return err
}

// writeSecret writes a file that only its owner can read, as a whole.
func writeSecret(path, secret string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(secret + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close()) // what is shown once has to be there after a power cut
}

// readSecret reads a file that writeSecret wrote, or somebody by hand.
func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// route makes what answers requests.
func (n *node) route(registry *prometheus.Registry, keys auth.MasterKeys) {
	counts := dialect.NewMetrics(registry)
	counts.Traced = n.traces != nil
	limits := dialect.NewLimits(dialect.Rate{Requests: int(n.config.Rate), Window: time.Minute})
	o := native.Options{Logger: n.log, Metrics: counts, Limits: limits, Keys: keys,
		ClientAddr: clientAddr(n.config.TrustedProxies), Ready: n.ready, SecureCookies: n.config.PlaintextBehindProxy, Done: n.ending,
		Endpoints: append(workAPI{n.desk}.endpoints(), n.watchEndpoints()...), Schemas: bothSchemas(workSchemas, watchSchemas)}
	var public http.Handler
	if n.config.AdminListen != "" {
		customers := o
		customers.Elsewhere = adminPaths
		public = native.New(n.ledger, n.auth, customers)
	}
	own := &administration{node: n, registry: registry}
	o.Endpoints, o.Schemas = append(o.Endpoints, own.endpoints()...), bothSchemas(o.Schemas, adminSchemas)
	own.next = native.New(n.ledger, n.auth, o)
	admin := dash.New(own)
	if public == nil {
		public = admin
	} else {
		n.admin = admin
	}
	n.customers, n.own = n.speak(public, dialect.Options{Logger: n.log, Metrics: counts, Limits: limits, ClientAddr: clientAddr(n.config.TrustedProxies)})
}

func bothSchemas(all ...map[string]json.RawMessage) map[string]json.RawMessage {
	both := map[string]json.RawMessage{}
	for _, m := range all {
		maps.Copy(both, m)
	}
	return both
}

// ready says why the server should get no requests now.
func (n *node) ready(ctx context.Context) error {
	if n.stopping.Load() {
		return ledger.Errorf(ledger.Unavailable, "the server is stopping")
	}
	return n.readyDatabase(ctx)
}

// close ends everything, in the order that nothing is lost in.
func (n *node) close() error {
	n.stopWork()
	n.running.Wait()
	var err error
	if n.watch != nil {
		err = n.watch.Close()
	}
	if n.ledger != nil {
		err = errors.Join(err, n.ledger.Close())
	}
	if n.store != nil {
		behind, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.store.WaitIndexes(behind) // what they lack they get after the next start
		err = errors.Join(err, n.store.Close())
	}
	if n.database != nil {
		err = errors.Join(err, n.database.Close())
	}
	n.traces.close()
	return err
}

// logHeads writes the end of every book into the log, so that a copy of the log
// proves later that nothing was taken away (see saldo verify --expect).
func (n *node) logHeads(ctx context.Context, when string) {
	for row, err := range n.ledger.Scan(ctx, ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			n.log.Error("the heads of the books cannot be read", "error", err)
			return
		}
		n.log.Info("head", "when", when, "book", row.Head.Book, "seq", row.Head.Seq, "hash", hex.EncodeToString(row.Head.Hash[:]))
	}
}

// isThere reports whether a file exists.
func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
