package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// BenchmarkCharge measures charges on one account, or each on one of many, from
// callers who wait for each answer, at one node or two; with time added to each
// round trip. The server syncs what it commits.
func BenchmarkCharge(b *testing.B) {
	for _, c := range []struct {
		name           string
		nodes, callers int
		accounts       int
		latency        time.Duration
	}{
		{"hot/callers=1", 1, 1, 1, 0},
		{"hot/callers=64", 1, 64, 1, 0},
		{"hot/callers=1024", 1, 1024, 1, 0},
		{"spread/callers=64", 1, 64, 1000, 0},
		{"spread/callers=1024", 1, 1024, 1000, 0},
		{"hot/callers=64/nodes=2", 2, 64, 1, 0},
		{"hot/callers=1024/nodes=2", 2, 1024, 1, 0},
		{"hot/callers=64/latency=5ms", 1, 64, 1, 5 * time.Millisecond},
		{"hot/callers=1024/latency=5ms", 1, 1024, 1, 5 * time.Millisecond},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := pgtest.Need(b, pgtest.Options{Sync: true})
			proxy := pgtest.NewProxy(b, server.Socket)
			url := server.URL("postgres")
			if c.latency > 0 {
				url = proxy.URL("postgres")
			}
			var nodes []*ledger.Ledger
			var stores []*postgres.Store
			for range c.nodes {
				s, err := postgres.Open(context.Background(), url, postgres.Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				l, err := ledger.Open(context.Background(), s, ledger.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				nodes, stores = append(nodes, l), append(stores, s)
			}
			open := &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}}}
			for i := range c.accounts {
				open.Ops = append(open.Ops, opening(fmt.Sprint(i)), topup(fmt.Sprint(i), 1<<40))
			}
			if _, err := nodes[0].Post(context.Background(), open); err != nil {
				b.Fatal(err)
			}
			proxy.Latency(c.latency)
			var n atomic.Int64
			var callers sync.WaitGroup
			trips := stores[0].Count()
			b.ResetTimer()
			for i := range c.callers {
				callers.Go(func() {
					l := nodes[i%len(nodes)]
					for {
						k := n.Add(1)
						if k > int64(b.N) {
							return
						}
						from := acc(fmt.Sprint(int(k) % c.accounts))
						_, err := l.Post(context.Background(), &ledger.Command{Tenant: 1, Book: 1, ID: fmt.Sprint("order-", k), Remember: true,
							Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.Charge, From: from, To: revenue(1), Amount: money.New(1)}}})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
			b.StopTimer()
			now := stores[0].Count()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "charges/s")                                   // float: a measurement
			b.ReportMetric(float64(now.Trips-trips.Trips)/float64(now.Appends-trips.Appends), "trips/append") // float: likewise
			proxy.Latency(0)
		})
	}
}

// BenchmarkBalance measures linearizable reads of one balance by 64 callers, and
// beside it a SELECT by key for each.
func BenchmarkBalance(b *testing.B) {
	const callers = 64
	run := func(b *testing.B, read func() error) {
		var n atomic.Int64
		var wait sync.WaitGroup
		b.ResetTimer()
		for range callers {
			wait.Go(func() {
				for n.Add(1) <= int64(b.N) {
					if err := read(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wait.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s") // float: a measurement
	}
	server := pgtest.Need(b, pgtest.Options{})
	s, closed := open(b, server.URL("postgres"))
	defer closed()
	l, err := ledger.Open(context.Background(), s, ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Post(context.Background(), &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, opening("x"), topup("x", 10)}}); err != nil {
		b.Fatal(err)
	}
	b.Run("ledger", func(b *testing.B) {
		run(b, func() error {
			_, err := l.Balance(context.Background(), acc("x"))
			return err
		})
	})
	pool, err := pgxpool.New(context.Background(), server.URL("postgres")+"&pool_max_conns=8")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	b.Run("select", func(b *testing.B) {
		run(b, func() error {
			var posted, held string
			return pool.QueryRow(context.Background(), `SELECT posted::text, held::text FROM saldo.accounts WHERE id = $1`, acc("x")).Scan(&posted, &held)
		})
	})
}
