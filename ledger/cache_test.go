package ledger

import "testing"

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
