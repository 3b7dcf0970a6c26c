// Package dialect has what the dialects share: the frame of a server that
// answers whole replies, what a client half returns, and how answers are counted.
//
// What always holds: a label is looked up once, when a dialect is made, and its
// values are a closed list, so that no request can add a series.
package dialect

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Metrics counts what dialects answer and how long that takes. A nil *Metrics
// counts nothing.
type Metrics struct {
	// Traced says that the context of a request has a span, which its operation is
	// to name. It is set before there are operations.
	Traced   bool
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
	traced   bool
}

// Operation returns what counts an operation of a dialect.
func (m *Metrics) Operation(dialect, name string) *Operation {
	op := &Operation{name: name, dialect: dialect}
	if m != nil {
		op.requests = m.requests
		op.duration = m.duration.WithLabelValues(dialect, name)
		op.traced = m.Traced
	}
	return op
}

// Name is the operation's label.
func (o *Operation) Name() string { return o.name }

// Observe counts one answer, to a request of that context.
func (o *Operation) Observe(ctx context.Context, status int, took time.Duration) {
	if o.duration == nil {
		return
	}
	if status < 100 || status >= len(o.codes) {
		status = 500
	}
	if o.traced {
		o.describe(trace.SpanFromContext(ctx), status)
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

// describe tells in a span what was asked, and what was answered.
func (o *Operation) describe(span trace.Span, status int) {
	span.SetName(o.dialect + " " + o.name)
	span.SetAttributes(attribute.String("saldo.dialect", o.dialect), attribute.String("saldo.operation", o.name),
		attribute.Int("http.response.status_code", status))
	if status >= 500 {
		span.SetStatus(codes.Error, "")
	}
}
