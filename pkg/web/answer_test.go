package web_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

func queryContext(url string, headers ...string) (echo.Context, *httptest.ResponseRecorder) {
	req := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	return echo.New().NewContext(req, rec), rec
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]struct {
		wait time.Duration
		ok   bool
	}{
		"": {0, false}, "wait=5": {5 * time.Second, true}, "wait=0": {0, true}, "WAIT = 7": {7 * time.Second, true},
		"respond-async, wait=3; x=y": {3 * time.Second, true}, `wait="4"`: {4 * time.Second, true}, "wait=31": {30 * time.Second, true},
		"wait=99999999999999999999": {0, false}, "wait=-1": {0, false}, "wait": {0, false}, "wait=1.5": {0, false}, "waiting=4": {0, false},
	} {
		c, rec := queryContext("/", "Prefer", header)
		wait, ok := web.PreferWait(c)
		if wait != want.wait || ok != want.ok || (rec.Header().Get("Preference-Applied") != "") != ok {
			t.Errorf("Prefer: %s gives %s, %v, applied %q", header, wait, ok, rec.Header().Get("Preference-Applied"))
		}
	}
	c, _ := queryContext("/", "Prefer", "return=minimal", "Prefer", "wait=2")
	if wait, ok := web.PreferWait(c); wait != 2*time.Second || !ok {
		t.Errorf("in a second header: %s, %v", wait, ok)
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]web.Page{
		"": {Limit: 20}, "?limit=1": {Limit: 1}, "?limit=100&startingAfter=x%2Fy": {Limit: 100, StartingAfter: "x/y"},
		"?limit=0": {}, "?limit=": {}, "?limit=101": {}, "?limit=-1": {}, "?limit=ten": {}, "?limit=1.0": {}, "?startingAfter=" + strings.Repeat("x", 256): {},
	} {
		c, _ := queryContext("/" + query)
		page, err := web.PageOf(c)
		if want.Limit == 0 {
			if !isRefusal(err, 400, fault.CodeInvalidParameter) {
				t.Errorf("%s: %+v, %v, want 400 invalid_parameter", query, page, err)
			}
			continue
		}
		if err != nil || page != want {
			t.Errorf("%s: %+v, %v, want %+v", query, page, err, want)
		}
	}
	for rows, want := range map[int]web.List[int]{
		0: {Data: []int{}}, 2: {Data: []int{0, 0}}, 3: {Data: []int{0, 0}, HasMore: true},
	} {
		got := web.NewList(make([]int, rows), 2)
		if len(got.Data) != len(want.Data) || got.HasMore != want.HasMore {
			t.Errorf("%d rows of a page of 2: %+v", rows, got)
		}
	}
	c, rec := queryContext("/")
	if err := c.JSON(http.StatusOK, web.NewList[int](nil, 20)); err != nil || strings.TrimSpace(rec.Body.String()) != `{"data":[],"hasMore":false}` {
		t.Errorf("an empty list is %s (%v)", rec.Body, err)
	}
}

func isRefusal(err error, status int, code string) bool {
	want := fault.New(status, code, "")
	return err != nil && want.Is(err)
}

func TestETag(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{
		"": 200, `"7"`: 304, `W/"7"`: 304, `"6", "7"`: 304, `*`: 304, `"6"`: 200, `7`: 200,
	} {
		c, rec := queryContext("/", "If-None-Match", header)
		if err := web.JSONWithETag(c, "7", map[string]int{"version": 7}); err != nil {
			t.Fatal(err)
		}
		if rec.Code != want || rec.Header().Get("Etag") != `"7"` || (rec.Body.Len() > 0) != (want == 200) {
			t.Errorf("If-None-Match %s: %d with tag %s and %d bytes, want %d", header, rec.Code, rec.Header().Get("Etag"), rec.Body.Len(), want)
		}
	}
}

