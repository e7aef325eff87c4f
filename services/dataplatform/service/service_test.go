package service_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// Everything that is published arrives, once; an event that a relay publishes again does not come again.
func TestEveryFactArrivesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	all := w.publish(30)
	again := rig.NewEvent(rig.NewID(), &orderv1.OrderCompleted{})
	again.Message = &orderv1.OrderCompleted{OrderId: again.Subject}
	w.Send(again, again)
	w.CaughtUp()
	w.Send(again)
	w.CaughtUp()
	w.await(append(all, told{again.ID, again.Subject}))
	w.exported()
	if totals := w.mock.Totals(); totals.RepeatedBatches != 0 {
		t.Errorf("batches came again from a platform that works: %+v", totals)
	}
}

// Whatever the platform does for a while, in the end it has every fact once: it is gone, it answers 500 after it has
// taken a batch and 500 before, it never answers, it forgets nothing over a restart.
func TestFallsBehindAndCatchesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	all := w.publish(10)
	w.await(all)
	w.stopPlatform()
	all = append(all, w.publish(20)...)
	w.CaughtUp() // what was published is kept here, whoever is away
	w.untilTried(3)
	w.startPlatform()
	w.await(all)
	for _, fault := range []outage.Fault{
		{Mode: outage.Broken}, {Mode: outage.Down}, {Mode: outage.Cut}, {Mode: outage.Timeout, DelayMS: 60_000},
	} {
		if err := w.mock.Faults().Set(fault); err != nil {
			t.Fatal(err)
		}
		all = append(all, w.publish(20)...)
		w.CaughtUp()
		w.untilTried(2)
		if err := w.mock.Faults().Set(outage.Fault{}); err != nil {
			t.Fatal(err)
		}
		w.await(all)
	}
	w.exported()
	if totals := w.mock.Totals(); totals.RepeatedBatches == 0 {
		t.Errorf("no batch was taken and answered with an error: the test is weaker than it says: %+v", totals)
	}
}

// untilTried waits until the open batch was sent in vain n times.
func (w *world) untilTried(n int) {
	w.T.Helper()
	testkit.Eventually(w.T, rig.Patience, func() error {
		var attempts int
		err := w.Pool.QueryRow(w.T.Context(), `SELECT coalesce(max(attempts), 0) FROM batch WHERE sent_at IS NULL`).Scan(&attempts)
		if err == nil && attempts < n {
			err = fmt.Errorf("the batch was sent in vain %d times", attempts)
		}
		return err
	})
}

// An export that dies after the platform has taken a batch, and before it knows that, sends the same batch again: the
// platform has seen its id, and no fact comes twice.
func TestAKillInTheMiddleOfAnExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.mock.Faults().Set(outage.Fault{Mode: outage.Timeout, DelayMS: 60_000, Applied: new(true)}); err != nil {
		t.Fatal(err)
	}
	stop := w.serve()
	all := w.publish(5)
	// The platform has it; the answer never comes.
	testkit.Eventually(t, rig.Patience, func() error {
		if w.mock.Totals().Batches == 0 {
			return errors.New("nothing was taken")
		}
		return nil
	})
	stop()
	if err := w.mock.Faults().Set(outage.Fault{}); err != nil {
		t.Fatal(err)
	}
	all = append(all, w.publish(5)...)
	w.serve()
	w.await(all)
	w.exported()
	if totals := w.mock.Totals(); totals.RepeatedBatches == 0 {
		t.Errorf("the batch did not come again: %+v", totals)
	}
}

// Two replicas export as one, and the second goes on where the first stops.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.serve()
	w.serve()
	all := w.publish(30)
	stop()
	all = append(all, w.publish(30)...)
	w.await(all)
	w.exported()
}

