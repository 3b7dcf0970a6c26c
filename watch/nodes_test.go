package watch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestNodes has three nodes watch over one database, one of which ends without
// a word. Each source is polled by one at a time, and whatever node sees a
// crossing, it is told once.
func TestNodes(t *testing.T) {
	url := pgtest.New(t)
	hook := newReceiver(t)
	ctx := context.Background()
	vendor := &shop{text: "30.00", unit: "USD"}
	open := func(n int) (*place, *Watch) {
		s, err := postgres.Open(ctx, url, postgres.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		l, err := ledger.Open(ctx, s, ledger.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, l.Close()) })
		tenant, _, err := l.CreateTenant(ctx, 0, "tenant", ledger.Tenant{Name: "main"})
		must(t, err)
		b, err := l.BookByName(ctx, tenant.Number, "main")
		must(t, err)
		p := &place{t: t, Ledger: l, Tenant: tenant, book: b.Number}
		w := p.watch(Options{Node: fmt.Sprint("node", n), Endpoints: []*Endpoint{hook.endpoint("ops")},
			Sources: []*Source{source(t, Spec{Name: "sms", Kind: "test", Interval: "1s", Low: "20"}, vendor)}})
		return p, w
	}
	p, first := open(0)
	_, _ = open(1)
	_, third := open(2)
	until(t, "it is read", func() bool { return third.Looks(0)[0].Balance != "" })
	account := p.account("0")
	p.topUp(account, "100")
	_, _, err := third.CreateRule(ctx, 0, "", &Rule{Name: "low", Tenant: 1, Account: account, When: BalanceBelow, Levels: []Level{{"warning", mustThreshold(t, "10")}}})
	must(t, err)
	time.Sleep(2500 * time.Millisecond) // all have heard of it
	for range 5 {
		p.charge(account, "95")
		p.topUp(account, "95")
	}
	vendor.set("10.00")
	hook.wait(t, 11)
	must(t, first.Close()) // what it polled and delivered others go on with
	for range 5 {
		p.charge(account, "95")
		p.topUp(account, "95")
	}
	vendor.set("90.00")
	hook.wait(t, 22)
	time.Sleep(time.Second)
	got := hook.wait(t, 22)
	ids, order := map[string]bool{}, uint64(0)
	for _, m := range got {
		ids[m.id] = true
		if m.alert.Rule == "low" && m.alert.Number > order {
			if m.alert.Number != order+1 {
				t.Errorf("alert %d comes after %d", m.alert.Number, order)
			}
			order = m.alert.Number
		}
	}
	if len(ids) != 22 || order != 20 {
		t.Errorf("%d ids in %d messages, %d of the rule", len(ids), len(got), order)
	}
	if asked := vendor.times(); asked > 40 {
		t.Errorf("the vendor was asked %d times", asked)
	}
}
