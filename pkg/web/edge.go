package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"
)

// New returns an echo instance with everything of this package in place; routes are all that is missing.
//
// The order of the middleware is part of its meaning: observation is outermost, so that refusals of all the others are
// logged, counted and carry a request id; CORS stands before the limits, so that a browser can read the refusal; the
// address limit stands before the token is verified, because verifying is what an attacker would make us do.
func New(cfg Config) (*echo.Echo, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the HTTP edge: %w", err)
	}
	cfg = cfg.withDefaults()
	trusted, err := prefixes(cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("configure the HTTP edge: %w", err)
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = extractor(trusted)
	known := &routes{echo: e}
	problems := &problems{docs: cfg.DocsURL, log: cfg.Log, routes: known}
	e.HTTPErrorHandler = problems.handle
	observer, err := newObserver(cfg, known)
	if err != nil {
		return nil, fmt.Errorf("register HTTP metrics: %w", err)
	}
	e.Use(
		observer.middleware,
		secure,
		cors(cfg.Origins),
		limitBody(cfg.BodyLimit),
		newLimits(cfg).middleware,
	)
	return e, nil
}

type drainKey struct{}

// Server returns an http.Server for the instance with the timeouts of the configuration. Its Shutdown first closes
// [Draining], so that streams and waiting requests end by themselves instead of holding the shutdown up.
func Server(cfg Config, e *echo.Echo) *http.Server {
	cfg = cfg.withDefaults()
	draining := make(chan struct{})
	srv := &http.Server{
		Handler:           headAsGet(e),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    32 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), drainKey{}, (<-chan struct{})(draining))
		},
	}
	srv.RegisterOnShutdown(sync.OnceFunc(func() { close(draining) }))
	return srv
}

// headAsGet routes a HEAD as the GET whose head it asks for (RFC 9110 9.3.2), so that no route has to be registered
// twice. The handler sees a copy of the request: net/http looks at the original and sends no body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			get := *r
			get.Method = http.MethodGet
			r = &get
		}
		next.ServeHTTP(w, r)
	})
}

// Draining is closed when the server that carries this request begins to shut down. Without such a server (httptest)
// it never closes.
func Draining(ctx context.Context) <-chan struct{} {
	draining, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return draining
}

// secure sets what every answer should carry; a page of the console replaces what it needs otherwise.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		return next(c)
	}
}

// limitBody refuses by Content-Length before a byte is read, and by counting when there is none (chunked).
func limitBody(limit int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.ContentLength > limit {
				return &http.MaxBytesError{Limit: limit}
			}
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)
			}
			return next(c)
		}
	}
}
