package ledger

import "crypto/sha256"

// A State is what [Decide] reads: one book as it stands, every event before
// folded in. What it returns is read only and nil where there is nothing.
type State interface {
	Head() *Head
	Account(AccountID) *Account
	Hold(Ref) *Hold
	Record(kind, key string) *Record
	Past(of string) *Past // the transfer with an id
	// Taken returns the Ref of an id of the tenant, and whether it was used.
	Taken(id string) (Ref, bool)
	NextDue() Time // the earliest deadline of an open hold, or earlier; 0: none
}

// A Working is a State that [Fold] changes. An Edit returns the row that is to
// be changed, an empty one where there was none.
type Working interface {
	State
	EditHead() *Head
	EditAccount(AccountID) *Account
	EditHold(Ref) *Hold
	PutRecord(kind, key string, r *Record) // nil: delete
	AddRefunded(of *TransferAt, p *Posting) error
	UseID(id string, at TransferAt)
}

// journalStart is where the hash chain of every book begins.
var journalStart = sha256.Sum256([]byte("saldo journal 1"))

// Chain returns the hash of a journal after an event, given the hash before it
// and the event's encoding: SHA-256 of both, one after the other. A book's
// first event follows the SHA-256 of "saldo journal 1".
func Chain(before [32]byte, event []byte) (after [32]byte) {
	h := sha256.New()
	h.Write(before[:])
	h.Write(event)
	h.Sum(after[:0])
	return after
}

// Status returns how open an account is in a state, its ancestors counted in: a
// child is at most as open as its parent.
func status(account func(AccountID) *Account, a *Account) Status {
	st := a.Status
	for !a.Parent.IsZero() {
		if a = account(a.Parent); a == nil {
			break
		}
		st = max(st, a.Status)
	}
	return st
}

// Gone reports whether a text stands for one that was erased, and is not stored:
// one has a salt.
func (t *Text) Gone() bool { return t.Salt == [16]byte{} && t.Data == nil }

// DigestOf returns what an event says of a text.
func (t *Text) DigestOf() (d Digest) {
	h := sha256.New()
	h.Write(t.Salt[:])
	h.Write(t.Data)
	h.Sum(d[:0])
	return d
}
