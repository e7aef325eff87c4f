package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/simulator/dataplatform"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// exportState is what GET /ops/v1/dataplatform says.
type exportState struct {
	Exported  int64  `json:"exported"`
	Waiting   int64  `json:"waiting"`
	Attempts  int    `json:"attempts"`
	LastError string `json:"lastError"`
	Replays   []struct {
		ReplayID string     `json:"replayId"`
		DoneAt   *time.Time `json:"doneAt"`
	} `json:"replays"`
}

// TestDataplatform takes the data platform, and then the export itself, away while customers order. Every order becomes
// final while they are away; afterwards the platform has every event of every order once, and after a replay once more,
// as a replay.
func TestDataplatform(t *testing.T) {
	t.Parallel()
	environment := maps.Clone(quickly)
	environment["dataplatform"] = map[string]string{
		"DATAPLATFORM_BATCH_FACTS": "40", "DATAPLATFORM_BATCH_AGE": "50ms", "DATAPLATFORM_RETRY_MIN": "20ms", "DATAPLATFORM_RETRY_MAX": "200ms",
	}
	s := open(t, environment)
	platform := s.Simulators.Dataplatform
	var orders []string
	orders = append(orders, s.crowd(t, 15)...)

	if err := platform.Faults().Set(outage.Fault{Mode: outage.Broken}); err != nil {
		t.Fatal(err)
	}
	s.awaitExport(t, "a batch was refused", func(e exportState) bool { return e.Attempts > 0 && e.LastError != "" })
	orders = append(orders, s.crowd(t, 30)...) // all of them final, and the platform does not work
	if e := s.export(t); e.Waiting == 0 {
		t.Error("nothing waits for a platform that answers 500: the test is weaker than it says")
	}
	if err := platform.Faults().Set(outage.Fault{}); err != nil {
		t.Fatal(err)
	}
	if err := s.StopService(t.Context(), "dataplatform"); err != nil {
		t.Fatal(err)
	}
	orders = append(orders, s.crowd(t, 15)...)
	if err := s.StartService(t.Context(), "dataplatform"); err != nil {
		t.Fatal(err)
	}
	orders = append(orders, s.crowd(t, 15)...)
	s.exportedOnce(t, orders, 0)
	if platform.Totals().RepeatedBatches == 0 {
		t.Error("no batch was taken and answered 500: the test is weaker than it says")
	}

	begin := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	if err := s.ops.Post(t.Context(), "/ops/v1/dataplatform/replay", fields{"from": begin, "reason": "the platform lost an hour"}, nil); err != nil {
		t.Fatal(err)
	}
	s.awaitExport(t, "the replay is done", func(e exportState) bool { return len(e.Replays) == 1 && e.Replays[0].DoneAt != nil })
	s.exportedOnce(t, orders, 1)
}

// crowd lets n customers order at the same time, one of whom is declined, and returns when all orders are final.
func (s *shop) crowd(t *testing.T, n int) []string {
	t.Helper()
	product := s.product(t, 1000, int64(n))
	ids := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		c := s.customer(t)
		all.Go(func() {
			body := basket(product, 1, 1000)
			if i == 0 {
				body["paymentToken"] = "tok_decline"
			}
			o := c.buy(body)
			if want := map[bool]string{true: "CANCELLED", false: "COMPLETED"}[i == 0]; o.Status != want {
				t.Errorf("order %s is %s (%s): want %s", o.OrderID, o.Status, o.why(), want)
			}
			ids[i] = o.OrderID
		})
	}
	all.Wait()
	return ids
}

func (s *shop) export(t *testing.T) (e exportState) {
	t.Helper()
	if err := s.ops.Get(t.Context(), "/ops/v1/dataplatform", &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *shop) awaitExport(t *testing.T, what string, is func(exportState) bool) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if e := s.export(t); !is(e) {
			return fmt.Errorf("not yet: %s: %+v", what, e)
		}
		return nil
	})
}

// exportedOnce waits until the platform has what the orders' timelines say, and holds it against them: each event came
// once, in replays as often as said, and nothing else came.
func (s *shop) exportedOnce(t *testing.T, orders []string, replays int) {
	t.Helper()
	operator := customer{Client: s.ops, t: t, shop: s}
	for _, id := range orders {
		testkit.Eventually(t, patience, func() error {
			var events, came, wrong []string
			for _, e := range operator.timeline(id) {
				events = append(events, e.ID) // parcels are booked behind the order's back, so it may grow
			}
			slices.Sort(events)
			for _, f := range s.received(id).Facts {
				came = append(came, f.ID)
				if f.Times != 1 || f.Replays != replays {
					wrong = append(wrong, fmt.Sprintf("%s came %d times, and %d times in replays", f.Type, f.Times, f.Replays))
				}
			}
			slices.Sort(came)
			if len(events) < 4 || !slices.Equal(came, events) {
				return fmt.Errorf("of order %s came %v: want %v", id, came, events)
			}
			if len(wrong) > 0 {
				return errors.New(strings.Join(wrong, ", "))
			}
			return nil
		})
	}
	if totals := s.Simulators.Dataplatform.Totals(); totals.MoreThanOnce > 0 || totals.OnlyReplayed > 0 || totals.OutOfOrder > 0 || totals.WithoutData > 0 {
		t.Errorf("the platform has %+v", totals)
	}
}

// received is what the platform has about an order.
func (s *shop) received(id string) dataplatform.Order {
	for _, o := range s.Simulators.Dataplatform.Received() {
		if o.OrderID == id {
			return o
		}
	}
	return dataplatform.Order{}
}
