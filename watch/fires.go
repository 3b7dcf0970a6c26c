package watch

import (
	"context"
	"errors"
	"slices"

	"saldo/ledger"
)

// lasts reports whether an alert is about a state that lasts until it is
// resolved. One about what happened, as a hold that expired, is over when it is
// told.
func (a *Alert) lasts() bool { return a.State == "firing" && !a.Test && a.When != HoldExpired }

// Fires reports whether an alert of a tenant tells what is so now: its rule is
// still there, and the level that it is about fires by the same crossing.
func (w *Watch) Fires(ctx context.Context, tenant ledger.TenantID, a *Alert) (bool, error) {
	if !a.lasts() {
		return false, nil
	}
	s, err := w.standingOf(ctx, tenant, a)
	if s == nil || err != nil {
		return false, err
	}
	l := s.Levels[a.Level]
	return l != nil && l.Firing && l.Crossings == a.Crossing, nil
}

// Firing is Alerts of those that fire now.
func (w *Watch) Firing(ctx context.Context, tenant ledger.TenantID, from string, use func(key string, a *Alert) bool) error {
	var failed error
	err := w.alerts(ctx, indexFiring, tenant, from, func(key string, a *Alert) bool {
		fires, err := w.Fires(ctx, tenant, a)
		if failed = err; err != nil || !fires {
			return err == nil // it is resolved, and about to leave the index
		}
		return use(key, a)
	})
	return errors.Join(err, failed)
}

// list returns the writes that have the alerts by which a rule fires among
// those that fire, or not among them any more.
func (w *Watch) list(ctx context.Context, tenant ledger.TenantID, rule string, s *Standing, fires bool) (writes []ledger.RecordWrite, err error) {
	for name, l := range s.Levels {
		if !l.Firing {
			continue
		}
		id := alertID(rule, name, l.Crossings, l.Fired, "firing")
		write, err := w.listAlert(ctx, tenant, alertKey(tenant, l.Fired, id), fires)
		if err != nil {
			return nil, err
		}
		writes = append(writes, write...)
	}
	return writes, nil
}

// listAlert is list of one alert.
func (w *Watch) listAlert(ctx context.Context, tenant ledger.TenantID, key string, fires bool) ([]ledger.RecordWrite, error) {
	r, err := w.record(ctx, kindAlert, key)
	if r == nil || err != nil {
		return nil, err
	}
	entry := ledger.IndexEntry{Name: indexFiring, Value: tenantKey(tenant)}
	if slices.Contains(r.Index, entry) == fires {
		return nil, nil
	}
	index := slices.DeleteFunc(slices.Clone(r.Index), func(e ledger.IndexEntry) bool { return e == entry })
	if fires {
		index = append(index, entry)
	}
	return []ledger.RecordWrite{{Kind: kindAlert, Key: key, Expect: r.Version, Data: r.Data, Index: index}}, nil
}

// relist does list to several rules. What an older version wrote is in no list
// until this is done.
func (w *Watch) relist(ctx context.Context, tenant ledger.TenantID, rules map[string]*Standing, fires bool) error {
	for id, s := range rules {
		writes, err := w.list(ctx, tenant, id, s, fires)
		if err == nil && len(writes) > 0 {
			_, err = w.o.Ledger.Post(ctx, &ledger.Command{Records: writes})
		}
		if err != nil && ledger.CodeOf(err) != ledger.Changed { // another node does it too
			return err
		}
	}
	return nil
}

// standingOf returns how the rule of an alert stands, or nil if it is gone.
func (w *Watch) standingOf(ctx context.Context, tenant ledger.TenantID, a *Alert) (*Standing, error) {
	w.mu.Lock()
	r, p := w.rules[a.RuleID], w.sources[sourceKey(tenant, a.Source)]
	there := r != nil && r.Tenant == tenant
	if p != nil && !there {
		there = slices.ContainsFunc(p.Rules, func(own *Rule) bool { return own.ID == a.RuleID })
	}
	w.mu.Unlock()
	switch {
	case !there:
		return nil, nil
	case a.Source == "":
		stored, err := w.record(ctx, kindStanding, a.RuleID)
		if stored == nil || err != nil {
			return nil, err
		}
		return decode[Standing](stored)
	}
	s, err := w.readState(ctx, sourceKey(tenant, a.Source))
	if err != nil {
		return nil, err
	}
	return s.Rules[a.RuleID], nil
}
