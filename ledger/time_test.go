package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

func brief(id, account string, n int64, d time.Duration) *ledger.PlaceHold {
	op := hold(id, account, n)
	op.Expires = ledger.Lifetime{For: d}
	return op
}

// TestExpiryInReads: a hold is gone in every read at its very deadline, and not
// a microsecond before, though nobody has asked for anything since.
func TestExpiryInReads(t *testing.T) {
	ctx := t.Context()
	for _, read := range []struct {
		name string
		held func(o *office) bool
	}{
		{"balance", func(o *office) bool {
			b, err := o.Balance(ctx, acc("A"))
			if err != nil {
				t.Fatal(err)
			}
			return !b.Held.IsZero()
		}},
		{"balance of a drawing account", func(o *office) bool {
			b, err := o.Balance(ctx, acc("Ad"))
			if err != nil || b.Held.IsZero() != (b.Spendable == money.New(100)) {
				t.Fatal(b, err)
			}
			return !b.Held.IsZero()
		}},
		{"account", func(o *office) bool {
			a, err := o.Account(ctx, acc("Ad"))
			if err != nil {
				t.Fatal(err)
			}
			return a.OpenHolds > 0
		}},
		{"hold", func(o *office) bool {
			h, err := o.Hold(ctx, 1, "h")
			if err != nil {
				t.Fatal(err)
			}
			return h.State == ledger.HoldOpen
		}},
		{"list", func(o *office) bool {
			for row, err := range o.Scan(ctx, ledger.Query{List: ledger.ListHolds, Account: acc("Ad"), Open: true}) {
				if err != nil {
					t.Fatal(err)
				}
				return row.Hold.ID == "h"
			}
			return false
		}},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(read.name, "/restart=", restart), func(t *testing.T) {
				o := newOffice(t, own("A"), drawing("Ad"), topup("A", 100), brief("h", "Ad", 40, time.Minute))
				ends := noon.Add(time.Minute)
				o.clock.set(ends - 1)
				if restart {
					o.restart()
				}
				if !read.held(o) {
					t.Error("gone before its deadline")
				}
				o.clock.set(ends)
				if restart {
					o.restart()
				}
				if read.held(o) {
					t.Error("there at its deadline")
				}
				e, err := o.Event(ctx, 1, 2)
				if err != nil || e.Time != ends || e.Holds[0].Act != ledger.HoldLapsed {
					t.Errorf("event %+v, %v", e, err)
				}
			})
		}
	}
}

// TestExpiryInDecisions: what a hold has freed can be spent at its deadline.
func TestExpiryInDecisions(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100), brief("h", "A", 100, time.Minute), limit("A", 5), brief("g", "A", 5, time.Minute))
	o.clock.set(noon.Add(time.Minute) - 1)
	o.no(ledger.Insufficient, charge("A", 1))
	o.do(&ledger.Extend{Hold: "g", Expires: ledger.Lifetime{For: time.Microsecond * 2}})
	o.clock.set(noon.Add(time.Minute))
	o.no(ledger.HoldExpired, capture("h", 1))
	o.no(ledger.Insufficient, charge("A", 101))
	o.do(charge("A", 100))
	o.clock.advance(time.Microsecond)
	o.do(charge("A", 5))
	o.has("A", -5, 0)
	// The clock goes back. The ledger's time does not: the holds stay gone.
	o.clock.set(noon)
	o.no(ledger.HoldExpired, capture("g", 1))
	if now, err := o.Now(); err != nil || now != noon.Add(time.Minute)+1 {
		t.Errorf("now %v, %v", now, err)
	}
	o.restart()
	o.no(ledger.HoldExpired, capture("g", 1))
}

// dues places many holds of one step that end at the times that ends returns.
func dues(o *office, n int, ends func(i int) ledger.Time) {
	var ops []ledger.Op
	for i := range n {
		ops = append(ops, &ledger.PlaceHold{ID: fmt.Sprint("due", i), Account: acc("A"), Amount: money.New(1), Expires: ledger.Lifetime{At: ends(i)}})
		if len(ops) == 8000 || i == n-1 {
			o.do(ops...)
			ops = nil
		}
	}
}

