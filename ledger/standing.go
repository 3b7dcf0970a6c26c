package ledger

import (
	"context"
	"errors"
)

// A standing is how accounts and holds stand while the disk is full: what is due
// has ended, though nobody can write that down. Readers take its rows in place
// of their own. It is made by the loop, never changed, and gone with the next
// write.
type standing struct {
	at       Time // what was due by then has ended in it
	next     Time // when the next thing is due
	accounts map[AccountID]*Account
	holds    map[Ref]*Hold
}

// covers reports whether nothing more is due at a time.
func (s *standing) covers(now Time) bool { return s != nil && now < s.next }

// account returns the row that readers take for an account's.
func (s *standing) account(a *Account) *Account {
	if s != nil && s.accounts[a.ID] != nil {
		return s.accounts[a.ID]
	}
	return a
}

// hold is account for a hold, which may be nil.
func (s *standing) hold(h *Hold) *Hold {
	if s != nil && h != nil && s.holds[h.Ref] != nil {
		return s.holds[h.Ref]
	}
	return h
}

// row puts what readers take into a row of a list. In a list of open holds one
// that has ended shows that it has: a row less would look like the list's end.
func (s *standing) row(r *Row) {
	if r.Account != nil {
		r.Account = s.account(r.Account)
	}
	r.Hold = s.hold(r.Hold)
}

// stand makes the standing when a round failed for want of room: it decides what
// is due, and keeps the rows and nothing else. When more is due than is in
// memory, there is none.
func (l *Ledger) stand(ctx context.Context, r *round, failed error, now Time) {
	if !errors.Is(failed, errNoSpace) || l.standing.Load().covers(now) {
		return
	}
	err := l.expireDue(ctx, r, now)
	s := &standing{at: now, next: l.due.earliest(), accounts: make(map[AccountID]*Account), holds: make(map[Ref]*Hold)}
	for _, e := range r.accounts {
		row := *e.next
		if was, _ := l.accounts.value(e); was != nil {
			row.Updated, row.Seq = was.Updated, was.Seq // there is no event yet
		}
		s.accounts[row.ID] = &row
	}
	for _, e := range r.holds {
		row := *e.next
		if was, _ := l.holds.value(e); was != nil {
			row.Updated, row.Seq = was.Updated, was.Seq
		}
		s.holds[row.Ref] = &row
	}
	l.abandon(r)
	if err == nil && s.covers(now) {
		l.standing.Store(s)
	}
}
