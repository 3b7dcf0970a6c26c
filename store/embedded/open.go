package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

// Options say how a store is opened. The zero value is what a server wants.
type Options struct {
	FS            vfs.FS       // nil: the operating system's
	Logger        *slog.Logger // nil: slog.Default
	CacheBytes    int64        // of uncompressed blocks; 0: 64 MB
	MemTableBytes uint64       // of what is gathered before it is written as a table; 0: 16 MB
	DiskReserve   int64        // bytes that stay free; 0: 256 MB, below 0: none
	MaxLag        uint64       // events that the indexes may be behind before Append waits; 0: 200,000
	MaxIDs        int          // ids that are gathered in memory before they become a table; 0: 262,144
	CheckIDs      bool         // Append looks whether its ids are taken. The ledger does so before
	ReadOnly      bool         // neither Append nor the indexer writes

	// Fatal is called when a write failed, and should end the process: what the
	// disk holds is unknown. If it returns, the store refuses everything. nil:
	// log and exit with status 1.
	Fatal func(error)
}

func (o Options) withDefaults(dir string) (Options, string, error) {
	if o.FS == nil {
		o.FS = vfs.Default
		var err error
		if dir, err = filepath.Abs(dir); err != nil { // so that one directory has one lock name
			return o, dir, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = cacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = memTableBytes
	}
	if o.DiskReserve == 0 {
		o.DiskReserve = 256 << 20
	}
	if o.MaxLag == 0 {
		o.MaxLag = 200_000
	}
	if o.MaxIDs == 0 {
		o.MaxIDs = 256 << 10
	}
	if o.Fatal == nil {
		logger := o.Logger
		o.Fatal = func(err error) {
			logger.Error("the store cannot go on; start again to find out what was written", "err", err)
			os.Exit(1)
		}
	}
	return o, dir, nil
}

// A Store keeps books in a directory. It implements [ledger.Store].
type Store struct {
	dir       string
	options   Options
	db        *pebble.DB
	lock      *lock
	reserve   reserve
	ids       *ids
	index     *indexer
	indexRows atomic.Uint64 // that the indexer has written
	eraser    *eraser

	writing sync.Mutex // held by Append
	heads   map[ledger.BookID]ledger.Head
	scratch []byte
	order   accountOrder // scratch

	views  views
	dead   atomic.Pointer[error] // why the store refuses everything
	died   chan struct{}         // closed when it does
	ctx    context.Context       // ends with Close
	cancel context.CancelFunc
	closed sync.Once
}

var _ ledger.Store = (*Store)(nil)

// Open opens the store in dir, or makes one there. It does not read the
// history; indexes that are behind catch up in the background.
func Open(dir string, o Options) (_ *Store, err error) {
	o, dir, err = o.withDefaults(dir)
	if err != nil {
		return nil, err
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(o.FS, dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, options: o, lock: lock, heads: map[ledger.BookID]ledger.Head{}, died: make(chan struct{})}
	s.reserve = reserve{fs: o.FS, dir: dir, bytes: o.DiskReserve}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openBooks(); err != nil {
		return nil, fmt.Errorf("opening the books in %s: %w", dir, err)
	}
	s.views.swap(s.db.NewSnapshot())
	if s.ids, err = openIDs(s); err != nil {
		return nil, err
	}
	if s.index, err = startIndexer(s); err != nil {
		return nil, err
	}
	s.eraser = startEraser(s)
	return s, nil
}

// openBooks opens Pebble, or makes new books. A store that was made once is
// never made again: if its books cannot be found, that is an error.
func (s *Store) openBooks() error {
	fs, books := s.options.FS, s.options.FS.PathJoin(s.dir, "books")
	made, err := checkFormat(fs, s.dir)
	if err != nil {
		return err
	}
	o := s.pebbleOptions()
	o.ErrorIfNotExists = made
	if made {
		s.db, err = pebble.Open(books, o)
		return err
	}
	if s.options.ReadOnly {
		return errors.New("there is no store")
	}
	if err := writeFormat(fs, s.dir, unfinished); err != nil {
		return err
	}
	if err := fs.RemoveAll(books); err != nil { // of an attempt that was cut off
		return err
	}
	if s.db, err = pebble.Open(books, o); err != nil {
		return err
	}
	return errors.Join(syncDir(fs, s.dir), writeFormat(fs, s.dir, ""))
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := Tuning()
	o.FS = orderly{s.options.FS}
	o.CacheSize, o.MemTableSize = cacheSize(s.options.CacheBytes, s.options.MemTableBytes), s.options.MemTableBytes
	o.Merger, o.Logger, o.ReadOnly = sumMerger, (*pebbleLogger)(s), s.options.ReadOnly
	return o
}

const (
	cacheBytes    = 64 << 20
	memTableBytes = 16 << 20
	memTables     = 4 // that there may be before writes wait
)

// cacheSize returns how large Pebble's cache is that has room for some bytes of
// blocks: what is gathered in memory takes its room there.
func cacheSize(blocks int64, memTable uint64) int64 { return blocks + memTables*int64(memTable) }

// Tuning returns how the store sets Pebble: for few, large, synced batches, and
// for a small process. Figures in docs: see BenchmarkAppend. What is measured
// beside the store is set like this, too.
func Tuning() *pebble.Options {
	o := &pebble.Options{
		CacheSize:                   cacheSize(cacheBytes, memTableBytes),
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                500,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, max(1, min(3, runtime.NumCPU()-1)) },
	}
	o.TargetFileSizes[0] = 4 << 20
	// Deletions lie together: holds that were open, deadlines that were met. A tenth
	// of a table would be enough to have it written again at once, for scans that do
	// not come there before it is compacted anyway.
	o.Experimental.TombstoneDenseCompactionThreshold = 0.5
	// Blocks of the journal are written once and in order. In tables of their own
	// they are moved from level to level, and not written again with what changes.
	o.Experimental.SpanPolicyFunc = func(start []byte) (p pebble.SpanPolicy, end []byte, err error) {
		switch {
		case start[0] < kJournal:
			end = []byte{kJournal}
		case start[0] == kJournal:
			end = []byte{kJournal + 1}
		}
		return p, end, nil
	}
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = 16 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	// What is above the last level is soon compacted again.
	o.Levels[len(o.Levels)-1].Compression = func() *sstable.CompressionProfile { return sstable.BalancedCompression }
	return o
}

// Close waits for the store's goroutines and closes its files. Nothing may be
// using the store. A store that died (see Options.Fatal) keeps its files open:
// its process is about to end.
func (s *Store) Close() (err error) {
	s.closed.Do(func() {
		s.cancel()
		if s.index != nil {
			s.await(s.index.done)
		}
		if s.eraser != nil {
			s.await(s.eraser.done)
		}
		if s.ids != nil {
			s.await(s.ids.idle())
			s.await(s.ids.filled)
		}
		if s.err() != nil {
			return
		}
		s.views.swap(nil)
		if s.db != nil {
			err = s.db.Close()
		}
		err = errors.Join(err, s.lock.release())
	})
	return err
}

// await waits for the end of a goroutine. That of a dead store may never come:
// Pebble can be left holding a lock that it waits for.
func (s *Store) await(done <-chan struct{}) {
	select {
	case <-done:
	case <-s.died:
	}
}

// err returns why the store refuses everything, or nil.
func (s *Store) err() error {
	if e := s.dead.Load(); e != nil {
		return *e
	}
	return nil
}

// die marks the store as dead and calls Options.Fatal.
func (s *Store) die(err error) {
	err = fmt.Errorf("embedded: a write failed: %w", err)
	if s.dead.CompareAndSwap(nil, &err) {
		close(s.died)
		s.cancel()
		s.options.Fatal(err)
	}
}

// commit writes a batch. Pebble reports a failure to its logger's Fatalf, or
// panics where it cannot; either is the end of the store.
func (s *Store) commit(b *pebble.Batch, o *pebble.WriteOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.die(fmt.Errorf("%v", r))
			err = s.err()
		}
	}()
	if err := s.err(); err != nil {
		return err
	}
	if err := s.db.Apply(b, o); err != nil {
		s.die(err)
	}
	return s.err()
}

// pebbleLogger is what Pebble has to say: failures end the store, the rest is
// of use to those who look for it.
type pebbleLogger Store

func (l *pebbleLogger) Infof(format string, args ...any) {
	l.options.Logger.Debug(fmt.Sprintf(format, args...))
}

func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.options.Logger.Error(fmt.Sprintf(format, args...))
}

func (l *pebbleLogger) Fatalf(format string, args ...any) {
	(*Store)(l).die(fmt.Errorf(format, args...))
}

// Dir returns the store's directory.
func (s *Store) Dir() string { return s.dir }

// syncDir makes a directory's entries durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory that only its owner may look into, and makes sure
// that it stays.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}

// writeFile writes a file that is there as a whole or not at all.
func writeFile(fs vfs.FS, name, text string) error {
	temp := name + ".new"
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(name))
}

func readFile(fs vfs.FS, name string) (string, error) {
	f, err := fs.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(b), err
}
