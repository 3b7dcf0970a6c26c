package watch

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"saldo/money"
)

// A Point is a reading as history keeps it. Consumed, Added and Observed are
// sums since the first reading, so points between two others can be left out
// and nothing that was consumed or topped up is lost.
type Point struct {
	At       int64        // seconds since 1970
	Balance  money.Amount // wide
	Consumed money.Amount // wide: all falls
	Added    money.Amount // wide: all rises
	Observed int64        // seconds between readings that had no rise between them
	Drift    money.Amount // wide: the balance less that of our own account for it
	HasDrift bool
}

// next returns the point of a balance that was read at a time. A rise is a
// top-up: what was consumed beside it cannot be seen, so that time does not
// count as observed.
func (p *Point) next(at int64, balance money.Amount) (n Point, rise money.Amount, ok bool) {
	n = Point{At: at, Balance: balance, Consumed: p.Consumed, Added: p.Added, Observed: p.Observed}
	change, ok := balance.Sub(p.Balance)
	if !ok {
		return n, money.Amount{}, false
	}
	if change.Sign() > 0 {
		n.Added, ok = p.Added.Add(change)
		return n, change, ok
	}
	n.Observed += at - p.At
	fall, ok := change.Neg()
	if ok {
		n.Consumed, ok = p.Consumed.Add(fall)
	}
	return n, money.Amount{}, ok
}

// A chunk is the points of an hour, a day or a month, one a line, as stored:
//
//	seconds SP balance SP consumed SP added SP observed [SP drift] LF
//
// The key of its record is the source's and when it begins:
// "0000000001/twilio/2026112205" is an hour, "…/20261122" a day, "…/202611" a
// month.
type chunk []Point

const (
	hourKey  = "2006010215"
	dayKey   = "20060102"
	monthKey = "200601"
)

// After these times an hour's points go into their day's chunk, of which the
// last of each hour stays, and a day's into its month's, of which the last of
// each day stays.
const (
	keepHours = 8 * 24 * time.Hour
	keepDays  = 100 * 24 * time.Hour
)

func (c chunk) append(b []byte) []byte {
	for i := range c {
		p := &c[i]
		b = strconv.AppendInt(b, p.At, 10)
		for _, a := range []money.Amount{p.Balance, p.Consumed, p.Added} {
			b = append(b, ' ')
			b = append(b, text(a)...)
		}
		b = append(b, ' ')
		b = strconv.AppendInt(b, p.Observed, 10)
		if p.HasDrift {
			b = append(b, ' ')
			b = append(b, text(p.Drift)...)
		}
		b = append(b, '\n')
	}
	return b
}

func parseChunk(b []byte) (c chunk, err error) {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) != 5 && len(f) != 6 {
			return nil, fmt.Errorf("watch: a point has %d fields", len(f))
		}
		var p Point
		if p.At, err = strconv.ParseInt(f[0], 10, 64); err != nil {
			return nil, fmt.Errorf("watch: a point's time: %w", err)
		}
		if p.Observed, err = strconv.ParseInt(f[4], 10, 64); err != nil {
			return nil, fmt.Errorf("watch: a point's observed time: %w", err)
		}
		amounts := []*money.Amount{&p.Balance, &p.Consumed, &p.Added}
		texts := f[1:4]
		if p.HasDrift = len(f) == 6; p.HasDrift {
			amounts, texts = append(amounts, &p.Drift), append(texts[:3:3], f[5])
		}
		for i, a := range amounts {
			if *a, err = money.Parse(texts[i], wide); err != nil {
				return nil, fmt.Errorf("watch: a point: %w", err)
			}
		}
		c = append(c, p)
	}
	return c, nil
}

// thinned keeps the last point of each span.
func (c chunk) thinned(span time.Duration) (kept chunk) {
	seconds := int64(span / time.Second)
	for i := range c {
		if i+1 == len(c) || c[i].At/seconds != c[i+1].At/seconds {
			kept = append(kept, c[i])
		}
	}
	return kept
}

// usageHours is how far back usage looks: six weeks.
const usageHours = 6 * 7 * 24

// usage is what was consumed in each of the last hours.
type usage struct {
	last  int64 // the hour, since 1970, that the youngest bucket is
	hours [usageHours]bucket
	point Point // the last that was added
	any   bool
	since int64 // seconds: the first point
	past  [26]past
}

// A past is the last balance of an hour.
type past struct {
	hour    int64
	balance money.Amount
}

// A bucket is one hour: what was consumed in it, while it was observed.
type bucket struct {
	consumed float32
	observed float32 // seconds
}

// add takes the next point. What was consumed between two points is spread over
// the time between.
func (u *usage) add(p Point) {
	was := u.point
	first := !u.any
	u.point, u.any = p, true
	u.past[p.At/3600%int64(len(u.past))] = past{p.At / 3600, p.Balance}
	if first {
		u.since, u.last = p.At, p.At/3600
		return
	}
	if p.At <= was.At {
		return
	}
	for h := p.At / 3600; u.last < h; {
		if h-u.last >= usageHours {
			u.hours, u.last = [usageHours]bucket{}, h
			break
		}
		u.last++
		u.hours[u.last%usageHours] = bucket{}
	}
	fall, _ := p.Consumed.Sub(was.Consumed)
	consumed := number(fall)
	observed := float64(p.Observed - was.Observed)
	if observed <= 0 {
		return
	}
	whole := float64(p.At - was.At)
	for h := max(was.At/3600, u.last-usageHours+1); h <= p.At/3600; h++ {
		share := float64(min(p.At, (h+1)*3600)-max(was.At, h*3600)) / whole
		b := &u.hours[h%usageHours]
		b.consumed += float32(consumed * share)
		b.observed += float32(observed * share)
	}
}

// of returns the bucket of an hour since 1970.
func (u *usage) of(hour int64) bucket {
	if hour > u.last || hour <= u.last-usageHours || hour < 0 {
		return bucket{}
	}
	return u.hours[hour%usageHours]
}

// change returns by how much the balance differs from that of a day before, if
// that is known.
func (u *usage) change(now time.Time) (money.Amount, bool) {
	for _, ago := range []int64{24, 25, 23} {
		hour := now.Unix()/3600 - ago
		if before := u.past[hour%int64(len(u.past))]; before.hour == hour {
			return u.point.Balance.Sub(before.balance)
		}
	}
	return money.Amount{}, false
}
