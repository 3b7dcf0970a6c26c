// Capacity tells what a Saldo on PostgreSQL carries: a model of a few formulas,
// and a simulation of the same queues that checks it.
//
//	go run ./internal/capacity
//
// What always holds: model and simulation have the same inputs, which were
// measured (see Here); the simulation knows none of the model's formulas. Nothing
// here is money.
package main

import "time"

// A Setup is machines, and what is asked of them.
type Setup struct {
	Name    string
	Clients int // each asks again when it was answered
	Nodes   int
	Shared  bool // the nodes charge accounts of one book; else each has books of its own
	// NodeCores is of each node, DatabaseCores of the database. One machine for
	// everything, clients too, has DatabaseCores 0.
	NodeCores, DatabaseCores int

	RoundTrip time.Duration // between node and database, without the work
	Sync      time.Duration // until a commit is on the disk, or on the replica
	Missing   float64       // the part of the charges whose account is not in a node's memory
}

// A Cost is processor time, bytes and memory.
type Cost struct {
	Request time.Duration // of the node: HTTP, credential, decision, encoding
	Round   time.Duration // of the node, for each commit
	Client  time.Duration // of whoever asks, where it shares the machine
	Commit  time.Duration // of the database, for each commit
	Charge  time.Duration // of the database, for each charge in it
	Load    time.Duration // of the database, for each account that is not in memory
	Follow  time.Duration // of a node, for each event that another node has appended

	ChargeBytes  float64 // on the database's disk, journal, ids, statements and indexes
	AccountBytes float64 // likewise, for each account
	CachedBytes  float64 // in a node's memory, for each account that is there
}

// Here is what was measured on the machine of docs/benchmarks.md.
var Here = Cost{Request: 30 * time.Microsecond, Round: 100 * time.Microsecond, Client: 6 * time.Microsecond,
	Commit: 270 * time.Microsecond, Charge: 9 * time.Microsecond, Load: 30 * time.Microsecond,
	Follow: 4 * time.Microsecond, ChargeBytes: 231, AccountBytes: 470, CachedBytes: 254}

// A Figure is what comes of a setup.
type Figure struct {
	PerSecond float64
	P50, P99  time.Duration
	Batch     float64 // charges of a commit
}

// Model works a setup out. A charge passes one queue, that of commits, served in
// rounds that take all that waits. Those of a round are answered together, ask
// again together, and wait for each other at the node's processors; the next
// round waits for them as long as the ledger does, and for who comes after that
// another one has to be made:
//
//	work    = node's part + commit + batch × charge, up to half as much again if the processors are the callers' too
//	round   = work + round trip + sync
//	asking  = batch × request / processors
//	waiting = asking, but at most half a round
//	cycle   = (waiting + round) × (2 - waiting / asking)
//	charges a second = clients / cycle, and no more than the processors carry
//	batch   = charges a second of the node × (waiting + round)
//
// Nodes on one book take turns: a round holds the book for a round trip and what
// follows, and waits for the others' before. The batch stands on both sides, so
// the formulas are gone through until they agree.
func Model(s Setup, c Cost) Figure {
	turns := 1.0
	if s.Shared {
		turns = float64(s.Nodes)
	}
	var f Figure
	rate, batch := 1.0, 1.0
	for range 400 {
		most := s.processors(c, batch)
		work := c.Round.Seconds() + c.Commit.Seconds() + batch*c.Charge.Seconds()
		if s.DatabaseCores == 0 { // it waits for the same processors as everybody
			work *= 1 + min(1, rate/most)/2
		}
		round := work + s.RoundTrip.Seconds() + s.Sync.Seconds()
		if turns > 1 {
			held := round + batch*(turns-1)*c.Follow.Seconds()
			round = s.RoundTrip.Seconds() + turns*held
		}
		request := c.Request.Seconds()
		if s.DatabaseCores == 0 {
			request += c.Client.Seconds()
		}
		asking := request + batch*request/float64(s.NodeCores) + s.Missing*(s.RoundTrip.Seconds()+c.Load.Seconds())
		waiting := min(asking, round/2, longestGather.Seconds())
		cycle := (waiting + round) * (2 - waiting/asking)
		next := min(float64(s.Clients)/cycle, most)
		rate += (next - rate) / 8 // a part of the way, so that it settles
		batch = max(1, rate/float64(s.Nodes)*(waiting+round))
		slowest := cycle
		if waiting < asking {
			slowest = 2*(waiting+round) + asking
		}
		f = Figure{PerSecond: rate, Batch: batch, P50: seconds(float64(s.Clients) / rate), P99: seconds(slowest * float64(s.Clients) / rate / cycle)}
	}
	return f
}

// processors returns how many charges a second the processors carry, when each
// commit has a batch of them.
func (s Setup) processors(c Cost, batch float64) float64 {
	node := c.Request.Seconds() + c.Round.Seconds()/batch
	if s.Shared {
		node += c.Follow.Seconds() * float64(s.Nodes-1)
	}
	database := c.Charge.Seconds() + c.Commit.Seconds()/batch + s.Missing*c.Load.Seconds()
	if s.DatabaseCores == 0 {
		return float64(s.NodeCores) / (node + c.Client.Seconds() + database)
	}
	return min(float64(s.Nodes*s.NodeCores)/node, float64(s.DatabaseCores)/database)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// A Store is what has to be kept.
type Store struct {
	Accounts, Busy float64 // Busy: those charged within some hours
	PerDay         float64 // charges
	Days           float64 // that the journal is kept at hand
	Databases      float64
}

// A Room is what a store takes of each database's disk and of each node's memory.
type Room struct{ Disk, Memory float64 }

// Size works out what a store takes. A node keeps in memory what it charges.
func (s Store) Size(c Cost) Room {
	return Room{Disk: (s.Accounts*c.AccountBytes + s.PerDay*s.Days*c.ChargeBytes) / s.Databases, Memory: s.Busy * c.CachedBytes / s.Databases}
}
