package embedded

import (
	"testing"

	"saldo/ledger"
)

// TestStartReadsLittle appends many events of which few or none use ids: how
// many a start has to read does not grow with the history.
func TestStartReadsLittle(t *testing.T) {
	dir, o := t.TempDir(), testOptions()
	s := openStore(t, dir, o)
	bk := newBook(5, 2)
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, "")))
	for range 300 {
		e := bk.charge(account(1), 1)
		e.ID, e.Print = "", ledger.Print{}
		mustAppend(t, s, bk.batch(e))
		<-s.ids.idle()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, o)
	if n := s.ids.events; n > o.MaxIDs {
		t.Errorf("%d events were read at the start", n)
	}
	if n, err := s.CountIDs(t.Context()); n != 1 || err != nil {
		t.Errorf("%d ids, %v", n, err)
	}
}
