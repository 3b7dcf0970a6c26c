package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"saldo/dialect/native"
	"saldo/store/postgres/pgtest"
)

var reliability = flag.Duration("reliability", time.Second, "how long TestReliability goes on; each fault happens once at least")

// TestReliability lets everything fail that can, one thing after the other, under
// three servers on one database with a replica, while clients move money between
// few accounts at whichever server answers. It wants of all that they were told
// an order in which it could have happened, and the books to be right.
// docs/reliability.md has what came of ten minutes of it.
func TestReliability(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	r := newReliable(t)
	ctx, cancel := context.WithTimeout(t.Context(), *reliability+3*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.torment(ctx)
	}()
	began := time.Now()
	for going := true; going && !t.Failed(); {
		select {
		case <-done:
			going = false
		default:
		}
		r.round(ctx)
	}
	<-done
	r.tell(time.Since(began))
	out, err := exec.Command(r.binary, "verify", "--store", r.servers.Primary().URL("postgres")).CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s", out)
}

const (
	hotAccounts = 3
	clients     = 12
	eachRound   = 40 // operations of a client in a history
)

// A reliable is three servers, what they stand on, and what their clients were told.
type reliable struct {
	*testing.T
	binary, token, keys string
	servers             *pgtest.Pair
	nodes               [3]*served
	accounts            [hotAccounts]string
	books               balances // at the end of the last round
	serial              atomic.Int64

	answered, repeated, unanswered atomic.Int64
	mu                             sync.Mutex
	rounds                         int
	longest                        time.Duration
	faults                         map[string]int
	said                           []string // errors that servers have logged
}

// A served is one server, and the proxies before its database.
type served struct {
	proxies []*pgtest.Proxy
	url     string // of the database
	cmd     *exec.Cmd
	at      atomic.Pointer[native.Client] // another one after each start: whoever comes may take a port that is free
}

func newReliable(t *testing.T) *reliable {
	dir := t.TempDir()
	r := &reliable{T: t, binary: filepath.Join(dir, "saldo"), keys: filepath.Join(dir, "keys"), faults: map[string]int{}}
	buildSaldo(t, r.binary)
	if err := os.WriteFile(r.keys, []byte("1 "+strings.Repeat("A", 42)+"E=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.servers = pgtest.NeedPair(t, pgtest.Options{})
	for i := range r.nodes {
		n := &served{}
		if i == 0 { // by an address that moves with the primary; the others look at both places
			n.proxies = []*pgtest.Proxy{pgtest.NewProxy(t, r.servers.Socket)}
			n.url = n.proxies[0].URL("postgres")
		} else {
			n.proxies = []*pgtest.Proxy{pgtest.NewProxy(t, r.servers.Place(0)), pgtest.NewProxy(t, r.servers.Place(1))}
			n.url = n.proxies[0].URL("postgres", n.proxies[1])
		}
		r.nodes[i] = n
		if said, ok := r.start(n); !ok {
			t.Fatal(said)
		}
		t.Cleanup(func() { n.kill() })
	}
	for i := range r.accounts {
		a, err := r.nodes[0].at.Load().Open(t.Context(), native.AccountRequest{Unit: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		r.accounts[i] = a.ID
	}
	return r
}

// start starts a server, and reports whether it serves, or what it said before it
// ended. The first one says its operator's token.
func (r *reliable) start(n *served) (said string, ok bool) {
	n.cmd = exec.Command(r.binary, "serve", "--store", n.url, "--master-key-file", r.keys, "--listen", "127.0.0.1:0", "--log-format", "json", "--write-context=false", "--rate", "0")
	n.cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(r.keys))
	stderr, err := n.cmd.StderrPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		return err.Error(), false
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = n.cmd.Process.Signal(syscall.SIGQUIT) }) // it says where
	defer stuck.Stop()
	lines := bufio.NewReader(stderr)
	var log strings.Builder
	for {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		if err != nil { // it has ended
			_ = n.cmd.Wait()
			return log.String(), false
		}
		var said struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
			n.at.Store(&native.Client{URL: said.URL, Token: r.token, Tenant: "main", Tries: 1})
			break
		}
		if token, ok := strings.CutPrefix(line, "    saldo"); ok {
			r.token = "saldo" + strings.TrimSpace(token)
		}
	}
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if strings.Contains(line, `"level":"ERROR"`) {
				r.mu.Lock()
				r.said = append(r.said, line)
				r.mu.Unlock()
			}
		}
	}()
	return "", true
}

// kill ends a server as kill -9 does.
func (n *served) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

