package shipping

import (
	"fmt"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

// The states of a table's columns: a shipment's, and whether a cancel was asked for (and answered, where
// the parcel had left).
var columns = [...]struct {
	state State
	asked bool
}{
	{"", false},
	{Booking, false},
	{Booking, true},
	{Asking, false},
	{Asking, true},
	{Voiding, false},
	{Voiding, true},
	{Prepared, false},
	{Stopping, true},
	{Cancelled, true},
	{Failed, false},
	{Failed, true},
	{Dispatched, false},
	{Dispatched, true},
	{Delivered, false},
	{Delivered, true},
}

// cells are what comes of one input, by column; a column left out stays as it is.
type cells map[int]string

func given(i int) *World {
	w := &World{}
	w.Addresses.Loaded("a", Address{AddressID: "a", UserID: "u"})
	c := columns[i]
	if c.state == "" {
		return w
	}
	s := Shipment{
		OrderID: "o", UserID: "u", AddressID: "a", State: c.state, CancelAsked: c.asked,
		CompletedEvent: "completed", CancelEvent: "asked", PreparedEvent: "prepared", DispatchEvent: "dispatched",
	}
	switch c.state {
	case Prepared, Stopping:
		s.Tracking, s.BookingID = TrackBooked, "b"
	case Dispatched:
		s.Tracking, s.CancelRefused = TrackDispatched, c.asked
	case Delivered:
		s.Tracking, s.CancelRefused = TrackDelivered, c.asked
	}
	w.Shipments.Loaded("o", s)
	return w
}

func says(p Parcel) Outcome {
	return Outcome{State: p, Carrier: "k", BookingID: "b", TrackingNumber: "t"}
}

// Every state meets every input. A cell is what was emitted and asked for, and the state after it.
func TestEveryStateMeetsEveryInput(t *testing.T) {
	t.Parallel()
	const (
		failed = "ShipmentFailed FAILED"
		booked = "ShipmentPrepared PREPARED"
		stop   = "ShipmentPrepared +cancel_booking STOPPING"
		gone   = "ShipmentPrepared ShipmentDispatched DISPATCHED"
		gone2  = "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused DISPATCHED"
		gone3  = "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused ShipmentDelivered DELIVERED"
		left   = "ShipmentDispatched DISPATCHED"
		toLate = "ShipmentDispatched ShipmentCancelRefused DISPATCHED"
	)
	names := map[string]bool{}
	for _, c := range []struct {
		input any
		want  cells
	}{
		{&orderv1.OrderCompleted{OrderId: "o", UserId: "u", ShippingAddressId: "a"}, cells{0: "+book BOOKING"}},
		{&orderv1.OrderCompleted{OrderId: "o", UserId: "u", ShippingAddressId: "x"}, cells{0: failed}},
		{&orderv1.OrderCompleted{OrderId: "o", UserId: "somebody", ShippingAddressId: "a"}, cells{0: failed}},
		{&orderv1.OrderCancelRequested{OrderId: "o", UserId: "u"}, cells{
			0: "ShipmentCancelled CANCELLED", 1: " BOOKING asked", 3: " ASKING asked", 5: " VOIDING asked",
			7: "+cancel_booking STOPPING", 10: " FAILED asked",
			12: "ShipmentCancelRefused DISPATCHED", 14: "ShipmentCancelRefused DELIVERED",
		}},
		{Booked{"o", says(ParcelBooked)}, cells{1: booked, 2: stop}},
		{Booked{"o", says(ParcelRefused)}, cells{1: failed, 2: failed}},
		{Booked{"o", says(ParcelVoided)}, cells{1: failed, 2: failed}},
		{Booked{"o", says(ParcelUnknown)}, cells{1: "+ask_booking ASKING", 2: "+ask_booking ASKING asked"}},
		{Booked{"o", says(ParcelDispatched)}, cells{1: gone, 2: gone2}},
		{Booked{"o", says(ParcelDelivered)}, cells{1: "ShipmentPrepared ShipmentDispatched ShipmentDelivered DELIVERED", 2: gone3}},
		{BookingAsked{"o", says(ParcelBooked)}, cells{3: booked, 4: stop}},
		{BookingAsked{"o", says(ParcelRefused)}, cells{3: failed, 4: failed}},
		{BookingAsked{"o", says(ParcelNotFound)}, cells{3: "+void_booking VOIDING", 4: "+void_booking VOIDING asked"}},
		{BookingAsked{"o", says(ParcelLost)}, cells{3: gone, 4: gone2}},
		{BookingVoided{"o", says(ParcelVoided)}, cells{5: failed, 6: failed}},
		{BookingVoided{"o", says(ParcelBooked)}, cells{5: booked, 6: stop}},
		{BookingVoided{"o", says(ParcelDispatched)}, cells{5: gone, 6: gone2}},
		{BookingCancelled{"o", says(ParcelCancelled)}, cells{8: "ShipmentCancelled CANCELLED"}},
		{BookingCancelled{"o", says(ParcelUnknown)}, cells{8: "+ask_cancel STOPPING"}},
		{BookingCancelled{"o", says(ParcelDispatched)}, cells{8: toLate}},
		{CancelAsked{"o", says(ParcelCancelled)}, cells{8: "ShipmentCancelled CANCELLED"}},
		{CancelAsked{"o", says(ParcelDispatched)}, cells{8: toLate}},
		{Track{"o", says(ParcelBooked)}, cells{}},
		{Track{"o", says(ParcelDispatched)}, cells{
			1: "ShipmentPrepared ShipmentDispatched -book DISPATCHED", 3: "ShipmentPrepared ShipmentDispatched -ask_booking DISPATCHED",
			5: "ShipmentPrepared ShipmentDispatched -void_booking DISPATCHED",
			2: "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused -book DISPATCHED",
			4: "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused -ask_booking DISPATCHED",
			6: "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused -void_booking DISPATCHED",
			7: left, 8: "ShipmentDispatched ShipmentCancelRefused -cancel_booking -ask_cancel DISPATCHED",
		}},
		{Track{"o", says(ParcelDelivered)}, cells{
			1:  "ShipmentPrepared ShipmentDispatched ShipmentDelivered -book DELIVERED",
			2:  "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused ShipmentDelivered -book DELIVERED",
			3:  "ShipmentPrepared ShipmentDispatched ShipmentDelivered -ask_booking DELIVERED",
			4:  "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused ShipmentDelivered -ask_booking DELIVERED",
			5:  "ShipmentPrepared ShipmentDispatched ShipmentDelivered -void_booking DELIVERED",
			6:  "ShipmentPrepared ShipmentDispatched ShipmentCancelRefused ShipmentDelivered -void_booking DELIVERED",
			7:  "ShipmentDispatched ShipmentDelivered DELIVERED",
			8:  "ShipmentDispatched ShipmentCancelRefused ShipmentDelivered -cancel_booking -ask_cancel DELIVERED",
			12: "ShipmentDelivered DELIVERED", 13: "ShipmentDelivered DELIVERED",
		}},
	} {
		names[flowtest.Name(c.input)] = true
		for i, column := range columns {
			w := given(i)
			out := flowtest.Decide(t, Topology, w, c.input)
			s, _ := w.Shipments.Get("o")
			got := fmt.Sprintf("%s %s", flowtest.Told(out), s.State)
			if s.CancelAsked && (s.State == Booking || s.State == Asking || s.State == Voiding || s.State == Failed && !column.asked && column.state == Failed) {
				got += " asked"
			}
			want, changes := c.want[i]
			if !changes {
				before, _ := given(i).Shipments.Get("o")
				want = got
				if s.UpdatedAt = before.UpdatedAt; s != before || flowtest.Told(out) != "" {
					want = "no change"
				}
			}
			if got != want {
				t.Errorf("%s {%v} in state %v: got %q, want %q", flowtest.Name(c.input), c.input, column, got, want)
			}
		}
	}
	names["quadrille.member.v1.MemberChanged"] = true // see TestMembers
	flowtest.Covered(t, Topology, names)
}

// What the carrier says since a parcel left only moves on; a lost one may be found.
func TestTracking(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says []Parcel
		want string
	}{
		{[]Parcel{ParcelDispatched, ParcelLost, ParcelDispatched}, "DISPATCHED LOST"},
		{[]Parcel{ParcelDispatched, ParcelLost, ParcelDelivered}, "DELIVERED DELIVERED"},
		{[]Parcel{ParcelDelivered, ParcelDispatched, ParcelLost}, "DELIVERED DELIVERED"},
		{[]Parcel{ParcelDispatched, ParcelSentBack, ParcelLost}, "DISPATCHED RETURNED"},
		{[]Parcel{ParcelLost}, "DISPATCHED LOST"},
	} {
		w := given(7)
		for _, p := range c.says {
			flowtest.Decide(t, Topology, w, Track{"o", says(p)})
		}
		s, _ := w.Shipments.Get("o")
		if got := fmt.Sprintf("%s %s", s.State, s.Tracking); got != c.want {
			t.Errorf("%v: got %q, want %q", c.says, got, c.want)
		}
	}
	if out := flowtest.Decide(t, Topology, &World{}, Track{"o", says(ParcelDispatched)}); out.Reply.Status != 404 {
		t.Errorf("an unknown order: %v", out.Reply)
	}
}

