package watch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// followEvery is how often the journals are looked at.
const followEvery = 100 * time.Millisecond

// cursorEvery is how often it is written down how far a journal was followed.
// What comes after is looked at again after a restart, which changes nothing.
const cursorEvery = 30 * time.Second

// A follower applies rules to the events of the books that their accounts are in.
// Every node follows by itself: what a rule makes of an event is the same
// everywhere, its standing says which events it has seen, and the first node to
// write it down is the one that counts.
type follower struct {
	mu    sync.Mutex
	books map[ledger.BookID]*followed
	rules map[string]*watched // by id
}

// A followed book is one that has accounts with rules.
type followed struct {
	cursor  uint64 // the last event that was looked at
	saved   uint64
	savedAt time.Time
	rules   map[ledger.AccountID][]*watched
}

// A watched rule is one about an account.
type watched struct {
	*Rule
	book     ledger.BookID
	unit     money.Unit
	standing Standing
	version  uint64          // of its record
	busy     bool            // a top-up is being made
	retry    time.Time       // when the one in flight is tried again
	again    time.Time       // when it is to be looked at without an event; zero: never, or at once if it is about time
	use      *consumption    // of a rule about how long the account lasts; nil: not read yet
	early    []*ledger.Event // that came while use is being read; nil: it is not
	raised   bool            // by a top-up, since it was last judged how long it lasts
}

func (f *follower) init() {
	f.books = make(map[ledger.BookID]*followed)
	f.rules = make(map[string]*watched)
}

