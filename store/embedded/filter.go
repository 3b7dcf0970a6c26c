package embedded

import (
	"encoding/binary"
	"sync/atomic"

	"saldo/ledger"
)

// A filter says of nearly every id that was never used that it was not, with one
// look at memory: a blocked Bloom filter in memory, 12 bits an id. It
// grows by layers, each twice as large as the one before, up to maxLayers
// (48 MB, for 33 million ids); after that the last one fills up, and the filter
// says less often that an id is not there. Refs are uniformly random already.
type filter struct {
	layers [maxLayers]atomic.Pointer[layer]
	last   int    // the layer that is being filled
	n      uint64 // ids in it
}

const (
	maxLayers  = 5
	firstLayer = 1 << 20 // ids of the first layer
)

// A layer is blocks of 512 bits; an id sets six bits of one of them.
type layer struct {
	blocks [][8]atomic.Uint64
	room   uint64 // ids
}

func newLayer(room uint64) *layer {
	return &layer{blocks: make([][8]atomic.Uint64, room*12/512+1), room: room}
}

// place returns an id's block and what its six bits are made of.
func (l *layer) place(ref *ledger.Ref) (*[8]atomic.Uint64, uint64) {
	high, low := binary.LittleEndian.Uint64(ref[:8]), binary.LittleEndian.Uint64(ref[8:])
	return &l.blocks[high%uint64(len(l.blocks))], low
}

func (l *layer) add(ref *ledger.Ref) {
	block, bits := l.place(ref)
	for range 6 {
		block[bits>>6&7].Or(1 << (bits & 63))
		bits >>= 9
	}
}

func (l *layer) has(ref *ledger.Ref) bool {
	block, bits := l.place(ref)
	for range 6 {
		if block[bits>>6&7].Load()&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// add notes an id. One goroutine adds at a time; others may ask meanwhile.
func (f *filter) add(ref *ledger.Ref) {
	l := f.layers[f.last].Load()
	if l != nil && f.n >= l.room && f.last+1 < maxLayers {
		f.last, f.n, l = f.last+1, 0, nil
	}
	if l == nil {
		l = newLayer(firstLayer << f.last)
		f.layers[f.last].Store(l)
	}
	l.add(ref)
	f.n++
}

// mayHave reports false only of ids that were never added.
func (f *filter) mayHave(ref *ledger.Ref) bool {
	for i := range f.layers {
		l := f.layers[i].Load()
		if l == nil {
			return false
		}
		if l.has(ref) {
			return true
		}
	}
	return false
}
