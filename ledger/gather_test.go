package ledger

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestCrowd waits for a crowd, with a limit that is never reached.
func TestCrowd(t *testing.T) {
	var n atomic.Int64
	c := newCrowd(func() int { return int(n.Load()) })
	join := func() { c.grown(int(n.Add(1))) }
	await := func(size int) <-chan int64 {
		came := make(chan int64, 1)
		go func() {
			c.await(size, time.Hour)
			came <- n.Load()
		}()
		return came
	}
	n.Store(3)
	if got := <-await(3); got != 3 { // they were there before
		t.Errorf("%d came", got)
	}
	n.Store(0)
	c.full <- struct{}{} // of a wait that had ended
	came := await(4)
	for range 4 {
		join()
	}
	if got := <-came; got != 4 {
		t.Errorf("%d came", got)
	}
	join() // nobody waits
	if len(c.full) > 0 {
		t.Error("somebody was told of a crowd that nobody waits for")
	}
}

// TestGather waits for nobody who has no reason to come, and not at all for a
// queue that has something urgent.
func TestGather(t *testing.T) {
	q := newQueue(100)
	never := trip{size: 10, took: time.Hour, ended: age()}
	never.gather(q.crowd) // nobody is there, and nobody is waited for
	put(t, q, OK, command(1, 1))
	trip{size: 1, took: time.Hour, ended: age()}.gather(q.crowd)                // all are there
	trip{size: 10, took: time.Hour, ended: age() - 2*time.Hour}.gather(q.crowd) // it is long ago
	put(t, q, OK, newPrepared(nil, nil))
	q.crowd.await(10, time.Hour)
	if got := len(q.take(maxRound, maxRoundBytes, nil)); got != 2 {
		t.Errorf("%d taken", got)
	}
	done := make(chan struct{})
	go func() {
		q.crowd.await(2, time.Hour)
		close(done)
	}()
	put(t, q, OK, command(1, 1))
	put(t, q, OK, command(2, 1))
	<-done
}
