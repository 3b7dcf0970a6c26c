package ledgertest

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"saldo/ledger"
)

// A Model keeps books in maps of big integers.
type Model struct {
	books map[ledger.BookID]*book
	past  map[string]*done // by tenant and id
}

// done is a command that has an answer for ever.
type done struct {
	asked  string
	answer Answer
}

// An Answer is what a command gets.
type Answer struct {
	Refusals  []ledger.Refusal // any of them is a true answer; none: it took effect
	Replayed  bool
	Transfers []*big.Int // the amounts that were moved
}

type book struct {
	tenant   ledger.TenantID
	now      ledger.Time
	accounts map[ledger.AccountID]*account
	holds    map[string]*held
	paid     []*paid
	names    map[string]int // of transfers: which of paid
	records  map[string]*record
}

type account struct {
	parent  ledger.AccountID
	unit    string
	drawing bool
	system  bool
	status  ledger.Status
	posted  *big.Int // of a drawing account: minus what it spent
	held    *big.Int
	limit   *big.Int
	cap     *big.Int // nil: none
	open    int      // holds
}

type held struct {
	owner                       ledger.AccountID // the account that was named
	amount, remaining, captured *big.Int
	expires                     ledger.Time
	state                       ledger.HoldState
}

type paid struct {
	id                 string
	from, to, via      ledger.AccountID
	amount, refunded   *big.Int
	isRefund, captured bool
}

type record struct {
	version uint64
	count   int64
}

// NewModel returns a model without books.
func NewModel() *Model {
	return &Model{books: map[ledger.BookID]*book{}, past: map[string]*done{}}
}

// Post decides a command at a time. Said is the code that the ledger gave, for
// whether a refusal is remembered depends on which of the reasons it was.
func (m *Model) Post(now ledger.Time, c *ledger.Command, said ledger.Code) Answer {
	if was := m.past[pastKey(c.Tenant, c.ID)]; was != nil && c.ID != "" {
		if was.asked != Describe(c) {
			return refusal(ledger.IDTaken)
		}
		again := was.answer
		again.Replayed = true
		return again
	}
	b := m.books[c.Book]
	if b == nil {
		b = &book{tenant: c.Tenant, accounts: map[ledger.AccountID]*account{}, holds: map[string]*held{},
			names: map[string]int{}, records: map[string]*record{}}
	} else if b.tenant != c.Tenant {
		return refusal(ledger.NotFound)
	}
	m.Settle(now, c.Book)
	w := &work{m: m, book: b.copy(), c: c}
	w.now = max(b.now, now)
	answer := w.all()
	if len(answer.Refusals) == 0 {
		m.books[c.Book] = w.book
		for _, id := range w.ids {
			m.past[pastKey(c.Tenant, id)] = &done{asked: "in a batch"}
		}
	} else if c.Remember && remembered(said) {
		answer.Refusals = slices.DeleteFunc(answer.Refusals, func(r ledger.Refusal) bool { return r.Code != said })
	} else {
		return answer
	}
	if c.ID != "" {
		m.past[pastKey(c.Tenant, c.ID)] = &done{Describe(c), answer}
	}
	return answer
}

func pastKey(tenant ledger.TenantID, id string) string { return fmt.Sprint(tenant, " ", id) }

// Settle ends the holds of a book that are due.
func (m *Model) Settle(now ledger.Time, id ledger.BookID) {
	b := m.books[id]
	if b == nil {
		return
	}
	now = max(now, b.now)
	for _, h := range b.holds {
		if h.state == ledger.HoldOpen && h.expires != 0 && h.expires <= now {
			b.free(h, h.remaining)
			b.close(h, ledger.HoldGone)
			b.now = now
		}
	}
}

// remembered reports whether a refusal is final under an id.
func remembered(code ledger.Code) bool {
	switch code {
	case ledger.Insufficient, ledger.Frozen, ledger.Closed, ledger.HoldClosed, ledger.HoldExpired, ledger.NotEmpty, ledger.OverRefund:
		return true
	}
	return false
}

