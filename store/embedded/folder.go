package embedded

import (
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// A folder makes derived rows of events and writes them in batches.
type folder struct {
	writer
	s       *Store
	indexes []derived
	events  uint64                            // since the last flush
	marks   map[ledger.BookID]uint64          // watermarks to be written
	tenants map[ledger.BookID]ledger.TenantID // of the books met so far
	chunks  map[ledger.AccountID]*chunk
	words   map[ledger.AccountID][]string // of profiles, where the batch changes them
	sums    sums
	trees   trees
}

func newFolder(s *Store, indexes []derived) *folder {
	return &folder{
		writer: writer{batch: s.db.NewBatch()}, s: s, indexes: indexes,
		marks:   map[ledger.BookID]uint64{},
		tenants: map[ledger.BookID]ledger.TenantID{},
		chunks:  map[ledger.AccountID]*chunk{},
		words:   map[ledger.AccountID][]string{},
		sums:    sums{},
		trees:   trees{},
	}
}

func (f *folder) event(book ledger.BookID, e *ledger.Event) {
	f.events++
	if e.Refused != nil {
		return
	}
	for _, d := range f.indexes {
		d.fold(f, book, e)
	}
}

// flush writes the batch and begins another.
func (f *folder) flush() error {
	for id, c := range f.chunks {
		f.set(chunkKey(f.key[:0], id, c.first), c.value)
	}
	f.addSums()
	for book, seq := range f.marks {
		f.set(watermarkKey(f.key[:0], book), appendWatermark(f.value[:0], seq))
	}
	if f.err != nil {
		return f.err
	}
	f.s.indexRows.Add(uint64(f.batch.Count()))
	err := f.s.commit(f.batch, pebble.NoSync)
	f.batch.Close()
	f.batch, f.events = f.s.db.NewBatch(), 0
	clear(f.chunks)
	clear(f.marks)
	clear(f.words)
	return err
}

// rows is about how many rows the next flush writes.
func (f *folder) rows() int { return len(f.chunks) + len(f.sums) + int(f.batch.Count()) }

// tenant returns whose book it is.
func (f *folder) tenant(book ledger.BookID) ledger.TenantID {
	if t, ok := f.tenants[book]; ok {
		return t
	}
	head, err := get(f.s.db, headKey(nil, book), headDecoder(book))
	f.fail(err)
	if head == nil {
		return 0
	}
	f.tenants[book] = head.Tenant
	return head.Tenant
}

// A chunk is a piece of a statement: the seqs of consecutive events that touched
// an account. The first one's is in the key:
//
//	01 | of each further one: u difference from the one before
//
// A busy account gets one chunk a flush, however many events there are in it.
type chunk struct {
	first, last uint64
	value       []byte
}

const chunkBytes = 4 << 10

func (f *folder) statement(_ ledger.BookID, e *ledger.Event) {
	for i := range e.Touched {
		id := e.Touched[i].Account
		c := f.chunks[id]
		switch {
		case c == nil:
			f.chunks[id] = &chunk{e.Seq, e.Seq, []byte{rowVersion}}
		case len(c.value) >= chunkBytes:
			f.set(chunkKey(f.key[:0], id, c.first), c.value)
			*c = chunk{e.Seq, e.Seq, append(c.value[:0], rowVersion)}
		default:
			c.value = binary.AppendUvarint(c.value, e.Seq-c.last)
			c.last = e.Seq
		}
	}
}

// decodeChunk appends a chunk's seqs to dst.
func decodeChunk(dst []uint64, first uint64, b []byte) ([]uint64, error) {
	r := readRow(b, rowVersion)
	dst = append(dst, first)
	for len(r.b) > 0 && !r.bad {
		d := r.uvarint()
		r.bad = r.bad || d == 0 || first+d < first
		first += d
		dst = append(dst, first)
	}
	return dst, r.end()
}

func (f *folder) accounts(book ledger.BookID, e *ledger.Event) {
	for i := range e.Opened {
		o := &e.Opened[i]
		f.set(append(tenantKey(f.key[:0], f.tenant(book), false), o.Account[:]...), nil)
		if o.Parent.IsZero() {
			f.set(append(tenantKey(f.key[:0], f.tenant(book), true), o.Account[:]...), nil)
		} else {
			f.set(append(childPrefix(f.key[:0], o.Parent), o.Account[:]...), nil)
		}
	}
}

func (f *folder) holds(_ ledger.BookID, e *ledger.Event) {
	for i := range e.Holds {
		h := &e.Holds[i]
		owner := (&ledger.Hold{Account: h.Account, Via: h.Via}).Owner()
		if h.Act == ledger.HoldPlaced {
			f.set(holdsKey(f.key[:0], kHolds, owner, e.Seq, h.Ref), nil)
			f.set(holdsKey(f.key[:0], kOpenHolds, owner, e.Seq, h.Ref), nil)
		}
		if h.State == ledger.HoldOpen {
			continue
		}
		f.key = holdKey(f.key[:0], h.Ref)
		row, err := get(f.s.db, f.key, holdDecoder(h.Ref))
		f.fail(err)
		if row != nil { // its row says when it was placed, which never changes
			f.delete(holdsKey(f.key[:0], kOpenHolds, owner, row.Opened, h.Ref))
		}
	}
}

func (f *folder) search(book ledger.BookID, e *ledger.Event) {
	for i := range e.Opened {
		if n := e.Opened[i].Profile; n != 0 {
			f.profile(book, e, e.Opened[i].Account, n)
		}
	}
	for i := range e.Set {
		if n := e.Set[i].Profile; n != 0 {
			f.profile(book, e, e.Set[i].Account, n)
		}
	}
	for _, id := range e.Erased {
		f.setWords(book, id, nil)
	}
}

// profile puts the words of an event's nth text in place of an account's.
func (f *folder) profile(book ledger.BookID, e *ledger.Event, id ledger.AccountID, n uint32) {
	var data []byte
	if int(n) <= len(e.Beside) {
		data = e.Beside[n-1].Data
	} else {
		f.key = textKey(f.key[:0], book, ledger.TextAt{Seq: e.Seq, N: n})
		text, err := get(f.s.db, f.key, decodeText)
		f.fail(err)
		if text != nil { // else it was erased
			data = text.Data
		}
	}
	f.setWords(book, id, ledger.ProfileWords(data))
}

func (f *folder) setWords(book ledger.BookID, id ledger.AccountID, now []string) {
	was, ok := f.words[id]
	if !ok {
		var err error
		f.key = wordsKey(f.key[:0], id)
		was, err = get(f.s.db, f.key, decodeWords)
		f.fail(err)
	}
	f.words[id] = now
	tenant := f.tenant(book)
	for _, w := range was {
		if !slices.Contains(now, w) {
			f.delete(wordKey(f.key[:0], tenant, w, id))
		}
	}
	for _, w := range now {
		if !slices.Contains(was, w) {
			f.set(wordKey(f.key[:0], tenant, w, id), nil)
		}
	}
	if len(now) > 0 {
		f.set(wordsKey(f.key[:0], id), appendWords(f.value[:0], now))
	} else if len(was) > 0 {
		f.delete(wordsKey(f.key[:0], id))
	}
}
