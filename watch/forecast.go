package watch

import (
	"math"
	"time"
)

// A Runway is how long a balance lasts at the rate at which it was consumed: in
// four cases of five no less than Least and no more than Most. Where it is not
// Known, Why says so in a few words.
type Runway struct {
	Known              bool
	Least, About, Most time.Duration
	PerDay             float64 // what is consumed a day, recently
	Why                string
}

// The forecast's settings, chosen on the generated histories of
// forecast_test.go, which prints how well they do.
const (
	leastObserved = 6 * 3600  // seconds, before anything is said
	recentHours   = 3 * 24.0  // the weight of an hour falls by e in this many
	longHours     = 21 * 24.0 // the same, for the pattern of day and week
	priorHours    = 3.0       // of an hour of the day: how many say nothing yet
	priorDay      = 30.0      // of a day of the week: how many hours do
	priorWeek     = 1.0       // of an hour of the week: how many hours do
	lateHours     = 1.5 * 24  // as recentHours: what trend is seen in
	wander        = 0.12      // a rate is never known better than this
	spread        = 1.35      // standard deviations to each side: four cases of five, with tails
	horizon       = 365 * 24  // hours: nothing is said beyond
	tooWide       = 8         // Most over Least beyond which nothing is known
	yearAhead     = horizon * time.Hour
)

// forecast says how long a balance lasts from now on.
func (u *usage) forecast(now time.Time, balance float64) Runway {
	if !u.any {
		return Runway{Why: "nothing was read yet"}
	}
	m := u.model(now)
	switch {
	case balance <= 0:
		return Runway{Known: true, PerDay: m.rate * 24}
	case m.observed < leastObserved:
		return Runway{Why: "less than 6 hours were observed"}
	case m.rate <= 0:
		return Runway{Why: "nothing was consumed in the last weeks"}
	}
	r := Runway{PerDay: m.rate * 24}
	at := m.walk(now, balance)
	r.About, r.Least, r.Most = at[0], at[1], at[2]
	switch {
	case r.Least >= yearAhead:
		r.Known = true // a year and more
	case r.Most > tooWide*r.Least && r.Most-r.Least > 24*time.Hour:
		r.Why = "consumption is too irregular, or was not observed for long enough"
	default:
		r.Known = true
	}
	return r
}

// A model is what is known of consumption: a rate an hour, and by how much the
// hours of the day and the days of the week differ from it.
type model struct {
	rate     float64
	hour     [24]float64
	day      [7]float64
	week     [7 * 24]float64 // the hours of the week, where they are not what the two make of them
	trend    float64         // how much more was consumed lately than the rate says, as a share of it
	noise    float64         // variance of a day, as a share of its mean, squared
	memory   float64         // days that the rate is known from
	observed float64         // seconds
}

// weekday counts days from Thursday, as 1970 began.
func weekday(hour int64) int64 { return hour / 24 % 7 }

func (u *usage) model(now time.Time) (m model) {
	last := now.Unix() / 3600
	oldest := max(last-usageHours+1, u.since/3600)
	each := func(use func(h int64, consumed, hours, age float64)) {
		for h := oldest; h <= last; h++ {
			if b := u.of(h); b.observed > 0 {
				use(h, float64(b.consumed), float64(b.observed)/3600, float64(last-h))
			}
		}
	}
	for i := range m.hour {
		m.hour[i] = 1
	}
	for i := range m.day {
		m.day[i] = 1
	}
	for i := range m.week {
		m.week[i] = 1
	}
	var long, longHoursSeen float64
	each(func(_ int64, c, o, age float64) {
		w := math.Exp(-age / longHours)
		long, longHoursSeen, m.observed = long+w*c, longHoursSeen+w*o, m.observed+o*3600
	})
	if long <= 0 || longHoursSeen <= 0 {
		return m
	}
	mean := long / longHoursSeen
	level := levels(each, oldest, last, mean)
	// Days first, then hours, each against what the other already explains.
	for range 2 {
		var c, e [7]float64
		each(func(h int64, consumed, o, age float64) {
			w := math.Exp(-age / longHours)
			c[weekday(h)] += w * consumed
			e[weekday(h)] += w * o * level(h) * m.hour[h%24]
		})
		for i := range m.day {
			m.day[i] = (c[i] + priorDay*mean) / (e[i] + priorDay*mean)
		}
		var ch, eh [24]float64
		each(func(h int64, consumed, o, age float64) {
			w := math.Exp(-age / longHours)
			ch[h%24] += w * consumed
			eh[h%24] += w * o * level(h) * m.day[weekday(h)]
		})
		for i := range m.hour {
			m.hour[i] = (ch[i] + priorHours*mean) / (eh[i] + priorHours*mean)
		}
	}
	var cw, ew [7 * 24]float64
	each(func(h int64, consumed, o, age float64) {
		w := math.Exp(-age / longHours)
		cw[h%168] += w * consumed
		ew[h%168] += w * o * level(h) * m.shape(h)
	})
	for i := range m.week {
		m.week[i] = (cw[i] + priorWeek*mean) / (ew[i] + priorWeek*mean)
	}
	var recent, expected, weights, squares, late, lateExpected float64
	each(func(h int64, c, o, age float64) {
		w, now := math.Exp(-age/recentHours), math.Exp(-age/lateHours)
		e := o * m.shape(h)
		recent, expected = recent+w*c, expected+w*e
		weights, squares = weights+w*o, squares+w*w*o
		late, lateExpected = late+now*c, lateExpected+now*e
	})
	if expected <= 0 || lateExpected <= 0 {
		return m
	}
	m.rate = recent / expected
	if m.rate > 0 {
		m.trend = late/lateExpected/m.rate - 1
	}
	m.memory = weights * weights / squares / 24
	m.noise = m.scatter(each)
	// What is more than chance of the last days goes on: to where the rate is now,
	// and into the days to come.
	if chance := math.Sqrt(m.noise * 24 / (2 * lateHours)); math.Abs(m.trend) > chance {
		m.rate *= 1 + 3*(m.trend-math.Copysign(chance, m.trend))
	}
	return m
}

