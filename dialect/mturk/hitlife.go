package mturk

import (
	"context"
	"fmt"
	"time"

	"saldo/ledger"
)

// changeHIT posts a change of one HIT of the requester.
func (r *Requester) changeHIT(ctx context.Context, verb, id string, edit func(c *change, h *hit) error) error {
	_, err := r.post(ctx, func(c *change) error {
		h, err := r.hit(ctx, id)
		if err != nil {
			return err
		}
		c.named(verb, id, h.version)
		was := *h
		if err := edit(c, h); err != nil {
			return err
		}
		if *h == was {
			return nil
		}
		return c.save(ctx, &was, h, 0)
	})
	return err
}

// AddAssignments raises how many assignments a HIT has
// (CreateAdditionalAssignmentsForHIT). One that was created with fewer than ten
// cannot come to ten or more, because it would cost more.
func (r *Requester) AddAssignments(ctx context.Context, id string, n int64, token string) error {
	return r.Extend(ctx, id, n, 0, token)
}

// Extend raises how many assignments a HIT has, or has it expire later, or both:
// ExtendHIT of the API before 2017 does both at once. By counts from when the HIT
// expires, or from now if it has expired. Zeros change nothing.
func (r *Requester) Extend(ctx context.Context, id string, n int64, by time.Duration, token string) error {
	switch {
	case n < 0 || n > maxAssignments || n == 0 && by == 0:
		return notValid("NumberOfAdditionalAssignments", n)
	case by < 0 || by > maxDuration:
		return notValid("ExpireAt", seconds64(by))
	}
	return r.changeHIT(ctx, "extend", id, func(c *change, h *hit) error {
		if err := c.once(ctx, tokenAdd, token, alreadyProcessed); err != nil {
			return err
		}
		large := int64(r.d.fees.Large)
		switch {
		case h.status() == Disposed:
			return hitState(h, "Assignable, Unassignable, Reviewable, Reviewing")
		case h.max+n > maxAssignments:
			return notValid("NumberOfAdditionalAssignments", n)
		case n > 0 && h.first < large && h.max+n >= large:
			return &Refused{Code: codeInvalidIncrease, Text: fmt.Sprintf(
				"The HIT was created with %d assignments, fewer than %d: it cannot be extended to %d or more.", h.first, large, large)}
		}
		h.max += n
		if by > 0 {
			from := c.now
			if !h.expired {
				from = h.expires
			}
			if err := c.expireAt(h, from.Add(by)); err != nil {
				return err
			}
		}
		c.remember(tokenAdd, token, id)
		return nil
	})
}

// UpdateExpiration sets when a HIT expires. A time that has passed means now:
// then what nobody works on is not held for any more. A later time brings a HIT
// back that has expired, and what it may cost is held again.
func (r *Requester) UpdateExpiration(ctx context.Context, id string, at ledger.Time) error {
	return r.changeHIT(ctx, "expire", id, func(c *change, h *hit) error {
		if h.status() == Disposed {
			return hitState(h, "Assignable, Unassignable, Reviewable, Reviewing")
		}
		return c.expireAt(h, at)
	})
}

func (c *change) expireAt(h *hit, at ledger.Time) error {
	if at > c.now.Add(maxDuration) {
		return notValid("ExpireAt", at)
	}
	if at <= c.now {
		if !h.expired {
			h.expires, h.expired = c.now, true
		}
		return nil
	}
	h.expires, h.expired = at, false
	return nil
}

// SetReviewing moves a HIT from Reviewable to Reviewing, or back
// (UpdateHITReviewStatus). One that is there already stays.
func (r *Requester) SetReviewing(ctx context.Context, id string, reviewing bool) error {
	return r.changeHIT(ctx, "review", id, func(c *change, h *hit) error {
		switch h.status() {
		case Reviewable, Reviewing:
			h.reviewing = reviewing
			return nil
		}
		return hitState(h, "Reviewable, Reviewing")
	})
}

