package shipping

import (
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

// follow notes what became of a parcel since it left. Webhooks come late and in any order, so tracking
// only moves on; a parcel that was lost may still be found.
func follow(w *World, s Shipment, o Outcome, m flow.Meta) []flow.Event {
	rank := map[Tracking]int{TrackDispatched: 1, TrackLost: 2, TrackDelivered: 3, TrackSentBack: 4}
	moved := rank[tracking(o.State)] > rank[s.Tracking]
	if moved {
		s.Tracking = tracking(o.State)
	}
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

// tracking is the carrier's word for a parcel on its way.
func tracking(p Parcel) Tracking {
	switch p {
	case ParcelDelivered:
		return TrackDelivered
	case ParcelLost:
		return TrackLost
	case ParcelSentBack:
		return TrackSentBack
	}
	return TrackDispatched
}
