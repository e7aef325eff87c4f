package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// lines is a log that a test can read while the server still writes.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve runs the edge on a real connection.
func serve(t *testing.T, cfg web.Config, routes func(e *echo.Echo)) *httptest.Server {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	routes(e)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = web.Server(cfg, e)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

type answer struct {
	status  int
	header  http.Header
	body    string
	problem web.Problem
}

func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(raw)}
	if res.StatusCode >= 400 && method != http.MethodHead {
		if got := res.Header.Get("Content-Type"); got != web.MediaTypeProblem {
			t.Errorf("%s %s: %d is of type %q, want %s", method, url, a.status, got, web.MediaTypeProblem)
		}
		if err := json.Unmarshal(raw, &a.problem); err != nil {
			t.Errorf("%s %s: %q is no problem: %v", method, url, raw, err)
		}
		if a.problem.Status != a.status || a.problem.RequestID != res.Header.Get("X-Request-Id") || !fault.Known(a.problem.Code) {
			t.Errorf("%s %s: problem %+v does not fit status %d and id %q", method, url, a.problem, a.status, res.Header.Get("X-Request-Id"))
		}
	}
	return a
}

func TestHeadIsTheHeadOfGet(t *testing.T) {
	t.Parallel()
	srv := serve(t, web.Config{}, func(e *echo.Echo) {
		e.GET("/thing", func(c echo.Context) error { return web.JSONWithETag(c, "7", map[string]int{"n": 1}) })
	})
	heads := map[string]http.Header{}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"/thing", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || (len(body) == 0) != (method == http.MethodHead) {
			t.Errorf("%s: %d, %d bytes, %v", method, res.StatusCode, len(body), err)
		}
		heads[method] = res.Header
	}
	if get, head := heads[http.MethodGet].Get("ETag"), heads[http.MethodHead].Get("ETag"); get == "" || get != head {
		t.Errorf("ETag of GET %q, of HEAD %q", get, head)
	}
}

