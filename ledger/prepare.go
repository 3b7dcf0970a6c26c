package ledger

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"saldo/money"
)

// used is where an id was used.
type used struct{ at TransferAt }

// refunded is how much of a transfer was refunded.
type refunded struct{ amount money.Amount }

// A prepared command has every row that deciding it may need, pinned.
type prepared struct {
	c    *Command // nil: only make what is due expire
	book *book
	ref  Ref          // of the command's id
	own  *entry[used] // nil when it has none

	accounts pins[AccountID, Account]
	holds    pins[Ref, Hold]
	records  pins[RecordKey, Record]
	ids      pins[Ref, used]
	names    []string // of the ids, in the same order
	refunds  pins[TransferAt, refunded]
	pasts    map[string]*Past
	keys     Keys // room for load

	tails []Tail // that the loop has to follow, of a shared store

	lean *lean // what the caller has taken for granted; nil: nothing

	forgotten uint64 // how often rows were forgotten before it was prepared

	commit *Commit // that it was decided in, if somebody wants to know

	waiter
}

var preparedPool = sync.Pool{New: func() any {
	return &prepared{waiter: waiter{done: make(chan struct{}, 1)}}
}}

// newPrepared returns a prepared command with room from an earlier one.
func newPrepared(c *Command, b *book) *prepared {
	p := preparedPool.Get().(*prepared)
	p.c, p.book = c, b
	return p
}

// recycle gives a command's room to later ones. Nobody else may have it: it was
// answered, or never queued.
func (p *prepared) recycle() {
	p.c, p.book, p.own, p.pasts, p.tails, p.lean, p.commit = nil, nil, nil, nil, nil, nil, nil
	p.res, p.err, p.again = Result{}, nil, nil
	p.taken.Store(false)
	p.accounts.reset()
	p.holds.reset()
	p.records.reset()
	p.ids.reset()
	clear(p.names)
	if p.names = p.names[:0]; cap(p.names) > keptPlaces {
		p.names = nil
	}
	p.refunds.reset()
	preparedPool.Put(p)
}

// pins is a small map of pinned entries, in the order in which they were added.
type pins[K comparable, V any] struct {
	places[K]
	entries []*entry[V] // of keys
	spare   []entry[V]  // that no key has yet
}

func (p *pins[K, V]) find(k K) *entry[V] {
	if i := p.places.find(k); i >= 0 {
		return p.entries[i]
	}
	return nil
}

// add pins the entry of a key unless it is here.
func (p *pins[K, V]) add(c *cache[K, V], k K) *entry[V] {
	if e := p.find(k); e != nil {
		return e
	}
	return p.push(c, k)
}

// grow makes room for n keys.
func (p *pins[K, V]) grow(n int) {
	p.keys, p.entries = slices.Grow(p.keys, n), slices.Grow(p.entries, n)
}

// push pins the entry of a key. One that is here already is pinned twice.
func (p *pins[K, V]) push(c *cache[K, V], k K) *entry[V] {
	e := c.pinIn(k, &p.spare)
	p.places.add(k)
	p.entries = append(p.entries, e)
	return e
}

// reset forgets the entries, which are unpinned, and keeps the room if it is small.
func (p *pins[K, V]) reset() {
	p.places.reset()
	clear(p.entries)
	p.entries, p.spare = p.entries[:0], nil
	if cap(p.entries) > keptPlaces {
		p.entries = nil
	}
}

func (p *pins[K, V]) unpin(c *cache[K, V]) {
	for i, e := range p.entries {
		c.unpin(p.keys[i], e)
	}
}

// unpin gives back what prepare has pinned.
func (l *Ledger) unpin(p *prepared) {
	if p.own != nil {
		l.ids.unpin(p.ref, p.own)
	}
	p.accounts.unpin(l.accounts)
	p.holds.unpin(l.holds)
	p.records.unpin(l.records)
	p.ids.unpin(l.ids)
	p.refunds.unpin(l.refunds)
	if l.shared == nil && p.c != nil {
		l.letGo(p)
	}
}

// letGo forgets rows of a command that nobody is expected to ask for soon, so that
// others stay.
func (l *Ledger) letGo(p *prepared) {
	for i, e := range p.holds.entries {
		if h, _ := l.holds.value(e); h != nil && h.State != HoldOpen {
			l.holds.drop(p.holds.keys[i], e)
		}
	}
	for i := range p.c.Records {
		w := &p.c.Records[i]
		k := RecordKey{p.book.id, w.Kind, w.Key}
		if e := p.records.find(k); e != nil && (w.Cold || w.Delete) {
			l.records.drop(k, e)
		}
	}
}

