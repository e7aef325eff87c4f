package shipping

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

// OnBooked takes the outcome of the booking; an unknown one is asked for.
func OnBooked(w *World, a Booked, m flow.Meta) []flow.Event {
	s, _ := w.Shipments.Get(a.OrderID)
	if s.State != Booking {
		return nil
	}
	if a.State == ParcelUnknown || a.State == ParcelNotFound {
		s.State = Asking
		put(w, s, m)
		w.Call(flow.Call{Subject: s.OrderID, Kind: CallAskBooking, Body: keyCall(s)})
		return nil
	}
	return conclude(w, s, a.Outcome, m)
}

// OnBookingAsked takes what the carrier knows of the key. That it does not know it is no answer yet: a
// worker that was paused may still send the booking. So the key is closed first.
func OnBookingAsked(w *World, a BookingAsked, m flow.Meta) []flow.Event {
	s, _ := w.Shipments.Get(a.OrderID)
	if s.State != Asking {
		return nil
	}
	if a.State == ParcelNotFound {
		s.State = Voiding
		put(w, s, m)
		w.Call(flow.Call{Subject: s.OrderID, Kind: CallVoid, Body: keyCall(s)})
		return nil
	}
	return conclude(w, s, a.Outcome, m)
}

// OnBookingVoided takes the final word on the key.
func OnBookingVoided(w *World, a BookingVoided, m flow.Meta) []flow.Event {
	s, _ := w.Shipments.Get(a.OrderID)
	if s.State != Voiding {
		return nil
	}
	return conclude(w, s, a.Outcome, m)
}

func keyCall(s Shipment) KeyCall { return KeyCall{Key: bookingKey(s.OrderID), OrderID: s.OrderID} }

// conclude ends an open booking: there is a parcel, which is stopped at once where that was asked for
// meanwhile, or it has left already, or there will be none.
func conclude(w *World, s Shipment, o Outcome, m flow.Meta) []flow.Event {
	switch {
	case o.State.OnItsWay():
		return left(w, s, o, m)
	case o.State == ParcelVoided:
		return fail(w, s, FailNotBooked, m)
	case o.State != ParcelBooked:
		return fail(w, s, FailRefused, m)
	}
	s, event := prepare(s, o, m, 0)
	if s.CancelAsked {
		stop(w, s, m)
	} else {
		put(w, s, m)
	}
	return []flow.Event{event}
}

// prepare notes the parcel; i is the place of ShipmentPrepared among what the decision emits.
func prepare(s Shipment, o Outcome, m flow.Meta, i int) (Shipment, flow.Event) {
	s.State, s.Tracking, s.PreparedAt = Prepared, TrackBooked, m.Now
	s.Carrier, s.BookingID, s.TrackingNumber = o.Carrier, o.BookingID, o.TrackingNumber
	s.PreparedEvent = m.EventID(i)
	return s, flow.Because(s.CompletedEvent, &shippingv1.ShipmentPrepared{
		OrderId: s.OrderID, UserId: s.UserID, Carrier: s.Carrier, TrackingNumber: s.TrackingNumber,
		PreparedAt: timestamppb.New(m.Now),
	})
}

// left is what a parcel on its way means in every state before Dispatched, whoever says so, the answer
// to an open call or a webhook: it was prepared, if that was not known yet, it is dispatched, and a
// request to cancel is refused. In this order, so that nobody hears of a refusal without its reason.
func left(w *World, s Shipment, o Outcome, m flow.Meta) []flow.Event {
	var events []flow.Event
	if s.State == Booking || s.State == Asking || s.State == Voiding {
		var event flow.Event
		s, event = prepare(s, o, m, 0)
		events = append(events, event)
	}
	s.State, s.DispatchedAt, s.DispatchEvent = Dispatched, m.Now, m.EventID(len(events))
	s.Tracking = tracking(o.State)
	note(w, s, o, true, m)
	events = append(events, flow.Because(s.PreparedEvent, &shippingv1.ShipmentDispatched{
		OrderId: s.OrderID, UserId: s.UserID, Carrier: s.Carrier, TrackingNumber: s.TrackingNumber,
		DispatchedAt: timestamppb.New(m.Now),
	}))
	if s.CancelAsked {
		s.CancelRefused = true
		events = append(events, cancelRefused(s, m))
	}
	if o.State == ParcelDelivered {
		var event flow.Event
		s, event = arrive(s, m)
		events = append(events, event)
	}
	put(w, s, m)
	return events
}

func arrive(s Shipment, m flow.Meta) (Shipment, flow.Event) {
	s.State, s.DeliveredAt = Delivered, m.Now
	return s, flow.Because(s.DispatchEvent, &shippingv1.ShipmentDelivered{
		OrderId: s.OrderID, UserId: s.UserID, Carrier: s.Carrier, TrackingNumber: s.TrackingNumber,
		DeliveredAt: timestamppb.New(m.Now),
	})
}

// OnBookingCancelled takes the carrier's answer to a parcel being stopped; an unknown one is asked for.
func OnBookingCancelled(w *World, a BookingCancelled, m flow.Meta) []flow.Event {
	s, _ := w.Shipments.Get(a.OrderID)
	if s.State != Stopping {
		return nil
	}
	switch {
	case a.State.OnItsWay():
		return left(w, s, a.Outcome, m)
	case a.State == ParcelCancelled:
		return stopped(w, s, m)
	}
	w.Call(flow.Call{Subject: s.OrderID, Kind: CallAskCancel, Body: CancelCall{OrderID: s.OrderID, BookingID: s.BookingID}})
	return nil
}

// OnCancelAsked takes how the parcel stands after a cancel whose outcome was unknown.
func OnCancelAsked(w *World, a CancelAsked, m flow.Meta) []flow.Event {
	s, _ := w.Shipments.Get(a.OrderID)
	switch {
	case s.State != Stopping:
		return nil
	case a.State.OnItsWay():
		return left(w, s, a.Outcome, m)
	}
	return stopped(w, s, m)
}
