package ledger

import (
	"sync/atomic"
	"time"
)

// A trip is what the last one to a shared store was: for how many, how long.
type trip struct {
	size  int
	took  time.Duration
	ended time.Duration // when the process had this age
}

// tripOf returns a trip that has ended now.
func tripOf(size int, began time.Time) trip { return trip{size, time.Since(began), age()} }

// longestGather bounds what waiting for company may cost.
const longestGather = 5 * time.Millisecond

// gather waits for those to ask again who were answered just now, no longer than
// a part of what the trip for them took: the next one serves them too then, and
// is not half as large. Where nobody waits it does not either, nor when that was
// longer ago than it took.
func (t trip) gather(c *crowd) {
	if n := c.size(); n > 0 && n < t.size && age()-t.ended <= t.took {
		c.await(t.size, min(t.took/2, longestGather))
	}
}

// A crowd is those who wait for the next trip. Who makes the trip is told when
// there are enough of them: to look again and again would be late as well as
// dear, since a process that has nothing else to do sleeps for a millisecond at
// least.
type crowd struct {
	size func() int    // how many there are; many if they cannot wait
	want atomic.Int64  // how many are waited for; 0: nobody waits
	full chan struct{} // has a token when there are
}

func newCrowd(size func() int) *crowd { return &crowd{size: size, full: make(chan struct{}, 1)} }

// many is the size of a crowd that nobody has to wait for.
const many = 1 << 30

// grown is called when there are more, after it can be seen by size.
func (c *crowd) grown(to int) {
	if want := c.want.Load(); want > 0 && int64(to) >= want {
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
}

// await waits until there are so many, but not for long.
func (c *crowd) await(size int, most time.Duration) {
	select {
	case <-c.full: // left over from a wait that had ended
	default:
	}
	c.want.Store(int64(size))
	defer c.want.Store(0)
	if c.size() >= size { // who came before that was known
		return
	}
	enough := time.NewTimer(most)
	defer enough.Stop()
	select {
	case <-c.full:
	case <-enough.C:
	}
}
