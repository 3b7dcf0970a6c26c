package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The names of a store's files, beside those of books.
const (
	lockFile   = "saldo.lock"
	ownerFile  = "saldo.owner"
	formatFile = "FORMAT"
	headsFile  = "HEADS"

	formatVersion = 1
)

// A lock is held by the one process that has a store open. The operating system
// lets go of it when the process ends, however it ends. Who holds it stands in a
// file of its own, because trying for the lock empties the lock's file.
type lock struct {
	fs    vfs.FS
	dir   string
	held  io.Closer
	owner string
}

// ErrLocked says that another process has the store open.
var ErrLocked = errors.New("the store is in use")

func takeLock(fs vfs.FS, dir string) (*lock, error) {
	held, err := fs.Lock(fs.PathJoin(dir, lockFile))
	if err != nil {
		owner, readErr := readFile(fs, fs.PathJoin(dir, ownerFile))
		if readErr != nil {
			return nil, fmt.Errorf("%s cannot be locked: %w", dir, err)
		}
		return nil, fmt.Errorf("%w: %s is open in another process (%s). Talk to that one, stop it, or use another directory",
			ErrLocked, dir, strings.Join(strings.Fields(owner), " "))
	}
	l := &lock{fs: fs, dir: dir, held: held}
	l.owner = fmt.Sprintf("pid %d\nsince %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := l.write(l.owner); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return l, nil
}

func (l *lock) write(text string) error {
	f, err := l.fs.Create(l.fs.PathJoin(l.dir, ownerFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func (l *lock) release() error {
	err := l.fs.Remove(l.fs.PathJoin(l.dir, ownerFile))
	return errors.Join(err, l.held.Close())
}

// SetOwner adds to what another process is told that finds the store in use:
// the address at which this one listens, say.
func (s *Store) SetOwner(text string) error { return s.lock.write(s.lock.owner + text + "\n") }

const unfinished = "being made"

// checkFormat reads the format's version, and reports whether the store was
// made to its end. If it was not, nothing can be in it: Open did not return.
func checkFormat(fs vfs.FS, dir string) (made bool, err error) {
	name := fs.PathJoin(dir, formatFile)
	text, err := readFile(fs, name)
	if oserror.IsNotExist(err) {
		if _, err := fs.Stat(fs.PathJoin(dir, "books")); err == nil {
			return false, fmt.Errorf("%s has books but no file %s: it is damaged; restore it from a backup", dir, formatFile)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var version int
	if n, _ := fmt.Sscanf(text, "saldo %d", &version); n != 1 {
		return false, fmt.Errorf("%s does not say which format the store has: %.40q", name, text)
	}
	if version > formatVersion {
		return false, fmt.Errorf("%s has format %d; this program knows formats up to %d. Use a newer one", dir, version, formatVersion)
	}
	return !strings.Contains(text, unfinished), nil
}

func writeFormat(fs vfs.FS, dir, note string) error {
	return writeFile(fs, fs.PathJoin(dir, formatFile), strings.TrimSpace(fmt.Sprintf("saldo %d %s", formatVersion, note))+"\n")
}
