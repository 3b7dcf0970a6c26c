package ledger

import (
	"encoding/binary"
	"math/rand/v2"
)

// refs is a set of refs that is filled and cleared again and again.
type refs struct {
	table []Ref // a power of two, at most half of it taken; a zero Ref is a free place
	n     int
	seed  uint64 // odd, and nobody's to know, so that no ids can be made that all belong to one place
}

// clear empties the set, and keeps the room if it is small.
func (s *refs) clear() {
	if len(s.table) > 4096 {
		s.table = nil
	}
	if s.n > 0 {
		clear(s.table)
	}
	s.n = 0
}

// add adds a ref, and reports whether it is new.
func (s *refs) add(ref Ref) bool {
	if 2*(s.n+1) > len(s.table) {
		was := s.table
		s.table, s.n, s.seed = make([]Ref, max(16, 2*len(was))), 0, rand.Uint64()|1
		for _, r := range was {
			if r != (Ref{}) {
				s.put(r)
			}
		}
	}
	return s.put(ref)
}

func (s *refs) put(ref Ref) bool {
	last := uint64(len(s.table) - 1)
	for i := binary.LittleEndian.Uint64(ref[:]) * s.seed >> 32 & last; ; i = (i + 1) & last {
		switch s.table[i] {
		case Ref{}:
			s.table[i] = ref
			s.n++
			return true
		case ref:
			return false
		}
	}
}
