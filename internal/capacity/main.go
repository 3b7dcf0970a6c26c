package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// setups are what docs/scaling.md shows.
var setups = []Setup{
	{Name: "this machine, one node", Clients: 64, Nodes: 1, NodeCores: 2, RoundTrip: 50 * us, Sync: 300 * us},
	{Name: "the same", Clients: 1024, Nodes: 1, NodeCores: 2, RoundTrip: 50 * us, Sync: 300 * us},
	{Name: "this machine, 1 ms away", Clients: 64, Nodes: 1, NodeCores: 2, RoundTrip: 1 * ms, Sync: 300 * us},
	{Name: "this machine, 5 ms away", Clients: 64, Nodes: 1, NodeCores: 2, RoundTrip: 5 * ms, Sync: 300 * us},
	{Name: "the same", Clients: 1024, Nodes: 1, NodeCores: 2, RoundTrip: 5 * ms, Sync: 300 * us},
	{Name: "this machine, 20 ms away", Clients: 64, Nodes: 1, NodeCores: 2, RoundTrip: 20 * ms, Sync: 300 * us},
	{Name: "the same", Clients: 1024, Nodes: 1, NodeCores: 2, RoundTrip: 20 * ms, Sync: 300 * us},
	{Name: "this machine, two nodes on one book", Clients: 64, Nodes: 2, Shared: true, NodeCores: 2, RoundTrip: 50 * us, Sync: 300 * us},
	{Name: "one node of 8 cores, a database of 16 with a replica", Clients: 1000, Nodes: 1, NodeCores: 8, DatabaseCores: 16, RoundTrip: 500 * us, Sync: 1 * ms},
	{Name: "two such nodes on one book", Clients: 1000, Nodes: 2, Shared: true, NodeCores: 8, DatabaseCores: 16, RoundTrip: 500 * us, Sync: 1 * ms},
	{Name: "four such nodes, each its own books", Clients: 4000, Nodes: 4, NodeCores: 8, DatabaseCores: 16, RoundTrip: 500 * us, Sync: 1 * ms},
	{Name: "the same, every fifth account not in memory", Clients: 4000, Nodes: 4, NodeCores: 8, DatabaseCores: 16, RoundTrip: 500 * us, Sync: 1 * ms, Missing: 0.2},
}

// stores are the sizes that docs/scaling.md shows.
var stores = []Store{
	{Accounts: 1e6, Busy: 1e5, PerDay: 1e7, Days: 365, Databases: 1},
	{Accounts: 1e7, Busy: 1e6, PerDay: 1e8, Days: 90, Databases: 1},
	{Accounts: 1e8, Busy: 1e7, PerDay: 1e9, Days: 30, Databases: 4},
	{Accounts: 1e9, Busy: 1e8, PerDay: 1e10, Days: 30, Databases: 32},
}

// simulated is how many charges each simulation makes.
const simulated = 60_000

func main() { write(os.Stdout) }

// write writes the tables of docs/scaling.md.
func write(to io.Writer) {
	fmt.Fprintln(to, "| setup | clients | charges/s | simulated | error | a commit | p99 | simulated |")
	fmt.Fprintln(to, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range setups {
		m, sim := Model(s, Here), Simulate(s, Here, simulated)
		fmt.Fprintf(to, "| %s | %d | %.0f | %.0f | %+.0f %% | %.0f | %s | %s |\n", s.Name, s.Clients, m.PerSecond, sim.PerSecond,
			100*(m.PerSecond/sim.PerSecond-1), sim.Batch, milli(m.P99), milli(sim.P99))
	}
	fmt.Fprintln(to)
	fmt.Fprintln(to, "| accounts | charges a day | kept | databases | charges/s of each | disk of each | memory of each node |")
	fmt.Fprintln(to, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range stores {
		r := s.Size(Here)
		fmt.Fprintf(to, "| %s | %s | %.0f days | %.0f | %.0f | %.1f TB | %.0f MB |\n", millions(s.Accounts), millions(s.PerDay), s.Days, s.Databases,
			s.PerDay/86400/s.Databases, r.Disk/1e12, r.Memory/1e6)
	}
}

func millions(n float64) string { return fmt.Sprintf("%.0f million", n/1e6) }

func milli(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
