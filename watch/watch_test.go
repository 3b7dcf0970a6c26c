package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

// A shop is a vendor with one balance, which a test moves.
type shop struct {
	mu     sync.Mutex
	text   string
	unit   string
	failed error
	asked  int
	delay  time.Duration
}

func (s *shop) Read(ctx context.Context) (dialect.Reading, error) {
	s.mu.Lock()
	text, unit, failed, delay := s.text, s.unit, s.failed, s.delay
	s.asked++
	s.mu.Unlock()
	if delay > 0 {
		sleep(ctx, delay)
	}
	if failed != nil {
		return dialect.Reading{}, failed
	}
	r := dialect.Reading{Unit: unit, Time: time.Now()}
	return r, r.ReadAmount(text)
}

func (s *shop) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.failed = text, nil
}

func (s *shop) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// A receiver takes webhooks, and checks them with the library's own check.
type receiver struct {
	*httptest.Server
	secret string
	mu     sync.Mutex
	got    []message
	status func(n int, r *http.Request) int // of the nth request; nil: 204
	n      int
	wrong  []error
}

type message struct {
	id    string
	alert Alert
	kind  string
	try   int
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{secret: NewSecret()}
	check, err := standardwebhooks.NewWebhook(r.secret)
	must(t, err)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.n++
		if err := check.Verify(body, q.Header); err != nil {
			r.wrong = append(r.wrong, err)
		}
		status := http.StatusNoContent
		if r.status != nil {
			status = r.status(r.n, q)
		}
		if status < 300 {
			var b struct {
				Type string `json:"type"`
				Data Alert  `json:"data"`
			}
			if err := json.Unmarshal(body, &b); err != nil {
				r.wrong = append(r.wrong, err)
			}
			r.got = append(r.got, message{q.Header.Get("Webhook-Id"), b.Data, b.Type, r.n})
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) endpoint(name string) *Endpoint {
	return &Endpoint{Tenant: 1, Name: name, URL: r.URL + "/hook", Secrets: []string{r.secret}, FromFile: true}
}

// wait returns the messages once there are n.
func (r *receiver) wait(t *testing.T, n int) []message {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		got := append([]message(nil), r.got...)
		wrong := r.wrong
		r.mu.Unlock()
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		if len(got) >= n {
			return got
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		t.Logf("%s %s %s %s %d", m.kind, m.alert.Rule, m.alert.Level, m.alert.State, m.alert.Crossing)
	}
	t.Fatalf("%d messages, not %d", len(r.got), n)
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A place is a ledger in a directory, which can be opened again.
type place struct {
	t      testing.TB
	dir    string
	store  *embedded.Store
	Ledger *ledger.Ledger
	Tenant ledger.Tenant
	book   ledger.BookID
	ids    int
	clock  *clock // nil: the machine's
}

// A clock goes as a test has it go.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return time.Unix(0, c.now.Load()).UTC()
}

func (c *clock) forward(d time.Duration) { c.now.Add(int64(d)) }

// newClock returns one that stands at noon.
func newClock() *clock {
	c := new(clock)
	c.now.Store(time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func newPlace(t testing.TB) *place { return newPlaceAt(t, nil) }

func newPlaceAt(t testing.TB, c *clock) *place {
	p := &place{t: t, dir: t.TempDir(), clock: c}
	p.open()
	t.Cleanup(p.close)
	return p
}

func (p *place) open() {
	p.t.Helper()
	var err error
	p.store, err = embedded.Open(p.dir, embedded.Options{})
	must(p.t, err)
	p.Ledger, err = ledger.Open(context.Background(), p.store, ledger.Options{Now: p.clock.Now})
	must(p.t, err)
	ctx := context.Background()
	p.Tenant, err = p.Ledger.TenantByName(ctx, "main")
	if ledger.CodeOf(err) == ledger.NotFound {
		p.Tenant, _, err = p.Ledger.CreateTenant(ctx, 0, "", ledger.Tenant{Name: "main"})
	}
	must(p.t, err)
	b, err := p.Ledger.BookByName(ctx, p.Tenant.Number, "main")
	must(p.t, err)
	p.book = b.Number
}

func (p *place) close() {
	if p.Ledger != nil {
		must(p.t, p.Ledger.Close())
		must(p.t, p.store.Close())
		p.Ledger = nil
	}
}

// account opens an account in USD.
func (p *place) account(limit string) ledger.AccountID {
	p.t.Helper()
	id := p.Ledger.NewID()
	p.post(&ledger.AddUnit{Unit: usd}, &ledger.OpenAccount{ID: id, Unit: "USD", Mode: ledger.Own, Limit: dollars(p.t, limit)})
	return id
}

var usd, _, _ = money.ISO("USD")

func dollars(t testing.TB, s string) money.Amount {
	t.Helper()
	a, err := usd.Parse(s)
	must(t, err)
	return a
}

func (p *place) post(ops ...ledger.Op) {
	p.t.Helper()
	p.ids++
	_, err := p.Ledger.Post(context.Background(), &ledger.Command{Tenant: p.Tenant.Number, Book: p.book, Ops: ops})
	must(p.t, err)
}

func (p *place) system(role ledger.Role) ledger.AccountID {
	p.t.Helper()
	return ledger.SystemID(p.book, 0, role)
}

func (p *place) topUp(id ledger.AccountID, amount string) {
	p.t.Helper()
	p.post(&ledger.Transfer{Kind: ledger.TopUp, From: p.system(ledger.Cash), To: id, Amount: dollars(p.t, amount)})
}

func (p *place) charge(id ledger.AccountID, amount string) {
	p.t.Helper()
	p.post(&ledger.Transfer{Kind: ledger.Charge, From: id, To: p.system(ledger.Revenue), Amount: dollars(p.t, amount)})
}

var testKeys = auth.MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {7}}}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// watch opens a Watch with short retries, which ends with the test.
func (p *place) watch(o Options) *Watch {
	p.t.Helper()
	o.Ledger, o.Allow, o.Now = p.Ledger, loopback, p.clock.Now
	if o.Keys.Keys == nil {
		o.Keys = testKeys
	}
	if o.Retries == nil {
		o.Retries = []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}
	}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w, err := Open(context.Background(), o)
	must(p.t, err)
	closed := false
	p.t.Cleanup(func() {
		if !closed {
			must(p.t, w.Close())
		}
	})
	closing := w.stop
	w.stop = func() { closed = true; closing() }
	return w
}