// torment lets everything fail in turn, in another order each time, and begins no
// new turn when the time is over.
func (r *reliable) torment(ctx context.Context) {
	seed := rand.Uint64()
	r.Logf("faults in the order of seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	type fault struct {
		name string
		do   func() error
	}
	var n *served // whom it happens to
	each := func(do func(*pgtest.Proxy)) func() error {
		return func() error {
			for _, p := range n.proxies {
				do(p)
			}
			return nil
		}
	}
	lasting := func(longest time.Duration, on, off func(*pgtest.Proxy)) func() error {
		return func() error {
			_ = each(on)()
			r.pause(ctx, rng, longest)
			return each(off)()
		}
	}
	halfOpen := 2 * time.Second
	if *reliability > time.Minute {
		halfOpen = 20 * time.Second // longer than a server waits for a reply
	}
	faults := []fault{
		{"connections cut", each((*pgtest.Proxy).Cut)},
		{"replies lost", each(func(p *pgtest.Proxy) { p.LoseReplies(1 + rng.IntN(3)) })},
		{"commits cut off from their replies", lasting(time.Second, (*pgtest.Proxy).Break, (*pgtest.Proxy).Mend)},
		{"requests lost", each(func(p *pgtest.Proxy) { p.LoseRequests(1 + rng.IntN(3)) })},
		{"latency of 20 ms", lasting(time.Second, func(p *pgtest.Proxy) { p.Latency(20 * time.Millisecond) }, func(p *pgtest.Proxy) { p.Latency(0) })},
		{"half-open", lasting(halfOpen, func(p *pgtest.Proxy) { p.Silence(true) }, func(p *pgtest.Proxy) { p.Silence(false) })},
		{"server killed", func() error {
			n.kill()
			for tries := 1; ; tries++ { // its first connection may be lost too, as earlier faults have it
				said, ok := r.start(n)
				if ok {
					return nil
				}
				if tries == 20 {
					return errors.New("it does not start again: " + said)
				}
			}
		}},
		{"PostgreSQL killed", func() error { return errors.Join(r.servers.Primary().Kill(), r.servers.Primary().Start()) }},
		{"fail-over, and the old primary back", func() error {
			if err := r.servers.FailOver(); err != nil {
				return err
			}
			if err := r.servers.Return(true); err != nil {
				return err
			}
			return r.servers.Repair()
		}},
	}
	until := time.Now().Add(*reliability)
	for turn := 0; turn == 0 || time.Now().Before(until); turn++ {
		rng.Shuffle(len(faults), func(i, k int) { faults[i], faults[k] = faults[k], faults[i] })
		for _, f := range faults {
			n = r.nodes[rng.IntN(len(r.nodes))]
			if err := f.do(); err != nil {
				r.Errorf("%s: %v", f.name, err)
			}
			if ctx.Err() != nil || r.Failed() {
				return
			}
			r.mu.Lock()
			r.faults[f.name]++
			r.mu.Unlock()
			r.pause(ctx, rng, 500*time.Millisecond)
		}
	}
}

// pause lets things go on for some time.
func (r *reliable) pause(ctx context.Context, rng *rand.Rand, longest time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(rng.Int64N(int64(longest)))):
	}
}

// tell writes what came of it.
func (r *reliable) tell(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Logf("%v: %d operations answered in %d histories of %d, %d of them repeats; %d requests without an answer, made again; the longest operation took %v",
		took.Round(time.Second), r.answered.Load(), r.rounds, clients*eachRound, r.repeated.Load(), r.unanswered.Load(), r.longest.Round(time.Millisecond))
	for name, n := range r.faults {
		r.Logf("%4d × %s", n, name)
	}
	for _, line := range r.said[:min(20, len(r.said))] {
		r.Logf("a server said %s", line)
	}
}

// balances are the sequential meaning of the accounts: what each has and holds,
// and what each client has on hold, where.
type balances struct {
	posted, held [hotAccounts]int64
	hold         [clients]int64
	at           [clients]int
}

// An asked is an operation of a history, and told is what came of it.
type asked struct {
	op       string
	client   int
	from, to int
	amount   int64
}

type told struct {
	ok           bool
	posted, held int64 // of a read; of what was refused the spendable
}

// step does an operation to the balances, and reports whether that is what the
// client was told.
func step(b balances, in asked, out told) (bool, balances) {
	spendable := b.posted[in.from] - b.held[in.from]
	switch in.op {
	case "read":
		return out.posted == b.posted[in.from] && out.held == b.held[in.from], b
	case "topup":
		b.posted[in.from] += in.amount
		return out.ok, b
	case "capture":
		b.posted[b.at[in.client]] -= in.amount
		fallthrough
	case "release":
		b.held[b.at[in.client]] -= b.hold[in.client]
		b.hold[in.client] = 0
		return out.ok, b
	}
	if spendable < in.amount {
		return !out.ok && out.posted == spendable, b
	}
	switch in.op {
	case "charge":
		b.posted[in.from] -= in.amount
	case "move":
		b.posted[in.from] -= in.amount
		b.posted[in.to] += in.amount
	case "hold":
		b.held[in.from] += in.amount
		b.hold[in.client], b.at[in.client] = in.amount, in.from
	}
	return out.ok, b
}

