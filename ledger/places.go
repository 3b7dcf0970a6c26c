package ledger

import "hash/maphash"

// places finds keys in a list of them. Most are asked for in the order in which
// they were added, and a few again and again, so that is where it looks first;
// what is somewhere else in a long list it finds by a table, which it makes when
// it has to and has room for afterwards.
type places[K comparable] struct {
	keys  []K
	last  [2]int   // where the last two were found or added, the last one first
	next  int      // behind the one that was found in order
	table []uint32 // 1 + the place of a key, where it hashes to or behind; 0: free. At most half are taken
	has   int      // of keys, the first ones
	seed  maphash.Seed
}

const (
	fewPlaces  = 16   // that are looked through one by one
	keptPlaces = 2048 // for which reset keeps the room
)

// find returns a place of a key, or -1.
func (p *places[K]) find(k K) int {
	i := p.near(k)
	if i < 0 {
		i = p.far(k)
	}
	if i >= 0 {
		p.found(i)
	}
	return i
}

// near looks for a key where it most probably is.
func (p *places[K]) near(k K) int {
	if len(p.keys) == 0 {
		return -1
	}
	for _, i := range p.last {
		if p.keys[i] == k {
			return i
		}
	}
	for i := p.next; i < min(p.next+4, len(p.keys)); i++ {
		if p.keys[i] == k {
			p.next = i + 1
			return i
		}
	}
	if p.keys[0] == k { // somebody begins again
		p.next = 1
		return 0
	}
	return -1
}

func (p *places[K]) far(k K) int {
	if len(p.keys) <= fewPlaces {
		for i := range p.keys {
			if p.keys[i] == k {
				return i
			}
		}
		return -1
	}
	if 2*len(p.keys) > len(p.table) {
		size := 64
		for size < 4*len(p.keys) {
			size *= 2
		}
		p.table, p.has = make([]uint32, size), 0
		if p.seed == (maphash.Seed{}) {
			p.seed = maphash.MakeSeed()
		}
	}
	for ; p.has < len(p.keys); p.has++ {
		if at := p.slot(p.keys[p.has]); p.table[at] == 0 {
			p.table[at] = uint32(p.has + 1)
		}
	}
	return int(p.table[p.slot(k)]) - 1
}

// slot returns where a key is in the table, or else the free place where it
// belongs.
func (p *places[K]) slot(k K) int {
	last := len(p.table) - 1
	for at := int(maphash.Comparable(p.seed, k)) & last; ; at = (at + 1) & last {
		if n := p.table[at]; n == 0 || p.keys[n-1] == k {
			return at
		}
	}
}

// add adds a key.
func (p *places[K]) add(k K) {
	p.keys = append(p.keys, k)
	p.found(len(p.keys) - 1)
}

func (p *places[K]) found(i int) {
	if i != p.last[0] {
		p.last[0], p.last[1] = i, p.last[0]
	}
}

// reset forgets the keys, and keeps the room if it is small.
func (p *places[K]) reset() {
	if cap(p.keys) > keptPlaces || len(p.table) > 4*keptPlaces {
		*p = places[K]{}
		return
	}
	clear(p.keys)
	if p.has > 0 {
		clear(p.table)
	}
	p.keys, p.last, p.next, p.has = p.keys[:0], [2]int{}, 0, 0
}
