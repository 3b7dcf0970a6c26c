package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"saldo/dialect/native"
	"saldo/store/postgres/pgtest"
)

// A database is an empty one in a PostgreSQL that syncs what it commits: one of
// its own, or the one that Options.Store names.
type database struct {
	server *pgtest.Server // nil: it was there before
	admin  string         // URL of the server's database from which others are made
	name   string
	url    string // what servers are told
	proxy  *pgtest.Proxy
}

// ErrNoPostgres says that there is none to measure on.
var ErrNoPostgres = errors.New("there is no PostgreSQL on this machine (initdb, in the PATH or in /usr/lib/postgresql/*/bin); install one, or give --store")

func newDatabase(ctx context.Context, o Options) (d *database, err error) {
	made := &database{admin: o.Store, name: "saldo_bench_" + strings.ToLower(rand.Text()[:10])}
	d = made
	defer func() {
		if err != nil {
			err = errors.Join(err, made.close())
		}
	}()
	if d.admin == "" {
		if !pgtest.Installed() { // a test would install one
			return nil, ErrNoPostgres
		}
		if d.server, err = pgtest.Start(pgtest.Options{Sync: true}); err != nil {
			return nil, err
		}
		d.admin = d.server.URL("postgres")
	}
	if err := d.exec(ctx, "CREATE DATABASE "+d.name+" TEMPLATE template0"); err != nil {
		return nil, err
	}
	u, err := url.Parse(d.admin)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + d.name
	d.url = u.String()
	return d, nil
}

// far puts a proxy before the database that adds a time to each round trip.
func (d *database) far(latency time.Duration) (err error) {
	if d.server == nil {
		return errors.New("time is added only to a PostgreSQL of its own: leave out --store")
	}
	if d.proxy, err = pgtest.StartProxy(d.server.Socket); err != nil {
		return err
	}
	d.proxy.Latency(latency)
	d.url = d.proxy.URL(d.name)
	return nil
}

func (d *database) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func (d *database) close() (err error) {
	if d.proxy != nil {
		err = d.proxy.Close()
	}
	if d.server != nil {
		return errors.Join(err, d.server.Close())
	}
	if d.url != "" {
		err = errors.Join(err, d.exec(context.Background(), "DROP DATABASE "+d.name+" WITH (FORCE)"))
	}
	return err
}

// nodes starts servers on a database. The first one has a rich account.
func (d *database) nodes(ctx context.Context, o Options, n int) (nodes []*world, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(nodes))
		}
	}()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	env := []string{"SALDO_STORE=" + d.url, "SALDO_MASTER_KEY=1 " + base64.StdEncoding.EncodeToString(key)}
	token := ""
	for range n {
		server, err := startServer(ctx, env, func(line string) {
			if token == "" && strings.HasPrefix(line, "saldo") && !strings.Contains(line, " ") {
				token = line
			}
		})
		if err != nil {
			return nodes, err
		}
		w := &world{o: o, server: server, host: server.address,
			client: &native.Client{URL: "http://" + server.address, Token: token}}
		nodes = append(nodes, w)
		if w.dir, err = os.MkdirTemp(o.Dir, "saldo-bench-"); err != nil {
			return nodes, err
		}
	}
	return nodes, nodes[0].open(ctx)
}

func closeAll(nodes []*world) (err error) {
	for _, w := range nodes {
		err = errors.Join(err, w.close())
	}
	return err
}

// tenant returns the same server as it is to a tenant of its own, with a book
// and a rich account of its own.
func (w *world) tenant(ctx context.Context, name string) (*world, error) {
	if err := w.client.Do(ctx, http.MethodPost, "/v1/tenants", map[string]any{"name": name}, nil); err != nil {
		return nil, err
	}
	inside := native.Client{URL: w.client.URL, Token: w.client.Token, Tenant: name}
	var k key
	spec := map[string]any{"dialect": "native", "scopes": []string{"read", "charge", "topup", "admin"}}
	if err := inside.Do(ctx, http.MethodPost, "/v1/credentials", spec, &k); err != nil {
		return nil, err
	}
	t := &world{o: w.o, host: w.host, client: &native.Client{URL: w.client.URL, Token: k.Secret}}
	return t, t.open(ctx)
}

// onPostgres measures on a number of servers of a database.
func onPostgres(ctx context.Context, o Options, nodes int, latency time.Duration, measure func(*database, []*world) (*Report, error)) (r *Report, err error) {
	if o.Address != "" {
		return nil, errors.New("servers on PostgreSQL are started here: leave out --address")
	}
	d, err := newDatabase(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if latency > 0 {
		if err := d.far(latency); err != nil {
			return nil, err
		}
	}
	all, err := d.nodes(ctx, o, nodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(all)) }()
	return measure(d, all)
}

// PGCharge measures one charge a request on one account of a node on PostgreSQL;
// beside a handler that calls a function which locks the two rows, with a
// connection for each client, as pgbench has.
func PGCharge(ctx context.Context, o Options) (*Report, error) {
	return pgCharge(ctx, o, "pg-charge", AskLocked, 0)
}

// PGPooled is PGCharge beside the same handler with as many connections as the
// node has.
func PGPooled(ctx context.Context, o Options) (*Report, error) {
	return pgCharge(ctx, o, "pg-charge-pooled", AskPooled, 0)
}

// PGBatched is PGCharge beside a handler that gathers what waits into one call of
// a function that makes many charges.
func PGBatched(ctx context.Context, o Options) (*Report, error) {
	return pgCharge(ctx, o, "pg-charge-batched", AskBatched, 0)
}

