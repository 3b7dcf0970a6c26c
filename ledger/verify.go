package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"saldo/money"
)

// VerifyOptions say what Verify compares with.
type VerifyOptions struct {
	// Expect are heads kept elsewhere: the journals have to pass through them.
	// This is what makes a journal that was cut off, or written anew, visible.
	Expect []Head
	// Base is an earlier, verified copy of the store: only what came after it is
	// folded again. Its rows are taken as proved.
	Base Store
	// Progress is told how many events of how many were folded.
	Progress func(done, total uint64)
	// Rows is told how many rows of derived indexes were compared.
	Rows func(rows int64)
}

// A Report is what Verify found to be right.
type Report struct {
	Heads    []Head
	Events   uint64 // folded
	Accounts int    // compared
	Holds    int
	Records  int
	IDs      uint64
	Texts    uint64
	Erased   uint64 // texts that are gone, as their accounts' erasure allows
}

// A checker can prove the indexes that it derives. Stores may be one.
type checker interface {
	VerifyIndexes(ctx context.Context, progress func(rows int64)) error
	CountIDs(ctx context.Context) (uint64, error)
	CountRefunds(ctx context.Context) (uint64, error) // transfers that something was refunded of
}

// Verify proves a store that nobody writes to: it folds every journal again and
// compares every balance, hold, record, id, text, refund and sum, and the hash
// of every head. The error says what is wrong first.
func Verify(ctx context.Context, store Store, o VerifyOptions) (Report, error) {
	v := &verifier{ctx: ctx, store: store, o: o, books: make(map[BookID]*Replay)}
	if err := v.run(); err != nil {
		return v.report, err
	}
	if c, ok := store.(checker); ok {
		if err := c.VerifyIndexes(ctx, o.Rows); err != nil {
			return v.report, fmt.Errorf("an index is wrong: %w", err)
		}
		n, err := c.CountIDs(ctx)
		if err != nil {
			return v.report, err
		}
		if n != v.report.IDs && o.Base == nil {
			return v.report, fmt.Errorf("%d ids are known as used; the journals use %d", n, v.report.IDs)
		}
		if n, err = c.CountRefunds(ctx); err != nil {
			return v.report, err
		}
		if n != v.refunded && o.Base == nil {
			return v.report, fmt.Errorf("of %d transfers something is known as refunded; the journals refund %d", n, v.refunded)
		}
	}
	return v.report, nil
}

type verifier struct {
	ctx    context.Context
	store  Store
	o      VerifyOptions
	report Report
	total  uint64
	books  map[BookID]*Replay
	failed error // of a load within a fold

	refunded uint64 // transfers that the journals refund
}

func (v *verifier) run() error {
	var heads []*Head
	for row, err := range v.store.Scan(v.ctx, Query{List: ListHeads}) {
		if err != nil {
			return err
		}
		heads = append(heads, row.Head)
		v.report.Heads = append(v.report.Heads, *row.Head)
		v.total += row.Head.Seq
	}
	before := slices.Clone(v.o.Expect)
	if v.o.Base != nil {
		for row, err := range v.o.Base.Scan(v.ctx, Query{List: ListHeads}) {
			if err != nil {
				return err
			}
			before = append(before, *row.Head)
		}
	}
	for _, want := range before {
		if !slices.ContainsFunc(heads, func(h *Head) bool { return h.Book == want.Book && h.Seq >= want.Seq }) {
			return fmt.Errorf("book %d ends before event %d, which was there before: the journal was cut off", want.Book, want.Seq)
		}
	}
	for _, head := range heads {
		if err := v.book(head); err != nil {
			return err
		}
	}
	if err := v.accounts(); err != nil {
		return err
	}
	if err := v.holds(); err != nil {
		return err
	}
	return v.records()
}

