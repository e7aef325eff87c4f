package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config is what can be told about logs and traces.
type Config struct {
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	// LogFormat is json or text.
	LogFormat string `env:"LOG_FORMAT" envDefault:"json"`
	// Endpoint is the OTLP/HTTP collector, "http://jaeger:4318"; empty exports nothing.
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	// Ratio of new traces that are sampled, 0 to 1. A caller that sampled its trace is always followed.
	Ratio float64 `env:"TRACE_RATIO" envDefault:"0.05"`
	// Version goes into the traces' resource.
	Version string `env:"-"`
	// Output of the log; nil is standard error.
	Output io.Writer `env:"-"`
}

// Validate names what cannot be.
func (c *Config) Validate() error {
	var errs []error
	if c.LogFormat != "" && c.LogFormat != "json" && c.LogFormat != "text" {
		errs = append(errs, fmt.Errorf("LOG_FORMAT: %q is neither json nor text", c.LogFormat))
	}
	if c.Ratio < 0 || c.Ratio > 1 {
		errs = append(errs, fmt.Errorf("TRACE_RATIO: %v is not within 0 and 1", c.Ratio))
	}
	// The exporter itself only complains to a global logger and then sends nowhere.
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: want a base URL such as http://jaeger:4318"))
	}
	return errors.Join(errs...)
}

// Telemetry is one service's logger, tracer provider and metric registry.
type Telemetry struct {
	// Log has the service's name, and trace and span id where the context carries them.
	Log *slog.Logger
	// Tracer is never nil. Without an endpoint its spans go nowhere and still carry ids, so that a trace can be
	// followed through the log.
	Tracer trace.TracerProvider
	// Registry is what /metrics gathers.
	Registry *prometheus.Registry
	// Registerer puts the label service on every metric; register with it, not with Registry.
	Registerer prometheus.Registerer

	provider  *sdktrace.TracerProvider
	exporting bool
}

// New sets everything up for the service of that name.
func New(ctx context.Context, cfg Config, service string) (*Telemetry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure telemetry: %w", err)
	}
	registry := prometheus.NewRegistry()
	t := &Telemetry{
		Log:        newLogger(cfg, service),
		Registry:   registry,
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"service": service}, registry),
		exporting:  cfg.Endpoint != "",
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service),
			attribute.String("service.version", cfg.Version),
		)),
		sdktrace.WithSampler(sampler(cfg)),
	}
	if t.exporting {
		// The exporter connects when it sends; a collector that is down costs spans, never a start or a request.
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(cfg.Endpoint)))
		if err != nil {
			return nil, fmt.Errorf("set up the trace exporter: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	t.provider = sdktrace.NewTracerProvider(options...)
	t.Tracer = t.provider
	return t, nil
}

// sampler follows the caller's decision, also where nothing is exported: dropping the sampled flag here would cut the
// trace of everybody behind us.
func sampler(cfg Config) sdktrace.Sampler {
	if cfg.Endpoint == "" {
		return sdktrace.ParentBased(sdktrace.NeverSample())
	}
	return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Ratio))
}

// RegisterProcess adds the metrics of the Go runtime and the process. Once per process: a service that runs alone calls
// it, of several in one process only the first.
func (t *Telemetry) RegisterProcess() error {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := t.Registerer.Register(c); err != nil {
			return fmt.Errorf("register process metrics: %w", err)
		}
	}
	return nil
}

// flushTimeout bounds the last export; spans are not worth a slow shutdown.
const flushTimeout = 2 * time.Second

// Shutdown sends what spans there still are, for 2 s at most.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("flush traces: %w", err)
	}
	return nil
}

func output(cfg Config) io.Writer {
	if cfg.Output != nil {
		return cfg.Output
	}
	return os.Stderr
}