// prepare pins and loads what a command needs. On an error nothing stays pinned.
func (l *Ledger) prepare(ctx context.Context, p *prepared) error {
	c := p.c
	if c.ID != "" {
		p.ref = RefOf(c.Tenant, c.ID)
		p.own = l.ids.pin(p.ref)
	}
	if n := len(c.Ops); n > 16 {
		p.accounts.grow(n)
		p.ids.grow(n)
		if l.ids.max == 0 { // they go together, as soon as the command is answered
			p.ids.spare = make([]entry[used], n)
		}
	}
	for _, op := range c.Ops {
		l.plan(p, op)
	}
	if l.hopes() {
		l.hope(p)
	}
	for i := range c.Records {
		w := &c.Records[i]
		e := p.records.add(l.records, RecordKey{p.book.id, w.Kind, w.Key})
		if w.Fresh {
			l.records.fill(e, nil)
		}
	}
	err := l.load(ctx, p)
	for n := 0; err == nil && l.follow(p, &n); {
		err = l.load(ctx, p)
	}
	if err == nil && p.pasts != nil {
		err = l.loadPasts(ctx, p)
		for n := 0; err == nil && l.follow(p, &n); {
			err = l.load(ctx, p)
		}
	}
	if err != nil {
		l.unpin(p)
	}
	return err
}

// hopes reports whether the ids of commands are taken to be new without a look
// at the store, which would cost each command a round trip. A shared store
// refuses an id that is not; and when that happens, ids are looked up for a
// while, so that many repeats do not hold up everyone.
func (l *Ledger) hopes() bool {
	return l.shared != nil && int64(age()) >= l.repeats.Load()
}

// hope takes the id of a command to be new. Ids of operations are not hoped for:
// the event of a refusal does not take them.
func (l *Ledger) hope(p *prepared) {
	if p.own != nil {
		l.ids.fill(p.own, nil)
	}
}

// refOf returns the Ref of an id, from where prepare has put it if the id is the
// next that is asked for.
func (p *prepared) refOf(id string) Ref {
	for _, i := range [2]int{p.ids.next, 0} {
		if i < len(p.names) && p.names[i] == id {
			return p.ids.keys[i]
		}
	}
	return RefOf(p.c.Tenant, id)
}

// plan pins what an operation names.
func (l *Ledger) plan(p *prepared, op Op) {
	account := func(id AccountID) {
		// To look through all of them would cost more than to pin one twice.
		if !id.IsZero() && p.accounts.near(id) < 0 {
			p.accounts.push(l.accounts, id)
		}
	}
	own := func(id string) {
		if id != "" && id != p.c.ID {
			p.ids.push(l.ids, RefOf(p.c.Tenant, id))
			p.names = append(p.names, id)
		}
	}
	hold := func(id string) { p.holds.add(l.holds, RefOf(p.c.Tenant, id)) }
	held := func(id string, noMove bool) {
		hold(id)
		if !noMove {
			p.records.add(l.records, RecordKey{p.book.id, moveKind, id})
		}
	}
	switch op := op.(type) {
	case *Transfer:
		own(op.ID)
		account(op.From)
		account(op.To)
	case *Refund:
		own(op.ID)
		if p.pasts == nil {
			p.pasts = make(map[string]*Past)
		}
		p.pasts[op.Of] = nil
	case *PlaceHold:
		own(op.ID)
		account(op.Account)
		if op.ID != "" {
			hold(op.ID)
		} else {
			hold(p.c.ID)
		}
	case *Capture:
		own(op.ID)
		held(op.Hold, op.NoMove)
		for _, to := range op.To {
			account(to.To)
		}
	case *Release:
		held(op.Hold, op.NoMove)
	case *Extend:
		held(op.Hold, false)
	case *Raise:
		held(op.Hold, false)
	case *Expire:
		for _, ref := range op.Holds {
			p.holds.add(l.holds, ref)
		}
	case *OpenAccount:
		account(op.ID)
		account(op.Parent)
	case *SetAccount:
		account(op.Account)
	case *Erase:
		account(op.Account)
	}
}

// follow pins what the rows that are loaded lead to: the accounts above an
// account, the accounts of a hold. n counts the accounts that were followed. It
// reports whether there is more to load.
func (l *Ledger) follow(p *prepared, n *int) bool {
	before := len(p.accounts.keys)
	if *n == 0 {
		for _, e := range p.holds.entries {
			if h, _ := l.holds.value(e); h != nil {
				p.accounts.add(l.accounts, h.Account)
				if !h.Via.IsZero() {
					p.accounts.add(l.accounts, h.Via)
				}
			}
		}
		for _, past := range p.pasts {
			if past == nil {
				continue
			}
			for _, id := range []AccountID{past.Posting.From, past.Posting.To, past.Posting.Via} {
				if !id.IsZero() {
					p.accounts.add(l.accounts, id)
				}
			}
		}
	}
	for ; *n < len(p.accounts.keys); *n++ {
		a, ok := l.accounts.value(p.accounts.entries[*n])
		if !ok {
			break
		}
		if a == nil {
			continue
		}
		if !a.Parent.IsZero() {
			p.accounts.add(l.accounts, a.Parent)
		}
		if len(p.holds.keys) > 0 && a.Book == p.book.id {
			p.accounts.add(l.accounts, SystemID(a.Book, a.Unit, Revenue))
		}
	}
	return len(p.accounts.keys) > before
}

