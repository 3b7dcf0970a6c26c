package embedded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
	"saldo/money"
)

const benchBatch = 1000 // events of one Append

// benchBook makes batches as a busy server does: single transfers under ids of
// their own, from one of many accounts.
type benchBook struct {
	*book
	accounts []ledger.AccountID
	rng      *rand.Rand
}

func newBenchBook(accounts int) *benchBook {
	b := &benchBook{book: newBook(1, 1), rng: rand.New(rand.NewPCG(1, 2))}
	b.head.Time = 1_790_000_000_000_000
	for range accounts {
		var id ledger.AccountID
		be.PutUint64(id[:], 0x0198_0000_0000_7000|b.rng.Uint64()>>20)
		be.PutUint64(id[8:], b.rng.Uint64())
		b.accounts = append(b.accounts, id)
	}
	return b
}

func (b *benchBook) batch() *ledger.Batch {
	events := make([]*ledger.Event, benchBatch)
	to := ledger.SystemID(1, 0, ledger.Revenue)
	for i := range events {
		from := b.accounts[b.rng.IntN(len(b.accounts))]
		amount := money.New(b.rng.Int64N(10_000_000))
		e := &ledger.Event{
			ID: fmt.Sprintf("%08x-%04x-7%03x", b.rng.Uint32(), b.rng.IntN(1<<16), b.rng.IntN(1<<12)), Actor: 7,
			Touched:   []ledger.After{{Account: from, Posted: money.New(b.rng.Int64N(1e12))}, {Account: to, Posted: money.New(b.rng.Int64N(1e15))}},
			Transfers: []ledger.Posting{{Kind: ledger.Charge, From: from, To: to, Amount: amount}},
		}
		be.PutUint64(e.Print[:], b.rng.Uint64())
		be.PutUint64(e.Print[8:], b.rng.Uint64())
		events[i] = e
	}
	return b.book.batch(events...)
}

// BenchmarkAppend is transfers a second, beside what Pebble takes for a batch
// with the same keys and bytes. "hot" moves everything between two accounts;
// "many" takes every transfer from another of 100,000.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int
		checkIDs bool
	}{{"hot", 1, false}, {"many", 100_000, false}, {"many/ids", 100_000, true}} {
		b.Run(c.name, func(b *testing.B) {
			o := Options{Logger: quiet(), CheckIDs: c.checkIDs}
			s, err := Open(b.TempDir(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			bk := newBenchBook(c.accounts)
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := bk.batch()
				b.StartTimer()
				if err := s.Append(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				n += benchBatch
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "transfers/s")
		})
		if c.checkIDs {
			continue
		}
		b.Run(c.name+"/raw", func(b *testing.B) {
			dir := b.TempDir()
			s := &Store{options: Options{Logger: quiet(), FS: vfs.Default, CacheBytes: 64 << 20, MemTableBytes: 16 << 20}}
			db, err := pebble.Open(dir, s.pebbleOptions())
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s.db = db
			bk := newBenchBook(c.accounts)
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := bk.batch()
				raw := db.NewBatch()
				if err := s.fill(raw, batch); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := raw.Commit(pebble.Sync); err != nil {
					b.Fatal(err)
				}
				n += benchBatch
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "transfers/s")
		})
	}
}

// BenchmarkDisk is bytes a transfer after everything was compacted: all of it,
// and by kind of key.
func BenchmarkDisk(b *testing.B) {
	for _, accounts := range []int{1, 100_000} {
		b.Run(fmt.Sprint(accounts), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{Logger: quiet()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			bk := newBenchBook(accounts)
			n := 0
			for b.Loop() {
				for range 100 {
					if err := s.Append(context.Background(), bk.batch()); err != nil {
						b.Fatal(err)
					}
					n += benchBatch
				}
			}
			if err := s.WaitIndexes(context.Background()); err != nil {
				b.Fatal(err)
			}
			if err := s.db.Flush(); err != nil {
				b.Fatal(err)
			}
			if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
				b.Fatal(err)
			}
			total := uint64(0)
			for _, kind := range "jisa" {
				size, err := s.db.EstimateDiskUsage([]byte{byte(kind)}, []byte{byte(kind) + 1})
				if err != nil {
					b.Fatal(err)
				}
				total += size
				b.ReportMetric(float64(size)/float64(n), string(kind)+"-B/transfer")
			}
			b.ReportMetric(float64(total)/float64(n), "B/transfer")
		})
	}
}
