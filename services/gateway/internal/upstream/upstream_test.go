package upstream_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

var caller = upstream.Caller{Authorization: "Bearer t", RequestID: "r1"}

// talker answers as its path says.
func talker(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"token":"` + r.Header.Get("Authorization") + `","id":"` + r.Header.Get("X-Request-Id") + `","body":"` + string(body) + `"}`))
	case "/refuse":
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":"not_cancelable","detail":"gone","status":409}`))
	case "/broken":
		w.WriteHeader(http.StatusTeapot)
	case "/down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "/slow":
		<-r.Context().Done()
	}
}

// The same over a connection and inside the process.
func TestAsk(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(talker))
	t.Cleanup(server.Close)
	for name, transport := range map[string]http.RoundTripper{
		"over a connection": http.DefaultTransport,
		"in the process":    upstream.Local{Handler: http.HandlerFunc(talker)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := upstream.New("stock", server.URL+"/", transport)
			if err != nil {
				t.Fatal(err)
			}
			var echo struct{ Token, ID, Body string }
			if err := s.Send(t.Context(), caller, time.Second, "POST", "/echo", []byte("hello"), &echo); err != nil {
				t.Fatal(err)
			}
			if echo.Token != "Bearer t" || echo.ID != "r1" || echo.Body != "hello" {
				t.Errorf("%+v", echo)
			}
			err = s.Read(t.Context(), caller, time.Second, "/refuse", nil)
			var refusal *fault.Refusal
			if !errors.As(err, &refusal) || refusal.Code != "not_cancelable" || refusal.Status != 409 || refusal.Detail != "gone" {
				t.Errorf("refusal: %v", err)
			}
			if err := s.Read(t.Context(), caller, time.Second, "/broken", nil); err == nil || errors.As(err, &refusal) && refusal.Code == "" {
				t.Errorf("broken: %v", err)
			}
			if err := s.Read(t.Context(), caller, time.Second, "/down", nil); !errors.Is(err, upstream.ErrUnreachable) {
				t.Errorf("down: %v", err)
			}
		})
	}
	t.Run("too slow", func(t *testing.T) {
		t.Parallel()
		s, err := upstream.New("stock", server.URL, http.DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Read(t.Context(), caller, 50*time.Millisecond, "/slow", nil); !errors.Is(err, upstream.ErrUnreachable) {
			t.Errorf("slow: %v", err)
		}
	})
}
