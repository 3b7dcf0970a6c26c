package watch

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

const (
	// pollTime is how long a vendor may take to answer.
	pollTime = 30 * time.Second
	// slowAfter is when a poll gives its place to the next one of its vendor, so
	// that one that hangs delays no other.
	slowAfter = 2 * time.Second
	// perVendor is how many polls of a vendor begin at a time.
	perVendor = 4
	// longestBackoff is how rarely a source is asked that fails, unless its
	// interval is longer.
	longestBackoff = time.Hour
	// claimSlack is how long after a poll was due another node takes over.
	claimSlack = 30 * time.Second
)

// A polled source is one on its way round.
type polled struct {
	*Source
	vendor string
	due    time.Time
	place  int // in the heap; -1: it is being polled
	gone   bool
	back   *backoff.ExponentialBackOff
	fails  int // that back has counted
	usage  *usage
	look   Look

	asked   bool  // by this process
	thinned int64 // the day since 1970 that the history was last thinned in
}

// queue orders sources by when they are due.
type queue []*polled

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *queue) Push(x any) {
	p := x.(*polled)
	p.place = len(*q)
	*q = append(*q, p)
}
func (q *queue) Pop() any {
	p := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	p.place = -1
	return p
}

// A vendorQueue bounds how many polls of one vendor begin at a time.
type vendorQueue struct {
	running int
	waiting []*polled
}

// poll runs the polls as they come due, until ctx ends.
func (w *Watch) poll(ctx context.Context) {
	defer w.running.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		now := w.o.Now()
		for len(w.queue) > 0 && !w.queue[0].due.After(now) {
			p := heap.Pop(&w.queue).(*polled)
			w.start(ctx, p)
		}
		wait := time.Hour
		if len(w.queue) > 0 {
			wait = w.queue[0].due.Sub(now)
		}
		w.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.rush:
		}
	}
}

// start begins a poll, or queues it behind others of its vendor. w.mu is held.
func (w *Watch) start(ctx context.Context, p *polled) {
	v := w.vendors[p.vendor]
	if v == nil {
		v = new(vendorQueue)
		w.vendors[p.vendor] = v
	}
	if v.running >= cmp.Or(w.o.PerVendor, perVendor) {
		v.waiting = append(v.waiting, p)
		return
	}
	v.running++
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		left := false
		leave := func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if left {
				return
			}
			left = true
			v.running--
			if len(v.waiting) > 0 && ctx.Err() == nil {
				next := v.waiting[0]
				v.waiting = v.waiting[1:]
				w.start(ctx, next)
			}
		}
		slow := time.AfterFunc(slowAfter, leave)
		next := w.pollOnce(ctx, p)
		slow.Stop()
		leave()
		w.mu.Lock()
		if !p.gone {
			p.due = next
			heap.Push(&w.queue, p)
		}
		w.mu.Unlock()
		w.hurry()
	}()
}

// hurry wakes the loop up.
func (w *Watch) hurry() {
	select {
	case w.rush <- struct{}{}:
	default:
	}
}

// pollOnce asks one source, and returns when to ask it again.
func (w *Watch) pollOnce(ctx context.Context, p *polled) time.Time {
	state, mine, err := w.claim(ctx, p)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Logger.Warn("a source cannot be claimed now", "source", p.Name, "error", err)
		}
		return w.o.Now().Add(5*time.Second + rand.N(5*time.Second))
	}
	if !mine {
		if err := w.takeOver(ctx, p, state); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("what another node has read of a source cannot be read", "source", p.Name, "error", err)
		}
		// It is looked at again after the poll that the other node will have made.
		next := state.Next.Std().Add(time.Second + rand.N(2*time.Second))
		if soon := w.o.Now().Add(time.Second); next.Before(soon) {
			next = soon
		}
		return next
	}
	if !p.asked {
		if err := w.relist(ctx, p.Tenant, state.Rules, true); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("what fires of a source may not all be listed", "source", p.Name, "error", err)
		}
	}
	if next := state.Next.Std(); state.Next != 0 && next.After(w.o.Now()) && !p.asked {
		if err := w.takeOver(ctx, p, state); err == nil { // it was asked before this process began
			p.asked = true
			return next
		}
	}
	p.asked = true
	asked := w.o.Now()
	ctx, span := w.o.Tracer.Start(ctx, "poll "+p.Kind, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("saldo.source", p.Name), attribute.String("saldo.vendor", p.Kind)))
	defer span.End()
	reading, err := w.read(ctx, p.Reader)
	if ctx.Err() != nil {
		return asked
	}
	if err != nil {
		reason, why := Explain(err)
		span.SetAttributes(attribute.String("error.type", reason))
		span.SetStatus(codes.Error, why)
	}
	took := w.o.Now().Sub(asked)
	for try := 1; ; try++ {
		next, stored := w.note(ctx, p, &reading, err, took)
		if stored == nil || ctx.Err() != nil || try == 5 {
			if stored != nil && ctx.Err() == nil {
				w.o.Logger.Error("a reading could not be stored", "source", p.Name, "error", stored)
			}
			return next
		}
		sleep(ctx, time.Duration(try)*200*time.Millisecond)
	}
}

