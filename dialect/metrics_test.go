package dialect

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	op := NewMetrics(registry).Operation("native", "charge")
	for _, status := range []int{201, 402, 201, 0, 9999} {
		op.Observe(t.Context(), status, time.Millisecond)
	}
	want := `
# HELP saldo_http_requests_total Requests that were answered, by dialect, operation and HTTP status code.
# TYPE saldo_http_requests_total counter
saldo_http_requests_total{code="201",dialect="native",operation="charge"} 2
saldo_http_requests_total{code="402",dialect="native",operation="charge"} 1
saldo_http_requests_total{code="500",dialect="native",operation="charge"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "saldo_http_requests_total"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	var none *Metrics
	none.Operation("native", "charge").Observe(t.Context(), 200, time.Second) // counts nothing, and does not fail
}
