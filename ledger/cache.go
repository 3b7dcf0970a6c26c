package ledger

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// A cache keeps the rows that were used last, as they are now. A row that is
// read while the loop changes it is read whole: rows are replaced, not changed.
type cache[K comparable, V any] struct {
	shards [64]shard[K, V]
	seed   maphash.Seed
	max    int // entries a shard; 0: only those that are pinned
	none   *V  // stands for "there is nothing"
}

type shard[K comparable, V any] struct {
	mu   sync.Mutex
	m    map[K]*entry[V]
	line []cached[K, V] // m's, in the order in which replace looks at them
	at   int            // where in line it looks next
	_    [8]byte
}

type cached[K comparable, V any] struct {
	key K
	*entry[V]
}

// An entry is one row. While someone has pinned it, it stays the one entry of
// its key, so that the loop's changes reach everyone who has it; see clear.
type entry[V any] struct {
	row  atomic.Pointer[V] // nil: not loaded yet
	pins atomic.Int32
	used atomic.Bool
	at   int32 // in its shard's line
	next *V    // the loop's: the row as it will be when the round is durable
}

// newCache returns a cache of so many rows. Without any it has those that are
// pinned, which is for rows that the store finds as quickly.
func newCache[K comparable, V any](rows int) *cache[K, V] {
	c := &cache[K, V]{seed: maphash.MakeSeed(), max: (rows + 63) / 64, none: new(V)}
	for i := range c.shards {
		c.shards[i].m = make(map[K]*entry[V])
	}
	return c
}

func (c *cache[K, V]) shard(k K) *shard[K, V] {
	return &c.shards[maphash.Comparable(c.seed, k)%64]
}

// row returns a key's row if it is here; ok is false when it has to be loaded.
func (c *cache[K, V]) row(k K) (v *V, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	e := s.m[k]
	s.mu.Unlock()
	if e == nil {
		return nil, false
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return c.value(e)
}

// value returns an entry's row, nil where there is nothing; ok is false while
// it is not loaded.
func (c *cache[K, V]) value(e *entry[V]) (v *V, ok bool) {
	v = e.row.Load()
	if v == c.none {
		return nil, true
	}
	return v, v != nil
}

// pin returns the entry of a key, making it if need be. It stays until unpin.
func (c *cache[K, V]) pin(k K) *entry[V] { return c.pinIn(k, nil) }

// pinIn makes it of the first of spare entries, if there are any.
func (c *cache[K, V]) pinIn(k K, spare *[]entry[V]) *entry[V] {
	s := c.shard(k)
	s.mu.Lock()
	e := s.m[k]
	if e == nil {
		if spare != nil && len(*spare) > 0 {
			e, *spare = &(*spare)[0], (*spare)[1:]
		} else {
			e = new(entry[V]) // used when it is asked for again: most never are
		}
		s.m[k] = e
		switch {
		case c.max == 0:
		case len(s.m) > c.max:
			s.replace(k, e)
		default:
			s.append(k, e)
		}
	} else if !e.used.Load() {
		e.used.Store(true)
	}
	e.pins.Add(1)
	s.mu.Unlock()
	return e
}

// unpin gives back the entry of a key, once for each pin.
func (c *cache[K, V]) unpin(k K, e *entry[V]) {
	if e.pins.Add(-1) > 0 || c.max > 0 {
		return
	}
	c.drop(k, e)
}

// drop forgets a row that nobody has pinned, before its turn has come.
func (c *cache[K, V]) drop(k K, e *entry[V]) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.pins.Load() > 0 || s.m[k] != e {
		return
	}
	if c.max > 0 { // the last in line takes its place
		end := len(s.line) - 1
		last := s.line[end]
		s.line[e.at], last.at = last, e.at
		s.line[end] = cached[K, V]{}
		s.line = s.line[:end]
	}
	delete(s.m, k)
}

// append puts k at the end of the line.
func (s *shard[K, V]) append(k K, e *entry[V]) {
	e.at = int32(len(s.line))
	s.line = append(s.line, cached[K, V]{k, e})
}

// replace makes room for k: it takes the place of the first key in line that
// nobody has pinned or used since it was looked at last. If there is none among
// a few, there is one more key than there should be.
func (s *shard[K, V]) replace(k K, e *entry[V]) {
	for range min(8, len(s.line)) {
		if s.at >= len(s.line) {
			s.at = 0
		}
		old := s.line[s.at]
		s.at++
		if old.pins.Load() == 0 && !old.used.Swap(false) {
			delete(s.m, old.key)
			e.at = old.at
			s.line[e.at] = cached[K, V]{k, e}
			return
		}
	}
	s.append(k, e)
}

// fill gives a loaded row to an entry, unless the loop was there first: what it
// publishes is never older than what was loaded.
func (c *cache[K, V]) fill(e *entry[V], v *V) {
	if v == nil {
		v = c.none
	}
	e.row.CompareAndSwap(nil, v)
}

// found puts a row in the place of nothing.
func (c *cache[K, V]) found(e *entry[V], v *V) { e.row.CompareAndSwap(c.none, v) }

// put gives a row to an entry whatever it has.
func (c *cache[K, V]) put(e *entry[V], v *V) {
	if v == nil {
		v = c.none
	}
	e.row.Store(v)
}

// peek returns the entry of a key if there is one.
func (c *cache[K, V]) peek(k K) *entry[V] {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[k]
}

// pinned forgets the rows that nobody uses, and returns the others.
func (c *cache[K, V]) pinned() (keys []K, entries []*entry[V]) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for k, e := range s.m {
			if e.pins.Load() == 0 {
				delete(s.m, k)
				continue
			}
			keys, entries = append(keys, k), append(entries, e)
		}
		clear(s.line)
		s.line = s.line[:0]
		if c.max > 0 {
			for k, e := range s.m {
				s.append(k, e)
			}
		}
		s.mu.Unlock()
	}
	return keys, entries
}

// pending returns the row as the loop has left it in this round, else as it is.
func (c *cache[K, V]) pending(e *entry[V]) *V {
	v := e.next
	if v == nil {
		v = e.row.Load()
	}
	if v == c.none {
		return nil
	}
	return v
}

// clear forgets every row. Who has pinned an entry keeps it, but it is not its
// key's any more: what is still being loaded into it may be too old by now.
func (c *cache[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.m)
		clear(s.line)
		s.line = s.line[:0]
		s.mu.Unlock()
	}
}
