package mturk

import (
	"encoding/binary"
	"errors"

	"saldo/ledger"
)

// Records are stored as their fields in order, after a byte that says in which
// form: whole numbers as varints, texts and lists after their length. A field
// that is added later comes last and is 0 or "" where it is missing.

// recordForm is the first byte of every record.
const recordForm = 1

var errRecord = errors.New("mturk: a stored record is damaged")

// A packer writes a record.
type packer []byte

// pack begins a record, with room for so many bytes.
func pack(room int) packer { return append(make(packer, 0, room), recordForm) }

func (p *packer) int(n int64)        { *p = binary.AppendVarint(*p, n) }
func (p *packer) time(t ledger.Time) { p.int(int64(t)) }
func (p *packer) account(id ledger.AccountID) {
	*p = append(*p, id[:]...)
}

func (p *packer) text(s string) {
	*p = append(binary.AppendUvarint(*p, uint64(len(s))), s...)
}

func (p *packer) bool(b bool) {
	if b {
		p.int(1)
		return
	}
	p.int(0)
}

// An unpacker reads a record. After a field that is not there every other is
// empty too.
type unpacker struct {
	rest []byte
	bad  bool
}

func unpack(data []byte) *unpacker {
	if len(data) == 0 || data[0] != recordForm {
		return &unpacker{bad: true}
	}
	return &unpacker{rest: data[1:]}
}

func (u *unpacker) int() int64 {
	if len(u.rest) == 0 {
		return 0
	}
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.fail()
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) time() ledger.Time { return ledger.Time(u.int()) }
func (u *unpacker) bool() bool        { return u.int() != 0 }

func (u *unpacker) account() (id ledger.AccountID) {
	if len(u.rest) > 0 && len(u.rest) < len(id) {
		u.fail()
	}
	u.rest = u.rest[copy(id[:], u.rest):]
	return id
}

func (u *unpacker) text() string {
	if len(u.rest) == 0 {
		return ""
	}
	n, size := binary.Uvarint(u.rest)
	if size <= 0 || n > uint64(len(u.rest)-size) {
		u.fail()
		return ""
	}
	s := string(u.rest[size : size+int(n)])
	u.rest = u.rest[size+int(n):]
	return s
}

// count reads how many entries a list has, each of at least a byte.
func (u *unpacker) count() int {
	n := u.int()
	if n < 0 || n > int64(len(u.rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *unpacker) fail() { u.rest, u.bad = nil, true }

func (u *unpacker) err() error {
	if u.bad {
		return errRecord
	}
	return nil
}