// load loads every pinned row that is not here yet, in one round trip.
func (l *Ledger) load(ctx context.Context, p *prepared) error {
	keys := &p.keys
	keys.Accounts = missing(l.accounts, &p.accounts, keys.Accounts[:0])
	var later bool
	keys.Holds, later = l.missingHolds(p, keys.Holds[:0])
	keys.IDs = missing(l.ids, &p.ids, keys.IDs[:0])
	keys.Refunds = missing(l.refunds, &p.refunds, keys.Refunds[:0])
	keys.Records = missing(l.records, &p.records, keys.Records[:0])
	ownMissing := false
	if p.own != nil {
		if _, ok := l.ids.value(p.own); !ok {
			ownMissing = true
			keys.IDs = append(keys.IDs, p.ref)
		}
	}
	if len(keys.Accounts)+len(keys.Holds)+len(keys.IDs)+len(keys.Refunds)+len(keys.Records) == 0 {
		return nil
	}
	snap, err := l.loader.load(ctx, keys)
	if err != nil {
		return err
	}
	for i, id := range keys.Accounts {
		l.accounts.fill(p.accounts.find(id), snap.Accounts[i])
	}
	for i, ref := range keys.Holds {
		l.holds.fill(p.holds.find(ref), snap.Holds[i])
	}
	for i, k := range keys.Records {
		l.records.fill(p.records.find(k), snap.Records[i])
	}
	for i, at := range keys.Refunds {
		l.refunds.fill(p.refunds.find(at), &refunded{snap.Refunds[i]})
	}
	for i, ref := range keys.IDs {
		var u *used
		if snap.IDs[i] != nil {
			u = &used{*snap.IDs[i]}
		}
		if ownMissing && i == len(keys.IDs)-1 {
			l.ids.fill(p.own, u)
		} else {
			l.ids.fill(p.ids.find(ref), u)
		}
	}
	if later {
		return l.load(ctx, p) // which loads nothing, unless an id was used before
	}
	return nil
}

// missingHolds is missing of holds. A hold that the command may be about to
// place is not looked up: there is none if its id was never used. Later says
// that it is not known yet whether it was.
func (l *Ledger) missingHolds(p *prepared, keys []Ref) (_ []Ref, later bool) {
	for i, e := range p.holds.entries {
		if _, ok := l.holds.value(e); ok {
			continue
		}
		ref, id := p.holds.keys[i], p.own
		if id == nil || ref != p.ref {
			id = p.ids.find(ref)
		}
		if id == nil {
			keys = append(keys, ref)
			continue
		}
		switch u, known := l.ids.value(id); {
		case !known:
			later = true
		case u == nil:
			l.holds.fill(e, nil)
		default:
			keys = append(keys, ref)
		}
	}
	return keys, later
}

func missing[K comparable, V any](c *cache[K, V], p *pins[K, V], keys []K) []K {
	for i, e := range p.entries {
		if _, ok := c.value(e); !ok {
			keys = append(keys, p.keys[i])
		}
	}
	return keys
}

// loadPasts finds the transfers that refunds name.
func (l *Ledger) loadPasts(ctx context.Context, p *prepared) error {
	for of := range p.pasts {
		book, e, n, err := l.Find(ctx, p.c.Tenant, of)
		if err != nil || book != p.book.id || n >= len(e.Transfers) {
			if err != nil && CodeOf(err) != NotFound {
				return err
			}
			continue
		}
		if of != e.TransferID(n) && of != e.ID+"#"+itoa(n) {
			continue // the id is a hold's, or a command's that names no one transfer
		}
		at := TransferAt{book, e.Seq, uint32(n)}
		p.refunds.add(l.refunds, at)
		p.pasts[of] = &Past{At: at, Posting: e.Transfers[n]}
	}
	return l.load(ctx, p)
}

// splitNumber splits an id that ends in "#" and a number.
func splitNumber(id string) (string, int, bool) {
	i := strings.LastIndexByte(id, '#')
	if i < 1 {
		return id, 0, false
	}
	n, err := strconv.Atoi(id[i+1:])
	if err != nil || n < 0 || n >= MaxOps*MaxPayees || strconv.Itoa(n) != id[i+1:] {
		return id, 0, false
	}
	return id[:i], n, true
}

