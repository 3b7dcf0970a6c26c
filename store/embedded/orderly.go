package embedded

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// orderly is a file system on which a directory's entries for Pebble's manifest
// and markers become durable in the order in which they are made. Pebble makes a
// new manifest, then a marker that names it, then removes the old marker, and
// syncs the directory once, after that. A disk that keeps a later one of these
// and not an earlier one, which POSIX allows, leaves a store that names a
// manifest that is not there, or none. So here each is synced when it is made:
// two syncs more at a start.
type orderly struct{ vfs.FS }

func (o orderly) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := o.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	if base := o.PathBase(name); strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.") {
		if err := syncDir(o.FS, o.PathDir(name)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

func (o orderly) Unwrap() vfs.FS { return o.FS }