// read asks, and keeps a reader that panics from taking the server along.
func (w *Watch) read(ctx context.Context, reader dialect.Reader) (r dialect.Reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			w.o.Logger.Error("reading a source failed", "panic", p)
			err = &dialect.Error{Reason: dialect.Refused, Message: "a fault of this program"}
		}
	}()
	return reader.Read(ctx)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// claim makes sure that this node is the one that polls a source.
func (w *Watch) claim(ctx context.Context, p *polled) (*stateRow, bool, error) {
	state, err := w.readState(ctx, p.Key())
	if err != nil || w.o.Node == "" {
		return state, true, err
	}
	now := ledger.TimeOf(w.o.Now())
	switch {
	case state.Node == w.o.Node && state.Until > now:
		return state, true, nil
	case state.Node != w.o.Node && state.Until > now:
		return state, false, nil
	}
	state.Node, state.Until = w.o.Node, now.Add(pollTime+claimSlack)
	r, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{state.write(p.Key())}})
	if code := ledger.CodeOf(err); code == ledger.Changed || code == ledger.Exists {
		state, err = w.readState(ctx, p.Key())
		return state, err == nil && state.Node == w.o.Node, err
	} else if err != nil {
		return state, false, err
	}
	state.version = r.Event.Seq
	return state, true, nil
}

// note stores what came of a poll, with the alerts that come of it, in one
// command, and returns when to ask again.
func (w *Watch) note(ctx context.Context, p *polled, reading *dialect.Reading, failed error, took time.Duration) (time.Time, error) {
	now := w.o.Now()
	at := ledger.TimeOf(now)
	state, err := w.readState(ctx, p.Key())
	if err != nil {
		return now.Add(10 * time.Second), err
	}
	if w.o.Node != "" && state.Node != w.o.Node && state.Until > at {
		return state.Until.Std(), nil // another has it now, and its reading counts
	}
	if err := p.load(ctx, w, state); err != nil {
		return now.Add(10 * time.Second), err
	}
	rules := w.rulesOf(p.Source)
	if err := w.forget(ctx, p, rules, state); err != nil {
		return now.Add(10 * time.Second), err
	}
	state.Tried = at
	if state.Began == 0 {
		state.Began = at
	}
	var rise money.Amount
	var writes []ledger.RecordWrite
	if failed == nil {
		var full chunk
		if rise, full, failed = state.take(reading, at); failed == nil && len(full) > 0 {
			writes = append(writes, writeChunk(p.Key(), full, hourKey))
		}
	}
	outcome := "ok"
	if failed == nil {
		state.Fails, state.Reason, state.Why = 0, "", ""
		w.drift(ctx, p, state)
	} else {
		if state.Fails++; state.Fails == 1 {
			w.o.Logger.Warn("a source cannot be read", "source", p.Name, "error", failed)
		}
		state.Reason, state.Why = Explain(failed)
		state.Why = clip(state.Why, 600)
		outcome = state.Reason
	}
	next := now.Add(p.wait(state.Fails, failed))
	usage := p.usage.with(state)
	runway := usage.timeLeft(now, state)
	alerts, again := w.judgeSource(p, rules, state, at, failed == nil, rise, runway)
	if !again.IsZero() && again.Before(next) {
		next = again
	}
	for i := range alerts {
		writes = append(writes, alerts[i].write(p.Tenant))
	}
	state.Node, state.Next, state.Until = w.o.Node, ledger.TimeOf(next), ledger.TimeOf(next.Add(pollTime+claimSlack))
	writes = append(writes, state.write(p.Key()))
	w.mu.Lock()
	gone := p.gone
	w.mu.Unlock()
	if gone {
		return next, nil // whoever took it away took its state along
	}
	r, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: writes})
	if err != nil {
		return next, err
	}
	state.version = r.Event.Seq
	w.mu.Lock()
	p.usage = usage
	p.look.took(outcome, took)
	p.look.Runway = runway
	w.mu.Unlock()
	w.show(p, state, now)
	if len(alerts) > 0 {
		w.alerted()
	}
	if day := now.Unix() / 86400; day != p.thinned && failed == nil {
		p.thinned = day
		w.thin(ctx, p.Key(), now)
	}
	return next, nil
}

