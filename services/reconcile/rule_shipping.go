package reconcile

import (
	"fmt"
	"slices"
	"time"
)

func (v View) wrongShipment(row, format string, args ...any) Difference {
	d := v.difference("shipment_state", row, []string{"shipping", "order"}, format, args...)
	if row == "order.orders" {
		d.Services = []string{"order", "shipping"}
	}
	d.Sentence += fmt.Sprintf(" for order %s, %s.", v.OrderID, v.is())
	return d.person("The carrier's own books under parcel-" + v.OrderID + ", the order's timeline, and the row in shipment.")
}

// mend replaces the advice by the command.
func (d Difference) mend(eventType string) Difference {
	d.Advice = ""
	return d.resend(eventType)
}

// waiting are the states of a shipment that end by themselves, once the carrier answers.
var waiting = []string{"BOOKING", "ASKING", "VOIDING", "STOPPING"}

// shipment holds the parcel against the order's status. One row, one difference.
func (v View) shipment(stuck time.Duration) []Difference {
	o, s := v.Order, v.Shipment
	switch {
	case s == nil && !wasCompleted(o):
		return nil
	case s == nil && stands(o):
		return []Difference{v.wrongShipment("shipping.shipment", "shipping knows of no parcel").mend("OrderCompleted")}
	case s == nil:
		return []Difference{v.wrongShipment("shipping.shipment", "shipping knows of no parcel")}
	case slices.Contains(waiting, s.State) && s.Idle > stuck.Seconds():
		return []Difference{v.wrongShipment("shipping.shipment", "shipping has been %s for %s", s.State, ago(s.Idle))}
	case stands(o):
		return v.parcel()
	}
	return v.noParcel()
}

// parcel is of an order that stands.
func (v View) parcel() []Difference {
	o, s := v.Order, v.Shipment
	want := map[string][]string{
		completed: append([]string{"PREPARED"}, waiting...), shipped: {"DISPATCHED"}, delivered: {"DELIVERED"},
	}[o.Status]
	switch {
	case slices.Contains(want, s.State):
		return v.tracking()
	case s.State == "DISPATCHED" && o.Status == completed && v.told(shipped):
		return []Difference{v.wrongShipment("order.orders", "shipping has dispatched the parcel").mend("ShipmentDispatched")}
	case s.State == "DELIVERED" && o.Status != delivered && v.told(delivered):
		return []Difference{v.wrongShipment("order.orders", "shipping has delivered the parcel").mend("ShipmentDelivered")}
	case s.State == cancelled && o.Status == completed && s.CancelAsked && o.CancelRequest == "REQUESTED":
		return []Difference{v.wrongShipment("order.orders", "shipping has stopped the parcel").mend("ShipmentCancelled")}
	case s.State == "FAILED" && o.Status == completed && s.BookingID == "":
		return []Difference{v.wrongShipment("order.orders", "shipping has failed to send a parcel").mend("ShipmentFailed")}
	}
	return []Difference{v.wrongShipment("shipping.shipment", "shipping's parcel is %s", s.State)}
}

// told says that the events say so: that what a service says was published.
func (v View) told(status string) bool { return v.Line != nil && v.Line.Status == status }

// noParcel is of a cancelled order: none was sent, or it was stopped.
func (v View) noParcel() []Difference {
	o, s := v.Order, v.Shipment
	want := o.ShipmentStatus
	if want != "FAILED" {
		want = cancelled
	}
	switch {
	case !wasCompleted(o) && o.ShipmentStatus != "":
		return []Difference{v.wrongShipment("order.orders", "order shows a parcel that is %s, and shipping's is %s", o.ShipmentStatus, s.State)}
	case !wasCompleted(o):
		return []Difference{v.wrongShipment("shipping.shipment", "shipping has a parcel (%s) and should have none", s.State)}
	case s.State != want:
		return []Difference{v.wrongShipment("shipping.shipment", "shipping's parcel is %s instead of %s", s.State, want)}
	}
	return nil
}

// cancelRequest: a request to cancel is answered, one way or the other.
func (v View) cancelRequest(stuck time.Duration) []Difference {
	o, s := v.Order, v.Shipment
	if o.Status != completed || o.CancelRequest != "REQUESTED" || o.Idle <= stuck.Seconds() {
		return nil
	}
	wrong := func(row, format string, args ...any) Difference {
		d := v.wrongShipment(row, format, args...)
		d.Rule = "order_stuck"
		return d
	}
	switch {
	case s != nil && s.CancelRefused:
		return []Difference{wrong("order.orders", "order has not heard that shipping refused the cancel").mend("ShipmentCancelRefused")}
	case s == nil || !s.CancelAsked:
		return []Difference{wrong("shipping.shipment", "shipping has not heard of the cancel").mend("OrderCancelRequested")}
	}
	return nil // it waits for the carrier, and the shipment's own state says since when
}

// tracking holds what order shows of the parcel against what shipping has.
func (v View) tracking() []Difference {
	o, s := v.Order, v.Shipment
	if slices.Contains(waiting, s.State) && s.State != "STOPPING" {
		return nil
	}
	if o.ShipmentStatus == "" && s.State == "PREPARED" {
		return []Difference{v.wrongShipment("order.orders", "order shows no parcel, and shipping has prepared one").mend("ShipmentPrepared")}
	}
	if o.TrackingNumber != s.TrackingNumber || o.Carrier != s.Carrier {
		d := v.wrongShipment("shipping.shipment", "shipping has the parcel %s %s, order shows %s %s", s.Carrier, s.TrackingNumber, o.Carrier, o.TrackingNumber)
		d.Rule = "shipment_tracking"
		return []Difference{d}
	}
	return nil
}
