package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded/crashfs"
)

func crashOptions(fs vfs.FS) Options {
	o := testOptions()
	o.FS, o.MemTableBytes, o.CacheBytes = fs, 128<<10, 1<<20 // small, so that tables are written and compacted too
	o.Fatal = func(error) {}
	return o
}

// crashWork opens a store twice, appends batches to two books, erases, and
// closes it, and tells answered of every batch that was answered. It does the
// same things in the same order each time.
func crashWork(fs vfs.FS, answered func(book ledger.BookID, seq uint64)) error {
	one, two := newBook(1, 1), newBook(2, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	return errors.Join(
		crashLife(fs, 20, one, two, rng, answered),
		crashLife(fs, 4, one, two, rng, answered))
}

func crashLife(fs vfs.FS, batches int, one, two *book, rng *rand.Rand, answered func(book ledger.BookID, seq uint64)) error {
	s, err := Open("data", crashOptions(fs))
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range batches {
		bk := one
		if i%3 == 2 {
			bk = two
		}
		var events []*ledger.Event
		if bk.head.Seq == 0 {
			events = append(events, bk.open(account(byte(bk.head.Book)), ledger.AccountID{}, `{"name":"Ada"}`))
		}
		for range rng.IntN(40) {
			e := bk.charge(account(byte(bk.head.Book)), 1)
			e.ID = fmt.Sprint(bk.head.Book, "-", rng.Uint64())
			e.Records = []ledger.RecordChange{{Kind: "k", Key: "k", Version: 1, Data: noise(rng, 600)}}
			events = append(events, e)
		}
		if i == 9 {
			events = append(events, &ledger.Event{Touched: []ledger.After{{Account: account(1)}}, Erased: []ledger.AccountID{account(1)}})
		}
		if len(events) == 0 {
			continue
		}
		if err := s.Append(context.Background(), bk.batch(events...)); err != nil {
			return err
		}
		answered(bk.head.Book, bk.head.Seq)
	}
	return s.WaitErased(context.Background())
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestPowerCut cuts the power at every write and sync of a small life of a
// store. Whatever the disk then holds: the store opens, has every event that was
// answered and at most one batch more, its journal has no gap, its accounts and
// ids are those of its last events, its indexes agree, and it takes new events.
func TestPowerCut(t *testing.T) {
	fs := crashfs.New()
	if err := crashWork(fs, func(ledger.BookID, uint64) {}); err != nil {
		t.Fatal(err)
	}
	total := fs.Ops()
	t.Logf("%d operations", total)
	step := 1
	if testing.Short() || raced {
		step = 17
	}
	for n := 1; n <= total; n += step {
		cutAt(t, n)
		if t.Failed() {
			t.Fatalf("the power was cut at operation %d", n)
		}
	}
}

// TestRestoreIsDurable cuts the power when a backup was restored: it is there.
func TestRestoreIsDurable(t *testing.T) {
	fs := crashfs.New()
	s, err := Open("data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada"}`)))
	_, err = s.Backup(t.Context(), "backup", nil)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for what, left := range map[string]func() (*crashfs.FS, string){
		"the backup": func() (*crashfs.FS, string) { return fs.Crash(0), "backup" },
		"what was restored": func() (*crashfs.FS, string) {
			if _, err := restore(t.Context(), fs, "backup", "restored", nil); err != nil {
				t.Fatal(err)
			}
			return fs.Crash(0), "restored"
		},
	} {
		fs, dir := left()
		heads, err := readHeads(fs, fs.PathJoin(dir, "books"))
		if err != nil || len(heads) != 1 || heads[0].Hash != bk.head.Hash {
			t.Errorf("of %s is left %v, %v", what, heads, err)
		}
		if made, err := checkFormat(fs, dir); !made || err != nil {
			t.Errorf("%s is no store: %v", what, err)
		}
	}
}

func cutAt(t *testing.T, n int) {
	fs := crashfs.New()
	defer fs.Resume()
	fs.StopAt(n)
	done := make(chan error, 1)
	answered := map[ledger.BookID]uint64{}
	last := map[ledger.BookID]uint64{} // answered, or not
	go func() {
		done <- crashWork(fs, func(book ledger.BookID, seq uint64) {
			last[book] = seq
			if !fs.IsStopped() {
				answered[book] = seq
			}
		})
	}()
	var left []*crashfs.FS
	ended := false
	select {
	case <-fs.Stopped():
		for seed := range uint64(3) {
			left = append(left, fs.Crash(seed))
		}
	case err := <-done: // it wrote less this time: background work is not the same each time
		ended = true
		if err != nil {
			t.Fatal(err)
		}
	}
	fs.Resume()
	if !ended {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for seed, fs := range left {
		if err := afterCut(fs, answered, last); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// afterCut opens what a power cut left and checks it.
func afterCut(fs vfs.FS, answered, last map[ledger.BookID]uint64) (err error) {
	ctx := context.Background()
	s, err := Open("data", crashOptions(fs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, book := range []ledger.BookID{1, 2} {
		head, err := s.headOf(book)
		if err != nil {
			return err
		}
		if head.Seq < answered[book] || head.Seq > last[book] {
			return fmt.Errorf("book %d is at %d; %d was answered, %d written", book, head.Seq, answered[book], last[book])
		}
		if err := checkBook(ctx, s, head); err != nil {
			return fmt.Errorf("book %d: %w", book, err)
		}
	}
	if err := s.WaitErased(ctx); err != nil {
		return err
	}
	if err := s.VerifyIndexes(ctx, nil); err != nil {
		return err
	}
	head, err := s.headOf(1)
	if err != nil {
		return err
	}
	bk := newBook(1, 1)
	bk.head = head
	return s.Append(ctx, bk.batch(bk.charge(account(1), 1)))
}

func (s *Store) headOf(book ledger.BookID) (ledger.Head, error) {
	snap, err := s.Load(context.Background(), &ledger.Keys{Heads: []ledger.BookID{book}})
	if err != nil || snap.Heads[0] == nil {
		return ledger.Head{Book: book, Tenant: 1}, err
	}
	return *snap.Heads[0], nil
}

// checkBook compares a book's journal with its state.
func checkBook(ctx context.Context, s *Store, head ledger.Head) error {
	n := uint64(0)
	touched := map[ledger.AccountID]uint64{}
	refs := map[ledger.Ref]uint64{}
	for row, err := range s.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: head.Book}) {
		if err != nil {
			return err
		}
		n++
		for _, a := range row.Event.Touched {
			touched[a.Account] = n
		}
		if row.Event.ID != "" {
			refs[ledger.RefOf(head.Tenant, row.Event.ID)] = n
		}
	}
	if n != head.Seq {
		return fmt.Errorf("%d events, the head says %d", n, head.Seq)
	}
	keys := &ledger.Keys{}
	for id := range touched {
		keys.Accounts = append(keys.Accounts, id)
	}
	for ref := range refs {
		keys.IDs = append(keys.IDs, ref)
	}
	snap, err := s.Load(ctx, keys)
	if err != nil {
		return err
	}
	for i, a := range snap.Accounts {
		if a == nil || a.Seq != touched[keys.Accounts[i]] {
			return fmt.Errorf("account %v is %v, its last event %d", keys.Accounts[i], a, touched[keys.Accounts[i]])
		}
	}
	for i, at := range snap.IDs {
		if at == nil || at.Seq != refs[keys.IDs[i]] {
			return fmt.Errorf("id %x is at %v, its event is %d", keys.IDs[i], at, refs[keys.IDs[i]])
		}
	}
	return nil
}

// A disk that fails ends the store: the append that was under way reports it,
// and so does everything after. Options.Fatal hears of it once.
func TestAFailedWriteEndsTheStore(t *testing.T) {
	fs := crashfs.New()
	o := crashOptions(fs)
	var fatal []error
	o.Fatal = func(err error) { fatal = append(fatal, err) }
	s, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1)))
	if err := s.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	fs.FailAt(fs.Ops() + 1)
	if err := s.Append(t.Context(), bk.batch(bk.charge(account(1), 1))); err == nil {
		t.Error("a write to a failed disk was answered")
	}
	if len(fatal) != 1 {
		t.Errorf("Fatal heard %v", fatal)
	}
	if _, err := s.Load(t.Context(), &ledger.Keys{}); err == nil {
		t.Error("a dead store answers")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again, err := Open("data", crashOptions(fs.Crash(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if head, err := again.headOf(1); err != nil || head.Seq != 1 {
		t.Errorf("opened again at %d, %v", head.Seq, err)
	}
}

// While a batch is being synced, nobody sees it.
func TestReadersSeeOnlyWhatIsDurable(t *testing.T) {
	fs := crashfs.New()
	s, err := Open("data", crashOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer fs.Resume()
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1)))
	if err := s.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := func() string {
		t.Helper()
		head, err := s.headOf(1)
		if err != nil {
			t.Fatal(err)
		}
		snap := load(t, s, &ledger.Keys{Accounts: []ledger.AccountID{account(1)}})
		q := ledger.Query{Book: 1, Account: account(1)}
		var lists [2]int
		for i, list := range []ledger.List{ledger.ListEvents, ledger.ListStatement} {
			q.List = list
			lists[i] = len(rows(t, s, q, seqs))
		}
		posted, _ := snap.Accounts[0].Posted.Int64()
		return fmt.Sprint(head.Seq, lists, posted)
	}
	if got := seen(); got != "1 [1 1] 999" {
		t.Fatalf("at first: %s", got)
	}
	fs.StopAt(fs.Ops() + 2) // the write into the log goes through, its sync waits
	done := make(chan error, 1)
	go func() { done <- s.Append(context.Background(), bk.batch(bk.charge(account(1), 5))) }()
	<-fs.Stopped()
	for { // until Pebble shows the batch
		row, err := get(s.db, accountKey(nil, account(1)), accountDecoder(account(1)))
		if err != nil {
			t.Fatal(err)
		}
		if row.Posted == money.New(995) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got := seen(); got != "1 [1 1] 999" {
		t.Errorf("before the sync: %s", got)
	}
	fs.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := seen(); got != "2 [2 2] 995" {
		t.Errorf("after the sync: %s", got)
	}
}
