package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	if err := s.SetOwner("address 127.0.0.1:7400"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // trying for the lock does not lose who has it
		_, err := Open(dir, testOptions())
		if !errors.Is(err, ErrLocked) {
			t.Fatalf("opened twice: %v", err)
		}
		for _, part := range []string{fmt.Sprint("pid ", os.Getpid()), "since 20", "address 127.0.0.1:7400", dir} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What a killed process leaves behind keeps nobody out.
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte("pid 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, testOptions())
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"saldo 2\n", "format 2"},
		{"hello\n", "does not say"},
		{"", "no file FORMAT"},
	} {
		dir := t.TempDir()
		if err := openStore(t, dir, testOptions()).Close(); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, formatFile)
		if text, err := os.ReadFile(name); err != nil || string(text) != "saldo 1\n" {
			t.Fatalf("FORMAT is %q, %v", text, err)
		}
		if c.text == "" {
			os.Remove(name)
		} else if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, testOptions()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

// A store whose books went missing is not quietly made anew.
func TestLostBooksAreAnError(t *testing.T) {
	dir := t.TempDir()
	if err := openStore(t, dir, testOptions()).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "books")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, testOptions()); err == nil {
		t.Error("opened without its books")
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1)))
	if err := s.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	o := testOptions()
	o.ReadOnly = true
	s = openStore(t, dir, o)
	want(t, rows(t, s, ledger.Query{List: ledger.ListStatement, Account: account(1)}, seqs), "1")
	if err := s.Append(t.Context(), bk.batch(bk.charge(account(1), 1))); err == nil {
		t.Error("appended")
	}
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestDiskReserve(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions()
	o.FS, o.DiskReserve = fs, 100<<20
	s := openStore(t, "data", o)
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1)))
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 99 << 20, TotalBytes: 1 << 30})
	s.reserve.looked = time.Time{}
	before := *bk
	for range 2 {
		*bk = before
		if err := s.Append(t.Context(), bk.batch(bk.charge(account(1), 1))); !errors.Is(err, ledger.ErrNoSpace) {
			t.Errorf("below the reserve: %v", err)
		}
	}
	if head, err := s.headOf(1); err != nil || head.Seq != 1 {
		t.Errorf("refused, yet at %d, %v", head.Seq, err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 << 20, TotalBytes: 1 << 30})
	s.reserve.looked = time.Time{}
	*bk = before
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1)))
}

// A narrow file system has room for so many files more in one directory.
type narrow struct {
	vfs.FS
	dir  string
	room *int
}

func (f narrow) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(name, f.dir) {
		if *f.room == 0 {
			return nil, syscall.ENOSPC
		}
		*f.room--
	}
	return f.FS.Create(name, category)
}

// TestFailedCopies makes copies where there is less room than they need, for each
// of their files: nothing is left, and the next try is not in its own way.
func TestFailedCopies(t *testing.T) {
	o := testOptions()
	dir, room := t.TempDir(), new(int)
	backup, restored := filepath.Join(dir, "backup"), filepath.Join(dir, "restored")
	o.FS = narrow{vfs.Default, backup, room}
	s := openStore(t, t.TempDir(), o)
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada"}`)))
	tries := func(what, dest string, try func() error) {
		for n := 0; ; n++ {
			*room = n
			err := try()
			if err == nil && n > 0 {
				return
			}
			if _, there := os.Stat(dest); !errors.Is(err, syscall.ENOSPC) || !errors.Is(there, os.ErrNotExist) {
				t.Fatalf("%s with room for %d files: %v, and left is %v", what, n, err, there)
			}
		}
	}
	tries("a backup", backup, func() error {
		_, err := s.Backup(t.Context(), backup, nil)
		return err
	})
	tries("a restoration", restored, func() error {
		_, err := restore(t.Context(), narrow{vfs.Default, restored, room}, backup, restored, nil)
		return err
	})
}

