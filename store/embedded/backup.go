package embedded

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

// Backup writes a copy of the running store into dest, which must not exist or
// be empty, and returns the heads of its books. The copy is a store: Open reads
// it, and Restore copies it back. Files that never change are linked where dest
// is on the same file system. Beside it stands HEADS (book, seq and hash of
// each book, one a line), for comparing with what others have noted.
//
// Everything that was answered before the call is in the copy, and all that is
// in the copy is durable in the store when Backup returns.
func (s *Store) Backup(ctx context.Context, dest string, progress func(done, total int64)) (heads []ledger.Head, err error) {
	fs := s.options.FS
	if err := emptyDir(fs, dest); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, withdraw(fs, dest))
		}
	}()
	total := int64(s.db.Metrics().DiskSpaceUsage())
	report := func(done int64) {
		if progress != nil {
			progress(done, max(done, total))
		}
	}
	report(0)
	books := fs.PathJoin(dest, "books")
	if err := s.db.Checkpoint(books, pebble.WithFlushedWAL()); err != nil {
		return nil, fmt.Errorf("backing up to %s: %w", dest, err)
	}
	if err := writeFormat(fs, dest, ""); err != nil {
		return nil, err
	}
	if heads, err = readHeads(fs, books); err != nil {
		return nil, fmt.Errorf("the backup in %s cannot be read: %w", dest, err)
	}
	if err := s.reach(ctx, heads); err != nil {
		return nil, err
	}
	if err := writeFile(fs, fs.PathJoin(dest, headsFile), headsText(heads)); err != nil {
		return nil, err
	}
	report(total)
	return heads, nil
}

// reach waits until all that a backup has is durable here too: the checkpoint
// may have caught a batch whose sync had not returned.
func (s *Store) reach(ctx context.Context, heads []ledger.Head) error {
	for i := range heads {
		for {
			snap, err := s.Load(ctx, &ledger.Keys{Heads: []ledger.BookID{heads[i].Book}})
			if err != nil {
				return err
			}
			if h := snap.Heads[0]; h != nil && h.Seq >= heads[i].Seq {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// Restore copies a backup into dest, which must not exist or be empty, and
// checks that the copy opens and ends where the backup says.
func Restore(ctx context.Context, backup, dest string, progress func(done, total int64)) ([]ledger.Head, error) {
	return restore(ctx, vfs.Default, backup, dest, progress)
}

func restore(ctx context.Context, fs vfs.FS, backup, dest string, progress func(done, total int64)) (heads []ledger.Head, err error) {
	if _, err := fs.Stat(fs.PathJoin(backup, formatFile)); err != nil {
		return nil, fmt.Errorf("%s is no backup: %w", backup, err)
	}
	if _, err := checkFormat(fs, backup); err != nil {
		return nil, err
	}
	noted, err := readFile(fs, fs.PathJoin(backup, headsFile))
	if err != nil {
		return nil, fmt.Errorf("%s is not a complete backup: %w", backup, err)
	}
	if err := emptyDir(fs, dest); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, withdraw(fs, dest))
		}
	}()
	c := copier{ctx: ctx, fs: fs, progress: progress, buf: make([]byte, 1<<20)}
	if err := c.dir(fs.PathJoin(backup, "books"), fs.PathJoin(dest, "books")); err != nil {
		return nil, fmt.Errorf("restoring %s: %w", backup, err)
	}
	if heads, err = readHeads(fs, fs.PathJoin(dest, "books")); err != nil {
		return nil, fmt.Errorf("what was restored cannot be read: %w", err)
	}
	if got := headsText(heads); got != noted {
		return nil, fmt.Errorf("what was restored does not end where %s says", fs.PathJoin(backup, headsFile))
	}
	return heads, writeFormat(fs, dest, "") // last, because it makes a directory a store
}

// emptyDir makes a directory, or checks that it is empty.
func emptyDir(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err == nil && len(names) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	if err != nil && !oserror.IsNotExist(err) {
		return err
	}
	return makeDir(fs, dir)
}

// withdraw takes away what a copy that failed has left: it holds room, and stands
// where the next try has to go.
func withdraw(fs vfs.FS, dest string) error {
	for _, name := range []string{formatFile, headsFile, "books"} {
		if err := fs.RemoveAll(fs.PathJoin(dest, name)); err != nil {
			return err
		}
	}
	_ = fs.Remove(dest) // unless something is mounted there
	return nil
}

// A copier copies files with one buffer and syncs them.
type copier struct {
	ctx         context.Context
	fs          vfs.FS
	progress    func(done, total int64)
	done, total int64
	buf         []byte
}

func (c *copier) dir(from, to string) error {
	names, err := c.fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := c.fs.Stat(c.fs.PathJoin(from, name))
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s holds a directory %s, which no backup does", from, name)
		}
		c.total += info.Size()
	}
	if err := makeDir(c.fs, to); err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := c.file(c.fs.PathJoin(from, name), c.fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return syncDir(c.fs, to)
}

func (c *copier) file(from, to string) error {
	in, err := c.fs.Open(from, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := c.fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	for {
		n, readErr := in.Read(c.buf)
		if _, err := out.Write(c.buf[:n]); err != nil {
			return errors.Join(err, out.Close())
		}
		if c.done += int64(n); c.progress != nil {
			c.progress(c.done, c.total)
		}
		if readErr == io.EOF {
			return errors.Join(out.Sync(), out.Close())
		}
		if err := errors.Join(readErr, c.ctx.Err()); err != nil {
			return errors.Join(err, out.Close())
		}
	}
}

// readHeads opens books that nobody has open, changing nothing, and returns
// their heads.
func readHeads(fs vfs.FS, books string) (heads []ledger.Head, err error) {
	s := &Store{options: Options{FS: fs, ReadOnly: true, CacheBytes: 1 << 20, MemTableBytes: 16 << 20}}
	o := s.pebbleOptions()
	o.Logger = silent{}
	o.ErrorIfNotExists = true
	db, err := pebble.Open(books, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for head, err := range scanHeads(db) {
		if err != nil {
			return nil, err
		}
		heads = append(heads, *head)
	}
	return heads, nil
}

func headsText(heads []ledger.Head) string {
	var b strings.Builder
	for i := range heads {
		fmt.Fprintf(&b, "%d %d %s\n", heads[i].Book, heads[i].Seq, hex.EncodeToString(heads[i].Hash[:]))
	}
	return b.String()
}

// silent hears nothing; what it would end the process for is a panic.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
