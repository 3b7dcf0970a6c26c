package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"saldo/money"
)

// The encoding of an event, version 1. It is what is stored and what is hashed,
// so it is canonical: one event has one encoding, and what does not encode to
// itself again does not decode.
//
//	n    unsigned LEB128 in its shortest form
//	v    a signed amount of 128 bits, zigzag LEB128 in its shortest form
//	s    n and that many bytes
//	acc  n: which of the touched accounts, from 0
//
//	event      1 (version)  n seq  n time (µs since 1970)  n actor  s id
//	           [16 fingerprint, if id is not empty]
//	           byte code  (0: it took effect)
//	refused    n op  byte by  byte accounts(0|1) [id]  v required  v spendable  s detail
//	effective  n sections (bits below), then each section that is present:
//	           it has n entries, at least one
//
//	bit 0 book      n tenant (no count)
//	bit 1 units     s code  byte scale  byte kind
//	bit 2 touched   byte flags (1 system, 2 held, 4 limit or cap follows, 8 it is a cap)
//	                [16 id | system: byte role  n unit]  v posted  [v held]  [v limit or cap]
//	bit 3 opened    acc  byte flags (1 parent, 2 profile)  byte mode  n unit  [16 parent]  [n text]
//	bit 4 set       acc  byte flags (1 status, 2 limit, 4 cap, 8 forced, 16 profile, 32 reason)
//	                [byte status]  [n text]  [n text]
//	bit 5 transfers byte flags (1 via, 2 asked, 4 forced, 8 id, 16 of, 32 hold, 64 usage, 128 text)
//	                byte kind  acc from  acc to  [acc via]  v amount  [v asked]  [s id]
//	                [n seq  n number]  [16 hold]  [s category  v count  s unit]  [n text]
//	                The upper four bits of a refund's kind are that of what it gives back.
//	bit 6 holds     byte act  byte flags (1 via, 2 id, 4 text)  byte state  16 ref  acc account
//	                [acc via]  [s id]  v amount  v remaining  v captured  n expires  [n text]
//	bit 7 records   s kind  s key  n version  byte flags (1 keep, 2 text)  s data | n text
//	                n index × (s name  s value)  n counters × (s name  v value)  n deadline
//	bit 8 erased    acc
//	bit 9 texts     32 digest
//	bit 10 answer   n text (no count)
//
// The book is not part of it, so that a journal can be copied to where its book
// has another number. How events are chained: [Chain].
const eventVersion = 1

const (
	hasBook = 1 << iota
	hasUnits
	hasTouched
	hasOpened
	hasSet
	hasTransfers
	hasHolds
	hasRecords
	hasErased
	hasTexts
	hasAnswer
)

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// bits packs flags in order, the first being bit 0.
func bits(flags ...bool) (b byte) {
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return b
}

// An accountIndex finds an account among the touched ones.
type accountIndex struct {
	touched []After
	many    places[AccountID] // where there are many
}

func indexAccounts(touched []After) accountIndex {
	x := accountIndex{touched: touched}
	if len(touched) > fewPlaces {
		x.many.keys = make([]AccountID, len(touched))
		for i := range touched {
			x.many.keys[i] = touched[i].Account
		}
	}
	return x
}

func (x *accountIndex) append(dst []byte, id AccountID) []byte {
	if i := x.find(id); i >= 0 {
		return binary.AppendUvarint(dst, uint64(i))
	}
	panic("ledger: an event names an account that it did not touch: " + id.String())
}

func (x *accountIndex) find(id AccountID) int {
	if len(x.touched) > fewPlaces {
		return x.many.find(id)
	}
	for i := range x.touched {
		if x.touched[i].Account == id {
			return i
		}
	}
	return -1
}

// AppendBinary appends the event's encoding. Book is the event's book.
func (e *Event) AppendBinary(dst []byte, book BookID) []byte {
	dst = append(dst, eventVersion)
	dst = binary.AppendUvarint(dst, e.Seq)
	dst = binary.AppendUvarint(dst, uint64(e.Time))
	dst = binary.AppendUvarint(dst, e.Actor)
	dst = appendString(dst, e.ID)
	if e.ID != "" {
		dst = append(dst, e.Print[:]...)
	}
	if e.Refused != nil {
		return e.Refused.append(dst)
	}
	dst = append(dst, byte(OK))
	x := indexAccounts(e.Touched)
	dst = binary.AppendUvarint(dst, e.sections())
	if e.Tenant != 0 || e.Seq == 1 {
		dst = binary.AppendUvarint(dst, uint64(e.Tenant))
	}
	if n := len(e.Units); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for _, u := range e.Units {
			dst = appendString(dst, u.Code)
			dst = append(dst, u.Scale, byte(u.Kind))
		}
	}
	if n := len(e.Touched); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Touched {
			dst = e.Touched[i].append(dst, book)
		}
	}
	if n := len(e.Opened); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Opened {
			dst = e.Opened[i].append(dst, &x)
		}
	}
	if n := len(e.Set); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Set {
			dst = e.Set[i].append(dst, &x)
		}
	}
	if n := len(e.Transfers); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Transfers {
			dst = e.Transfers[i].append(dst, &x)
		}
	}
	if n := len(e.Holds); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Holds {
			dst = e.Holds[i].append(dst, &x)
		}
	}
	if n := len(e.Records); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Records {
			dst = e.Records[i].append(dst)
		}
	}
	if n := len(e.Erased); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for _, id := range e.Erased {
			dst = x.append(dst, id)
		}
	}
	if n := len(e.Texts); n > 0 {
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range e.Texts {
			dst = append(dst, e.Texts[i][:]...)
		}
	}
	if e.Answer != 0 {
		dst = binary.AppendUvarint(dst, uint64(e.Answer))
	}
	return dst
}