func source(t testing.TB, spec Spec, reader dialect.Reader) *Source {
	t.Helper()
	if spec.Interval == "" {
		spec.Interval = "1s"
	}
	s, err := spec.New(1)
	must(t, err)
	s.Reader, s.FromFile = reader, true
	return s
}

// now makes every source the next one, so that tests need not wait for intervals.
func (w *Watch) now() {
	for _, l := range w.Looks(0) {
		w.pollNow(l.Source.Key())
	}
}

// until calls ok until it is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

// polled waits for polls that have begun after the call.
func (w *Watch) polled(t *testing.T) {
	t.Helper()
	begin := time.Now()
	w.now()
	until(t, "a poll", func() bool {
		for _, l := range w.Looks(0) {
			if l.Tried.Before(begin) {
				return false
			}
		}
		return true
	})
}

func TestSourceFiresOnceAndResolves(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	vendor := &shop{text: "30.00", unit: "USD"}
	spec := Spec{Name: "sms", Kind: "test", Interval: "1h", Low: "20", Critical: "5.00", Labels: map[string]string{"team": "growth"}}
	open := func() *Watch {
		return p.watch(Options{Sources: []*Source{source(t, spec, vendor)}, Endpoints: []*Endpoint{hook.endpoint("ops")}})
	}
	w := open()
	w.polled(t)
	vendor.set("19.99")
	w.polled(t)
	got := hook.wait(t, 1)
	a := got[0].alert
	if a.Type != "source.balance.low" || a.Level != "warning" || a.State != "firing" || a.Value != "19.99" || a.Unit != "USD" || a.Threshold != "20" ||
		a.Vendor != "test" || a.Labels["team"] != "growth" || a.Tenant != "main" || got[0].id != a.ID {
		t.Errorf("fired %+v", a)
	}
	vendor.set("18.00") // still low: nothing more
	w.polled(t)
	vendor.set("20.50") // above, but not beyond the margin
	w.polled(t)
	vendor.set("19.00")
	w.polled(t)
	must(t, w.Close())
	p.close()
	p.open()
	w = open() // a restart changes nothing
	w.polled(t)
	vendor.set("4.00")
	w.polled(t)
	got = hook.wait(t, 2)
	if a := got[1].alert; a.Level != "critical" || a.Crossing != 1 {
		t.Errorf("fired %+v", a)
	}
	vendor.set("50.00")
	w.polled(t)
	hook.wait(t, 4)
	vendor.set("1.00")
	w.polled(t)
	got = hook.wait(t, 6)
	w.polled(t)
	ids := map[string]bool{}
	var states []string
	for _, m := range got {
		ids[m.id] = true
		states = append(states, m.alert.Level+" "+m.alert.State)
	}
	want := "warning firing, critical firing, warning resolved, critical resolved, warning firing, critical firing"
	if strings.Join(states, ", ") != want || len(ids) != 6 || len(got) != 6 {
		t.Errorf("%d ids of %s", len(ids), strings.Join(states, ", "))
	}
	if l := w.Looks(1)[0]; l.State != "critical" || l.Balance != "1.00" || l.Reason != "" || len(l.Firing) != 2 {
		t.Errorf("it looks like %+v", l)
	}
	var alerts []string
	must(t, w.Alerts(t.Context(), 1, "", func(_ string, a *Alert) bool { alerts = append(alerts, a.ID); return true }))
	if len(alerts) != 6 || alerts[5] != got[0].id {
		t.Errorf("the alerts are %v", alerts)
	}
}

