package ledger

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"saldo/money"
)

// Decide answers a command that a book's state is ready for, at a time: with
// the event that it makes, with a refusal, or with both when the refusal is to
// be remembered. The command's own id is not taken; what is due by then has
// been made to expire.
func Decide(s State, now Time, c *Command) (*Event, *Refusal) {
	var d decision
	return d.decide(s, now, c)
}

// A decision is the making of one event. Its rows are copies of the accounts
// that the command has touched so far, in the order of the event's Touched.
type decision struct {
	s     State
	now   Time
	c     *Command
	e     *Event
	rows  []Account
	found places[AccountID] // of rows
	holds map[Ref]*Hold     // changed by this command
	pasts map[TransferAt]money.Amount
	ids   refs // taken by this command
	units []money.Unit
}

func (d *decision) decide(s State, now Time, c *Command) (*Event, *Refusal) {
	head := s.Head()
	e := &Event{Seq: head.Seq + 1, Time: max(now, head.Time), Actor: c.Actor, ID: c.ID}
	d.found.reset()
	d.ids.clear()
	if len(d.holds) > 64 {
		d.holds = nil
	}
	clear(d.holds)
	*d = decision{s: s, now: e.Time, c: c, e: e, rows: d.rows[:0], found: d.found, ids: d.ids, holds: d.holds, units: head.Units}
	if c.ID != "" {
		e.Print = c.Print()
	}
	if len(c.Ops) > 0 && isOp[*Transfer](c.Ops[0]) {
		e.Transfers = make([]Posting, 0, len(c.Ops))
	}
	if n := len(c.Records); n > 0 {
		e.Records = make([]RecordChange, 0, n)
	}
	r := d.valid(head)
	for i := 0; r == nil && i < len(c.Ops); i++ {
		if r = d.op(c.Ops[i]); r != nil {
			r.Op = i
		}
	}
	for i := 0; r == nil && i < len(c.Records); i++ {
		if r = d.record(&c.Records[i]); r != nil {
			r.Op = len(c.Ops) + i
		}
	}
	if r == nil {
		e.Answer = d.text(c.Answer)
		d.finish()
		return e, nil
	}
	final := r.remembered() || c.own && r.Code != Internal    // a step's outcome is everybody's who takes the next
	if !c.Remember || c.ID == "" || !final || head.Seq == 0 { // there is no book to remember it
		return nil, r
	}
	return &Event{Seq: e.Seq, Time: e.Time, Actor: e.Actor, ID: e.ID, Print: e.Print, Refused: r}, r
}

// remembered reports whether a refusal is for funds or state: a later repeat
// must not find another answer.
func (r *Refusal) remembered() bool {
	switch r.Code {
	case Insufficient, Frozen, Closed, HoldClosed, HoldExpired, NotEmpty, OverRefund:
		return true
	}
	return false
}

func refuse(code Code, detail string) *Refusal { return &Refusal{Code: code, Detail: detail} }

func refuseAt(code Code, id AccountID, detail string) *Refusal {
	return &Refusal{Code: code, Account: id, Detail: detail}
}

// valid checks what holds for every command.
func (d *decision) valid(head *Head) *Refusal {
	c := d.c
	first := len(c.Ops) > 0 && isOp[*OpenBook](c.Ops[0])
	switch {
	case head.Seq == 0 && !first:
		return refuse(NotFound, "the book does not exist")
	case head.Seq > 0 && first:
		return refuse(Exists, "the book exists already")
	case head.Seq > 0 && head.Tenant != c.Tenant:
		return refuse(NotFound, "the book does not exist")
	case len(c.Ops)+len(c.Records) == 0:
		return refuse(Invalid, "the command asks for nothing")
	case len(c.Ops) > MaxOps:
		return refuse(TooMany, "a command has at most 8192 operations")
	case c.Answer != nil && len(c.Answer.Data) > MaxRecord:
		return refuse(TooMany, "an answer has at most 256 KiB")
	case len(c.Records) > MaxRecords:
		return refuse(TooMany, "a command writes at most 64 records")
	case c.ID != "" && !c.own && !ValidID(c.ID):
		return refuse(Invalid, "an id is 1 to 255 printable ASCII characters")
	case c.ID != "" && !c.own && reserved(c.ID):
		return refuse(Invalid, reservedID)
	}
	if due := d.s.NextDue(); due != 0 && due <= d.now && !(len(c.Ops) == 1 && isOp[*Expire](c.Ops[0])) {
		return refuse(Internal, "a hold is due and was not made to expire first")
	}
	return nil
}

func isOp[T Op](o Op) bool { _, ok := o.(T); return ok }