// wait says how long until the next poll: the interval, or after failures less
// or more than that, growing, and never sooner than the vendor wants.
func (p *polled) wait(fails int, failed error) time.Duration {
	if fails == 0 {
		p.back = nil
		return p.Interval - p.Interval/20 + rand.N(p.Interval/10+1)
	}
	if p.back == nil {
		p.back, p.fails = backoff.NewExponentialBackOff(), 0
		p.back.InitialInterval = min(p.Interval, 30*time.Second)
		p.back.Multiplier = 2
		p.back.MaxInterval = max(p.Interval, longestBackoff)
	}
	var d time.Duration
	for ; p.fails < min(fails, 64); p.fails++ {
		d = p.back.NextBackOff()
	}
	if d <= 0 {
		d = p.back.NextBackOff()
	}
	var e *dialect.Error
	if errors.As(failed, &e) && e.RetryAfter > d {
		d = e.RetryAfter + rand.N(e.RetryAfter/20+time.Second)
	}
	return d
}

// load reads what was consumed lately from the history, unless it is known.
func (p *polled) load(ctx context.Context, w *Watch, state *stateRow) error {
	last, ok := state.last()
	if p.usage != nil && (!ok || p.usage.point.At == last.At) {
		return nil
	}
	type part struct {
		key string
		c   chunk
	}
	var parts []part
	if ok {
		if err := w.history(ctx, p.Key(), func(key string, c chunk) error {
			parts = append(parts, part{key, c})
			return nil
		}); err != nil {
			return err
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.c[0].At, b.c[0].At) })
	u := new(usage)
	for _, part := range parts {
		for _, point := range part.c {
			u.add(point)
		}
	}
	for _, point := range state.points {
		u.add(point)
	}
	p.usage = u
	return nil
}

// takeOver has a source look as its state says, that another process has
// written.
func (w *Watch) takeOver(ctx context.Context, p *polled, state *stateRow) error {
	if p.usage == nil {
		if err := p.load(ctx, w, state); err != nil {
			return err
		}
	}
	now := w.o.Now()
	usage := p.usage.with(state)
	w.mu.Lock()
	defer w.mu.Unlock()
	p.usage, p.look.Runway = usage, usage.timeLeft(now, state)
	p.show(state, now)
	return nil
}

// timeLeft forecasts how long what a state has lasts.
func (u *usage) timeLeft(now time.Time, state *stateRow) Runway {
	point, ok := state.last()
	if !ok {
		return Runway{}
	}
	return u.forecast(now, number(point.Balance))
}

// with returns the usage with the last point of a state.
func (u *usage) with(state *stateRow) *usage {
	last, ok := state.last()
	if !ok || u.any && last.At == u.point.At {
		return u
	}
	next := *u
	next.add(last)
	return &next
}

// forget drops how rules stand that a source no longer has.
func (w *Watch) forget(ctx context.Context, p *polled, rules []*Rule, state *stateRow) error {
	gone := maps.Clone(state.Rules)
	for _, r := range rules {
		delete(gone, r.ID)
	}
	for id := range gone {
		delete(state.Rules, id)
	}
	return w.relist(ctx, p.Tenant, gone, false)
}

