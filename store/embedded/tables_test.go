package embedded

import (
	"testing"

	"saldo/ledger"
)

// TestJournalTables looks at tables as they are flushed and compacted: those of
// the journal have nothing else, so that no change of a row writes it again.
func TestJournalTables(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	look := func() {
		t.Helper()
		levels, err := s.db.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		own, others := 0, 0
		for _, tables := range levels {
			for _, table := range tables {
				switch first, last := table.Smallest.UserKey[0], table.Largest.UserKey[0]; {
				case first == kJournal && last == kJournal:
					own++
				case first <= kJournal && last >= kJournal:
					t.Errorf("a table has %c to %c", first, last)
				default:
					others++
				}
			}
		}
		if own == 0 || others == 0 {
			t.Errorf("%d tables of the journal, %d of anything else", own, others)
		}
	}
	for n := range byte(3) {
		mustAppend(t, s, bk.batch(bk.open(account(n+1), ledger.AccountID{}, "somebody"), bk.charge(account(n+1), 1)))
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		look()
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	look()
}
