package outage

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	s := New(nil, Timeout)
	if err := s.Set(Fault{Mode: Timeout, Percent: 20}); err != nil {
		t.Fatal(err)
	}
	var hit, applied int
	for range 1000 {
		if f := s.Meet(); f.Mode == Timeout {
			hit++
			if *f.Applied {
				applied++
			}
		}
	}
	if hit != 200 || applied != 100 {
		t.Fatalf("hit %d, applied %d; want 200 and 100", hit, applied)
	}
}

func TestModesOverHTTP(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	s := New(done, Down, Cut, Slow, Timeout)
	var served atomic.Int32
	mux := http.NewServeMux()
	mux.Handle("/faults", s)
	mux.Handle("/work", s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) })))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, c := range []struct {
		fault  string
		set    int
		status int // 0: the connection ends without an answer
		served int32
	}{
		{`{"mode":"down"}`, 200, 503, 0},
		{`{"mode":"cut"}`, 200, 0, 0},
		{`{"mode":"slow","delayMs":1}`, 200, 200, 1},
		{`{"mode":"timeout","delayMs":1,"applied":true}`, 200, 0, 1},
		{`{"mode":"timeout","delayMs":1,"applied":false}`, 200, 0, 0},
		{`{"mode":"none"}`, 200, 200, 1},
		{`{"mode":"tempfail"}`, 422, 200, 1},
		{`{"mode":"down","percent":101}`, 422, 200, 1},
		{`{"mood":"down"}`, 400, 200, 1},
	} {
		served.Store(0)
		if got := post(t, server.URL+"/faults", c.fault); got != c.set {
			t.Errorf("set %s: %d, want %d", c.fault, got, c.set)
		}
		if got := post(t, server.URL+"/work", ""); got != c.status || served.Load() != c.served {
			t.Errorf("under %s: status %d served %d, want %d and %d", c.fault, got, served.Load(), c.status, c.served)
		}
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	s := New(done, Slow)
	close(done)
	if s.Pause(time.Hour) {
		t.Fatal("pause claims to have waited")
	}
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