func refusal(code ledger.Code) Answer { return Answer{Refusals: []ledger.Refusal{{Code: code}}} }

// work is one command on a copy of its book.
type work struct {
	m *Model
	*book
	c   *ledger.Command
	ids []string // taken by operations
	why []ledger.Refusal
	out []*paid
}

func (w *work) all() Answer {
	for i, op := range w.c.Ops {
		w.op(i, op)
		if len(w.why) > 0 {
			for k := range w.why {
				w.why[k].Op = i
			}
			return Answer{Refusals: w.why}
		}
	}
	for i := range w.c.Records {
		w.record(&w.c.Records[i])
		if len(w.why) > 0 {
			for k := range w.why {
				w.why[k].Op = len(w.c.Ops) + i
			}
			return Answer{Refusals: w.why}
		}
	}
	answer := Answer{}
	for i, p := range w.out {
		answer.Transfers = append(answer.Transfers, p.amount)
		// A command's id alone is its first transfer's, but for a capture among others.
		if i == 0 && w.c.ID != "" && p.id == w.c.ID+"#0" && (!p.captured || len(w.out) == 1) {
			w.names[w.c.ID] = len(w.paid) - len(w.out)
		}
	}
	return answer
}

// no notes a reason to refuse.
func (w *work) no(code ledger.Code, when bool) bool {
	if when {
		w.why = append(w.why, ledger.Refusal{Code: code})
	}
	return when
}

// take takes an id for an operation.
func (w *work) take(id string) {
	if id == "" || id == w.c.ID {
		return
	}
	w.no(ledger.IDTaken, slices.Contains(w.ids, id) || w.m.past[pastKey(w.c.Tenant, id)] != nil)
	w.ids = append(w.ids, id)
}

func (w *work) op(i int, op ledger.Op) {
	switch op := op.(type) {
	case *ledger.OpenBook:
	case *ledger.AddUnit:
		for role := ledger.Cash; role <= ledger.Fees; role++ {
			n := uint32(len(w.accounts)) / 3
			w.accounts[ledger.SystemID(w.c.Book, n, role)] = &account{unit: op.Unit.Code, system: true,
				posted: new(big.Int), held: new(big.Int), limit: new(big.Int)}
		}
	case *ledger.OpenAccount:
		w.openAccount(op)
	case *ledger.SetAccount:
		w.set(op)
	case *ledger.Transfer:
		w.transfer(i, op)
	case *ledger.Refund:
		w.refund(i, op)
	case *ledger.PlaceHold:
		w.place(op)
	case *ledger.Capture:
		w.capture(i, op)
	case *ledger.Release:
		if h := w.openHold(op.Hold); h != nil {
			w.free(h, h.remaining)
			w.close(h, ledger.HoldReleased)
		}
	case *ledger.Extend:
		ends := w.ends(op.Expires)
		if h := w.openHold(op.Hold); h != nil {
			h.expires = ends
		}
	case *ledger.Raise:
		w.no(ledger.Invalid, op.Amount.Sign() <= 0)
		if h := w.openHold(op.Hold); h != nil {
			w.more(h, op.Amount.Big())
		}
	default:
		panic(fmt.Sprintf("ledgertest: the model does not know %T", op))
	}
}

// path returns the accounts from one up to the one that pays.
func (b *book) path(id ledger.AccountID) (path []ledger.AccountID) {
	for {
		path = append(path, id)
		if !b.accounts[id].drawing {
			return path
		}
		id = b.accounts[id].parent
	}
}

func (b *book) payer(id ledger.AccountID) ledger.AccountID {
	path := b.path(id)
	return path[len(path)-1]
}

// openness is an account's status, its ancestors counted in.
func (b *book) openness(id ledger.AccountID) ledger.Status {
	a := b.accounts[id]
	if a.parent.IsZero() {
		return a.status
	}
	return max(a.status, b.openness(a.parent))
}

