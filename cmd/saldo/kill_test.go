package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/dialect/native"
)

// buildSaldo builds the program.
func buildSaldo(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestKill kills the real program under load, again and again (SALDO_KILLS
// times, 5 without it), and compares what it answered before with what it
// answers after: every acknowledged command is there with its balance, nothing
// happened twice, and the books prove themselves.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("SALDO_KILLS")); err == nil {
		kills = n
	}
	k := &killing{t: t, dir: t.TempDir(), data: filepath.Join(t.TempDir(), "data"), binary: filepath.Join(t.TempDir(), "saldo")}
	buildSaldo(t, k.binary)
	notes, err := os.Create(filepath.Join(k.dir, "acknowledged.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer notes.Close()
	k.notes = json.NewEncoder(notes)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	k.rng = rand.New(rand.NewPCG(seed, 0))

	k.start()
	k.openAccounts(8)
	for n := range kills {
		fresh := len(k.acked)
		k.load(16, 100*time.Millisecond+time.Duration(k.rng.IntN(400))*time.Millisecond)
		heads := k.heads
		k.start()
		k.passesThrough(heads)
		k.repeatUnknown()
		k.repeat(k.acked[fresh:])
		t.Logf("kill %d: %d commands were acknowledged so far", n+1, len(k.acked))
	}
	k.repeat(k.acked)
	k.sums()
	expect := k.currentHeads()
	k.kill()
	out, err := exec.Command(k.binary, append([]string{"verify", "--data", k.data}, expect...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	// A journal that was cut off has to be noticed.
	if out, err := exec.Command(k.binary, "verify", "--data", k.data, "--expect", "1:999999999:"+strings.Repeat("00", 32)).CombinedOutput(); err == nil {
		t.Errorf("a head that was never there was found:\n%s", out)
	}
}

// An acked is a command that was acknowledged, and how.
type acked struct {
	Path, Body, Answer string
	Account            string
	Steps              int64 // what it did to the account, in millionths
}

// A killing is a server that is killed, and what it has said.
type killing struct {
	t         *testing.T
	dir, data string
	binary    string
	rng       *rand.Rand
	notes     *json.Encoder

	cmd      *exec.Cmd
	url      string
	token    string
	accounts []string
	heads    []string // at the last start

	mu      sync.Mutex
	acked   []acked
	unknown []acked // sent, and the answer never came
	serial  int
}

// start starts the server and waits until it serves.
func (k *killing) start() {
	k.t.Helper()
	k.cmd = exec.Command(k.binary, "serve", "--data", k.data, "--listen", "127.0.0.1:0", "--log-format", "json", "--write-context=false", "--rate", "0")
	stderr, err := k.cmd.StderrPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = k.cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	k.url = ""
	for k.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			k.t.Fatalf("the server did not start: %v", err)
		}
		var said struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
			k.url = said.URL
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	if k.token, err = readSecret(filepath.Join(k.data, tokenFile)); err != nil {
		k.t.Fatal(err)
	}
	k.heads = k.currentHeads()
}

// kill ends the server as a power cut would end it.
func (k *killing) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

func (k *killing) client() *native.Client {
	return &native.Client{URL: k.url, Token: k.token, Tries: 1}
}

// currentHeads returns the ends of the books as flags of verify.
func (k *killing) currentHeads() (flags []string) {
	k.t.Helper()
	var page struct {
		Items []struct {
			Book, Seq uint64
			Hash      string
		}
	}
	if err := k.client().Do(k.t.Context(), http.MethodGet, "/v1/heads", nil, &page); err != nil {
		k.t.Fatal(err)
	}
	for _, h := range page.Items {
		flags = append(flags, "--expect", fmt.Sprintf("%d:%d:%s", h.Book, h.Seq, h.Hash))
	}
	return flags
}

// passesThrough lets the running server prove that its books go through heads
// that it had at an earlier start.
func (k *killing) passesThrough(flags []string) {
	k.t.Helper()
	var heads []string
	for _, f := range flags {
		if f != "--expect" {
			heads = append(heads, f)
		}
	}
	if err := k.client().Do(k.t.Context(), http.MethodPost, "/v1/verifications", object{"expect": heads}, nil); err != nil {
		k.t.Fatal(err)
	}
}

func (k *killing) openAccounts(n int) {
	k.t.Helper()
	for range n {
		a, err := k.client().Open(k.t.Context(), native.AccountRequest{Unit: "USD"})
		if err != nil {
			k.t.Fatal(err)
		}
		k.accounts = append(k.accounts, a.ID)
		if _, err := k.post(k.next(a.ID, "topups", 1_000_000_000)); err != nil {
			k.t.Fatal(err)
		}
	}
}

// next makes a command with a new id.
func (k *killing) next(account, call string, steps int64) acked {
	k.mu.Lock()
	k.serial++
	id := fmt.Sprintf("kill-%d", k.serial)
	k.mu.Unlock()
	amount := fmt.Sprintf("%d.%06d", steps/1_000_000, steps%1_000_000)
	if call == "charges" {
		steps = -steps
	}
	return acked{Path: "/v1/accounts/" + account + "/" + call, Body: fmt.Sprintf(`{"id":%q,"amount":%q}`, id, amount), Account: account, Steps: steps}
}

var errReplayed = errors.New("it was answered as a repeat")

// post sends a command, and notes it elsewhere when it was acknowledged.
func (k *killing) post(c acked) (replayed bool, err error) {
	answer, replayed, err := k.send(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.unknown = append(k.unknown, c)
		return false, err
	}
	c.Answer = answer
	k.acked = append(k.acked, c)
	return replayed, k.notes.Encode(c)
}

var transport = &http.Transport{MaxIdleConnsPerHost: 64}

func (k *killing) send(c acked) (answer string, replayed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+c.Path, strings.NewReader(c.Body))
	if err != nil {
		return "", false, err
	}
	r.Header.Set("Authorization", "Bearer "+k.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return "", false, err
	}
	if resp.StatusCode/100 != 2 {
		return "", false, fmt.Errorf("%s %s: %s %s", c.Path, c.Body, resp.Status, buf.String())
	}
	return buf.String(), resp.Header.Get("Idempotent-Replayed") == "true", nil
}

// load has many clients send commands for a while and kills the server under them.
func (k *killing) load(clients int, d time.Duration) {
	k.t.Helper()
	var wg sync.WaitGroup
	var dying atomic.Bool
	stopped := make(chan struct{})
	for i := range clients {
		rng := rand.New(rand.NewPCG(k.rng.Uint64(), uint64(i)))
		wg.Go(func() {
			for {
				call := "charges"
				if rng.IntN(4) == 0 {
					call = "topups"
				}
				replayed, err := k.post(k.next(k.accounts[rng.IntN(len(k.accounts))], call, 1+rng.Int64N(10_000)))
				select {
				case <-stopped:
					return
				default:
				}
				if err == nil && replayed {
					err = errReplayed
				}
				if err != nil {
					if !dying.Load() {
						k.t.Errorf("under load: %v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(d)
	go func() { dying.Store(true); k.kill(); close(stopped) }()
	wg.Wait()
	<-stopped
}

// repeatUnknown repeats what was never answered: each happens now, or happened then.
func (k *killing) repeatUnknown() {
	k.t.Helper()
	unknown := k.unknown
	k.unknown = nil
	happened := 0
	for _, c := range unknown {
		replayed, err := k.post(c)
		if err != nil {
			k.t.Fatalf("repeating what was not answered: %v", err)
		}
		if replayed {
			happened++
		}
	}
	k.t.Logf("%d commands were not answered; %d of them had happened", len(unknown), happened)
}

// repeat repeats acknowledged commands: the same bytes have to come back.
func (k *killing) repeat(list []acked) {
	k.t.Helper()
	work := make(chan acked)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for c := range work {
				answer, replayed, err := k.send(c)
				switch {
				case err != nil:
					k.t.Errorf("a repeat fails: %v", err)
				case !replayed:
					k.t.Errorf("%s was acknowledged before the kill and happened again after it", c.Body)
				case answer != c.Answer:
					k.t.Errorf("%s was answered\n%s\nand is now answered\n%s", c.Body, c.Answer, answer)
				}
			}
		})
	}
	for _, c := range list {
		work <- c
	}
	close(work)
	wg.Wait()
}

// sums compares every balance with the sum of what was acknowledged.
func (k *killing) sums() {
	k.t.Helper()
	want := map[string]int64{}
	for _, c := range k.acked {
		want[c.Account] += c.Steps
	}
	for _, id := range k.accounts {
		b, err := k.client().Balance(k.t.Context(), id)
		if err != nil {
			k.t.Fatal(err)
		}
		posted, ok := new(big.Rat).SetString(b.Posted)
		if !ok || posted.Cmp(big.NewRat(want[id], 1_000_000)) != 0 {
			k.t.Errorf("account %s has %s; what was acknowledged sums to %d millionths", id, b.Posted, want[id])
		}
	}
}
