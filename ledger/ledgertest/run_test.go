package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
	"saldo/store/embedded"
)

// disk opens ledgers on one store in memory.
func disk(t testing.TB) func(now func() time.Time) (*ledger.Ledger, func()) {
	fs := vfs.NewMem()
	return func(now func() time.Time) (*ledger.Ledger, func()) {
		store, err := embedded.Open("data", embedded.Options{FS: fs, DiskReserve: -1, CheckIDs: true})
		if err != nil {
			t.Fatal(err)
		}
		// A small cache, so that rows are loaded again and again.
		l, err := ledger.Open(context.Background(), store, ledger.Options{Now: now, MaxClockStep: -1, Cached: 64})
		if err != nil {
			t.Fatal(err)
		}
		return l, func() {
			err := l.Close()
			if _, verr := ledger.Verify(context.Background(), store, ledger.VerifyOptions{}); verr != nil {
				err = errors.Join(err, verr)
			}
			if err := errors.Join(err, store.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestModel(t *testing.T) {
	seed := Seed(t)
	commands := 3000
	if testing.Short() || raceEnabled { // which has its own tests: here one command follows another
		commands = 500
	}
	for i := range uint64(4) {
		Run(t, seed+i, commands, disk(t))
	}
}
