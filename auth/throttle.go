package auth

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

const (
	failuresAtOnce = 10               // that are answered as such, then
	failureEvery   = 10 * time.Second // one more
	throttleMost   = 2 * time.Minute  // the longest RetryAfter
	throttleSize   = 1 << 16          // keys and addresses remembered
)

// A throttle counts failures by key and address. For each it keeps one time,
// which every failure moves on by failureEvery: how far it lies ahead is how
// much of the allowance is used up. One that is past says nothing.
type throttle struct {
	mu     sync.Mutex
	ahead  map[failure]time.Time
	swept  time.Time
	begins func(from netip.Addr) // told when an address begins to be throttled; may be nil
}

type failure struct {
	key  [16]byte // of SHA-256
	from netip.Addr
}

func failureOf(key string, from netip.Addr) failure {
	from = from.Unmap().WithZone("")
	if from.Is6() { // who has one address of a /64 has them all
		p, _ := from.Prefix(64)
		from = p.Addr()
	}
	sum := sha256.Sum256([]byte(key))
	return failure{[16]byte(sum[:16]), from}
}

// fail counts a failure, and returns how long to wait: 0 while there are few.
func (t *throttle) fail(key string, from netip.Addr, now time.Time) time.Duration {
	const free = failuresAtOnce * failureEvery
	f := failureOf(key, from)
	before := t.count(f, now)
	wait := min(before+failureEvery-free, throttleMost)
	if wait > 0 && before <= free && t.begins != nil {
		t.begins(f.from)
	}
	return max(wait, 0)
}

// count counts a failure, and returns how far ahead its time was.
func (t *throttle) count(f failure, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	ahead, known := t.ahead[f]
	if !known {
		t.room(now)
	}
	if ahead.Before(now) {
		ahead = now
	}
	before := ahead.Sub(now)
	t.ahead[f] = now.Add(min(before+failureEvery, failuresAtOnce*failureEvery+throttleMost))
	return before
}

// failing reports whether so many failed of late that one more is throttled.
func (t *throttle) failing(key string, from netip.Addr, now time.Time) bool {
	f := failureOf(key, from)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ahead[f].Sub(now) >= failuresAtOnce*failureEvery
}

// room makes room for one more: what says nothing any more goes, looked for at
// most once in failureEvery; then any.
func (t *throttle) room(now time.Time) {
	if len(t.ahead) < throttleSize {
		return
	}
	if now.Sub(t.swept) >= failureEvery {
		t.swept = now
		for f, ahead := range t.ahead {
			if !ahead.After(now) {
				delete(t.ahead, f)
			}
		}
	}
	for f := range t.ahead {
		if len(t.ahead) < throttleSize {
			return
		}
		delete(t.ahead, f)
	}
}
