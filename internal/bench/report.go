package bench

import (
	"slices"
	"time"
)

// A Report is what one scenario came to.
type Report struct {
	Scenario string `json:"scenario"`
	What     string `json:"what"`
	Baseline string `json:"baseline,omitempty"`
	Unit     string `json:"unit"`
	Clients  int    `json:"clients,omitempty"`
	Pairs    []Pair `json:"pairs"`
	// Medians of the pairs.
	Saldo float64 `json:"saldo"`
	Base  float64 `json:"base,omitempty"`
	Ratio float64 `json:"ratio,omitempty"` // of saldo to base, of the median pair
	// Rounds is Pebble alone with one writer of the ledger's own rounds.
	Rounds    float64 `json:"rounds,omitempty"`
	P50       string  `json:"p50,omitempty"`
	P99       string  `json:"p99,omitempty"`
	BaseP50   string  `json:"base_p50,omitempty"`
	BaseP99   string  `json:"base_p99,omitempty"`
	Trips     float64 `json:"trips,omitempty"`      // round trips to the database a commit, counted on the line
	Batch     float64 `json:"batch,omitempty"`      // commands of one commit
	IdleBytes int64   `json:"idle_bytes,omitempty"` // of the server, before anything was asked
	RSSBytes  int64   `json:"rss_bytes,omitempty"`  // of the server, at the end
}

// A Pair is one run of Saldo and, right after or before it, one of the baseline.
type Pair struct {
	Saldo float64 `json:"saldo"`
	Base  float64 `json:"base,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
	// Rounds is described at Report.
	Rounds float64 `json:"rounds,omitempty"`

	saldo50, saldo99, base50, base99 time.Duration
}

func (p *Pair) setSaldo(r *Result, each int) {
	p.Saldo, p.saldo50, p.saldo99 = r.PerSecond()*float64(each), r.Quantile(0.5), r.Quantile(0.99)
}

func (p *Pair) setBase(r *Result, each int) {
	p.Base, p.base50, p.base99 = r.PerSecond()*float64(each), r.Quantile(0.5), r.Quantile(0.99)
}

func (r *Report) add(p Pair) {
	if p.Base > 0 {
		p.Ratio = p.Saldo / p.Base
	}
	r.Pairs = append(r.Pairs, p)
}

// finish works out the medians.
func (r *Report) finish() {
	r.Saldo = median(r.Pairs, func(p *Pair) float64 { return p.Saldo })
	r.Base = median(r.Pairs, func(p *Pair) float64 { return p.Base })
	r.Ratio = median(r.Pairs, func(p *Pair) float64 { return p.Ratio })
	r.Rounds = median(r.Pairs, func(p *Pair) float64 { return p.Rounds })
	r.P50 = text(median(r.Pairs, func(p *Pair) time.Duration { return p.saldo50 }))
	r.P99 = text(median(r.Pairs, func(p *Pair) time.Duration { return p.saldo99 }))
	r.BaseP50 = text(median(r.Pairs, func(p *Pair) time.Duration { return p.base50 }))
	r.BaseP99 = text(median(r.Pairs, func(p *Pair) time.Duration { return p.base99 }))
}

func text(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

func median[T float64 | time.Duration](pairs []Pair, of func(*Pair) T) T {
	var all []T
	for i := range pairs {
		all = append(all, of(&pairs[i]))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
