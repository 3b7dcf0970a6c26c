package ledger

import (
	"math/rand/v2"
	"testing"
)

// TestCacheForgets loads a row while every row is forgotten: what was read
// before may be older than what others have written.
func TestCacheForgets(t *testing.T) {
	c := newCache[string, int](64)
	old, now := 1, 2
	reader := c.pin("a")
	c.clear()
	c.fill(reader, &old)
	if v, ok := c.row("a"); ok {
		t.Errorf("%d is known, though it was read before", *v)
	}
	e := c.pin("a")
	c.fill(e, &now)
	c.unpin("a", reader)
	if v, _ := c.row("a"); *v != 2 {
		t.Errorf("%d, want 2", *v)
	}
}

// TestCacheKeepsItsLine has rows come and go, in turn and before their turn.
func TestCacheKeepsItsLine(t *testing.T) {
	c := newCache[int, int](64 * 8)
	rng := rand.New(rand.NewPCG(1, 2))
	pinned := map[int]*entry[int]{}
	for range 20_000 {
		k := rng.IntN(2000)
		switch e := pinned[k]; {
		case e == nil && len(pinned) < 100:
			pinned[k] = c.pin(k)
			c.put(pinned[k], &k)
		case e != nil:
			c.drop(k, e) // which does nothing: it is pinned
			if v, ok := c.row(k); !ok || *v != k {
				t.Fatalf("%d is not there, though it is pinned", k)
			}
			c.unpin(k, e)
			if delete(pinned, k); rng.IntN(2) == 0 {
				c.drop(k, e)
				if _, ok := c.row(k); ok {
					t.Fatalf("%d is there, though it was dropped", k)
				}
			}
		}
	}
	for i := range c.shards {
		s := &c.shards[i]
		if len(s.line) != len(s.m) {
			t.Errorf("%d rows, %d in line, of %d", len(s.m), len(s.line), c.max)
		}
		for at, row := range s.line {
			if s.m[row.key] != row.entry || int(row.at) != at {
				t.Errorf("%d stands at %d, and says %d", row.key, at, row.at)
			}
		}
	}
}

// TestQueueKeepsItsSize always leaves something in a line.
func TestQueueKeepsItsSize(t *testing.T) {
	q := newQueue(1000)
	put(t, q, OK, command(1, 1))
	for range 10_000 {
		put(t, q, OK, command(1, 1))
		if got := len(q.take(1, maxRoundBytes, nil)); got != 1 {
			t.Fatalf("%d taken", got)
		}
	}
	if n := cap(q.lines[1].waiting); n > 64 {
		t.Errorf("room for %d commands, of which there were 2", n)
	}
}
