package mturk

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"

	"saldo/ledger"
)

// An id is 30 characters of 0-9 and A-V, the first a 3, as the service's were:
//
//	3  time11  book7  chance11
//
// in base 32, five bits a character: microseconds since 1970, of a HIT counted
// down, so that lists begin with the newest; the book that it is in; and 55 bits
// that nobody can guess. Ids of what is found by its content are 3 and 29
// characters of a SHA-256.

var digits = base32.NewEncoding(idDigits).WithPadding(base32.NoPadding)

const (
	idDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	idLen    = 30
	timeBits = 55
)

// newID makes an id. Counted down, later ones sort before earlier ones.
func newID(chance ledger.AccountID, now ledger.Time, book ledger.BookID, down bool) string {
	var id [idLen]byte
	id[0] = '3'
	t := uint64(now)
	if down {
		t = 1<<timeBits - 1 - t
	}
	putDigits(id[1:12], t)
	putDigits(id[12:19], uint64(book))
	putDigits(id[19:], binary.BigEndian.Uint64(chance[8:])) // after the two bits that say its kind
	return string(id[:])
}

func putDigits(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = idDigits[n&31]
		n >>= 5
	}
}

// bookOf returns the book that an id is in, or false if it is none of ours.
func bookOf(id string) (ledger.BookID, bool) {
	if !isID(id) {
		return 0, false
	}
	var n uint64
	for i := 12; i < 19; i++ {
		d := id[i] - '0'
		if id[i] >= 'A' {
			d = id[i] - 'A' + 10
		}
		n = n<<5 | uint64(d)
	}
	return ledger.BookID(n), n>>32 == 0
}

// isID reports whether s could be an id that was made here.
func isID(s string) bool {
	if len(s) != idLen || s[0] != '3' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'V') {
			return false
		}
	}
	return true
}

// contentID is the id of what has a content.
func contentID(content []byte) string {
	sum := sha256.Sum256(content)
	id := append(make([]byte, 0, 1+32), '3')
	return string(digits.AppendEncode(id, sum[:20])[:idLen])
}
