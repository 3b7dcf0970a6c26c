package bench

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

// coldAccounts is how many accounts the transfers of Batch and Single are spread
// over when they are not all of one.
const coldAccounts = 100_000

// An engine is a ledger in this process, on a directory of its own.
type engine struct {
	dir      string
	store    *embedded.Store
	ledger   *ledger.Ledger
	shapes   *shapes
	tenant   ledger.TenantID
	accounts []ledger.AccountID
}

func newEngine(ctx context.Context, o Options, accounts int) (e *engine, err error) {
	made := &engine{}
	e = made
	if e.dir, err = os.MkdirTemp(o.Dir, "saldo-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, made.close())
		}
	}()
	if e.store, err = embedded.Open(filepath.Join(e.dir, "data"), embedded.Options{DiskReserve: -1, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	e.shapes = &shapes{Store: e.store}
	if e.ledger, err = ledger.Open(ctx, e.shapes, ledger.Options{}); err != nil {
		return nil, err
	}
	if err := e.ledger.EnsureSystem(ctx); err != nil {
		return nil, err
	}
	t, _, err := e.ledger.CreateTenant(ctx, 0, "", ledger.Tenant{Name: ledger.FirstBook})
	if err != nil {
		return nil, err
	}
	e.tenant = t.Number
	usd, err := e.ledger.Unit(ctx, t.Number, "USD")
	if err != nil {
		return nil, err
	}
	// Accounts with enough to spend.
	rich, _ := usd.Parse("1000000000")
	for len(e.accounts) < accounts {
		c := &ledger.Command{Tenant: e.tenant, Book: 1}
		if len(e.accounts) == 0 {
			c.Ops = append(c.Ops, &ledger.AddUnit{Unit: usd})
		}
		for range min(2000, accounts-len(e.accounts)) {
			id := e.ledger.NewID()
			e.accounts = append(e.accounts, id)
			c.Ops = append(c.Ops, &ledger.OpenAccount{ID: id, Unit: "USD", Mode: ledger.Own},
				&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: id, Amount: rich})
		}
		if _, err := e.ledger.Post(ctx, c); err != nil {
			return nil, err
		}
	}
	return e, e.settle(ctx)
}

// settle waits until the indexes have everything.
func (e *engine) settle(ctx context.Context) error { return e.store.WaitIndexes(ctx) }

// quiet waits until nothing is compacted any more.
func (e *engine) quiet(ctx context.Context) error {
	return quiet(ctx, func() int64 { return e.store.Metrics().Compacting })
}

