package dialect

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"saldo/auth"
)

// A Rate bounds how many requests a credential may make: Requests in a Window
// at once, and on and on as fast as they fill it.
type Rate struct {
	Requests int
	Window   time.Duration
}

// Limits keep every credential within a rate, whichever of the APIs it asks that
// share them. Nil is no bound.
type Limits struct {
	rate    Rate
	each    time.Duration // what one request uses up of the window
	policy  []string      // the header RateLimit-Policy
	buckets sync.Map      // number of a credential -> *bucket
	kept    atomic.Int64  // how many they are
	sweepAt atomic.Int64  // how many they are to be when those without use are looked for
}

// sweepFrom is how many buckets are kept without a look at them.
const sweepFrom = 1024

// NewLimits returns limits that nothing was taken of; nil if the rate is not above zero.
func NewLimits(rate Rate) *Limits {
	if rate.Requests <= 0 || rate.Window <= 0 {
		return nil
	}
	l := &Limits{
		rate:   rate,
		each:   max(rate.Window/time.Duration(rate.Requests), 1),
		policy: []string{`"default";q=` + strconv.Itoa(rate.Requests) + `;w=` + strconv.Itoa(int(rate.Window.Seconds()))}, // float: seconds of a header
	}
	l.sweepAt.Store(sweepFrom)
	return l
}

// A bucket is one credential's use.
type bucket struct {
	full atomic.Int64 // when, in ns since 1970, all of the window is free again; or swept
	said atomic.Pointer[said]
}

// swept is in a bucket that was taken away: whoever has it still takes another.
const swept = math.MaxInt64

// bucket returns the bucket of a credential. A bucket without use says no more
// than none: when they have become twice as many as were in use, those go.
func (l *Limits) bucket(number uint64, t int64) *bucket {
	found, ok := l.buckets.Load(number)
	if !ok {
		if found, ok = l.buckets.LoadOrStore(number, new(bucket)); !ok {
			if at := l.sweepAt.Load(); l.kept.Add(1) > at && l.sweepAt.CompareAndSwap(at, math.MaxInt64) {
				l.sweep(t)
				l.sweepAt.Store(max(sweepFrom, 2*l.kept.Load()))
			}
		}
	}
	return found.(*bucket)
}

// sweep takes the buckets away of which all is free.
func (l *Limits) sweep(t int64) {
	l.buckets.Range(func(number, found any) bool {
		b := found.(*bucket)
		if full := b.full.Load(); full > 0 && full <= t && b.full.CompareAndSwap(full, swept) {
			l.buckets.Delete(number)
			l.kept.Add(-1)
		}
		return true
	})
}

// said is a header RateLimit and what it says.
type said struct {
	left, reset int64
	header      []string
}

// Take takes one request of a credential's rate, or refuses it by an
// [auth.ErrThrottled]. Into h, unless it is nil, go the headers that say what is
// left.
func (l *Limits) Take(c *auth.Credential, now time.Time, h http.Header) error {
	if l == nil {
		return nil
	}
	t := now.UnixNano()
	b := l.bucket(c.Number, t)
	window := int64(l.rate.Window)
	for {
		was := b.full.Load()
		if was == swept {
			b = l.bucket(c.Number, t)
			continue
		}
		full := max(was, t) + int64(l.each)
		used := full - t
		if used > window {
			l.say(b, h, 0, used)
			return auth.ErrThrottled{RetryAfter: time.Duration(used - window), Rate: true}
		}
		if b.full.CompareAndSwap(was, full) {
			l.say(b, h, (window-used)/int64(l.each), used)
			return nil
		}
	}
}

// say sets the headers. What is left is said in hundredths of the rate, rounded
// down, so that the text of the last reply mostly serves again.
func (l *Limits) say(b *bucket, h http.Header, left, used int64) {
	if h == nil {
		return
	}
	if step := int64(l.rate.Requests / 100); step > 1 {
		left -= left % step
	}
	reset := (used + int64(time.Second) - 1) / int64(time.Second)
	s := b.said.Load()
	if s == nil || s.left != left || s.reset != reset {
		text := `"default";r=` + strconv.FormatInt(left, 10) + `;t=` + strconv.FormatInt(reset, 10)
		s = &said{left, reset, []string{text}}
		b.said.Store(s)
	}
	h["Ratelimit-Policy"] = l.policy
	h["Ratelimit"] = s.header
}
