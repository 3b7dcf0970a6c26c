package ledger

import (
	"context"
	"errors"

	"saldo/money"
)

// BalanceAt returns what an account had at a past time, from the journal. Holds
// count until their deadline. What a drawing account could have spent is not
// known for the past and is zero.
func (l *Ledger) BalanceAt(ctx context.Context, id AccountID, at Time) (Balance, error) {
	if err := l.currentAccount(ctx, id); err != nil {
		return Balance{}, err
	}
	_, s, err := l.settle(ctx)
	if err != nil {
		return Balance{}, err
	}
	a, err := l.account(ctx, id)
	if err != nil {
		return Balance{}, err
	}
	now, err := l.clock()
	if err != nil {
		return Balance{}, err
	}
	if at >= now {
		return Balance{}, Errorf(Invalid, "the time is not in the past")
	}
	unit, err := l.UnitOf(ctx, a)
	if err != nil {
		return Balance{}, err
	}
	if int64(at) >= l.deciding.Load() { // what is being written may have happened by then
		if err := l.turn(ctx); err != nil && !errors.Is(err, errNoSpace) { // then nothing was
			return Balance{}, err
		}
	}
	seq, err := l.SeqAt(ctx, a.Book, at)
	if err != nil {
		return Balance{}, err
	}
	row := &Account{ID: a.ID, Parent: a.Parent, Tenant: a.Tenant, Book: a.Book, Unit: a.Unit, Mode: a.Mode,
		Depth: a.Depth, Created: a.Created}
	found := false
	if seq > 0 {
		for r, err := range l.store.Scan(ctx, Query{List: ListStatement, Book: a.Book, Account: id, After: seq + 1, Reverse: true, Limit: 1}) {
			if err != nil {
				return Balance{}, unavailable(err)
			}
			row, found = withAfter(row, r.Event.after(id), r.Event), true
		}
	}
	if !found && (a.Mode != System || seq == 0) { // a book has its system accounts before anything touches them
		return Balance{}, Errorf(NotFound, "the account did not exist at %v", at)
	}
	// Holds whose deadline had passed by then but whose end was not yet
	// written: that is the next thing that happened in the book.
	for r, err := range l.store.Scan(ctx, Query{List: ListStatement, Book: a.Book, Account: id, After: seq}) {
		if err != nil {
			return Balance{}, unavailable(err)
		}
		only, err := l.lapse(ctx, row, r.Event, at)
		if err != nil {
			return Balance{}, err
		}
		if !only {
			break
		}
	}
	if err := l.lapseUnwritten(ctx, row, s, at); err != nil {
		return Balance{}, err
	}
	b := figures(row, unit)
	b.AsOf, b.Seq = at, seq
	return b, nil
}

// lapse takes off what an account holds the holds that an event made expire and
// that had expired by then already. It reports whether the event was only that.
func (l *Ledger) lapse(ctx context.Context, a *Account, e *Event, at Time) (bool, error) {
	if len(e.Holds) == 0 || e.Holds[0].Act != HoldLapsed {
		return false, nil
	}
	for i := range e.Holds {
		if ch := &e.Holds[i]; ch.Expires <= at {
			if err := l.lapseHold(ctx, a, ch.Account, ch.Via, saturate(ch.Amount.Sub(ch.Captured))); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// lapseUnwritten is lapse for the holds whose end nobody could write down yet.
func (l *Ledger) lapseUnwritten(ctx context.Context, a *Account, s *standing, at Time) error {
	if s == nil {
		return nil
	}
	for _, h := range s.holds {
		if h.Book == a.Book && h.Expires <= at {
			if err := l.lapseHold(ctx, a, h.Account, h.Via, saturate(h.Amount.Sub(h.Captured))); err != nil {
				return err
			}
		}
	}
	return nil
}

// lapseHold takes what was left of a hold off what an account holds, if it
// counted for it.
func (l *Ledger) lapseHold(ctx context.Context, a *Account, payer, via AccountID, left money.Amount) error {
	counts, err := l.counts(ctx, a.ID, payer, via)
	if err == nil && counts {
		a.Held = saturate(a.Held.Sub(left))
	}
	return err
}

// counts reports whether a hold counts for an account: its payer, or one of the
// drawing accounts on the way there.
func (l *Ledger) counts(ctx context.Context, id, payer, via AccountID) (bool, error) {
	for on := via; !on.IsZero() && on != id && on != payer; {
		a, err := l.account(ctx, on)
		if err != nil {
			return false, err
		}
		if on = a.Parent; on == id {
			return true, nil
		}
	}
	return id == payer || id == via, nil
}

// SeqAt returns the seq of the last event of a book that is not after a time;
// 0: there is none.
func (l *Ledger) SeqAt(ctx context.Context, book BookID, at Time) (uint64, error) {
	head, err := l.Head(ctx, book)
	if err != nil {
		return 0, err
	}
	low, high := uint64(0), head.Seq // the answer is in [low, high]
	if head.Time <= at {
		return high, nil
	}
	for low < high {
		mid := low + (high-low+1)/2
		e, err := l.Event(ctx, book, mid)
		if err != nil {
			return 0, err
		}
		if e.Time <= at {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low, nil
}
