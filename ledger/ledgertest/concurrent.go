package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"saldo/ledger"
	"saldo/money"
)

// A Node is where clients ask: a ledger, or what stands before some.
type Node interface {
	Post(context.Context, *ledger.Command) (ledger.Result, error)
	Balance(context.Context, ledger.AccountID) (ledger.Balance, error)
}

// crowd makes a book of three accounts with 100 steps each.
func crowd(t *testing.T, l Node) []ledger.AccountID {
	t.Helper()
	c := &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: workloadUnits[0]}}}
	var ids []ledger.AccountID
	for i := range 3 {
		id := ledger.AccountID{0xac, byte(i)}
		ids = append(ids, id)
		c.Ops = append(c.Ops, &ledger.OpenAccount{ID: id, Mode: ledger.Own, Unit: "USD"},
			&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: id, Amount: money.New(100)})
	}
	if _, err := l.Post(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return ids
}

// NeverTwice has many charge few accounts at once, every id by two of them at the
// same time, at nodes of one store: what was answered is what is gone, once, and
// no account went below zero. The nodes have an empty store.
func NeverTwice(t *testing.T, nodes ...Node) {
	ids := crowd(t, nodes[0])
	const workers, each = 16, 60
	var mu sync.Mutex
	charged := map[string]money.Amount{} // by id
	from := map[string]int{}
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n/2), 7)) // two workers make the same commands
			for i := range each {
				a, id := rng.IntN(len(ids)), fmt.Sprintf("%d-%d", n/2, i)
				amount := money.New(1 + rng.Int64N(3))
				res, err := nodes[n%len(nodes)].Post(context.Background(), &ledger.Command{Tenant: 1, Book: 1, ID: id, Remember: true, Ops: []ledger.Op{
					&ledger.Transfer{Kind: ledger.Charge, From: ids[a], To: ledger.SystemID(1, 0, ledger.Revenue), Amount: amount}}})
				mu.Lock()
				was, known := charged[id]
				switch {
				case err == nil && known && was != amount || err != nil && known && !was.IsZero():
					t.Errorf("%s got two answers", id)
				case err == nil:
					charged[id], from[id] = amount, a
				case ledger.CodeOf(err) == ledger.Insufficient:
					charged[id] = money.Amount{}
				default:
					t.Error(err)
				}
				mu.Unlock()
				if err == nil && res.Event.Transfers[0].Amount != amount {
					t.Errorf("%s took %v", id, res.Event.Transfers[0].Amount)
				}
			}
		})
	}
	wg.Wait()
	for a, id := range ids {
		left := money.New(100)
		for c, amount := range charged {
			if from[c] == a {
				left, _ = left.Sub(amount)
			}
		}
		for _, l := range nodes {
			b, err := l.Balance(context.Background(), id)
			if err != nil || b.Posted != left || left.Sign() < 0 {
				t.Errorf("account %d has %v (%v), its answers leave %v", a, b.Posted, err, left)
			}
		}
	}
}

// An input of the history that is checked for linearizability, and its output.
type input struct {
	move     bool
	from, to int
	amount   int64
}

type output struct {
	ok     bool
	posted int64 // of from, when read or short
}

// books is the sequential meaning: three balances.
var books = porcupine.Model{
	Init: func() any { return [3]int64{100, 100, 100} },
	Step: func(state, in, out any) (bool, any) {
		s, i, o := state.([3]int64), in.(input), out.(output)
		switch {
		case !i.move:
			return o.posted == s[i.from], s
		case s[i.from] < i.amount:
			return !o.ok && o.posted == s[i.from], s
		}
		s[i.from] -= i.amount
		s[i.to] += i.amount
		return o.ok, s
	},
}

// Linearizable checks that what clients of nodes of one store see of moves and
// balances has an order in which it could have happened one after the other. Each
// of six asks so often. The nodes have an empty store.
func Linearizable(t *testing.T, seed uint64, moves int, nodes ...Node) {
	ids := crowd(t, nodes[0])
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for i := range moves {
				in := input{move: rng.IntN(3) > 0, from: rng.IntN(3), amount: 1 + rng.Int64N(90)}
				in.to = (in.from + 1 + rng.IntN(2)) % 3
				call := time.Since(start)
				out := ask(t, nodes[client%len(nodes)], fmt.Sprint(client, "-", i), ids, in)
				op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(call), Return: int64(time.Since(start))}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if res := porcupine.CheckOperationsTimeout(books, history, 20*time.Second); res != porcupine.Ok {
		t.Errorf("no order explains what %d operations answered: %v", len(history), res)
	}
}

func ask(t *testing.T, l Node, id string, ids []ledger.AccountID, in input) output {
	ctx := context.Background()
	if !in.move {
		b, err := l.Balance(ctx, ids[in.from])
		if err != nil {
			t.Error(err)
		}
		n, _ := b.Posted.Int64()
		return output{posted: n}
	}
	_, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: id, Ops: []ledger.Op{
		&ledger.Transfer{Kind: ledger.Move, From: ids[in.from], To: ids[in.to], Amount: money.New(in.amount)}}})
	if e := (*ledger.Error)(nil); errors.As(err, &e) && e.Code == ledger.Insufficient {
		n, _ := e.Spendable.Int64()
		return output{posted: n}
	} else if err != nil {
		t.Error(err)
	}
	return output{ok: err == nil}
}
