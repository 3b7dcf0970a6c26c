package watch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"saldo/ledger"
	"saldo/money"
)

const (
	// timeLeftEvery is how often it is judged how long an account lasts.
	timeLeftEvery = time.Minute
	// mostEvents is how many of an account's events are read to learn what it
	// consumed in the last weeks. What was before these is known by the day.
	mostEvents = 100_000
)

// A consumption is what an account has consumed lately, by its journal. All of
// its time is observed, and a top-up hides nothing.
type consumption struct {
	usage usage
	point Point
	seq   uint64 // the last event that is in it
}

// to goes on to a time, until when so much was consumed.
func (c *consumption) to(at ledger.Time, consumed money.Amount) {
	p := c.point
	if p.At = max(int64(at)/1e6, c.point.At); c.usage.any {
		p.Observed += p.At - c.point.At
	}
	if sum, ok := p.Consumed.Add(consumed); ok {
		p.Consumed = sum
	}
	if c.usage.any && p.At == c.point.At { // add takes it with what comes later
		c.point.Consumed = p.Consumed
		return
	}
	c.usage.add(p)
	c.point = p
}

// consumed returns what an event's charges and captures took from the account,
// and its refunds gave back.
func (x *watched) consumed(e *ledger.Event) (sum money.Amount) {
	for i := range e.Transfers {
		p := &e.Transfers[i]
		amount, ok := widen(p.Amount, int(x.unit.Scale))
		switch {
		case p.From == x.Account && (p.Kind == ledger.Charge || p.Kind == ledger.Capturing):
		case p.To == x.Account && p.Kind == ledger.Refunding && (p.Back == ledger.Charge || p.Back == ledger.Capturing):
			amount, _ = amount.Neg()
		default:
			continue
		}
		if next, fits := sum.Add(amount); ok && fits {
			sum = next
		}
	}
	return sum
}

// takes adds an event to what is known of an account's consumption.
func (x *watched) takes(e *ledger.Event) {
	switch {
	case x.use == nil && x.early != nil:
		x.early = append(x.early, e)
	case x.use != nil && e.Seq > x.use.seq:
		x.use.to(e.Time, x.consumed(e))
		x.use.seq = e.Seq
	}
}

// uses takes over what was read, and adds what came meanwhile.
func (x *watched) uses(c *consumption) {
	early := x.early
	x.use, x.early = c, nil
	for _, e := range early {
		x.takes(e)
	}
}

// readConsumption reads what an account consumed in the weeks that a forecast
// looks at, or since it was opened: the last events one by one, and what was
// before these by the day.
func (w *Watch) readConsumption(ctx context.Context, x *watched, most int) (*consumption, error) {
	a, err := w.o.Ledger.Account(ctx, x.Account)
	if err != nil {
		return nil, err
	}
	type step struct {
		at       ledger.Time
		consumed money.Amount
	}
	var steps []step
	c := new(consumption)
	from := max(a.Created, ledger.TimeOf(w.o.Now()).Add(-usageHours*time.Hour))
	q := ledger.Query{List: ledger.ListStatement, Book: x.book, Account: x.Account, Reverse: true, Limit: most}
	for row, err := range w.o.Ledger.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		c.seq = max(c.seq, row.Event.Seq)
		if row.Event.Time < from {
			break
		}
		steps = append(steps, step{row.Event.Time, x.consumed(row.Event)})
	}
	if len(steps) == most {
		oldest := steps[len(steps)-1].at
		q := ledger.Query{List: ledger.ListUsage, Book: x.book, Account: x.Account, Unit: a.Unit, FromDay: from.Day(), ToDay: oldest.Day()}
		if from > a.Created {
			q.FromDay++ // a whole one
		}
		for row, err := range w.o.Ledger.Scan(ctx, q) {
			if err != nil {
				return nil, err
			}
			price, _ := widen(row.Usage.Price, int(x.unit.Scale))
			end := (row.Usage.Day + 1).Start() - 1
			if row.Usage.Day == oldest.Day() { // the rest of it is known event by event
				end = oldest - 1
				for _, s := range steps[:most] {
					if s.at.Day() == oldest.Day() {
						price, _ = price.Sub(s.consumed)
					}
				}
			}
			// A day of which only the sum is known is an even one.
			steps = append(steps, step{max(from, row.Usage.Day.Start()), money.Amount{}}, step{end, price})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	c.to(from, money.Amount{})
	for _, s := range steps {
		c.to(s.at, s.consumed)
	}
	return c, nil
}

// judgeTimeLeft judges how long an account lasts, now and then: it changes as
// time goes by, whether something happens or not.
func (w *Watch) judgeTimeLeft(ctx context.Context, x *watched) error {
	now := w.o.Now()
	if x.busy || now.Before(x.again) {
		return nil
	}
	x.again = now.Add(timeLeftEvery)
	if x.use == nil {
		x.busy, x.early = true, []*ledger.Event{}
		w.running.Add(1)
		go func() { // it may be many events
			defer w.running.Done()
			use, err := w.readConsumption(ctx, x, mostEvents)
			w.follow.mu.Lock()
			defer w.follow.mu.Unlock()
			x.busy = false
			if err == nil {
				x.again = time.Time{}
				x.uses(use)
				return
			}
			x.early = nil
			if ctx.Err() == nil {
				w.o.Logger.Warn("what an account consumed cannot be read now; it is tried again", "rule", x.Name, "error", err)
			}
		}()
		return nil
	}
	b, err := w.o.Ledger.Balance(ctx, x.Account)
	if err != nil {
		return err
	}
	at := max(b.AsOf, ledger.TimeOf(now))
	x.use.to(at, money.Amount{})
	m := Measure{ToppedUp: x.raised}
	x.raised = false
	if spendable, ok := widen(b.Spendable, int(x.unit.Scale)); ok {
		left := x.use.usage.forecast(now, number(spendable))
		m.Known, m.Amount = left.Known, money.New(int64(left.About))
	}
	return w.judgeNow(ctx, x, at, m)
}
