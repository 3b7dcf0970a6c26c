package watch

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"saldo/ledger"
)

func (p *place) spendable(t *testing.T, id ledger.AccountID) string {
	t.Helper()
	b, err := p.Ledger.Balance(t.Context(), id)
	must(t, err)
	return b.Unit.Text(b.Spendable)
}

func TestTopUpFromAnAccount(t *testing.T) {
	p, hook := newPlace(t), newReceiver(t)
	bank, account := p.account("0"), p.account("0")
	p.topUp(bank, "100")
	p.topUp(account, "30")
	w := p.watch(Options{Endpoints: []*Endpoint{hook.endpoint("ops")}})
	rule := &Rule{Name: "fill", Tenant: 1, Account: account, When: BalanceBelow, Levels: []Level{{"warning", mustThreshold(t, "10")}},
		TopUp: &TopUp{To: "50", From: bank.String(), Cap: "90"}}
	_, _, err := w.CreateRule(t.Context(), 0, "", rule)
	must(t, err)
	p.charge(account, "25") // 5 are left: 45 come
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "50.000000" })
	got := hook.wait(t, 2)
	if got[0].alert.State != "firing" || got[1].alert.State != "resolved" {
		t.Errorf("told %+v", got)
	}
	p.charge(account, "48") // 2 are left: 45 of 48 come, the rest of the cap
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "47.000000" })
	p.charge(account, "40") // the cap is reached
	hook.wait(t, 5)
	time.Sleep(500 * time.Millisecond)
	if got := p.spendable(t, account) + " " + p.spendable(t, bank); got != "7.000000 10.000000" {
		t.Errorf("they have %s", got)
	}
}

// What a period's cap kept back comes when the next period has begun.
func TestTopUpInTheNextPeriod(t *testing.T) {
	p := newPlaceAt(t, newClock())
	bank, account := p.account("0"), p.account("0")
	p.topUp(bank, "1000")
	w := p.watch(Options{})
	_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "fill", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", From: bank.String(), Cap: "60", Period: "1h"}})
	must(t, err)
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "50.000000" })
	p.charge(account, "50")
	until(t, "the rest of the cap comes", func() bool { return p.spendable(t, account) == "10.000000" })
	p.clock.forward(time.Hour)
	until(t, "the next period has begun", func() bool { return p.spendable(t, account) == "50.000000" })
}

// A payment that nobody is sure of is asked for under one id until somebody is,
// and money comes once; what is declined is not asked for again at once.
func TestTopUpByWebhook(t *testing.T) {
	p := newPlace(t)
	account := p.account("0")
	p.topUp(account, "30")
	secret := NewSecret()
	check, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	var mu sync.Mutex
	var ids []string
	answers := []string{"oops", `{"confirmed": true}`, `{"confirmed": false}`, `{"confirmed": true}`}
	bank := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		if err := check.Verify(body, r.Header); err != nil {
			t.Error(err)
		}
		var b struct {
			Type string
			Data struct{ ID, Account, Amount, Unit string }
		}
		if err := json.Unmarshal(body, &b); err != nil || b.Type != "account.topup.requested" || b.Data.Account != account.String() || b.Data.Unit != "USD" {
			t.Errorf("asked %s: %v", body, err)
		}
		ids = append(ids, b.Data.ID+" "+b.Data.Amount)
		answer := answers[min(len(ids), len(answers))-1]
		if answer == "oops" {
			rw.WriteHeader(500)
		}
		_, _ = rw.Write([]byte(answer))
	}))
	defer bank.Close()
	endpoint := &Endpoint{Tenant: 1, Name: "bank", URL: bank.URL, Secrets: []string{secret}, Types: []string{"none"}, FromFile: true}
	open := func() *Watch { return p.watch(Options{Endpoints: []*Endpoint{endpoint}}) }
	w := open()
	_, _, err = w.CreateRule(t.Context(), 0, "", &Rule{Name: "fill", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", Webhook: "bank", Cap: "1000", Period: "1h"}})
	must(t, err)
	p.charge(account, "25")
	until(t, "it was asked", func() bool { mu.Lock(); defer mu.Unlock(); return len(ids) > 0 })
	must(t, w.Close()) // in the middle of it
	p.close()
	p.open()
	w = open()
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "50.000000" })
	p.charge(account, "45")
	until(t, "it is topped up after a decline", func() bool { return p.spendable(t, account) == "50.000000" })
	time.Sleep(300 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 4 || ids[0] != ids[1] || ids[1] == ids[2] || ids[2] == ids[3] {
		t.Errorf("asked %q", ids)
	}
	_ = w
}

// What was charged while a top-up was under way, and is looked at after it, does
// not make another one.
func TestTopUpOfABusyAccount(t *testing.T) {
	p := newPlace(t)
	account := p.account("0")
	p.topUp(account, "5")
	var mu sync.Mutex
	var amounts []string
	bank := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var b struct{ Data struct{ Amount string } }
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		if amounts = append(amounts, b.Data.Amount); len(amounts) == 1 {
			p.charge(account, "1")
		}
		_, _ = rw.Write([]byte(`{"confirmed": true}`))
	}))
	defer bank.Close()
	endpoint := &Endpoint{Tenant: 1, Name: "bank", URL: bank.URL, Secrets: []string{NewSecret()}, Types: []string{"none"}, FromFile: true}
	w := p.watch(Options{Endpoints: []*Endpoint{endpoint}})
	_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "fill", Tenant: 1, Account: account, When: BalanceBelow,
		Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", Webhook: "bank", Cap: "1000"}})
	must(t, err)
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "49.000000" })
	p.charge(account, "40")
	until(t, "it is topped up again", func() bool { return p.spendable(t, account) == "50.000000" })
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(amounts, " "); got != "45 41" {
		t.Errorf("it came by %s", got)
	}
}