// SetHITType moves a HIT to another type, which has to cost the same
// (UpdateHITTypeOfHIT).
func (r *Requester) SetHITType(ctx context.Context, id, typeID string) error {
	return r.changeHIT(ctx, "type", id, func(c *change, h *hit) error {
		t, err := r.hitType(ctx, typeID)
		if err != nil {
			return err
		}
		switch {
		case h.status() == Disposed:
			return hitState(h, "Assignable, Unassignable, Reviewable, Reviewing")
		case t.Reward != h.reward || r.d.fees.ofReward(t.Reward, h.first, t.masters()) != h.fee:
			return &Refused{Code: codeInvalidParameter, Text: "The reward and the fees of the new HIT type have to be those of the old one."}
		}
		h.typeID = typeID
		return nil
	})
}

// DeleteHIT disposes of a HIT that is to be reviewed, and whose work was all
// approved or rejected.
func (r *Requester) DeleteHIT(ctx context.Context, id string) error {
	return r.changeHIT(ctx, "delete", id, func(c *change, h *hit) error {
		switch h.status() {
		case Reviewable, Reviewing:
			if h.submitted == 0 {
				h.dispose()
				return nil
			}
		}
		return hitState(h, "Reviewing, Reviewable") // in the service's order
	})
}

// dispose ends a HIT that nothing is owed for.
func (h *hit) dispose() { h.disposed, h.expired, h.reviewing = true, true, false }

// A disabled HIT has its work approved in steps, so that nobody waits for all of
// a large one.
const (
	disableStep  = 100
	disableEvery = 50 * time.Millisecond
)

// DisableHIT ends a HIT, whatever its state: nobody can accept it any more, work
// that was submitted is approved, and so is what was accepted when it is
// submitted; then it is disposed of. No operation of 2017 does this; DisableHIT
// of the API before did. When it returns the HIT is not listed any more, and of
// its work the first hundred are approved; the others follow by themselves, also
// across a restart.
func (r *Requester) DisableHIT(ctx context.Context, id string) error {
	err := r.changeHIT(ctx, "disable", id, func(c *change, h *hit) error {
		if h.status() == Disposed {
			return hitState(h, "Assignable, Unassignable, Reviewable, Reviewing")
		}
		h.disabled, h.expired = true, true
		c.settleDisabled(h)
		return nil
	})
	if err == nil {
		err = r.approveSome(ctx, id)
	}
	return err
}

// approveSome approves work of a disabled HIT, as much as a step.
func (r *Requester) approveSome(ctx context.Context, id string) error {
	by := *r
	by.call = Call{Actor: r.call.Actor}
	h, err := r.hit(ctx, id)
	if err != nil {
		return err
	}
	var found []string
	_, err = r.workOn(ctx, h, Submitted, Page{Limit: disableStep}, func(rec *ledger.Record) error {
		found = append(found, rec.Key)
		return nil
	})
	for _, work := range found {
		if err != nil {
			break
		}
		err = by.act(ctx, func(c *change) error {
			a, h, err := by.submission(ctx, work)
			if err != nil || a.status != Submitted { // another has done it
				return err
			}
			c.named("approve", a.id, a.version)
			return c.approve(ctx, a, h)
		})
	}
	return err
}

// hitDue does what is due about a HIT: it has expired, or it was to be reviewed
// for so long that it is disposed of.
func (d *Desk) hitDue(ctx context.Context, rec *ledger.Record) error {
	seen, err := unpackHIT(rec.Key, rec.Version, rec.Data)
	if err != nil {
		return err
	}
	r, err := d.Requester(ctx, seen.account, Call{})
	if err != nil {
		return err
	}
	if seen.disabled && seen.submitted > 0 {
		return r.approveSome(ctx, seen.id)
	}
	return r.act(ctx, func(c *change) error {
		h, err := r.hit(ctx, rec.Key)
		if err != nil || h.version != rec.Version { // another has done it
			return err
		}
		c.named("due", h.id, h.version)
		was := *h
		switch {
		case !h.expired && h.expires <= c.now:
			h.expired = true
		case h.expired && !h.disposed && h.quiet != 0 && h.quiet.Add(d.o.KeepFor) <= c.now:
			if h.submitted > 0 {
				return noTimeYet
			}
			h.dispose()
		case h.held == h.owed():
			return nil
		}
		return c.save(ctx, &was, h, 0)
	})
}

// noTimeYet postpones the disposal of a HIT that has work which was not reviewed:
// its approval is due, and could not be done.
var noTimeYet = &Refused{Text: "there is work that was not reviewed"}
