package run_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/pkg/run"
)

// diary notes what happened in which order.
type diary struct {
	mu    sync.Mutex
	notes []string
}

func (d *diary) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

func (d *diary) component(name string) run.Component {
	return run.Component{
		Name:  name,
		Start: func(context.Context) error { d.note("start " + name); return nil },
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			d.note("end " + name)
			return ctx.Err()
		},
		Stop: func(context.Context) error { d.note("stop " + name); return nil },
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

var inOrder = []string{"start a", "start b", "stop b", "end b", "stop a", "end a"}

func TestGroupStopsInReverse(t *testing.T) {
	t.Parallel()
	d := &diary{}
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(quiet())
	g.Add(d.component("a"))
	g.Add(d.component("b"))
	g.Add(run.Component{Name: "trigger", Start: func(context.Context) error { cancel(); return nil }})
	if err := g.Run(ctx); err != nil {
		t.Errorf("an orderly end: %v", err)
	}
	if got := d.read(); !slices.Equal(got, inOrder) {
		t.Errorf("went %v, want %v", got, inOrder)
	}
}

func TestFirstErrorStopsAll(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	for name, tt := range map[string]struct {
		bad  run.Component
		want string
	}{
		"run fails":   {run.Component{Name: "c", Run: func(context.Context) error { return broken }}, "run c: disk full"},
		"run ends":    {run.Component{Name: "c", Run: func(context.Context) error { return nil }}, "run c: ended by itself"},
		"start fails": {run.Component{Name: "c", Start: func(context.Context) error { return broken }}, "start c: disk full"},
	} {
		d := &diary{}
		g := run.NewGroup(quiet())
		g.Add(d.component("a"))
		g.Add(d.component("b"))
		g.Add(tt.bad)
		g.Add(d.component("unreached"))
		err := g.Run(t.Context())
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		got := slices.DeleteFunc(d.read(), func(note string) bool { return strings.Contains(note, "unreached") })
		if !slices.Equal(got, inOrder) {
			t.Errorf("%s: went %v, want %v", name, got, inOrder)
		}
	}
}

func TestInterruptedStartIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	d := &diary{}
	g := run.NewGroup(quiet())
	g.Add(d.component("a"))
	g.Add(run.Component{Name: "download", Start: func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }})
	if err := g.Run(ctx); err != nil || !slices.Contains(d.read(), "end a") {
		t.Errorf("%v after %v, want a clean end", err, d.read())
	}
}

func TestStuckComponentIsLeftBehind(t *testing.T) {
	t.Parallel()
	d := &diary{}
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	g := run.NewGroup(quiet())
	g.Add(d.component("a"))
	g.Add(run.Component{Name: "stuck", StopTimeout: 20 * time.Millisecond, Run: func(context.Context) error { cancel(); <-release; return nil }})
	err := g.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "stop stuck: still running after 20ms") || !slices.Contains(d.read(), "end a") {
		t.Errorf("%v after %v, want the stuck one named and the others ended", err, d.read())
	}
}

func TestStopErrorsAreTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(quiet())
	g.Add(run.Component{Name: "a", Stop: func(context.Context) error { return errors.New("not flushed") }})
	g.Add(run.Component{Name: "b", Run: func(ctx context.Context) error { cancel(); <-ctx.Done(); return errors.New("lost the lock") }})
	err := g.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "stop a: not flushed") || !strings.Contains(err.Error(), "run b: lost the lock") {
		t.Errorf("%v, want both", err)
	}
}

func TestHTTPDrains(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	ln, err := run.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})}
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(quiet())
	g.Add(run.HTTP("api", srv, ln, 10*time.Second))
	srv.RegisterOnShutdown(func() { close(release) })
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	go func() { <-entered; cancel() }()
	res, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatalf("a request that was under way: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.Body.Close() != nil || string(body) != "done" {
		t.Errorf("it got %q, %v", body, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the group ended with %v", err)
	}
}

func TestListenNext(t *testing.T) {
	t.Parallel()
	first, err := run.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	addr := first.Addr().String()
	if ln, err := run.Listen(t.Context(), addr); err == nil {
		t.Errorf("listens twice on %s", ln.Addr())
	}
	second, err := run.ListenNext(t.Context(), addr, 50)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if a, b := first.Addr().(*net.TCPAddr).Port, second.Addr().(*net.TCPAddr).Port; b <= a || b > a+50 {
		t.Errorf("port %d taken, next is %d", a, b)
	}
	if _, err := run.ListenNext(t.Context(), addr, 1); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("with one try: %v, want the port taken", err)
	}
	for _, bad := range []string{"8080", "127.0.0.1:http"} {
		if _, err := run.ListenNext(t.Context(), bad, 2); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "relay_elected", Help: "1 if elected."}))
	health := &run.Health{}
	var migrated atomic.Bool
	health.Add("migrated", func(context.Context) error {
		if !migrated.Load() {
			return errors.New("2 of 5 done")
		}
		return nil
	})
	health.Add("relay", func(context.Context) error { return nil })
	srv := httptest.NewServer(run.Admin(health, registry).Handler)
	defer srv.Close()

	status, body := get(t, srv.URL+"/livez")
	if status != 200 || !strings.Contains(body, `"go":"go`) || !strings.Contains(body, `"commit":`) || !strings.Contains(body, `"version":"dev"`) {
		t.Errorf("/livez: %d %s", status, body)
	}
	status, body = get(t, srv.URL+"/readyz")
	if status != 503 || !strings.Contains(body, `"migrated":"2 of 5 done"`) || strings.Contains(body, "relay") {
		t.Errorf("/readyz while migrating: %d %s", status, body)
	}
	migrated.Store(true)
	if status, body = get(t, srv.URL+"/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, body = get(t, srv.URL+"/metrics"); status != 200 || !strings.Contains(body, "relay_elected 0") {
		t.Errorf("/metrics: %d %s", status, body)
	}
	health.Stopping()
	if status, body = get(t, srv.URL+"/readyz"); status != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("/readyz while stopping: %d %s", status, body)
	}
}

func TestHungCheckIsNamed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	health := &run.Health{}
	health.Add("hung", func(context.Context) error { <-release; return nil })
	health.Add("fine", func(context.Context) error { return nil })
	failing := health.Failing(t.Context())
	if len(failing) != 1 || !strings.Contains(failing["hung"], "no answer") {
		t.Errorf("failing %v, want the hung check only", failing)
	}
}

// TestSignals sends real ones to this process, so its parts run one after the other.
func TestSignals(t *testing.T) {
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	kill := func() error { return syscall.Kill(os.Getpid(), syscall.SIGTERM) }

	code := run.Supervise(func(ctx context.Context) error {
		if err := kill(); err != nil {
			return err
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); cause == nil || cause.Error() != "received terminated" {
			return cause
		}
		return nil
	}, stderr)
	if code != 0 {
		t.Errorf("after one signal: exit %d, want 0", code)
	}

	release := make(chan struct{})
	defer close(release)
	code = run.Supervise(func(ctx context.Context) error {
		err := kill()
		<-ctx.Done()
		err = errors.Join(err, kill())
		<-release
		return err
	}, stderr)
	if code != 130 {
		t.Errorf("after two signals: exit %d, want 130", code)
	}

	if code := run.Supervise(func(context.Context) error { return errors.New("port taken") }, stderr); code != 1 {
		t.Errorf("after an error: exit %d, want 1", code)
	}
	text, err := os.ReadFile(stderr.Name())
	if err != nil || !strings.Contains(string(text), "error: port taken") {
		t.Errorf("standard error has %q, %v", text, err)
	}
}
