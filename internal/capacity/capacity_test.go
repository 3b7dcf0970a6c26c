package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"testing"
	"time"
)

// The model says what the simulation comes to, as nearly as the documentation
// says that it does.
func TestModel(t *testing.T) {
	for _, s := range setups {
		m, sim := Model(s, Here), Simulate(s, Here, simulated)
		if e := m.PerSecond/sim.PerSecond - 1; math.Abs(e) > 0.25 {
			t.Errorf("%s, %d clients: %.0f charges a second, simulated %.0f", s.Name, s.Clients, m.PerSecond, sim.PerSecond)
		}
		if e := float64(m.P99)/float64(sim.P99) - 1; math.Abs(e) > 0.4 {
			t.Errorf("%s, %d clients: a p99 of %v, simulated %v", s.Name, s.Clients, m.P99, sim.P99)
		}
	}
}

// What can be worked out by hand comes out of the simulation.
func TestSimulateAlone(t *testing.T) {
	c := Cost{Request: time.Millisecond, Round: time.Millisecond, Commit: 2 * time.Millisecond, Charge: time.Millisecond}
	s := Setup{Clients: 1, Nodes: 1, NodeCores: 1, DatabaseCores: 1, RoundTrip: 10 * time.Millisecond}
	f := Simulate(s, c, 400)
	// A request, a commit (round, trip, work): 1 + 1+10+3.
	if f.P50 != 15*time.Millisecond || f.P99 != f.P50 || f.Batch != 1 {
		t.Errorf("one client alone: %+v", f)
	}
	// Two nodes take turns: while one holds the book the other waits.
	s.Clients, s.Nodes, s.Shared = 2, 2, true
	if two := Simulate(s, c, 400); two.P50 < 25*time.Millisecond {
		t.Errorf("two nodes that lock: %+v", two)
	}
}

// The documentation has the tables that the program writes. Other processors
// round otherwise.
func TestDocumentation(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the tables are of amd64")
	}
	doc, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables bytes.Buffer
	write(&tables)
	for table := range bytes.SplitSeq(bytes.TrimSpace(tables.Bytes()), []byte("\n\n")) {
		if !bytes.Contains(doc, table) {
			t.Errorf("docs/scaling.md does not have what go run ./internal/capacity writes:\n%s", table)
		}
	}
}