func TestEveryErrorIsAProblem(t *testing.T) {
	t.Parallel()
	log := &lines{}
	srv := serve(t, web.Config{Log: slog.New(slog.NewJSONHandler(log, nil))}, func(e *echo.Echo) {
		e.GET("/ok", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
		e.GET("/broken", func(echo.Context) error { return errors.New("dial postgres://secret@db") })
		e.GET("/away", func(echo.Context) error {
			return fmt.Errorf("read order: postgres is away: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
		})
		e.GET("/panic", func(echo.Context) error { panic("canary-in-a-panic") })
		e.GET("/refused", func(echo.Context) error { return fault.Conflict(fault.CodeNotCancelable, "It is dispatched.") })
		e.GET("/parked", func(echo.Context) error { return fault.Unavailable(fault.CodeOrderParked, "", 90*time.Second) })
		e.GET("/busy", func(echo.Context) error { return fault.Unavailable(fault.CodeServiceUnavailable, "", 0) })
		e.GET("/teapot", func(echo.Context) error { return echo.NewHTTPError(http.StatusTeapot, "library words") })
		g := e.Group("/api", func(next echo.HandlerFunc) echo.HandlerFunc { return next })
		g.GET("/orders/:id", func(echo.Context) error { return fault.NotFound() })
		g.POST("/orders/:id/cancel", func(c echo.Context) error { return c.NoContent(http.StatusAccepted) })
	})
	tests := []struct {
		method, path string
		status       int
		code         string
		header       [2]string
	}{
		{"GET", "/broken", 500, fault.CodeInternal, [2]string{}},
		{"GET", "/away", 503, fault.CodeServiceUnavailable, [2]string{"Retry-After", "1"}},
		{"GET", "/panic", 500, fault.CodeInternal, [2]string{}},
		{"GET", "/refused", 409, fault.CodeNotCancelable, [2]string{}},
		{"GET", "/parked", 503, fault.CodeOrderParked, [2]string{"Retry-After", "90"}},
		{"GET", "/busy", 503, fault.CodeServiceUnavailable, [2]string{"Retry-After", "1"}},
		{"GET", "/teapot", 418, fault.CodeInvalidParameter, [2]string{}},
		{"GET", "/nothing", 404, fault.CodeNotFound, [2]string{}},
		{"GET", "/api/nothing", 404, fault.CodeNotFound, [2]string{}},
		{"GET", "/api/orders/1", 404, fault.CodeNotFound, [2]string{}},
		{"POST", "/ok", 405, fault.CodeMethodNotAllowed, [2]string{"Allow", "GET"}},
		{"PUT", "/api/orders/1", 405, fault.CodeMethodNotAllowed, [2]string{"Allow", "GET, OPTIONS"}},
		{"GET", "/api/orders/1/cancel", 405, fault.CodeMethodNotAllowed, [2]string{"Allow", "POST, OPTIONS"}},
	}
	for _, tt := range tests {
		got := do(t, tt.method, srv.URL+tt.path, "")
		if got.status != tt.status || got.problem.Code != tt.code {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, got.status, got.problem.Code, tt.status, tt.code)
		}
		if value := got.header.Get(tt.header[0]); tt.header[0] != "" && !strings.Contains(value, tt.header[1]) {
			t.Errorf("%s %s: %s is %q, want %q", tt.method, tt.path, tt.header[0], value, tt.header[1])
		}
		for _, leak := range []string{"postgres", "canary", "library words", "goroutine"} {
			if strings.Contains(got.body, leak) {
				t.Errorf("%s %s leaks %q: %s", tt.method, tt.path, leak, got.body)
			}
		}
		if want := "/docs/errors#" + tt.code; got.problem.Type != want || got.problem.Title == "" {
			t.Errorf("%s %s: type %q title %q, want %q and a title", tt.method, tt.path, got.problem.Type, got.problem.Title, want)
		}
	}
	for _, want := range []string{"dial postgres", "postgres is away", "canary-in-a-panic", "edge_test.go", `"route":"unmatched"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(log.String(), "/nothing") {
		t.Error("a raw path is in the log: it may hold anything")
	}
}

func TestRequestIDAndTrace(t *testing.T) {
	t.Parallel()
	srv := serve(t, web.Config{}, func(e *echo.Echo) {
		e.GET("/", func(c echo.Context) error {
			span := trace.SpanContextFromContext(c.Request().Context())
			return c.String(http.StatusOK, web.RequestID(c)+" "+span.TraceID().String())
		})
	})
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	got := do(t, "GET", srv.URL, "", "X-Request-Id", "mine-1.2:3", "traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
	if got.body != "mine-1.2:3 "+traceID || got.header.Get("X-Request-Id") != "mine-1.2:3" {
		t.Errorf("handler saw %q, answer says %q; want the caller's id and trace", got.body, got.header.Get("X-Request-Id"))
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "a b", `x"y`, strings.Repeat("x", 129), "ä"} {
		id := do(t, "GET", srv.URL, "", "X-Request-Id", bad).header.Get("X-Request-Id")
		if id == bad || len(id) != 36 || seen[id] {
			t.Errorf("id %q became %q, want a new one of ours", bad, id)
		}
		seen[id] = true
	}
}

func TestBodyLimitAndSlowBody(t *testing.T) {
	t.Parallel()
	srv := serve(t, web.Config{ReadTimeout: 300 * time.Millisecond}, func(e *echo.Echo) {
		e.POST("/", func(c echo.Context) error {
			var body struct {
				Text string `json:"text"`
			}
			if err := web.Decode(c, &body); err != nil {
				return err
			}
			return c.String(http.StatusOK, strconv.Itoa(len(body.Text)))
		})
	})
	const overhead = len(`{"text":""}`)
	fits := `{"text":"` + strings.Repeat("x", 64<<10-overhead) + `"}`
	if got := do(t, "POST", srv.URL, fits, "Content-Type", "application/json"); got.status != 200 {
		t.Errorf("64 KiB: %d, want 200", got.status)
	}
	if got := do(t, "POST", srv.URL, fits+" ", "Content-Type", "application/json"); got.status != 413 || got.problem.Code != fault.CodeBodyTooLarge {
		t.Errorf("64 KiB and one byte: %d %s, want 413", got.status, got.problem.Code)
	}
	for name, tt := range map[string]struct {
		body   io.Reader
		status int
	}{
		"chunked and too large": {io.MultiReader(strings.NewReader(fits), strings.NewReader(" ")), 413},
		"never ends":            {io.MultiReader(strings.NewReader(`{"text":`), neverEnds{t.Context().Done()}), 408},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != tt.status {
			t.Errorf("%s: %d (%v), want %d", name, res.StatusCode, err, tt.status)
		}
	}
}

// neverEnds is a client that sends nothing more and does not hang up.
type neverEnds struct{ done <-chan struct{} }

func (n neverEnds) Read([]byte) (int, error) { <-n.done; return 0, io.EOF }

func TestCORS(t *testing.T) {
	t.Parallel()
	srv := serve(t, web.Config{Origins: []string{"https://shop.example", "http://localhost:*"}}, func(e *echo.Echo) {
		e.POST("/", func(c echo.Context) error { return c.NoContent(http.StatusAccepted) })
	})
	for origin, want := range map[string]bool{
		"https://shop.example": true, "http://localhost:5173": true, "http://localhost": true,
		"https://shop.example.evil.test": false, "http://localhost:1.evil.test": false, "http://localhost:": false,
		"http://shop.example": false, "null": false, "http://localhost:999999": false, "https://localhost:1": false,
	} {
		preflight := do(t, "OPTIONS", srv.URL, "", "Origin", origin, "Access-Control-Request-Method", "POST")
		real := do(t, "POST", srv.URL, "", "Origin", origin)
		for name, a := range map[string]answer{"preflight": preflight, "request": real} {
			allowed := a.header.Get("Access-Control-Allow-Origin")
			if (allowed == origin) != want || (allowed != "" && !want) || a.header.Get("Vary") != "Origin" {
				t.Errorf("%s from %s: allow-origin %q, vary %q, want allowed=%v", name, origin, allowed, a.header.Get("Vary"), want)
			}
		}
		if preflight.status != 204 || (preflight.header.Get("Access-Control-Allow-Headers") != "") != want {
			t.Errorf("preflight from %s: %d %v", origin, preflight.status, preflight.header)
		}
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]web.Config{
		"TRUSTED_PROXIES":    {TrustedProxies: []string{"the-proxy"}},
		"CORS_ORIGINS":       {Origins: []string{"*"}},
		"https://*.x.test":   {Origins: []string{"https://*.x.test"}},
		"RATE_PER_MEMBER":    {MemberRate: -1},
		"HTTP_BODY_LIMIT":    {BodyLimit: -1},
		"HTTP_WRITE_TIMEOUT": {WriteTimeout: 10 * time.Second},
	} {
		if _, err := web.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want it to name %s", cfg, err, want)
		}
	}
}

