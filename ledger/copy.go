package ledger

import (
	"context"
	"fmt"

	"saldo/money"
)

// copyAtOnce is how many events Copy appends at once.
const copyAtOnce = 2000

// Copy copies every book of a store to another one: the journals byte by byte,
// so that their chains are the same, and what they make, made again. The other
// store is empty, or has a copy that was broken off, which goes on. Nobody writes
// to either. It returns the heads that both have then.
func Copy(ctx context.Context, from, to Store, progress func(done, total uint64)) (heads []Head, err error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	var done, total uint64
	for row, err := range from.Scan(ctx, Query{List: ListHeads}) {
		if err != nil {
			return nil, err
		}
		heads = append(heads, *row.Head)
		total += row.Head.Seq
	}
	for row, err := range to.Scan(ctx, Query{List: ListHeads}) {
		if err != nil {
			return nil, err
		}
		known := false
		for i := range heads {
			known = known || heads[i].Book == row.Head.Book
		}
		if !known {
			return nil, fmt.Errorf("ledger: the store that is copied to has a book %d, which the other has not", row.Head.Book)
		}
	}
	for i := range heads {
		c := &copying{from: from, to: to, head: heads[i], r: NewReplay(heads[i].Book)}
		c.clear()
		if err := c.book(ctx, func(n uint64) { progress(done+n, total) }); err != nil {
			return nil, fmt.Errorf("copying book %d: %w", heads[i].Book, err)
		}
		done += heads[i].Seq
	}
	return heads, nil
}

// A copying is the copying of one book.
type copying struct {
	from, to Store
	head     Head // of the original
	r        *Replay
	have     Head // of the copy, when it began

	part     BookEvents // what is to be appended
	accounts map[AccountID]bool
	holds    map[Ref]*Hold // as they were before
	records  map[RecordKey]*Record
	refunds  map[TransferAt]money.Amount
}

func (c *copying) clear() {
	c.part = BookEvents{From: c.r.head.Seq}
	c.accounts, c.holds = make(map[AccountID]bool), make(map[Ref]*Hold)
	c.records, c.refunds = make(map[RecordKey]*Record), make(map[TransferAt]money.Amount)
	clear(c.r.IDs)
}

func (c *copying) book(ctx context.Context, progress func(uint64)) error {
	snap, err := c.to.Load(ctx, &Keys{Heads: []BookID{c.head.Book}})
	if err != nil {
		return err
	}
	if snap.Heads[0] != nil {
		c.have = *snap.Heads[0]
	}
	for row, err := range c.from.Scan(ctx, Query{List: ListEvents, Book: c.head.Book}) {
		if err != nil {
			return err
		}
		if err := c.event(ctx, row.Event, append([]byte(nil), row.Bytes...)); err != nil {
			return err
		}
		if c.r.head.Seq == c.have.Seq { // all of it was there
			if c.r.head.Hash != c.have.Hash {
				return fmt.Errorf("the copy is another book: its event %d is not the original's", c.have.Seq)
			}
			c.clear()
		}
		if len(c.part.Events) >= copyAtOnce && c.r.head.Seq > c.have.Seq {
			if err := c.flush(ctx); err != nil {
				return err
			}
			progress(c.r.head.Seq)
		}
		if c.r.head.Seq == c.head.Seq {
			break
		}
	}
	if c.r.head.Seq != c.head.Seq || c.r.head.Hash != c.head.Hash {
		return fmt.Errorf("the journal ends at event %d with another hash than its head", c.r.head.Seq)
	}
	if c.have.Seq > c.head.Seq {
		return fmt.Errorf("the copy has %d events, the original %d", c.have.Seq, c.head.Seq)
	}
	defer progress(c.head.Seq)
	return c.flush(ctx)
}

// event folds an event, with the texts that stand beside it, into what is to be
// appended.
func (c *copying) event(ctx context.Context, e *Event, bytes []byte) error {
	var keys Keys
	for n := range e.Texts {
		keys.Texts = append(keys.Texts, TextKey{c.head.Book, TextAt{e.Seq, uint32(n + 1)}})
	}
	if len(keys.Texts) > 0 {
		snap, err := c.from.Load(ctx, &keys)
		if err != nil {
			return err
		}
		e.Beside = make([]Text, len(snap.Texts))
		for i, t := range snap.Texts {
			if t != nil { // else it was erased: see Text.Gone
				e.Beside[i] = *t
			}
		}
	}
	for i := range e.Holds {
		ref := e.Holds[i].Ref
		if _, noted := c.holds[ref]; !noted {
			c.holds[ref] = nil
			if h := c.r.Holds[ref]; h != nil {
				was := *h
				c.holds[ref] = &was
			}
		}
	}
	for i := range e.Records {
		k := RecordKey{c.head.Book, e.Records[i].Kind, e.Records[i].Key}
		if _, noted := c.records[k]; !noted {
			c.records[k] = c.r.Records[k]
		}
	}
	if err := c.r.Add(e, bytes); err != nil {
		return err
	}
	for i := range e.Touched {
		c.accounts[e.Touched[i].Account] = true
	}
	for i := range e.Transfers {
		if of := e.Transfers[i].Of; of != nil {
			at := TransferAt{c.head.Book, of.Seq, of.N}
			c.refunds[at] = c.r.Refunds[at]
		}
	}
	c.part.Events, c.part.Bytes = append(c.part.Events, e), append(c.part.Bytes, bytes)
	return nil
}

func (c *copying) flush(ctx context.Context) error {
	if len(c.part.Events) == 0 || c.r.head.Seq <= c.have.Seq {
		return nil
	}
	c.part.Head = c.r.head
	b := &Batch{Books: []BookEvents{c.part}}
	for id := range c.accounts {
		a := *c.r.Accounts[id]
		b.Accounts = append(b.Accounts, &a)
	}
	for ref, was := range c.holds {
		h := *c.r.Holds[ref]
		b.Holds = append(b.Holds, HoldRow{Now: &h, Was: was})
	}
	for k, was := range c.records {
		b.Records = append(b.Records, RecordRow{Now: c.r.Records[k], Was: was})
	}
	for at, n := range c.refunds {
		b.Refunds = append(b.Refunds, RefundRow{Of: at, Refunded: n})
	}
	for ref, at := range c.r.IDs {
		b.IDs = append(b.IDs, IDRow{Ref: ref, At: at})
	}
	if err := c.to.Append(ctx, b); err != nil {
		return err
	}
	c.clear()
	return nil
}