// Each event is caused by the one that opened the wait it ends.
func TestCauses(t *testing.T) {
	t.Parallel()
	out := flowtest.Decide(t, Topology, given(2), Track{"o", says(ParcelDelivered)})
	var causes []string
	for _, e := range out.Events {
		causes = append(causes, e.Cause)
	}
	if got := fmt.Sprint(causes); got != "[completed id-0 asked id-1]" {
		t.Error(got)
	}
	if e := flowtest.Event[*shippingv1.ShipmentDispatched](t, out); e.GetCarrier() != "k" || e.GetTrackingNumber() != "t" || e.GetUserId() != "u" {
		t.Errorf("ShipmentDispatched %v", e)
	}
}

// The carrier gets what to send and an address's id, never the address: that stays in one table.
func TestBookCall(t *testing.T) {
	t.Parallel()
	out := flowtest.Decide(t, Topology, given(0), &orderv1.OrderCompleted{
		OrderId: "o", UserId: "u", ShippingAddressId: "a",
		OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: "P", Quantity: 2}},
	})
	call := out.Calls[0].Body.(BookCall)
	if call.Key != "parcel-o" || call.AddressID != "a" || len(call.Items) != 1 || call.Items[0].Quantity != 2 {
		t.Errorf("book call %v", call)
	}
}
