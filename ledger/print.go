package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"saldo/money"
)

// Print returns the command's fingerprint: the first 16 bytes of the SHA-256 of
// what was asked, before anything of it is resolved. Two ways to ask for the
// same are the same ("1.0" and "1.00"); a lifetime is not yet a time; an
// account's id counts only when the caller chose it. Free text is not part of
// it, so that none can be guessed from it: texts are compared by their salted
// digests.
func (c *Command) Print() (p Print) {
	var buf [512]byte
	if len(c.Asked) > 0 {
		sum := sha256.Sum256(append(append(buf[:0], 2), c.Asked...))
		copy(p[:], sum[:])
		return p
	}
	b := append(slices.Grow(buf[:0], 96*len(c.Ops)), 1)
	b = binary.AppendUvarint(b, uint64(c.Book))
	for _, op := range c.Ops {
		b = appendOp(b, op)
	}
	for i := range c.Records {
		b = c.Records[i].appendPrint(b)
	}
	b = append(b, bits(c.Answer != nil))
	sum := sha256.Sum256(b)
	copy(p[:], sum[:])
	return p
}

func appendAmounts(b []byte, amounts ...*money.Amount) []byte {
	for _, a := range amounts {
		b = append(b, bits(a != nil))
		if a != nil {
			b = a.AppendVarint(b)
		}
	}
	return b
}

func (l Lifetime) append(b []byte) []byte {
	b = append(b, bits(l.Never))
	b = binary.AppendUvarint(b, uint64(l.For))
	return binary.AppendUvarint(b, uint64(l.At))
}

func (u Usage) append(b []byte) []byte {
	b = appendString(b, u.Category)
	b = u.Count.AppendVarint(b)
	return appendString(b, u.Unit)
}

// appendOp appends an operation as its caller asked for it, after a byte that
// says which it is.
func appendOp(b []byte, op Op) []byte {
	switch op := op.(type) {
	case *Transfer:
		b = append(b, 1, byte(op.Kind), bits(op.UpTo, op.Force, op.Text != nil))
		b = append(b, op.From[:]...)
		b = append(b, op.To[:]...)
		b = op.Amount.AppendVarint(b)
		b = op.Usage.append(b)
		return appendString(b, op.ID)
	case *Refund:
		b = append(b, 2, bits(op.Force, op.Text != nil))
		b = appendString(b, op.Of)
		b = appendAmounts(b, op.Amount)
		return appendString(b, op.ID)
	case *PlaceHold:
		b = append(b, 3, bits(op.Text != nil))
		b = append(b, op.Account[:]...)
		b = op.Amount.AppendVarint(b)
		b = op.Expires.append(b)
		return appendString(b, op.ID)
	case *Capture:
		b = append(b, 4, bits(op.Final, op.Text != nil))
		b = appendString(b, op.Hold)
		b = binary.AppendUvarint(b, uint64(len(op.To)))
		for _, to := range op.To {
			b = append(b, to.To[:]...)
			b = to.Amount.AppendVarint(b)
		}
		b = op.Usage.append(b)
		return appendString(b, op.ID)
	case *Release:
		return appendString(append(b, 5, bits(op.Text != nil)), op.Hold)
	case *Extend:
		return op.Expires.append(appendString(append(b, 6), op.Hold))
	case *Raise:
		return op.Amount.AppendVarint(appendString(append(b, 7), op.Hold))
	case *OpenAccount:
		b = append(b, 8, byte(op.Mode), bits(op.Named, op.Profile != nil))
		if op.Named {
			b = append(b, op.ID[:]...)
		}
		b = append(b, op.Parent[:]...)
		b = appendString(b, op.Unit)
		return appendAmounts(b, &op.Limit, op.Cap)
	case *SetAccount:
		b = append(b, 9, bits(op.NoCap, op.Force, op.Status != nil, op.Profile != nil, op.Reason != nil))
		if op.Status != nil {
			b = append(b, byte(*op.Status))
		}
		b = append(b, op.Account[:]...)
		b = binary.AppendUvarint(b, op.Expect)
		return appendAmounts(b, op.Limit, op.Cap)
	case *Erase:
		return append(append(b, 10), op.Account[:]...)
	case *AddUnit:
		b = appendString(append(b, 11), op.Unit.Code)
		return append(b, op.Unit.Scale, byte(op.Unit.Kind))
	case *OpenBook:
		return append(b, 12)
	case *Expire:
		return append(b, 13) // the ledger's own, never repeated
	}
	panic("ledger: an operation without a fingerprint")
}

func (w *RecordWrite) appendPrint(b []byte) []byte {
	b = append(b, 20, bits(w.Delete, w.Keep))
	b = appendString(b, w.Kind)
	b = appendString(b, w.Key)
	b = binary.AppendUvarint(b, w.Expect)
	if len(w.Data) <= inlineRecord {
		b = appendString(b, w.Data)
	}
	b = binary.AppendUvarint(b, uint64(len(w.Index)))
	for _, x := range sortedIndex(w.Index) {
		b = appendString(b, x.Name)
		b = appendString(b, x.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(w.Counters)))
	for _, c := range w.Counters {
		b = appendString(b, c.Name)
		b = money.New(c.Value).AppendVarint(b)
	}
	return binary.AppendUvarint(b, uint64(w.Deadline))
}

// texts returns the free texts of a command in the order in which an event
// that carries them out numbers them, as Decide does.
func (c *Command) texts() (texts []*Text) {
	add := func(ts ...*Text) {
		for _, t := range ts {
			if t != nil {
				texts = append(texts, t)
			}
		}
	}
	for _, op := range c.Ops {
		switch op := op.(type) {
		case *Transfer:
			add(op.Text)
		case *Refund:
			add(op.Text)
		case *PlaceHold:
			add(op.Text)
		case *Capture:
			add(op.Text)
		case *Release:
			add(op.Text)
		case *OpenAccount:
			add(op.Profile)
		case *SetAccount:
			add(op.Profile, op.Reason)
		}
	}
	for i := range c.Records {
		if w := &c.Records[i]; len(w.Data) > inlineRecord && !w.Delete && !w.Keep {
			add(&Text{Salt: w.Salt, Data: w.Data})
		}
	}
	add(c.Answer)
	return texts
}
