package embedded

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

// TestEraseUnread erases what somebody still reads, and what has settled in the
// last level, beside rows that stay: afterwards no table has it.
func TestEraseUnread(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	bk := newBook(1, 1)
	settle := func() {
		t.Helper()
		if err := s.WaitIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
			t.Fatal(err)
		}
	}
	for n := range byte(200) { // so that a table has too few deletions to be written again for them
		mustAppend(t, s, bk.batch(bk.open(account(n+2), ledger.AccountID{}, `{"name":"Bob"}`)))
	}
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada Secretperson"}`)))
	charge := bk.charge(account(1), 5)
	charge.Beside = []ledger.Text{{Data: []byte("for Secretperson")}}
	mustAppend(t, s, bk.batch(charge))
	settle()
	mustAppend(t, s, bk.batch(bk.charge(account(2), 5))) // so that a view shows what the indexes have

	reads, err := s.view(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, bk.batch(&ledger.Event{Touched: []ledger.After{{Account: account(1)}}, Erased: []ledger.AccountID{account(1)}}))
	for range 50 { // rows and their deletions come to be in one table, since somebody reads
		settle()
		if left, err := s.erasures(t.Context()); !left || err != nil {
			t.Fatalf("nothing is left to be erased while somebody reads it, %v", err)
		}
	}
	reads.release()
	if err := s.WaitErased(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	noTableHas(t, dir, "ecretperson")
}

// noTableHas fails if a table of a closed store has a key or a value with a text,
// be it one that no reader is shown any more.
func noTableHas(t *testing.T, dir, text string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "books", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, name := range tables {
		for _, row := range tableRows(t, name) {
			if strings.Contains(row, text) {
				t.Errorf("%s still has %q", filepath.Base(name), row)
			}
		}
	}
}

// tableRows returns all keys and values of a table, which is not told from the
// bytes of a file that is compressed.
func tableRows(t *testing.T, name string) (rows []string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := vfs.Default.Open(name)
	check(err)
	readable, err := sstable.NewSimpleReadable(file)
	check(err)
	o := Tuning()
	o.Merger = sumMerger
	r, err := sstable.NewReader(t.Context(), readable, o.MakeReaderOptions())
	check(err)
	defer r.Close()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	check(err)
	defer it.Close()
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		check(err)
		rows = append(rows, fmt.Sprintf("%s %s %s", kv.K.UserKey, kv.K.Kind(), value))
	}
	check(it.Error())
	return rows
}