// followRules begins to follow for rules that are new, and ends it for those
// that are gone.
func (w *Watch) followRules(ctx context.Context, rules map[string]*Rule) error {
	f := &w.follow
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, x := range f.rules {
		if rules[id] != nil {
			continue
		}
		delete(f.rules, id)
		if b := f.books[x.book]; b != nil {
			b.rules[x.Account] = slices.DeleteFunc(b.rules[x.Account], func(o *watched) bool { return o == x })
			if len(b.rules[x.Account]) == 0 {
				delete(b.rules, x.Account)
			}
			if len(b.rules) == 0 {
				delete(f.books, x.book)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rules)) {
		r := rules[id]
		if r.Account.IsZero() || f.rules[id] != nil {
			continue
		}
		x, err := w.beginRule(ctx, r)
		if ledger.CodeOf(err) == ledger.NotFound {
			w.o.Logger.Error("a rule is about an account that is not there", "rule", r.Name, "account", r.Account.String())
			continue
		}
		if err != nil {
			return err
		}
		b := f.books[x.book]
		if b == nil {
			b = &followed{rules: make(map[ledger.AccountID][]*watched), cursor: x.standing.Seq}
			if c, err := w.record(ctx, kindCursor, fmt.Sprint(x.book)); err != nil {
				return err
			} else if c != nil {
				row, err := decode[cursorRow](c)
				if err != nil {
					return err
				}
				b.cursor, b.saved = max(row.Seq, 0), row.Seq
			}
			f.books[x.book] = b
		} else {
			b.cursor = min(b.cursor, x.standing.Seq)
		}
		b.rules[x.Account] = append(b.rules[x.Account], x)
		f.rules[id] = x
	}
	return nil
}

// A cursorRow is how far a book was followed.
type cursorRow struct {
	V   int    `json:"v"`
	Seq uint64 `json:"seq"`
}

// beginRule reads how a rule stands. One that is new is judged by how its
// account stands now, and goes on from there.
func (w *Watch) beginRule(ctx context.Context, r *Rule) (*watched, error) {
	a, err := w.o.Ledger.Account(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	x := &watched{Rule: r, book: a.Book}
	if x.unit, err = w.o.Ledger.UnitOf(ctx, a); err != nil {
		return nil, err
	}
	if known, err := w.standing(ctx, x); err != nil {
		return x, err
	} else if known {
		return x, w.relist(ctx, r.Tenant, map[string]*Standing{r.ID: &x.standing}, true)
	}
	b, err := w.o.Ledger.Balance(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	x.standing.Seq = b.Seq
	if r.usesTopUp() {
		if err := w.findTopUp(ctx, x); err != nil {
			return nil, err
		}
	}
	alerts, _ := r.Judge(&x.standing, b.AsOf, x.measure(b.Available, b.Limit))
	err = w.writeStanding(ctx, x, alerts)
	if code := ledger.CodeOf(err); code == ledger.Exists || code == ledger.IDTaken {
		_, err = w.standing(ctx, x) // another node was first
	}
	return x, err
}

// standing reads how a rule stands, if that was written down.
func (w *Watch) standing(ctx context.Context, x *watched) (bool, error) {
	rec, err := w.record(ctx, kindStanding, x.ID)
	if err != nil || rec == nil {
		return false, err
	}
	s, err := decode[Standing](rec)
	if err != nil {
		return false, err
	}
	x.standing, x.version = *s, rec.Version
	return true, nil
}

// writeStanding writes how a rule stands, with the alerts that came of it: all or
// none of it, and only if nobody has written another in between. The command's
// id is made of the rule and the number of the crossing.
func (w *Watch) writeStanding(ctx context.Context, x *watched, alerts []Alert) error {
	writes := []ledger.RecordWrite{{Kind: kindStanding, Key: x.ID, Expect: x.version, Data: encode(&x.standing)}}
	id := ""
	for i := range alerts {
		writes = append(writes, alerts[i].write(x.Tenant))
		id = fmt.Sprintf("watch/%s/%d", x.ID, alerts[i].Number)
	}
	r, err := w.o.Ledger.Post(ctx, &ledger.Command{ID: id, Records: writes})
	if err != nil {
		return err
	}
	x.version = r.Event.Seq
	if r.Replayed {
		_, err = w.standing(ctx, x)
	}
	if len(alerts) > 0 {
		w.alerted()
	}
	return err
}

// usesTopUp reports whether a rule has a threshold that is a share of the last
// top-up.
func (r *Rule) usesTopUp() bool {
	return r.When == BalanceBelow && slices.ContainsFunc(r.Levels, func(l Level) bool { return l.At.Kind == isPercent })
}

// findTopUp finds the last top-up of an account, among its last 1,000 events.
func (w *Watch) findTopUp(ctx context.Context, x *watched) error {
	q := ledger.Query{List: ledger.ListStatement, Book: x.book, Account: x.Account, Reverse: true, Limit: 1000}
	for row, err := range w.o.Ledger.Scan(ctx, q) {
		if err != nil {
			return err
		}
		if sum := x.toppedUp(row.Event); sum.Sign() > 0 {
			x.standing.TopUp = text(sum)
			return nil
		}
	}
	return nil
}

// toppedUp returns by how much an event topped the account up.
func (x *watched) toppedUp(e *ledger.Event) (sum money.Amount) {
	for i := range e.Transfers {
		p := &e.Transfers[i]
		if p.To != x.Account || p.Kind != ledger.TopUp && p.Kind != ledger.Move {
			continue
		}
		if wider, ok := widen(p.Amount, int(x.unit.Scale)); ok {
			if s, ok := sum.Add(wider); ok {
				sum = s
			}
		}
	}
	return sum
}

// measure returns what a rule finds in an account that has some money of its own
// and may go below zero by a limit.
func (x *watched) measure(available, limit money.Amount) (m Measure) {
	m.Unit = x.unit.Code
	m.TopUp, m.HasTopUp = parseWide(x.standing.TopUp)
	switch x.When {
	case BalanceBelow:
		if spendable, ok := available.Add(limit); ok {
			m.Amount, m.Known = widen(spendable, int(x.unit.Scale))
		}
	case LimitNear:
		if limit.Sign() <= 0 {
			return m
		}
		m.Known, m.Unit = true, ""
		if available.Sign() >= 0 {
			return m
		}
		used, ok := available.Neg()
		if ok {
			used, ok = used.Mul(100_00)
		}
		share := used.Big()
		share.Div(share, limit.Big())
		if m.Amount, m.Known = money.FromBig(share); !ok {
			m.Known = false
		}
	}
	return m
}

// followBooks applies rules to what happens, until ctx ends.
func (w *Watch) followBooks(ctx context.Context) {
	defer w.running.Done()
	every := followEvery
	if w.o.Node != "" {
		every *= 5 // each look asks the database
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.follow.mu.Lock()
			for id, b := range w.follow.books {
				_ = w.saveCursor(context.WithoutCancel(ctx), id, b, true)
			}
			w.follow.mu.Unlock()
			return
		case <-tick.C:
		}
		if err := w.followOnce(ctx); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("the journals cannot be followed now; it is tried again", "error", err)
			sleep(ctx, time.Second)
		}
	}
}

func (w *Watch) followOnce(ctx context.Context) error {
	f := &w.follow
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.books)) {
		b := f.books[id]
		head, err := w.o.Ledger.Head(ctx, id)
		if err != nil {
			return err
		}
		if head.Seq > b.cursor {
			if err := w.followBook(ctx, id, b); err != nil {
				return err
			}
		}
		if err := w.saveCursor(ctx, id, b, false); err != nil {
			return err
		}
		for _, rules := range b.rules {
			for _, x := range rules {
				if err := w.lookAgain(ctx, x); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// followBook applies rules to the events after the cursor.
func (w *Watch) followBook(ctx context.Context, id ledger.BookID, b *followed) error {
	for row, err := range w.o.Ledger.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: id, After: b.cursor, Limit: 10_000}) {
		if err != nil {
			return err
		}
		e := row.Event
		for i := range e.Touched {
			for _, x := range b.rules[e.Touched[i].Account] {
				if err := w.judgeEvent(ctx, x, e, &e.Touched[i]); err != nil {
					return err
				}
			}
		}
		b.cursor = e.Seq
	}
	return nil
}

// judgeEvent applies a rule to an event that touched its account.
func (w *Watch) judgeEvent(ctx context.Context, x *watched, e *ledger.Event, after *ledger.After) error {
	for {
		x.takes(e)
		if e.Seq <= x.standing.Seq {
			return nil // it was in it already
		}
		next := x.standing.clone()
		next.Seq = e.Seq
		topUp := x.toppedUp(e)
		if topUp.Sign() > 0 && x.When == TimeBelow {
			x.raised, x.again = true, time.Time{}
		}
		changed := false
		if topUp.Sign() > 0 {
			next.TopUp, changed = text(topUp), x.usesTopUp() && next.TopUp != text(topUp)
		}
		available, ok := after.Posted.Sub(after.Held)
		if !ok {
			return nil
		}
		was := x.standing
		x.standing = next
		m := x.measure(available, after.Limit)
		m.ToppedUp = topUp.Sign() > 0
		for i := range e.Holds {
			if h := &e.Holds[i]; h.Act == ledger.HoldLapsed && (h.Account == x.Account || h.Via == x.Account) {
				m.Happened++
			}
		}
		alerts, moved := x.Judge(&x.standing, e.Time, m)
		x.wantsAgain(m)
		if !moved && !changed {
			x.standing = was
			if topUp.Sign() > 0 {
				x.standing.TopUp = next.TopUp
			}
			return nil
		}
		err := w.writeStanding(ctx, x, alerts)
		switch ledger.CodeOf(err) {
		case ledger.OK:
			return nil
		case ledger.Changed, ledger.Exists, ledger.IDTaken: // another node was first: go on from there
			if known, err := w.standing(ctx, x); err != nil {
				return err
			} else if !known {
				return nil // the rule is gone
			}
		default:
			x.standing = was
			return err
		}
	}
}

// clone copies a standing, so that one that cannot be written changes nothing.
func (s *Standing) clone() Standing {
	c := *s
	c.Levels = make(map[string]*LevelStanding, len(s.Levels))
	for name, l := range s.Levels {
		copied := *l
		c.Levels[name] = &copied
	}
	if s.Plan != nil {
		p := *s.Plan
		c.Plan = &p
	}
	return c
}

// wantsAgain notes when a rule is to be looked at without an event: when a
// cooldown ends that keeps it from firing.
func (x *watched) wantsAgain(m Measure) {
	if x.When == TimeBelow {
		return // that is looked at anyway
	}
	x.again = time.Time{}
	if x.Cooldown == 0 {
		return
	}
	for _, l := range x.Levels {
		s := x.standing.Levels[l.Name]
		if s == nil || s.Firing || s.Quiet || s.Fired == 0 {
			continue
		}
		if bad, _, known := x.sides(l.At, m); known && bad {
			if t := s.Fired.Add(x.Cooldown).Std(); x.again.IsZero() || t.Before(x.again) {
				x.again = t
			}
		}
	}
}

// lookAgain judges a rule by how its account stands now, when it is time to.
func (w *Watch) lookAgain(ctx context.Context, x *watched) error {
	if x.When == TimeBelow {
		return w.judgeTimeLeft(ctx, x)
	}
	if x.again.IsZero() || w.o.Now().Before(x.again) {
		return w.planAgain(ctx, x)
	}
	b, err := w.o.Ledger.Balance(ctx, x.Account)
	if err != nil {
		return err
	}
	m := x.measure(b.Available, b.Limit)
	err = w.judgeNow(ctx, x, max(b.AsOf, ledger.TimeOf(w.o.Now())), m)
	x.wantsAgain(m)
	return err
}

// judgeNow judges a rule by what was found without an event.
func (w *Watch) judgeNow(ctx context.Context, x *watched, at ledger.Time, m Measure) error {
	was := x.standing
	x.standing = was.clone()
	alerts, moved := x.Judge(&x.standing, at, m)
	if !moved {
		x.standing = was
		return nil
	}
	err := w.writeStanding(ctx, x, alerts)
	switch ledger.CodeOf(err) {
	case ledger.OK:
		return nil
	case ledger.Changed, ledger.Exists, ledger.IDTaken:
		_, err = w.standing(ctx, x)
	default:
		x.standing = was
	}
	return err
}

// saveCursor writes down how far a book was followed, now and then.
func (w *Watch) saveCursor(ctx context.Context, id ledger.BookID, b *followed, now bool) error {
	if b.cursor <= b.saved || !now && w.o.Now().Sub(b.savedAt) < cursorEvery {
		return nil
	}
	write := ledger.RecordWrite{Kind: kindCursor, Key: fmt.Sprint(id), Expect: ledger.AnyVersion, Data: encode(&cursorRow{rowVersion, b.cursor})}
	if _, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{write}}); err != nil {
		return err
	}
	b.saved, b.savedAt = b.cursor, w.o.Now()
	return nil
}
