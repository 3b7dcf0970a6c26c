package dialect

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"saldo/auth"
)

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimits(Rate{Requests: 10, Window: time.Minute})
		one, other := &auth.Credential{Number: 1}, &auth.Credential{Number: 2}
		take := func(c *auth.Credential) time.Duration {
			var e auth.ErrThrottled
			if err := l.Take(c, time.Now(), nil); errors.As(err, &e) != (err != nil) || err != nil && !e.Rate {
				t.Fatalf("it is refused with %v", err)
			}
			return e.RetryAfter
		}
		var passed atomic.Int32
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if take(one) == 0 {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if passed.Load() != 10 {
			t.Errorf("%d of 30 passed, want 10", passed.Load())
		}
		if wait := take(one); wait != 6*time.Second {
			t.Errorf("it waits %v, want 6 s", wait)
		}
		if wait := take(other); wait != 0 {
			t.Errorf("another waits %v", wait)
		}
		time.Sleep(6 * time.Second) // what it was told
		if first, second := take(one), take(one); first != 0 || second == 0 {
			t.Errorf("after waiting it waits %v, then %v", first, second)
		}
		h := http.Header{}
		time.Sleep(time.Hour)
		if err := l.Take(one, time.Now(), h); err != nil || h.Get("RateLimit") != `"default";r=9;t=6` || h.Get("RateLimit-Policy") != `"default";q=10;w=60` {
			t.Errorf("%v, %v", h, err)
		}
	})
	for _, none := range []Rate{{}, {Requests: -1, Window: time.Minute}, {Requests: 1}} {
		if l := NewLimits(none); l != nil || l.Take(new(auth.Credential), time.Now(), nil) != nil {
			t.Errorf("%+v is a bound", none)
		}
	}
}

// Credentials that have not asked for a while are forgotten; those that have are
// not, so that nobody gets more by many others' asking.
func TestLimitsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimits(Rate{Requests: 2, Window: time.Minute})
		greedy := &auth.Credential{Number: 1}
		passed := 0
		for n := range 20 * sweepFrom {
			if l.Take(greedy, time.Now(), nil) == nil {
				passed++
			}
			if err := l.Take(&auth.Credential{Number: uint64(n + 2)}, time.Now(), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		took := 20 * sweepFrom * 50 * time.Millisecond
		if most := 2 + int(took/(30*time.Second)); passed > most {
			t.Errorf("%d passed in %v, and %d may", passed, took, most)
		}
		kept := 0
		l.buckets.Range(func(_, _ any) bool { kept++; return true })
		if in := int(time.Minute / (50 * time.Millisecond)); kept > 2*(in+1) || int64(kept) != l.kept.Load() { // so many ask in a minute
			t.Errorf("%d are kept, by its count %d", kept, l.kept.Load())
		}
	})
}

// Requests that race with each other for a bucket that goes take no more than
// the rate.
func TestLimitsRace(t *testing.T) {
	l := NewLimits(Rate{Requests: 10, Window: time.Hour})
	now := time.Now()
	for round := range 200 {
		c := &auth.Credential{Number: 7}
		at := now.Add(time.Duration(round) * 2 * time.Hour)
		var passed atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 10 {
					if l.Take(c, at, nil) == nil {
						passed.Add(1)
					}
				}
			})
		}
		all.Go(func() { l.sweep(at.UnixNano()) })
		all.Wait()
		if passed.Load() != 10 {
			t.Fatalf("%d passed, want 10", passed.Load())
		}
	}
}

func BenchmarkTake(b *testing.B) {
	l := NewLimits(Rate{Requests: 1_000_000_000, Window: time.Minute})
	c := &auth.Credential{Number: 1}
	for b.Loop() {
		if err := l.Take(c, time.Now(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
