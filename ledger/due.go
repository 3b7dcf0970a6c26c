package ledger

import (
	"container/heap"
	"context"
	"sync/atomic"
)

// windowDeadlines bounds how many deadlines are read into memory at once. It is
// a variable for its test alone.
var windowDeadlines = 1 << 17

// window keeps the deadlines of open holds that come first: all up to a
// horizon. Those of holds that have ended since are left in it and found stale
// when their time comes. Only the loop changes it.
type window struct {
	queue   dueQueue
	horizon Time         // every deadline up to here is in queue
	first   atomic.Int64 // next(), for readers
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

// next returns the earliest deadline, or the horizon if that is earlier: at
// that time the window has to be looked at.
func (w *window) next() Time { return Time(w.first.Load()) }

func (w *window) publish() {
	first := w.horizon + 1
	if len(w.queue) > 0 {
		first = min(first, w.queue[0].at)
	}
	w.first.Store(int64(first))
}

// add notes a hold's deadline, if it falls into the window.
func (w *window) add(h *Hold) {
	if h.State == HoldOpen && h.Expires != 0 && h.Expires <= w.horizon {
		heap.Push(&w.queue, dueHold{h.Expires, h.Book, h.Ref})
	}
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

// extend reads on in the store's deadlines, to a horizon or as far as there is room.
func (w *window) extend(ctx context.Context, store Store, horizon Time) error {
	var (
		found []dueHold
		last  Time
		full  bool
	)
	for row, err := range store.Scan(ctx, Query{List: ListDeadlines, Until: horizon}) {
		if err != nil {
			return err
		}
		if full = len(found) >= windowDeadlines && row.Due.At > last; full {
			break
		}
		last = row.Due.At
		if !row.Due.Hold.IsZero() && row.Due.At > w.horizon {
			found = append(found, dueHold{row.Due.At, row.Due.Book, row.Due.Hold})
		}
	}
	w.horizon = horizon
	if full {
		w.horizon = last
	}
	w.queue = append(w.queue, found...)
	heap.Init(&w.queue)
	return nil
}