// levels returns the rate of the seven days around an hour, so that what grows
// or shrinks for weeks is not taken for a pattern of the week. Of less than two
// weeks it is the mean.
func levels(each func(func(h int64, c, o, age float64)), oldest, last int64, mean float64) func(hour int64) float64 {
	firstDay := oldest / 24
	days := last/24 - firstDay + 1
	if days < 14 {
		return func(int64) float64 { return mean }
	}
	consumed, observed := make([]float64, days+1), make([]float64, days+1) // sums before a day
	each(func(h int64, c, o, _ float64) {
		consumed[h/24-firstDay+1] += c
		observed[h/24-firstDay+1] += o
	})
	for d := range days {
		consumed[d+1] += consumed[d]
		observed[d+1] += observed[d]
	}
	return func(hour int64) float64 {
		from := min(max(hour/24-firstDay-3, 0), days-7)
		if o := observed[from+7] - observed[from]; o >= 84 {
			return max((consumed[from+7]-consumed[from])/o, mean/100)
		}
		return mean
	}
}

// shape is how an hour differs from the mean.
func (m *model) shape(hour int64) float64 {
	return m.day[weekday(hour)] * m.hour[hour%24] * m.week[hour%168]
}

// scatter measures by how much stretches of time differ from the one before,
// beyond what the model says of them, so that a slow change is no noise: the
// variance of a day, as a share of its mean, squared. Stretches are a day long,
// or shorter where less is known.
func (m *model) scatter(each func(func(h int64, c, o, age float64))) float64 {
	stretch := int64(24)
	if m.observed < 5*86400 {
		stretch = max(1, int64(m.observed/3600/8))
	}
	var squares, n, before float64
	var c, e, o float64
	at, beforeAt := int64(-1), int64(-2)
	end := func() {
		if o < float64(stretch)/2 || e <= 0 {
			return
		}
		ratio := c / e
		if beforeAt == at-1 {
			d := ratio - before
			squares, n = squares+d*d/2*e/m.rate/24, n+1
		}
		before, beforeAt = ratio, at
	}
	each(func(h int64, consumed, observed, _ float64) {
		if h/stretch != at {
			end()
			at, c, e, o = h/stretch, 0, 0, 0
		}
		c, e, o = c+consumed, e+observed*m.rate*m.shape(h), o+observed
	})
	end()
	if n < 3 {
		return 1
	}
	return squares / n
}

// walk goes hour by hour until the balance is gone: as the mean goes, in bad
// cases, in good ones.
func (m *model) walk(now time.Time, balance float64) (at [3]time.Duration) {
	hour := now.Unix() / 3600
	part := 1 - float64(now.Unix()%3600)/3600 // that is left of the first hour
	day := m.rate * 24
	var mean float64
	var elapsed float64 // hours
	done := [3]bool{}
	was := [3]float64{}
	for n := 0; n <= horizon; n++ {
		mean += part * m.rate * m.shape(hour)
		elapsed += part
		days := elapsed / 24
		deviation := day * math.Sqrt(m.noise*days+days*days*(m.noise/max(m.memory, 0.25)+wander*wander+m.trend*m.trend)) * spread
		for i, gone := range [3]float64{mean, mean + deviation, mean - deviation} {
			if done[i] || gone < balance {
				if !done[i] {
					was[i] = gone
				}
				continue
			}
			done[i] = true
			share := 1.0
			if gone > was[i] {
				share = max(0, (balance-was[i])/(gone-was[i]))
			}
			at[i] = time.Duration((elapsed - part + share*part) * float64(time.Hour))
		}
		if done[2] {
			break
		}
		hour++
		part = 1
	}
	for i := range at {
		if !done[i] {
			at[i] = yearAhead
		}
	}
	return at
}