// ticker is a service with a stream that sends when told to.
func ticker(send <-chan string, gone chan<- string) func(*echo.Echo) {
	return func(e *echo.Echo) {
		e.GET("/stream", func(c echo.Context) error {
			stream, err := web.Stream(c)
			if err != nil {
				return err
			}
			for {
				select {
				case text := <-send:
					if err := stream.Send("7\nevent: forged", "OrderCreated", map[string]string{"text": text, "after": web.LastEventID(c)}); err != nil {
						return err
					}
				case <-stream.Done():
					gone <- "client"
					return nil
				case <-stream.Draining():
					gone <- "server"
					return nil
				}
			}
		})
	}
}

// readEvent returns the lines up to the next empty one.
func readEvent(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var event strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("stream ended after %q: %v", event.String(), err)
		}
		if line == "\n" {
			return event.String()
		}
		event.WriteString(line)
	}
}

func TestStreamThroughProxy(t *testing.T) {
	t.Parallel()
	send, gone := make(chan string), make(chan string, 1)
	service := serve(t, web.Config{}, ticker(send, gone))
	gateway := serve(t, web.Config{}, forward(t, service.URL))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", "6")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" || res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	r := bufio.NewReader(res.Body)
	if got := readEvent(t, r); got != ": heartbeat\n" {
		t.Errorf("first %q, want a heartbeat before any event", got)
	}
	for _, text := range []string{"one", "two\nlines"} {
		send <- text // each must arrive before the next is sent: nothing is buffered on the way
		want := "id: 7 event: forged\nevent: OrderCreated\ndata: {\"after\":\"6\",\"text\":\"" + strings.ReplaceAll(text, "\n", `\n`) + "\"}\n"
		if got := readEvent(t, r); got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}
	cancel()
	if who := <-gone; who != "client" {
		t.Errorf("stream ended by the %s, want by the client that left", who)
	}
}

// impatient is serve with a write timeout far below what Config allows.
func impatient(t *testing.T, routes func(*echo.Echo)) *httptest.Server {
	t.Helper()
	cfg := web.Config{Log: slog.New(slog.DiscardHandler)}
	e, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	routes(e)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = web.Server(cfg, e)
	srv.Config.WriteTimeout = 50 * time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// TestStreamOutlivesTheWriteTimeout reads past four write timeouts, at the service and behind a gateway that has the
// same one, and then sees the stream end cleanly when the service drains.
func TestStreamOutlivesTheWriteTimeout(t *testing.T) {
	t.Parallel()
	for _, proxied := range []bool{false, true} {
		send, gone := make(chan string), make(chan string, 1)
		service := impatient(t, ticker(send, gone))
		url := service.URL
		if proxied {
			url = impatient(t, forward(t, service.URL)).URL
		}
		res, err := http.Get(url + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		readEvent(t, r)
		begin := time.Now()
		for tick := time.NewTicker(20 * time.Millisecond); time.Since(begin) < 200*time.Millisecond; <-tick.C {
			send <- "still here"
			readEvent(t, r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := service.Config.Shutdown(ctx); err != nil {
			t.Errorf("proxied %v: shutdown with an open stream: %v", proxied, err)
		}
		if who := <-gone; who != "server" {
			t.Errorf("proxied %v: stream ended by the %s, want by the server that drains", proxied, who)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Errorf("proxied %v: the client sees %v, want a clean end", proxied, err)
		}
	}
}

func TestWantsStream(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"text/event-stream": true, "application/json, Text/Event-Stream;q=0.9": true, "": false, "*/*": false, "application/json": false,
	} {
		c, _ := queryContext("/", "Accept", accept)
		if web.WantsStream(c) != want {
			t.Errorf("Accept %q: %v, want %v", accept, !want, want)
		}
	}
}

func TestErrorPageExplainsEveryCode(t *testing.T) {
	t.Parallel()
	page, err := web.ErrorPage()
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, web.Config{}, func(e *echo.Echo) { e.GET("/docs/errors", page) })
	got := do(t, "GET", srv.URL+"/docs/errors", "")
	for _, code := range fault.Codes() {
		if !strings.Contains(got.body, `id="`+code.Name+`"`) || got.status != 200 {
			t.Errorf("%d: %s is not explained", got.status, code.Name)
		}
	}
}
