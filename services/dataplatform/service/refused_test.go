package service_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// A replay whose batches the platform refuses waits, for as long as it takes, and the live export goes on.
func TestARefusedReplayHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var refusing atomic.Bool
	refusing.Store(true)
	var refused atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if refusing.Load() && bytes.Contains(body, []byte(`"replay":true`)) {
			refused.Add(1)
			rw.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mock.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w.cfg["DATAPLATFORM_URL"] = front.URL + "/facts"
	w.serve()
	all := w.publish(10)
	w.await(all)
	w.exported()
	body := fmt.Sprintf(`{"from":%q,"reason":"r"}`, since())
	if a := w.Call(w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", body); a.Status != http.StatusAccepted {
		t.Fatal(a)
	}
	testkit.Eventually(t, rig.Patience, func() error {
		if refused.Load() < 3 {
			return errors.New("the replay was not refused three times yet")
		}
		return nil
	})
	later := append(all, w.publish(30)...)
	w.await(later)
	if totals := w.mock.Totals(); totals.Replayed != 0 {
		t.Errorf("refused facts came: %+v", totals)
	}
	refusing.Store(false)
	w.awaitReplay()
	w.await(later)
	if totals := w.mock.Totals(); totals.Replayed != len(all) {
		t.Errorf("%+v: want %d replayed", totals, len(all))
	}
}