// spendable is what a charge may take of an account's own money.
func (a *account) spendable() *big.Int {
	s := new(big.Int).Sub(a.posted, a.held)
	return s.Add(s, a.limit)
}

// room is what an account's cap leaves.
func (a *account) room() *big.Int {
	r := new(big.Int).Add(a.cap, a.posted)
	return r.Sub(r, a.held)
}

// most returns what may be taken through an account, and who says so; nil is no bound.
func (b *book) most(id ledger.AccountID) (most *big.Int, by []ledger.Refusal) {
	least := func(n *big.Int, r ledger.Refusal) {
		if most == nil || n.Cmp(most) < 0 {
			most, by = n, nil
		}
		if n.Cmp(most) == 0 {
			by = append(by, r)
		}
	}
	for _, up := range b.path(id) {
		switch a := b.accounts[up]; {
		case a.drawing && a.cap != nil:
			least(a.room(), ledger.Refusal{Code: ledger.Insufficient, Account: up, By: ledger.Cap})
		case a.drawing, a.system:
		case a.limit.Sign() == 0:
			least(a.spendable(), ledger.Refusal{Code: ledger.Insufficient, Account: up, By: ledger.Funds})
		default:
			least(a.spendable(), ledger.Refusal{Code: ledger.Insufficient, Account: up, By: ledger.CreditLimit})
		}
	}
	return most, by
}

// spend notes the reasons against taking an amount through an account.
func (w *work) spend(id ledger.AccountID, n *big.Int) {
	most, by := w.most(id)
	if most == nil || n.Cmp(most) <= 0 {
		return
	}
	for _, r := range by {
		r.Required, r.Spendable = amountOf(n), amountOf(most)
		w.why = append(w.why, r)
	}
}

// mustBe notes it if an account is less open than most.
func (w *work) mustBe(most ledger.Status, id ledger.AccountID) {
	if w.accounts[id].system {
		return
	}
	st := w.openness(id)
	w.no(ledger.Closed, st == ledger.StatusClosed && most < st)
	w.no(ledger.Frozen, st == ledger.StatusFrozen && most < st)
}

// known notes it if an account is not there.
func (w *work) known(ids ...ledger.AccountID) bool {
	for _, id := range ids {
		if w.no(ledger.NotFound, w.accounts[id] == nil) {
			return false
		}
	}
	return true
}

// pay moves an amount to an account and writes down how.
func (w *work) pay(id string, from, to ledger.AccountID, n *big.Int) *paid {
	for _, up := range w.path(from) {
		w.accounts[up].posted.Sub(w.accounts[up].posted, n)
	}
	w.accounts[to].posted.Add(w.accounts[to].posted, n)
	p := &paid{from: w.payer(from), to: to, via: from, amount: n, refunded: new(big.Int)}
	w.note(id, p)
	return p
}

// note keeps a transfer under its own id, or its number.
func (w *work) note(id string, p *paid) {
	if p.id = id; id == "" || id == w.c.ID {
		p.id = w.c.ID + "#" + strconv.Itoa(len(w.out))
	}
	w.out = append(w.out, p)
	w.paid = append(w.paid, p)
	if w.c.ID != "" || id != "" {
		w.names[p.id] = len(w.paid) - 1
	}
}

func (w *work) mayReceive(from, to ledger.AccountID) {
	a := w.accounts[to]
	w.no(ledger.Invalid, a.drawing || w.payer(from) == to || a.unit != w.accounts[from].unit)
	if !a.drawing && !a.system {
		w.no(ledger.Closed, w.openness(to) == ledger.StatusClosed)
	}
}

