package ledger

import (
	"context"
	"sync"
)

// loadsAtOnce is how many loads a loader has under way at most.
const loadsAtOnce = 3

// A loader loads rows of a shared store for several commands in one round trip:
// while as many as there may be are under way, what else is asked for gathers.
type loader struct {
	l    *Ledger
	mu   sync.Mutex
	next *group
	busy int
}

// A group is what one round trip loads.
type group struct {
	keys Keys
	done chan struct{} // closed when snap and err are set
	snap *Snapshot
	err  error
}

// load is [Ledger.loadRows].
func (w *loader) load(ctx context.Context, keys *Keys) (*Snapshot, error) {
	if w.l.shared == nil {
		return w.l.store.Load(ctx, keys)
	}
	w.mu.Lock()
	if w.next == nil {
		w.next = &group{done: make(chan struct{})}
	}
	g := w.next
	at := g.add(keys)
	if w.busy < loadsAtOnce {
		w.busy++
		w.l.running.Add(1)
		go w.work()
	}
	w.mu.Unlock()
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if g.err != nil {
		return nil, g.err
	}
	return at.of(g.snap, keys), nil
}

func (w *loader) work() {
	defer w.l.running.Done()
	for {
		w.mu.Lock()
		g := w.next
		w.next = nil
		if g == nil {
			w.busy--
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		g.snap, g.err = w.l.loadRows(w.l.lookCtx, &g.keys)
		close(g.done)
	}
}

// A place is where in a group somebody's rows begin.
type place struct{ accounts, holds, records, ids, refunds int }

// add adds keys to a group. A loader is asked for rows that commands need: not
// for heads, events or texts.
func (g *group) add(k *Keys) place {
	at := place{len(g.keys.Accounts), len(g.keys.Holds), len(g.keys.Records), len(g.keys.IDs), len(g.keys.Refunds)}
	g.keys.Accounts = append(g.keys.Accounts, k.Accounts...)
	g.keys.Holds = append(g.keys.Holds, k.Holds...)
	g.keys.Records = append(g.keys.Records, k.Records...)
	g.keys.IDs = append(g.keys.IDs, k.IDs...)
	g.keys.Refunds = append(g.keys.Refunds, k.Refunds...)
	return at
}

func (at place) of(s *Snapshot, k *Keys) *Snapshot {
	return &Snapshot{
		Accounts: s.Accounts[at.accounts:][:len(k.Accounts)],
		Holds:    s.Holds[at.holds:][:len(k.Holds)],
		Records:  s.Records[at.records:][:len(k.Records)],
		IDs:      s.IDs[at.ids:][:len(k.IDs)],
		Refunds:  s.Refunds[at.refunds:][:len(k.Refunds)],
	}
}