// TestManyDueAtOnce: more than one event takes, and more than the window holds.
func TestManyDueAtOnce(t *testing.T) {
	ctx := t.Context()
	at := noon.Add(time.Hour)
	for _, c := range []struct {
		name   string
		n      int64
		window int
		ends   func(i int) ledger.Time
	}{
		{"at one moment", 2500, 1 << 17, func(int) ledger.Time { return at }},
		{"one after the other", 300, 1 << 17, func(i int) ledger.Time { return at - ledger.Time(i) }},
		{"at one moment, in a small window", 300, 100, func(int) ledger.Time { return at }},
		{"beyond the window", 300, 50, func(i int) ledger.Time { return at - ledger.Time(i) }},
		{"beyond the window, in pairs", 200, 7, func(i int) ledger.Time { return at - ledger.Time(i%60/2) }},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restart=%v", c.name, restart), func(t *testing.T) {
				defer ledger.SetWindow(c.window)()
				o := newOffice(t, own("A"), topup("A", c.n))
				dues(o, int(c.n), c.ends)
				o.has("A", c.n, c.n)
				o.clock.set(at)
				if restart {
					o.restart()
					o.do(charge("A", c.n)) // with the money of the last of them
					o.has("A", 0, 0)
				} else {
					o.has("A", c.n, 0)
				}
				a, err := o.Account(ctx, acc("A"))
				if err != nil || a.OpenHolds != 0 {
					t.Errorf("%+v, %v", a, err)
				}
				o.Ledger.Close()
				if _, err := ledger.Verify(ctx, o.store, ledger.VerifyOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestHorizon: holds that end long after the window's horizon are found in time,
// whenever they were placed or extended.
func TestHorizon(t *testing.T) {
	defer ledger.SetWindow(3)()
	o := newOffice(t, own("A"), topup("A", 100))
	for i := range 20 {
		o.do(brief(fmt.Sprint("h", i), "A", 1, time.Duration(i*7)*time.Minute+time.Second))
	}
	o.do(&ledger.Extend{Hold: "h0", Expires: ledger.Lifetime{For: 3 * time.Hour}}, &ledger.Extend{Hold: "h19", Expires: ledger.Lifetime{For: 2 * time.Second}})
	for i := range 20 {
		o.clock.set(noon.Add(time.Duration(i*7)*time.Minute + time.Second - time.Microsecond))
		want := int64(0)
		for k := range 20 {
			ends := noon.Add(time.Duration(k*7)*time.Minute + time.Second)
			switch k {
			case 0:
				ends = noon.Add(3 * time.Hour)
			case 19:
				ends = noon.Add(2 * time.Second)
			}
			if ends > o.clock.time() {
				want++
			}
		}
		o.has("A", 100, want)
	}
	o.clock.set(noon.Add(3 * time.Hour))
	o.has("A", 100, 0)
}

// TestMovedDeadlines: many changes of a hold are one deadline still.
func TestMovedDeadlines(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100), brief("h", "A", 60, time.Minute))
	for range 50 {
		o.do(capture("h", 1))
	}
	if n := o.Deadlines(); n != 1 {
		t.Errorf("%d deadlines are kept for one hold", n)
	}
	o.clock.advance(time.Minute)
	o.has("A", 50, 0)
}

// TestClockJumps: a clock that jumps further than is believed stops everything,
// until it is right again.
func TestClockJumps(t *testing.T) {
	o := newOffice(t, own("A"), topup("A", 100), brief("h", "A", 60, time.Minute))
	o.close()
	o.options.MaxClockStep = time.Hour
	o.open()
	o.clock.advance(time.Hour + time.Second)
	o.no(ledger.ClockJump, charge("A", 1))
	if _, err := o.Balance(t.Context(), acc("A")); ledger.CodeOf(err) != ledger.ClockJump {
		t.Errorf("%v", err)
	}
	o.clock.set(noon.Add(time.Second))
	o.has("A", 100, 60)
	o.clock.set(noon.Add(time.Hour))
	o.has("A", 100, 0)
	o.clock.set(noon.Add(-time.Hour))
	o.no(ledger.ClockJump, charge("A", 1))
	o.clock.set(noon)
	o.do(charge("A", 1))
}

// TestPastBalances: what an account had, holds counted until their deadline
// though their end was written later.
func TestPastBalances(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), topup("A", 100), brief("h", "A", 60, time.Minute), brief("g", "A", 7, 2*time.Minute))
	o.clock.set(noon.Add(10 * time.Minute))
	o.do(charge("A", 50))
	o.clock.set(noon.Add(20 * time.Minute))
	for _, c := range []struct {
		at           ledger.Time
		posted, held int64
	}{
		{noon, 100, 67}, {noon.Add(time.Minute) - 1, 100, 67}, {noon.Add(time.Minute), 100, 7}, {noon.Add(2 * time.Minute), 100, 0},
		{noon.Add(10*time.Minute) - 1, 100, 0}, {noon.Add(10 * time.Minute), 50, 0},
	} {
		b, err := o.BalanceAt(ctx, acc("A"), c.at)
		if err != nil || b.Posted != money.New(c.posted) || b.Held != money.New(c.held) || b.AsOf != c.at {
			t.Errorf("at %v: %v posted, %v held (%v); want %d, %d", c.at, b.Posted, b.Held, err, c.posted, c.held)
		}
	}
	if _, err := o.BalanceAt(ctx, acc("A"), noon-1); ledger.CodeOf(err) != ledger.NotFound {
		t.Errorf("before it was there: %v", err)
	}
	if _, err := o.BalanceAt(ctx, acc("A"), noon.Add(20*time.Minute)); ledger.CodeOf(err) != ledger.Invalid {
		t.Errorf("now: %v", err)
	}
}

// TestAsOfWhileWriting reads while a charge is being written: the balance that is
// told is, for ever, that of the time which it names.
func TestAsOfWhileWriting(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), topup("A", 10))
	o.clock.advance(time.Minute)
	o.gate.mu.Lock()
	n := o.gate.arrived.Load()
	wait := o.begin(ctx, cmd(charge("A", 4)))
	o.until(func() bool { return o.gate.arrived.Load() > n })
	o.clock.advance(time.Minute)
	told, err := o.Balance(ctx, acc("A"))
	o.gate.mu.Unlock()
	wants(t, "the charge", wait(), ledger.OK)
	if err != nil || told.AsOf < noon.Add(time.Minute)-1 {
		t.Errorf("as of %v, %v", told.AsOf, err)
	}
	o.clock.advance(time.Minute)
	if then, err := o.BalanceAt(ctx, acc("A"), told.AsOf); err != nil || then.Posted != told.Posted {
		t.Errorf("%v was posted at %v, %v; what was told is %v", then.Posted, told.AsOf, err, told.Posted)
	}
}
