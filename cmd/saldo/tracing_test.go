package main

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"saldo/dialect/native"
)

// A spanReceiver takes traces as a collector does: OTLP in protobuf by HTTP.
type spanReceiver struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*trace.Span
	service string
	wrong   []string
}

func newSpanReceiver(t *testing.T) *spanReceiver {
	s := new(spanReceiver)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		var err error
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, err = gzip.NewReader(r.Body)
		}
		var b []byte
		if err == nil {
			b, err = io.ReadAll(body)
		}
		var in collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(b, &in)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "k" {
			s.wrong = append(s.wrong, fmt.Sprintf("%s %s %v: %v", r.Method, r.URL, r.Header, err))
		}
		for _, of := range in.GetResourceSpans() {
			s.service = textOf(of.GetResource().GetAttributes(), "service.name")
			for _, in := range of.GetScopeSpans() {
				s.spans = append(s.spans, in.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s
}

func textOf(all []*common.KeyValue, key string) string {
	for _, a := range all {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// find returns the spans of a name.
func (s *spanReceiver) find(name string) (all []*trace.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.spans {
		if span.GetName() == name {
			all = append(all, span)
		}
	}
	return all
}

func TestTraces(t *testing.T) {
	to := newSpanReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k")
	hook := newHook(t)
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"left": "4.00"}`) }))
	defer vendor.Close()
	path := filepath.Join(t.TempDir(), "saldo.toml")
	writeFile(t, path, fmt.Sprintf(`[watch]
allow = ["127.0.0.1"]
[[watch.sources]]
name = "cloud"
kind = "generic"
address = %q
auth = "none"
amount = ".left"
unit = "USD"
low = "5"
[[watch.endpoints]]
name = "ops"
url = %q
secret = %q
`, vendor.URL, hook.URL, hook.secret))
	c := testConfig(t, "--config", path, "--dialects", "twilio")
	c.Traces = true
	r := startNode(t, c)
	waitUntil(t, "an alert", func() bool { return len(hook.seen()) == 1 })
	a, err := r.client().Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	const caller, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	r.get(t, r.url()+"/v1/accounts/"+a.ID+"/statement", "Authorization", "Bearer "+r.token, "Saldo-Tenant", "main",
		"Traceparent", "00-"+caller+"-"+parent+"-01")
	r.get(t, r.url()+"/2010-04-01/Accounts/AC00000000000000000000000000000000/Balance.json")
	spans := func(name string) []*trace.Span {
		t.Helper()
		if err := r.traces.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		return to.find(name)
	}
	waitUntil(t, "the spans of a delivery", func() bool { return len(spans("deliver webhook")) == 1 })
	for _, name := range []string{"native createAccount", "native readStatement", "twilio fetchBalance", "poll generic", "commit", "store append", "store scan"} {
		if len(spans(name)) == 0 {
			t.Errorf("there is no span %s", name)
		}
	}
	by := map[string]*trace.Span{}
	for _, s := range to.spans {
		by[hex.EncodeToString(s.GetSpanId())] = s
		if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
			t.Errorf("%s ends before it begins", s.GetName())
		}
	}
	// A durable write is in a round, the round in who waited for it.
	for _, s := range spans("store append") {
		round := by[hex.EncodeToString(s.GetParentSpanId())]
		if round.GetName() != "commit" || by[hex.EncodeToString(round.GetParentSpanId())] == nil {
			t.Errorf("%v is in %v", s, round)
		}
	}
	for _, s := range spans("native readStatement") {
		if hex.EncodeToString(s.GetTraceId()) != caller || hex.EncodeToString(s.GetParentSpanId()) != parent {
			t.Errorf("a request of a traced caller has the span %v", s)
		}
	}
	if to.service != "saldo" || len(to.wrong) > 0 {
		t.Errorf("service %q, %v", to.service, to.wrong)
	}
}

func TestWantsTraces(t *testing.T) {
	for vars, want := range map[string]string{
		"": "false",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://x:4318":                                             "true",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://x:4318/v1/traces":                            "true",
		"OTEL_TRACES_EXPORTER=otlp":                                                             "true",
		"OTEL_TRACES_EXPORTER=none OTEL_EXPORTER_OTLP_ENDPOINT=http://x:4318":                   "false",
		"OTEL_SDK_DISABLED=true OTEL_EXPORTER_OTLP_ENDPOINT=http://x:4318":                      "false",
		"OTEL_TRACES_EXPORTER=zipkin":                                                           "has to be otlp or none",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://x:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc":            "4318",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://x OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf": "true",
	} {
		got, err := wantsTraces(func(name string) string {
			for v := range strings.FieldsSeq(vars) {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		})
		if err != nil && (exitCode(err) != exitUsage || !strings.Contains(err.Error(), want)) || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v; not %s", vars, got, err, want)
		}
	}
}
