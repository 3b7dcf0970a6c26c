package embedded_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
	"saldo/ledger/ledgertest"
	"saldo/store/embedded"
)

// TestSuite runs what every store has to pass.
func TestSuite(t *testing.T) {
	ledgertest.Store(t, func(t *testing.T) func() (ledger.Store, func()) {
		fs := vfs.NewMem()
		return func() (ledger.Store, func()) {
			s, err := embedded.Open("data", embedded.Options{FS: fs, DiskReserve: -1, CheckIDs: true})
			if err != nil {
				t.Fatal(err)
			}
			return s, func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