func TestFailuresAndStaleReadings(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	good, bad := &shop{text: "30.00", unit: "USD"}, &shop{delay: time.Hour}
	sources := []*Source{source(t, Spec{Name: "good", Kind: "test"}, good)}
	for n := range 6 { // more than are asked at a time
		sources = append(sources, source(t, Spec{Name: fmt.Sprintf("a-hangs%d", n), Kind: "hangs"}, bad))
	}
	broken := &shop{failed: &dialect.Error{Reason: dialect.Unauthorized, Message: "Authenticate"}}
	sources = append(sources, source(t, Spec{Name: "broken", Kind: "test", Interval: "1h"}, broken))
	w := p.watch(Options{Sources: sources, Endpoints: []*Endpoint{hook.endpoint("ops")}})
	_, _, err := w.CreateRule(t.Context(), 0, "r1", &Rule{Name: "stale", Tenant: 1, Source: "broken", When: ReadingOlder,
		Levels: []Level{{"critical", Threshold{For: 300 * time.Millisecond, Kind: isDuration}}}})
	must(t, err)
	got := hook.wait(t, 1)
	if a := got[0].alert; a.Type != "source.reading.stale" || a.Level != "critical" {
		t.Errorf("fired %+v", a)
	}
	until(t, "the good one is asked again and again", func() bool { return good.times() >= 3 })
	look := w.Looks(1)
	for _, l := range look {
		if l.Source.Name == "broken" && (l.State != "failed" || l.Reason != "credential" || !strings.Contains(l.Why, `"Authenticate."`) || l.Balance != "") {
			t.Errorf("it looks like %+v", l)
		}
	}
	broken.set("1.00")
	w.pollNow(sourceKey(1, "broken"))
	if a := hook.wait(t, 2)[1].alert; a.State != "resolved" || a.Type != "source.reading.recovered" {
		t.Errorf("then %+v", a)
	}
}

func TestRetryAfterAndBackOff(t *testing.T) {
	p := &polled{Source: &Source{Interval: 15 * time.Minute}}
	if d := p.wait(1, &dialect.Error{RetryAfter: 20 * time.Minute}); d < 20*time.Minute || d > 22*time.Minute {
		t.Errorf("after Retry-After: 1200 it waits %v", d)
	}
	p = &polled{Source: &Source{Interval: 15 * time.Minute}}
	for n, bounds := range [][2]time.Duration{{15 * time.Second, 45 * time.Second}, {30 * time.Second, 90 * time.Second}, {time.Minute, 3 * time.Minute}} {
		if d := p.wait(n+1, errors.New("x")); d < bounds[0] || d > bounds[1] {
			t.Errorf("after failure %d it waits %v", n+1, d)
		}
	}
	if d := p.wait(40, errors.New("x")); d < 30*time.Minute || d > 90*time.Minute {
		t.Errorf("after failure 40 it waits %v", d)
	}
	if d := p.wait(0, nil); d < 14*time.Minute || d > 16*time.Minute {
		t.Errorf("then it waits %v", d)
	}
}

func TestAccountRules(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	account := p.account("0")
	p.topUp(account, "100")
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")}})
	share, err := ParseThreshold("20%")
	must(t, err)
	rule := &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow, Levels: []Level{{"warning", share}, {"critical", Threshold{Kind: isAmount}}}}
	made, _, err := w.CreateRule(t.Context(), 0, "cmd-1", rule)
	must(t, err)
	again, replayed, err := w.CreateRule(t.Context(), 0, "cmd-1", &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow, Levels: rule.Levels})
	must(t, err)
	if !replayed || again.ID != made.ID {
		t.Errorf("a repeat makes %+v, %v", again, replayed)
	}
	p.charge(account, "79.99")
	p.charge(account, "0.01") // 20.00, a fifth of 100
	p.charge(account, "5")
	p.charge(account, "15") // nothing is left
	p.topUp(account, "10")  // which is not above a fifth of 10 by a margin? It is: 10 > 2.1
	p.charge(account, "8")
	got := hook.wait(t, 5)
	var text []string
	for _, m := range got {
		text = append(text, fmt.Sprintf("%s %s %s", m.alert.Level, m.alert.State, m.alert.Value))
	}
	want := "warning firing 20, critical firing 0, warning resolved 10, critical resolved 10, warning firing 2"
	if strings.Join(text, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(text, ", "), want)
	}
	must(t, w.DeleteRule(t.Context(), 0, "", 1, "low"))
	p.topUp(account, "100")
	p.charge(account, "100")
	time.Sleep(300 * time.Millisecond)
	if got := hook.wait(t, 5); len(got) != 5 {
		t.Errorf("a rule that is gone sent %+v", got[5:])
	}
}

