package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"saldo/ledger"
)

// wantsTraces reports whether the variables of OpenTelemetry ask for traces.
func wantsTraces(getenv func(string) string) (bool, error) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	exporter := getenv("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, usagef("the variable OTEL_TRACES_EXPORTER is %q; it has to be otlp or none", exporter)
	case exporter == "" && getenv(endpoint) == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return false, nil
	}
	protocol := firstOf(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if protocol != "http/protobuf" {
		return false, usagef("the variable OTEL_EXPORTER_OTLP_PROTOCOL is %q; traces are sent by http/protobuf alone, which collectors take at port 4318", protocol)
	}
	return true, nil
}

// A tracing sends spans to where the variables of OpenTelemetry say: requests by
// dialect and operation, what they wait for in the ledger and the store, polls
// of sources and deliveries of alerts. A nil *tracing does nothing.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	headers  propagation.TraceContext
}

func openTracing(ctx context.Context, log *slog.Logger) (*tracing, error) {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "saldo"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	var last atomic.Int64
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { // a collector that is away is told of once a minute
		if now := time.Now().Unix(); now-last.Load() >= 60 {
			last.Store(now)
			log.Warn("traces cannot be sent", "error", err)
		}
	}))
	t := &tracing{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}
	t.tracer = t.provider.Tracer("saldo")
	return t, nil
}

// close sends what is left.
func (t *tracing) close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // of a collector that is away the log has told
}

// requests begins a span for each request, in the trace of its caller if the
// header traceparent names one. Who answers names the span: see dialect.Metrics.
func (t *tracing) requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.headers.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", r.Method)))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// posted is a span of the round that a command was decided in, and of the
// durable write in it, in the trace of whoever asked. Many may have waited for
// the same round: each sees it.
func (t *tracing) posted(ctx context.Context, c *ledger.Commit) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	ctx, span := t.tracer.Start(ctx, "commit", trace.WithTimestamp(c.Began), trace.WithAttributes(
		attribute.Int("saldo.commands", c.Commands), attribute.Int("saldo.events", c.Events)))
	if c.Events > 0 {
		_, write := t.tracer.Start(ctx, "store append", trace.WithTimestamp(c.Appended))
		write.End(trace.WithTimestamp(c.Appended.Add(c.Append)))
	}
	span.End(trace.WithTimestamp(c.Began.Add(c.Took)))
}

// store makes spans of what requests read from a store.
func (t *tracing) store(s ledger.Store) ledger.Store {
	traced := tracedStore{s, t}
	if shared, ok := s.(ledger.SharedStore); ok {
		return tracedShared{shared, traced}
	}
	return traced
}

type tracedStore struct {
	ledger.Store
	t *tracing
}

func (s tracedStore) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return s.Store.Load(ctx, keys)
	}
	ctx, span := s.t.tracer.Start(ctx, "store load")
	defer span.End()
	return s.Store.Load(ctx, keys)
}

func (s tracedStore) Scan(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Row, error] {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return s.Store.Scan(ctx, q)
	}
	return func(yield func(ledger.Row, error) bool) {
		ctx, span := s.t.tracer.Start(ctx, "store scan")
		defer span.End()
		s.Store.Scan(ctx, q)(yield)
	}
}

// tracedShared is traced for a store that nodes share.
type tracedShared struct {
	ledger.SharedStore
	traced tracedStore
}

func (s tracedShared) Load(ctx context.Context, keys *ledger.Keys) (*ledger.Snapshot, error) {
	return s.traced.Load(ctx, keys)
}

func (s tracedShared) Scan(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Row, error] {
	return s.traced.Scan(ctx, q)
}
