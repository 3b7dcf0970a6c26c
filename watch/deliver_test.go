package watch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
)

// answering is a server that gives every request the same answer, and counts them.
func answering(t *testing.T, status int, header ...string) (url string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// low makes an account with a rule that fires when it is charged 95.
func (p *place) low(w *Watch, to ...string) ledger.AccountID {
	p.t.Helper()
	account := p.account("0")
	p.topUp(account, "100")
	_, _, err := w.CreateRule(p.t.Context(), 0, "", &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(p.t, "10")}}, To: to})
	must(p.t, err)
	return account
}

func (w *Watch) deliveries(t *testing.T, dead bool) []Delivery {
	t.Helper()
	all, err := w.Deliveries(t.Context(), 1, dead, 10)
	must(t, err)
	return all
}

// An endpoint that is gone is not tried again, and one that says when is not
// tried before.
func TestRefusedDeliveries(t *testing.T) {
	for _, c := range []struct {
		what   string
		status int
		header []string
		tries  int
		dead   bool
		after  time.Duration
	}{
		{"gone", 410, nil, 1, true, 0},
		{"in an hour", 503, []string{"Retry-After", "3600"}, 1, false, time.Hour},
		{"busy", 429, nil, 1, false, time.Minute},
		{"soon", 500, nil, 4, true, 0}, // once, and once for each of three gaps
	} {
		p := newPlace(t)
		w := p.watch(Options{})
		url, asked := answering(t, c.status, c.header...)
		_, _, err := w.CreateEndpoint(t.Context(), 0, "", &Endpoint{Tenant: 1, Name: "ops", URL: url})
		must(t, err)
		begun := time.Now()
		p.charge(p.low(w), "95")
		until(t, c.what, func() bool {
			all := w.deliveries(t, c.dead)
			return len(all) == 1 && all[0].Tries == c.tries
		})
		d := w.deliveries(t, c.dead)[0]
		if d.Next.Before(begun.Add(c.after)) || int(asked.Load()) != c.tries {
			t.Errorf("%s: %+v after %d tries", c.what, d, asked.Load())
		}
		if c.dead {
			until(t, c.what+": it gets no more", func() bool { return w.Endpoint(1, "ops").Disabled })
		}
	}
}

// What is on its way when the server ends goes on with the next one.
func TestDeliveryGoesOn(t *testing.T) {
	p := newPlaceAt(t, newClock())
	o := func(url string) Options {
		return Options{Endpoints: []*Endpoint{{Tenant: 1, Name: "ops", URL: url, Secrets: []string{NewSecret()}, FromFile: true}}, Retries: []time.Duration{time.Hour}}
	}
	down, _ := answering(t, 503)
	w := p.watch(o(down))
	p.charge(p.low(w), "95")
	until(t, "it was tried", func() bool {
		all := w.deliveries(t, false)
		return len(all) == 1 && all[0].Tries == 1
	})
	must(t, w.Close())
	p.clock.forward(2 * time.Hour)
	up, asked := answering(t, 200)
	w = p.watch(o(up))
	until(t, "it is there", func() bool { return asked.Load() == 1 && len(w.deliveries(t, false)) == 0 })
}

// A rule tells whom it names, and nobody else.
func TestDeliveredTo(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	url, asked := answering(t, 200)
	other := &Endpoint{Tenant: 1, Name: "other", URL: url, Secrets: []string{NewSecret()}, FromFile: true}
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops"), other}})
	p.charge(p.low(w, "ops"), "95")
	hook.wait(t, 1)
	until(t, "nothing is left", func() bool { _, n := w.Delivered(); return n == 0 && len(w.deliveries(t, false)) == 0 })
	if asked.Load() != 0 {
		t.Error("the other was told too")
	}
}

// After a rotation the secret before signs too, until the next one.
func TestRotatedSecrets(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	w := p.watch(Options{})
	e := hook.endpoint("ops")
	e.FromFile = false
	_, _, err := w.CreateEndpoint(t.Context(), 0, "", e)
	must(t, err)
	for n, good := range []bool{true, true, false} {
		must(t, w.TestEndpoint(t.Context(), w.Endpoint(1, "ops"), w.Sample(&Rule{Name: "r"})))
		hook.mu.Lock()
		if (len(hook.wrong) == 0) != good {
			t.Errorf("after %d rotations: %v", n, hook.wrong)
		}
		hook.mu.Unlock()
		secret, err := w.RotateEndpoint(t.Context(), 0, "", 1, "ops")
		if err != nil || !strings.HasPrefix(secret, "whsec_") {
			t.Fatal(secret, err)
		}
	}
}

// A redirect is not followed: what is sent is for the address that was named.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere, asked := answering(t, 200)
	url, _ := answering(t, 307, "Location", elsewhere)
	w := newPlace(t).watch(Options{})
	e := &Endpoint{Tenant: 1, Name: "ops", URL: url, Secrets: []string{NewSecret()}}
	if err := w.TestEndpoint(t.Context(), e, w.Sample(&Rule{Name: "r"})); err == nil || asked.Load() != 0 {
		t.Errorf("%v, and elsewhere %d came", err, asked.Load())
	}
}

// What a node has claimed is its own until that runs out.
func TestClaims(t *testing.T) {
	p := newPlaceAt(t, newClock())
	url, asked := answering(t, 200)
	ops := []*Endpoint{{Tenant: 1, Name: "ops", URL: url, Secrets: []string{NewSecret()}, FromFile: true}}
	a, b := p.watch(Options{Node: "a", Endpoints: ops}), p.watch(Options{Node: "b", Endpoints: ops})
	polls := &polled{Source: source(t, Spec{Name: "sms", Kind: "test"}, &shop{text: "1", unit: "USD"})}
	claims := func(w *Watch, want bool) {
		t.Helper()
		if _, mine, err := w.claim(t.Context(), polls); err != nil || mine != want {
			t.Errorf("the node %s claims it: %v, %v", w.o.Node, mine, err)
		}
	}
	claims(a, true)
	claims(b, false)
	claims(a, true)
	p.clock.forward(pollTime + claimSlack)
	claims(b, true)
	claims(a, false)

	now := ledger.TimeOf(p.clock.Now())
	d := &deliveryRow{V: rowVersion, Tenant: 1, Endpoint: "ops", Rule: "r", Alert: "x", Body: string(payload(a.Sample(&Rule{Name: "r"}))),
		Next: now, Created: now, Node: "b", Until: now.Add(deliveryTime), key: deliveryKey(ops[0], &Alert{RuleID: "r", Number: 1})}
	_, err := p.Ledger.Post(t.Context(), &ledger.Command{Records: []ledger.RecordWrite{d.write()}})
	must(t, err)
	if a.try(t.Context(), d) {
		t.Error("two nodes deliver it")
	}
	p.clock.forward(deliveryTime)
	if !a.try(t.Context(), d) {
		t.Error("nobody delivers it")
	}
	if asked.Load() != 1 {
		t.Errorf("it came %d times", asked.Load())
	}
}