// What happens while nobody watches is told afterwards: each crossing once.
func TestAccountRulesCatchUp(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	account := p.account("0")
	p.topUp(account, "100")
	open := func() *Watch { return p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")}}) }
	w := open()
	_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(t, "10")}}})
	must(t, err)
	for range 3 {
		must(t, w.Close())
		p.charge(account, "95")
		p.topUp(account, "95")
		p.close()
		p.open()
		w = open()
	}
	hook.wait(t, 6)
	time.Sleep(200 * time.Millisecond)
	got := hook.wait(t, 6)
	ids := map[string]bool{}
	for n, m := range got {
		ids[m.id] = true
		if want := []string{"firing", "resolved"}[n%2]; m.alert.State != want || m.alert.Crossing != uint64(n/2+1) {
			t.Errorf("message %d is %+v", n, m.alert)
		}
	}
	if len(ids) != 6 || len(got) != 6 {
		t.Errorf("%d messages with %d ids", len(got), len(ids))
	}
}

func mustThreshold(t testing.TB, s string) Threshold {
	t.Helper()
	x, err := ParseThreshold(s)
	must(t, err)
	return x
}

func TestHoldsAndCreditLimit(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	account := p.account("50")
	p.topUp(account, "10")
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")}})
	_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "credit", Tenant: 1, Account: account, When: LimitNear, Levels: []Level{{"warning", mustThreshold(t, "80%")}}})
	must(t, err)
	_, _, err = w.CreateRule(t.Context(), 0, "", &Rule{Name: "holds", Tenant: 1, Account: account, When: HoldExpired, Levels: []Level{{"warning", Threshold{}}}})
	must(t, err)
	_, err = p.Ledger.Post(t.Context(), &ledger.Command{Tenant: 1, Book: p.book, ID: "h", Ops: []ledger.Op{
		&ledger.PlaceHold{Account: account, Amount: dollars(t, "50"), Expires: ledger.Lifetime{For: 200 * time.Millisecond}}}}) // 40 of 50 used
	must(t, err)
	got := hook.wait(t, 3)
	seen := map[string]string{}
	for _, m := range got {
		seen[m.alert.Type] = m.alert.Value
	}
	if seen["account.credit_limit.near"] != "80%" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	if _, ok := seen["account.hold.expired"]; !ok {
		t.Errorf("got %v", got)
	}
	if _, ok := seen["account.credit_limit.recovered"]; !ok {
		t.Errorf("got %v", got)
	}
}

