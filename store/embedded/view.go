package embedded

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A view is what is durable: the snapshot that was taken after a sync. It lives
// until it is no longer the latest and its last reader is done.
type view struct {
	*pebble.Snapshot
	refs atomic.Int64
}

// views has the latest one.
type views struct {
	mu     sync.Mutex
	latest *view
}

// swap puts a snapshot in the latest one's place.
func (vs *views) swap(snapshot *pebble.Snapshot) {
	var next *view
	if snapshot != nil {
		next = &view{Snapshot: snapshot}
		next.refs.Store(1)
	}
	vs.mu.Lock()
	old := vs.latest
	vs.latest = next
	vs.mu.Unlock()
	if old != nil {
		old.release()
	}
}

func (v *view) release() {
	if v.refs.Add(-1) == 0 {
		_ = v.Snapshot.Close() // its only error is to be closed already
	}
}

var errClosed = errors.New("embedded: the store is closed")

// view returns the latest view; the caller releases it.
func (s *Store) view(ctx context.Context) (*view, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	v := s.views.latest
	if v == nil {
		return nil, errClosed
	}
	v.refs.Add(1)
	return v, nil
}

// get returns a row's value as decode makes it, or the zero value if there is
// no such row.
func get[T any](r pebble.Reader, key []byte, decode func([]byte) (T, error)) (row T, err error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row, err = decode(value)
	if err := errors.Join(err, closer.Close()); err != nil {
		var none T
		return none, rowError(key, err)
	}
	return row, nil
}
