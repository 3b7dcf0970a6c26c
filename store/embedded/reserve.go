package embedded

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"saldo/ledger"
)

// A reserve is room on the disk that writes leave alone, so that compactions
// and a clean stop have some. It looks at most once a second or after 16 MB.
type reserve struct {
	fs    vfs.FS
	dir   string
	bytes int64 // below 0: none

	mu      sync.Mutex
	looked  time.Time
	written int
	short   error
}

func (r *reserve) check() error {
	if r.bytes < 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < time.Second && r.written < 16<<20 {
		return r.short
	}
	r.looked, r.written, r.short = time.Now(), 0, nil
	usage, err := r.fs.GetDiskUsage(r.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
	case err != nil:
		return err
	case usage.AvailBytes < uint64(r.bytes):
		r.short = fmt.Errorf("%w: %d MB are free, %d MB are to stay free", ledger.ErrNoSpace, usage.AvailBytes>>20, r.bytes>>20)
	}
	return r.short
}

func (r *reserve) wrote(n int) {
	r.mu.Lock()
	r.written += n
	r.mu.Unlock()
}
