package shipping

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

// The words of ShipmentFailed.
const (
	FailRefused   = "REFUSED"    // the carrier does not take the parcel
	FailNotBooked = "NOT_BOOKED" // no answer of the carrier, and its key was closed unused
	FailNoAddress = "NO_ADDRESS"
)

// OnOrderCompleted books a parcel.
func OnOrderCompleted(w *World, e *orderv1.OrderCompleted, m flow.Meta) []flow.Event {
	if _, known := w.Shipments.Get(e.GetOrderId()); known {
		return nil
	}
	s := Shipment{
		OrderID: e.GetOrderId(), UserID: e.GetUserId(), AddressID: e.GetShippingAddressId(), State: Booking,
		CompletedEvent: m.Cause, CreatedAt: m.Now,
	}
	address, known := w.Addresses.Get(s.AddressID)
	if !known || address.UserID != s.UserID {
		return fail(w, s, FailNoAddress, m)
	}
	put(w, s, m)
	call := BookCall{Key: bookingKey(s.OrderID), OrderID: s.OrderID, AddressID: s.AddressID, UserID: s.UserID}
	for _, item := range e.GetOrderItems() {
		call.Items = append(call.Items, BookItem{
			ProductID: item.GetProductId(), Name: item.GetProductName(), Quantity: item.GetQuantity(),
		})
	}
	w.Call(flow.Call{Subject: s.OrderID, Kind: CallBook, Body: call})
	return nil
}

// bookingKey is the carrier's idempotency key: an order gets one parcel.
func bookingKey(orderID string) string { return "parcel-" + orderID }

func put(w *World, s Shipment, m flow.Meta) {
	s.UpdatedAt = m.Now
	w.Shipments.Put(s.OrderID, s)
}

// fail ends the shipment without a parcel. It is the answer to a request to cancel as well.
func fail(w *World, s Shipment, reason string, m flow.Meta) []flow.Event {
	s.State, s.FailReason = Failed, reason
	put(w, s, m)
	return []flow.Event{flow.Because(s.CompletedEvent, &shippingv1.ShipmentFailed{
		OrderId: s.OrderID, UserId: s.UserID, Reason: reason, FailedAt: timestamppb.New(m.Now),
	})}
}

// OnOrderCancelRequested stops the parcel at the carrier. A booking in flight is remembered, not guessed
// about: its outcome says whether there is a parcel to stop. A parcel on its way is the answer too.
func OnOrderCancelRequested(w *World, e *orderv1.OrderCancelRequested, m flow.Meta) []flow.Event {
	s, known := w.Shipments.Get(e.GetOrderId())
	if s.CancelAsked {
		return nil
	}
	if !known {
		s = Shipment{OrderID: e.GetOrderId(), UserID: e.GetUserId(), CreatedAt: m.Now}
	}
	s.CancelAsked, s.CancelEvent = true, m.Cause
	switch s.State {
	case Booking, Asking, Voiding, Failed, Cancelled:
		put(w, s, m)
		return nil
	case Prepared:
		stop(w, s, m)
		return nil
	case Dispatched, Delivered:
		s.CancelRefused = true
		put(w, s, m)
		return []flow.Event{cancelRefused(s, m)}
	}
	return stopped(w, s, m)
}

// stop asks the carrier to take the parcel back.
func stop(w *World, s Shipment, m flow.Meta) {
	s.State = Stopping
	put(w, s, m)
	w.Call(flow.Call{Subject: s.OrderID, Kind: CallCancel, Body: CancelCall{OrderID: s.OrderID, BookingID: s.BookingID}})
}

// stopped ends the shipment with the parcel taken back; also where there never was one (no row yet), as
// order waits for the word.
func stopped(w *World, s Shipment, m flow.Meta) []flow.Event {
	s.State = Cancelled
	put(w, s, m)
	return []flow.Event{flow.Because(s.CancelEvent, &shippingv1.ShipmentCancelled{
		OrderId: s.OrderID, UserId: s.UserID, CancelledAt: timestamppb.New(m.Now),
	})}
}

func cancelRefused(s Shipment, m flow.Meta) flow.Event {
	return flow.Because(s.CancelEvent, &shippingv1.ShipmentCancelRefused{
		OrderId: s.OrderID, UserId: s.UserID, RefusedAt: timestamppb.New(m.Now),
	})
}
