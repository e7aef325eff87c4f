package rig

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Listen opens a port of this machine; an empty address takes a free one.
func Listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Server is an HTTP server that can be killed, and started again on its port. The zero value takes a free port when it
// is started first.
type Server struct {
	addr string
	http *http.Server
}

// URL of the server, once it was started.
func (s *Server) URL() string { return "http://" + s.addr }

// Start serves.
func (s *Server) Start(t *testing.T, handler http.Handler) {
	t.Helper()
	l := Listen(t, s.addr)
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	go func(server *http.Server) {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}(s.http)
}

// Kill ends the server: connections are cut and its port refuses. It says whether there was one to kill.
func (s *Server) Kill(t *testing.T) bool {
	t.Helper()
	if s.http == nil {
		return false
	}
	if err := s.http.Close(); err != nil {
		t.Errorf("kill a server: %v", err)
	}
	s.http = nil
	return true
}

// Try sends a request to a server that may fail in any way and reads its JSON into a value, or nowhere if that is nil.
// The status is 0 where the connection ends without an answer. An Idempotency-Key is sent unless it is empty.
func Try(t *testing.T, method, url, key, body string, into any) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
		request.GetBody = nil // or the transport repeats a cut request by itself
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			t.Errorf("%s %s: %d %s: %v", method, url, response.StatusCode, content, err)
		}
	}
	return response.StatusCode
}
