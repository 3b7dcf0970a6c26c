package watch

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/money"
)

var update = flag.Bool("update", false, "write what docs/watching.md says of the forecast")

// A history is consumption with a known truth: rate returns what is consumed in
// the minute that begins at a time.
type history struct {
	name  string
	every time.Duration // between readings
	days  int           // that were read before the question
	scale int           // decimals that the vendor shows
	gap   bool          // for two days in the middle nothing was read
	topUp bool          // now and then
	known bool          // whether something has to be said
	hard  bool          // much is not asked of an answer
	rate  func(r *rand.Rand, hour int64, minute int) float64
}

// Consumption is some 1,440 a day in all of them.
var histories = []history{
	{name: "steady", every: 15 * time.Minute, days: 14, scale: 2, known: true,
		rate: func(r *rand.Rand, _ int64, _ int) float64 { return 1 + 0.5*(r.Float64()-0.5) }},
	{name: "steady, one day known", every: 15 * time.Minute, days: 1, scale: 2, known: true,
		rate: func(r *rand.Rand, _ int64, _ int) float64 { return 1 + 0.5*(r.Float64()-0.5) }},
	{name: "daily cycle", every: 15 * time.Minute, days: 14, scale: 2, known: true,
		rate: func(r *rand.Rand, h int64, _ int) float64 {
			return (1 + 0.9*math.Sin(2*math.Pi*float64(h%24)/24)) * (0.5 + r.Float64())
		}},
	{name: "office hours, weekends off", every: 15 * time.Minute, days: 28, scale: 2, known: true, rate: office},
	{name: "office hours, hourly readings", every: time.Hour, days: 28, scale: 2, known: true, rate: office},
	{name: "bursts: campaigns of hours", every: 15 * time.Minute, days: 28, scale: 2, known: true, hard: true, rate: bursts()},
	{name: "single large purchases", every: 15 * time.Minute, days: 28, scale: 2, known: true,
		rate: func(r *rand.Rand, _ int64, _ int) float64 {
			if r.Float64() < 1.0/180 {
				return 180 * 2 * r.Float64()
			}
			return 0
		}},
	{name: "growing 5 % a day", every: 15 * time.Minute, days: 21, scale: 2, known: true, hard: true,
		rate: func(r *rand.Rand, h int64, _ int) float64 {
			return math.Pow(1.05, float64(h)/24-21) * (0.5 + r.Float64())
		}},
	{name: "office hours, topped up", every: 15 * time.Minute, days: 28, scale: 2, topUp: true, known: true, rate: office},
	{name: "office hours, two days unread", every: 15 * time.Minute, days: 28, scale: 2, gap: true, known: true, rate: office},
	{name: "whole credits, slowly", every: 15 * time.Minute, days: 28, scale: 0, known: true,
		rate: func(r *rand.Rand, _ int64, _ int) float64 { return 0.01 * (0.5 + r.Float64()) }},
	{name: "two hours known", every: 15 * time.Minute, days: 0, scale: 2,
		rate: func(*rand.Rand, int64, int) float64 { return 1 }},
	{name: "nothing consumed", every: 15 * time.Minute, days: 14, scale: 2,
		rate: func(*rand.Rand, int64, int) float64 { return 0 }},
}

func office(r *rand.Rand, h int64, _ int) float64 {
	work := 0.15
	if day := weekday(h); day != 2 && day != 3 && h%24 >= 8 && h%24 < 18 { // 1970 began on a Thursday
		work = 3
	}
	return work * (0.5 + r.Float64())
}

func bursts() func(*rand.Rand, int64, int) float64 {
	until := map[*rand.Rand]int64{}
	return func(r *rand.Rand, h int64, minute int) float64 {
		if minute == 0 && h >= until[r] && r.Float64() < 1.0/16 {
			until[r] = h + 1 + r.Int64N(7)
		}
		if h < until[r] {
			return 4 * r.Float64() * 2
		}
		return 0.2
	}
}

// An outcome is how one forecast turned out.
type outcome struct {
	said, known   bool
	off           float64 // |about - truth| / truth
	inside, early bool    // the truth was in the interval; it was before it
	width         float64 // (most - least) / truth
}

