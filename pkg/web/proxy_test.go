package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

func forward(t *testing.T, target string) func(*echo.Echo) {
	t.Helper()
	proxy, err := web.Proxy(target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(e *echo.Echo) { e.Any("/*", proxy) }
}

func TestProxyPassesOn(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		seen <- r
		h := w.Header()
		h.Set("Location", "/api/v1/orders/1")
		h.Set("Etag", `"3"`)
		h.Set("X-Request-Id", "theirs")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Content-Security-Policy", "default-src 'self'")
		h.Set("RateLimit-Limit", "1")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"orderId":"1"}`)
	}))
	t.Cleanup(service.Close)
	gateway := serve(t, web.Config{Origins: []string{"https://shop.example"}, AddressRate: 1, AddressBurst: 9}, forward(t, service.URL))
	got := do(t, "POST", gateway.URL+"/api/v1/orders/a%2Fb?limit=1&x=%20y", `{"a":1}`,
		"Content-Type", "application/json", "Authorization", "Bearer t", "Idempotency-Key", "k", "Prefer", "wait=3",
		"X-Request-Id", "mine", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"X-Forwarded-For", "203.0.113.9", "Origin", "https://shop.example", "Connection", "X-Private", "X-Private", "1", "Te", "x")
	r := <-seen
	body, _ := io.ReadAll(r.Body)
	if r.Method != "POST" || r.RequestURI != "/api/v1/orders/a%2Fb?limit=1&x=%20y" || string(body) != `{"a":1}` || r.ContentLength != 7 {
		t.Errorf("service saw %s %s with %q of %d bytes", r.Method, r.RequestURI, body, r.ContentLength)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer t", "Idempotency-Key": "k", "Prefer": "wait=3", "X-Request-Id": "mine",
		"X-Forwarded-For": "127.0.0.1", "X-Private": "", "Te": "",
	} {
		if value := strings.Join(r.Header.Values(name), "|"); value != want {
			t.Errorf("service saw %s: %q, want %q", name, value, want)
		}
	}
	if !strings.HasPrefix(r.Header.Get("Traceparent"), "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("service saw traceparent %q", r.Header.Get("Traceparent"))
	}
	if got.status != 202 || got.body != `{"orderId":"1"}` {
		t.Errorf("client got %d %s", got.status, got.body)
	}
	for name, want := range map[string]string{
		"Location": "/api/v1/orders/1", "Etag": `"3"`, "X-Request-Id": "mine", "Access-Control-Allow-Origin": "https://shop.example",
		"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "RateLimit-Limit": "9", "X-Hop": "", "Vary": "Origin",
	} {
		if value := strings.Join(got.header.Values(name), "|"); value != want {
			t.Errorf("client got %s: %q, want %q", name, value, want)
		}
	}
}

func TestProxyPassesProblemsOn(t *testing.T) {
	t.Parallel()
	service := serve(t, web.Config{}, func(e *echo.Echo) {
		e.GET("/x", func(echo.Context) error { return fault.Conflict(fault.CodeNotCancelable, "Dispatched.") })
	})
	gateway := serve(t, web.Config{}, forward(t, service.URL))
	if got := do(t, "GET", gateway.URL+"/x", ""); got.status != 409 || got.problem.Code != fault.CodeNotCancelable {
		t.Errorf("%d %+v, want the service's own problem under one request id", got.status, got.problem)
	}
}

func TestProxyUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	for name, target := range map[string]string{"nobody listens": "http://" + ln.Addr().String(), "connection cut": cut.URL} {
		gateway := serve(t, web.Config{}, forward(t, target))
		got := do(t, "POST", gateway.URL+"/api/v1/orders", `{}`)
		if got.status != 503 || got.problem.Code != fault.CodeServiceUnavailable || !got.problem.Retryable || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %+v, Retry-After %q", name, got.status, got.problem, got.header.Get("Retry-After"))
		}
		if strings.Contains(got.body, "127.0.0.1") {
			t.Errorf("%s: the answer names the inside: %s", name, got.body)
		}
	}
	if _, err := web.Proxy("order:8080", nil); err == nil {
		t.Error("a target without a scheme was taken")
	}
}

// TestProxySurvivesRestart: connections kept alive to a service that was restarted are dead, and a POST that finds such
// a one must go to the new process, not to the client as 503. This holds for requests with an Idempotency-Key: bytes
// that went into a dead socket look the same as a request that was done and lost its answer.
func TestProxySurvivesRestart(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	start := func(addr string) (*http.Server, string) {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
		go func() { _ = srv.Serve(ln) }()
		return srv, ln.Addr().String()
	}
	first, addr := start("127.0.0.1:0")
	gateway := serve(t, web.Config{}, forward(t, "http://"+addr))
	for round := range 5 {
		if got := do(t, "POST", gateway.URL+"/", `{"a":1}`, "Idempotency-Key", "k"); got.status != 200 || got.body != `{"a":1}` {
			t.Fatalf("round %d: %d %s", round, got.status, got.body)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		first, _ = start(addr)
	}
	t.Cleanup(func() { _ = first.Close() })
}

// TestProxyBodyThatDoesNotArrive: what is wrong with the client's own bytes is not the fault of the service behind.
func TestProxyBodyThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = fmt.Fprintf(w, "%d %s", r.ContentLength, body)
		}
	}))
	t.Cleanup(service.Close)
	gateway := serve(t, web.Config{ReadTimeout: 300 * time.Millisecond, BodyLimit: 10}, forward(t, service.URL))
	for text, want := range map[string]string{
		"Content-Length: 2\r\n\r\n{}":                            "200 ",
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": "200 ",
		"Transfer-Encoding: chunked\r\n\r\nx\r\n{}":              "408 ",
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}":              "408 ",
		"Content-Length: 5\r\n\r\n{}":                            "408 ",
		"Content-Length: 11\r\n\r\n{}":                           "413 ",
		"Transfer-Encoding: chunked\r\n\r\nb\r\n{         }":     "413 ",
	} {
		conn, err := net.Dial("tcp", gateway.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\n"+text); err != nil {
			t.Fatal(err)
		}
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%q: %q %v, want %s", text, answer, err, want)
		}
	}
}

func BenchmarkProxy(b *testing.B) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	defer service.Close()
	proxy, err := web.Proxy(service.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	e, err := web.New(web.Config{})
	if err != nil {
		b.Fatal(err)
	}
	e.POST("/x", proxy)
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(`{"a":1}`))
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, req)
		if rec.Code != 204 {
			b.Fatal(rec.Code)
		}
	}
}
