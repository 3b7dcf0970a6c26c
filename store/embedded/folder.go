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
	places  map[ledger.AccountID]int          // in accounts
	touched []folded                          // that the batch writes rows of
	order   accountOrder                      // scratch
	words   map[ledger.AccountID][]string     // of profiles, where the batch changes them
	opened  map[ledger.Ref]uint64             // when holds were placed that ended a moment ago
	sums    sums                              // those that are not in accounts
	trees   trees
}

// A folded is what the next batch writes of an account.
type folded struct {
	id    ledger.AccountID
	chunk chunk // of its statement
	tree  tree  // that it is in, once it is known
	used  used  // by itself on a day, in all categories
}

// usedKey is the key of the row that used is.
func (a *folded) usedKey() *usageKey {
	return &usageKey{account: a.id, unit: a.tree.unit, day: a.used.day}
}

// account returns what is folded of an account, valid until the next call.
func (f *folder) account(id ledger.AccountID) *folded {
	i, ok := f.places[id]
	if !ok {
		i = len(f.touched)
		f.places[id] = i
		f.touched = append(f.touched, folded{id: id})
	}
	return &f.touched[i]
}

func newFolder(s *Store, indexes []derived) *folder {
	return &folder{
		writer: writer{batch: s.db.NewBatch()}, s: s, indexes: indexes,
		marks:   map[ledger.BookID]uint64{},
		tenants: map[ledger.BookID]ledger.TenantID{},
		places:  map[ledger.AccountID]int{},
		opened:  map[ledger.Ref]uint64{},
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
	f.addAccounts()
	f.addSums()
	for book, seq := range f.marks {
		f.set(watermarkKey(f.key[:0], book), appendWatermark(f.value[:0], seq))
	}
	if f.err != nil {
		return f.err
	}
	f.s.indexRows.Add(uint64(f.batch.Count()))
	err := f.s.commit(f.batch, pebble.NoSync)
	size := f.batch.Len()
	f.batch.Close()
	f.batch, f.events = f.s.db.NewBatchWithSize(size), 0 // the next may well be as large
	clear(f.marks)
	clear(f.words)
	clear(f.opened)
	return err
}

// rows is about how many rows the next flush writes.
func (f *folder) rows() int { return 2*len(f.touched) + len(f.sums) + int(f.batch.Count()) }

// addAccounts puts the rows of accounts into the batch. They go in order of
// their keys: in it Pebble has little to sort.
func (f *folder) addAccounts() {
	f.order = f.order[:0]
	for i := range f.touched {
		f.order.add(&f.touched[i].id, i)
	}
	f.order.sort()
	usage := writer{batch: f.s.db.NewBatch()} // these sort behind the chunks
	for _, p := range f.order {
		a := &f.touched[p.place]
		if a.chunk.first != 0 {
			f.addChunk(a.id, &a.chunk)
		}
		if a.used.any {
			usage.merge(a.usedKey().append(usage.key[:0]), appendSum(usage.value[:0], &a.used.sum))
		}
	}
	f.fail(usage.err)
	f.fail(f.batch.Apply(usage.batch, nil))
	usage.batch.Close()
	clear(f.places)
	clear(f.touched)
	f.touched = f.touched[:0]
}

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
	first, last uint64 // 0: there is none
	rest        []byte // of the row, after its version
}

const chunkBytes = 4 << 10

func (f *folder) statement(_ ledger.BookID, e *ledger.Event) {
	for i := range e.Touched {
		id := e.Touched[i].Account
		c := &f.account(id).chunk
		if len(c.rest) >= chunkBytes {
			f.addChunk(id, c)
			c.first, c.rest = 0, c.rest[:0]
		}
		if c.first == 0 {
			c.first = e.Seq
		} else {
			c.rest = binary.AppendUvarint(c.rest, e.Seq-c.last)
		}
		c.last = e.Seq
	}
}

func (f *folder) addChunk(id ledger.AccountID, c *chunk) {
	f.set(chunkKey(f.key[:0], id, c.first), append(append(f.value[:0], rowVersion), c.rest...))
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
		opened, known := f.opened[h.Ref]
		if !known {
			f.key = holdKey(f.key[:0], h.Ref)
			row, err := get(f.s.db, f.key, holdDecoder(h.Ref))
			f.fail(err)
			if known = row != nil; known { // its row says when it was placed, which never changes
				opened = row.Opened
			}
		}
		if known {
			f.delete(holdsKey(f.key[:0], kOpenHolds, owner, opened, h.Ref))
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
