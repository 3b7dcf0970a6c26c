package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
	"saldo/store/embedded"
)

// A shape is how large one Append was.
type shape struct {
	events, transfers, ids, accounts int

	journal int // bytes of events
	derived int // rows of indexes, which the store writes afterwards, for many rounds at a time
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

// derive spreads the rows of indexes that were written over the shapes, by their
// transfers.
func (s *shapes) derive(rows, transfers int) {
	sofar, given := 0, 0
	for i := range s.taken {
		sofar += s.taken[i].transfers
		s.taken[i].derived = rows*sofar/max(transfers, 1) - given
		given += s.taken[i].derived
	}
}

// What a row of each kind takes in the embedded store, its key aside: counted
// there after runs of Batch and Single.
const (
	accountValue = 33
	idValue      = 5
	journalBlock = 32 << 10
	derivedValue = 8 // a piece of a statement, or a sum of what was used on a day
)

// A raw is Pebble by itself, set as the embedded store sets it.
type raw struct {
	dir string
	db  *pebble.DB
	rng *rand.Rand
	seq atomic.Uint64
}

func newRaw(o Options) (*raw, error) {
	dir, err := os.MkdirTemp(o.Dir, "saldo-bench-raw-")
	if err != nil {
		return nil, err
	}
	po := embedded.Tuning()
	po.Logger = silent{}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &raw{dir: dir, db: db, rng: rand.New(rand.NewPCG(3, 4))}, nil
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, _ ...any) {
	panic(f)
}

// quiet waits until nothing is compacted any more.
func (r *raw) quiet(ctx context.Context) error {
	return quiet(ctx, func() int64 { m := r.db.Metrics(); return m.Compact.NumInProgress + m.Flush.NumInProgress })
}

// junk returns bytes that are about as compressible as events are.
func (r *raw) junk() []byte {
	junk := make([]byte, journalBlock)
	for i := range junk {
		junk[i] = byte(r.rng.Uint32() >> 11 & 0x3f)
	}
	return junk
}

// put adds to a batch what an Append of a shape writes.
func (r *raw) put(b *pebble.Batch, rng *rand.Rand, sh *shape, junk []byte, accounts []ledger.AccountID) error {
	var key [64]byte
	seq := uint64(0)
	for left := sh.journal; left > 0; left -= journalBlock {
		seq = r.seq.Add(1)
		k := binary.BigEndian.AppendUint64(append(key[:0], 'j', 0, 0, 0, 1), seq)
		if err := b.Set(k, junk[:min(left, journalBlock)], nil); err != nil {
			return err
		}
	}
	for range sh.ids {
		k := binary.BigEndian.AppendUint64(append(key[:0], 'i'), rng.Uint64())
		k = binary.BigEndian.AppendUint64(k, rng.Uint64())
		if err := b.Set(k, junk[:idValue], nil); err != nil {
			return err
		}
	}
	for range sh.accounts {
		id := accounts[rng.IntN(len(accounts))]
		if err := b.Set(append(append(key[:0], 'a'), id[:]...), junk[:accountValue], nil); err != nil {
			return err
		}
	}
	for n := range sh.derived {
		id := accounts[rng.IntN(len(accounts))]
		k := append(append(key[:0], "su"[n&1]), id[:]...)
		k = binary.BigEndian.AppendUint64(k, seq>>6*uint64(1-n&1)) // a statement goes on, a day stays
		if err := b.Set(k, junk[:derivedValue], nil); err != nil {
			return err
		}
	}
	return nil
}

// rounds writes batches of the same shapes as the ledger's rounds, each with one
// sync, and returns transfers a second.
func (r *raw) rounds(ctx context.Context, shapes []shape, accounts []ledger.AccountID) (float64, error) {
	junk, transfers := r.junk(), 0
	began := time.Now()
	for i := range shapes {
		b := r.db.NewBatch()
		if err := r.put(b, r.rng, &shapes[i], junk, accounts); err != nil {
			return 0, err
		}
		if err := errors.Join(b.Commit(pebble.Sync), b.Close(), ctx.Err()); err != nil {
			return 0, err
		}
		transfers += shapes[i].transfers
	}
	return float64(transfers) / time.Since(began).Seconds(), nil
}

// callers has as many callers as the ledger had each write, for a while, a
// batch of what one of its commands wrote, with a sync that Pebble shares among
// those who wait; and returns transfers a second.
func (r *raw) callers(ctx context.Context, callers int, command shape, accounts []ledger.AccountID, d time.Duration) (float64, error) {
	junk := r.junk()
	began := time.Now()
	until := began.Add(d)
	done := make([]int, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		rng := rand.New(rand.NewPCG(r.rng.Uint64(), uint64(i)))
		wg.Go(func() {
			for time.Now().Before(until) {
				b := r.db.NewBatch()
				errs[i] = errors.Join(r.put(b, rng, &command, junk, accounts), b.Commit(pebble.Sync), b.Close(), ctx.Err())
				if errs[i] != nil {
					return
				}
				done[i] += command.transfers
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range done {
		total += n
	}
	return float64(total) / time.Since(began).Seconds(), errors.Join(errs...)
}

func (r *raw) close() error { return errors.Join(r.db.Close(), os.RemoveAll(r.dir)) }
