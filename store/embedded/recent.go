package embedded

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"

	"saldo/ledger"
)

// An idRow is an id and where it was used, in half a line of the processor's cache.
type idRow struct {
	high, low uint64 // of the ref, big endian
	seq       uint64
	book      ledger.BookID
	n         uint32
}

func newIDRow(ref ledger.Ref, at ledger.TransferAt) idRow {
	return idRow{be.Uint64(ref[:8]), be.Uint64(ref[8:]), at.Seq, at.Book, at.N}
}

func (r *idRow) at() ledger.TransferAt { return ledger.TransferAt{Book: r.book, Seq: r.seq, N: r.n} }

func (r *idRow) ref() (ref ledger.Ref) {
	be.PutUint64(ref[:8], r.high)
	be.PutUint64(ref[8:], r.low)
	return ref
}

// recentIDs are ids and where they were used, in the order in which they came,
// and a table to find them by: less than half of the memory of a map, half of its
// time, and the collector passes it over.
type recentIDs struct {
	rows  []idRow
	table []uint32 // 1 + the place of a row, where its ref hashes to or behind; 0: free. At most half are taken
	seed  uint64   // odd, and nobody's to know, so that no ids can be made that all hash to one place
}

func newRecentIDs(room int) *recentIDs {
	return &recentIDs{rows: make([]idRow, 0, room), table: make([]uint32, 1<<bits.Len(uint(max(room*2-1, 31)))), seed: rand.Uint64() | 1}
}

// place returns where a ref is in the table, or else the free place where it
// belongs.
func (x *recentIDs) place(high, low uint64) int {
	last := len(x.table) - 1
	hash, _ := bits.Mul64((high^low)*x.seed, uint64(len(x.table)))
	for i := int(hash); ; i = (i + 1) & last {
		n := x.table[i]
		if n == 0 {
			return i
		}
		if r := &x.rows[n-1]; r.high == high && r.low == low {
			return i
		}
	}
}

func (x *recentIDs) find(ref ledger.Ref) (ledger.TransferAt, bool) {
	n := x.table[x.place(be.Uint64(ref[:8]), be.Uint64(ref[8:]))]
	if n == 0 {
		return ledger.TransferAt{}, false
	}
	return x.rows[n-1].at(), true
}

func (x *recentIDs) add(ref ledger.Ref, at ledger.TransferAt) {
	r := newIDRow(ref, at)
	i := x.place(r.high, r.low)
	if n := x.table[i]; n > 0 {
		x.rows[n-1] = r
		return
	}
	x.rows = append(x.rows, r)
	if 2*len(x.rows) <= len(x.table) {
		x.table[i] = uint32(len(x.rows))
		return
	}
	x.table = make([]uint32, 2*len(x.table))
	for i := range x.rows {
		x.table[x.place(x.rows[i].high, x.rows[i].low)] = uint32(i + 1)
	}
}

// sorted returns the rows in the order of their refs. These are digests, so that
// their first bits deal them into lots of a handful, which are sorted one by one.
func (x *recentIDs) sorted() []idRow {
	shift := 64 - max(bits.Len(uint(len(x.rows)))-3, 0)
	ends := make([]int, 1<<(64-shift))
	for i := range x.rows {
		ends[x.rows[i].high>>shift]++
	}
	sum := 0
	for lot, n := range ends {
		ends[lot] = sum // where it begins, until its rows are dealt
		sum += n
	}
	rows := make([]idRow, len(x.rows))
	for i := range x.rows {
		end := &ends[x.rows[i].high>>shift]
		rows[*end] = x.rows[i]
		*end++
	}
	begin := 0
	for _, end := range ends {
		slices.SortFunc(rows[begin:end], func(a, b idRow) int { return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low)) })
		begin = end
	}
	return rows
}
