package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"saldo/money"
)

var errEvent = errors.New("ledger: not an event")

// DecodeEvent reads an event of a book. The event shares no memory with b.
func DecodeEvent(b []byte, book BookID) (*Event, error) {
	d := decoder{b: b, book: book}
	e := new(Event)
	if v := d.byte(); v != eventVersion {
		return nil, fmt.Errorf("%w: version %d; this program reads up to %d", errEvent, v, eventVersion)
	}
	e.Seq = d.uvarint()
	e.Time = d.time()
	e.Actor = d.uvarint()
	e.ID = d.string(MaxID)
	if e.ID != "" {
		d.copy(e.Print[:])
	}
	if code := Code(d.byte()); code != OK {
		e.Refused = d.refusal(code)
	} else {
		d.effects(e)
	}
	if d.bad || len(d.b) > 0 || e.Seq == 0 {
		return nil, errEvent
	}
	return e, nil
}

// A decoder reads from the front of b. After the first fault it is bad and reads zeros.
type decoder struct {
	b       []byte
	book    BookID
	touched []After
	texts   uint64 // the highest text that was named
	bad     bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

// check notes a fault where what was read cannot be.
func (d *decoder) check(ok bool) {
	if !ok {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) flags(n int) byte {
	f := d.byte()
	d.check(f>>n == 0)
	return f
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) u32() uint32 {
	v := d.uvarint()
	d.check(v < 1<<32)
	return uint32(v)
}

func (d *decoder) time() Time {
	v := d.uvarint()
	d.check(v < 1<<62)
	return Time(v)
}

// count reads how many entries follow, each of at least size bytes, and at
// least min of them.
func (d *decoder) count(min, size uint64) int {
	n := d.uvarint()
	if n < min || n > uint64(len(d.b))/size {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) amount() money.Amount {
	a, n := money.Varint(d.b)
	if n <= 0 {
		d.fail()
		return money.Amount{}
	}
	d.b = d.b[n:]
	return a
}

// nonzero reads an amount that a flag has announced.
func (d *decoder) nonzero() money.Amount {
	a := d.amount()
	d.check(!a.IsZero())
	return a
}

func (d *decoder) bytes(max int) []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > uint64(max) {
		d.fail()
		return nil
	}
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) string(max int) string { return string(d.bytes(max)) }

func (d *decoder) copy(dst []byte) {
	if len(d.b) < len(dst) {
		d.fail()
		return
	}
	copy(dst, d.b)
	d.b = d.b[len(dst):]
}

func (d *decoder) id() (id AccountID) {
	d.copy(id[:])
	d.check(!id.IsZero())
	return id
}

func (d *decoder) account() AccountID {
	n := d.uvarint()
	if n >= uint64(len(d.touched)) {
		d.fail()
		return AccountID{}
	}
	return d.touched[n].Account
}

// text reads which text, if the flag says that there is one.
func (d *decoder) text(present bool) uint32 {
	if !present {
		return 0
	}
	n := d.u32()
	d.check(n > 0)
	d.texts = max(d.texts, uint64(n))
	return n
}

func (d *decoder) refusal(code Code) *Refusal {
	r := &Refusal{Code: code, Op: int(d.u32())}
	r.By = Limit(d.byte())
	d.check(r.By <= Cap)
	if d.flags(1) != 0 {
		r.Account = d.id()
	}
	r.Required = d.amount()
	r.Spendable = d.amount()
	r.Detail = d.string(MaxText)
	return r
}

func (d *decoder) effects(e *Event) {
	has := d.uvarint()
	d.check(has>>11 == 0)
	if has&hasBook != 0 {
		e.Tenant = TenantID(d.u32())
	}
	d.check((has&hasBook != 0) == (e.Tenant != 0 || e.Seq == 1))
	if has&hasUnits != 0 {
		e.Units = entries(d, 3, (*decoder).unit)
	}
	if has&hasTouched != 0 {
		e.Touched = entries(d, 3, (*decoder).after)
		d.touched = e.Touched
		d.distinct()
	}
	if has&hasOpened != 0 {
		e.Opened = entries(d, 4, (*decoder).opened)
	}
	if has&hasSet != 0 {
		e.Set = entries(d, 2, (*decoder).setting)
	}
	if has&hasTransfers != 0 {
		e.Transfers = entries(d, 5, (*decoder).posting)
	}
	if has&hasHolds != 0 {
		e.Holds = entries(d, 24, (*decoder).hold)
	}
	if has&hasRecords != 0 {
		e.Records = entries(d, 8, (*decoder).record)
	}
	if has&hasErased != 0 {
		e.Erased = entries(d, 1, (*decoder).account)
	}
	if has&hasTexts != 0 {
		e.Texts = entries(d, 32, (*decoder).digest)
	}
	e.Answer = d.text(has&hasAnswer != 0)
	d.check(d.texts <= uint64(len(e.Texts)))
}

// entries reads a section: how many, and each.
func entries[T any](d *decoder, size uint64, read func(*decoder) T) []T {
	list := make([]T, d.count(1, size))
	for i := range list {
		if d.bad {
			return nil
		}
		list[i] = read(d)
	}
	return list
}

// distinct checks that no account is touched twice.
func (d *decoder) distinct() {
	seen := make(map[AccountID]bool, len(d.touched))
	for i := range d.touched {
		d.check(!seen[d.touched[i].Account])
		seen[d.touched[i].Account] = true
	}
}

func (d *decoder) unit() (u money.Unit) {
	u.Code = d.string(32)
	u.Scale = d.byte()
	u.Kind = money.Kind(d.byte())
	d.check(u.Scale <= money.MaxScale && (u.Kind == money.Currency || u.Kind == money.Credit))
	return u
}

func (d *decoder) after() (a After) {
	flags := d.flags(4)
	if flags&1 != 0 {
		role := Role(d.byte())
		d.check(role >= Cash && role <= Fees)
		a.Account = SystemID(d.book, d.u32(), role)
	} else {
		a.Account = d.id()
		d.check(!a.Account.IsSystem())
	}
	a.Posted = d.amount()
	if flags&2 != 0 {
		a.Held = d.nonzero()
	}
	a.Capped = flags&8 != 0
	if flags&4 != 0 {
		a.Limit = d.amount()
		d.check(a.Capped || !a.Limit.IsZero())
	}
	d.check(!a.Capped || flags&4 != 0)
	return a
}

func (d *decoder) opened() (o Opened) {
	o.Account = d.account()
	flags := d.flags(2)
	o.Mode = Mode(d.byte())
	d.check(o.Mode == Own || o.Mode == Drawing)
	o.Unit = d.u32()
	if flags&1 != 0 {
		o.Parent = d.id()
	}
	o.Profile = d.text(flags&2 != 0)
	return o
}

func (d *decoder) setting() (s Setting) {
	s.Account = d.account()
	flags := d.flags(6)
	s.HasStatus, s.HasLimit, s.HasCap, s.Forced = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0
	if s.HasStatus {
		s.Status = Status(d.byte())
		d.check(s.Status <= StatusClosed)
	}
	s.Profile = d.text(flags&16 != 0)
	s.Reason = d.text(flags&32 != 0)
	return s
}

func (d *decoder) posting() (p Posting) {
	flags := d.byte()
	kinds := d.byte()
	p.Kind, p.Back = TransferKind(kinds&15), TransferKind(kinds>>4)
	d.check(p.Kind >= TopUp && p.Kind <= Move && (p.Back == 0 || p.Kind == Refunding && p.Back <= Move && p.Back != Refunding))
	p.From = d.account()
	p.To = d.account()
	if flags&1 != 0 {
		p.Via = d.account()
	}
	p.Amount = d.amount()
	if flags&2 != 0 {
		p.Asked = d.nonzero()
	}
	p.Forced = flags&4 != 0
	if flags&8 != 0 {
		p.ID = d.string(MaxID)
		d.check(p.ID != "")
	}
	if flags&16 != 0 {
		p.Of = &TransferAt{Book: d.book, Seq: d.uvarint(), N: d.u32()}
	}
	if flags&32 != 0 {
		d.copy(p.Hold[:])
		d.check(!p.Hold.IsZero())
	}
	if flags&64 != 0 {
		p.Usage.Category = d.string(64)
		p.Usage.Count = d.amount()
		p.Usage.Unit = d.string(32)
		d.check(!p.Usage.IsZero())
	}
	p.Text = d.text(flags&128 != 0)
	return p
}

func (d *decoder) hold() (h HoldChange) {
	h.Act = HoldAct(d.byte())
	d.check(h.Act >= HoldPlaced && h.Act <= HoldLapsed)
	flags := d.flags(3)
	h.State = HoldState(d.byte())
	d.check(h.State >= HoldOpen && h.State <= HoldGone)
	d.copy(h.Ref[:])
	h.Account = d.account()
	if flags&1 != 0 {
		h.Via = d.account()
	}
	if flags&2 != 0 {
		h.ID = d.string(MaxID)
		d.check(h.ID != "")
	}
	h.Amount = d.amount()
	h.Remaining = d.amount()
	h.Captured = d.amount()
	h.Expires = d.time()
	h.Text = d.text(flags&4 != 0)
	return h
}

func (d *decoder) record() (r RecordChange) {
	r.Kind = d.string(MaxID)
	r.Key = d.string(MaxID)
	r.Version = d.uvarint()
	flags := d.flags(2)
	r.Keep = flags&1 != 0
	if flags&2 != 0 {
		r.Text = d.text(true)
	} else if data := d.bytes(inlineRecord); len(data) > 0 {
		r.Data = append([]byte(nil), data...)
	}
	if n := d.count(0, 2); n > 0 {
		r.Index = make([]IndexEntry, n)
		for i := range r.Index {
			r.Index[i] = IndexEntry{d.string(MaxID), d.string(MaxID)}
		}
	}
	if n := d.count(0, 2); n > 0 {
		r.Counters = make([]Counter, n)
		for i := range r.Counters {
			r.Counters[i].Name = d.string(MaxID)
			v, ok := d.amount().Int64()
			d.check(ok)
			r.Counters[i].Value = v
		}
	}
	r.Deadline = d.time()
	return r
}

func (d *decoder) digest() (t Digest) {
	d.copy(t[:])
	return t
}
