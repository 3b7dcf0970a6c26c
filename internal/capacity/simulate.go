package main

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// Simulate lets clients ask until so many charges were answered, and measures all
// but the first quarter: one event after the other, with processors that serve in order of arrival,
// commits that take what waits, and books that one node holds at a time.
func Simulate(s Setup, c Cost, charges int) Figure {
	w := &simulation{s: s, c: c, rng: rand.New(rand.NewPCG(1, 2))}
	w.book = &pool{w: w, free: 1}
	database := &pool{w: w, free: s.DatabaseCores}
	for range s.Nodes {
		n := &node{w: w, cores: &pool{w: w, free: s.NodeCores}, database: database}
		if s.DatabaseCores == 0 { // one machine for all
			if len(w.nodes) > 0 {
				n.cores = w.nodes[0].cores
			}
			n.database = n.cores
		}
		w.nodes = append(w.nodes, n)
	}
	for i := range s.Clients {
		w.nodes[i%s.Nodes].ask()
	}
	var began time.Duration
	for answered := 0; answered+len(w.took) < charges; {
		if answered == 0 && len(w.took) >= charges/4 {
			answered, began = len(w.took), w.now
			w.took, w.commits, w.charges = w.took[:0], 0, 0
		}
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	slices.Sort(w.took)
	at := func(q float64) time.Duration { return w.took[int(q*float64(len(w.took)))] }
	return Figure{PerSecond: float64(len(w.took)) / (w.now - began).Seconds(), P50: at(0.5), P99: at(0.99), Batch: float64(w.charges) / float64(w.commits)}
}

type simulation struct {
	s      Setup
	c      Cost
	rng    *rand.Rand
	now    time.Duration
	events events
	order  int // so that what is due at once comes in the order in which it was planned
	nodes  []*node
	book   *pool // the lock of the book that nodes share

	took             []time.Duration
	commits, charges int
}

type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// after does something when a time has passed.
func (w *simulation) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now + d, w.order, do})
}

// A pool is processors, or a lock. Who waits is taken in no order, which is nearer
// to a system that shares its processors than the order of arrival.
type pool struct {
	w       *simulation
	free    int
	waiting []func()
}

// take does something when there is a free one, which it has to give back.
func (p *pool) take(do func()) {
	if p.free == 0 {
		p.waiting = append(p.waiting, do)
		return
	}
	p.free--
	do()
}

func (p *pool) give() {
	last := len(p.waiting) - 1
	if last < 0 {
		p.free++
		return
	}
	i := p.w.rng.IntN(last + 1)
	next := p.waiting[i]
	p.waiting[i], p.waiting = p.waiting[last], p.waiting[:last]
	next()
}

// work takes a processor for a time.
func (w *simulation) work(p *pool, d time.Duration, then func()) {
	p.take(func() { w.after(d, func() { p.give(); then() }) })
}

// trip goes to the database, works there, and comes back.
func (n *node) trip(d time.Duration, then func()) {
	n.w.after(n.w.s.RoundTrip/2, func() {
		n.w.work(n.database, d, func() { n.w.after(n.w.s.RoundTrip/2, then) })
	})
}

// A node has rounds of commits, one at a time.
type node struct {
	w               *simulation
	cores, database *pool
	missed          int // events that other nodes have appended since this one last followed

	waiting []func() // for the next round
	busy    bool     // one is under way, or about to be
	last    int      // how many the last one was of
	took    time.Duration
	begin   func() // what is waited with, as long as there is company to come
}

// join waits for the next round. It begins when the node gets a processor: who is
// about to ask goes first. When fewer wait than the last round was of, it waits
// half of that for them, but not long.
func (n *node) join(then func()) {
	n.waiting = append(n.waiting, then)
	if n.begin != nil && len(n.waiting) >= n.last {
		n.begin()
	}
	if !n.busy {
		n.busy = true
		n.round()
	}
}

func (n *node) round() {
	w := n.w
	start := func() {
		n.begin = nil
		w.work(n.cores, w.c.Round, func() {
			served, began := n.waiting, w.now
			n.waiting = nil
			n.commit(served, func() {
				n.last, n.took = len(served), w.now-began
				for _, then := range served {
					then()
				}
				if n.busy = len(n.waiting) > 0; n.busy {
					n.round()
				}
			})
		})
	}
	if len(n.waiting) >= n.last {
		start()
		return
	}
	begun := false
	n.begin = func() {
		if !begun {
			begun = true
			start()
		}
	}
	w.after(min(n.took/2, longestGather), n.begin)
}

// longestGather is the ledger's.
const longestGather = 5 * time.Millisecond

// ask makes one charge of a client, and then the next.
func (n *node) ask() {
	w, began := n.w, n.w.now
	cost := w.c.Request
	if w.s.DatabaseCores == 0 {
		cost += w.c.Client
	}
	w.work(n.cores, cost, func() {
		commit := func() {
			n.join(func() {
				w.took = append(w.took, w.now-began)
				n.ask()
			})
		}
		if w.rng.Float64() < w.s.Missing {
			n.trip(w.c.Load, commit)
		} else {
			commit()
		}
	})
}

// commit is one round of commits. On a book that others write to as well it
// locks first, and follows what it missed.
func (n *node) commit(served []func(), done func()) {
	w, batch := n.w, len(served)
	w.commits, w.charges = w.commits+1, w.charges+batch
	write := func(then func()) {
		w.work(n.database, w.c.Commit+time.Duration(batch)*w.c.Charge, func() {
			// A sync takes half its time at least, and now and then much longer.
			w.after(w.s.Sync/2+time.Duration(w.rng.ExpFloat64()*float64(w.s.Sync)/2), then)
		})
	}
	half := w.s.RoundTrip / 2
	if !w.s.Shared || w.s.Nodes == 1 {
		w.after(half, func() { write(func() { w.after(half, done) }) })
		return
	}
	w.after(half, func() {
		w.book.take(func() {
			w.after(half, func() {
				follow := time.Duration(n.missed) * w.c.Follow
				n.missed = 0
				w.work(n.cores, follow, func() {
					w.after(half, func() {
						write(func() {
							for _, other := range w.nodes {
								if other != n {
									other.missed += batch
								}
							}
							w.book.give()
							w.after(half, done)
						})
					})
				})
			})
		})
	})
}
