package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// A firing is the JSON of a record of kind twilio.firing: a crossing that is to
// be told. Its deadline is when that is tried next.
type firing struct {
	V        int         `json:"v"`
	Trigger  string      `json:"trigger"`
	Crossing string      `json:"crossing"`
	Value    string      `json:"value"` // of what the trigger looks at, when it fired
	At       ledger.Time `json:"at"`
	Tries    int         `json:"tries,omitempty"`
}

func readFiring(r *ledger.Record) (*firing, error) {
	f := new(firing)
	if err := json.Unmarshal(r.Data, f); err != nil || f.V != 1 {
		return nil, fmt.Errorf("twilio: the firing %s cannot be read (was it written by a newer version?)", r.Key)
	}
	return f, nil
}

// A watcher looks at the triggers of all books. It keeps what it has seen, to
// look only at books where something has happened since.
type watcher struct {
	s    *Server
	seen map[ledger.BookID]uint64
	day  ledger.Day
	past map[string]string // of triggers: the period whose predecessor was looked at
}

// look fires what has crossed its value.
func (w *watcher) look(ctx context.Context) error {
	now, err := w.s.ledger.Now()
	if err != nil {
		return err
	}
	if day := now.Day(); day != w.day { // what recurs may fire again
		w.day = day
		clear(w.seen)
	}
	var failed error
	for row, err := range w.s.ledger.Scan(ctx, ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			return err
		}
		if row.Head.Seq == w.seen[row.Head.Book] {
			continue
		}
		if err := w.lookAt(ctx, row.Head, now); err != nil {
			failed = err
			continue
		}
		w.seen[row.Head.Book] = row.Head.Seq
	}
	return failed
}

func (w *watcher) lookAt(ctx context.Context, head *ledger.Head, now ledger.Time) error {
	q := ledger.Query{List: ledger.ListRecords, Book: head.Book, Kind: kindTrigger, Index: indexArmed, Value: "1"}
	var failed error
	for row, err := range w.s.ledger.Scan(ctx, q) {
		if err != nil {
			return err
		}
		t, err := readTrigger(row.Record)
		if err == nil {
			err = w.trigger(ctx, head, t, now)
		}
		if err != nil {
			failed = err // the others do not wait for it
		}
	}
	return failed
}

// trigger looks at one trigger: at its period, and at the one before it when that
// may have ended since it was looked at.
func (w *watcher) trigger(ctx context.Context, head *ledger.Head, t *trigger, now ledger.Time) error {
	a, err := w.s.ledger.Account(ctx, t.account.ID)
	if err != nil {
		return err
	}
	t.account = a
	unit, err := w.s.ledger.UnitOf(ctx, a)
	if err != nil {
		return err
	}
	if t.Category == balanceCategory {
		return w.balance(ctx, t, unit, now)
	}
	from, to, name := t.period(now.Day())
	if t.Recurring != once && t.Recurring != always && w.past[t.sid] != name && t.record.Created < from.Start() {
		before, end, earlier := t.period(from - 1)
		fired, err := w.usage(ctx, t, unit, before, end, earlier, now)
		if fired || err != nil {
			return err // the record has another version now; the next look goes on
		}
		if len(w.past) > 1<<20 {
			clear(w.past)
		}
		w.past[t.sid] = name
	}
	_, err = w.usage(ctx, t, unit, from, to, name, now)
	return err
}

// usage fires a trigger if what was used in a period has reached its value, and
// it has not fired in it or a later one before.
func (w *watcher) usage(ctx context.Context, t *trigger, unit money.Unit, from, to ledger.Day, name string, now ledger.Time) (bool, error) {
	if t.Crossing >= name {
		return false, nil
	}
	used, err := w.s.figure(ctx, t, unit, from, to)
	if err != nil {
		return false, err
	}
	value, err := money.Parse(t.Value, used.scale)
	if err != nil || used.amount.Less(value) {
		return false, err
	}
	t.Crossing = name
	return true, w.s.fire(ctx, t, used.text(), now)
}

// balance fires a trigger if what is left is not above its value: once, once in
// each period, or each time that it has been above before.
func (w *watcher) balance(ctx context.Context, t *trigger, unit money.Unit, now ledger.Time) error {
	left, err := w.s.figure(ctx, t, unit, 0, 0)
	if err != nil {
		return err
	}
	value, err := money.Parse(t.Value, left.scale)
	if err != nil {
		return err
	}
	low := !value.Less(left.amount)
	_, _, name := t.period(now.Day())
	if t.Recurring == always {
		switch {
		case low == t.Low:
			return nil
		case !low:
			t.Low = false
			_, err := w.s.post(ctx, t.account, t.write())
			return raced(err)
		}
		name = fmt.Sprintf("%020d", t.record.Version) // of each arming another
	}
	if !low || t.Crossing >= name {
		return nil
	}
	t.Crossing, t.Low = name, true
	return w.s.fire(ctx, t, left.text(), now)
}

// fire notes that a trigger has fired, together with what is to be told: once,
// whoever else is at it, and whatever ends before that is done.
func (s *Server) fire(ctx context.Context, t *trigger, value string, now ledger.Time) error {
	t.Fired = now
	f := firing{V: 1, Trigger: t.sid, Crossing: t.Crossing, Value: value, At: now}
	_, err := s.post(ctx, t.account, t.write(),
		ledger.RecordWrite{Kind: kindFiring, Key: t.sid + "/" + t.Crossing, Data: encode(f), Deadline: now})
	return raced(err)
}

// raced takes away an error that says that somebody else was faster.
func raced(err error) error {
	if code := ledger.CodeOf(err); code == ledger.Changed || code == ledger.Exists || code == ledger.NotFound {
		return nil
	}
	return err
}

// Run looks at usage triggers and calls their URLs until ctx ends. Without it
// triggers are kept and do nothing. Several servers on one store may run it.
func (s *Server) Run(ctx context.Context) {
	s.ledger.OnDue(kindFiring, s.hand)
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-ctx.Done():
					return
				case r := <-s.due:
					s.deliver(ctx, r)
				}
			}
		}()
	}
	w := &watcher{s: s, seen: make(map[ledger.BookID]uint64), past: make(map[string]string)}
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Warn("usage triggers could not be looked at; it is tried again", "dialect", auth.Twilio, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	for range callers {
		<-done
	}
}