func TestCooldownAndQuiet(t *testing.T) {
	r := &Rule{ID: "r", Name: "r", Source: "s", When: BalanceBelow, Levels: []Level{{"warning", mustThreshold(t, "10")}}, Cooldown: time.Hour}
	at := ledger.TimeOf(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	judge := func(s *Standing, minutes int, amount string, topped bool) string {
		m := Measure{Known: true, Amount: mustThreshold(t, amount).Amount, ToppedUp: topped}
		alerts, _ := r.Judge(s, at.Add(time.Duration(minutes)*time.Minute), m)
		text := ""
		for _, a := range alerts {
			text += a.State + " "
		}
		return strings.TrimSpace(text)
	}
	steps := func(s *Standing, want ...any) {
		t.Helper()
		for i := 0; i < len(want); i += 4 {
			if got := judge(s, want[i].(int), want[i+1].(string), want[i+2].(bool)); got != want[i+3].(string) {
				t.Errorf("%s: at %v with %v: %q, want %q", t.Name(), want[i], want[i+1], got, want[i+3])
			}
		}
	}
	steps(new(Standing), 0, "11", false, "", 1, "10", false, "firing", 2, "10.5", false, "", 3, "10.51", false, "resolved",
		10, "9", false, "", 60, "9", false, "", 61, "9", false, "firing", 62, "0", false, "", 63, "100", true, "resolved")
	r.Cooldown, r.Quiet = 0, true
	steps(new(Standing), 0, "10", false, "firing", 1, "12", false, "resolved", 2, "5", false, "", 3, "20", true, "", 4, "5", false, "firing",
		5, "30", true, "resolved", 6, "5", false, "firing")
	r.Quiet, r.Levels[0].At, r.Clear = false, mustThreshold(t, "0"), mustThreshold(t, "0")
	steps(new(Standing), 0, "0.01", false, "", 1, "0", false, "firing", 2, "0", false, "", 3, "0.01", false, "resolved")
	r.Levels[0].At, r.Clear = mustThreshold(t, "-100"), Threshold{}
	steps(new(Standing), 0, "-99", false, "", 1, "-100", false, "firing", 2, "-95", false, "", 3, "-94.99", false, "resolved")
}

// What is cleared of a share of a credit limit is a share of that limit too.
func TestClearOfCredit(t *testing.T) {
	r := &Rule{ID: "r", Name: "r", Account: ledger.AccountID{1}, When: LimitNear, Levels: []Level{{"warning", mustThreshold(t, "80%")}}, Clear: mustThreshold(t, "10%")}
	must(t, r.Check())
	s := new(Standing)
	for _, step := range []struct {
		percent int64
		state   string
	}{{79, ""}, {80, "firing"}, {70, ""}, {69, "resolved"}} {
		alerts, _ := r.Judge(s, 1, Measure{Known: true, Amount: money.New(step.percent * 100)})
		if got := slices.ContainsFunc(alerts, func(a Alert) bool { return a.State == step.state }); got != (step.state != "") || len(alerts) > 1 {
			t.Errorf("at %d%%: %+v, want %q", step.percent, alerts, step.state)
		}
	}
}

func TestDelivery(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	vendor := &shop{text: "30.00", unit: "USD"}
	hook.status = func(n int, _ *http.Request) int {
		if n <= 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	src := source(t, Spec{Name: "sms", Kind: "test", Interval: "1h", Low: "20"}, vendor)
	w := p.watch(Options{Sources: []*Source{src}, Endpoints: []*Endpoint{hook.endpoint("ops")}})
	w.polled(t)
	vendor.set("1")
	w.polled(t)
	vendor.set("100")
	w.polled(t)
	got := hook.wait(t, 2)
	if got[0].alert.State != "firing" || got[0].try != 3 || got[1].alert.State != "resolved" {
		t.Errorf("delivered %+v", got) // in order, though the first failed twice
	}
	until(t, "nothing is left", func() bool { _, n := w.Delivered(); return n == 0 })

	hook.mu.Lock()
	hook.status = func(int, *http.Request) int { return http.StatusFound } // which is not followed
	hook.mu.Unlock()
	vendor.set("1")
	w.polled(t)
	until(t, "it is dead", func() bool { out, _ := w.Delivered(); return out["dead"] == 1 })
	dead, err := w.Deliveries(t.Context(), 1, true, 100)
	must(t, err)
	if len(dead) != 1 || dead[0].Tries != 4 || dead[0].Error != "it answered 302 Found" {
		t.Fatalf("the dead are %+v", dead)
	}
	hook.mu.Lock()
	hook.status = nil
	hook.mu.Unlock()
	must(t, w.Replay(t.Context(), 0, 1, dead[0].ID))
	got = hook.wait(t, 3)
	if got[2].id != dead[0].Alert {
		t.Errorf("the replay has another id: %+v", got[2])
	}
	if dead, _ = w.Deliveries(t.Context(), 1, true, 100); len(dead) != 0 {
		t.Errorf("the dead are %+v", dead)
	}
}

// A tenant cannot have endless endpoints and sources: each change reads them all.
func TestTenantIsBounded(t *testing.T) {
	p := newPlace(t)
	w := p.watch(Options{Reader: func(*Spec, string) (dialect.Reader, error) { return &shop{text: "3", unit: "EUR"}, nil }})
	for i := range maxEndpoints + 1 {
		_, _, err := w.CreateEndpoint(t.Context(), 0, "", &Endpoint{Tenant: 1, Name: fmt.Sprint("e", i), URL: "https://example.com/"})
		if got := ledger.CodeOf(err); (got == ledger.TooMany) != (i == maxEndpoints) || got != ledger.OK && got != ledger.TooMany {
			t.Fatalf("endpoint %d: %v", i+1, err)
		}
	}
	for i := range maxSources {
		w.mu.Lock()
		w.sources[sourceKey(1, fmt.Sprint("s", i))] = &polled{Source: &Source{Spec: Spec{Name: fmt.Sprint("s", i)}, Tenant: 1}}
		w.mu.Unlock()
	}
	if _, err := w.CreateSource(t.Context(), 0, "", 1, Spec{Name: "more", Kind: "test"}, "x"); ledger.CodeOf(err) != ledger.TooMany {
		t.Errorf("one more source: %v", err)
	}
}

// A receiver that the API made may not be on this machine or in a private network.
func TestGuard(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	w := p.watch(Options{HTTP: Guarded(nil, time.Second)})
	e := hook.endpoint("inside")
	e.FromFile = false
	_, _, err := w.CreateEndpoint(t.Context(), 0, "", e)
	must(t, err)
	err = w.TestEndpoint(t.Context(), e, w.Sample(&Rule{Name: "x"}))
	if err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("it was sent: %v", err)
	}
	for text, public := range map[string]bool{"127.0.0.1": false, "::1": false, "10.1.2.3": false, "169.254.169.254": false, "::ffff:127.0.0.1": false,
		"fd00::1": false, "0.0.0.0": false, "100.64.1.1": false, "64:ff9b::7f00:1": false, "224.0.0.1": false, "8.8.8.8": true, "2606:4700::1111": true} {
		if got := isPublic(netip.MustParseAddr(text)); got != public {
			t.Errorf("%s is public: %v", text, got)
		}
	}
}

// The address of a webhook may have a secret in it, which no error repeats.
func TestAddressesAreNotRepeated(t *testing.T) {
	w := newPlace(t).watch(Options{})
	hook := &Endpoint{Tenant: 1, Name: "x", URL: "http://10.255.255.1/hook?token=s3cret", Secrets: []string{NewSecret()}}
	if err := w.TestEndpoint(t.Context(), hook, w.Sample(&Rule{Name: "r"})); err == nil || strings.Contains(err.Error(), "s3cret") ||
		!strings.Contains(err.Error(), "10.255.255.1") {
		t.Errorf("%v", err)
	}
}

func TestEndpointsAndSourcesOfTheAPI(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	vendor := &shop{text: "3", unit: "EUR"}
	var secrets []string
	reader := func(s *Spec, secret string) (dialect.Reader, error) {
		if s.Kind != "test" {
			return nil, fmt.Errorf("there is no kind %s", s.Kind)
		}
		secrets = append(secrets, secret)
		return vendor, nil
	}
	w := p.watch(Options{Reader: reader})
	ctx := t.Context()
	_, err := w.CreateSource(ctx, 0, "", 1, Spec{Name: "s", Kind: "none"}, "x")
	if ledger.CodeOf(err) != ledger.Invalid {
		t.Errorf("a kind that is none: %v", err)
	}
	_, err = w.CreateSource(ctx, 0, "s1", 1, Spec{Name: "s", Kind: "test", Critical: "5"}, "very secret")
	must(t, err)
	e := &Endpoint{Tenant: 1, Name: "ops", URL: hook.URL}
	secret, _, err := w.CreateEndpoint(ctx, 0, "e1", e)
	must(t, err)
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret is %q", secret)
	}
	for row, err := range p.Ledger.Scan(ctx, ledger.Query{List: ledger.ListRecords, All: true}) {
		must(t, err)
		if strings.Contains(string(row.Record.Data), "very secret") || strings.Contains(string(row.Record.Data), secret) {
			t.Errorf("the record %s %s has a secret in it", row.Record.Kind, row.Record.Key)
		}
	}
	hook.status = func(int, *http.Request) int { return http.StatusGone }
	_ = secret // of another than the receiver checks: it answers 410 whatever is sent
	until(t, "it is disabled", func() bool { e := w.Endpoint(1, "ops"); return e != nil && e.Disabled })
	must(t, w.Close())
	p.close()
	p.open()
	w = p.watch(Options{Reader: reader})
	if last := secrets[len(secrets)-1]; last != "very secret" {
		t.Errorf("after a restart the secret is %q", last)
	}
	asked := len(secrets)
	_, err = w.CreateSource(ctx, 0, "", 1, Spec{Name: "s", Kind: "test", Address: "https://elsewhere.example"}, "")
	if ledger.CodeOf(err) != ledger.Invalid || len(secrets) > asked {
		t.Errorf("a secret that is to go elsewhere: %v, %q", err, secrets[asked:])
	}
	_, err = w.CreateSource(ctx, 0, "", 1, Spec{Name: "s", Kind: "test", Critical: "6"}, "")
	must(t, err)
	if last := secrets[len(secrets)-1]; last != "very secret" {
		t.Errorf("of a source that was changed the secret is %q", last)
	}
	if l := w.Looks(1); len(l) != 1 {
		t.Errorf("the sources are %+v", l)
	}
	must(t, w.DeleteSource(ctx, 0, "", 1, "s"))
	for row, err := range p.Ledger.Scan(ctx, ledger.Query{List: ledger.ListRecords, All: true}) {
		must(t, err)
		if k := row.Record.Kind; k == kindSource || k == kindHistory || k == kindState {
			t.Errorf("a record %s %s is left", k, row.Record.Key)
		}
	}
}

