package ledger

import (
	"fmt"

	"saldo/money"
)

// A Replay is one book in plain maps, folded from its journal: what [Ledger.Verify]
// compares a store with. It is a [Working].
type Replay struct {
	head     Head
	Accounts map[AccountID]*Account
	Holds    map[Ref]*Hold
	Records  map[RecordKey]*Record
	IDs      map[Ref]TransferAt // of the events that were replayed
	Refunds  map[TransferAt]money.Amount
	pasts    map[string]*Past

	// Base, if set, has the rows as they were before the first event that is
	// replayed: rows are taken from it when they are first asked for.
	Base func(*Replay, any)
}

// NewReplay returns a book before its first event.
func NewReplay(book BookID) *Replay {
	return &Replay{head: Head{Book: book, Hash: journalStart},
		Accounts: make(map[AccountID]*Account), Holds: make(map[Ref]*Hold),
		Records: make(map[RecordKey]*Record), IDs: make(map[Ref]TransferAt),
		Refunds: make(map[TransferAt]money.Amount), pasts: make(map[string]*Past)}
}

// Add folds an event in and moves the head's hash.
func (r *Replay) Add(e *Event, encoding []byte) error {
	if err := Fold(r, e); err != nil {
		return err
	}
	r.head.Hash = Chain(r.head.Hash, encoding)
	return nil
}

// Promise reports an account that an unforced event of the last one added has
// left below what the rules allow, or nil: the other half of the proof.
func (r *Replay) Promise(e *Event) error {
	if e.Refused != nil {
		return nil
	}
	for i := range e.Transfers {
		p := &e.Transfers[i]
		if p.Forced || p.Kind == Capturing {
			continue // a forced one may; a capture takes what was set aside
		}
		if err := r.promise(e, p.From, p.Via, p.Kind != Refunding); err != nil {
			return err
		}
	}
	for i := range e.Holds {
		if h := &e.Holds[i]; h.Act == HoldPlaced || h.Act == HoldRaised {
			if err := r.promise(e, h.Account, h.Via, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// promise reports an account that has less than nothing to spend, or a cap on
// the way to it that is passed, unless the event has forced that too.
func (r *Replay) promise(e *Event, payer, via AccountID, spends bool) error {
	if a := r.Account(payer); a.Mode == Own && a.Spendable().Sign() < 0 && !e.forces(payer) {
		return fmt.Errorf("event %d leaves account %v with %v steps to spend", e.Seq, a.ID, a.Spendable())
	}
	for id := via; spends && !id.IsZero() && id != payer; {
		a := r.Account(id)
		if a.HasCap && a.Room().Sign() < 0 && !e.forces(id) && !e.forces(payer) {
			return fmt.Errorf("event %d leaves account %v %v steps below its cap", e.Seq, a.ID, a.Room())
		}
		id = a.Parent
	}
	return nil
}

// forces reports whether the event has forced an account below what the rules
// allow, or made the rule narrower after it was kept.
func (e *Event) forces(id AccountID) bool {
	for i := range e.Transfers {
		if p := &e.Transfers[i]; p.Forced && p.From == id {
			return true
		}
	}
	for i := range e.Set {
		if s := &e.Set[i]; s.Account == id && (s.Forced || s.HasCap) {
			return true
		}
	}
	return false
}

// Sums returns the sum of every unit over all accounts with money: zero, if the
// book is right.
func (r *Replay) Sums() (map[uint32]money.Amount, error) {
	sums := make(map[uint32]money.Amount)
	for _, a := range r.Accounts {
		if a.Mode == Drawing {
			continue
		}
		sum, ok := sums[a.Unit].Add(a.Posted)
		if !ok {
			return nil, fmt.Errorf("the sum of unit %d does not fit", a.Unit)
		}
		sums[a.Unit] = sum
	}
	return sums, nil
}

func (r *Replay) base(key any) {
	if r.Base != nil {
		r.Base(r, key)
	}
}

func (r *Replay) Head() *Head     { return &r.head }
func (r *Replay) EditHead() *Head { return &r.head }

func (r *Replay) Account(id AccountID) *Account {
	a := r.Accounts[id]
	if a == nil {
		r.base(id)
		a = r.Accounts[id]
	}
	return a
}

func (r *Replay) EditAccount(id AccountID) *Account {
	a := r.Account(id)
	if a == nil {
		a = new(Account)
		r.Accounts[id] = a
	}
	return a
}

func (r *Replay) Hold(ref Ref) *Hold {
	h := r.Holds[ref]
	if h == nil {
		r.base(ref)
		h = r.Holds[ref]
	}
	return h
}

func (r *Replay) EditHold(ref Ref) *Hold {
	h := r.Hold(ref)
	if h == nil {
		h = new(Hold)
		r.Holds[ref] = h
	}
	return h
}

func (r *Replay) Record(kind, key string) *Record {
	k := RecordKey{r.head.Book, kind, key}
	rec, ok := r.Records[k]
	if !ok {
		r.base(k)
		rec = r.Records[k]
	}
	return rec
}

func (r *Replay) PutRecord(kind, key string, rec *Record) {
	r.Records[RecordKey{r.head.Book, kind, key}] = rec
}

// Past is known of transfers that were added by SetPast.
func (r *Replay) Past(of string) *Past {
	p := r.pasts[of]
	if p == nil {
		return nil
	}
	now := *p
	now.Refunded = r.Refunds[p.At]
	return &now
}

// SetPast makes a transfer known, so that a refund of it can be decided.
func (r *Replay) SetPast(id string, e *Event, n int) {
	r.pasts[id] = &Past{At: TransferAt{r.head.Book, e.Seq, uint32(n)}, Posting: e.Transfers[n]}
}

func (r *Replay) Taken(id string) (Ref, bool) {
	ref := RefOf(r.head.Tenant, id)
	_, taken := r.IDs[ref]
	return ref, taken
}

// NextDue looks through every hold.
func (r *Replay) NextDue() (first Time) {
	for _, h := range r.Holds {
		if h.State == HoldOpen && h.Expires != 0 && (first == 0 || h.Expires < first) {
			first = h.Expires
		}
	}
	return first
}

func (r *Replay) AddRefunded(of *TransferAt, p *Posting) error {
	sum, ok := r.Refunds[*of]
	if !ok {
		r.base(*of)
		sum = r.Refunds[*of]
	}
	sum, ok = sum.Add(p.Amount)
	if !ok {
		return fmt.Errorf("refunds do not fit")
	}
	r.Refunds[*of] = sum
	return nil
}

func (r *Replay) UseID(id string, at TransferAt) { r.IDs[RefOf(r.head.Tenant, id)] = at }