// A replay sends everything again, marked as such, and the live export goes on beside it.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	all := w.publish(40)
	w.await(all)
	w.exported()
	body := fmt.Sprintf(`{"from":%q,"reason":"the platform lost a day"}`, since())
	first := w.Call(w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", body, "Idempotency-Key", "again")
	if first.Status != http.StatusAccepted {
		t.Fatalf("asked for a replay: %s", first)
	}
	if second := w.Call(w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", body, "Idempotency-Key", "again"); second.Text != first.Text {
		t.Errorf("the same key made another replay: %s", second)
	}
	later := w.publish(10)
	w.awaitReplay()
	w.await(append(all, later...))
	w.exported()
	for _, o := range w.mock.Received() {
		for _, f := range o.Facts {
			want := 0
			if slices.ContainsFunc(all, func(e told) bool { return e.id == f.ID }) {
				want = 1
			}
			if f.Times != 1 || f.Replays != want {
				t.Errorf("%s of %s came %d times, and %d times in replays: want once and %d", f.Type, o.OrderID, f.Times, f.Replays, want)
			}
		}
	}
}

// awaitReplay waits until no replay is open.
func (w *world) awaitReplay() {
	w.T.Helper()
	testkit.Eventually(w.T, rig.Patience, func() error {
		var open int
		err := w.Pool.QueryRow(w.T.Context(), `SELECT count(*) FROM stream WHERE up_to IS NOT NULL AND done_at IS NULL`).Scan(&open)
		if err == nil && open > 0 {
			err = errors.New("the replay is not done")
		}
		return err
	})
}

// The state says how far the export is, and what is wrong.
func TestState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	read := func() (s struct {
		Position, Exported, Waiting, Facts int64
		OldestWaitingAt                    *time.Time
		LagSeconds                         float64
		Attempts                           int
		LastError                          string
		Replays                            []struct{ ReplayID string }
	},
	) {
		a := w.Call(w.operator(), http.MethodGet, "/ops/v1/dataplatform", "")
		if err := json.Unmarshal([]byte(a.Text), &s); err != nil || a.Status != http.StatusOK {
			t.Fatalf("%s: %v", a, err)
		}
		return s
	}
	all := w.publish(3)
	w.await(all)
	w.exported()
	if s := read(); s.Position != 6 || s.Exported != 6 || s.Waiting != 0 || s.OldestWaitingAt != nil || s.LagSeconds != 0 || s.Facts != 6 || s.Replays == nil {
		t.Errorf("all is exported: %+v", s)
	}
	w.stopPlatform()
	w.publish(2)
	w.CaughtUp()
	w.untilTried(1)
	if s := read(); s.Exported != 6 || s.Waiting != 4 || s.OldestWaitingAt == nil || s.LagSeconds <= 0 || s.Attempts == 0 || s.LastError == "" {
		t.Errorf("the platform is away: %+v", s)
	}
}

// Only operators see it and ask for replays; what cannot be asked for is said by field.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		says                      string
	}{
		{"", http.MethodGet, "/ops/v1/dataplatform", "", 401, ""},
		{w.Token("alice"), http.MethodGet, "/ops/v1/dataplatform", "", 403, ""},
		{"", http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2026-11-01","reason":"r"}`, 401, ""},
		{w.Token("alice"), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2026-11-01","reason":"r"}`, 403, ""},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"reason":"r"}`, 400, "/from"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2026-11-01"}`, 400, "/reason"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"yesterday","reason":"r"}`, 400, "/from"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"0001-01-01","reason":"r"}`, 400, "/from"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2999-01-01","reason":"r"}`, 400, "/from"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2026-11-01","reason":"r","to":"x"}`, 400, "/to"},
		{w.operator(), http.MethodPost, "/ops/v1/dataplatform/replay", `{"from":"2026-11-01","reason":"r"}`, 202, "replayId"},
	} {
		if a := w.Call(c.token, c.method, c.path, c.body); a.Status != c.status || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s %s %s: %s, want %d with %q", c.method, c.path, c.body, a, c.status, c.says)
		}
	}
}