func TestAddressLimitAndSpoofing(t *testing.T) {
	t.Parallel()
	routes := func(e *echo.Echo) {
		e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()) })
	}
	// A bucket of 3 that fills at one token per 1,000 s does not change while the test runs.
	direct := serve(t, web.Config{AddressRate: 0.001, AddressBurst: 3}, routes)
	for i := range 4 {
		got := do(t, "GET", direct.URL, "", "X-Forwarded-For", "203.0.113."+strconv.Itoa(i))
		if want := []int{200, 200, 200, 429}[i]; got.status != want {
			t.Errorf("request %d with a made-up address: %d, want %d", i, got.status, want)
		}
		if got.header.Get("RateLimit-Limit") != "3" || got.header.Get("RateLimit-Remaining") != []string{"2", "1", "0", "0"}[i] || got.header.Get("RateLimit-Reset") == "" {
			t.Errorf("request %d: limit headers %v", i, got.header)
		}
		if got.status == 429 && (got.header.Get("Retry-After") == "" || !got.problem.Retryable || got.problem.Code != fault.CodeRateLimited) {
			t.Errorf("429 says Retry-After %q and %+v", got.header.Get("Retry-After"), got.problem)
		}
	}
	proxied := serve(t, web.Config{AddressRate: 0.001, AddressBurst: 1, TrustedProxies: []string{"127.0.0.1", "10.0.0.0/8"}}, routes)
	for _, tt := range []struct {
		forwarded, seen string
		status          int
	}{
		{"198.51.100.7, 10.1.1.1", "198.51.100.7", 200},
		{"1.2.3.4, 198.51.100.7, 10.1.1.2", "", 429}, // the invented first entry changes nothing
		{"2001:db8:1:2::1", "2001:db8:1:2::1", 200},
		{"2001:db8:1:2::ffff", "", 429}, // the same /64
	} {
		got := do(t, "GET", proxied.URL, "", "X-Forwarded-For", tt.forwarded)
		if got.status != tt.status || (tt.seen != "" && got.body != tt.seen) {
			t.Errorf("forwarded for %q: %d as %q, want %d as %q", tt.forwarded, got.status, got.body, tt.status, tt.seen)
		}
	}
}

func TestMetricsCountByPattern(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	srv := serve(t, web.Config{Registerer: registry}, func(e *echo.Echo) {
		e.GET("/orders/:id", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	})
	for _, path := range []string{"/orders/1", "/orders/2", "/x/1", "/x/2"} {
		do(t, "GET", srv.URL+path, "")
	}
	do(t, "BREW", srv.URL+"/orders/1", "")
	want := `
# HELP http_requests_total Requests answered, by route pattern.
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/orders/:id",status="204"} 2
http_requests_total{method="GET",route="unmatched",status="404"} 2
http_requests_total{method="OTHER",route="unmatched",status="405"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "http_requests_total"); err != nil {
		t.Error(err)
	}
}