// What somebody has paid stays in flight under its id until the account can take
// it; and nobody is asked to pay for an account that is closed.
func TestTopUpOfAClosedAccount(t *testing.T) {
	p := newPlace(t)
	account, closed := p.account("0"), p.account("0")
	status := func(id ledger.AccountID, to ledger.Status) { p.post(&ledger.SetAccount{Account: id, Status: &to}) }
	status(closed, ledger.StatusClosed)
	var mu sync.Mutex
	var ids []string
	bank := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var b struct{ Data struct{ ID, Account string } }
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil || b.Data.Account != account.String() {
			t.Errorf("asked for %+v: %v", b, err)
		}
		switch ids = append(ids, b.Data.ID); len(ids) {
		case 1:
			status(account, ledger.StatusClosed)
		case 2:
			status(account, ledger.StatusOpen)
		}
		_, _ = rw.Write([]byte(`{"confirmed": true}`))
	}))
	defer bank.Close()
	endpoint := &Endpoint{Tenant: 1, Name: "bank", URL: bank.URL, Secrets: []string{NewSecret()}, Types: []string{"none"}, FromFile: true}
	w := p.watch(Options{Endpoints: []*Endpoint{endpoint}})
	for name, id := range map[string]ledger.AccountID{"fill": account, "fill-closed": closed} {
		_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: name, Tenant: 1, Account: id, When: BalanceBelow,
			Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", Webhook: "bank", Cap: "1000"}})
		must(t, err)
	}
	until(t, "it is topped up", func() bool { return p.spendable(t, account) == "50.000000" })
	p.charge(account, "45")
	until(t, "it is topped up again", func() bool { return p.spendable(t, account) == "50.000000" })
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] == ids[2] {
		t.Errorf("asked %q", ids)
	}
}

// A rule that fires still, because it has not heard of the last top-up, does not
// make another one; nor does one before it may.
func TestTopUpNotYet(t *testing.T) {
	p := newPlace(t)
	bank, account := p.account("0"), p.account("0")
	p.topUp(account, "49")
	w := p.watch(Options{})
	x := &watched{Rule: &Rule{ID: "1", Name: "fill", Tenant: 1, Account: account, When: BalanceBelow, Levels: []Level{{"warning", mustThreshold(t, "10")}},
		TopUp: &TopUp{To: "50", From: bank.String(), Cap: "90"}}, book: p.book, unit: usd}
	x.standing.Levels = map[string]*LevelStanding{"warning": {Firing: true}}
	plans := func(what, want string) {
		t.Helper()
		w.follow.mu.Lock()
		defer w.follow.mu.Unlock()
		must(t, w.plan(t.Context(), x))
		if got := x.standing.Plan; (got == nil || got.Amount == "") != (want == "") || want != "" && got.Amount != want {
			t.Errorf("%s: %+v is planned, want %q", what, got, want)
		}
	}
	plans("with enough", "")
	p.charge(account, "44")
	x.standing.Plan = &planStanding{Not: ledger.TimeOf(time.Now().Add(time.Hour))}
	plans("before it may", "")
	x.standing.Plan = nil
	plans("when it has to", "45")
}

// A rule names who pays when it is made: not when it is about to be paid.
func TestPayerOfTopUps(t *testing.T) {
	p := newPlace(t)
	account, reserve := p.account("0"), p.account("0")
	w := p.watch(Options{})
	for from, want := range map[ledger.AccountID]ledger.Code{
		reserve:               ledger.OK,
		account:               ledger.Invalid,
		p.system(ledger.Cash): ledger.Invalid,
		{1}:                   ledger.NotFound,
	} {
		_, _, err := w.CreateRule(t.Context(), 0, "", &Rule{Name: "by-" + from.String(), Tenant: 1, Account: account, When: BalanceBelow,
			Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", From: from.String(), Cap: "90"}})
		if got := ledger.CodeOf(err); got != want {
			t.Errorf("from %v: %v, want %v", from, err, want)
		}
	}
}

func TestTopUpCheck(t *testing.T) {
	id := ledger.AccountID{1}
	good := Rule{Name: "r", Account: id, When: BalanceBelow, Levels: []Level{{"warning", mustThreshold(t, "10")}}, TopUp: &TopUp{To: "50", From: id.String(), Cap: "90"}}
	must(t, good.Check())
	for what, change := range map[string]func(*Rule, *TopUp){
		"nowhere to take it from": func(_ *Rule, u *TopUp) { u.From = "" },
		"two places":              func(_ *Rule, u *TopUp) { u.Webhook = "x" },
		"no cap":                  func(_ *Rule, u *TopUp) { u.Cap = "" },
		"a target that is low":    func(_ *Rule, u *TopUp) { u.To = "10" },
		"a period of no time":     func(_ *Rule, u *TopUp) { u.Period = "1s" },
		"a source":                func(r *Rule, _ *TopUp) { r.Source, r.Account = "s", ledger.AccountID{} },
	} {
		r, u := good, *good.TopUp
		r.TopUp = &u
		change(&r, &u)
		if r.Check() == nil {
			t.Errorf("a top-up with %s is taken", what)
		}
	}
}
