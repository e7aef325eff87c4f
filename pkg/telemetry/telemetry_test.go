package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/quadrille-io/quadrille/pkg/telemetry"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func start(t *testing.T, cfg telemetry.Config, service string) *telemetry.Telemetry {
	t.Helper()
	if cfg.Output == nil {
		cfg.Output = io.Discard
	}
	tel, err := telemetry.New(t.Context(), cfg, service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestLogLinesLeadToTheTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tel := start(t, telemetry.Config{Output: &out, LogLevel: slog.LevelInfo}, "stock")
	ctx := telemetry.Extract(t.Context(), parent)
	tel.Log.DebugContext(ctx, "too fine")
	tel.Log.With("orderId", "o-1").InfoContext(ctx, "reserved", "quantity", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s: want one line of JSON", err, out.String())
	}
	for name, want := range map[string]any{
		"msg": "reserved", "service": "stock", "orderId": "o-1", "quantity": 1.0,
		"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	out.Reset()
	text := start(t, telemetry.Config{Output: &out, LogFormat: "text"}, "coupon")
	text.Log.Info("used")
	if !strings.Contains(out.String(), "msg=used service=coupon") || strings.Contains(out.String(), "traceId") {
		t.Errorf("text line %q", out.String())
	}
}

func TestTraceparentThroughAText(t *testing.T) {
	t.Parallel()
	if got := telemetry.Inject(telemetry.Extract(t.Context(), parent)); got != parent {
		t.Errorf("came back as %q, want %q", got, parent)
	}
	for _, bad := range []string{"", "rubbish", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"} {
		if got := telemetry.Inject(telemetry.Extract(t.Context(), bad)); got != "" {
			t.Errorf("%q came back as %q, want nothing", bad, got)
		}
	}
}

// TestSampledCallersStaySampled: without an exporter we record nothing of our own, and a caller's sampled trace must
// still reach the last consumer as sampled.
func TestSampledCallersStaySampled(t *testing.T) {
	t.Parallel()
	tel := start(t, telemetry.Config{Ratio: 1}, "order")
	tracer := tel.Tracer.Tracer("test")
	ctx, span := tracer.Start(telemetry.Extract(t.Context(), parent), "place")
	defer span.End()
	if got := telemetry.Inject(ctx); !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") || !strings.HasSuffix(got, "-01") || got == parent {
		t.Errorf("of a sampled caller: %q, want its trace, our span, sampled", got)
	}
	fresh, own := tracer.Start(t.Context(), "place")
	defer own.End()
	if sc := trace.SpanContextFromContext(fresh); !sc.IsValid() || sc.IsSampled() {
		t.Errorf("of nobody: %+v, want a trace id and not sampled", sc)
	}
	if tel.PgxTracer() != nil {
		t.Error("statements are traced although nothing is exported")
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer collector.Close()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Endpoint: collector.URL, Ratio: 1, Output: io.Discard}, "order")
	if err != nil {
		t.Fatal(err)
	}
	if tel.PgxTracer() == nil {
		t.Error("statements are not traced although traces are exported")
	}
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "place")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path := <-paths; path != "/v1/traces" {
		t.Errorf("exported to %s, want /v1/traces", path)
	}
}

// TestServicesShareAProcess: `up` gathers the registries of all services at once, so the same metric of two services
// must neither collide nor mix.
func TestServicesShareAProcess(t *testing.T) {
	t.Parallel()
	var gatherers prometheus.Gatherers
	for i, service := range []string{"order", "stock"} {
		tel := start(t, telemetry.Config{}, service)
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "events_total", Help: "Events."})
		if err := tel.Registerer.Register(counter); err != nil {
			t.Fatal(err)
		}
		counter.Add(float64(i + 1))
		if i == 0 {
			if err := tel.RegisterProcess(); err != nil {
				t.Fatal(err)
			}
		}
		gatherers = append(gatherers, tel.Registry)
	}
	families, err := gatherers.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	process := false
	for _, family := range families {
		process = process || family.GetName() == "go_goroutines"
		if family.GetName() == "events_total" {
			for _, metric := range family.GetMetric() {
				got[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	if got["order"] != 1 || got["stock"] != 2 || !process {
		t.Errorf("gathered %v, process metrics %v; want order 1, stock 2 and the process", got, process)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]telemetry.Config{
		"LOG_FORMAT": {LogFormat: "xml"}, "TRACE_RATIO": {Ratio: 1.1}, "base URL": {Endpoint: "http://[broken"}, "ENDPOINT": {Endpoint: "jaeger:4318"},
	} {
		if _, err := telemetry.New(t.Context(), cfg, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want it to name %s", cfg, err, want)
		}
	}
}
