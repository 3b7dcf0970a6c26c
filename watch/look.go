package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"saldo/ledger"
)

// A Look is a source as it stands, for tables and metrics.
type Look struct {
	Source  *Source
	State   string // unknown, ok, low, critical, stale, failed
	Read    time.Time
	Tried   time.Time
	Next    time.Time
	Account string
	Balance string // as the vendor wrote it
	Unit    string
	OnHold  string
	Change  string // over the last day, "" if it is not known
	Reason  string // of the last failure; "": the last poll succeeded
	Why     string
	Runway  Runway
	Drift   string
	Point   Point
	Node    string
	Firing  []string // rules and levels

	Polls    int
	Took     time.Duration // of the last poll
	Outcomes map[string]int
}

func (l *Look) took(outcome string, d time.Duration) {
	l.Polls++
	l.Took = d
	counts := maps.Clone(l.Outcomes) // who looks has the old one
	if counts == nil {
		counts = make(map[string]int)
	}
	counts[outcome]++
	l.Outcomes = counts
}

// Looks returns every source of a tenant, or of all (tenant 0), by name.
func (w *Watch) Looks(tenant ledger.TenantID) (all []Look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(w.sources)) {
		if p := w.sources[key]; tenant == 0 || p.Tenant == tenant {
			all = append(all, p.look)
		}
	}
	return all
}

// show takes over what a state says.
func (w *Watch) show(p *polled, s *stateRow, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.show(s, now)
}

func (p *polled) show(s *stateRow, now time.Time) {
	w := &p.look
	w.Read, w.Tried, w.Next = stdTime(s.Read), stdTime(s.Tried), stdTime(s.Next)
	w.Account, w.Balance, w.Unit, w.OnHold = s.Account, s.Shown, s.Unit, s.OnHold
	w.Reason, w.Why, w.Node = s.Reason, s.Why, s.Node
	w.State, w.Firing = "ok", nil
	if point, ok := s.last(); ok {
		w.Point = point
		w.Change, w.Drift = "", ""
		if point.HasDrift {
			w.Drift = text(point.Drift)
		}
		if p.usage != nil {
			if change, ok := p.usage.change(now); ok {
				w.Change = text(change)
			}
		}
	} else {
		w.State = "unknown"
	}
	if s.Reason != "" {
		w.State = "failed"
	}
	worst := ""
	for _, id := range slices.Sorted(maps.Keys(s.Rules)) {
		for _, level := range slices.Sorted(maps.Keys(s.Rules[id].Levels)) {
			if s.Rules[id].Levels[level].Firing {
				w.Firing = append(w.Firing, id+"/"+level)
				if level == "critical" || worst == "" {
					worst = level
				}
			}
		}
	}
	switch {
	case w.State == "failed":
	case worst == "critical":
		w.State = "critical"
	case worst == "warning":
		w.State = "low"
	}
}

func stdTime(t ledger.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Std()
}

// Readings calls use with the points of a source since a time, in order.
func (w *Watch) Readings(ctx context.Context, tenant ledger.TenantID, name string, since time.Time, use func(Point) error) error {
	key := sourceKey(tenant, name)
	state, err := w.readState(ctx, key)
	if err != nil {
		return err
	}
	var all chunk
	if err := w.history(ctx, key, func(_ string, c chunk) error {
		if c[len(c)-1].At >= since.Unix() {
			all = append(all, c...)
		}
		return nil
	}); err != nil {
		return err
	}
	all = append(all, state.points...)
	slices.SortFunc(all, func(a, b Point) int { return int(a.At - b.At) })
	for _, p := range all {
		if p.At >= since.Unix() {
			if err := use(p); err != nil {
				return err
			}
		}
	}
	return nil
}
