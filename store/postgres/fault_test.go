package postgres_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// A cluster is three nodes, each with a proxy of its own before one server, and
// stands before them as a client's load balancer does: who is not answered asks
// again, with the same id, anywhere.
type cluster struct {
	*testing.T
	server  *pgtest.Server
	proxies [3]*pgtest.Proxy

	mu    sync.RWMutex
	nodes [3]*ledger.Ledger
	close [3]func()
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{T: t, server: pgtest.Need(t, pgtest.Options{})}
	for i := range c.proxies {
		c.proxies[i] = pgtest.NewProxy(t, c.server.Socket)
		c.start(i)
	}
	t.Cleanup(func() {
		for _, closed := range c.close {
			closed()
		}
		prove(t, c.server.URL("postgres"))
	})
	return c
}

// start starts a node in the place of what was there.
func (c *cluster) start(i int) {
	for !c.Failed() { // else there may be no server any more
		s, err := postgres.Open(context.Background(), c.proxies[i].URL("postgres"), postgres.Options{Connections: 4,
			Patience: time.Second, Resolve: 3 * time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		l, err := ledger.Open(context.Background(), s, ledger.Options{})
		if err != nil {
			_ = s.Close()
			continue
		}
		c.mu.Lock()
		c.nodes[i] = l
		c.close[i] = func() { _, _ = l.Close(), s.Close() }
		c.mu.Unlock()
		return
	}
}

// restart replaces a node without letting it finish what it has begun: its
// connections are gone.
func (c *cluster) restart(i int) {
	c.proxies[i].Cut()
	c.mu.RLock()
	closed := c.close[i]
	c.mu.RUnlock()
	c.start(i)
	closed()
}

func (c *cluster) any() *ledger.Ledger {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[rand.IntN(len(c.nodes))]
}

func (c *cluster) Post(ctx context.Context, cmd *ledger.Command) (ledger.Result, error) {
	for {
		res, err := c.any().Post(ctx, ledgertest.Clone(cmd))
		if !ledger.CodeOf(err).Retryable() || c.Failed() {
			return res, err
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *cluster) Balance(ctx context.Context, id ledger.AccountID) (ledger.Balance, error) {
	for {
		b, err := c.any().Balance(ctx, id)
		if !ledger.CodeOf(err).Retryable() || c.Failed() {
			return b, err
		}
		time.Sleep(time.Millisecond)
	}
}

// torment lets one thing after the other fail, until stop is closed.
func (c *cluster) torment(seed uint64, stop <-chan struct{}) (done <-chan struct{}) {
	ended := make(chan struct{})
	rng := rand.New(rand.NewPCG(seed, 5))
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
			}
			i := rng.IntN(len(c.proxies))
			p := c.proxies[i]
			switch rng.IntN(16) {
			case 0, 1, 2:
				p.Cut()
			case 3, 4, 5:
				p.LoseReplies(1 + rng.IntN(2))
			case 6, 7, 8:
				p.LoseRequests(1 + rng.IntN(2))
			case 9, 10:
				p.Latency(time.Duration(rng.IntN(10)) * time.Millisecond)
			case 11, 12:
				p.Silence(true)
				time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
				p.Silence(false)
			case 13, 14:
				c.restart(i)
			case 15:
				if err := c.server.Kill(); err != nil {
					c.Error(err)
				}
				if err := c.server.Start(); err != nil {
					c.Error(err)
				}
			}
		}
	}()
	return ended
}

// TestFaulty lets everything fail that can, under a load on few accounts, and
// wants of what clients were told an order in which it could have happened, and
// of every charge that it was made once.
func TestFaulty(t *testing.T) {
	seed := ledgertest.Seed(t)
	for name, load := range map[string]func(*testing.T, *cluster){
		"linearizable": func(t *testing.T, c *cluster) { ledgertest.Linearizable(t, seed, 60, c) },
		"never twice":  func(t *testing.T, c *cluster) { ledgertest.NeverTwice(t, c) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			stop := make(chan struct{})
			done := c.torment(seed, stop)
			load(t, c)
			close(stop)
			<-done
		})
	}
}