// run makes a history, asks, and lives on until the balance is gone.
func (h *history) run(seed uint64, left time.Duration) outcome {
	r := rand.New(rand.NewPCG(seed, 7))
	start := int64(20000*24) + int64(r.IntN(7*24)) // some hour of some week
	span := int64(h.days) * 24
	if h.days == 0 {
		span = 2
	}
	if strings.HasPrefix(h.name, "growing") {
		start -= start % 24
	}
	minutes := span * 60
	gone := make([]float64, 0, minutes)
	hourOf := func(m int64) int64 {
		if strings.HasPrefix(h.name, "growing") {
			return m / 60
		}
		return start + m/60
	}
	var total float64
	for m := range minutes {
		total += h.rate(r, hourOf(m), int(m%60))
		gone = append(gone, total)
	}
	// What is left at the question lasts about as long as was asked for.
	var used float64
	for m := minutes; m < minutes+int64(left/time.Minute); m++ {
		used += h.rate(r, hourOf(m), int(m%60))
	}
	balance := used
	if used == 0 {
		balance = 100
	}
	var u usage
	var p Point
	level := balance + total
	round := func(v float64) money.Amount {
		a, _ := widen(money.New(int64(math.Floor(v*math.Pow10(h.scale)))), h.scale)
		return a
	}
	topped := 0.0
	step := int64(h.every / time.Minute)
	for m := int64(0); m < minutes; m += step {
		if h.gap && m > minutes/2 && m < minutes/2+2*24*60 {
			continue
		}
		if h.topUp && r.Float64() < 1.0/(4*24*3) { // every three days or so
			topped += 500 + 1000*r.Float64()
		}
		shown := round(level - gone[m] + topped)
		at := start*3600 + m*60
		if m == 0 {
			p = Point{At: at, Balance: shown}
		} else {
			p, _, _ = p.next(at, shown)
		}
		u.add(p)
	}
	got := u.forecast(time.Unix(start*3600+minutes*60, 0), balance)
	o := outcome{said: got.Known, known: h.known}
	if !got.Known || balance <= 0 {
		return o
	}
	truth := left
	o.off = math.Abs(float64(got.About-truth)) / float64(truth)
	o.inside = got.Least <= truth && truth <= got.Most
	o.early = truth < got.Least
	o.width = float64(got.Most-got.Least) / float64(truth)
	return o
}

// TestForecast asks each history, two hundred times, how long what is left
// lasts, and holds the answers to what docs/watching.md promises.
func TestForecast(t *testing.T) {
	const runs = 200
	var table strings.Builder
	table.WriteString("| history | readings | answered | median error | 90th percentile | truth inside | ran out before | median width |\n")
	table.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, h := range histories {
		var off, width []float64
		var said, inside, early int
		for n := range runs {
			left := time.Duration(float64(6*time.Hour) * math.Pow(40, float64(n)/runs)) // 6 hours to 10 days
			o := h.run(uint64(n+1), left)
			if !o.said {
				continue
			}
			said++
			off, width = append(off, o.off), append(width, o.width)
			if o.inside {
				inside++
			}
			if o.early {
				early++
			}
		}
		if !h.known {
			if said > 0 {
				t.Errorf("%s: %d of %d were answered, but nothing can be known", h.name, said, runs)
			}
			fmt.Fprintf(&table, "| %s | %v, %d days | 0 %% (unknown) | | | | | |\n", h.name, shortDuration(h.every), h.days)
			continue
		}
		slices.Sort(off)
		slices.Sort(width)
		if said == 0 {
			t.Errorf("%s: nothing was answered", h.name)
			continue
		}
		percent := func(n int) int { return n * 100 / said }
		median, ninety := off[len(off)/2], off[len(off)*9/10]
		fmt.Fprintf(&table, "| %s | %v, %d days | %d %% | %.0f %% | %.0f %% | %d %% | %d %% | %.0f %% |\n", h.name, shortDuration(h.every), h.days,
			said*100/runs, median*100, ninety*100, percent(inside), percent(early), width[len(width)/2]*100)
		leastInside, mostOff := 75, 0.3
		if h.hard {
			leastInside, mostOff = 50, 0.5
		}
		if percent(inside) < leastInside {
			t.Errorf("%s: the truth was inside in %d of %d cases", h.name, inside, said)
		}
		if median > mostOff {
			t.Errorf("%s: the median error is %.0f %%", h.name, median*100)
		}
		if said*100/runs < 60 {
			t.Errorf("%s: only %d of %d were answered", h.name, said, runs)
		}
	}
	t.Log("\n" + table.String())
	inDocs(t, "forecast", table.String())
}

// inDocs holds a part of docs/watching.md to what a test finds, or writes it.
func inDocs(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("..", "docs", "watching.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
	before, rest, ok1 := strings.Cut(string(b), begin)
	was, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("docs/watching.md has no part %s", name)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was != want {
		t.Errorf("docs/watching.md says of %s\n%s\nwant (go test ./watch -update)\n%s", name, was, want)
	}
}
