package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"saldo/ledger"
)

// Every key is a kind and big-endian parts, so that keys sort as their parts do.
// Primary rows are written by Append; derived rows by the indexer.
//
//	primary
//	a account16                            account
//	h ref16                                hold
//	r book4 kind 00 key                    record
//	x book4 kind 00 index 00 value* key    entry of a record's index; no value
//	d time8 book4 01 ref16                 deadline of an open hold; no value
//	d time8 book4 02 kind 00 key           deadline of a record; no value
//	f book4 seq8 n4                        how much of a transfer was refunded
//	t book4 seq8 n4                        free text
//	# book4                                head
//	j book4 seq8                           block of events, the first one's seq
//	e account16                            erasure to be carried out
//
//	derived from the journal by what keeps the ids (see ids)
//	i ref16                                where an id was used
//	i book4                                seq up to which the tables of ids have a book
//
//	derived
//	s account16 seq8                       chunk of a statement, its first seq
//	l tenant4 00 account16                 account of a tenant; no value
//	l tenant4 01 account16                 root account of a tenant; no value
//	c parent16 account16                   child; no value
//	o owner16 seq8 ref16                   hold, by when it was placed; no value
//	O owner16 seq8 ref16                   the same of open holds; no value
//	n tenant4 word 00 account16            word of a profile; no value
//	N account16                            the words of an account's profile
//	u account16 of unit4 category* day4    what was used on a day: of 0 by the account, 1 by those below it
//	w book4                                seq up to which the indexes have a book
//	v name                                 an index's version, and how far its rebuild is
//
// value* is the value with 00 written as 00 ff, and 00 01 at its end: it sorts
// as the value does, and may hold any byte. Kinds and index names hold no 00.
const (
	kAccount  = 'a'
	kHold     = 'h'
	kRecord   = 'r'
	kEntry    = 'x'
	kDeadline = 'd'
	kID       = 'i'
	kRefund   = 'f'
	kText     = 't'
	kHead     = '#'
	kJournal  = 'j'
	kErase    = 'e'

	kStatement = 's'
	kTenant    = 'l'
	kChild     = 'c'
	kHolds     = 'o'
	kOpenHolds = 'O'
	kWord      = 'n'
	kWords     = 'N'
	kUsage     = 'u'
	kWatermark = 'w'
	kIndex     = 'v'
)

var (
	be         = binary.BigEndian
	errBadKey  = errors.New("embedded: a stored key is damaged")
	errHasZero = errors.New("embedded: a record's kind or an index's name is empty or holds a zero byte")
)

func accountKey(dst []byte, id ledger.AccountID) []byte {
	return append(append(dst, kAccount), id[:]...)
}
func holdKey(dst []byte, r ledger.Ref) []byte         { return append(append(dst, kHold), r[:]...) }
func idKey(dst []byte, r ledger.Ref) []byte           { return append(append(dst, kID), r[:]...) }
func eraseKey(dst []byte, id ledger.AccountID) []byte { return append(append(dst, kErase), id[:]...) }
func wordsKey(dst []byte, id ledger.AccountID) []byte { return append(append(dst, kWords), id[:]...) }

func bookKey(dst []byte, kind byte, b ledger.BookID) []byte {
	return be.AppendUint32(append(dst, kind), uint32(b))
}

func headKey(dst []byte, b ledger.BookID) []byte      { return bookKey(dst, kHead, b) }
func idMarkKey(dst []byte, b ledger.BookID) []byte    { return bookKey(dst, kID, b) }
func watermarkKey(dst []byte, b ledger.BookID) []byte { return bookKey(dst, kWatermark, b) }

func journalKey(dst []byte, b ledger.BookID, seq uint64) []byte {
	return be.AppendUint64(bookKey(dst, kJournal, b), seq)
}

func refundKey(dst []byte, at ledger.TransferAt) []byte {
	return be.AppendUint32(be.AppendUint64(bookKey(dst, kRefund, at.Book), at.Seq), at.N)
}

func textKey(dst []byte, b ledger.BookID, at ledger.TextAt) []byte {
	return be.AppendUint32(be.AppendUint64(bookKey(dst, kText, b), at.Seq), at.N)
}

func recordKey(dst []byte, k ledger.RecordKey) []byte {
	return append(recordPrefix(dst, kRecord, k.Book, k.Kind), k.Key...)
}

