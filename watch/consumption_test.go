package watch

import (
	"strings"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// An account is used evenly for days. A rule fires when it lasts three days more,
// whatever was restarted meanwhile, and resolves with the top-up.
func TestAccountTimeLeft(t *testing.T) {
	p := newPlaceAt(t, newClock())
	account := p.account("0")
	p.topUp(account, "200")
	w := p.watch(Options{})
	_, _, err := w.CreateRule(t.Context(), 0, "r", &Rule{Name: "short", Tenant: 1, Account: account, When: TimeBelow, Quiet: true,
		Levels: []Level{{"warning", Threshold{For: 72 * time.Hour, Kind: isDuration}}}})
	must(t, err)
	hours := func(n int) {
		for range n {
			p.charge(account, "1.00")
			p.clock.forward(time.Hour)
		}
	}
	// judged waits until the rule was judged by everything until now.
	judged := func() (texts []string) {
		t.Helper()
		for range 2 { // the first may have begun before now
			p.clock.forward(timeLeftEvery)
			at := p.clock.Now()
			until(t, "the rule is judged", func() bool {
				w.follow.mu.Lock()
				defer w.follow.mu.Unlock()
				for _, x := range w.follow.rules {
					return x.use != nil && x.again.After(at)
				}
				return false
			})
		}
		must(t, w.Alerts(t.Context(), 1, "", func(_ string, a *Alert) bool {
			texts = append([]string{a.Type + " " + a.Value}, texts...)
			return true
		}))
		return texts
	}
	if got := judged(); len(got) > 0 {
		t.Errorf("when nothing is known: %v", got)
	}
	hours(60)
	p.topUp(account, "60") // beside what is consumed: it hides nothing
	must(t, w.Close())
	p.close()
	p.open()
	hours(200 - 80)
	w = p.watch(Options{})
	if got := judged(); len(got) > 0 {
		t.Errorf("80 hours before the end: %v", got)
	}
	hours(10)
	got := judged()
	if len(got) != 1 || !strings.HasPrefix(got[0], "account.runway.short ") {
		t.Fatalf("70 hours before the end: %v", got)
	}
	left, err := ParseDuration(strings.Fields(got[0])[1])
	if err != nil || left > 72*time.Hour || left < 66*time.Hour {
		t.Errorf("70 hours before the end it fired with %v", got)
	}
	p.topUp(account, "100")
	if got := judged(); len(got) != 2 || !strings.HasPrefix(got[1], "account.runway.recovered") {
		t.Errorf("after a top-up: %v", got)
	}
	hours(110) // the top-up has ended its silence
	if got := judged(); len(got) != 3 || !strings.HasPrefix(got[2], "account.runway.short") {
		t.Errorf("after the next fall: %v", got)
	}
}

// What is read of a few events and the sums of days is what is read of all events.
func TestReadConsumption(t *testing.T) {
	p := newPlaceAt(t, newClock())
	account := p.account("0")
	p.topUp(account, "1000")
	for range 10 * 24 {
		p.charge(account, "2.00")
		p.clock.forward(time.Hour)
	}
	must(t, p.store.WaitIndexes(t.Context()))
	w := p.watch(Options{})
	x := &watched{Rule: &Rule{Account: account, When: TimeBelow}, book: p.book, unit: usd}
	var last uint64
	for _, most := range []int{mostEvents, 50} {
		c, err := w.readConsumption(t.Context(), x, most)
		must(t, err)
		if text(c.point.Consumed) != "480" || last != 0 && c.seq != last {
			t.Errorf("of %d events: consumed %s until %d", most, text(c.point.Consumed), c.seq)
		}
		last = c.seq
		c.to(ledger.TimeOf(p.clock.Now()), money.Amount{})
		if left := c.usage.forecast(p.clock.Now(), 96); !left.Known || left.About < 46*time.Hour || left.About > 50*time.Hour {
			t.Errorf("of %d events: 96 last %+v, not about 48h", most, left)
		}
	}
}

// What is consumed while the events before are still being read counts too, and once.
func TestConsumedMeanwhile(t *testing.T) {
	p := newPlaceAt(t, newClock())
	account := p.account("0")
	p.topUp(account, "1000")
	p.charge(account, "2.00")
	w := p.watch(Options{})
	x := &watched{Rule: &Rule{Account: account, When: TimeBelow}, book: p.book, unit: usd, early: []*ledger.Event{}}
	c, err := w.readConsumption(t.Context(), x, mostEvents)
	must(t, err)
	p.charge(account, "3.00")
	for row, err := range p.Ledger.Scan(t.Context(), ledger.Query{List: ledger.ListEvents, Book: p.book}) {
		must(t, err)
		x.takes(row.Event)
	}
	x.uses(c)
	if got := text(x.use.point.Consumed); got != "5" || x.early != nil {
		t.Errorf("consumed %s, %d events left", got, len(x.early))
	}
}
