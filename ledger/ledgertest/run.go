package ledgertest

import (
	"context"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// Seed returns the seed of a random test: LEDGER_SEED if that is set, else a new
// one. It is in the test's output when it fails.
func Seed(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LEDGER_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("LEDGER_SEED=%d", seed)
	return seed
}

// Run gives the workload of a seed to a ledger and to the model, and wants the
// same of both: refusals, amounts, and after each command every balance of the
// book. Open opens the ledger with a clock, again and again on one store: it is
// closed now and then.
func Run(t testing.TB, seed uint64, commands int, open func(now func() time.Time) (l *ledger.Ledger, closed func())) {
	t.Helper()
	RunNodes(t, seed, commands, 1, open)
}

// RunNodes is Run with several ledgers on one store: each command and each look
// at a balance goes to one of them. They have one clock, which does not go back.
func RunNodes(t testing.TB, seed uint64, commands, nodes int, open func(now func() time.Time) (l *ledger.Ledger, closed func())) {
	t.Helper()
	r := &runner{TB: t, w: NewWorkload(seed), m: NewModel(), rng: rand.New(rand.NewPCG(seed, 3)), open: open}
	r.now.Store(&time.Time{})
	r.nodes = make([]node, nodes)
	r.tick()
	for i := range r.nodes {
		r.nodes[i].Ledger, r.nodes[i].closed = open(r.clock)
	}
	defer func() {
		for _, n := range r.nodes {
			n.closed()
		}
	}()
	for _, c := range r.w.Setup() {
		r.post(c)
	}
	for n := range commands {
		c := r.w.Next()
		r.tick()
		r.post(c)
		if t.Failed() {
			t.Fatalf("at command %d of LEDGER_SEED=%d:\n%s", n, seed, Describe(c))
		}
		if r.w.rng.IntN(400) == 0 {
			r.restart()
		}
	}
	t.Logf("%d commands took effect, %d were refused, %d replayed", r.did, r.refused, r.replayed)
}

type runner struct {
	testing.TB
	w      *Workload
	m      *Model
	rng    *rand.Rand // which node
	nodes  []node
	open   func(func() time.Time) (*ledger.Ledger, func())
	now    atomic.Pointer[time.Time]
	latest ledger.Time

	did, refused, replayed int
}

type node struct {
	*ledger.Ledger
	closed func()
}

// any returns one of the nodes.
func (r *runner) any() *node { return &r.nodes[r.rng.IntN(len(r.nodes))] }

func (r *runner) clock() time.Time { return *r.now.Load() }

// tick sets the clock. The ledger's time never goes back.
func (r *runner) tick() {
	now := r.w.Now()
	r.latest = max(r.latest, ledger.TimeOf(now))
	if len(r.nodes) > 1 {
		now = r.latest.Std()
	}
	r.now.Store(&now)
}

// restart opens a ledger again. Its time is then that of its last event.
func (r *runner) restart() {
	n := r.any()
	n.closed()
	n.Ledger, n.closed = r.open(r.clock)
	r.latest = ledger.TimeOf(r.clock())
	for id := range r.m.books {
		head, err := n.Head(context.Background(), id)
		if err != nil {
			r.Fatal(err)
		}
		r.latest = max(r.latest, head.Time)
	}
}

func (r *runner) post(c *ledger.Command) {
	r.Helper()
	asked := Clone(c)
	res, err := r.any().Post(context.Background(), c)
	want := r.m.Post(r.latest, asked, ledger.CodeOf(err))
	r.answer(res, err, want)
	// Several nodes are not looked at after each command: looking brings them up to date.
	if r.m.books[c.Book] != nil && (len(r.nodes) == 1 || r.rng.IntN(8) == 0) {
		r.m.Settle(r.latest, c.Book)
		r.balances(c.Book)
		r.holds(c)
		r.records(c)
	}
}

// answer compares what the ledger answered with what the model has for an answer.
func (r *runner) answer(res ledger.Result, err error, want Answer) {
	r.Helper()
	if res.Replayed != want.Replayed {
		r.Errorf("replayed: %v, the model says %v", res.Replayed, want.Replayed)
	}
	if want.Replayed {
		r.replayed++
	}
	if err != nil {
		r.refused++
		e, ok := err.(*ledger.Error)
		if !ok {
			r.Errorf("not a refusal: %v", err)
			return
		}
		for _, w := range want.Refusals {
			if w.Code != e.Code || w.Op != e.Op && e.Code != ledger.IDTaken && e.Code != ledger.NotFound {
				continue
			}
			if w.Code != ledger.Insufficient || w.By == e.By && w.Account == e.Account && w.Required == e.Required && w.Spendable == e.Spendable {
				return
			}
		}
		r.Errorf("refused: %+v\nthe model has for reasons: %+v", e.Refusal, want.Refusals)
		return
	}
	if len(want.Refusals) > 0 {
		r.Errorf("it took effect; the model refuses: %+v", want.Refusals)
		return
	}
	r.did++
	if !res.Replayed {
		r.m.wrote(res.Book, res.Event.Seq)
	}
	r.w.Learn(res.Book, res.Event)
	if len(res.Event.Transfers) != len(want.Transfers) {
		r.Errorf("%d transfers, the model makes %d", len(res.Event.Transfers), len(want.Transfers))
		return
	}
	for i, p := range res.Event.Transfers {
		if p.Amount.Big().Cmp(want.Transfers[i]) != 0 {
			r.Errorf("transfer %d moved %v, the model %v", i, p.Amount, want.Transfers[i])
		}
	}
}

func (r *runner) balances(id ledger.BookID) {
	r.Helper()
	ctx := context.Background()
	b := r.m.books[id]
	for _, acc := range r.w.Accounts(id) {
		l := r.any()
		got, err := l.Balance(ctx, acc)
		a := b.accounts[acc]
		if a == nil {
			if ledger.CodeOf(err) != ledger.NotFound {
				r.Errorf("account %v is there (%v); the model has none", acc, err)
			}
			continue
		}
		if err != nil {
			r.Errorf("account %v: %v", acc, err)
			continue
		}
		st, err := l.Status(ctx, got.Account)
		if err != nil || st != b.openness(acc) {
			r.Errorf("account %v is %v (%v), in the model %v", acc, st, err, b.openness(acc))
		}
		r.same(acc, "held", got.Held, a.held)
		if !a.drawing {
			r.same(acc, "posted", got.Posted, a.posted)
			r.same(acc, "limit", got.Limit, a.limit)
			r.same(acc, "spendable", got.Spendable, a.spendable())
			continue
		}
		r.same(acc, "spent", got.Spent, new(big.Int).Neg(a.posted))
		if got.HasCap != (a.cap != nil) {
			r.Errorf("account %v has a cap: %v", acc, got.HasCap)
		} else if got.HasCap {
			r.same(acc, "cap", got.Cap, a.cap)
		}
		if got.DrawnFrom != b.payer(acc) {
			r.Errorf("account %v draws from %v, in the model from %v", acc, got.DrawnFrom, b.payer(acc))
		}
		if most, _ := b.most(acc); most != nil {
			r.same(acc, "spendable", got.Spendable, most)
		}
	}
}

func (r *runner) same(id ledger.AccountID, what string, got money.Amount, want *big.Int) {
	r.Helper()
	if got.Big().Cmp(want) != 0 {
		r.Errorf("account %v: %s %v, in the model %v", id, what, got, want)
	}
}

// holds compares the holds that a command names.
func (r *runner) holds(c *ledger.Command) {
	r.Helper()
	for _, op := range c.Ops {
		id := c.ID
		switch op := op.(type) {
		case *ledger.PlaceHold:
			if op.ID != "" {
				id = op.ID
			}
		case *ledger.Capture:
			id = op.Hold
		case *ledger.Extend:
			id = op.Hold
		case *ledger.Raise:
			id = op.Hold
		case *ledger.Release:
			id = op.Hold
		}
		want := r.m.books[c.Book].holds[id]
		if want == nil || id == "" {
			continue
		}
		got, err := r.any().Hold(context.Background(), r.m.books[c.Book].tenant, id)
		if err != nil {
			r.Errorf("hold %s: %v", id, err)
			continue
		}
		if got.State != want.state || got.Expires != want.expires || got.Owner() != want.owner || got.Amount != amountOf(want.amount) ||
			got.Captured != amountOf(want.captured) || want.state == ledger.HoldOpen && got.Remaining != amountOf(want.remaining) {
			r.Errorf("hold %s is %+v; in the model %+v", id, got, want)
		}
	}
}

func (r *runner) records(c *ledger.Command) {
	r.Helper()
	for _, w := range c.Records {
		want := r.m.books[c.Book].records[w.Key]
		got, err := r.any().Record(context.Background(), ledger.RecordKey{Book: c.Book, Kind: w.Kind, Key: w.Key})
		if err != nil || (got == nil) != (want == nil) {
			r.Errorf("record %s: %+v (%v), in the model %+v", w.Key, got, err, want)
		} else if got != nil && (got.Version != want.version || got.Counters[0].Value != want.count) {
			r.Errorf("record %s: %+v, in the model %+v", w.Key, got, want)
		}
	}
}