// A source and our own account for it drift apart, and the rule about that fires.
// A file that cannot be taken over changes nothing, then or with the next change.
func TestReplaceAllOrNothing(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	w := p.watch(Options{Sources: []*Source{source(t, Spec{Name: "old", Kind: "test"}, &shop{text: "1", unit: "USD"})}})
	next := []*Source{source(t, Spec{Name: "new", Kind: "test"}, &shop{text: "2", unit: "USD"})}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Replace(gone, next, []*Endpoint{hook.endpoint("ops")}); err == nil {
		t.Fatal("it was taken over although nobody waits for it")
	}
	must(t, w.load(t.Context()))
	if all := w.Looks(0); len(all) != 1 || all[0].Source.Name != "old" || w.Endpoint(1, "ops") != nil {
		t.Errorf("watched is %s", all[0].Source.Name)
	}
	must(t, w.Replace(t.Context(), next, []*Endpoint{hook.endpoint("ops")}))
	if all := w.Looks(0); len(all) != 1 || all[0].Source.Name != "new" || w.Endpoint(1, "ops") == nil {
		t.Errorf("watched is %s", all[0].Source.Name)
	}
}

func TestDrift(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	mirror := p.account("0")
	p.topUp(mirror, "100")
	vendor := &shop{text: "100.00", unit: "USD"}
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")},
		Sources: []*Source{source(t, Spec{Name: "sms", Kind: "test", Interval: "1h", Mirror: mirror.String()}, vendor)}})
	_, _, err := w.CreateRule(t.Context(), 0, "r", &Rule{Name: "drift", Tenant: 1, Source: "sms", When: DriftAbove,
		Levels: []Level{{"warning", Threshold{Amount: wideOf(t, "5"), Kind: isAmount}}}})
	must(t, err)
	drift := func(want string) {
		t.Helper()
		w.polled(t)
		if l := w.Looks(1)[0]; l.Drift != want {
			t.Errorf("they differ by %q, not %s", l.Drift, want)
		}
	}
	drift("0")
	p.charge(mirror, "10") // billed by us, and by the vendor
	vendor.set("90.00")
	drift("0")
	vendor.set("85.50") // billed by the vendor alone
	drift("-4.5")
	vendor.set("84.99")
	drift("-5.01")
	if a := hook.wait(t, 1)[0].alert; a.Type != "source.drift.large" || a.Value != "5.01" || a.Threshold != "5" || a.State != "firing" {
		t.Errorf("fired %+v", a)
	}
	p.charge(mirror, "12") // now the other way round
	drift("6.99")
	p.topUp(mirror, "7")
	drift("-0.01")
	if got := hook.wait(t, 2); got[1].alert.Type != "source.drift.recovered" || len(got) != 2 {
		t.Errorf("then %+v", got[1:])
	}
	var kept []string
	must(t, w.Readings(t.Context(), 1, "sms", time.Time{}, func(p Point) error {
		kept = append(kept, text(p.Drift))
		return nil
	}))
	if len(kept) == 0 || kept[len(kept)-1] != "-0.01" {
		t.Errorf("the history of drifts is %v", kept)
	}
}

