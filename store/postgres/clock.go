package postgres

import (
	"sync/atomic"
	"time"
)

// micros is the database's time in SQL, in microseconds since 1970.
const micros = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// A clock goes by what round trips have brought from the database. Between two
// of them it goes on by itself, never ahead of the database: a time was already
// past when it came.
type clock struct{ last atomic.Pointer[moment] }

type moment struct {
	theirs time.Time // what the database said
	ours   time.Time // when that came
}

func (m *moment) now() time.Time { return m.theirs.Add(time.Since(m.ours)) }

// saw takes a time that has just come.
func (c *clock) saw(micros int64) {
	m := &moment{time.UnixMicro(micros).UTC(), time.Now()}
	for {
		was := c.last.Load()
		if was != nil && was.now().After(m.theirs) && was.now().Sub(m.theirs) < time.Second {
			return // it took longer than the one before: what that said is nearer
		}
		if c.last.CompareAndSwap(was, m) {
			return
		}
	}
}

// Now returns the database's time, or a moment before.
func (s *Store) Now() time.Time { return s.clock.last.Load().now() }