func (w *work) transfer(_ int, op *ledger.Transfer) {
	w.take(op.ID)
	w.no(ledger.Invalid, op.Amount.Sign() <= 0 || op.Force && op.Text == nil || op.Force && op.UpTo)
	if !w.known(op.From, op.To) {
		return
	}
	w.mayReceive(op.From, op.To)
	if op.Kind == ledger.Adjustment {
		w.mustBe(ledger.StatusFrozen, op.From)
	} else {
		w.mustBe(ledger.StatusOpen, op.From)
	}
	n := op.Amount.Big()
	if most, _ := w.most(op.From); op.UpTo && most != nil && most.Cmp(n) < 0 && most.Sign() > 0 {
		n = most
	} else if !op.Force {
		w.spend(op.From, n)
	}
	if len(w.why) == 0 {
		w.pay(op.ID, op.From, op.To, n)
	}
}

func (w *work) refund(_ int, op *ledger.Refund) {
	w.take(op.ID)
	w.no(ledger.Invalid, op.Force && op.Text == nil)
	// What this very command has paid is not there yet.
	number, ok := w.m.books[w.c.Book].names[op.Of]
	if w.no(ledger.NotFound, !ok) {
		return
	}
	was := w.paid[number]
	if w.no(ledger.Invalid, was.isRefund) {
		return
	}
	left := new(big.Int).Sub(was.amount, was.refunded)
	n := left
	if op.Amount != nil {
		n = op.Amount.Big()
	}
	w.no(ledger.Invalid, op.Amount != nil && n.Sign() <= 0)
	w.no(ledger.OverRefund, n.Cmp(left) > 0 || left.Sign() == 0)
	if !op.Force {
		w.spend(was.to, n)
	}
	if a := w.accounts[was.from]; !a.system {
		w.no(ledger.Closed, w.openness(was.from) == ledger.StatusClosed)
	}
	if len(w.why) > 0 {
		return
	}
	w.accounts[was.to].posted.Sub(w.accounts[was.to].posted, n)
	for _, up := range w.path(was.via) {
		w.accounts[up].posted.Add(w.accounts[up].posted, n)
	}
	was.refunded.Add(was.refunded, n)
	w.note(op.ID, &paid{isRefund: true, amount: n})
}

func (w *work) place(op *ledger.PlaceHold) {
	w.take(op.ID)
	id := op.ID
	if id == "" {
		id = w.c.ID
	}
	w.no(ledger.Invalid, op.Amount.Sign() <= 0 || id == "")
	w.no(ledger.IDTaken, w.holds[id] != nil)
	ends := w.ends(op.Expires)
	if !w.known(op.Account) {
		return
	}
	w.no(ledger.Invalid, w.accounts[op.Account].system)
	w.mustBe(ledger.StatusOpen, op.Account)
	w.spend(op.Account, op.Amount.Big())
	h := &held{owner: op.Account, amount: new(big.Int), remaining: new(big.Int), captured: new(big.Int), state: ledger.HoldOpen, expires: ends}
	if len(w.why) > 0 {
		return
	}
	w.holds[id] = h
	w.set0(h, op.Amount.Big())
	for _, up := range w.path(h.owner) {
		w.accounts[up].open++
	}
}

// ends returns when a hold ends that is made now.
func (w *work) ends(l ledger.Lifetime) ledger.Time {
	switch {
	case l.Never:
		return 0
	case l.At != 0:
		w.no(ledger.Invalid, l.At <= w.now)
		return l.At
	case l.For == 0:
		return w.now.Add(ledger.DefaultHoldLife)
	}
	w.no(ledger.Invalid, l.For < time.Microsecond)
	return w.now.Add(l.For)
}

// openHold finds a hold that may still be used.
func (w *work) openHold(id string) *held {
	h := w.holds[id]
	if w.no(ledger.NotFound, h == nil) || w.no(ledger.HoldExpired, h.state == ledger.HoldGone) || w.no(ledger.HoldClosed, h.state != ledger.HoldOpen) {
		return nil
	}
	return h
}

