package shipping

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnTrack takes a carrier's webhook. One that shows the parcel on its way is the outcome of an open
// booking or cancel as well; the answer of that call, if it still comes, finds the state moved on, and
// the same webhook later changes nothing. It is answered 204 also where it is ignored, or the carrier
// would send it for ever.
func OnTrack(w *World, c Track, m flow.Meta) (flow.Reply, []flow.Event) {
	s, known := w.Shipments.Get(c.OrderID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	return flow.Reply{Status: 204}, track(w, s, c.Outcome, m)
}

func track(w *World, s Shipment, o Outcome, m flow.Meta) []flow.Event {
	if !o.State.OnItsWay() {
		return nil
	}
	switch s.State {
	case Booking, Asking, Voiding, Stopping:
		withdraw(w, s)
		return left(w, s, o, m)
	case Prepared:
		return left(w, s, o, m)
	case Dispatched, Delivered:
		return follow(w, s, o, m)
	}
	return nil
}

// withdraw takes back the call that the webhook has answered.
func withdraw(w *World, s Shipment) {
	open := map[State][]string{
		Booking: {CallBook}, Asking: {CallAskBooking}, Voiding: {CallVoid}, Stopping: {CallCancel, CallAskCancel},
	}
	for _, kind := range open[s.State] {
		w.Withdraw(s.OrderID, kind)
	}
}

// rank orders what a carrier says of a parcel on its way. A parcel that was lost may still be found, and one that was
// delivered be sent back.
var rank = map[Tracking]int{
	TrackDispatched: 1, TrackInVan: 2, TrackInTrouble: 3, TrackLost: 4, TrackDelivered: 5, TrackSentBack: 6,
}

// follow notes what became of a parcel since it left. Webhooks come late and in any order, so tracking
// only moves on.
func follow(w *World, s Shipment, o Outcome, m flow.Meta) []flow.Event {
	moved := rank[tracking(o.State)] > rank[s.Tracking]
	if moved {
		s.Tracking = tracking(o.State)
	}
	note(w, s, o, moved, m)
	if o.State == ParcelDelivered && s.State == Dispatched {
		s, event := arrive(s, m)
		put(w, s, m)
		return []flow.Event{event}
	}
	if moved {
		put(w, s, m)
	}
	return nil
}

// note adds what was told to the history. Checkpoints are noted whenever they come, as a late one belongs to its own time.
// Where none are told, the history has our own time for the status, once.
func note(w *World, s Shipment, o Outcome, moved bool, m flow.Meta) {
	source := o.Source
	if source == "" {
		source = o.Carrier
	}
	add := func(status string, at time.Time, location string) {
		line := Line{OrderID: s.OrderID, Status: status, At: at.UTC().Truncate(time.Microsecond), Location: location, Source: source}
		w.History.Put(line.Key(), line)
	}
	for _, c := range o.Checkpoints {
		add(c.Status, c.At, c.Location)
	}
	if moved && len(o.Checkpoints) == 0 {
		add(string(s.Tracking), m.Now, "")
	}
}

// tracking is the carrier's word for a parcel on its way.
func tracking(p Parcel) Tracking {
	if t := Tracking(p); rank[t] > 0 {
		return t
	}
	return TrackDispatched
}
