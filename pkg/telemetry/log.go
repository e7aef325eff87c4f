package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

func newLogger(cfg Config, service string) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	var inner slog.Handler
	if cfg.LogFormat == "text" {
		inner = slog.NewTextHandler(output(cfg), options)
	} else {
		inner = slog.NewJSONHandler(output(cfg), options)
	}
	return slog.New(traceHandler{inner}).With("service", service)
}

// traceHandler adds the ids of the span that the context carries, so that a line of the log leads to its trace and to
// the lines of the other services about the same request.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("traceId", span.TraceID().String()), slog.String("spanId", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}