// set0 sets an amount aside for a hold.
func (b *book) set0(h *held, n *big.Int) {
	h.amount.Add(h.amount, n)
	h.remaining.Add(h.remaining, n)
	for _, up := range b.path(h.owner) {
		b.accounts[up].held.Add(b.accounts[up].held, n)
	}
}

// free takes an amount off what is held.
func (b *book) free(h *held, n *big.Int) {
	for _, up := range b.path(h.owner) {
		b.accounts[up].held.Sub(b.accounts[up].held, n)
	}
	h.remaining = new(big.Int).Sub(h.remaining, n)
}

func (b *book) close(h *held, state ledger.HoldState) {
	h.state = state
	for _, up := range b.path(h.owner) {
		b.accounts[up].open--
	}
}

// more raises a hold.
func (w *work) more(h *held, n *big.Int) {
	w.mustBe(ledger.StatusOpen, h.owner)
	w.spend(h.owner, n)
	if len(w.why) == 0 {
		w.set0(h, n)
	}
}

func (w *work) capture(_ int, op *ledger.Capture) {
	w.take(op.ID)
	w.no(ledger.Invalid, op.ID != "" && op.ID != w.c.ID && len(op.To) > 1)
	for _, p := range op.To {
		w.no(ledger.Invalid, p.Amount.Sign() <= 0)
	}
	h := w.openHold(op.Hold)
	if h == nil {
		return
	}
	to := op.To
	if len(to) == 0 {
		to = []ledger.Payee{{To: w.revenue(w.accounts[h.owner].unit), Amount: amountOf(h.remaining)}}
	}
	total := new(big.Int)
	for _, p := range to {
		total.Add(total, p.Amount.Big())
		if w.known(p.To) {
			w.mayReceive(h.owner, p.To)
		}
	}
	if extra := new(big.Int).Sub(total, h.remaining); extra.Sign() > 0 {
		w.more(h, extra)
	}
	if len(w.why) > 0 {
		return
	}
	w.free(h, total)
	h.captured.Add(h.captured, total)
	for _, p := range to {
		w.pay(op.ID, h.owner, p.To, p.Amount.Big()).captured = true
	}
	if op.Final || h.remaining.Sign() == 0 {
		w.free(h, h.remaining)
		w.close(h, ledger.HoldCaptured)
	}
}

func (w *work) revenue(unit string) ledger.AccountID {
	for id, a := range w.accounts {
		if _, _, role := id.System(); a.system && role == ledger.Revenue && a.unit == unit {
			return id
		}
	}
	panic("ledgertest: no @revenue in " + unit)
}

func (w *work) openAccount(op *ledger.OpenAccount) {
	w.no(ledger.Exists, w.accounts[op.ID] != nil)
	for _, b := range w.m.books { // an id is one account's, wherever
		w.no(ledger.Exists, b.accounts[op.ID] != nil)
	}
	a := &account{parent: op.Parent, unit: op.Unit, drawing: op.Mode == ledger.Drawing,
		posted: new(big.Int), held: new(big.Int), limit: op.Limit.Big()}
	if op.Cap != nil {
		a.cap = op.Cap.Big()
	}
	if !op.Parent.IsZero() {
		if !w.known(op.Parent) {
			return
		}
		w.no(ledger.Closed, w.openness(op.Parent) == ledger.StatusClosed)
		depth := 2
		for up := w.accounts[op.Parent]; !up.parent.IsZero(); up = w.accounts[up.parent] {
			depth++
		}
		w.no(ledger.TooMany, depth > ledger.MaxDepth)
		if a.unit == "" {
			a.unit = w.accounts[op.Parent].unit
		}
	}
	if len(w.why) == 0 {
		w.accounts[op.ID] = a
	}
}

