package ledger

import (
	"fmt"

	"saldo/money"
)

// Fold adds an event to a state. It applies what the event spells out and knows
// no rule; it fails when the balances come out other than the event says, or
// the event does not follow. The head's hash is the caller's to move.
func Fold(w Working, e *Event) error {
	head := w.EditHead()
	if e.Seq != head.Seq+1 || e.Time < head.Time {
		return fmt.Errorf("ledger: event %d does not follow event %d of book %d", e.Seq, head.Seq, head.Book)
	}
	head.Seq, head.Time = e.Seq, e.Time
	if e.Seq == 1 {
		head.Tenant = e.Tenant
	}
	e.EachID(func(id string, n uint32) { w.UseID(id, TransferAt{head.Book, e.Seq, n}) })
	if e.Refused != nil {
		return nil
	}
	f := folding{w: w, e: e, head: head}
	head.Units = append(head.Units[:len(head.Units):len(head.Units)], e.Units...)
	for i := range e.Opened {
		f.opened(&e.Opened[i])
	}
	for i := range e.Set {
		f.set(&e.Set[i])
	}
	for i := range e.Transfers {
		f.transfer(&e.Transfers[i])
	}
	for i := range e.Holds {
		f.hold(i, &e.Holds[i])
	}
	for i := range e.Records {
		f.record(&e.Records[i])
	}
	for _, id := range e.Erased {
		a := w.EditAccount(id)
		a.Erased, a.Profile = e.Seq, TextAt{}
	}
	f.touched()
	return f.err
}

// A folding is the folding of one event. It notes the first fault and goes on.
type folding struct {
	w    Working
	e    *Event
	head *Head
	err  error
}

func (f *folding) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("ledger: event %d of book %d: "+format, append([]any{f.e.Seq, f.head.Book}, args...)...)
	}
}

// add returns a sum; one that does not fit is a fault, for decisions refuse it.
func (f *folding) add(a, b money.Amount) money.Amount {
	sum, ok := a.Add(b)
	if !ok {
		f.fail("a sum does not fit")
	}
	return sum
}

func (f *folding) sub(a, b money.Amount) money.Amount {
	diff, ok := a.Sub(b)
	if !ok {
		f.fail("a difference does not fit")
	}
	return diff
}

// account returns the row of an account that is to be changed.
func (f *folding) account(id AccountID) *Account {
	a := f.w.EditAccount(id)
	if a.ID.IsZero() && id.IsSystem() {
		*a = *newSystem(id, f.head.Tenant, f.e.Time)
	}
	if a.ID.IsZero() {
		f.fail("account %v does not exist", id)
		a.ID = id
	}
	return a
}

// path calls do for the drawing accounts from via up to the payer.
func (f *folding) path(via AccountID, do func(*Account)) {
	for id := via; !id.IsZero(); {
		a := f.account(id)
		if a.Mode != Drawing {
			return
		}
		do(a)
		id = a.Parent
	}
}

func (f *folding) opened(o *Opened) {
	a := f.w.EditAccount(o.Account)
	if !a.ID.IsZero() || o.Parent == o.Account { // going on could make a circle
		f.fail("account %v exists already", o.Account)
		return
	}
	*a = Account{ID: o.Account, Parent: o.Parent, Tenant: f.head.Tenant, Book: f.head.Book, Unit: o.Unit,
		Mode: o.Mode, Depth: 1, Created: f.e.Time, Version: f.e.Seq}
	f.bounds(a)
	if o.Profile != 0 {
		a.Profile = TextAt{f.e.Seq, o.Profile}
	}
	if !o.Parent.IsZero() {
		parent := f.account(o.Parent)
		parent.Children++
		a.Depth = parent.Depth + 1
	}
}

// bounds takes an account's limit or cap from what the event says of it.
func (f *folding) bounds(a *Account) {
	after := f.e.after(a.ID)
	if after == nil {
		f.fail("account %v is not among the touched", a.ID)
		return
	}
	if a.Mode == Drawing {
		a.Cap, a.HasCap = after.Limit, after.Capped
	} else {
		a.Limit = after.Limit
	}
}

