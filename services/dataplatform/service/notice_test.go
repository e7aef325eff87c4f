package service_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// A person hears of facts that have waited for long, and the metrics say how long; nothing is said of those that were
// taken.
func TestWhoFallsBehindIsHeardOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var heard string
	operators := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		heard += string(body)
	}))
	t.Cleanup(operators.Close)
	w.serve(map[string]string{"OPERATORS_WEBHOOK": operators.URL, "OPERATORS_EVERY": "50ms", "DATAPLATFORM_BEHIND": "100ms"})
	w.await(w.publish(3))
	w.exported()
	w.metric("quadrille_export_lag_seconds", func(value string) bool { return value == "0" })
	w.stopPlatform()
	w.publish(2)
	testkit.Eventually(t, rig.Patience, func() error {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(heard, "dataplatform/behind") {
			return errors.New("nobody was told")
		}
		return nil
	})
	w.metric("quadrille_export_lag_seconds", func(value string) bool { return value != "0" })
	w.metric("quadrille_export_waiting_facts", func(value string) bool { return value == "4" })
	w.metric("quadrille_export_elected", func(value string) bool { return value == "1" })
}

// metric waits until a metric is as it should be.
func (w *world) metric(name string, is func(value string) bool) {
	w.T.Helper()
	testkit.Eventually(w.T, rig.Patience, func() error {
		res, err := http.Get(w.admin + "/metrics")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			metric, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if metric, _, _ = strings.Cut(metric, "{"); metric == name {
				if !is(value) {
					return fmt.Errorf("%s is %s", name, value)
				}
				return nil
			}
		}
		return fmt.Errorf("there is no %s", name)
	})
}
