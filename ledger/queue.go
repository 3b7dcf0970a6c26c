package ledger

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A queue holds the commands that wait for the loop, bounded, and gives every
// tenant the same share: take goes round the tenants, one command each.
type queue struct {
	mu     sync.Mutex
	max    int
	n      int
	lines  map[TenantID]*line
	order  []*line // those that are not empty
	closed bool
	more   chan struct{} // has a token when something may be waiting
}

type line struct {
	tenant  TenantID
	waiting []*prepared
	head    int
}

func newQueue(max int) *queue {
	return &queue{max: max, lines: make(map[TenantID]*line), more: make(chan struct{}, 1)}
}

// put adds a command. One tenant has at most half of the places, so that others
// find room.
func (q *queue) put(p *prepared) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return Errorf(Unavailable, "the server is stopping; try again elsewhere or later")
	}
	tenant := TenantID(0)
	if p.c != nil {
		tenant = p.c.Tenant
	}
	l := q.lines[tenant]
	if l == nil {
		l = &line{tenant: tenant}
		q.lines[tenant] = l
	}
	if p.c != nil && (q.n >= q.max || len(l.waiting)-l.head >= max(1, q.max/2)) {
		return Errorf(Busy, "too many commands are waiting; try again soon")
	}
	if len(l.waiting) == l.head {
		q.order = append(q.order, l)
	}
	if len(l.waiting) == cap(l.waiting) && l.head > len(l.waiting)/2 { // else a line that is never empty grows for ever
		n := copy(l.waiting, l.waiting[l.head:])
		clear(l.waiting[n:])
		l.waiting, l.head = l.waiting[:n], 0
	}
	l.waiting = append(l.waiting, p)
	q.n++
	select {
	case q.more <- struct{}{}:
	default:
	}
	return nil
}

// take returns what is waiting, in a fair order, until it has max operations
// together. Who did not get a turn has the first one the next time.
func (q *queue) take(max int, into []*prepared) []*prepared {
	q.mu.Lock()
	defer q.mu.Unlock()
	ops := 0
	for len(q.order) > 0 && ops < max {
		kept := q.order[:0]
		for i, l := range q.order {
			if ops >= max {
				kept = append(slices.Clone(q.order[i:]), kept...)
				break
			}
			p := l.waiting[l.head]
			l.waiting[l.head] = nil
			l.head++
			q.n--
			into = append(into, p)
			ops += p.size()
			if l.head < len(l.waiting) {
				kept = append(kept, l)
				continue
			}
			l.waiting, l.head = l.waiting[:0], 0
			if cap(l.waiting) > 1024 || len(q.lines) > 1024 {
				delete(q.lines, l.tenant)
			}
		}
		q.order = kept
	}
	if q.n > 0 {
		select {
		case q.more <- struct{}{}:
		default:
		}
	}
	return into
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && q.n == 0
}

// close refuses what comes from now on and wakes the loop.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// A waiter is who waits for a command.
type waiter struct {
	done  chan struct{} // has a token when res and err are set
	taken atomic.Bool   // by the loop, or by the caller who gave up
	res   Result
	err   error
	again *TransferAt // where the id was used before the round, if it was: look it up
}

func (p *prepared) size() int {
	if p.c == nil {
		return 1
	}
	return 1 + len(p.c.Ops) + len(p.c.Records)
}

func (p *prepared) answer(res Result, err error) {
	p.res, p.err = res, err
	p.done <- struct{}{}
}