func (f *folding) set(s *Setting) {
	a := f.account(s.Account)
	a.Version = f.e.Seq
	if s.HasLimit || s.HasCap {
		f.bounds(a)
	}
	if s.Profile != 0 {
		a.Profile = TextAt{f.e.Seq, s.Profile}
	}
	if !s.HasStatus {
		return
	}
	was := a.Status
	a.Status = s.Status
	if a.Parent.IsZero() || (was == StatusClosed) == (s.Status == StatusClosed) {
		return
	}
	if parent := f.account(a.Parent); s.Status == StatusClosed {
		parent.Children--
	} else {
		parent.Children++
	}
}

func (f *folding) transfer(p *Posting) {
	from, to := f.account(p.From), f.account(p.To)
	from.Posted = f.sub(from.Posted, p.Amount)
	to.Posted = f.add(to.Posted, p.Amount)
	if !p.Via.IsZero() {
		f.path(p.Via, func(a *Account) {
			if p.Kind == Refunding {
				a.Posted = f.add(a.Posted, p.Amount)
			} else {
				a.Posted = f.sub(a.Posted, p.Amount)
			}
		})
	}
	if p.Of != nil {
		of := *p.Of
		of.Book = f.head.Book
		if err := f.w.AddRefunded(&of, p); err != nil {
			f.fail("%v", err)
		}
	}
}

func (f *folding) hold(n int, ch *HoldChange) {
	h := f.w.EditHold(ch.Ref)
	if ch.Act == HoldPlaced {
		if h.State != 0 {
			f.fail("a hold exists already")
		}
		*h = Hold{Ref: ch.Ref, ID: f.e.HoldID(n), Tenant: f.head.Tenant, Book: f.head.Book,
			Account: ch.Account, Via: ch.Via, Created: f.e.Time, Opened: f.e.Seq}
		if ch.Text != 0 {
			h.Text = TextAt{f.e.Seq, ch.Text}
		}
	} else if h.State != HoldOpen {
		f.fail("a hold that is not open changes")
	}
	more := f.sub(ch.Remaining, h.Remaining)
	holds := 0
	if ch.Act == HoldPlaced {
		holds++
	}
	if ch.State != HoldOpen {
		holds--
	}
	count := func(a *Account) {
		a.Held = f.add(a.Held, more)
		a.OpenHolds = uint32(int(a.OpenHolds) + holds)
	}
	count(f.account(ch.Account))
	if !ch.Via.IsZero() {
		f.path(ch.Via, count)
	}
	h.Amount, h.Remaining, h.Captured = ch.Amount, ch.Remaining, ch.Captured
	h.Expires, h.State = ch.Expires, ch.State
	h.Updated, h.Seq = f.e.Time, f.e.Seq
}

func (f *folding) record(ch *RecordChange) {
	was := f.w.Record(ch.Kind, ch.Key)
	if ch.Version == 0 {
		f.w.PutRecord(ch.Kind, ch.Key, nil)
		return
	}
	r := &Record{RecordKey: RecordKey{f.head.Book, ch.Kind, ch.Key}, Created: f.e.Time}
	if was != nil {
		r.Created = was.Created
	}
	if ch.Keep && was != nil {
		*r = *was
	} else {
		r.Data, r.Index, r.Deadline = ch.Data, ch.Index, ch.Deadline
		if ch.Text != 0 {
			r.At = TextAt{f.e.Seq, ch.Text}
			if int(ch.Text) <= len(f.e.Beside) {
				r.Data = f.e.Beside[ch.Text-1].Data
			}
		}
	}
	r.Version, r.Counters = ch.Version, ch.Counters
	r.Seq, r.Updated = f.e.Seq, f.e.Time
	f.w.PutRecord(ch.Kind, ch.Key, r)
}

// touched marks every account that the event touched, and compares its balance
// with what the event says.
func (f *folding) touched() {
	for i := range f.e.Touched {
		after := &f.e.Touched[i]
		a := f.account(after.Account)
		a.Updated, a.Seq = f.e.Time, f.e.Seq
		if !fits(after.Posted) || !fits(after.Held) || !fits(after.Limit) {
			f.fail("a balance of account %v is larger than any decision makes it", a.ID)
		}
		if afterOf(a) != *after {
			f.fail("account %v comes out at posted %v, held %v; the event says %v, %v",
				a.ID, a.Posted, a.Held, after.Posted, after.Held)
		}
	}
}
