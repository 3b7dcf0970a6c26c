package pgtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Pair is a server and a replica of it that every commit waits for. Each of
// the two has a place; who takes over keeps its own.
type Pair struct {
	mu      sync.Mutex
	servers [2]*Server
	primary int // which of them
}

// replicaName is what the servers call themselves when they follow another:
// commits wait for it, and not for a base backup that is being made.
const replicaName = "replica"

// NeedPair returns a pair that ends with the test. See [Need].
func NeedPair(t testing.TB, o Options) *Pair {
	t.Helper()
	o.Settings = append(o.Settings, "synchronous_standby_names="+replicaName, "cluster_name="+replicaName)
	p := &Pair{servers: [2]*Server{Need(t, o), {}}}
	t.Cleanup(func() {
		for _, s := range p.servers {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := p.Repair(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Primary returns the server that takes writes.
func (p *Pair) Primary() *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.servers[p.primary]
}

// Replica returns the other one.
func (p *Pair) Replica() *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.servers[1-p.primary]
}

// Socket returns where the primary is, as an address does that moves with it.
func (p *Pair) Socket() string { return p.Primary().Socket() }

// Place returns what tells where the server of a place is, 0 or 1.
func (p *Pair) Place(i int) func() string {
	return func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.servers[i].Socket()
	}
}

// FailOver kills the primary and has the replica take over, as those who watch
// over such a pair do: not before the replica follows, since a primary that was
// started again shows what it has not told its replica. Until Repair no commit is
// answered, for there is nobody to wait for.
func (p *Pair) FailOver() error {
	if err := errors.Join(p.Primary().follows(), p.Primary().Kill()); err != nil {
		return err
	}
	if err := p.Replica().Exec("postgres", "SELECT pg_promote()"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primary = 1 - p.primary
	return nil
}

// Return starts the server again that FailOver has killed. Fenced, it can only be
// read; else it takes itself for the primary still, and commits there wait for a
// replica that it has no more.
func (p *Pair) Return(fenced bool) error {
	old := p.Replica()
	if fenced {
		if err := os.WriteFile(filepath.Join(old.data(), "standby.signal"), nil, 0o666); err != nil {
			return err
		}
	}
	return old.Start()
}

// Repair puts a new replica in the place of the one that is not the primary, and
// waits until commits wait for it.
func (p *Pair) Repair() error {
	primary := p.Primary()
	next := &Server{bin: primary.bin, args: primary.args}
	if err := next.begin("pg_basebackup", "--host", primary.dir, "--username", "saldo", "--pgdata", "data", "--checkpoint", "fast", "--no-sync", "--write-recovery-conf"); err != nil {
		return err
	}
	old := p.Replica()
	p.mu.Lock()
	p.servers[1-p.primary] = next
	p.mu.Unlock()
	return errors.Join(old.Close(), primary.follows())
}

// follows waits until a replica has everything that there is now, and is waited for.
func (s *Server) follows() error {
	return s.until(`WITH b AS MATERIALIZED (SELECT pg_current_wal_flush_lsn() AS at)
		SELECT EXISTS (SELECT 1 FROM pg_stat_replication, b WHERE sync_state = 'sync' AND state = 'streaming' AND flush_lsn >= b.at)`)
}

// Waiting waits until somebody's commit waits for the replica.
func (s *Server) Waiting() error {
	return s.until(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')`)
}

// until waits until a query says that something is so.
func (s *Server) until(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	for so := false; err == nil && !so; time.Sleep(time.Millisecond) {
		err = conn.QueryRow(ctx, query).Scan(&so)
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
