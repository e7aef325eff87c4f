package local

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/simulator"
)

// alone is a system of one unit, whose work is the test's.
func alone(t *testing.T, work launcher) (*System, *unit) {
	t.Helper()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(t.TempDir(), "key"), tokenIssuer, tokenAudience)
	if err != nil {
		t.Fatal(err)
	}
	u := &unit{name: "mailer", launch: work}
	s := &System{
		Simulators: &simulator.Simulators{}, issuer: issuer, units: map[string]*unit{"mailer": u, "gateway": u},
		log: slog.New(slog.DiscardHandler), started: make(chan struct{}), failed: make(chan error, 1),
	}
	if err := u.place.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, u
}

// A service that ends itself, because it cannot go on safely, is started again on the same ports.
func TestFailedServiceIsStartedAgain(t *testing.T) {
	t.Parallel()
	runs := make(chan string, 10)
	count := 0
	s, u := alone(t, func(ctx context.Context, _ map[string]string, adjust func(*host.Config)) error {
		var c host.Config
		adjust(&c)
		count++
		runs <- c.HTTPListener.Addr().String()
		if count == 1 {
			return errors.New("lost my fence")
		}
		server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
		go func() { <-ctx.Done(); _ = server.Close() }()
		if err := server.Serve(c.AdminListener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	close(s.started)
	s.launch(u)
	if first, second := <-runs, <-runs; first != second {
		t.Errorf("first on %s, then on %s", first, second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.awaitReady(ctx, []string{"mailer"}); err != nil {
		t.Error(err)
	}
	if err := u.stop(ctx); err != nil {
		t.Error(err)
	}
	if err := u.stop(ctx); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

// Before everything was ready once, a failure ends the start: it is a mistake that waiting will not mend.
func TestFailureAtStart(t *testing.T) {
	t.Parallel()
	s, u := alone(t, func(context.Context, map[string]string, func(*host.Config)) error {
		return errors.New("no such broker")
	})
	s.launch(u)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.awaitReady(ctx, []string{"mailer"}); err == nil || !strings.Contains(err.Error(), "mailer: no such broker") {
		t.Errorf("%v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: t.TempDir(), Brokers: []string{"127.0.0.1:1"}, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "no database for gateway") {
		t.Errorf("%v", err)
	}
}
