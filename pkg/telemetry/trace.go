package telemetry

import (
	"context"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/propagation"
)

// HeaderTraceparent is the W3C header's name in HTTP, in Kafka records and in the outbox.
const HeaderTraceparent = "traceparent"

var propagator = propagation.TraceContext{}

// Inject returns the traceparent of the context's span, "00-<trace>-<span>-<flags>", or "" without one. The outbox
// stores it, so that an event published later, by another process, still belongs to its request.
func Inject(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return carrier[HeaderTraceparent]
}

// Extract returns ctx with the remote span of a stored traceparent; a text that is none leaves ctx as it is.
func Extract(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagator.Extract(ctx, propagation.MapCarrier{HeaderTraceparent: traceparent})
}

// PgxTracer returns a tracer for the connection pool, or nil when nothing is exported: spans per statement cost more
// than the statement's share of a batch, so nobody pays for them unseen. Statements are traced without their values.
func (t *Telemetry) PgxTracer() pgx.QueryTracer {
	if !t.exporting {
		return nil
	}
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.Tracer))
}

// tracesURL follows the OpenTelemetry rule for OTEL_EXPORTER_OTLP_ENDPOINT: it is a base, the signal's path is added.
func tracesURL(endpoint string) string {
	const path = "/v1/traces"
	if strings.HasSuffix(endpoint, path) {
		return endpoint
	}
	return strings.TrimSuffix(endpoint, "/") + path
}
