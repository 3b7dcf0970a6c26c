package ledger

import (
	"context"
	"fmt"
)

// A following brings what is in memory of a book to where others have taken it.
type following struct {
	l    *Ledger
	head Head
	keys Keys // rows that have to be read again

	accounts []*entry[Account] // of keys
	holds    []*entry[Hold]
	records  []*entry[Record]
	refunds  []*entry[refunded]
	again    map[AccountID]bool // in keys
	seen     map[any]bool       // holds, records and refunds in keys
}

// catchUp moves a book to the end of a tail: rows that are in memory change as
// the events say, or are read again, then the head moves. Only the loop calls it.
func (l *Ledger) catchUp(ctx context.Context, t *Tail) error {
	b, err := l.book(ctx, t.Book)
	if err != nil {
		return err
	}
	head := b.head.Load()
	if t.Seq <= head.Seq {
		return nil // we were there before
	}
	if t.Far || t.Events[0].Seq > head.Seq+1 {
		return l.refresh(ctx, b)
	}
	f := &following{l: l, head: *head, again: make(map[AccountID]bool), seen: make(map[any]bool)}
	for i, e := range t.Events {
		if e.Seq <= head.Seq {
			continue
		}
		f.head.Seq, f.head.Time = e.Seq, e.Time
		f.head.Hash = Chain(f.head.Hash, t.Bytes[i])
		if e.Seq == 1 {
			f.head.Tenant = e.Tenant
		}
		f.head.Units = append(f.head.Units[:len(f.head.Units):len(f.head.Units)], e.Units...)
	}
	if f.head.Seq != t.Seq || f.head.Hash != t.Hash {
		l.o.Logger.Error("the store has another past than what was read of it before", "book", b.id, "event", head.Seq)
		return Errorf(Unavailable, "the database has another past of book %d than was answered; it has to be found out why", b.id)
	}
	if len(f.head.Units) > len(head.Units) { // first: an account's row names one
		now := *head
		now.Units = f.head.Units
		b.head.Store(&now)
	}
	for _, e := range t.Events {
		if e.Seq > head.Seq {
			f.event(e)
		}
	}
	if err := f.load(ctx); err != nil {
		b.head.Store(head)
		return err
	}
	l.reached(f.head.Time)
	b.head.Store(&f.head)
	l.due.announce()
	return nil
}

// event does to the rows in memory what an event has done, or notes those that
// have to be read again.
func (f *following) event(e *Event) {
	l := f.l
	if e.Refused != nil {
		return
	}
	// Transfers change only what the event says of accounts.
	plain := len(e.Opened)+len(e.Set)+len(e.Holds)+len(e.Erased) == 0
	for i := range e.Touched {
		f.account(e, &e.Touched[i], plain)
	}
	for i := range e.Transfers {
		if of := e.Transfers[i].Of; of != nil {
			at := TransferAt{f.head.Book, of.Seq, of.N}
			if en := l.refunds.peek(at); en != nil && !f.seen[at] {
				f.seen[at] = true
				f.keys.Refunds, f.refunds = append(f.keys.Refunds, at), append(f.refunds, en)
			}
		}
	}
	for i := range e.Holds {
		h := &e.Holds[i]
		if h.State == HoldOpen && h.Expires != 0 && h.Expires <= l.due.horizon {
			l.due.add(dueHold{h.Expires, f.head.Book, h.Ref})
		}
		if en := l.holds.peek(h.Ref); en != nil && !f.seen[h.Ref] {
			f.seen[h.Ref] = true
			f.keys.Holds, f.holds = append(f.keys.Holds, h.Ref), append(f.holds, en)
		}
	}
	for i := range e.Records {
		k := RecordKey{f.head.Book, e.Records[i].Kind, e.Records[i].Key}
		if en := l.records.peek(k); en != nil && !f.seen[k] {
			f.seen[k] = true
			f.keys.Records, f.records = append(f.keys.Records, k), append(f.records, en)
		}
	}
}

func (f *following) account(e *Event, after *After, plain bool) {
	en := f.l.accounts.peek(after.Account)
	if en == nil || f.again[after.Account] {
		return
	}
	if row, _ := f.l.accounts.value(en); plain && row != nil {
		if row.Seq < e.Seq { // else it was read later than the event
			en.row.Store(withAfter(row, after, e))
		}
		return
	}
	f.again[after.Account] = true
	f.keys.Accounts, f.accounts = append(f.keys.Accounts, after.Account), append(f.accounts, en)
}

// load reads rows again, and puts them in place of what there is: what somebody
// else may be reading of them since earlier is older.
func (f *following) load(ctx context.Context) error {
	k := &f.keys
	if len(k.Accounts)+len(k.Holds)+len(k.Records)+len(k.Refunds) == 0 {
		return nil
	}
	snap, err := f.l.store.Load(ctx, k)
	if err != nil {
		return unavailable(err)
	}
	for i, en := range f.accounts {
		f.l.accounts.put(en, snap.Accounts[i])
	}
	for i, en := range f.holds {
		f.l.holds.put(en, snap.Holds[i])
	}
	for i, en := range f.records {
		f.l.records.put(en, snap.Records[i])
	}
	for i, en := range f.refunds {
		f.l.refunds.put(en, &refunded{snap.Refunds[i]})
	}
	return nil
}

// refresh is catchUp when others are far ahead: what is in memory is forgotten,
// and what is in use of it read again.
func (l *Ledger) refresh(ctx context.Context, b *book) error {
	head, due, err := l.readBook(ctx, b.id)
	if err != nil {
		return unavailable(err)
	}
	if head.Seq < b.head.Load().Seq {
		return fmt.Errorf("ledger: book %d ends at event %d, and ended at %d", b.id, head.Seq, b.head.Load().Seq)
	}
	was := b.head.Load()
	now := *was
	now.Units = head.Units
	b.head.Store(&now)
	f := &following{l: l}
	f.keys.Accounts, f.accounts = l.accounts.pinned()
	f.keys.Holds, f.holds = l.holds.pinned()
	f.keys.Records, f.records = l.records.pinned()
	f.keys.Refunds, f.refunds = l.refunds.pinned()
	l.ids.pinned() // one that is used stays so; one that is not is looked for again when it matters
	if err := f.load(ctx); err != nil {
		b.head.Store(was)
		return err
	}
	l.reached(head.Time)
	b.head.Store(head)
	for _, d := range due {
		l.due.add(d)
	}
	l.due.announce()
	return nil
}