// book folds a book's journal and compares the end.
func (v *verifier) book(head *Head) error {
	r := NewReplay(head.Book)
	v.books[head.Book] = r
	if v.o.Base != nil {
		if err := v.base(r); err != nil {
			return err
		}
	}
	expect := make(map[uint64][32]byte)
	for _, want := range v.o.Expect {
		if want.Book == head.Book {
			if want.Seq < r.head.Seq {
				return fmt.Errorf("event %d of book %d lies before what is folded; verify without a base", want.Seq, want.Book)
			}
			if want.Seq > 0 && want.Seq == r.head.Seq && want.Hash != r.head.Hash {
				return fmt.Errorf("book %d, event %d: the hash is %x, not %x as it was before: the journal was changed", want.Book, want.Seq, r.head.Hash, want.Hash)
			}
			expect[want.Seq] = want.Hash
		}
	}
	last := r.head.Seq
	for row, err := range v.store.Scan(v.ctx, Query{List: ListEvents, Book: head.Book, After: last}) {
		if err != nil {
			return fmt.Errorf("reading book %d after event %d: %w", head.Book, last, err)
		}
		if err := v.event(r, row.Event, row.Bytes); err != nil {
			return fmt.Errorf("book %d, event %d: %w", head.Book, last+1, err)
		}
		last = row.Event.Seq
		if want, ok := expect[last]; ok && want != r.head.Hash {
			return fmt.Errorf("book %d, event %d: the hash is %x, not %x as it was before: the journal was changed", head.Book, last, r.head.Hash, want)
		}
		if last == head.Seq {
			break
		}
	}
	if err := v.ids(r); err != nil {
		return err
	}
	if !reflect.DeepEqual(r.head, *head) {
		return fmt.Errorf("book %d: the journal ends at event %d with hash %x; its head says %d, %x", head.Book, last, r.head.Hash, head.Seq, head.Hash)
	}
	sums, err := r.Sums()
	if err != nil {
		return fmt.Errorf("book %d: %w", head.Book, err)
	}
	for unit, sum := range sums {
		if !sum.IsZero() && v.o.Base == nil {
			return fmt.Errorf("book %d: unit %d sums to %v steps, not to zero", head.Book, unit, sum)
		}
	}
	return v.refunds(r)
}

// event folds one event and checks what stands beside it.
func (v *verifier) event(r *Replay, e *Event, bytes []byte) error {
	if err := r.Add(e, bytes); err != nil {
		return err
	}
	if v.failed != nil {
		return v.failed
	}
	if err := r.Promise(e); err != nil {
		return err
	}
	if err := v.texts(r, e); err != nil {
		return err
	}
	v.report.Events++
	if v.report.Events%1024 == 0 {
		if err := v.ids(r); err != nil {
			return err
		}
		if v.o.Progress != nil {
			v.o.Progress(v.report.Events, v.total)
		}
	}
	return v.ctx.Err()
}

// texts compares an event's texts with their digests.
func (v *verifier) texts(r *Replay, e *Event) error {
	if len(e.Texts) == 0 {
		return nil
	}
	var keys Keys
	for n := range e.Texts {
		keys.Texts = append(keys.Texts, TextKey{r.head.Book, TextAt{e.Seq, uint32(n + 1)}})
	}
	snap, err := v.store.Load(v.ctx, &keys)
	if err != nil {
		return err
	}
	for n, text := range snap.Texts {
		if text == nil {
			ok, err := v.erased(e, uint32(n+1))
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("text %d is missing, and no account that it is of was erased", n+1)
			}
			v.report.Erased++
			continue
		}
		if text.DigestOf() != e.Texts[n] {
			return fmt.Errorf("text %d is not the one that was written", n+1)
		}
		v.report.Texts++
	}
	return nil
}

// erased reports whether an event's nth text may be gone: an account that it is
// of was erased later.
func (v *verifier) erased(e *Event, n uint32) (bool, error) {
	var keys Keys
	for i := range e.Touched {
		if id := e.Touched[i].Account; e.TextIsOf(id, n) {
			keys.Accounts = append(keys.Accounts, id)
		}
	}
	snap, err := v.store.Load(v.ctx, &keys)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(snap.Accounts, func(a *Account) bool { return a != nil && a.Erased >= e.Seq }), nil
}