// recordPrefix is what the keys of a kind's records (kRecord), or of its index
// entries (kEntry), begin with.
func recordPrefix(dst []byte, kind byte, b ledger.BookID, of string) []byte {
	return append(append(bookKey(dst, kind, b), of...), 0)
}

func entryPrefix(dst []byte, b ledger.BookID, kind, index string) []byte {
	return append(append(recordPrefix(dst, kEntry, b, kind), index...), 0)
}

func entryKey(dst []byte, k ledger.RecordKey, e ledger.IndexEntry) []byte {
	return append(appendEscaped(entryPrefix(dst, k.Book, k.Kind, e.Name), e.Value), k.Key...)
}

// appendEscaped appends value* (see above).
func appendEscaped(dst []byte, value string) []byte {
	for i := range len(value) {
		dst = append(dst, value[i])
		if value[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// cutEscaped returns what follows value* at the start of b.
func cutEscaped(b []byte) (rest []byte, ok bool) {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return nil, false
		}
		switch b[i+1] {
		case 1:
			return b[i+2:], true
		case 0xff:
			b = b[i+2:]
		default:
			return nil, false
		}
	}
}

// deadlinePrefix sorts times before 1970 first.
func deadlinePrefix(dst []byte, at ledger.Time) []byte {
	return be.AppendUint64(append(dst, kDeadline), uint64(at)^1<<63)
}

func deadlineKey(dst []byte, d ledger.Deadline) []byte {
	dst = be.AppendUint32(deadlinePrefix(dst, d.At), uint32(d.Book))
	if !d.Hold.IsZero() {
		return append(append(dst, 1), d.Hold[:]...)
	}
	dst = append(append(append(dst, 2), d.Record.Kind...), 0)
	return append(dst, d.Record.Key...)
}

func parseDeadlineKey(key []byte) (d ledger.Deadline, err error) {
	if len(key) < 14 {
		return d, errBadKey
	}
	d.At = ledger.Time(be.Uint64(key[1:]) ^ 1<<63)
	d.Book = ledger.BookID(be.Uint32(key[9:]))
	switch of := key[14:]; key[13] {
	case 1:
		if len(of) != len(d.Hold) {
			return d, errBadKey
		}
		copy(d.Hold[:], of)
	case 2:
		kind, k, ok := bytes.Cut(of, []byte{0})
		if !ok {
			return d, errBadKey
		}
		d.Record = ledger.RecordKey{Book: d.Book, Kind: string(kind), Key: string(k)}
	default:
		return d, errBadKey
	}
	return d, nil
}

func parseRecordKey(key []byte) (k ledger.RecordKey, err error) {
	if len(key) < 5 {
		return k, errBadKey
	}
	kind, of, ok := bytes.Cut(key[5:], []byte{0})
	if !ok {
		return k, errBadKey
	}
	return ledger.RecordKey{Book: ledger.BookID(be.Uint32(key[1:])), Kind: string(kind), Key: string(of)}, nil
}

func chunkKey(dst []byte, id ledger.AccountID, first uint64) []byte {
	return be.AppendUint64(append(append(dst, kStatement), id[:]...), first)
}

func tenantKey(dst []byte, t ledger.TenantID, root bool) []byte {
	dst = be.AppendUint32(append(dst, kTenant), uint32(t))
	if root {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func childPrefix(dst []byte, parent ledger.AccountID) []byte {
	return append(append(dst, kChild), parent[:]...)
}

func holdsPrefix(dst []byte, kind byte, owner ledger.AccountID) []byte {
	return append(append(dst, kind), owner[:]...)
}

func holdsKey(dst []byte, kind byte, owner ledger.AccountID, opened uint64, ref ledger.Ref) []byte {
	return append(be.AppendUint64(holdsPrefix(dst, kind, owner), opened), ref[:]...)
}

func wordPrefix(dst []byte, t ledger.TenantID, word string) []byte {
	return append(be.AppendUint32(append(dst, kWord), uint32(t)), word...)
}

func wordKey(dst []byte, t ledger.TenantID, word string, id ledger.AccountID) []byte {
	return append(append(wordPrefix(dst, t, word), 0), id[:]...)
}

// after returns the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil // every byte was ff: there is none
}

// checkName returns an error if s cannot stand before a zero byte in a key.
func checkName(s string) error {
	if s == "" || bytes.IndexByte([]byte(s), 0) >= 0 {
		return errHasZero
	}
	return nil
}
