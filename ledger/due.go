package ledger

import (
	"container/heap"
	"context"
	"math"
	"sync/atomic"
	"time"
)

// windowDeadlines bounds how many deadlines are read into memory at once. It is
// a variable for its test alone.
var windowDeadlines = 1 << 17

// window keeps the deadlines of open holds that come first: all up to a
// horizon. Those of holds that have ended since are left in it and found stale
// when their time comes, or dropped when there are many. Only the loop changes it.
type window struct {
	queue   dueQueue
	keep    func(BookID) bool // which books' deadlines; nil: all
	stale   int               // about how many of queue are
	horizon Time              // every deadline up to here is in queue
	first   atomic.Int64      // next()
}

type dueHold struct {
	at   Time
	book BookID
	ref  Ref
}

type dueQueue []dueHold

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)        { *q = append(*q, x.(dueHold)) }
func (q *dueQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// next returns for readers the earliest deadline whose end they cannot read yet.
func (w *window) next() Time { return Time(w.first.Load()) }

// earliest returns for the loop the earliest deadline, or the horizon if that
// is earlier: at that time the window has to be looked at.
func (w *window) earliest() Time {
	if first := w.horizon + 1; len(w.queue) == 0 || first < w.queue[0].at {
		return first
	}
	return w.queue[0].at
}

// publish tells readers of the earliest deadline, when what was popped before it
// is durable and in the rows that they read.
func (w *window) publish() { w.first.Store(int64(w.earliest())) }

// announce tells them of one that is earlier than they know, before they can
// read the hold.
func (w *window) announce() { w.first.Store(min(w.first.Load(), int64(w.earliest()))) }

// change notes what became of a hold's deadline, if it falls into the window.
func (w *window) change(was, now *Hold) {
	if was != nil && was.State == HoldOpen && was.Expires != 0 && was.Expires <= w.horizon &&
		(now.Expires != was.Expires || now.State == HoldCaptured || now.State == HoldReleased) {
		w.stale++
	}
	if (was == nil || was.Expires != now.Expires) && now.State == HoldOpen && now.Expires != 0 && now.Expires <= w.horizon {
		heap.Push(&w.queue, dueHold{now.Expires, now.Book, now.Ref})
	}
}

// add notes a deadline, which may be in it already.
func (w *window) add(d dueHold) { heap.Push(&w.queue, d) }

// windowAhead is how far the window is read on.
const windowAhead = 10 * time.Minute

// ends reports whether the store has to be asked again: soon the window ends, or
// much of it is stale.
func (w *window) ends(now Time) bool {
	return now.Add(time.Minute) > w.horizon || w.stale > windowDeadlines
}

// pop returns the next deadline that has passed by now.
func (w *window) pop(now Time) (dueHold, bool) {
	if len(w.queue) == 0 || w.queue[0].at > now {
		return dueHold{}, false
	}
	return heap.Pop(&w.queue).(dueHold), true
}

// restore puts back deadlines whose events did not come to be.
func (w *window) restore(popped []dueHold) {
	w.queue = append(w.queue, popped...)
	heap.Init(&w.queue)
	w.publish()
}

// extend reads on in the store's deadlines, to a horizon or as far as there is
// room; or all of them again, when many that are here are stale.
func (w *window) extend(ctx context.Context, store Store, horizon Time) error {
	var (
		found []dueHold
		last  Time
		full  bool
		queue = w.queue
		after = w.horizon
	)
	if w.stale > windowDeadlines {
		queue, after = nil, math.MinInt64
	}
	for row, err := range store.Scan(ctx, Query{List: ListDeadlines, Until: horizon}) {
		if err != nil {
			return err
		}
		if full = len(found) >= windowDeadlines && row.Due.At > last; full {
			break
		}
		last = row.Due.At
		if !row.Due.Hold.IsZero() && row.Due.At > after && (w.keep == nil || w.keep(row.Due.Book)) {
			found = append(found, dueHold{row.Due.At, row.Due.Book, row.Due.Hold})
		}
	}
	w.horizon = horizon
	if full {
		w.horizon = last
	}
	if w.queue = append(queue, found...); len(queue) == 0 {
		w.stale = 0
	}
	heap.Init(&w.queue)
	return nil
}
