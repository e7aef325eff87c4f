package run

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Version is the release; the build sets it with -ldflags "-X …/pkg/run.Version=1.2.3".
var Version = "dev"

// Build says what is running.
type Build struct {
	Version string `json:"version"`
	// Commit is the VCS revision, with "+dirty" if the tree had changes; "unknown" outside a repository.
	Commit string `json:"commit"`
	Go     string `json:"go"`
}

// BuildInfo returns what the linker and the toolchain know of this binary.
func BuildInfo() Build {
	b := Build{Version: Version, Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	dirty := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if dirty {
		b.Commit += "+dirty"
	}
	return b
}

// Health is the readiness of a process: named checks that must all pass, and whether it is stopping.
type Health struct {
	mu       sync.Mutex
	stopping bool
	checks   []check
}

type check struct {
	name string
	run  func(context.Context) error
}

// Add registers a check. It must be cheap: it is asked every few seconds; and it must not ask a neighbour service, else
// one service that is down takes all others out with it.
func (h *Health) Add(name string, run func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, run})
}

// Stopping makes the process not ready, for good: the first step of a shutdown, so that no new requests come.
func (h *Health) Stopping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// checkTimeout bounds all checks of one answer together; probes usually give up after a second or two.
const checkTimeout = time.Second

// Failing runs all checks at once and returns what fails, by name; empty is ready.
func (h *Health) Failing(ctx context.Context) map[string]string {
	h.mu.Lock()
	checks, stopping := h.checks[:len(h.checks):len(h.checks)], h.stopping
	h.mu.Unlock()
	failing := map[string]string{}
	if stopping {
		failing["stopping"] = "shutting down"
		return failing
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	type result struct {
		name string
		err  error
	}
	// Buffered, so that a check that ignores its context delays nobody but itself.
	results := make(chan result, len(checks))
	pending := map[string]bool{}
	for _, c := range checks {
		pending[c.name] = true
		go func() { results <- result{c.name, c.run(ctx)} }()
	}
	for len(pending) > 0 {
		select {
		case r := <-results:
			delete(pending, r.name)
			if r.err != nil {
				failing[r.name] = r.err.Error()
			}
		case <-ctx.Done():
			for name := range pending {
				failing[name] = fmt.Sprintf("no answer within %s", checkTimeout)
			}
			return failing
		}
	}
	return failing
}

// AdminHandler serves /livez (never asks anything), /readyz (503 with the checks that fail) and /metrics. It belongs on
// a port of its own that is not reachable from outside: error texts of checks are meant for operators.
func AdminHandler(h *Health, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, struct {
			Status string `json:"status"`
			Build
		}{"ok", BuildInfo()})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if failing := h.Failing(r.Context()); len(failing) > 0 {
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "failing": failing})
			return
		}
		answer(w, http.StatusOK, map[string]any{"status": "ready"})
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the prober has gone: nothing to do about it
}

// Admin returns a server for [AdminHandler] with timeouts; serve it with [HTTP], added before everything else, so that
// it is the last to stop and a probe always gets an answer.
func Admin(h *Health, metrics prometheus.Gatherer) *http.Server {
	return &http.Server{
		Handler:           AdminHandler(h, metrics),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
}
