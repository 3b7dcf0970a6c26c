package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// A Workload makes commands at random: on few accounts, so that they meet; with
// ids that come again, with the same content or another; with holds that live
// for a moment; with batches, trees, status changes, refunds and records.
type Workload struct {
	rng    *rand.Rand
	now    ledger.Time
	books  []*site
	past   []*ledger.Command // that may be repeated
	wrote  []uint64          // versions that records have, or had
	number int               // of commands
}

// site is what a workload knows of a book.
type site struct {
	book     ledger.BookID
	tenant   ledger.TenantID
	accounts []ledger.AccountID // the first few are there from the beginning
	holds    []string
	paid     []string
}

var workloadUnits = []money.Unit{{Code: "USD", Scale: 6, Kind: money.Currency}, {Code: "SMS", Kind: money.Credit}}

// NewWorkload returns the workload of a seed. Two books belong to tenant 1 and
// one to tenant 2.
func NewWorkload(seed uint64) *Workload {
	w := &Workload{rng: rand.New(rand.NewPCG(seed, 0)), now: ledger.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	for i, tenant := range []ledger.TenantID{1, 1, 2} {
		s := &site{book: ledger.BookID(i + 1), tenant: tenant}
		for n := range 11 {
			s.accounts = append(s.accounts, ledger.AccountID{0xac, byte(s.book), byte(n)})
		}
		w.books = append(w.books, s)
	}
	return w
}

// Now returns the time at which the next command is to be decided: time goes on
// by microseconds, sometimes by minutes, and now and then the clock goes back.
func (w *Workload) Now() time.Time { return w.now.Std() }

// Accounts returns the accounts of a book that commands may have opened.
func (w *Workload) Accounts(book ledger.BookID) []ledger.AccountID {
	s := w.books[book-1]
	ids := append([]ledger.AccountID(nil), s.accounts...)
	for unit := range workloadUnits {
		ids = append(ids, s.system(unit, ledger.Cash), s.system(unit, ledger.Revenue))
	}
	return ids
}

// Learn tells the workload of an event, so that later commands name the holds
// and transfers that it made. Without it they name none.
func (w *Workload) Learn(book ledger.BookID, e *ledger.Event) {
	s := w.books[book-1]
	for i := range e.Records {
		w.wrote = append(w.wrote, e.Records[i].Version)
	}
	for n := range e.Holds {
		if e.Holds[n].Act == ledger.HoldPlaced {
			s.holds = append(s.holds, e.HoldID(n))
		}
	}
	for n := range e.Transfers {
		if e.ID != "" {
			s.paid = append(s.paid, e.TransferID(n))
		}
	}
}

func (s *site) system(unit int, role ledger.Role) ledger.AccountID {
	return ledger.SystemID(s.book, uint32(unit), role)
}

// Setup returns the commands that open the books, with a tree in each: 0 has an
// own sub-account 1 and a drawing one 2, which has one with a cap, 3; 4 has
// credit, 5 another unit.
func (w *Workload) Setup() (cmds []*ledger.Command) {
	for _, s := range w.books {
		c := &ledger.Command{Tenant: s.tenant, Book: s.book, Ops: []ledger.Op{&ledger.OpenBook{}}}
		for _, u := range workloadUnits {
			c.Ops = append(c.Ops, &ledger.AddUnit{Unit: u})
		}
		cap, a := money.New(80), s.accounts
		c.Ops = append(c.Ops,
			&ledger.OpenAccount{ID: a[0], Mode: ledger.Own, Unit: "USD"},
			&ledger.OpenAccount{ID: a[1], Mode: ledger.Own, Parent: a[0]},
			&ledger.OpenAccount{ID: a[2], Mode: ledger.Drawing, Parent: a[0]},
			&ledger.OpenAccount{ID: a[3], Mode: ledger.Drawing, Parent: a[2], Cap: &cap},
			&ledger.OpenAccount{ID: a[4], Mode: ledger.Own, Unit: "USD", Limit: money.New(50)},
			&ledger.OpenAccount{ID: a[5], Mode: ledger.Own, Unit: "SMS"})
		cmds = append(cmds, c)
	}
	return cmds
}

// Next returns the next command.
func (w *Workload) Next() *ledger.Command {
	w.number++
	switch w.rng.IntN(20) {
	case 0:
		w.now += ledger.Time(w.rng.Int64N(int64(time.Minute / time.Microsecond)))
	case 1:
		w.now -= ledger.Time(w.rng.Int64N(1000))
	default:
		w.now += ledger.Time(w.rng.Int64N(3))
	}
	if len(w.past) > 0 && w.rng.IntN(8) == 0 {
		return w.again()
	}
	s := w.books[w.rng.IntN(len(w.books))]
	c := &ledger.Command{Tenant: s.tenant, Book: s.book, Remember: w.rng.IntN(2) == 0, Actor: uint64(w.rng.IntN(3))}
	if w.rng.IntN(10) > 0 {
		c.ID = fmt.Sprint("c", w.number)
	}
	ops := 1
	if w.rng.IntN(4) == 0 {
		ops = 1 + w.rng.IntN(5)
	}
	for i := range ops {
		c.Ops = append(c.Ops, w.op(s, i))
	}
	if w.rng.IntN(10) == 0 {
		c.Records = append(c.Records, w.record())
	}
	if w.rng.IntN(50) == 0 {
		c.Tenant = 3 - c.Tenant // it is not theirs
	}
	if c.ID != "" {
		w.past = append(w.past, c)
	}
	return Clone(c)
}

// again returns an earlier command, or another with its id.
func (w *Workload) again() *ledger.Command {
	c := Clone(w.past[w.rng.IntN(len(w.past))])
	switch w.rng.IntN(6) {
	case 0:
		c.Ops = append(c.Ops, w.op(w.books[c.Book-1], len(c.Ops)))
	case 1:
		if t, ok := c.Ops[0].(*ledger.Transfer); ok {
			t.Amount = w.amount()
		}
	case 2:
		other := w.books[w.rng.IntN(len(w.books))]
		c.Tenant, c.Book = other.tenant, other.book
	}
	return c
}

func (w *Workload) amount() money.Amount {
	n := 1 + w.rng.Int64N(60)
	if w.rng.IntN(30) == 0 {
		n = w.rng.Int64N(3) - 1
	}
	return money.New(n)
}

// one returns an account: mostly one of the first.
func (w *Workload) one(s *site) ledger.AccountID {
	if w.rng.IntN(5) == 0 {
		return s.accounts[w.rng.IntN(len(s.accounts))]
	}
	return s.accounts[w.rng.IntN(5)]
}

// funded returns an account with money of its own, mostly.
func (w *Workload) funded(s *site) ledger.AccountID {
	if w.rng.IntN(10) == 0 {
		return w.one(s)
	}
	return s.accounts[[]int{0, 1, 4}[w.rng.IntN(3)]]
}

func (w *Workload) payee(s *site) ledger.AccountID {
	if w.rng.IntN(2) == 0 {
		return s.system(0, ledger.Revenue)
	}
	return w.funded(s)
}

// old returns one of the last few ids.
func (w *Workload) old(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return ids[len(ids)-1-w.rng.IntN(min(len(ids), 12))]
}

// own returns an id of its own for an operation, or none; rarely one that was used.
func (w *Workload) own(i int) string {
	if w.rng.IntN(3) > 0 {
		return ""
	}
	if w.rng.IntN(20) == 0 && len(w.past) > 0 {
		return w.past[w.rng.IntN(len(w.past))].ID
	}
	return fmt.Sprintf("own%d.%d", w.number, i)
}

func (w *Workload) text() *ledger.Text {
	if w.rng.IntN(3) > 0 {
		return nil
	}
	return &ledger.Text{Data: []byte(fmt.Sprint("reason ", w.rng.IntN(10)))}
}

func (w *Workload) op(s *site, i int) ledger.Op {
	kind := w.rng.IntN(100)
	switch {
	case kind < 3:
		return w.open(s)
	case kind < 55:
		return w.transfer(s, i)
	case kind < 60:
		op := &ledger.Refund{ID: w.own(i), Of: w.old(s.paid), Force: w.rng.IntN(6) == 0, Text: w.text()}
		if w.rng.IntN(2) == 0 {
			a := w.amount()
			op.Amount = &a
		}
		return op
	case kind < 70:
		return &ledger.PlaceHold{ID: w.own(i), Account: w.one(s), Amount: w.amount(), Expires: w.life(), Text: w.text()}
	case kind < 80:
		return w.capture(s, i)
	case kind < 84:
		return &ledger.Release{Hold: w.old(s.holds), Text: w.text()}
	case kind < 87:
		return &ledger.Extend{Hold: w.old(s.holds), Expires: w.life()}
	case kind < 90:
		return &ledger.Raise{Hold: w.old(s.holds), Amount: w.amount()}
	}
	return w.set(s)
}

func (w *Workload) transfer(s *site, i int) ledger.Op {
	op := &ledger.Transfer{ID: w.own(i), Kind: ledger.Charge, From: w.one(s), To: w.payee(s), Amount: w.amount(), Text: w.text(),
		UpTo: w.rng.IntN(6) == 0, Force: w.rng.IntN(12) == 0, Usage: w.usage()}
	switch w.rng.IntN(5) {
	case 0, 1:
		op.Kind, op.From, op.To = ledger.TopUp, s.system(0, ledger.Cash), w.funded(s)
	case 2:
		op.Kind, op.To = ledger.Move, w.funded(s)
	case 3:
		op.Kind = ledger.Adjustment
	}
	return op
}

func (w *Workload) usage() (u ledger.Usage) {
	if w.rng.IntN(2) == 0 {
		u.Category = []string{"sms", "calls", "fax"}[w.rng.IntN(3)]
		u.Count = money.New(w.rng.Int64N(5))
		u.Unit = []string{"", "minutes"}[w.rng.IntN(2)]
	}
	return u
}

func (w *Workload) life() ledger.Lifetime {
	switch w.rng.IntN(8) {
	case 0:
		return ledger.Lifetime{}
	case 1:
		return ledger.Lifetime{Never: true}
	case 2:
		return ledger.Lifetime{At: w.now + ledger.Time(w.rng.Int64N(20)-2)}
	}
	return ledger.Lifetime{For: time.Duration(1+w.rng.Int64N(60)) * time.Microsecond}
}

func (w *Workload) capture(s *site, i int) ledger.Op {
	op := &ledger.Capture{Hold: w.old(s.holds), Final: w.rng.IntN(3) == 0, Text: w.text(), Usage: w.usage()}
	for range w.rng.IntN(3) {
		op.To = append(op.To, ledger.Payee{To: w.payee(s), Amount: w.amount()})
	}
	if len(op.To) < 2 || w.rng.IntN(9) == 0 {
		op.ID = w.own(i)
	}
	return op
}

func (w *Workload) open(s *site) ledger.Op {
	op := &ledger.OpenAccount{ID: s.accounts[6+w.rng.IntN(5)], Named: true, Mode: ledger.Own, Unit: "USD"}
	if w.rng.IntN(3) > 0 {
		op.Parent, op.Unit = w.one(s), ""
		if w.rng.IntN(3) > 0 {
			op.Mode = ledger.Drawing
			if w.rng.IntN(2) == 0 {
				a := money.New(w.rng.Int64N(100))
				op.Cap = &a
			}
		}
	} else if w.rng.IntN(3) == 0 {
		op.Limit = money.New(w.rng.Int64N(100))
	} else if w.rng.IntN(6) == 0 {
		op.Unit = "SMS"
	}
	return op
}

func (w *Workload) set(s *site) ledger.Op {
	op := &ledger.SetAccount{Account: w.one(s)}
	switch a := money.New(w.rng.Int64N(150) - 30); w.rng.IntN(6) {
	case 0:
		op.Limit = &a
	case 1:
		op.Limit, op.Force, op.Reason = &a, true, &ledger.Text{Data: []byte("because")}
	case 2:
		a = money.New(w.rng.Int64N(100))
		op.Cap = &a
	case 3:
		op.NoCap = true
	default:
		st := ledger.StatusOpen
		if n := w.rng.IntN(20); n < 2 {
			st = ledger.StatusFrozen + ledger.Status(n)
		}
		op.Status = &st
	}
	return op
}

func (w *Workload) record() ledger.RecordWrite {
	op := ledger.RecordWrite{Kind: "k", Key: fmt.Sprint(w.rng.IntN(3)), Expect: ledger.AnyVersion, Data: make([]byte, w.rng.IntN(3)*900),
		Index: []ledger.IndexEntry{{Name: "n", Value: fmt.Sprint(w.rng.IntN(3))}}, Counters: []ledger.Counter{{Name: "c", Value: w.rng.Int64N(9) - 4}}}
	switch w.rng.IntN(6) {
	case 0:
		op.Expect = 0
		if n := len(w.wrote); n > 0 {
			op.Expect = w.wrote[max(0, n-1-w.rng.IntN(6))]
		}
	case 1:
		op.Delete = true
	case 2:
		op.Keep = true
	}
	return op
}
