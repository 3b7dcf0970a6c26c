package main

import (
	"context"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"saldo/ledger"
	"saldo/store/postgres"
)

// metrics is what a server tells Prometheus beside what the dialects count.
type metrics struct {
	registry *prometheus.Registry
	commands *prometheus.CounterVec
	replays  prometheus.Counter
	events   prometheus.Histogram
	took     prometheus.Histogram
	appended prometheus.Histogram
	waiting  prometheus.Gauge
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		registry: r,
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "saldo_commands_total",
			Help: "Commands that were decided and written down, by what they did and what became of them."}, []string{"kind", "outcome"}),
		replays: prometheus.NewCounter(prometheus.CounterOpts{Name: "saldo_commands_unwritten_total",
			Help: "Commands that the loop answered without writing: repeats, and refusals that are not remembered."}),
		events: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "saldo_commit_events",
			Help: "Events that one durable write had.", Buckets: prometheus.ExponentialBuckets(1, 4, 8)}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "saldo_commit_duration_seconds",
			Help: "Time of one round: deciding what waits, writing it durably, answering.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13)}),
		appended: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "saldo_append_duration_seconds",
			Help: "The part of a round that is the durable write.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13)}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "saldo_commands_waiting",
			Help: "Commands that waited when the last round ended."}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "saldo_build_info", Help: "Which Saldo this is; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision(), "goversion": runtime.Version()}})
	info.Set(1)
	r.MustRegister(m.commands, m.replays, m.events, m.took, m.appended, m.waiting, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// commit is told of every round by the loop.
func (m *metrics) commit(c ledger.Commit) {
	if c.Events > 0 {
		m.events.Observe(float64(c.Events))
		m.appended.Observe(c.Append.Seconds())
	}
	m.took.Observe(c.Took.Seconds())
	m.replays.Add(float64(max(c.Commands-c.Events, 0)))
	m.waiting.Set(float64(c.Waiting))
}

// watch adds the figures that are looked up when they are asked for.
func (m *metrics) watch(n *node) {
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	if n.database != nil {
		counter := func(name, help string, read func(postgres.Count) float64) {
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return read(n.database.Count()) }))
		}
		counter("saldo_database_round_trips_total", "Round trips to the database.", func(c postgres.Count) float64 { return float64(c.Trips) })
		counter("saldo_database_doubts_total", "Commits whose outcome had to be found out, because the connection was lost.", func(c postgres.Count) float64 { return float64(c.Doubts) })
		gauge("saldo_database_connections", "Connections to the database.", func() float64 { return float64(n.database.Count().Open) })
	} else {
		m.watchDirectory(n, gauge)
	}
	m.registry.MustRegister(heads{n}, watched{n})
}

// watchDirectory adds what there is to tell of a data directory.
func (m *metrics) watchDirectory(n *node, gauge func(name, help string, read func() float64)) {
	gauge("saldo_index_lag_events", "Durable events that the indexes of lists do not have yet.",
		func() float64 { return float64(n.store.IndexLag()) })
	gauge("saldo_disk_bytes", "What the books take up on the disk.", func() float64 { return float64(n.store.Metrics().DiskBytes) })
	gauge("saldo_disk_free_bytes", "Room on the disk of the data directory.", func() float64 { return float64(n.store.Metrics().DiskFree) })
	gauge("saldo_disk_reserve_bytes", "Room below which nothing is written.", func() float64 { return float64(n.config.DiskReserve) })
	gauge("saldo_cache_bytes", "Blocks of the disk that are kept in memory.", func() float64 { return float64(n.store.Metrics().CacheBytes) })
	gauge("saldo_compaction_debt_bytes", "What compactions have still to do.", func() float64 { return float64(n.store.Metrics().CompactionDebt) })
}

// heads collects how far the journals go, and how many books there are.
type heads struct{ n *node }

var (
	journalEvents = prometheus.NewDesc("saldo_journal_events_total", "Events in all journals.", nil, nil)
	bookCount     = prometheus.NewDesc("saldo_books", "Books that have a journal.", nil, nil)
)

func (heads) Describe(c chan<- *prometheus.Desc) {
	c <- journalEvents
	c <- bookCount
}

func (h heads) Collect(c chan<- prometheus.Metric) {
	var seq uint64
	books := 0
	for row, err := range h.n.books().Scan(context.Background(), ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			return
		}
		seq += row.Head.Seq
		books++
	}
	c <- prometheus.MustNewConstMetric(journalEvents, prometheus.CounterValue, float64(seq))
	c <- prometheus.MustNewConstMetric(bookCount, prometheus.GaugeValue, float64(books))
}

// counted is a store that counts what is appended.
type counted struct {
	ledger.Store
	m *metrics
}

func (s counted) Append(ctx context.Context, b *ledger.Batch) error {
	err := s.Store.Append(ctx, b)
	if err == nil {
		s.m.count(b)
	}
	return err
}

// count counts what was appended.
func (m *metrics) count(b *ledger.Batch) {
	var last, outcome string
	var n int
	flush := func() {
		if n > 0 {
			m.commands.WithLabelValues(last, outcome).Add(float64(n))
		}
	}
	for i := range b.Books {
		for _, e := range b.Books[i].Events {
			k, o := kindOf(e), outcomeOf(e)
			if k != last || o != outcome {
				flush()
				last, outcome, n = k, o, 0
			}
			n++
		}
	}
	flush()
}

// kindOf names what an event did: the first thing, of many.
func kindOf(e *ledger.Event) string {
	switch {
	case e.Refused != nil:
		return "refused"
	case len(e.Holds) > 0:
		return "hold_" + e.Holds[0].Act.String()
	case len(e.Transfers) > 0:
		return e.Transfers[0].Kind.String()
	case len(e.Opened) > 0:
		return "account_opened"
	case len(e.Set) > 0:
		return "account_set"
	case len(e.Erased) > 0:
		return "erased"
	case len(e.Records) > 0:
		return "records"
	}
	return "other"
}

func outcomeOf(e *ledger.Event) string {
	if e.Refused == nil {
		return "ok"
	}
	return snake(e.Refused.Code.String())
}

func snake(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}
