package shipping

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
)

var departed = time.Date(2026, 3, 2, 9, 0, 0, 123_456_789, time.UTC)

// lines are the statuses of the history, in the order of their keys: by time.
func lines(w *World) []string {
	var all []string
	for _, l := range w.History.All() {
		all = append(all, l.Source+" "+l.Status)
	}
	return all
}

// What is told of a parcel is kept with the carrier's own times, each fact once, also one that comes late.
func TestHistory(t *testing.T) {
	t.Parallel()
	w := given(7)
	told := says(ParcelDispatched)
	told.Checkpoints = []Checkpoint{{Status: "DISPATCHED", At: departed, Location: "Seoul"}}
	flowtest.Decide(t, Topology, w, Track{"o", told})
	told.State, told.Source = ParcelDelivered, "tracker"
	told.Checkpoints = []Checkpoint{{Status: "DELIVERED", At: departed.Add(time.Hour)}, {Status: "IN_TRANSIT", At: departed.Add(time.Minute)}}
	for range 2 {
		flowtest.Decide(t, Topology, w, Track{"o", told})
	}
	told.State, told.Checkpoints = ParcelDispatched, []Checkpoint{{Status: "OUT_FOR_DELIVERY", At: departed.Add(2 * time.Minute)}}
	flowtest.Decide(t, Topology, w, Track{"o", told})
	want := []string{"k DISPATCHED", "tracker IN_TRANSIT", "tracker OUT_FOR_DELIVERY", "tracker DELIVERED"}
	if got := lines(w); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	first := Line{OrderID: "o", Status: "DISPATCHED", At: departed.Truncate(time.Microsecond), Location: "Seoul", Source: "k"}
	if got, known := w.History.Get(first.Key()); !known || got != first {
		t.Errorf("first line %+v", got)
	}
}

// A carrier that tells no times gets ours, once for each status.
func TestHistoryWithoutTimes(t *testing.T) {
	t.Parallel()
	w := given(7)
	for _, p := range []Parcel{ParcelDispatched, ParcelDispatched, ParcelInVan, ParcelDispatched, ParcelInTrouble, ParcelInTrouble, ParcelDelivered} {
		flowtest.Decide(t, Topology, w, Track{"o", says(p)})
	}
	want := []string{"k DELIVERED", "k DISPATCHED", "k OUT_FOR_DELIVERY", "k UNDELIVERABLE"} // one moment: sorted by name
	if got := lines(w); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Nothing is kept of what is said of a parcel that never left.
func TestNoHistoryOfACancelledParcel(t *testing.T) {
	t.Parallel()
	for i, column := range columns {
		if column.state != Cancelled && column.state != Failed {
			continue
		}
		w := given(i)
		flowtest.Decide(t, Topology, w, Track{"o", says(ParcelDelivered)})
		if w.History.Len() > 0 {
			t.Errorf("%v: %v", column, lines(w))
		}
	}
}

// Webhooks come late, again, and in any order; what a parcel's owner is told does not depend on it. Whatever is said, and
// wherever the shipment stands: no event twice, none before the one it follows from, the status never goes back, and in
// the end it is the highest that was told. The same things said in another order end in the same.
func TestWebhooksInAnyOrder(t *testing.T) {
	t.Parallel()
	words := []Parcel{ParcelBooked, ParcelDispatched, ParcelInVan, ParcelInTrouble, ParcelDelivered, ParcelLost, ParcelSentBack}
	rapid.Check(t, func(r *rapid.T) {
		start := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 7, 8}).Draw(r, "state")
		said := rapid.SliceOfN(rapid.SampledFrom(words), 1, 10).Draw(r, "said")
		again := append(slices.Clone(said), rapid.SliceOfN(rapid.SampledFrom(said), 0, 5).Draw(r, "repeated")...)
		first := tell(t, r, start, said)
		second := tell(t, r, start, rapid.Permutation(again).Draw(r, "another order"))
		if first != second {
			r.Errorf("from %v: %s, in another order: %s", columns[start], first, second)
		}
	})
}

// tell says these things of a parcel and describes what came of it in the end.
func tell(t *testing.T, r *rapid.T, start int, said []Parcel) string {
	w := given(start)
	before, _ := w.Shipments.Get("o")
	var events []string
	highest := Tracking("")
	delivered := false
	for i, p := range said {
		told := says(p)
		if p.OnItsWay() {
			told.Checkpoints = []Checkpoint{{Status: string(p), At: departed.Add(time.Duration(rank[tracking(p)]) * time.Hour)}}
			if rank[tracking(p)] > rank[highest] {
				highest = tracking(p)
			}
			delivered = delivered || p == ParcelDelivered
		}
		was, _ := w.Shipments.Get("o")
		out := flowtest.Decide(t, Topology, w, Track{"o", told})
		for _, e := range out.Events {
			events = append(events, string(e.Message.ProtoReflect().Descriptor().Name()))
		}
		if now, _ := w.Shipments.Get("o"); rank[now.Tracking] < rank[was.Tracking] || was.State == Delivered && now.State != Delivered {
			r.Errorf("after %d of %v the status went back from %s %s to %s %s", i+1, said, was.State, was.Tracking, now.State, now.Tracking)
		}
	}
	s, _ := w.Shipments.Get("o")
	if highest == "" {
		if s.UpdatedAt = before.UpdatedAt; s != before || len(events) > 0 {
			r.Errorf("nothing has left, and yet: %v", events)
		}
		return "nothing"
	}
	if s.Tracking != highest || (s.State == Delivered) != delivered {
		r.Errorf("%v: %s %s", said, s.State, s.Tracking)
	}
	order := []string{"ShipmentPrepared", "ShipmentDispatched", "ShipmentCancelRefused", "ShipmentDelivered"}
	next := 0
	for _, e := range events {
		i := slices.Index(order, e)
		if i < next {
			r.Errorf("%v: events %v", said, events)
		}
		next = i + 1
	}
	slices.Sort(events)
	return fmt.Sprint(s.State, s.Tracking, events, lines(w))
}