func (e *Event) sections() (has uint64) {
	for i, present := range [...]bool{
		e.Tenant != 0 || e.Seq == 1, len(e.Units) > 0, len(e.Touched) > 0, len(e.Opened) > 0,
		len(e.Set) > 0, len(e.Transfers) > 0, len(e.Holds) > 0, len(e.Records) > 0,
		len(e.Erased) > 0, len(e.Texts) > 0, e.Answer != 0,
	} {
		if present {
			has |= 1 << i
		}
	}
	return has
}

func (r *Refusal) append(dst []byte) []byte {
	dst = append(dst, byte(r.Code))
	dst = binary.AppendUvarint(dst, uint64(r.Op))
	dst = append(dst, byte(r.By), bits(!r.Account.IsZero()))
	if !r.Account.IsZero() {
		dst = append(dst, r.Account[:]...)
	}
	dst = r.Required.AppendVarint(dst)
	dst = r.Spendable.AppendVarint(dst)
	return appendString(dst, r.Detail)
}

func (a *After) append(dst []byte, book BookID) []byte {
	system := a.Account.IsSystem()
	dst = append(dst, bits(system, !a.Held.IsZero(), a.Capped || !a.Limit.IsZero(), a.Capped))
	if system {
		b, unit, role := a.Account.System()
		if b != book {
			panic("ledger: a system account of another book: " + a.Account.String())
		}
		dst = append(dst, byte(role))
		dst = binary.AppendUvarint(dst, uint64(unit))
	} else {
		dst = append(dst, a.Account[:]...)
	}
	dst = a.Posted.AppendVarint(dst)
	if !a.Held.IsZero() {
		dst = a.Held.AppendVarint(dst)
	}
	if a.Capped || !a.Limit.IsZero() {
		dst = a.Limit.AppendVarint(dst)
	}
	return dst
}

func (o *Opened) append(dst []byte, x *accountIndex) []byte {
	dst = x.append(dst, o.Account)
	dst = append(dst, bits(!o.Parent.IsZero(), o.Profile != 0), byte(o.Mode))
	dst = binary.AppendUvarint(dst, uint64(o.Unit))
	if !o.Parent.IsZero() {
		dst = append(dst, o.Parent[:]...)
	}
	return appendText(dst, o.Profile)
}

// appendText appends which text, if there is one; a flag has said so.
func appendText(dst []byte, n uint32) []byte {
	if n == 0 {
		return dst
	}
	return binary.AppendUvarint(dst, uint64(n))
}

func (s *Setting) append(dst []byte, x *accountIndex) []byte {
	dst = x.append(dst, s.Account)
	dst = append(dst, bits(s.HasStatus, s.HasLimit, s.HasCap, s.Forced, s.Profile != 0, s.Reason != 0))
	if s.HasStatus {
		dst = append(dst, byte(s.Status))
	}
	dst = appendText(dst, s.Profile)
	return appendText(dst, s.Reason)
}

func (p *Posting) append(dst []byte, x *accountIndex) []byte {
	flags := bits(!p.Via.IsZero(), !p.Asked.IsZero(), p.Forced, p.ID != "", p.Of != nil,
		!p.Hold.IsZero(), !p.Usage.IsZero(), p.Text != 0)
	dst = append(dst, flags, byte(p.Kind)|byte(p.Back)<<4)
	dst = x.append(dst, p.From)
	dst = x.append(dst, p.To)
	if !p.Via.IsZero() {
		dst = x.append(dst, p.Via)
	}
	dst = p.Amount.AppendVarint(dst)
	if !p.Asked.IsZero() {
		dst = p.Asked.AppendVarint(dst)
	}
	if p.ID != "" {
		dst = appendString(dst, p.ID)
	}
	if p.Of != nil {
		dst = binary.AppendUvarint(dst, p.Of.Seq)
		dst = binary.AppendUvarint(dst, uint64(p.Of.N))
	}
	if !p.Hold.IsZero() {
		dst = append(dst, p.Hold[:]...)
	}
	if !p.Usage.IsZero() {
		dst = appendString(dst, p.Usage.Category)
		dst = p.Usage.Count.AppendVarint(dst)
		dst = appendString(dst, p.Usage.Unit)
	}
	return appendText(dst, p.Text)
}

func (h *HoldChange) append(dst []byte, x *accountIndex) []byte {
	dst = append(dst, byte(h.Act), bits(!h.Via.IsZero(), h.ID != "", h.Text != 0), byte(h.State))
	dst = append(dst, h.Ref[:]...)
	dst = x.append(dst, h.Account)
	if !h.Via.IsZero() {
		dst = x.append(dst, h.Via)
	}
	if h.ID != "" {
		dst = appendString(dst, h.ID)
	}
	dst = h.Amount.AppendVarint(dst)
	dst = h.Remaining.AppendVarint(dst)
	dst = h.Captured.AppendVarint(dst)
	dst = binary.AppendUvarint(dst, uint64(h.Expires))
	return appendText(dst, h.Text)
}

func (r *RecordChange) append(dst []byte) []byte {
	dst = appendString(dst, r.Kind)
	dst = appendString(dst, r.Key)
	dst = binary.AppendUvarint(dst, r.Version)
	dst = append(dst, bits(r.Keep, r.Text != 0))
	if r.Text != 0 {
		dst = appendText(dst, r.Text)
	} else {
		dst = appendString(dst, r.Data)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Index)))
	for _, e := range r.Index {
		dst = appendString(dst, e.Name)
		dst = appendString(dst, e.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Counters)))
	for _, c := range r.Counters {
		dst = appendString(dst, c.Name)
		dst = money.New(c.Value).AppendVarint(dst)
	}
	return binary.AppendUvarint(dst, uint64(r.Deadline))
}

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