func TestBackupAndRestore(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada"}`)))

	// While others write.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := s.Append(context.Background(), bk.batch(bk.charge(account(1), 1), bk.charge(account(2), 1))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	time.Sleep(20 * time.Millisecond)
	backup := filepath.Join(t.TempDir(), "deep", "backup")
	var last int64
	heads, err := s.Backup(t.Context(), backup, func(done, total int64) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(heads) != 1 || heads[0].Seq < 2 || last == 0 {
		t.Errorf("heads %v, progress up to %d", heads, last)
	}
	if text, err := os.ReadFile(filepath.Join(backup, headsFile)); err != nil ||
		string(text) != fmt.Sprintf("1 %d %x\n", heads[0].Seq, heads[0].Hash) {
		t.Errorf("HEADS: %q, %v", text, err)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the backup is %v, %v", info.Mode(), err)
	}
	if _, err := s.Backup(t.Context(), backup, nil); err == nil {
		t.Error("backed up into a directory that is not empty")
	}

	dir := filepath.Join(t.TempDir(), "restored")
	restored, err := Restore(t.Context(), backup, dir, func(done, total int64) { last = done - total })
	if err != nil || !slices.EqualFunc(restored, heads, func(a, b ledger.Head) bool { return a.Seq == b.Seq && a.Hash == b.Hash }) {
		t.Fatalf("restored %v, %v", restored, err)
	}
	if last != 0 {
		t.Errorf("the last progress was %d short", -last)
	}
	again := openStore(t, dir, testOptions())
	if err := checkBook(t.Context(), again, heads[0]); err != nil {
		t.Error(err)
	}
	if err := again.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
	want(t, rows(t, again, ledger.Query{List: ledger.ListSearch, Tenant: 1, Word: "ada"}, numbers), "1")
	openStore(t, backup, testOptions()) // a backup is a store

	// What it says of its end is what it has to have.
	if err := os.WriteFile(filepath.Join(backup, headsFile), fmt.Appendf(nil, "1 %d %x\n", heads[0].Seq+1, heads[0].Hash), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if _, err := Restore(t.Context(), backup, short, nil); err == nil || !strings.Contains(err.Error(), "does not end where") {
		t.Errorf("restored what was cut off: %v", err)
	}
	if _, err := os.Stat(filepath.Join(short, formatFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is a store: %v", err)
	}
	if err := os.Remove(filepath.Join(backup, headsFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backup, filepath.Join(t.TempDir(), "x"), nil); err == nil {
		t.Error("restored half a backup")
	}
}

func TestErase(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(
		bk.open(account(1), ledger.AccountID{}, `{"name":"Ada Secretperson"}`),
		bk.open(account(2), ledger.AccountID{}, `{"name":"Bob"}`),
	))
	reason := bk.charge(account(1), 5)
	reason.Beside = []ledger.Text{{Data: []byte("for Secretperson")}, {Data: []byte("question")}}
	reason.Records = []ledger.RecordChange{{Kind: "hit", Key: "q", Version: 1, Text: 2}}
	record := &ledger.Record{RecordKey: ledger.RecordKey{Book: 1, Kind: "hit", Key: "q"}, Version: 1, At: ledger.TextAt{Seq: 3, N: 2}}
	b := bk.batch(reason)
	b.Records = []ledger.RecordRow{{Now: record}}
	mustAppend(t, s, b)
	erase := &ledger.Event{Touched: []ledger.After{{Account: account(1)}}, Erased: []ledger.AccountID{account(1)}}
	mustAppend(t, s, bk.batch(erase))
	later := bk.charge(account(1), 5)
	later.Beside = []ledger.Text{{Data: []byte("afterwards")}}
	mustAppend(t, s, bk.batch(later))
	if err := s.WaitErased(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := func(seq uint64, n uint32) ledger.TextKey {
		return ledger.TextKey{Book: 1, TextAt: ledger.TextAt{Seq: seq, N: n}}
	}
	check := func(s *Store) {
		t.Helper()
		snap := load(t, s, &ledger.Keys{
			Texts:   []ledger.TextKey{text(1, 1), text(2, 1), text(3, 1), text(3, 2), text(5, 1)},
			Records: []ledger.RecordKey{record.RecordKey},
		})
		for i, left := range []bool{false, true, false, true, true} {
			if (snap.Texts[i] != nil) != left {
				t.Errorf("text %d is %v", i, snap.Texts[i])
			}
		}
		if string(snap.Records[0].Data) != "question" {
			t.Errorf("the record's data are %q", snap.Records[0].Data)
		}
		want(t, rows(t, s, ledger.Query{List: ledger.ListSearch, Tenant: 1}, numbers), "2")
		want(t, rows(t, s, ledger.Query{List: ledger.ListStatement, Account: account(1)}, seqs), "1 3 4 5")
		if err := s.VerifyIndexes(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openStore(t, dir, testOptions()))

	noTableHas(t, dir, "ecretperson")
}

// An index whose version changes is made again from the journal; so is one that
// is damaged, when it is told to be.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada"}`)))
	for range 20 {
		mustAppend(t, s, bk.batch(bk.charge(account(1), 1), bk.charge(account(2), 1)))
	}
	if err := s.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := rows(t, s, ledger.Query{List: ledger.ListStatement, Account: account(1)}, seqs)
	b := s.db.NewBatch()
	for _, d := range s.index.indexes { // as an older program left it: with rows that are not right
		st := indexState{version: d.version + 1, done: true}
		if err := errors.Join(st.set(b, d.name), b.Set(append([]byte{d.kinds[0]}, make([]byte, 41)...), nil, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.commit(b, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyIndexes(t.Context(), nil); err == nil {
		t.Error("wrong rows were not noticed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	if got := rows(t, s, ledger.Query{List: ledger.ListStatement, Account: account(1)}, seqs); !slices.Equal(got, whole) {
		t.Errorf("made again: %v, before: %v", got, whole)
	}
	want(t, rows(t, s, ledger.Query{List: ledger.ListSearch, Tenant: 1, Word: "ada"}, numbers), "1")
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Indexes that are further behind than they may hold appends up, and let them
// go on.
func TestLagHoldsAppendsUp(t *testing.T) {
	o := testOptions()
	o.MaxLag = 5
	s := openStore(t, t.TempDir(), o)
	if err := s.WaitIndexes(t.Context()); err != nil { // the bound holds once they have caught up
		t.Fatal(err)
	}
	bk := newBook(1, 1)
	for range 30 {
		mustAppend(t, s, bk.batch(bk.charge(account(1), 1), bk.charge(account(1), 1), bk.charge(account(1), 1)))
		if lag := s.IndexLag(); lag > 5+3 {
			t.Errorf("%d behind", lag)
		}
	}
	if err := s.WaitIndexes(t.Context()); err != nil || s.IndexLag() != 0 {
		t.Errorf("%d behind at the end, %v", s.IndexLag(), err)
	}
	if m := s.Metrics(); m.DiskBytes == 0 || m.DiskFree == 0 {
		t.Errorf("metrics %+v", m)
	}
}
