package watch

import (
	"context"
	"slices"

	"saldo/ledger"
)

// Fires reports whether an alert of a tenant tells what is so now: its rule is
// still there, and the level that it is about fires by the same crossing. An
// alert about what happened, as a hold that expired, is over when it is told.
func (w *Watch) Fires(ctx context.Context, tenant ledger.TenantID, a *Alert) (bool, error) {
	if a.State != "firing" || a.Test || a.When == HoldExpired {
		return false, nil
	}
	s, err := w.standingOf(ctx, tenant, a)
	if s == nil || err != nil {
		return false, err
	}
	l := s.Levels[a.Level]
	return l != nil && l.Firing && l.Crossings == a.Crossing, nil
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
