package engine

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/quadrille-io/quadrille/pkg/telemetry"
)

// span is the trace of one decision; nil-safe, as most requests are not sampled.
type span struct{ span trace.Span }

// startSpan opens a span for an input that was sampled at its source, and makes what it emits its
// children. An input that was not sampled passes its trace context on as it came: a span of a batch
// would belong to hundreds of orders, and one per order costs more than the decision.
func (e *Engine[W]) startSpan(it *item) *span {
	if e.cfg.Tracer == nil || !strings.HasSuffix(it.traceparent, "-01") {
		return nil
	}
	ctx := telemetry.Extract(context.Background(), it.traceparent)
	name := strings.TrimPrefix(fmt.Sprintf("%T", it.input.Msg), "*")
	ctx, s := e.cfg.Tracer.Start(ctx, e.cfg.Definition.Name()+" "+name, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("quadrille.subject", it.input.Subject), attribute.String("quadrille.input", it.input.Kind.String())))
	it.traceparent = telemetry.Inject(ctx)
	return &span{s}
}

func (s *span) end() {
	if s != nil {
		s.span.End()
	}
}

func (s *span) fail(err error) {
	if s != nil {
		s.span.RecordError(err)
		s.span.SetStatus(codes.Error, "decision failed")
		s.span.End()
	}
}

// withTrace carries a stored trace context into a call outside.
func (e *Engine[W]) withTrace(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return telemetry.Extract(ctx, traceparent)
}
