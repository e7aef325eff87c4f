package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// HeaderRequestID names a request in logs and answers.
const HeaderRequestID = "X-Request-Id"

const requestIDKey = "quadrille.requestId"

// RequestID returns the id of this request: the caller's if it was sane, else a new one. Never empty behind [New].
func RequestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// observer gives a request its id and its span, and an answer its log line and its place in the metrics. It is one
// middleware because all four need the same two moments: before everything and after the answer is known.
type observer struct {
	log      *slog.Logger
	tracer   trace.Tracer
	routes   *routes
	count    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newObserver(cfg Config, known *routes) (*observer, error) {
	o := &observer{
		log:    cfg.Log,
		tracer: cfg.Tracer.Tracer("github.com/quadrille-io/quadrille/pkg/web"),
		routes: known,
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered, by route pattern.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from request to the end of the answer, by route pattern.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests under way, streams included.",
		}),
	}
	if cfg.Registerer == nil {
		return o, nil
	}
	for _, collector := range []prometheus.Collector{o.count, o.duration, o.inFlight} {
		if err := cfg.Registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *observer) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		o.inFlight.Inc()
		defer o.inFlight.Dec()
		o.identify(c)
		route := o.routes.pattern(c.Request().Method, c.Path())
		span := o.begin(c, route)
		defer span.End()
		// The error is answered here, not returned: status and duration are known only after the answer.
		if err := o.call(next, c); err != nil {
			c.Error(err)
		}
		o.finish(c, span, route, time.Since(start))
		return nil
	}
}

// call turns a panic into an error with its stack in the log. http.ErrAbortHandler is the library's way to cut a
// connection on purpose, so it goes on.
func (o *observer) call(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if cut, ok := v.(error); ok && errors.Is(cut, http.ErrAbortHandler) {
			panic(v)
		}
		o.log.ErrorContext(c.Request().Context(), "handler panicked", "requestId", RequestID(c), "stack", string(debug.Stack()))
		err = fmt.Errorf("handler panicked: %v", v)
	}()
	return next(c)
}

func (o *observer) identify(c echo.Context) {
	id := c.Request().Header.Get(HeaderRequestID)
	if !sane(id) {
		id = uuid.NewString()
	}
	c.Set(requestIDKey, id)
	c.Response().Header().Set(HeaderRequestID, id)
}

// sane keeps log injection and kilobytes of id out: 1 to 128 of letters, digits and -_.:
func sane(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '_', b == '.', b == ':':
		default:
			return false
		}
	}
	return true
}

var propagator = propagation.TraceContext{}

func (o *observer) begin(c echo.Context, route string) trace.Span {
	r := c.Request()
	ctx := propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := o.tracer.Start(ctx, methodLabel(r.Method)+" "+route, trace.WithSpanKind(trace.SpanKindServer))
	if span.IsRecording() {
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", route))
	}
	c.SetRequest(r.WithContext(ctx))
	return span
}

func (o *observer) finish(c echo.Context, span trace.Span, route string, took time.Duration) {
	r, status := c.Request(), c.Response().Status
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= 500 {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
	method := methodLabel(r.Method)
	o.count.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	o.duration.WithLabelValues(method, route).Observe(took.Seconds())
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelWarn
	}
	o.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", method), slog.String("route", route), slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("requestId", RequestID(c)))
}

// methodLabel bounds the label: a method is whatever the client writes.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "OTHER"
	}
}