func (w *work) set(op *ledger.SetAccount) {
	if !w.known(op.Account) {
		return
	}
	a := w.accounts[op.Account]
	if op.Cap != nil {
		w.no(ledger.Invalid, !a.drawing)
		a.cap = op.Cap.Big()
	}
	if op.NoCap {
		a.cap = nil
	}
	if op.Limit != nil {
		w.no(ledger.Invalid, a.drawing && op.Limit.Sign() != 0)
		was := a.limit
		a.limit = op.Limit.Big()
		if !op.Force && a.limit.Cmp(was) < 0 && a.spendable().Sign() < 0 {
			w.why = append(w.why, ledger.Refusal{Code: ledger.Insufficient, Account: op.Account, By: ledger.CreditLimit,
				Required: amountOf(new(big.Int).Neg(a.limit)), Spendable: amountOf(new(big.Int).Sub(a.posted, a.held))})
		}
	}
	if op.Status == nil {
		return
	}
	was := a.status
	a.status = *op.Status
	if a.status == ledger.StatusClosed && was != ledger.StatusClosed {
		busy := a.open > 0 || !a.drawing && (a.posted.Sign() != 0 || a.held.Sign() != 0)
		for _, child := range w.accounts {
			busy = busy || child.parent == op.Account && child.status != ledger.StatusClosed
		}
		w.no(ledger.NotEmpty, busy)
	}
	if was == ledger.StatusClosed && a.status != was && !a.parent.IsZero() {
		w.no(ledger.Closed, w.openness(a.parent) == ledger.StatusClosed)
	}
}

func (w *work) record(op *ledger.RecordWrite) {
	r := w.records[op.Key]
	var version uint64
	if r != nil {
		version = r.version
	}
	w.no(ledger.Exists, op.Expect == 0 && r != nil)
	w.no(ledger.Changed, op.Expect != 0 && op.Expect != ledger.AnyVersion && op.Expect != version)
	w.no(ledger.NotFound, r == nil && (op.Delete || op.Keep))
	if len(w.why) > 0 {
		return
	}
	if op.Delete {
		delete(w.records, op.Key)
		return
	}
	next := &record{}
	if r != nil {
		next.count = r.count
	}
	for _, c := range op.Counters {
		next.count += c.Value
	}
	w.records[op.Key] = next
}

// wrote tells the model the seq of the event that carried out its last command:
// it is the version of the records that the command wrote.
func (m *Model) wrote(id ledger.BookID, seq uint64) {
	for _, r := range m.books[id].records {
		if r.version == 0 {
			r.version = seq
		}
	}
}

// copy returns a book that shares nothing with b.
func (b *book) copy() *book {
	c := *b
	c.accounts, c.holds, c.paid = map[ledger.AccountID]*account{}, map[string]*held{}, nil
	for id, a := range b.accounts {
		a := *a
		a.posted, a.held, a.limit, a.cap = same(a.posted), same(a.held), same(a.limit), same(a.cap)
		c.accounts[id] = &a
	}
	for id, h := range b.holds {
		h := *h
		h.amount, h.remaining, h.captured = same(h.amount), same(h.remaining), same(h.captured)
		c.holds[id] = &h
	}
	for _, p := range b.paid {
		p := *p
		p.refunded = same(p.refunded)
		c.paid = append(c.paid, &p)
	}
	c.names, c.records = maps.Clone(b.names), maps.Clone(b.records) // records are replaced, not changed
	return &c
}

func same(n *big.Int) *big.Int {
	if n == nil {
		return nil
	}
	return new(big.Int).Set(n)
}

// Clone returns a command that shares nothing with c.
func Clone(c *ledger.Command) *ledger.Command {
	return deepCopy(reflect.ValueOf(c)).Interface().(*ledger.Command)
}

// Describe spells out what a command asks for, whoever asks it.
func Describe(c *ledger.Command) string {
	var b strings.Builder
	fmt.Fprint(&b, "book ", c.Book, ": ")
	describe(&b, reflect.ValueOf(c.Ops))
	describe(&b, reflect.ValueOf(c.Records))
	return b.String()
}