// quiet waits until for a while nothing was under way.
func quiet(ctx context.Context, underWay func() int64) error {
	for idle := 0; idle < 10; idle++ {
		if underWay() > 0 {
			idle = 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (e *engine) close() error { return errors.Join(e.stop(), os.RemoveAll(e.dir)) }

// stop leaves the directory to others.
func (e *engine) stop() (err error) {
	if e.ledger != nil {
		err = e.ledger.Close()
	}
	if e.store != nil {
		err = errors.Join(err, e.store.Close())
	}
	e.ledger, e.store = nil, nil
	return err
}

// command makes a command of n charges of accounts, under random ids.
func (e *engine) command(rng *rand.Rand, n int) *ledger.Command {
	random := make([]byte, 16*(n+1)) // all at once, so that little of what is measured is making them
	for i := 0; i < len(random); i += 8 {
		binary.BigEndian.PutUint64(random[i:], rng.Uint64())
	}
	ids := hex.EncodeToString(random)
	id := func(i int) string { return ids[32*i:][:32] }
	c := &ledger.Command{Tenant: e.tenant, Book: 1, ID: id(n), Remember: true, Ops: make([]ledger.Op, n)}
	transfers := make([]ledger.Transfer, n)
	for i := range c.Ops {
		t := &transfers[i]
		*t = ledger.Transfer{Kind: ledger.Charge, From: e.accounts[rng.IntN(len(e.accounts))], To: ledger.SystemID(1, 0, ledger.Revenue),
			Amount: money.New(1 + rng.Int64N(1000))}
		if n > 1 {
			t.ID = id(i)
		}
		c.Ops[i] = t
	}
	return c
}

// run has callers post commands of n transfers for a while, waits for the
// indexes, and returns transfers a second: the clock stops when they have it all.
func (e *engine) run(ctx context.Context, callers, n int, d time.Duration) (float64, error) {
	e.shapes.begin()
	rows := e.store.Metrics().IndexRows
	began := time.Now()
	until := began.Add(d)
	done := make([]int, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
			for time.Now().Before(until) {
				if _, err := e.ledger.Post(ctx, e.command(rng, n)); err != nil {
					errs[i] = err
					return
				}
				done[i] += n
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, e.settle(ctx))...); err != nil {
		return 0, err
	}
	elapsed := time.Since(began)
	total := 0
	for _, n := range done {
		total += n
	}
	e.shapes.derive(int(e.store.Metrics().IndexRows-rows), total)
	return float64(total) / elapsed.Seconds(), nil
}

// batchCallers is how many commands of 1,000 transfers are under way at a time:
// while one is written the next is decided.
const batchCallers = 4

// Batch measures commands of 1,000 transfers each in this process, and Single
// 1,000 callers with one transfer each; over hot, one account, or many. Both
// stand beside Pebble alone, twice: as many callers that each write what one
// command writes, and share syncs as Pebble lets them; and one writer of the
// ledger's own rounds, who has neither callers nor anything to decide.
func Batch(ctx context.Context, o Options, hot bool) (*Report, error) {
	return inProcess(ctx, o, "batch", "commands of 1,000 transfers each", hot, batchCallers, 1000)
}

// Single is described at Batch.
func Single(ctx context.Context, o Options, hot bool) (*Report, error) {
	return inProcess(ctx, o, "single", "1,000 callers, one transfer each at a time", hot, 1000, 1)
}

func inProcess(ctx context.Context, o Options, name, what string, hot bool, callers, n int) (r *Report, err error) {
	accounts := coldAccounts
	where := fmt.Sprintf("spread over %d accounts", accounts)
	if hot {
		accounts, where = 1, "all on one account"
		name += "-hot"
	}
	e, err := newEngine(ctx, o, accounts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	r = &Report{Scenario: name, What: what + ", " + where + ", in process, until the indexes have it all",
		Baseline: "Pebble alone, as many callers writing the same keys and bytes", Unit: "transfers/s", Clients: callers}
	if _, err := e.run(ctx, callers, n, min(o.For, time.Second)); err != nil {
		return nil, err
	}
	raw, err := newRaw(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	for pair := range o.Pairs {
		var p Pair
		steps := []func() error{
			func() (err error) {
				p.Saldo, err = e.run(ctx, callers, n, o.For)
				return err
			},
			func() (err error) {
				p.Base, err = raw.callers(ctx, callers, e.commandShape(n), e.accounts, o.For)
				return err
			},
			func() (err error) {
				p.Rounds, err = raw.rounds(ctx, e.shapes.taken, e.accounts)
				return err
			},
		}
		if pair%2 == 1 && len(e.shapes.taken) > 0 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := errors.Join(e.quiet(ctx), raw.quiet(ctx)); err != nil { // what one leaves to do is not for the next
				return nil, err
			}
			if err := step(); err != nil {
				return nil, err
			}
		}
		r.add(p)
		o.say("%s, pair %d of %d: %.0f, %.0f and %.0f transfers/s", name, pair+1, o.Pairs, p.Saldo, p.Base, p.Rounds)
	}
	r.finish()
	return r, nil
}

// commandShape is what one command of n transfers wrote in the last run.
func (e *engine) commandShape(n int) shape {
	sh := shape{events: 1, transfers: n, ids: n, accounts: 1} // revenue's row
	if n > 1 {
		sh.ids++ // the command's own
	}
	touched := map[int]bool{}
	for range n {
		touched[rand.IntN(len(e.accounts))] = true
	}
	sh.accounts += len(touched)
	events := 0
	for _, s := range e.shapes.taken {
		sh.journal += s.journal
		sh.derived += s.derived
		events += s.events
	}
	sh.journal /= max(events, 1)
	sh.derived = (sh.derived + events/2) / max(events, 1)
	return sh
}
