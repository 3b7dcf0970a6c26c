package auth

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

const (
	failuresAtOnce = 10               // with one key from one address, that are answered as such; then
	failureEvery   = 10 * time.Second // one more
	addressEvery   = time.Second      // the same with any keys: ten times as many, and as often

	allowance    = failuresAtOnce * failureEvery // who is that far ahead is throttled
	throttleMost = 2 * time.Minute               // the longest RetryAfter
	throttleSize = 1 << 16                       // keys and addresses remembered
)

// A throttle counts failures by key and address, and by address. For each it
// keeps one time, which every failure moves on: how far it lies ahead is how much
// of the allowance is used up. One that is past says nothing.
//
// An address that is throttled as a whole adds no key to those remembered. So it
// takes very many addresses to have what is remembered of one forgotten.
type throttle struct {
	mu     sync.Mutex
	ahead  map[failure]time.Time
	swept  time.Time
	begins func(from netip.Addr) // told when an address begins to be throttled; may be nil
}

type failure struct {
	key  [16]byte // of SHA-256; zero: any
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
	f := failureOf(key, from)
	t.mu.Lock()
	wait, begins := t.count(failure{from: f.from}, addressEvery, now)
	if wait == 0 {
		wait, begins = t.count(f, failureEvery, now)
	}
	t.mu.Unlock()
	if begins && t.begins != nil {
		t.begins(f.from)
	}
	return wait
}

// count counts a failure that uses up so much of an allowance, and returns how
// long to wait, and whether that has just begun.
func (t *throttle) count(f failure, uses time.Duration, now time.Time) (wait time.Duration, begins bool) {
	ahead, known := t.ahead[f]
	if !known {
		t.room(now)
	}
	if ahead.Before(now) {
		ahead = now
	}
	before := ahead.Sub(now)
	t.ahead[f] = now.Add(min(before+uses, allowance+throttleMost))
	wait = min(before+uses-allowance, throttleMost)
	return max(wait, 0), wait > 0 && before <= allowance
}

// failing reports whether so many failed of late that one more is throttled.
func (t *throttle) failing(key string, from netip.Addr, now time.Time) bool {
	f := failureOf(key, from)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ahead[f].Sub(now) >= allowance || t.ahead[failure{from: f.from}].Sub(now) >= allowance
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
