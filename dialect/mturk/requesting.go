package mturk

import (
	"context"
	"errors"

	"saldo/ledger"
)

// A Call is how the repeat of a call is told from another call: by the id that
// an SDK gives all its tries of one call, and by what is asked. The zero Call
// is never repeated.
type Call struct {
	Actor uint64 // number of the credential that asks
	ID    string // as [ledger.Command] has it
	Asked []byte // in the dialect's words
	Again bool   // the client says that it tried before
}

// A Requester is an account that has HITs, and a call of its.
type Requester struct {
	Account ledger.AccountID
	d       *Desk
	tenant  ledger.TenantID
	book    ledger.BookID
	unit    uint32 // of the book: the desk's currency
	scale   uint8
	call    Call
	taken   bool // ids of commands that others could foresee were taken by somebody for something else
}

// Requester returns the requester that an account is, for one call. An account
// that is not in the desk's currency is refused.
func (d *Desk) Requester(ctx context.Context, account ledger.AccountID, call Call) (*Requester, error) {
	a, err := d.l.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	unit, err := d.l.UnitOf(ctx, a)
	if err != nil {
		return nil, err
	}
	if unit.Code != d.o.Currency || unit.Scale < centScale {
		return nil, otherCurrency()
	}
	return &Requester{Account: account, d: d, tenant: a.Tenant, book: a.Book, unit: a.Unit, scale: unit.Scale, call: call}, nil
}

// A change is a command in the making.
type change struct {
	ledger.Command
	r   *Requester
	now ledger.Time
	// loose leaves on hold what is not needed any more: where nothing may be put
	// on hold anew (the account is frozen, or overdrawn by force) and part of a
	// hold would have to be.
	loose  bool
	shrunk bool // part of a hold was let go, or one that was ended by others is placed anew
	// gone is a hold that was found ended: not by this desk, if the HIT has it still.
	// The HIT then has nothing on hold.
	gone string
	hold string // that it takes from, or changes

	room [3]ledger.RecordWrite // for the records
}

// post makes a command, and again when others were first, until it is decided.
// It returns its event, nil if there was nothing to do.
func (r *Requester) post(ctx context.Context, build func(*change) error) (*ledger.Event, error) {
	if r.call.Again {
		if e, err := r.earlier(ctx); e != nil || err != nil {
			return e, err
		}
	}
	loose, gone := false, ""
	for range maxTries {
		now, err := r.d.settle(ctx)
		if err != nil {
			return nil, err
		}
		c := r.change(now, loose, gone)
		if err := build(c); err != nil {
			return r.orEarlier(ctx, err)
		}
		if len(c.Ops)+len(c.Records) == 0 {
			return nil, nil
		}
		e, again, err := r.try(ctx, c)
		if err != nil {
			return r.orEarlier(ctx, err)
		}
		if !again {
			return e, nil
		}
		loose, gone = loose || c.shrunk, c.gone
	}
	return nil, errContention()
}

func errContention() error {
	return ledger.Errorf(ledger.Contention, "others changed the same first, too often")
}

func (r *Requester) change(now ledger.Time, loose bool, gone string) *change {
	c := &change{Command: ledger.Command{Tenant: r.tenant, Book: r.book, ID: r.call.ID, Asked: r.call.Asked, Actor: r.call.Actor},
		r: r, now: now, loose: loose, gone: gone}
	c.Records = c.room[:0]
	return c
}

// try posts a command. Again says that it has to be made anew.
func (r *Requester) try(ctx context.Context, c *change) (e *ledger.Event, again bool, err error) {
	r.d.expect(c.Records)
	res, err := r.d.l.Post(ctx, &c.Command)
	r.d.expect(c.Records)
	switch code := ledger.CodeOf(err); {
	case err == nil && res.Replayed && r.call.ID == "":
		return nil, true, nil // another does the same
	case err == nil:
		return res.Event, false, nil
	case code == ledger.IDTaken && r.call.ID != "":
		r.call.ID, r.call.Asked = "", nil // it is another call's, and says nothing
		return nil, true, nil
	case code == ledger.HoldClosed, code == ledger.HoldExpired:
		c.shrunk, c.gone = false, c.hold
		return nil, true, nil
	case code == ledger.IDTaken: // by whoever: what is done twice is told by the records
		r.taken, c.shrunk = true, false
		return nil, true, nil
	case code == ledger.Changed, code == ledger.Exists:
		c.shrunk = false
		return nil, true, nil
	case c.shrunk && (code == ledger.Frozen || code == ledger.Closed || code == ledger.Insufficient):
		return nil, true, nil
	}
	return nil, false, refusedBy(err)
}

// named gives the command an id, unless the call has one: of what it does, to
// what, at which version. So nobody can do it twice.
func (c *change) named(verb, id string, version uint64) {
	switch {
	case c.ID != "":
	case c.r.taken:
		c.ID = "mturk:" + c.r.d.l.NewID().String()
	default:
		c.ID = "mturk:" + verb + ":" + id
		if version != 0 {
			c.ID += "@" + uitoa(version)
		}
		c.Asked = []byte(c.ID) // it says all
	}
}

// write adds the writing of a record.
func (c *change) write(w ledger.RecordWrite) { c.Records = append(c.Records, w) }

// earlier returns the event of an earlier try of the call, or nil.
func (r *Requester) earlier(ctx context.Context) (*ledger.Event, error) {
	if r.call.ID == "" {
		return nil, nil
	}
	_, e, _, err := r.d.l.Find(ctx, r.tenant, r.call.ID)
	if ledger.CodeOf(err) == ledger.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	same := ledger.Command{Asked: r.call.Asked}
	if e.Print != same.Print() {
		return nil, nil
	}
	return e, nil
}

// orEarlier returns what an earlier try of the call came to, if it is why this
// one is refused.
func (r *Requester) orEarlier(ctx context.Context, err error) (*ledger.Event, error) {
	var refused *Refused
	if r.call.ID == "" || !errors.As(err, &refused) {
		return nil, err
	}
	e, failed := r.earlier(ctx)
	if e == nil && failed == nil {
		failed = err
	}
	return e, failed
}

// record returns a record of the requester's book, or nil.
func (r *Requester) record(ctx context.Context, kind, key string) (*ledger.Record, error) {
	if key == "" || len(key) > ledger.MaxID {
		return nil, nil
	}
	return r.d.l.Record(ctx, ledger.RecordKey{Book: r.book, Kind: kind, Key: key})
}

// errOverdue says that what is due about a record could not be done yet.
func errOverdue() error {
	return ledger.Errorf(ledger.Unavailable, "what is due has to be done first, and could not be yet")
}

// act is post for what is due: it does not do what is due first.
func (r *Requester) act(ctx context.Context, build func(*change) error) error {
	loose, gone := false, ""
	for range maxTries {
		now, err := r.d.l.Now()
		if err != nil {
			return err
		}
		c := r.change(now, loose, gone)
		if err := build(c); err != nil || len(c.Ops)+len(c.Records) == 0 {
			return err
		}
		_, again, err := r.try(ctx, c)
		if !again {
			return err
		}
		loose, gone = loose || c.shrunk, c.gone
	}
	return errContention()
}
