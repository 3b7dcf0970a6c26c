package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"saldo/money"
	"saldo/watch"
)

// watched collects what is known of sources, deliveries and chosen accounts. A
// scrape asks no vendor.
type watched struct{ n *node }

func sourceDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("saldo_source_"+name, help, append([]string{"source", "vendor", "tenant"}, labels...), nil)
}

var (
	sourceBalance   = sourceDesc("balance", "What a vendor keeps for us: what can be spent, and what it says is on hold. Absent while it is unknown.", "unit")
	sourceSpendable = sourceDesc("spendable", "What can be spent at a vendor. Absent while it is unknown.", "unit")
	sourceLow       = sourceDesc("low_threshold", "The amount at which a source is low.", "unit")
	sourceCritical  = sourceDesc("critical_threshold", "The amount at which a source is critically low.", "unit")
	sourceConsumed  = sourceDesc("consumed_total", "Sum of the falls of a balance: what was consumed.", "unit")
	sourceAdded     = sourceDesc("added_total", "Sum of the rises of a balance: what was topped up.", "unit")
	sourceDrift     = sourceDesc("drift", "A balance less that of our own account for it.", "unit")
	sourceRunway    = sourceDesc("runway_seconds", "How long a balance lasts, about. Absent while it is unknown.")
	sourceShortest  = sourceDesc("runway_least_seconds", "How long a balance lasts at least, in four cases of five and more.")
	sourceUp        = sourceDesc("up", "Whether the last poll succeeded.")
	sourceSuccess   = sourceDesc("last_success_timestamp_seconds", "When a source was last read.")
	sourceInterval  = sourceDesc("interval_seconds", "How often a source is to be read.")
	sourceTook      = sourceDesc("poll_duration_seconds", "How long the last poll took.")
	sourcePolls     = sourceDesc("polls_total", "Polls of this process, by what came of them: ok, or why they failed.", "outcome")

	webhookTries   = prometheus.NewDesc("saldo_webhook_deliveries_total", "Tries to deliver alerts: ok, failed (tried again), dead (given up), dropped (the endpoint is gone).", []string{"outcome"}, nil)
	webhookBacklog = prometheus.NewDesc("saldo_webhook_backlog", "Alerts that are still to be delivered.", nil, nil)

	accountSpendable = prometheus.NewDesc("saldo_account_spendable", "What an account can spend, of those that [watch] names.", []string{"account", "unit"}, nil)
	accountHeld      = prometheus.NewDesc("saldo_account_held", "What an account has set aside, of those that [watch] names.", []string{"account", "unit"}, nil)
)

var watchDescs = []*prometheus.Desc{sourceBalance, sourceSpendable, sourceLow, sourceCritical, sourceConsumed, sourceAdded, sourceDrift, sourceRunway,
	sourceShortest, sourceUp, sourceSuccess, sourceInterval, sourceTook, sourcePolls, webhookTries, webhookBacklog, accountSpendable, accountHeld}

func (watched) Describe(c chan<- *prometheus.Desc) {
	for _, d := range watchDescs {
		c <- d
	}
}

func (w watched) Collect(c chan<- prometheus.Metric) {
	for _, l := range w.n.watch.Looks(0) {
		w.source(c, &l)
	}
	outcomes, backlog := w.n.watch.Delivered()
	for _, o := range []string{"ok", "failed", "dead", "dropped"} {
		c <- prometheus.MustNewConstMetric(webhookTries, prometheus.CounterValue, float64(outcomes[o]), o)
	}
	c <- prometheus.MustNewConstMetric(webhookBacklog, prometheus.GaugeValue, float64(backlog))
	if w.n.config.Watch == nil {
		return
	}
	for _, id := range w.n.config.Watch.accounts {
		b, err := w.n.ledger.Balance(context.Background(), id)
		if err != nil {
			continue
		}
		c <- prometheus.MustNewConstMetric(accountSpendable, prometheus.GaugeValue, gauge(b.Spendable, b.Unit), id.String(), b.Unit.Code)
		c <- prometheus.MustNewConstMetric(accountHeld, prometheus.GaugeValue, gauge(b.Held, b.Unit), id.String(), b.Unit.Code)
	}
}

// gauge is an amount in whole units, as exact as Prometheus has it.
func gauge(a money.Amount, u money.Unit) float64 { return amountGauge(a.Text(int(u.Scale))) }

func (w watched) source(c chan<- prometheus.Metric, l *watch.Look) {
	s := l.Source
	tenant := ""
	if t, err := w.n.ledger.TenantByNumber(context.Background(), s.Tenant); err == nil {
		tenant = t.Name
	}
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
		c <- prometheus.MustNewConstMetric(d, kind, v, append([]string{s.Name, s.Kind, tenant}, more...)...)
	}
	put(sourceInterval, prometheus.GaugeValue, s.Interval.Seconds())
	for _, outcome := range slices.Sorted(maps.Keys(l.Outcomes)) {
		put(sourcePolls, prometheus.CounterValue, float64(l.Outcomes[outcome]), outcome)
	}
	if l.Tried.IsZero() {
		return
	}
	up := 0.0
	if l.Reason == "" {
		up = 1
	}
	put(sourceUp, prometheus.GaugeValue, up)
	put(sourceTook, prometheus.GaugeValue, l.Took.Seconds())
	if l.Read.IsZero() {
		return
	}
	put(sourceSuccess, prometheus.GaugeValue, float64(l.Read.UnixMilli())/1e3)
	put(sourceSpendable, prometheus.GaugeValue, amountGauge(watch.Text(l.Point.Balance)), l.Unit)
	put(sourceBalance, prometheus.GaugeValue, amountGauge(owned(l)), l.Unit)
	put(sourceConsumed, prometheus.CounterValue, amountGauge(watch.Text(l.Point.Consumed)), l.Unit)
	put(sourceAdded, prometheus.CounterValue, amountGauge(watch.Text(l.Point.Added)), l.Unit)
	if l.Drift != "" {
		put(sourceDrift, prometheus.GaugeValue, amountGauge(l.Drift), l.Unit)
	}
	for d, at := range map[*prometheus.Desc]string{sourceLow: s.Low, sourceCritical: s.Critical} {
		if at != "" && !strings.HasSuffix(at, "%") {
			put(d, prometheus.GaugeValue, amountGauge(at), l.Unit)
		}
	}
	if l.Runway.Known {
		put(sourceRunway, prometheus.GaugeValue, l.Runway.About.Seconds())
		put(sourceShortest, prometheus.GaugeValue, l.Runway.Least.Seconds())
	}
}

// amountGauge is the nearest that a gauge has to an amount that was written; 0 if
// there is none.
func amountGauge(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return v
}

// owned is what a source has, and what is on hold of it, as text.
func owned(l *watch.Look) string {
	sum := l.Point.Balance
	if held, err := money.Parse(l.OnHold, money.MaxScale); err == nil {
		if more, fits := sum.Add(held); fits {
			sum = more
		}
	}
	return watch.Text(sum)
}
