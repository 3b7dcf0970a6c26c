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
	urgent bool    // somebody waits who brings no command: for what others have done, or for what is due
	closed bool
	more   chan struct{} // has a token when something may be waiting
	crowd  *crowd
}

type line struct {
	tenant  TenantID
	waiting []*prepared
	head    int
}

func newQueue(max int) *queue {
	q := &queue{max: max, lines: make(map[TenantID]*line), more: make(chan struct{}, 1)}
	q.crowd = newCrowd(q.size)
	return q
}

// put adds a command. One tenant has at most half of the places, so that others
// find room.
func (q *queue) put(p *prepared) error {
	tenant := TenantID(0)
	if p.c != nil {
		tenant, p.bytes = p.c.Tenant, p.c.bytes()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return Errorf(Unavailable, "the server is stopping; try again elsewhere or later")
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
	q.urgent = q.urgent || p.c == nil
	q.crowd.grown(q.crowding())
	select {
	case q.more <- struct{}{}:
	default:
	}
	return nil
}

// take returns what is waiting, in a fair order, until it has so many operations
// or bytes together: the last command may pass them. Who did not get a turn has
// the first one the next time.
func (q *queue) take(maxOps, maxBytes int, into []*prepared) []*prepared {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.urgent = false
	ops, bytes := 0, 0
	for len(q.order) > 0 && ops < maxOps && bytes < maxBytes {
		kept := q.order[:0]
		for i, l := range q.order {
			if ops >= maxOps || bytes >= maxBytes {
				kept = append(slices.Clone(q.order[i:]), kept...)
				break
			}
			p := l.waiting[l.head]
			l.waiting[l.head] = nil
			l.head++
			q.n--
			into = append(into, p)
			ops += p.size()
			bytes += p.bytes
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

// size is how many have to be waited for no longer: many, if one of them is urgent.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.crowding()
}

func (q *queue) crowding() int {
	if q.urgent {
		return many
	}
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
	bytes int         // that it brings, see Command.bytes
	again *TransferAt // where the id was used before the round, if it was: look it up
}

func (p *prepared) size() int {
	if p.c == nil {
		return 1
	}
	return 1 + len(p.c.Ops) + len(p.c.Records)
}

// bytes returns about how much a command adds to a batch: what its caller brings,
// and 64 bytes for each thing that is written because of it.
func (c *Command) bytes() int {
	const each = 64
	n := each*(1+len(c.Ops)) + c.Answer.bytes()
	for _, op := range c.Ops {
		switch op := op.(type) {
		case *Transfer:
			n += len(op.ID) + op.Usage.bytes() + op.Text.bytes()
		case *Refund:
			n += len(op.ID) + op.Text.bytes()
		case *PlaceHold:
			n += len(op.ID) + op.Text.bytes()
		case *Capture:
			n += len(op.ID) + each*len(op.To) + len(op.To)*op.Usage.bytes() + op.Text.bytes()
		case *Release:
			n += op.Text.bytes()
		case *OpenAccount:
			n += op.Profile.bytes()
		case *SetAccount:
			n += op.Profile.bytes() + op.Reason.bytes()
		}
	}
	for i := range c.Records {
		w := &c.Records[i]
		n += each + len(w.Kind) + len(w.Key) + len(w.Data)
		for _, x := range w.Index {
			n += each + len(x.Name) + len(x.Value)
		}
		for _, x := range w.Counters {
			n += len(x.Name)
		}
	}
	return n
}

func (t *Text) bytes() int {
	if t == nil {
		return 0
	}
	return len(t.Data)
}

func (u *Usage) bytes() int { return len(u.Category) + len(u.Unit) }

func (p *prepared) answer(res Result, err error) {
	p.res, p.err, p.commit = res, err, nil
	p.done <- struct{}{}
}
