package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
)

func client(t *testing.T, cfg remote.Config) *remote.Client {
	t.Helper()
	cfg.Name = "test"
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	c, err := remote.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var post = remote.Call{Method: http.MethodPost, Path: "/charge", Key: "k", Body: map[string]int{"amount": 1}}

// closedPort is an address nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestStatusesAndClasses(t *testing.T) {
	t.Parallel()
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"200":      {status(200), nil},
		"302":      {status(302), nil},
		"402":      {status(402), nil},
		"404":      {status(404), nil},
		"408":      {status(408), remote.ErrUnknown},
		"429":      {status(429), remote.ErrNotSent},
		"500":      {status(500), remote.ErrUnknown},
		"503":      {status(503), remote.ErrUnknown},
		"cut":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, remote.ErrUnknown},
		"cut body": {cutBody, remote.ErrUnknown},
		"too long": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20+1)) }, remote.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c2 := client(t, remote.Config{BaseURL: serve(t, c.handler)})
			if _, err := c2.Do(t.Context(), post); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func cutBody(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte("half"))
}

func TestNothingSent(t *testing.T) {
	t.Parallel()
	for _, url := range []string{closedPort(t), "http://name.invalid"} {
		if _, err := client(t, remote.Config{BaseURL: url}).Do(t.Context(), post); !errors.Is(err, remote.ErrNotSent) || errors.Is(err, remote.ErrUnknown) {
			t.Errorf("%s: got %v, want ErrNotSent", url, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a cancelled call arrived") })
	if _, err := client(t, remote.Config{BaseURL: url}).Do(ctx, post); !errors.Is(err, remote.ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v", err)
	}
}

func TestTimeoutIsUnknown(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := client(t, remote.Config{BaseURL: url, Timeout: 20 * time.Millisecond}).Do(t.Context(), remote.Call{Method: "GET", Path: "/"})
	if !errors.Is(err, remote.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want ErrUnknown by the deadline", err)
	}
}

// The transport repeats a request with an Idempotency-Key on its own when a kept
// connection breaks. The server here answers once (so that the connection is
// kept), reads the second request and dies: the last error is "connection
// refused", but the request has arrived.
func TestHiddenRepeatIsNotTakenForNotSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Int32
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 4096)
		for i := range 2 {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), "POST /charge") {
				arrived.Add(1)
			}
			if i == 0 {
				_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
		_ = l.Close()
		_ = conn.Close()
	}()
	c := client(t, remote.Config{BaseURL: "http://" + l.Addr().String()})
	if _, err := c.Do(t.Context(), post); err != nil {
		t.Fatalf("first call: %v", err)
	}
	_, err = c.Do(t.Context(), post)
	if !errors.Is(err, remote.ErrUnknown) || arrived.Load() != 2 {
		t.Fatalf("got %v after %d arrivals, want ErrUnknown after 2", err, arrived.Load())
	}
	if !strings.Contains(err.Error(), "refused") {
		t.Fatalf("got %v: the transport did not repeat, the test shows nothing", err)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	var calls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if broken.Load() {
			w.WriteHeader(503)
		}
	})
	states := make(chan string, 10)
	c := client(t, remote.Config{
		BaseURL: url, OpenAfter: 3, OpenFor: 10 * time.Millisecond,
		OnStateChange: func(_, _, to string) { states <- to },
	})
	broken.Store(true)
	for range 3 {
		if _, err := c.Do(t.Context(), post); !errors.Is(err, remote.ErrUnknown) {
			t.Fatalf("got %v", err)
		}
	}
	if got := <-states; got != "open" {
		t.Fatalf("state %q, want open", got)
	}
	before := calls.Load()
	if _, err := c.Do(t.Context(), post); err != nil && calls.Load() == before && !errors.Is(err, remote.ErrNotSent) {
		t.Fatalf("refused by the breaker: %v, want ErrNotSent", err)
	}
	broken.Store(false)
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := c.Do(t.Context(), post)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never closed again: %v", err)
		}
	}
	if c.Open() {
		t.Fatal("open after a success")
	}
}

func TestOwnCancelDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
	})
	c := client(t, remote.Config{BaseURL: url, OpenAfter: 1})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		if _, err := c.Do(ctx, remote.Call{Method: "GET", Path: "/"}); !errors.Is(err, remote.ErrUnknown) {
			t.Fatalf("got %v", err)
		}
	}
	if c.Open() {
		t.Fatal("the breaker opened")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") != "k" || r.Header.Get("Authorization") != "Basic x" || r.URL.Path != "/base/charge" {
			w.WriteHeader(400)
		}
	})
	c := client(t, remote.Config{BaseURL: url + "/base/", Header: http.Header{"Authorization": {"Basic x"}}})
	if a, err := c.Do(t.Context(), post); err != nil || a.Status != 200 {
		t.Fatalf("got %d %v", a.Status, err)
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	bad := []string{"", "ftp://x", "localhost:80", "http://", "http://x?a=b"}
	if i := slices.IndexFunc(bad, func(u string) bool { _, err := remote.New(remote.Config{BaseURL: u}); return err == nil }); i >= 0 {
		t.Fatalf("accepted %q", bad[i])
	}
}
