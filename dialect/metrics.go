// Package dialect has what the dialects share: the frame of a server that
// answers whole replies, what a client half returns, and how answers are counted.
//
// What always holds: a label is looked up once, when a dialect is made, and its
// values are a closed list, so that no request can add a series.
package dialect

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what dialects answer and how long that takes. A nil *Metrics
// counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "saldo_http_requests_total",
			Help: "Requests that were answered, by dialect, operation and HTTP status code.",
		}, []string{"dialect", "operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "saldo_http_request_duration_seconds",
			Help:    "Time from the head of a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13), // 100 µs to 6 s
		}, []string{"dialect", "operation"}),
	}
	r.MustRegister(m.requests, m.duration)
	return m
}

// An Operation is one call of a dialect, to be counted.
type Operation struct {
	name     string
	dialect  string
	requests *prometheus.CounterVec
	codes    [600]atomic.Pointer[prometheus.Counter] // by status; nil: never answered yet
	duration prometheus.Observer
}

// Operation returns what counts an operation of a dialect.
func (m *Metrics) Operation(dialect, name string) *Operation {
	op := &Operation{name: name, dialect: dialect}
	if m != nil {
		op.requests = m.requests
		op.duration = m.duration.WithLabelValues(dialect, name)
	}
	return op
}

// Name is the operation's label.
func (o *Operation) Name() string { return o.name }

// Observe counts one answer.
func (o *Operation) Observe(status int, took time.Duration) {
	if o.duration == nil {
		return
	}
	if status < 100 || status >= len(o.codes) {
		status = 500
	}
	counter := o.codes[status].Load()
	if counter == nil { // the first answer of its sort; whoever else finds none makes the same one
		made := o.requests.WithLabelValues(o.dialect, o.name, strconv.Itoa(status))
		counter = &made
		o.codes[status].Store(counter)
	}
	(*counter).Inc()
	o.duration.Observe(took.Seconds()) // float: seconds, as Prometheus has them
}
