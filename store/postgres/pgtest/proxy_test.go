package pgtest

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// What goes together is one round trip, however much it is.
func TestTrips(t *testing.T) {
	s := Need(t, Options{})
	p := NewProxy(t, s.Socket)
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ask := func() {
		b := &pgx.Batch{}
		b.Queue(`SELECT length($1)`, "x")
		b.Queue(`SELECT repeat('x', 100000)`) // more than one read
		if err := conn.SendBatch(t.Context(), b).Close(); err != nil {
			t.Fatal(err)
		}
	}
	ask() // and prepares
	before := p.Trips()
	for range 5 {
		ask()
	}
	if n := p.Trips() - before; n != 5 {
		t.Errorf("%d round trips, not 5", n)
	}
}