// ValidID reports whether s may be a caller's id: 1 to 255 printable ASCII
// characters, the space not at either end.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxID || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// reserved reports whether an id is one that a transfer has of which its caller
// said none: a command's id, "#" and a number. Only what takes an id asks: an
// earlier command may have such a one, and its repeat gets its answer.
func reserved(id string) bool {
	whole, _, ok := splitNumber(id)
	return ok && ValidID(whole)
}

const reservedID = "an id does not end in # and a number: so are transfers called that have no id of their own"

func (d *decision) op(op Op) *Refusal {
	switch op := op.(type) {
	case *Transfer:
		return d.transfer(op)
	case *Refund:
		return d.refund(op)
	case *PlaceHold:
		return d.place(op)
	case *Capture:
		return d.capture(op)
	case *Release:
		return d.release(op)
	case *Extend:
		return d.extend(op)
	case *Raise:
		return d.raise(op)
	case *Expire:
		return d.expire(op)
	case *OpenAccount:
		return d.open(op)
	case *SetAccount:
		return d.set(op)
	case *Erase:
		return d.erase(op)
	case *AddUnit:
		return d.addUnit(op.Unit)
	case *OpenBook:
		d.e.Tenant = d.c.Tenant
		if d.e.Seq != 1 {
			return refuse(Exists, "the book exists already")
		}
		return nil
	}
	return refuse(Invalid, "unknown operation")
}

// text notes a free text and returns its number, 0 for none.
func (d *decision) text(t *Text) uint32 {
	if t == nil {
		return 0
	}
	d.e.Texts = append(d.e.Texts, t.DigestOf())
	d.e.Beside = append(d.e.Beside, *t)
	return uint32(len(d.e.Texts))
}

// take takes an id of its own for an operation in a batch. The command's own id
// is not for this: "" is returned for it.
func (d *decision) take(id string) (string, *Refusal) {
	if id == "" || id == d.c.ID {
		return "", nil
	}
	if !ValidID(id) {
		return "", refuse(Invalid, "an id is 1 to 255 printable ASCII characters")
	}
	if reserved(id) {
		return "", refuse(Invalid, reservedID)
	}
	ref, taken := d.s.Taken(id)
	if taken || !d.ids.add(ref) {
		return "", refuse(IDTaken, "the id "+quote(id)+" was used before")
	}
	return id, nil
}

// lookup returns the row of an account as the command has left it, or nil.
func (d *decision) lookup(id AccountID) *Account {
	if i := d.found.find(id); i >= 0 {
		return &d.rows[i]
	}
	a := d.s.Account(id)
	if a == nil && id.IsSystem() {
		return d.system(id)
	}
	if a == nil || a.Tenant != d.c.Tenant || a.Book != d.c.Book {
		return nil
	}
	return a
}

// system returns the row of a system account that nothing has touched yet.
func (d *decision) system(id AccountID) *Account {
	book, unit, role := id.System()
	if book != d.c.Book || int(unit) >= len(d.units) || role < Cash || role > Fees {
		return nil
	}
	return newSystem(id, d.c.Tenant, d.now)
}

// newSystem returns the empty row of a system account.
func newSystem(id AccountID, tenant TenantID, now Time) *Account {
	book, unit, _ := id.System()
	return &Account{ID: id, Tenant: tenant, Book: book, Unit: unit, Mode: System, Depth: 1, Created: now}
}

// touch returns the number of the row of an account that will change, or -1.
func (d *decision) touch(id AccountID) int {
	if i := d.found.find(id); i >= 0 {
		return i
	}
	a := d.lookup(id)
	if a == nil {
		return -1
	}
	return d.add(a)
}

func (d *decision) add(a *Account) int {
	d.rows = append(d.rows, *a)
	d.found.add(a.ID)
	return len(d.rows) - 1
}

// finish writes down the balances of every account that was touched.
func (d *decision) finish() {
	if len(d.rows) == 0 {
		return
	}
	d.e.Touched = make([]After, len(d.rows))
	for i := range d.rows {
		d.e.Touched[i] = afterOf(&d.rows[i])
	}
}

func afterOf(a *Account) After {
	after := After{Account: a.ID, Posted: a.Posted, Held: a.Held, Limit: a.Limit}
	if a.HasCap {
		after.Limit, after.Capped = a.Cap, true
	}
	return after
}

func (d *decision) status(a *Account) Status { return status(d.lookup, a) }

// unit returns the code of a unit for a refusal's text.
func (d *decision) unit(i uint32) string {
	if int(i) < len(d.units) {
		return d.units[i].Code
	}
	return "?"
}

