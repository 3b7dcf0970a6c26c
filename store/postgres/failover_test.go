package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// A paired is two nodes on a database with a replica: the first knows both places,
// the second an address that moves with the primary.
type paired struct {
	pair
	servers *pgtest.Pair
	places  [2]*pgtest.Proxy
	store   *postgres.Store // of the first
}

func newPaired(t *testing.T) *paired {
	t.Helper()
	p := &paired{pair: pair{T: t}, servers: pgtest.NeedPair(t, pgtest.Options{})}
	t.Cleanup(func() { prove(t, p.servers.Primary().URL("postgres")) })
	for i := range p.places {
		p.places[i] = pgtest.NewProxy(t, p.servers.Place(i))
	}
	var closed func()
	p.store, closed = open(t, p.both())
	var err error
	if p.a, err = ledger.Open(context.Background(), p.store, ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.a.Close(); err != nil {
			t.Error(err)
		}
		closed()
	})
	p.b = node(t, pgtest.NewProxy(t, p.servers.Socket).URL("postgres"))
	p.do(p.a, &ledger.Command{Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, opening("x"), topup("x", 100)}})
	p.has(p.b, "x", 100, 0)
	return p
}

// both is the URL that names both places.
func (p *paired) both() string { return p.places[0].URL("postgres", p.places[1]) }

// TestFailOver has a replica take over, and the old primary come back where the
// nodes look for it first: they do not write there.
func TestFailOver(t *testing.T) {
	p := newPaired(t)
	p.do(p.a, with("before", charge("x", 1)))
	p.do(p.b, with("", charge("x", 1)))
	if err := p.servers.FailOver(); err != nil {
		t.Fatal(err)
	}
	p.has(p.a, "x", 98, 0)
	p.has(p.b, "x", 98, 0)
	if err := p.servers.Return(true); err != nil {
		t.Fatal(err)
	}
	p.places[1].Cut() // there are new connections now
	p.has(p.a, "x", 98, 0)
	p.has(node(t, p.both()), "x", 98, 0)
	if err := p.servers.Repair(); err != nil {
		t.Fatal(err)
	}
	if res := p.do(p.a, with("before", charge("x", 1))); !res.Replayed {
		t.Error("what was answered before is not there")
	}
	p.do(p.a, with("", charge("x", 1)))
	p.has(p.b, "x", 97, 0)
}

// TestUnreplicated cancels a commit that waits for its replica, which lets others
// see it though it can be lost still: nobody is told that it was made before the
// replica has it.
func TestUnreplicated(t *testing.T) {
	p := newPaired(t)
	p.servers.Replica().Freeze(true)
	thaw := sync.OnceFunc(func() { p.servers.Replica().Freeze(false) })
	defer thaw()
	done := make(chan error, 1)
	go func() {
		_, err := p.post(p.a, with("", charge("x", 1)))
		done <- err
	}()
	primary := p.servers.Primary()
	if err := primary.Waiting(); err != nil {
		t.Fatal(err)
	}
	if err := primary.Exec("postgres", `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`); err != nil {
		t.Fatal(err)
	}
	for p.store.Count().Doubts == 0 && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	if len(done) > 0 {
		t.Fatalf("it was answered: %v", <-done)
	}
	if err := primary.Waiting(); err != nil { // as it does again
		t.Error(err)
	}
	thaw()
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.has(p.b, "x", 99, 0)
}
