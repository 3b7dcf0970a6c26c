package ledger

import (
	"context"
	"errors"
	"iter"
	"time"

	"saldo/money"
)

// settle waits until everything that is due by now has been made to expire, so
// that what is read next is true at the time that it returns. Where there is no
// room to write that down, it returns how things stand without.
func (l *Ledger) settle(ctx context.Context) (Time, *standing, error) {
	now, err := l.clock()
	for full := 0; err == nil && (now >= l.due.next() || l.shared != nil && l.arrived.waits()); {
		if s := l.standing.Load(); s.covers(now) {
			return max(now, s.at), s, nil
		}
		err = l.turn(ctx)
		if full++; errors.Is(err, errNoSpace) && full < 3 {
			err = nil // look at the standing; none is there, too, when there is room again
		}
	}
	return now, nil, err
}

// turn waits for a turn of the loop: what was decided before is durable then.
func (l *Ledger) turn(ctx context.Context) error {
	p := newPrepared(nil, nil)
	if err := l.wait(ctx, p); err != nil {
		return err // the queue may still have it
	}
	err := p.err
	p.recycle()
	return err
}

// Account returns an account as it is now. It is the ledger's own: read only.
func (l *Ledger) Account(ctx context.Context, id AccountID) (*Account, error) {
	if err := l.currentAccount(ctx, id); err != nil {
		return nil, err
	}
	_, s, err := l.settle(ctx)
	if err != nil {
		return nil, err
	}
	a, err := l.account(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.account(a), nil
}

// Fixed returns an account of which only what never changes may be relied on:
// whose it is, its book, unit and mode, what is above it, when it was opened. It
// waits for nothing.
func (l *Ledger) Fixed(ctx context.Context, id AccountID) (*Account, error) {
	return l.account(ctx, id)
}

func (l *Ledger) account(ctx context.Context, id AccountID) (*Account, error) {
	a, ok := l.accounts.row(id)
	if !ok || a == nil && l.shared != nil {
		e := l.accounts.pin(id)
		defer l.accounts.unpin(id, e)
		snap, err := l.loadRows(ctx, &Keys{Accounts: []AccountID{id}})
		if err != nil {
			return nil, unavailable(err)
		}
		a = keep(l, l.accounts, e, snap.Accounts[0])
	}
	if a == nil && id.IsSystem() {
		book, unit, role := id.System()
		if b, err := l.book(ctx, book); err == nil {
			if h := b.head.Load(); int(unit) < len(h.Units) && role >= Cash && role <= Fees {
				return newSystem(id, h.Tenant, h.Time), nil
			}
		}
	}
	if a == nil {
		return nil, &Error{Refusal: Refusal{Code: NotFound, Account: id, Detail: "account " + id.String() + " does not exist"}}
	}
	return a, nil
}

// Status returns how open an account is, its ancestors counted in.
func (l *Ledger) Status(ctx context.Context, a *Account) (Status, error) {
	var err error
	st := status(func(id AccountID) *Account {
		var up *Account
		if up, err = l.account(ctx, id); err != nil {
			return nil
		}
		return up
	}, a)
	return st, err
}

// Unit returns a unit of a book.
func (l *Ledger) unit(ctx context.Context, id BookID, i uint32) (money.Unit, error) {
	b, err := l.book(ctx, id)
	if err != nil {
		return money.Unit{}, err
	}
	units := b.head.Load().Units
	if int(i) >= len(units) && l.shared != nil { // the account came from the store, and its unit came after what this node has seen
		if err := l.looker.look(ctx, b); err != nil {
			return money.Unit{}, err
		}
		units = b.head.Load().Units
	}
	if int(i) >= len(units) {
		return money.Unit{}, Errorf(Internal, "book %d has no unit %d", id, i)
	}
	return units[i], nil
}

// UnitOf returns the unit of an account.
func (l *Ledger) UnitOf(ctx context.Context, a *Account) (money.Unit, error) {
	return l.unit(ctx, a.Book, a.Unit)
}

// Balance returns what an account has now.
func (l *Ledger) Balance(ctx context.Context, id AccountID) (Balance, error) {
	if err := l.currentAccount(ctx, id); err != nil {
		return Balance{}, err
	}
	for {
		now, s, err := l.settle(ctx)
		if err != nil {
			return Balance{}, err
		}
		b, err := l.balance(ctx, id, now, s)
		if err != nil || s == nil || l.standing.Load() == s { // else something was written since
			return b, err
		}
	}
}

func (l *Ledger) balance(ctx context.Context, id AccountID, now Time, s *standing) (Balance, error) {
	a, err := l.account(ctx, id)
	if err != nil {
		return Balance{}, err
	}
	b, err := l.book(ctx, a.Book)
	if err != nil {
		return Balance{}, err
	}
	if s == nil {
		now = min(now, Time(l.deciding.Load())-1) // what is being written has happened by then, and is not in it
	}
	head := b.head.Load()
	if a, err = l.account(ctx, id); err != nil { // not older than head
		return Balance{}, err
	}
	a = s.account(a)
	if int(a.Unit) >= len(head.Units) { // others have made it since
		if err := l.looker.look(ctx, b); err != nil {
			return Balance{}, err
		}
		head = b.head.Load()
	}
	bal := figures(a, head.Units[a.Unit])
	bal.Seq = max(head.Seq, a.Seq) // the row may be newer than the head
	if l.shared != nil && stale(ctx) {
		now = now.Add(time.Duration(b.looked.Load()) - age())
	}
	bal.AsOf = max(now, head.Time, a.Updated) // not the present: what is due since then is in it
	if a.Mode == Drawing {
		err = bal.draw(func(id AccountID) (*Account, error) {
			a, err := l.account(ctx, id)
			if err != nil {
				return nil, err
			}
			return s.account(a), nil
		})
	}
	return bal, err
}

// figures returns the figures of an account by itself.
func figures(a *Account, unit money.Unit) Balance {
	b := Balance{Account: a, Unit: unit, AsOf: a.Updated, Seq: a.Seq}
	if a.Mode == Drawing {
		b.Held, b.Spent = a.Held, a.Spent()
		b.Cap, b.HasCap = a.Cap, a.HasCap
		return b
	}
	b.Posted, b.Held, b.Available, b.Limit = a.Posted, a.Held, a.Available(), a.Limit
	b.Spendable = a.Spendable()
	return b
}

// draw finds whose money a drawing account spends and how much of it it may take.
func (b *Balance) draw(account func(AccountID) (*Account, error)) error {
	a := b.Account
	var room money.Amount
	bounded := false
	for a.Mode == Drawing {
		if a.HasCap && (!bounded || a.Room().Less(room)) {
			room, bounded = a.Room(), true
		}
		up, err := account(a.Parent)
		if err != nil {
			return err
		}
		a = up
	}
	b.DrawnFrom, b.Spendable = a.ID, a.Spendable()
	if bounded {
		b.Spendable = money.Min(b.Spendable, room)
	}
	return nil
}

// After makes the balance that a command's reply shows of an account: as its
// event left it, so that a repeat shows the same. Accounts above it that the
// event did not touch are shown as they are now.
func (l *Ledger) After(ctx context.Context, book BookID, e *Event, id AccountID) (Balance, error) {
	if e.after(id) == nil {
		return Balance{}, Errorf(Internal, "event %d did not touch account %v", e.Seq, id)
	}
	as := func(id AccountID) (*Account, error) {
		a, err := l.account(ctx, id)
		if err != nil {
			return nil, err
		}
		if after := e.after(id); after != nil {
			return withAfter(a, after, e), nil
		}
		return a, nil
	}
	a, err := as(id)
	if err != nil {
		return Balance{}, err
	}
	unit, err := l.unit(ctx, book, a.Unit)
	if err != nil {
		return Balance{}, err
	}
	b := figures(a, unit)
	if a.Mode == Drawing {
		err = b.draw(as)
	}
	return b, err
}

// withAfter returns an account's row with the figures of an event.
func withAfter(a *Account, after *After, e *Event) *Account {
	row := *a
	row.Posted, row.Held, row.Updated, row.Seq = after.Posted, after.Held, e.Time, e.Seq
	if a.Mode == Drawing {
		row.Cap, row.HasCap = after.Limit, after.Capped
	} else {
		row.Limit = after.Limit
	}
	return &row
}

// Head returns the end of a book's journal. Its Seq is 0 if there is no such book.
func (l *Ledger) Head(ctx context.Context, id BookID) (Head, error) {
	b, err := l.book(ctx, id)
	if err == nil {
		err = l.current(ctx, b)
	}
	if err != nil {
		return Head{}, err
	}
	return *b.head.Load(), nil
}

// Hold returns a hold as it is now, by its caller's id.
func (l *Ledger) Hold(ctx context.Context, tenant TenantID, id string) (*Hold, error) {
	h, err := l.hold(ctx, RefOf(tenant, id))
	if err == nil && h == nil {
		err = Errorf(NotFound, "there is no hold %s", quote(id))
	}
	return h, err
}

// HoldByRef returns a hold as it is now, by the reference that events have of it.
func (l *Ledger) HoldByRef(ctx context.Context, ref Ref) (*Hold, error) {
	h, err := l.hold(ctx, ref)
	if err == nil && h == nil {
		err = Errorf(NotFound, "there is no hold with the reference %x", ref)
	}
	return h, err
}

// hold returns a hold as it is now, or nil.
func (l *Ledger) hold(ctx context.Context, ref Ref) (*Hold, error) {
	if l.shared != nil && !leanOf(ctx).leans() {
		h, err := l.holdRow(ctx, ref)
		if err == nil && h != nil {
			err = l.currentBook(ctx, h.Book)
		}
		if err != nil {
			return nil, err
		}
	}
	_, s, err := l.settle(ctx)
	if err != nil {
		return nil, err
	}
	h, err := l.holdRow(ctx, ref)
	return s.hold(h), err
}

func (l *Ledger) holdRow(ctx context.Context, ref Ref) (*Hold, error) {
	h, ok := l.holds.row(ref)
	if !ok || h == nil && l.shared != nil {
		e := l.holds.pin(ref)
		defer l.holds.unpin(ref, e)
		snap, err := l.loadRows(ctx, &Keys{Holds: []Ref{ref}})
		if err != nil {
			return nil, unavailable(err)
		}
		h = keep(l, l.holds, e, snap.Holds[0])
	}
	return h, nil
}

// keep gives a row that was read to its entry, and returns what there is. Of a
// shared store, what is missing may only not be known here: that is not kept.
func keep[K comparable, V any](l *Ledger, c *cache[K, V], e *entry[V], v *V) *V {
	if l.shared == nil {
		c.fill(e, v)
	} else if v != nil {
		c.fill(e, v)
		c.found(e, v)
	}
	v, _ = c.value(e)
	return v
}

// Record returns a record as it is now, or nil.
func (l *Ledger) Record(ctx context.Context, key RecordKey) (*Record, error) {
	if key.Book == 0 && l.shared != nil && l.leanOn(leanOf(ctx)) {
		if r, ok := l.records.row(key); ok && r != nil {
			return r, nil
		}
	}
	if err := l.currentBook(ctx, key.Book); err != nil {
		return nil, err
	}
	r, ok := l.records.row(key)
	if !ok {
		e := l.records.pin(key)
		defer l.records.unpin(key, e)
		snap, err := l.store.Load(ctx, &Keys{Records: []RecordKey{key}})
		if err != nil {
			return nil, unavailable(err)
		}
		l.records.fill(e, snap.Records[0])
		r, _ = l.records.value(e)
	}
	return r, nil
}

// Find returns the event that a tenant's id was used in, and the number of the
// transfer or hold change there that it names: an id of its own, or a command's
// id, "#" and a number.
func (l *Ledger) Find(ctx context.Context, tenant TenantID, id string) (BookID, *Event, int, error) {
	at, err := l.findID(ctx, RefOf(tenant, id))
	if err != nil {
		return 0, nil, 0, err
	}
	if at == nil {
		whole, n, ok := splitNumber(id)
		if ok {
			if at, err = l.findID(ctx, RefOf(tenant, whole)); err != nil {
				return 0, nil, 0, err
			}
		}
		if at == nil {
			return 0, nil, 0, Errorf(NotFound, "nothing has the id %s", quote(id))
		}
		e, err := l.Event(ctx, at.Book, at.Seq)
		if err == nil && (e.ID != whole || n >= len(e.Transfers)) {
			err = Errorf(NotFound, "nothing has the id %s", quote(id))
		}
		return at.Book, e, n, err
	}
	e, err := l.Event(ctx, at.Book, at.Seq)
	return at.Book, e, int(at.N), err
}

func (l *Ledger) findID(ctx context.Context, ref Ref) (*TransferAt, error) {
	u, ok := l.ids.row(ref)
	if !ok || u == nil && l.shared != nil {
		e := l.ids.pin(ref)
		defer l.ids.unpin(ref, e)
		snap, err := l.store.Load(ctx, &Keys{IDs: []Ref{ref}})
		if err != nil {
			return nil, unavailable(err)
		}
		if at := snap.IDs[0]; at != nil {
			u = &used{*at}
		}
		u = keep(l, l.ids, e, u)
	}
	if u == nil {
		return nil, nil
	}
	return &u.at, nil
}

// Event returns an event of a book by its seq.
func (l *Ledger) Event(ctx context.Context, book BookID, seq uint64) (*Event, error) {
	snap, err := l.store.Load(ctx, &Keys{Events: []EventKey{{book, seq}}})
	if err != nil {
		return nil, unavailable(err)
	}
	if snap.Events[0] == nil {
		return nil, Errorf(NotFound, "book %d has no event %d", book, seq)
	}
	return snap.Events[0], nil
}

// Text returns a free text, or nil if there is none or it was erased.
func (l *Ledger) Text(ctx context.Context, book BookID, at TextAt) ([]byte, error) {
	if at.N == 0 {
		return nil, nil
	}
	snap, err := l.store.Load(ctx, &Keys{Texts: []TextKey{{book, at}}})
	if err != nil {
		return nil, unavailable(err)
	}
	if snap.Texts[0] == nil {
		return nil, nil
	}
	return snap.Texts[0].Data, nil
}

// Scan lists what is durable: every command answered before is in it.
func (l *Ledger) Scan(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if l.shared != nil && showsHolds(q.List) && !stale(ctx) {
			if err := l.sweep(ctx); err != nil {
				yield(Row{}, err)
				return
			}
		}
		_, s, err := l.settle(ctx)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for row, err := range l.store.Scan(ctx, q) {
			if err != nil {
				err = unavailable(err)
			}
			if s != nil && l.standing.Load() == s {
				s.row(&row)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
