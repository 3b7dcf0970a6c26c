package bench

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"saldo/store/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// What Saldo is compared with does what Saldo does: each charge once, and none
// without money.
func TestAsks(t *testing.T) {
	for _, ask := range []string{AskLocked, AskBatched} {
		t.Run(ask, func(t *testing.T) {
			url := pgtest.New(t)
			charge, closed, err := openAsker(t.Context(), url, ask)
			if err != nil {
				t.Fatal(err)
			}
			defer closed()
			var wait sync.WaitGroup
			for i := range 200 { // each id twice
				wait.Go(func() {
					if err := charge(t.Context(), fmt.Appendf(nil, `{"id":"c%d","amount":"0.25"}`, i/2)); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if err := charge(t.Context(), []byte(`{"id":"dear","amount":"1000000000000"}`)); !errors.Is(err, errPoor) {
				t.Errorf("more than there is: %v", err)
			}
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			var paid, got string
			var n int
			if err := conn.QueryRow(t.Context(), `SELECT (1000000000000 - (SELECT balance FROM bench.accounts WHERE id = 1))::text,
				(SELECT balance FROM bench.accounts WHERE id = 2)::text, (SELECT count(*) FROM bench.charges)`).Scan(&paid, &got, &n); err != nil {
				t.Fatal(err)
			}
			if paid != "25.00" || got != "25.00" || n != 100 {
				t.Errorf("%s was paid and %s received, in %d charges", paid, got, n)
			}
		})
	}
}