// round has every client make some operations, and looks for an order.
func (r *reliable) round(ctx context.Context) {
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	do := func(in asked, id, hold string) told {
		call := time.Since(start)
		out := r.do(ctx, in, id, hold)
		back := time.Since(start)
		mu.Lock()
		history = append(history, porcupine.Operation{ClientId: in.client, Input: in, Output: out, Call: int64(call), Return: int64(back)})
		mu.Unlock()
		return out
	}
	var wait sync.WaitGroup
	for c := range clients {
		rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(c)))
		wait.Go(func() {
			hold, held := "", int64(0)
			for i := range eachRound {
				in := asked{op: []string{"read", "read", "topup", "charge", "charge", "move", "move", "hold"}[rng.IntN(8)], client: c,
					from: rng.IntN(hotAccounts), amount: 1 + rng.Int64N(60)}
				in.to = (in.from + 1 + rng.IntN(hotAccounts-1)) % hotAccounts
				if hold != "" && (in.op == "hold" || i == eachRound-1) { // nothing stays on hold at the end
					in.op, in.amount = "capture", 1+rng.Int64N(held)
					if rng.IntN(3) == 0 {
						in.op = "release"
					}
				}
				if i == eachRound-1 && in.op == "hold" {
					in.op = "read"
				}
				id := fmt.Sprint("r", r.serial.Add(1))
				out := do(in, id, hold)
				if in.op != "read" && rng.IntN(8) == 0 && ctx.Err() == nil {
					r.repeated.Add(1)
					if again := r.do(ctx, in, id, hold); again != out {
						r.Errorf("%+v was answered %+v, its repeat %+v", in, out, again)
					}
				}
				switch {
				case in.op == "hold" && out.ok:
					hold, held = id, in.amount
				case in.op == "capture" || in.op == "release":
					hold = ""
				}
				if r.Failed() {
					return
				}
			}
		})
	}
	wait.Wait()
	began := r.books
	for a := range r.accounts { // what the next round begins with
		out := do(asked{op: "read", from: a}, "", "")
		r.books.posted[a], r.books.held[a] = out.posted, out.held
	}
	if ctx.Err() != nil || r.Failed() {
		r.Error("not every operation was answered in time")
		return
	}
	model := porcupine.Model{
		Init: func() any { return began },
		Step: func(state, in, out any) (bool, any) { return step(state.(balances), in.(asked), out.(told)) },
	}
	if res := porcupine.CheckOperationsTimeout(model, history, time.Minute); res != porcupine.Ok {
		r.Errorf("no order explains what %d operations answered: %v", len(history), res)
	}
	r.mu.Lock()
	r.rounds++
	r.mu.Unlock()
}

// do makes an operation at some server, and again at any until it is answered.
func (r *reliable) do(ctx context.Context, in asked, id, hold string) told {
	began := time.Now()
	for ctx.Err() == nil {
		out, err := r.ask(ctx, r.nodes[rand.IntN(len(r.nodes))].at.Load(), in, id, hold)
		var refused *native.Error
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Code == native.CodeInsufficient:
			out = told{posted: whole(r.T, refused.Spendable)}
		case errors.As(err, &refused) && !refused.Retryable:
			r.Errorf("%+v: %v", in, err)
			return out
		default:
			r.unanswered.Add(1)
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			continue
		}
		r.answered.Add(1)
		r.mu.Lock()
		r.longest = max(r.longest, time.Since(began))
		r.mu.Unlock()
		return out
	}
	return told{}
}

func (r *reliable) ask(ctx context.Context, c *native.Client, in asked, id, hold string) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	account, amount := r.accounts[in.from], strconv.FormatInt(in.amount, 10)
	var err error
	switch in.op {
	case "read":
		b, err := c.Balance(ctx, account)
		if err != nil {
			return told{}, err
		}
		return told{posted: whole(r.T, b.Posted), held: whole(r.T, b.Held)}, nil
	case "topup":
		_, err = c.TopUp(ctx, account, native.TransferRequest{ID: id, Amount: amount})
	case "charge":
		_, err = c.Charge(ctx, account, native.TransferRequest{ID: id, Amount: amount})
	case "move":
		_, err = c.Transfer(ctx, native.TransferRequest{ID: id, From: account, To: r.accounts[in.to], Amount: amount})
	case "hold":
		_, err = c.Hold(ctx, account, native.HoldRequest{ID: id, Amount: amount})
	case "capture":
		_, err = c.Capture(ctx, hold, native.CaptureRequest{ID: id, Amount: amount, Final: true})
	case "release":
		_, err = c.Release(ctx, hold, native.HoldRequest{ID: id})
	}
	return told{ok: err == nil}, err
}

// whole reads an amount that has no decimals but zeros.
func whole(t *testing.T, amount string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(amount, ".000000"), 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n
}