// ids checks that the ids of the events since the last time are taken, and forgets them.
func (v *verifier) ids(r *Replay) error {
	var keys Keys
	for ref := range r.IDs {
		keys.IDs = append(keys.IDs, ref)
	}
	if len(keys.IDs) == 0 {
		return nil
	}
	snap, err := v.store.Load(v.ctx, &keys)
	if err != nil {
		return err
	}
	for i, ref := range keys.IDs {
		if at := snap.IDs[i]; at == nil || *at != r.IDs[ref] {
			return fmt.Errorf("book %d: the id used by event %d is not known as taken", r.head.Book, r.IDs[ref].Seq)
		}
	}
	v.report.IDs += uint64(len(keys.IDs))
	clear(r.IDs)
	return nil
}

func (v *verifier) refunds(r *Replay) error {
	var keys Keys
	for at := range r.Refunds {
		keys.Refunds = append(keys.Refunds, at)
	}
	if len(keys.Refunds) == 0 {
		return nil
	}
	v.refunded += uint64(len(keys.Refunds))
	snap, err := v.store.Load(v.ctx, &keys)
	if err != nil {
		return err
	}
	for i, at := range keys.Refunds {
		if snap.Refunds[i] != r.Refunds[at] {
			return fmt.Errorf("book %d: %v steps of transfer %d of event %d were refunded, not %v", at.Book, r.Refunds[at], at.N, at.Seq, snap.Refunds[i])
		}
	}
	return nil
}

// base makes a replay begin where the base ends.
func (v *verifier) base(r *Replay) error {
	snap, err := v.o.Base.Load(v.ctx, &Keys{Heads: []BookID{r.head.Book}})
	if err != nil {
		return err
	}
	if snap.Heads[0] == nil {
		return nil
	}
	r.head = *snap.Heads[0]
	v.total -= r.head.Seq
	r.Base = func(r *Replay, key any) {
		if err := v.fromBase(r, key); err != nil && v.failed == nil {
			v.failed = err
		}
	}
	return nil
}

// fromBase takes a row from the base.
func (v *verifier) fromBase(r *Replay, key any) error {
	var keys Keys
	switch key := key.(type) {
	case AccountID:
		keys.Accounts = []AccountID{key}
	case Ref:
		keys.Holds = []Ref{key}
	case RecordKey:
		keys.Records = []RecordKey{key}
	case TransferAt:
		keys.Refunds = []TransferAt{key}
	}
	snap, err := v.o.Base.Load(v.ctx, &keys)
	if err != nil {
		return err
	}
	switch key := key.(type) {
	case AccountID:
		if a := snap.Accounts[0]; a != nil {
			row := *a
			r.Accounts[key] = &row
		}
	case Ref:
		if h := snap.Holds[0]; h != nil {
			row := *h
			r.Holds[key] = &row
		}
	case RecordKey:
		r.Records[key] = snap.Records[0]
	case TransferAt:
		if !snap.Refunds[0].IsZero() {
			r.Refunds[key] = snap.Refunds[0]
		}
	}
	return nil
}

// accounts compares every account with what its journal makes of it.
func (v *verifier) accounts() error {
	n, sums := 0, make(map[[2]uint32]money.Amount)
	for row, err := range v.store.Scan(v.ctx, Query{List: ListAccounts, All: true}) {
		if err != nil {
			return err
		}
		a := row.Account
		r := v.books[a.Book]
		if r == nil {
			return fmt.Errorf("account %v belongs to book %d, which does not exist", a.ID, a.Book)
		}
		want := r.Account(a.ID)
		if want == nil {
			return fmt.Errorf("account %v is in no journal", a.ID)
		}
		if *a != *want {
			return fmt.Errorf("account %v is %+v; its journal makes it %+v", a.ID, *a, *want)
		}
		if a.Mode != Drawing {
			k := [2]uint32{uint32(a.Book), a.Unit}
			sum, ok := sums[k].Add(a.Posted)
			if !ok {
				return fmt.Errorf("the sum of unit %d of book %d does not fit", a.Unit, a.Book)
			}
			sums[k] = sum
		}
		n++
	}
	for k, sum := range sums {
		if !sum.IsZero() {
			return fmt.Errorf("book %d: unit %d sums to %v steps, not to zero", k[0], k[1], sum)
		}
	}
	v.report.Accounts = n
	if err := v.kept(ListAccounts); err != nil {
		return err
	}
	return v.all(n, func(r *Replay) int { return len(r.Accounts) }, "accounts")
}