// judgeSource applies the rules of a source to what is known of it now. It
// returns alerts, and when a rule wants to look again.
func (w *Watch) judgeSource(p *polled, rules []*Rule, state *stateRow, at ledger.Time, fresh bool, rise money.Amount, runway Runway) (alerts []Alert, again time.Time) {
	if state.Rules == nil && len(rules) > 0 {
		state.Rules = make(map[string]*Standing)
	}
	point, has := state.last()
	for _, r := range rules {
		m := Measure{Unit: state.Unit, ToppedUp: rise.Sign() > 0}
		m.TopUp, m.HasTopUp = state.lastTopUp()
		switch r.When {
		case BalanceBelow:
			m.Known, m.Amount = fresh, point.Balance
		case TimeBelow:
			m.Known, m.Amount, m.Unit = fresh && runway.Known, money.New(int64(runway.About)), ""
		case DriftAbove:
			m.Known, m.Amount = fresh && point.HasDrift, point.Drift
			if m.Amount.Sign() < 0 {
				m.Amount, m.Known = m.Amount.Neg()
			}
		case ReadingOlder:
			since := state.Began
			if has {
				since = state.Read
			}
			age := time.Duration(at-since) * time.Microsecond
			m.Known, m.Amount, m.Unit = true, money.New(int64(age)), ""
			for _, l := range r.Levels {
				if age < l.At.For {
					if t := at.Std().Add(l.At.For - age); again.IsZero() || t.Before(again) {
						again = t
					}
				}
			}
		}
		s := state.Rules[r.ID]
		if s == nil {
			s = new(Standing)
			state.Rules[r.ID] = s
		}
		made, _ := r.Judge(s, at, m)
		for i := range made {
			made[i].Vendor, made[i].Labels = p.Kind, p.Labels
		}
		alerts = append(alerts, made...)
	}
	return alerts, again
}

// drift notes how far a source is from our own account for it.
func (w *Watch) drift(ctx context.Context, p *polled, state *stateRow) {
	if p.Mirror.IsZero() {
		return
	}
	b, err := w.o.Ledger.Balance(ctx, p.Mirror)
	if err != nil || b.Unit.Code != state.Unit {
		return
	}
	ours, ok := widen(b.Available, int(b.Unit.Scale))
	last := &state.points[len(state.points)-1]
	if d, fits := last.Balance.Sub(ours); ok && fits {
		last.Drift, last.HasDrift = d, true
	}
}

// thin puts the oldest hours into days and days into months, a day's or a
// month's worth at a time.
func (w *Watch) thin(ctx context.Context, source string, now time.Time) {
	prefix := source + "/"
	groups := map[string][]string{} // by the key of the larger chunk
	chunks := map[string]chunk{}
	err := w.history(ctx, source, func(key string, c chunk) error {
		when := strings.TrimPrefix(key, prefix)
		age := now.Sub(time.Unix(c[len(c)-1].At, 0))
		switch {
		case len(when) == len(hourKey) && age > keepHours+24*time.Hour:
			groups[when[:len(dayKey)]] = append(groups[when[:len(dayKey)]], key)
			chunks[key] = c
		case len(when) == len(dayKey) && age > keepDays+31*24*time.Hour:
			groups[when[:len(monthKey)]] = append(groups[when[:len(monthKey)]], key)
			chunks[key] = c
		}
		return nil
	})
	for when, keys := range groups {
		if err != nil {
			break
		}
		slices.Sort(keys)
		var all chunk
		var writes []ledger.RecordWrite
		var there *ledger.Record
		if there, err = w.record(ctx, kindHistory, prefix+when); there != nil && err == nil {
			all, err = parseChunk(there.Data)
		}
		for _, key := range keys {
			all = append(all, chunks[key]...)
			writes = append(writes, ledger.RecordWrite{Kind: kindHistory, Key: key, Expect: ledger.AnyVersion, Delete: true})
		}
		slices.SortFunc(all, func(a, b Point) int { return cmp.Compare(a.At, b.At) })
		layout, span := dayKey, time.Hour
		if len(when) == len(monthKey) {
			layout, span = monthKey, 24*time.Hour
		}
		writes = append(writes, writeChunk(source, all.thinned(span), layout))
		if err == nil {
			_, err = w.o.Ledger.Post(ctx, &ledger.Command{Records: writes})
		}
	}
	if err != nil && ctx.Err() == nil {
		w.o.Logger.Warn("a history could not be thinned; it is tried again", "source", source, "error", err)
	}
}