func (d *decision) addUnit(u money.Unit) *Refusal {
	if err := u.Validate(); err != nil {
		return refuse(Invalid, err.Error())
	}
	for _, known := range d.units {
		if known.Code == u.Code {
			if known != u {
				return refuse(Exists, "the unit "+u.Code+" exists with another scale or kind, which are fixed for ever")
			}
			return nil
		}
	}
	d.units = append(d.units[:len(d.units):len(d.units)], u)
	d.e.Units = append(d.e.Units, u)
	return nil
}

// record decides a record write.
func (d *decision) record(w *RecordWrite) *Refusal {
	switch {
	case !validName(w.Kind, 32) || !validName(w.Key, MaxID):
		return refuse(Invalid, "a record needs a kind of 1 to 32 and a key of 1 to 255 bytes without NUL")
	case len(w.Data) > MaxRecord:
		return refuse(TooMany, "a record has at most 256 KiB")
	case w.Delete && w.Keep:
		return refuse(Invalid, "a record is either deleted or kept")
	case len(w.Index) > MaxEntries || len(w.Counters) > MaxEntries:
		return refuse(TooMany, "a record has at most 64 index entries and 64 counters")
	case w.Deadline < 0 || w.Deadline > MaxTime:
		return refuse(Invalid, "a record's deadline is a time up to the year 9999")
	}
	for i := range d.e.Records {
		if d.e.Records[i].Kind == w.Kind && d.e.Records[i].Key == w.Key {
			return refuse(Invalid, "a command writes a record once")
		}
	}
	was := d.s.Record(w.Kind, w.Key)
	var version uint64
	if was != nil {
		version = was.Version
	}
	if w.Expect != AnyVersion && w.Expect != version {
		if w.Expect == 0 {
			return refuse(Exists, "the record exists already")
		}
		return refuse(Changed, "the record is not at the version that was expected")
	}
	if was == nil && (w.Delete || w.Keep) {
		return refuse(NotFound, "the record does not exist")
	}
	ch := RecordChange{Kind: w.Kind, Key: w.Key, Keep: w.Keep}
	if w.Delete {
		d.e.Records = append(d.e.Records, ch)
		return nil
	}
	ch.Version = d.e.Seq
	for _, add := range w.Counters {
		if !validName(add.Name, 32) {
			return refuse(Invalid, "a counter has a name of 1 to 32 bytes without NUL")
		}
	}
	var ok bool
	if ch.Counters, ok = addCounters(was, w.Counters); !ok {
		return refuse(Overflow, "a record's counter would pass 63 bits")
	}
	if len(ch.Counters) > MaxEntries {
		return refuse(TooMany, "a record has at most 64 counters")
	}
	if !w.Keep {
		for _, x := range w.Index {
			if !validName(x.Name, 32) || len(x.Value) > MaxID || hasNUL(x.Value) {
				return refuse(Invalid, "an index entry has a name of 1 to 32 and a value of up to 255 bytes without NUL")
			}
		}
		ch.Index = sortedIndex(w.Index)
		ch.Deadline = w.Deadline
		if len(w.Data) > inlineRecord {
			ch.Text = d.text(&Text{Salt: w.Salt, Data: w.Data})
		} else if len(w.Data) > 0 {
			ch.Data = w.Data
		}
	}
	d.e.Records = append(d.e.Records, ch)
	return nil
}

func validName(s string, max int) bool { return s != "" && len(s) <= max && !hasNUL(s) }

func hasNUL(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

// sortedIndex returns index entries sorted, which may be the very same.
func sortedIndex(index []IndexEntry) []IndexEntry {
	if len(index) == 0 {
		return nil
	}
	compare := func(a, b IndexEntry) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	}
	if slices.IsSortedFunc(index, compare) {
		return index
	}
	return slices.SortedFunc(slices.Values(index), compare)
}

// addCounters returns a record's counters with some added, sorted by name.
func addCounters(was *Record, add []Counter) ([]Counter, bool) {
	var sum []Counter
	if was != nil {
		sum = append(sum, was.Counters...)
	}
next:
	for _, c := range add {
		for i := range sum {
			if sum[i].Name == c.Name {
				v := sum[i].Value + c.Value
				if (v > sum[i].Value) != (c.Value > 0) && c.Value != 0 {
					return nil, false
				}
				sum[i].Value = v
				continue next
			}
		}
		sum = append(sum, c)
	}
	sort.Slice(sum, func(i, j int) bool { return sum[i].Name < sum[j].Name })
	return sum, true
}

// quote returns an id as it may stand in a refusal's text.
func quote(id string) string {
	if len(id) > 64 {
		id = id[:64] + "…"
	}
	return `"` + id + `"`
}
