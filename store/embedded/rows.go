package embedded

import (
	"encoding/binary"

	"saldo/ledger"
	"saldo/money"
)

// The values of the primary rows. u is an unsigned varint (LEB128), v a signed
// one (zigzag), amt an amount as money writes it, str a u of bytes and the
// bytes. Each row begins with the version of its form, and a decoder takes
// exactly what the encoder writes: no padding, no rest.

const rowVersion = 1

// Bits of an account's or hold's flags, above its mode, status or state.
const (
	hasCap     = 1 << 4
	hasParent  = 1 << 5
	hasProfile = 1 << 6

	hasVia  = 1 << 4
	hasText = 1 << 5
)

// An account, without its id, which is the key:
//
//	01 | flags | depth | [parent 16] | u tenant | u book | u unit
//	   | amt posted | amt held | amt limit | amt cap
//	   | u children | u open holds | v created | v updated-created
//	   | u seq | u version | u erased | [u profile seq | u profile n]
//
// flags: bits 0-1 mode, 2-3 status, 4 has a cap, 5 has a parent, 6 has a profile.
func appendAccount(dst []byte, a *ledger.Account) []byte {
	flags := byte(a.Mode)&3 | byte(a.Status)&3<<2
	if a.HasCap {
		flags |= hasCap
	}
	if !a.Parent.IsZero() {
		flags |= hasParent
	}
	if a.Profile != (ledger.TextAt{}) {
		flags |= hasProfile
	}
	dst = append(dst, rowVersion, flags, a.Depth)
	if flags&hasParent != 0 {
		dst = append(dst, a.Parent[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(a.Tenant))
	dst = binary.AppendUvarint(dst, uint64(a.Book))
	dst = binary.AppendUvarint(dst, uint64(a.Unit))
	for _, m := range [...]money.Amount{a.Posted, a.Held, a.Limit, a.Cap} {
		dst = m.AppendVarint(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(a.Children))
	dst = binary.AppendUvarint(dst, uint64(a.OpenHolds))
	dst = appendTimes(dst, a.Created, a.Updated)
	for _, n := range [...]uint64{a.Seq, a.Version, a.Erased} {
		dst = binary.AppendUvarint(dst, n)
	}
	if flags&hasProfile != 0 {
		dst = appendTextAt(dst, a.Profile)
	}
	return dst
}

func decodeAccount(id ledger.AccountID, b []byte) (*ledger.Account, error) {
	r := readRow(b, rowVersion)
	flags := r.byte()
	a := &ledger.Account{
		ID: id, Mode: ledger.Mode(flags & 3), Status: ledger.Status(flags >> 2 & 3),
		HasCap: flags&hasCap != 0, Depth: r.byte(),
	}
	if flags&hasParent != 0 {
		r.copy(a.Parent[:])
		r.bad = r.bad || a.Parent.IsZero()
	}
	a.Tenant, a.Book, a.Unit = ledger.TenantID(r.uint32()), ledger.BookID(r.uint32()), r.uint32()
	a.Posted, a.Held, a.Limit, a.Cap = r.amount(), r.amount(), r.amount(), r.amount()
	a.Children, a.OpenHolds = r.uint32(), r.uint32()
	a.Created, a.Updated = r.times()
	a.Seq, a.Version, a.Erased = r.uvarint(), r.uvarint(), r.uvarint()
	if flags&hasProfile != 0 {
		a.Profile = r.textAt()
	}
	r.bad = r.bad || flags>>7 != 0
	return a, r.end()
}

// A hold, without its ref, which is the key:
//
//	01 | flags | u tenant | u book | str id | account 16 | [via 16]
//	   | amt amount | amt remaining | amt captured
//	   | v expires | v created | v updated-created | u opened | u seq-opened
//	   | [u text seq | u text n]
//
// flags: bits 0-2 state, 4 has via, 5 has a text.
func appendHold(dst []byte, h *ledger.Hold) []byte {
	flags := byte(h.State) & 7
	if !h.Via.IsZero() {
		flags |= hasVia
	}
	if h.Text != (ledger.TextAt{}) {
		flags |= hasText
	}
	dst = append(dst, rowVersion, flags)
	dst = binary.AppendUvarint(dst, uint64(h.Tenant))
	dst = binary.AppendUvarint(dst, uint64(h.Book))
	dst = appendBytes(dst, h.ID)
	dst = append(dst, h.Account[:]...)
	if flags&hasVia != 0 {
		dst = append(dst, h.Via[:]...)
	}
	for _, m := range [...]money.Amount{h.Amount, h.Remaining, h.Captured} {
		dst = m.AppendVarint(dst)
	}
	dst = binary.AppendVarint(dst, int64(h.Expires))
	dst = appendTimes(dst, h.Created, h.Updated)
	dst = binary.AppendUvarint(dst, h.Opened)
	dst = binary.AppendUvarint(dst, h.Seq-h.Opened)
	if flags&hasText != 0 {
		dst = appendTextAt(dst, h.Text)
	}
	return dst
}

func decodeHold(ref ledger.Ref, b []byte) (*ledger.Hold, error) {
	r := readRow(b, rowVersion)
	flags := r.byte()
	h := &ledger.Hold{
		Ref: ref, State: ledger.HoldState(flags & 7),
		Tenant: ledger.TenantID(r.uint32()), Book: ledger.BookID(r.uint32()), ID: r.string(),
	}
	r.copy(h.Account[:])
	if flags&hasVia != 0 {
		r.copy(h.Via[:])
		r.bad = r.bad || h.Via.IsZero()
	}
	h.Amount, h.Remaining, h.Captured = r.amount(), r.amount(), r.amount()
	h.Expires = ledger.Time(r.varint())
	h.Created, h.Updated = r.times()
	h.Opened = r.uvarint()
	h.Seq = h.Opened + r.uvarint()
	if flags&hasText != 0 {
		h.Text = r.textAt()
	}
	r.bad = r.bad || flags&^(7|hasVia|hasText) != 0
	return h, r.end()
}

// A record, without book, kind and key, which are the key:
//
//	01 | 00 str data, or 01 u seq u n of the text that has them
//	   | u version | u seq | v created | v updated-created | v deadline
//	   | u indexes  | of each: str name | str value
//	   | u counters | of each: str name | v value
func appendRecord(dst []byte, rec *ledger.Record) []byte {
	dst = append(dst, rowVersion)
	if rec.At != (ledger.TextAt{}) {
		dst = appendTextAt(append(dst, 1), rec.At)
	} else {
		dst = appendBytes(append(dst, 0), rec.Data)
	}
	dst = binary.AppendUvarint(dst, rec.Version)
	dst = binary.AppendUvarint(dst, rec.Seq)
	dst = appendTimes(dst, rec.Created, rec.Updated)
	dst = binary.AppendVarint(dst, int64(rec.Deadline))
	dst = binary.AppendUvarint(dst, uint64(len(rec.Index)))
	for _, e := range rec.Index {
		dst = appendBytes(appendBytes(dst, e.Name), e.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(rec.Counters)))
	for _, c := range rec.Counters {
		dst = binary.AppendVarint(appendBytes(dst, c.Name), c.Value)
	}
	return dst
}

// decodeRecord leaves Data nil where a text has them.
func decodeRecord(key ledger.RecordKey, b []byte) (*ledger.Record, error) {
	r := readRow(b, rowVersion)
	rec := &ledger.Record{RecordKey: key}
	switch r.byte() {
	case 0:
		rec.Data = append([]byte(nil), r.bytes()...)
	case 1:
		rec.At = r.textAt()
	default:
		r.bad = true
	}
	rec.Version, rec.Seq = r.uvarint(), r.uvarint()
	rec.Created, rec.Updated = r.times()
	rec.Deadline = ledger.Time(r.varint())
	r.share()
	if n := r.count(); n > 0 {
		rec.Index = make([]ledger.IndexEntry, n)
	}
	for i := range rec.Index {
		rec.Index[i] = ledger.IndexEntry{Name: r.string(), Value: r.string()}
	}
	if n := r.count(); n > 0 {
		rec.Counters = make([]ledger.Counter, n)
	}
	for i := range rec.Counters {
		rec.Counters[i] = ledger.Counter{Name: r.string(), Value: r.varint()}
	}
	return rec, r.end()
}

// A head, without its book, which is the key:
//
//	01 | u tenant | u seq | v time | hash 32 | u units | of each: str code | scale | kind
func appendHead(dst []byte, h *ledger.Head) []byte {
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, uint64(h.Tenant))
	dst = binary.AppendUvarint(dst, h.Seq)
	dst = binary.AppendVarint(dst, int64(h.Time))
	dst = append(dst, h.Hash[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(h.Units)))
	for _, u := range h.Units {
		dst = append(appendBytes(dst, u.Code), u.Scale, byte(u.Kind))
	}
	return dst
}

func decodeHead(book ledger.BookID, b []byte) (*ledger.Head, error) {
	r := readRow(b, rowVersion)
	h := &ledger.Head{Book: book, Tenant: ledger.TenantID(r.uint32()), Seq: r.uvarint(), Time: ledger.Time(r.varint())}
	r.copy(h.Hash[:])
	if n := r.count(); n > 0 {
		h.Units = make([]money.Unit, n)
	}
	for i := range h.Units {
		h.Units[i] = money.Unit{Code: r.string(), Scale: r.byte(), Kind: money.Kind(r.byte())}
	}
	return h, r.end()
}

// Where an id was used:
//
//	01 | u book | u seq | u n
func appendID(dst []byte, at ledger.TransferAt) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), uint64(at.Book))
	return binary.AppendUvarint(binary.AppendUvarint(dst, at.Seq), uint64(at.N))
}