// kept checks that every row of the base is still there, but for records that
// were deleted since. What has changed in them is compared by the fold.
func (v *verifier) kept(list List) error {
	if v.o.Base == nil {
		return nil
	}
	next, stop := iter.Pull2(v.store.Scan(v.ctx, Query{List: list, All: true}))
	defer stop()
	now, err, ok := next()
	for row, baseErr := range v.o.Base.Scan(v.ctx, Query{List: list, All: true}) {
		for ok && err == nil && now.Key < row.Key {
			now, err, ok = next()
		}
		if err := errors.Join(baseErr, err); err != nil {
			return err
		}
		if (!ok || now.Key != row.Key) && !v.deleted(row.Record) {
			return fmt.Errorf("a row of the base is gone: %+v %+v %+v", row.Account, row.Hold, row.Record)
		}
	}
	return nil
}

// deleted reports whether the events after the base have deleted one of its records.
func (v *verifier) deleted(rec *Record) bool {
	if rec == nil || v.books[rec.Book] == nil {
		return false
	}
	now, known := v.books[rec.Book].Records[rec.RecordKey]
	return known && now == nil
}

// all checks that the store has no fewer rows than the journals make: those of
// the base count as well, for every row that the store has was compared.
func (v *verifier) all(n int, count func(*Replay) int, what string) error {
	want := 0
	for _, r := range v.books {
		want += count(r)
	}
	if n != want {
		return fmt.Errorf("there are %d %s; the journals make %d", n, what, want)
	}
	return nil
}

func (v *verifier) holds() error {
	n := 0
	for row, err := range v.store.Scan(v.ctx, Query{List: ListHolds, All: true}) {
		if err != nil {
			return err
		}
		h := row.Hold
		r := v.books[h.Book]
		if r == nil {
			return fmt.Errorf("hold %q belongs to book %d, which does not exist", h.ID, h.Book)
		}
		want := r.Hold(h.Ref)
		if want == nil || *h != *want {
			return fmt.Errorf("hold %q is %+v; its journal makes it %+v", h.ID, *h, want)
		}
		n++
	}
	v.report.Holds = n
	if err := v.kept(ListHolds); err != nil {
		return err
	}
	return v.all(n, func(r *Replay) int { return len(r.Holds) }, "holds")
}

func (v *verifier) records() error {
	n := 0
	for row, err := range v.store.Scan(v.ctx, Query{List: ListRecords, All: true}) {
		if err != nil {
			return err
		}
		rec := *row.Record
		r := v.books[rec.Book]
		if r == nil {
			return fmt.Errorf("record %s %q belongs to book %d, which does not exist", rec.Kind, rec.Key, rec.Book)
		}
		want := r.Record(rec.Kind, rec.Key)
		if want == nil {
			return fmt.Errorf("record %s %q is in no journal", rec.Kind, rec.Key)
		}
		was := *want
		if rec.At.N != 0 { // its text was compared with its digest
			rec.Data, was.Data = nil, nil
		}
		if !sameRecord(&rec, &was) {
			return fmt.Errorf("record %s %q is %+v; its journal makes it %+v", rec.Kind, rec.Key, rec, was)
		}
		n++
	}
	v.report.Records = n
	if err := v.kept(ListRecords); err != nil {
		return err
	}
	return v.all(n, func(r *Replay) int {
		n := 0
		for _, rec := range r.Records {
			if rec != nil {
				n++
			}
		}
		return n
	}, "records")
}

func sameRecord(a, b *Record) bool {
	return a.RecordKey == b.RecordKey && a.Version == b.Version && string(a.Data) == string(b.Data) &&
		a.At == b.At && slices.Equal(a.Index, b.Index) && slices.Equal(a.Counters, b.Counters) &&
		a.Deadline == b.Deadline && a.Seq == b.Seq && a.Created == b.Created && a.Updated == b.Updated
}
