package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// A TenantID numbers the tenants of a store from 1. Tenant 0 is the operator's
// own: its book holds tenants, books, units and credentials as records.
type TenantID uint32

// A BookID numbers the books of a store from 1. Book 0 is the operator's own.
type BookID uint32

// An AccountID is a UUID. An id that begins with four zero bytes is a system
// account's and spells its book, unit and role (see [SystemID]).
type AccountID [16]byte

// A Role is which of a unit's three system accounts one is.
type Role uint8

const (
	Cash    Role = 1 + iota // money that came in from outside, or went back there
	Revenue                 // what was charged
	Fees                    // what was charged as a fee
)

var roleNames = [...]string{Cash: "@cash", Revenue: "@revenue", Fees: "@fees"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("@role%d", uint8(r))
}

// SystemID returns the id of a book's system account: four zero bytes, the
// book, the index of the unit in the book, the role; big endian.
func SystemID(book BookID, unit uint32, role Role) (id AccountID) {
	binary.BigEndian.PutUint32(id[4:], uint32(book))
	binary.BigEndian.PutUint32(id[8:], unit)
	binary.BigEndian.PutUint32(id[12:], uint32(role))
	return id
}

// IsSystem reports whether id is a system account's.
func (id AccountID) IsSystem() bool {
	return binary.BigEndian.Uint32(id[:]) == 0 && !id.IsZero()
}

// System returns what a system account's id spells. The role is 0 if it spells
// none: no two ids name one account.
func (id AccountID) System() (book BookID, unit uint32, role Role) {
	if n := binary.BigEndian.Uint32(id[12:]); n <= uint32(Fees) {
		role = Role(n)
	}
	return BookID(binary.BigEndian.Uint32(id[4:])), binary.BigEndian.Uint32(id[8:]), role
}

// IsZero reports whether id names no account.
func (id AccountID) IsZero() bool { return id == AccountID{} }

// String returns the id as a UUID in lower case.
func (id AccountID) String() string {
	var buf [36]byte
	return string(id.AppendText(buf[:0]))
}

// AppendText appends the id as a UUID in lower case.
func (id AccountID) AppendText(dst []byte) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// ParseAccountID reads a UUID in either case, with its hyphens or without.
func ParseAccountID(s string) (id AccountID, ok bool) {
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return id, false
		}
		var flat [32]byte
		n := copy(flat[:], s[:8])
		n += copy(flat[n:], s[9:13])
		n += copy(flat[n:], s[14:18])
		n += copy(flat[n:], s[19:23])
		copy(flat[n:], s[24:])
		_, err := hex.Decode(id[:], flat[:])
		return id, err == nil
	}
	if len(s) != 32 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// A Ref names a caller's id within its tenant: the first 16 bytes of the
// SHA-256 of the tenant (4 bytes, big endian) and the id.
type Ref [16]byte

// RefOf returns the Ref of a tenant's id.
func RefOf(tenant TenantID, id string) (r Ref) {
	var buf [4 + MaxID]byte
	binary.BigEndian.PutUint32(buf[:], uint32(tenant))
	sum := sha256.Sum256(append(buf[:4], id...))
	copy(r[:], sum[:])
	return r
}

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// A Time is microseconds since 1970 in UTC. 0 stands for "none" or "never".
type Time int64

// TimeOf returns t as a Time, rounded down.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// MaxTime is the last that RFC 3339 can write: the end of the year 9999.
const MaxTime Time = 253402300799_999999

// Std returns t as the standard library has it, in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns the time d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Microsecond) }

// AppendText appends t as RFC 3339 in UTC, with as many decimals as it needs.
func (t Time) AppendText(dst []byte) []byte { return t.Std().AppendFormat(dst, time.RFC3339Nano) }

func (t Time) String() string { return string(t.AppendText(nil)) }

func itoa(n int) string { return strconv.Itoa(n) }