// PGLatency returns PGBatched with time added to each round trip.
func PGLatency(latency time.Duration) func(context.Context, Options) (*Report, error) {
	return func(ctx context.Context, o Options) (*Report, error) {
		return pgCharge(ctx, o, "pg-latency-"+latency.String(), AskBatched, latency)
	}
}

func pgCharge(ctx context.Context, o Options, name, ask string, latency time.Duration) (*Report, error) {
	return onPostgres(ctx, o, 1, latency, func(d *database, nodes []*world) (*Report, error) {
		w := nodes[0]
		load := w.charges(func() string { return w.account })
		sample, err := w.sample(ctx, "charge", load.Request(nil, 0, 0))
		if err != nil {
			return nil, err
		}
		r := &Report{Scenario: name, What: "one charge a request, all on one account of a node on PostgreSQL, over HTTP",
			Baseline: "net/http calling " + asks[ask].what, Unit: "charges/s", Clients: o.Clients}
		r.far(latency)
		if err := w.pairs(ctx, r, load, 1, &Baseline{Sample: sample, Database: d.url, Ask: ask}); err != nil || d.proxy == nil {
			return r, err
		}
		return r, w.trips(ctx, d.proxy, r, load)
	})
}

// far says in a report that time was added, if any was.
func (r *Report) far(latency time.Duration) {
	if latency > 0 {
		r.What += fmt.Sprintf("; %v added to each round trip", latency)
	}
}

// trips makes a load once more and counts the round trips, where the proxy sees
// them, and the commits that they were for.
func (w *world) trips(ctx context.Context, p *pgtest.Proxy, r *Report, load Load) error {
	commits, err := w.metric(ctx, "saldo_commit_events_count")
	if err != nil {
		return err
	}
	events, err := w.metric(ctx, "saldo_commit_events_sum")
	if err != nil {
		return err
	}
	trips := p.Trips()
	load.Clients, load.For, load.Address = r.Clients, w.o.For, w.host
	if _, err := load.Run(ctx); err != nil {
		return err
	}
	trips = p.Trips() - trips
	commits2, err := w.metric(ctx, "saldo_commit_events_count")
	if err != nil {
		return err
	}
	events2, err := w.metric(ctx, "saldo_commit_events_sum")
	if err != nil {
		return err
	}
	r.Trips = float64(trips) / (commits2 - commits)
	r.Batch = (events2 - events) / (commits2 - commits)
	return nil
}

// metric reads one figure that the server tells Prometheus.
func (w *world) metric(ctx context.Context, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.client.URL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+w.client.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("bench: /metrics (%s) has no %s", resp.Status, name)
}

// PGTwoNodes measures charges of one account through two nodes on one PostgreSQL;
// beside the same through one of them.
func PGTwoNodes(ctx context.Context, o Options) (*Report, error) {
	return onPostgres(ctx, o, 2, 0, func(_ *database, nodes []*world) (*Report, error) {
		w := nodes[0]
		r := &Report{Scenario: "pg-two-nodes", What: "one charge a request, all on one account, through two nodes on one PostgreSQL, over HTTP",
			Baseline: "through one node", Unit: "charges/s", Clients: o.Clients}
		both := w.charges(func() string { return w.account })
		both.Also = []string{nodes[1].host}
		return r, w.beside(ctx, r, both, w.host, w.charges(func() string { return w.account }))
	})
}

// PGBooks measures charges of two books through two nodes, each the node of one
// book; beside the same through one of them.
func PGBooks(ctx context.Context, o Options) (*Report, error) {
	return onPostgres(ctx, o, 2, 0, func(_ *database, nodes []*world) (*Report, error) {
		w := nodes[0]
		other, err := w.tenant(ctx, "other")
		if err != nil {
			return nil, err
		}
		r := &Report{Scenario: "pg-books", What: "one charge a request, through two nodes on one PostgreSQL, each on an account in a book of its own, over HTTP",
			Baseline: "both through one node", Unit: "charges/s", Clients: o.Clients}
		books := []Load{w.charges(func() string { return w.account }), other.charges(func() string { return other.account })}
		load := Load{Request: func(dst []byte, client, n int) []byte { return books[client%2].Request(dst, client, n) }}
		both := load
		both.Also = []string{nodes[1].host}
		return r, w.beside(ctx, r, both, w.host, load)
	})
}

// PGBalance measures linearizable reads of one balance of a node on PostgreSQL;
// beside a handler that makes one SELECT by key for each.
func PGBalance(ctx context.Context, o Options) (*Report, error) {
	return pgBalance(ctx, o, "pg-balance", 0)
}

// PGFarBalance returns PGBalance with time added to each round trip.
func PGFarBalance(latency time.Duration) func(context.Context, Options) (*Report, error) {
	return func(ctx context.Context, o Options) (*Report, error) {
		return pgBalance(ctx, o, "pg-balance-"+latency.String(), latency)
	}
}

func pgBalance(ctx context.Context, o Options, name string, latency time.Duration) (*Report, error) {
	return onPostgres(ctx, o, 1, latency, func(d *database, nodes []*world) (*Report, error) {
		w := nodes[0]
		request := w.head(nil, "GET", "/v1/accounts/"+w.account+"/balance", 0)
		sample, err := w.sample(ctx, "balance", request)
		if err != nil {
			return nil, err
		}
		r := &Report{Scenario: name, What: "GET of one balance of a node on PostgreSQL, linearizable, over HTTP",
			Baseline: "net/http making " + asks[AskSelect].what, Unit: "reads/s", Clients: o.Clients}
		r.far(latency)
		load := Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}
		return r, w.pairs(ctx, r, load, 1, &Baseline{Sample: sample, Database: d.url, Ask: AskSelect})
	})
}
