package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/propagation"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// NewTransport returns a transport for [Proxy]: many idle connections to few hosts, no compression on the way, and a
// limit for the head of an answer that outlasts `Prefer: wait=30`. Connecting may take 5 s: a service that is down
// refuses at once, and in a rush that opens hundreds of connections on a busy machine one of them may well take a
// second, as a lost first packet does.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:          2048,
		MaxIdleConnsPerHost:   512,
		IdleConnTimeout:       60 * time.Second,
		ResponseHeaderTimeout: maxWait + 10*time.Second,
		DisableCompression:    true,
	}
}

// longestStream bounds a passed-on stream, so that a client that stopped reading does not hold a connection for ever;
// clients come back with Last-Event-ID.
const longestStream = time.Hour

// Proxy returns a handler that passes requests on to the service at target ("http://order:8080") and its answer back,
// streams unbuffered. Path and query stay as they are. A service that cannot be reached is 503 service_unavailable.
//
// The service sees the request as its own: it verifies the token again and answers its own problems. X-Forwarded-For
// is rewritten to the address this edge believes in, so what the client wrote there never arrives.
func Proxy(target string, transport http.RoundTripper) (echo.HandlerFunc, error) {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("proxy to %q: want a base URL such as http://order:8080", target)
	}
	if transport == nil {
		transport = NewTransport()
	}
	silent := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	return func(c echo.Context) error {
		if err := rewindable(c.Request()); err != nil {
			return err
		}
		var failure error
		proxy := httputil.ReverseProxy{
			Transport:      again{transport},
			BufferPool:     copyBuffers{},
			ErrorLog:       silent,
			Rewrite:        func(pr *httputil.ProxyRequest) { rewrite(c, u, pr) },
			ModifyResponse: func(res *http.Response) error { return merge(c, res) },
			ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err },
		}
		proxy.ServeHTTP(c.Response(), c.Request())
		return unreachable(failure)
	}, nil
}

// rewindable reads the body, which the body limit has made small, so that it can be sent a second time, and so that a
// body that does not arrive is told from a service that does not answer: inside the transport both are one error.
func rewindable(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body, err := readAll(r)
	if err != nil {
		return err
	}
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return nil
}

// again sends a request a second time when the first went into a connection that turned out to be dead: every restart
// of a service leaves such ones behind, and without this each would show as a burst of 503. Bytes that went into a dead
// socket look the same as a request that was done and lost its answer, so only what cannot be done twice is repeated:
// safe methods, and requests with an Idempotency-Key. net/http does the same, but not when the pipe breaks between head
// and body. Time-outs are not repeated: the service is there and slow, more work is the last thing it needs.
type again struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (a again) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := a.next.RoundTrip(req)
	if err == nil || !cutOff(err) || req.Context().Err() != nil || !repeatable(req) {
		return res, err
	}
	second := req.Clone(req.Context())
	if req.GetBody != nil {
		if second.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	// The neighbours in the pool were opened to the same process and are as dead.
	if pool, ok := a.next.(interface{ CloseIdleConnections() }); ok {
		pool.CloseIdleConnections()
	}
	return a.next.RoundTrip(second)
}

// cutOff tells a connection that ended from one that never was or is slow. net.ErrClosed is the transport's own doing:
// its reader saw the end and closed the socket while the body was still being written.
func cutOff(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

func repeatable(req *http.Request) bool {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	default:
		return req.Header.Get("Idempotency-Key") != ""
	}
}

func rewrite(c echo.Context, target *url.URL, pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = target.Scheme, target.Host
	if base := strings.TrimSuffix(target.Path, "/"); base != "" {
		out.URL.Path, out.URL.RawPath = base+out.URL.Path, ""
	}
	out.Host = target.Host
	out.Header.Set("X-Forwarded-For", c.RealIP())
	out.Header.Set("X-Forwarded-Host", pr.In.Host)
	out.Header.Set("X-Forwarded-Proto", c.Scheme())
	out.Header.Set(HeaderRequestID, RequestID(c))
	propagator.Inject(pr.In.Context(), propagation.HeaderCarrier(out.Header))
}

// merge settles who sets which header. What this edge decided for the client (its id, its limits, its origins) stays;
// everything else the service knows better. Without it each would be there twice, and browsers refuse two origins.
func merge(c echo.Context, res *http.Response) error {
	ours := c.Response().Header()
	for name := range res.Header {
		switch {
		case name == HeaderRequestID, strings.HasPrefix(name, "Access-Control-"):
			res.Header.Del(name)
		case strings.HasPrefix(name, "Ratelimit-"):
			if ours.Get(name) != "" {
				res.Header.Del(name)
			}
		case name != echo.HeaderVary:
			ours.Del(name)
		}
	}
	if strings.HasPrefix(res.Header.Get(echo.HeaderContentType), "text/event-stream") {
		_ = http.NewResponseController(c.Response().Writer).SetWriteDeadline(time.Now().Add(longestStream))
	}
	return nil
}

func unreachable(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.As(err, &tooLarge):
		return err
	default:
		// The request may have reached the service and even been done. 503 says "send it again", and that is safe
		// because of the Idempotency-Key, or the double-click guard without one.
		return fault.Unavailable(fault.CodeServiceUnavailable, "The service behind this path cannot be reached at the moment.", time.Second)
	}
}

type copyBuffers struct{}

var bufferPool = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// Get lends a buffer for copying one body.
func (copyBuffers) Get() []byte { return bufferPool.Get().(*[16 << 10]byte)[:] }

// Put takes it back.
func (copyBuffers) Put(b []byte) {
	if cap(b) >= 16<<10 {
		bufferPool.Put((*[16 << 10]byte)(b[:16<<10]))
	}
}