func wideOf(t *testing.T, s string) money.Amount {
	t.Helper()
	a, err := money.Parse(s, wide)
	must(t, err)
	return a
}

// Readings of 200 days are thinned with age: of the last 8 days all are kept, then
// one an hour, after 100 days one a day. What was consumed and topped up between
// those that are kept is still known.
func TestThin(t *testing.T) {
	p := newPlaceAt(t, newClock())
	w := p.watch(Options{})
	const key = "0000000001/sms"
	end := p.clock.Now()
	begin := end.Add(-200 * 24 * time.Hour)
	point := Point{At: begin.Unix(), Balance: wideOf(t, "1000000")}
	var writes []ledger.RecordWrite
	flush := func(most int) {
		if len(writes) >= most {
			_, err := p.Ledger.Post(t.Context(), &ledger.Command{Records: writes})
			must(t, err)
			writes = nil
		}
	}
	hour := chunk{point}
	for at := begin.Add(20 * time.Minute); at.Before(end); at = at.Add(20 * time.Minute) {
		balance, _ := point.Balance.Sub(wideOf(t, "1"))
		point, _, _ = point.next(at.Unix(), balance)
		if hour[0].At/3600 != point.At/3600 {
			writes = append(writes, writeChunk(key, hour, hourKey))
			flush(ledger.MaxRecords)
			hour = nil
		}
		hour = append(hour, point)
	}
	writes = append(writes, writeChunk(key, hour, hourKey))
	flush(1)
	must(t, p.store.WaitIndexes(t.Context()))
	for range 3 { // the second puts days into months; the third finds nothing to do
		w.thin(t.Context(), key, end)
		must(t, p.store.WaitIndexes(t.Context()))
	}
	read := func() (points chunk, chunks int) {
		must(t, w.history(t.Context(), key, func(_ string, c chunk) error {
			points, chunks = append(points, c...), chunks+1
			return nil
		}))
		slices.SortFunc(points, func(a, b Point) int { return int(a.At - b.At) })
		return points, chunks
	}
	points, chunks := read()
	perDay := map[int64]int{}
	for i, p := range points {
		perDay[(end.Unix()-p.At)/86400]++
		if i > 0 && points[i-1].At == p.At {
			t.Errorf("the point of %d is there twice", p.At)
		}
	}
	for age, want := range map[int64]int{1: 72, 7: 72, 20: 24, 90: 24, 150: 1, 190: 1} {
		if perDay[age] != want {
			t.Errorf("of the day %d days ago %d points are kept, not %d", age, perDay[age], want)
		}
	}
	if last := points[len(points)-1]; last != point || text(last.Consumed) != fmt.Sprint(200*24*3-1) {
		t.Errorf("the last point is %+v", last)
	}
	if chunks > 10*24+140+8 {
		t.Errorf("%d records", chunks)
	}
	fresh := new(usage)
	for _, p := range points {
		fresh.add(p)
	}
	if left := fresh.forecast(end, 72); !left.Known || left.About < 23*time.Hour || left.About > 25*time.Hour {
		t.Errorf("72 last %+v, not about a day", left)
	}
}

// A deaf store fails to load, once.
type deaf struct {
	ledger.Store
	fails atomic.Bool
}

func (d *deaf) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	if d.fails.Swap(false) {
		return nil, errors.New("deaf")
	}
	return d.Store.Load(ctx, keys)
}

