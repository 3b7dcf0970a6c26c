// Package crashfs is a file system in memory on which a program can be stopped
// at every single write or sync, as a power cut would stop it. What the cut
// leaves can be looked at as often as one likes: what was synced is there, and
// of what was not, any part.
//
//	fs := crashfs.New()
//	fs.StopAt(17)
//	go workload(fs)     // writes 1 to 16 happen; 17 and later ones wait
//	<-fs.Stopped()
//	left := fs.Crash(1) // what the disk holds, for one throw of the dice
//	fs.Resume()         // the workload runs to its end; left does not change
package crashfs

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrFailed is what every write reports after FailAt.
var ErrFailed = errors.New("crashfs: the disk has failed")

// An FS counts the operations that change something: creating, writing,
// syncing, renaming, removing, linking. It is safe for concurrent use.
type FS struct {
	vfs.FS
	mem *vfs.MemFS

	// changing is held by changes of directories, and by Crash alone: MemFS
	// locks itself twice in Link, which a waiting CrashClone makes a deadlock.
	changing sync.RWMutex

	mu      sync.Mutex
	n       int // operations so far
	stopAt  int // 0: never
	failAt  int // 0: never
	stopped chan struct{}
	resumed chan struct{}
	resume  sync.Once
}

// New returns an empty file system.
func New() *FS { return on(vfs.NewCrashableMem()) }

func on(mem *vfs.MemFS) *FS {
	return &FS{FS: mem, mem: mem, stopped: make(chan struct{}), resumed: make(chan struct{})}
}

// Ops returns how many operations there were.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// StopAt lets operations from the nth (from 1) on wait until Resume.
func (f *FS) StopAt(n int) { f.mu.Lock(); f.stopAt = n; f.mu.Unlock() }

// FailAt lets operations from the nth (from 1) on fail.
func (f *FS) FailAt(n int) { f.mu.Lock(); f.failAt = n; f.mu.Unlock() }

// Stopped is closed when the operation of StopAt was reached.
func (f *FS) Stopped() <-chan struct{} { return f.stopped }

// IsStopped reports whether the operation of StopAt was reached. Whatever a
// program has answered after that does not count.
func (f *FS) IsStopped() bool {
	select {
	case <-f.stopped:
		return true
	default:
		return false
	}
}

// Resume lets everything go on that waits, and nothing wait any more. To close
// what uses a stopped file system takes a Resume first.
func (f *FS) Resume() { f.resume.Do(func() { close(f.resumed) }) }

// Crash returns what the disk may hold if the power goes now: all that was
// synced, and of other writes and directory entries some or none, as seed
// decides. Seed 0 is none of them. The result is such a file system too.
func (f *FS) Crash(seed uint64) *FS {
	rng := rand.New(rand.NewPCG(seed, 0))
	percent := 0
	if seed != 0 {
		percent = 1 + rng.IntN(99)
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	return on(f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
}

// op is called before every operation.
func (f *FS) op() error {
	f.mu.Lock()
	f.n++
	stop, fail := f.stopAt > 0 && f.n >= f.stopAt, f.failAt > 0 && f.n >= f.failAt
	if stop && !f.IsStopped() {
		close(f.stopped)
	}
	f.mu.Unlock()
	if stop {
		<-f.resumed
	}
	if fail {
		return ErrFailed
	}
	return nil
}

func (f *FS) file(open func() (vfs.File, error)) (vfs.File, error) {
	if err := f.op(); err != nil {
		return nil, err
	}
	return f.wrap(open())
}

func (f *FS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &counted{File: file, fs: f}, nil
}

// Create implements vfs.FS.
func (f *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (f *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, o...) })
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

// OpenDir implements vfs.FS.
func (f *FS) OpenDir(name string) (vfs.File, error) { return f.wrap(f.FS.OpenDir(name)) }

// Lock implements vfs.FS. A lock is no data, so it is not counted.
func (f *FS) Lock(name string) (io.Closer, error) { return f.FS.Lock(name) }

// Link implements vfs.FS.
func (f *FS) Link(from, to string) error {
	return f.do(func() error { return f.FS.Link(from, to) })
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	return f.do(func() error { return f.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	return f.do(func() error { return f.FS.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (f *FS) Rename(from, to string) error {
	return f.do(func() error { return f.FS.Rename(from, to) })
}

// MkdirAll implements vfs.FS.
func (f *FS) MkdirAll(dir string, perm os.FileMode) error {
	return f.do(func() error { return f.FS.MkdirAll(dir, perm) })
}

// Unwrap implements vfs.FS. What is below is nobody's business.
func (f *FS) Unwrap() vfs.FS { return nil }

func (f *FS) do(change func() error) error {
	if err := f.op(); err != nil {
		return err
	}
	f.changing.RLock()
	defer f.changing.RUnlock()
	return change()
}

// counted is a file whose writes and syncs count.
type counted struct {
	vfs.File
	fs *FS
}

func (c *counted) Write(b []byte) (n int, err error) {
	err = c.fs.do(func() (err error) { n, err = c.File.Write(b); return err })
	return n, err
}

func (c *counted) WriteAt(b []byte, off int64) (n int, err error) {
	err = c.fs.do(func() (err error) { n, err = c.File.WriteAt(b, off); return err })
	return n, err
}

func (c *counted) Preallocate(off, length int64) error {
	return c.fs.do(func() error { return c.File.Preallocate(off, length) })
}

func (c *counted) Sync() error     { return c.fs.do(c.File.Sync) }
func (c *counted) SyncData() error { return c.fs.do(c.File.SyncData) }

func (c *counted) SyncTo(length int64) (full bool, err error) {
	err = c.fs.do(func() (err error) { full, err = c.File.SyncTo(length); return err })
	return full, err
}
