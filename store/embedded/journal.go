package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// blockBytes is where a block of the journal is cut. An event that is larger is
// a block of its own.
const blockBytes = 32 << 10

// A block is the encodings of consecutive events, the first one's seq being in
// the key:
//
//	01 | of each: u bytes | the encoding
//
// appendBlocks calls set with each block that events make.
func appendBlocks(from uint64, events [][]byte, scratch []byte, set func(first uint64, block []byte) error) ([]byte, error) {
	block, first := append(scratch[:0], rowVersion), from+1
	for i, e := range events {
		if len(block) > 1 && len(block)+len(e) > blockBytes {
			if err := set(first, block); err != nil {
				return block, err
			}
			block, first = append(block[:0], rowVersion), from+1+uint64(i)
		}
		block = appendBytes(block, e)
	}
	return block, set(first, block)
}

// A journal reads the events of one book through a view.
type journal struct {
	it     *pebble.Iterator
	book   ledger.BookID
	key    []byte
	loaded bool   // block is one
	block  []byte // of the iterator's position
	first  uint64 // the block's first event
	rest   []byte // of block: what follows the last event read
	next   uint64 // seq of the first event in rest
}

func openJournal(r pebble.Reader, book ledger.BookID) (*journal, error) {
	prefix := bookKey(nil, kJournal, book)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	return &journal{it: it, book: book}, nil
}

func (j *journal) close() error { return j.it.Close() }

var errGap = errors.New("embedded: the journal has a gap")

// bytes returns the encoding of an event, valid until the next call, or nil if
// the journal ends before it. Going up from seq to seq costs no seek.
func (j *journal) bytes(seq uint64) ([]byte, error) {
	if !j.loaded || seq < j.first {
		if found, err := j.seek(seq); !found {
			return nil, err
		}
	}
	for {
		if seq < j.next {
			j.rest, j.next = j.block[1:], j.first
		}
		for j.next <= seq && len(j.rest) > 0 {
			n, k := binary.Uvarint(j.rest)
			if k <= 0 || n > uint64(len(j.rest)-k) {
				return nil, rowError(j.it.Key(), errBadRow)
			}
			e := j.rest[k : k+int(n)]
			j.rest = j.rest[k+int(n):]
			j.next++
			if j.next > seq {
				return e, nil
			}
		}
		if j.next == seq && j.it.Next() { // the next block begins with it
			if err := j.load(); err != nil {
				return nil, err
			}
			if j.first != seq {
				return nil, fmt.Errorf("%w: book %d, event %d", errGap, j.book, seq)
			}
			continue
		}
		if err := j.it.Error(); err != nil {
			return nil, err
		}
		last := j.first
		if found, err := j.seek(seq); !found || j.first == last {
			return nil, err
		}
	}
}

// seek goes to the last block that begins at seq or before.
func (j *journal) seek(seq uint64) (bool, error) {
	j.loaded = false
	j.key = journalKey(j.key[:0], j.book, seq)
	if !j.it.SeekLT(append(j.key, 0)) { // the first key after seq's
		return false, j.it.Error()
	}
	return true, j.load()
}

func (j *journal) load() error {
	value, err := j.it.ValueAndErr()
	if err != nil {
		return err
	}
	if len(value) == 0 || value[0] != rowVersion || len(j.it.Key()) != 13 {
		return rowError(j.it.Key(), errBadRow)
	}
	j.block, j.rest = value, value[1:]
	j.first = be.Uint64(j.it.Key()[5:])
	j.next, j.loaded = j.first, true
	return nil
}

// event returns an event, or nil if the journal ends before it, and its
// encoding, valid until the next call.
func (j *journal) event(seq uint64) (*ledger.Event, []byte, error) {
	b, err := j.bytes(seq)
	if b == nil || err != nil {
		return nil, nil, err
	}
	e, err := ledger.DecodeEvent(b, j.book)
	if err == nil && e.Seq != seq {
		err = errBadRow
	}
	if err != nil {
		return nil, nil, fmt.Errorf("book %d, event %d: %w", j.book, seq, err)
	}
	return e, b, nil
}

// seqAt returns the seq of the last event whose time is not after at, or 0, by
// halving between 1 and last.
func (j *journal) seqAt(at ledger.Time, last uint64) (uint64, error) {
	low, high := uint64(0), last // the answer is in [low, high]
	for low < high {
		middle := low + (high-low+1)/2
		e, _, err := j.event(middle)
		if err != nil {
			return 0, err
		}
		if e == nil {
			return 0, fmt.Errorf("%w: book %d, event %d", errGap, j.book, middle)
		}
		if e.Time <= at {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

// rowError says which row a fault is in.
func rowError(key []byte, err error) error {
	return fmt.Errorf("%w (row %q)", err, bytes.Clone(key))
}