// An hour that comes late is put into its day, of which some is there: if that
// cannot be read just then, it stays as it is.
func TestThinKeepsWhatIsThere(t *testing.T) {
	p := newPlaceAt(t, newClock())
	must(t, p.Ledger.Close())
	store := &deaf{Store: p.store}
	var err error
	p.Ledger, err = ledger.Open(t.Context(), store, ledger.Options{Now: p.clock.Now})
	must(t, err)
	w := p.watch(Options{})
	const key = "0000000001/sms"
	old := p.clock.Now().Add(-20 * 24 * time.Hour).Truncate(24 * time.Hour)
	early, late := Point{At: old.Unix(), Balance: wideOf(t, "2")}, Point{At: old.Unix() + 5*3600, Balance: wideOf(t, "1")}
	_, err = p.Ledger.Post(t.Context(), &ledger.Command{Records: []ledger.RecordWrite{writeChunk(key, chunk{early}, dayKey), writeChunk(key, chunk{late}, hourKey)}})
	must(t, err)
	must(t, w.Close())
	must(t, p.Ledger.Close())
	p.Ledger, err = ledger.Open(t.Context(), store, ledger.Options{Now: p.clock.Now}) // with nothing in memory
	must(t, err)
	w = p.watch(Options{})
	for _, fails := range []bool{true, false} {
		store.fails.Store(fails)
		w.thin(t.Context(), key, p.clock.Now())
	}
	var points chunk
	must(t, w.history(t.Context(), key, func(_ string, c chunk) error { points = append(points, c...); return nil }))
	if !slices.Equal(points, chunk{early, late}) {
		t.Errorf("%+v is left", points)
	}
}

// A new master key seals what the one before had sealed, at the first start: after
// that the old one can go.
func TestSealedAgain(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	var secrets []string
	reader := func(_ *Spec, secret string) (dialect.Reader, error) {
		secrets = append(secrets, secret)
		return &shop{text: "1", unit: "USD"}, nil
	}
	key := func(current uint32, numbers ...uint32) auth.MasterKeys {
		k := auth.MasterKeys{Current: current, Keys: map[uint32][32]byte{}}
		for _, n := range numbers {
			k.Keys[n] = [32]byte{byte(n)}
		}
		return k
	}
	w := p.watch(Options{Reader: reader, Keys: key(1, 1)})
	_, err := w.CreateSource(t.Context(), 0, "s", 1, Spec{Name: "sms", Kind: "test"}, "of the vendor")
	must(t, err)
	_, _, err = w.CreateEndpoint(t.Context(), 0, "e", &Endpoint{Tenant: 1, Name: "ops", URL: hook.URL, Secrets: []string{hook.secret}})
	must(t, err)
	must(t, w.Close())
	for _, keys := range []auth.MasterKeys{key(2, 1, 2), key(2, 2)} {
		secrets = nil
		w = p.watch(Options{Reader: reader, Keys: keys})
		e := w.Endpoint(1, "ops")
		if len(secrets) == 0 || secrets[0] != "of the vendor" || e == nil || e.Secrets[0] != hook.secret || e.URL != hook.URL {
			t.Fatalf("with the keys %v: %q, %+v", keys.Current, secrets, e)
		}
		must(t, w.TestEndpoint(t.Context(), e, w.Sample(&Rule{Name: "x"})))
		must(t, w.Close())
	}
	w = p.watch(Options{Reader: reader, Keys: key(3, 3)})
	if w.Endpoint(1, "ops") != nil || len(w.Looks(1)) > 0 {
		t.Error("they are opened without the key that sealed them")
	}
}

// An alert says its account's name, as it is when it is told: one that was erased
// is nowhere.
func TestNamed(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")}})
	account := p.account("0")
	p.topUp(account, "100")
	rename := func(profile string) {
		p.post(&ledger.SetAccount{Account: account, Profile: &ledger.Text{Data: []byte(profile)}})
	}
	rename(`{"name":"Ann\u0007"}`)
	_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(t, "10")}}})
	must(t, err)
	p.charge(account, "95")
	got := hook.wait(t, 1)[0].alert
	if want := "account Ann (" + account.String() + ") has 5 USD left, at or below 10"; got.Text != want || got.Name != "Ann" || got.Account != account.String() {
		t.Errorf("told is %q of %q", got.Text, got.Name)
	}
	rename(`{}`)
	must(t, w.Alerts(t.Context(), 1, "", func(_ string, a *Alert) bool {
		if told := w.Named(t.Context(), a); told.Name != "" || told.Text != "account "+account.String()+" has 5 USD left, at or below 10" {
			t.Errorf("without a name it is %q of %q", told.Text, told.Name)
		}
		return true
	}))
}

func TestRuleCheck(t *testing.T) {
	r := Rule{Name: "low", Source: "sms", When: "balances"}
	want := `when is "balances"; it has to be one of these: balance, runway, reading_age, drift, credit_used, hold_expired`
	if err := r.Check(); err == nil || err.Error() != want {
		t.Errorf("a rule that looks at nothing: %v", err)
	}
}