func decodeID(b []byte) (*ledger.TransferAt, error) {
	r := readRow(b, rowVersion)
	at := &ledger.TransferAt{Book: ledger.BookID(r.uint32()), Seq: r.uvarint(), N: r.uint32()}
	return at, r.end()
}

// How much of a transfer was refunded:
//
//	01 | amt
func appendRefund(dst []byte, a money.Amount) []byte { return a.AppendVarint(append(dst, rowVersion)) }

func decodeRefund(b []byte) (money.Amount, error) {
	r := readRow(b, rowVersion)
	a := r.amount()
	return a, r.end()
}

// A free text:
//
//	01 | salt 16 | the data, to the end
func appendText(dst []byte, t *ledger.Text) []byte {
	return append(append(append(dst, rowVersion), t.Salt[:]...), t.Data...)
}

func decodeText(b []byte) (*ledger.Text, error) {
	r := readRow(b, rowVersion)
	t := new(ledger.Text)
	r.copy(t.Salt[:])
	t.Data = append([]byte(nil), r.take(uint64(len(r.b)))...)
	return t, r.end()
}

// The decoders of rows whose key is part of them, as [get] takes them.

func accountDecoder(id ledger.AccountID) func([]byte) (*ledger.Account, error) {
	return func(b []byte) (*ledger.Account, error) { return decodeAccount(id, b) }
}

func holdDecoder(ref ledger.Ref) func([]byte) (*ledger.Hold, error) {
	return func(b []byte) (*ledger.Hold, error) { return decodeHold(ref, b) }
}

func recordDecoder(key ledger.RecordKey) func([]byte) (*ledger.Record, error) {
	return func(b []byte) (*ledger.Record, error) { return decodeRecord(key, b) }
}

func headDecoder(book ledger.BookID) func([]byte) (*ledger.Head, error) {
	return func(b []byte) (*ledger.Head, error) { return decodeHead(book, b) }
}

func appendTimes(dst []byte, created, updated ledger.Time) []byte {
	dst = binary.AppendVarint(dst, int64(created))
	return binary.AppendVarint(dst, int64(updated-created))
}

func (r *reader) times() (created, updated ledger.Time) {
	created = ledger.Time(r.varint())
	return created, created + ledger.Time(r.varint())
}

func appendTextAt(dst []byte, at ledger.TextAt) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, at.Seq), uint64(at.N))
}

// textAt is only written for a text that there is.
func (r *reader) textAt() ledger.TextAt {
	at := ledger.TextAt{Seq: r.uvarint(), N: r.uint32()}
	r.bad = r.bad || at == ledger.TextAt{}
	return at
}
