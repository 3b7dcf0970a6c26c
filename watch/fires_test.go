package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"saldo/ledger"
)

// firing returns what Firing says, sorted, and how many alerts it looked at.
func (w *Watch) firing(t *testing.T) (told string, looked int) {
	t.Helper()
	var all []string
	must(t, w.Firing(t.Context(), 1, "", func(_ string, a *Alert) bool {
		all = append(all, fmt.Sprintf("%s %s %d", a.Rule, a.Level, a.Crossing))
		return true
	}))
	must(t, w.each(t.Context(), kindAlert, indexFiring, tenantKey(1), func(*ledger.Record) error { looked++; return nil }))
	slices.Sort(all) // those of one event come in any order
	return strings.Join(all, ", "), looked
}

// What fires is found without looking at what fired once.
func TestFiring(t *testing.T) {
	p := newPlace(t)
	account := p.account("0")
	p.topUp(account, "100")
	vendor := &shop{text: "4", unit: "USD"}
	of := source(t, Spec{Name: "sms", Kind: "test", Interval: "1h", Low: "5"}, vendor)
	open := func() *Watch { return p.watch(Options{Sources: []*Source{of}}) }
	w := open()
	fires := func(want string, most int) {
		t.Helper()
		until(t, want+" fires", func() bool {
			told, looked := w.firing(t)
			return told == want && looked <= most
		})
	}
	w.polled(t)
	fires("sms.balance warning 1", 1)
	for _, r := range []*Rule{
		{Name: "low", Levels: []Level{{"warning", mustThreshold(t, "50")}, {"critical", mustThreshold(t, "10")}}},
		{Name: "lower", Levels: []Level{{"warning", mustThreshold(t, "40")}}},
	} {
		r.Tenant, r.Account, r.When = 1, account, BalanceBelow
		_, _, err := w.CreateRule(t.Context(), 0, "", r)
		must(t, err)
	}
	for range 20 {
		p.charge(account, "95")
		p.topUp(account, "95")
	}
	p.charge(account, "65")
	fires("low warning 21, lower warning 21, sms.balance warning 1", 3)

	// What an older version wrote is in no list until the next start.
	must(t, w.Close())
	var writes []ledger.RecordWrite
	must(t, w.each(t.Context(), kindAlert, indexFiring, tenantKey(1), func(r *ledger.Record) error {
		index := slices.DeleteFunc(slices.Clone(r.Index), func(e ledger.IndexEntry) bool { return e.Name == indexFiring })
		writes = append(writes, ledger.RecordWrite{Kind: r.Kind, Key: r.Key, Expect: r.Version, Data: r.Data, Index: index})
		return nil
	}))
	_, err := p.Ledger.Post(t.Context(), &ledger.Command{Records: writes})
	must(t, err)
	w = open()
	fires("low warning 21, lower warning 21, sms.balance warning 1", 3)

	must(t, w.DeleteRule(t.Context(), 0, "", 1, "lower"))
	fires("low warning 21, sms.balance warning 1", 2)
	vendor.set("9")
	w.polled(t)
	fires("low warning 21", 1)
	vendor.set("3")
	w.polled(t)
	p.topUp(account, "90")
	fires("sms.balance warning 2", 1)
	of = source(t, Spec{Name: "sms", Kind: "test", Interval: "1h"}, vendor)
	must(t, w.Replace(t.Context(), []*Source{of}, nil))
	w.polled(t)
	fires("", 0)
}
