package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"saldo/ledger"
)

// A shape is how large one Append was.
type shape struct {
	events, transfers, ids, accounts int

	journal int // bytes of events
}

// shapes is a store that notes the shape of every Append.
type shapes struct {
	ledger.Store
	taken []shape
}

func (s *shapes) begin() { s.taken = nil }

// Append is called by the ledger's one loop.
func (s *shapes) Append(ctx context.Context, b *ledger.Batch) error {
	if err := s.Store.Append(ctx, b); err != nil {
		return err
	}
	sh := shape{ids: len(b.IDs), accounts: len(b.Accounts)}
	for i := range b.Books {
		sh.events += len(b.Books[i].Events)
		for j, e := range b.Books[i].Events {
			sh.transfers += len(e.Transfers)
			sh.journal += len(b.Books[i].Bytes[j])
		}
	}
	s.taken = append(s.taken, sh)
	return nil
}

// What a row of each kind takes in the embedded store, its key aside: counted
// there after runs of Batch and Single.
const (
	accountValue   = 33
	idValue        = 5
	journalBlock   = 32 << 10
	statementEntry = 2 // an event's number in the statement of an account
)

// A raw is Pebble by itself, set as the embedded store sets it.
type raw struct {
	dir string
	db  *pebble.DB
	rng *rand.Rand
	seq uint64
}

func newRaw(o Options) (*raw, error) {
	dir, err := os.MkdirTemp(o.Dir, "saldo-bench-raw-")
	if err != nil {
		return nil, err
	}
	po := &pebble.Options{CacheSize: 64 << 20, MemTableSize: 16 << 20, MemTableStopWritesThreshold: 4, L0CompactionThreshold: 4,
		L0StopWritesThreshold: 24, LBaseMaxBytes: 64 << 20, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}}
	for i := range po.Levels {
		po.Levels[i].BlockSize = 16 << 10
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.ZstdCompression }
		if i == 0 {
			po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
		}
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &raw{dir: dir, db: db, rng: rand.New(rand.NewPCG(3, 4))}, nil
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, _ ...any) {
	panic(f)
}

// run writes batches of the same shapes, each with one sync, and returns
// transfers a second.
func (r *raw) run(ctx context.Context, shapes []shape, accounts []ledger.AccountID) (float64, error) {
	junk := make([]byte, journalBlock)
	for i := range junk {
		junk[i] = byte(r.rng.Uint32() >> 11 & 0x3f) // about as compressible as events are
	}
	transfers := 0
	began := time.Now()
	for _, sh := range shapes {
		b := r.db.NewBatch()
		var key [64]byte
		for left := sh.journal; left > 0; left -= journalBlock {
			r.seq++
			k := binary.BigEndian.AppendUint64(append(key[:0], 'j', 0, 0, 0, 1), r.seq)
			if err := b.Set(k, junk[:min(left, journalBlock)], nil); err != nil {
				return 0, err
			}
		}
		for range sh.ids {
			k := binary.BigEndian.AppendUint64(append(key[:0], 'i'), r.rng.Uint64())
			k = binary.BigEndian.AppendUint64(k, r.rng.Uint64())
			if err := b.Set(k, junk[:idValue], nil); err != nil {
				return 0, err
			}
		}
		for range sh.accounts {
			id := accounts[r.rng.IntN(len(accounts))]
			if err := b.Set(append(append(key[:0], 'a'), id[:]...), junk[:accountValue], nil); err != nil {
				return 0, err
			}
			k := binary.BigEndian.AppendUint64(append(append(key[:0], 's'), id[:]...), r.seq>>6)
			if err := b.Set(k, junk[:max(statementEntry, 2*sh.events*statementEntry/sh.accounts)], nil); err != nil {
				return 0, err
			}
		}
		if err := errors.Join(b.Commit(pebble.Sync), b.Close(), ctx.Err()); err != nil {
			return 0, err
		}
		transfers += sh.transfers
	}
	return float64(transfers) / time.Since(began).Seconds(), nil
}

func (r *raw) close() error { return errors.Join(r.db.Close(), os.RemoveAll(r.dir)) }
