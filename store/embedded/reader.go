package embedded

import (
	"encoding/binary"
	"errors"

	"saldo/money"
)

// errBadRow is what every decoder reports for bytes that no encoder of this
// version writes.
var errBadRow = errors.New("embedded: a stored row is damaged, or of a newer version")

// A reader takes a row apart. After the first part that does not fit it is bad
// and yields zeros, so a decoder checks once, at its end.
type reader struct {
	b    []byte
	text string // what b was when share was called: strings are cut from it
	bad  bool
}

// readRow begins a row that has a version byte.
func readRow(b []byte, version byte) reader {
	r := reader{b: b}
	if r.byte() != version {
		r.bad = true
	}
	return r
}

// end reports whether the row was read to its end without fault.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errBadRow
	}
	return nil
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) copy(dst []byte) { copy(dst, r.take(uint64(len(dst)))) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 { // cut off, too large, or padded
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.bad = true
	}
	return uint32(v)
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) amount() money.Amount {
	a, n := money.Varint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return money.Amount{}
	}
	r.b = r.b[n:]
	return a
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func (r *reader) string() string {
	b := r.bytes()
	if r.text == "" {
		return string(b)
	}
	end := len(r.text) - len(r.b)
	return r.text[end-len(b) : end]
}

// share has all strings of the rest share memory, where they are many and belong
// together.
func (r *reader) share() { r.text = string(r.b) }

// count reads how many items follow, each of which takes at least one byte.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
