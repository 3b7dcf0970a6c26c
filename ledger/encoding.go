package ledger

import (
	"encoding/binary"

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
