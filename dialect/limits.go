package dialect

import (
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
}

// NewLimits returns limits that nothing was taken of; nil if the rate is not above zero.
func NewLimits(rate Rate) *Limits {
	if rate.Requests <= 0 || rate.Window <= 0 {
		return nil
	}
	return &Limits{
		rate:   rate,
		each:   max(rate.Window/time.Duration(rate.Requests), 1),
		policy: []string{`"default";q=` + strconv.Itoa(rate.Requests) + `;w=` + strconv.Itoa(int(rate.Window.Seconds()))}, // float: seconds of a header
	}
}

// A bucket is one credential's use.
type bucket struct {
	full atomic.Int64 // when, in ns since 1970, all of the window is free again
	said atomic.Pointer[said]
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
	found, ok := l.buckets.Load(c.Number)
	if !ok {
		found, _ = l.buckets.LoadOrStore(c.Number, new(bucket))
	}
	b := found.(*bucket)
	t := now.UnixNano()
	window := int64(l.rate.Window)
	for {
		was := b.full.Load()
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