// A round is what the loop works on: the pinned rows of the commands that it
// has taken, and which of them it has changed. It is the Working of one command
// at a time.
type round struct {
	l      *Ledger
	ctx    context.Context
	p      *prepared
	failed error // of a late load: what was decided does not count

	accounts []*entry[Account]
	holds    []*entry[Hold]
	records  []*entry[Record]
	refunds  []changedRefund
	ids      []changedID
	spare    []used // that no id has yet
	books    []*book
	leaned   *book       // the operator's, when a command leans on it
	pinned   []*prepared // of the ledger's own commands
	out      Batch
}

type changedRefund struct {
	of TransferAt
	e  *entry[refunded]
}

type changedID struct {
	ref Ref
	e   *entry[used]
}

func (r *round) Head() *Head { return r.p.book.pending() }

func (r *round) Account(id AccountID) *Account {
	e := r.p.accounts.find(id)
	if e == nil {
		e = r.late(id)
	}
	return r.l.accounts.pending(e)
}

// late loads an account that was not prepared: rows that were made while the
// command waited behind others, an account or a hold, have led to it.
func (r *round) late(id AccountID) *entry[Account] {
	e := r.p.accounts.push(r.l.accounts, id)
	if _, ok := r.l.accounts.value(e); ok || e.next != nil {
		return e
	}
	snap, err := r.l.loadRows(r.ctx, &Keys{Accounts: []AccountID{id}})
	if err != nil {
		r.failed = err
		return e
	}
	r.l.accounts.fill(e, snap.Accounts[0])
	return e
}

func (r *round) Hold(ref Ref) *Hold {
	if e := r.p.holds.find(ref); e != nil {
		return r.l.holds.pending(e)
	}
	return nil
}

func (r *round) Record(kind, key string) *Record {
	if e := r.p.records.find(RecordKey{r.p.book.id, kind, key}); e != nil {
		return r.l.records.pending(e)
	}
	return nil
}

func (r *round) Past(of string) *Past {
	p := r.p.pasts[of]
	if p == nil {
		return nil
	}
	now := *p
	if e := r.p.refunds.find(p.At); e != nil {
		if v := r.l.refunds.pending(e); v != nil {
			now.Refunded = v.amount
		}
	}
	return &now
}

func (r *round) Taken(id string) (Ref, bool) {
	ref := r.p.refOf(id)
	e := r.p.ids.find(ref)
	return ref, e != nil && r.l.ids.pending(e) != nil
}

func (r *round) NextDue() Time { return r.l.due.earliest() }

func (r *round) EditHead() *Head {
	b := r.p.book
	if b.next == nil {
		next := *b.head.Load()
		b.next = &next
		b.from = next.Seq
		r.books = append(r.books, b)
	}
	return b.next
}

func (r *round) EditAccount(id AccountID) *Account {
	e := r.p.accounts.find(id)
	if e == nil {
		panic("ledger: account " + id.String() + " was not prepared")
	}
	if e.next == nil {
		next := new(Account)
		if v := r.l.accounts.pending(e); v != nil {
			*next = *v
		}
		e.next = next
		r.accounts = append(r.accounts, e)
	}
	return e.next
}

func (r *round) EditHold(ref Ref) *Hold {
	e := r.p.holds.find(ref)
	if e == nil {
		panic("ledger: a hold was not prepared")
	}
	if e.next == nil {
		next := new(Hold)
		if v := r.l.holds.pending(e); v != nil {
			*next = *v
		}
		e.next = next
		r.holds = append(r.holds, e)
	}
	return e.next
}

func (r *round) PutRecord(kind, key string, rec *Record) {
	e := r.p.records.find(RecordKey{r.p.book.id, kind, key})
	if e.next == nil {
		r.records = append(r.records, e)
	}
	if rec == nil {
		rec = r.l.records.none
	}
	e.next = rec
}

func (r *round) AddRefunded(of *TransferAt, p *Posting) error {
	e := r.p.refunds.find(*of)
	if e == nil {
		return Errorf(Internal, "a refund was not prepared")
	}
	var sum money.Amount
	if v := r.l.refunds.pending(e); v != nil {
		sum = v.amount
	}
	if e.next == nil {
		r.refunds = append(r.refunds, changedRefund{*of, e})
	}
	e.next = &refunded{saturate(sum.Add(p.Amount))}
	return nil
}

func (r *round) UseID(id string, at TransferAt) {
	ref, e := r.p.ref, r.p.own
	if id != r.p.c.ID {
		ref = r.p.refOf(id)
		e = r.p.ids.find(ref)
	}
	if e == nil {
		panic("ledger: an id was not prepared")
	}
	if len(r.spare) == 0 {
		r.spare = make([]used, 64)
	}
	e.next, r.spare = &r.spare[0], r.spare[1:]
	e.next.at = at
	r.ids = append(r.ids, changedID{ref, e})
}
