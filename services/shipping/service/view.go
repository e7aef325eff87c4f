package service

import (
	"time"

	"github.com/quadrille-io/quadrille/services/shipping"
)

// shipmentView is GET /api/v1/orders/{orderId}/shipment.
type shipmentView struct {
	OrderID        string         `json:"orderId"`
	Carrier        *string        `json:"carrier"`
	TrackingNumber *string        `json:"trackingNumber"`
	Status         string         `json:"status"`
	History        []trackingView `json:"history"`
}

// trackingView is one line of the tracking history.
type trackingView struct {
	Status string    `json:"status"`
	At     time.Time `json:"at"`
	// Location is a place's name, absent where none is told; Source who told, absent for what we did ourselves.
	Location string `json:"location,omitempty"`
	Source   string `json:"source,omitempty"`
}

// viewOf shows a shipment. What goes on between us and the carrier (asking, closing a key, stopping) is not
// the customer's: until it is known, a parcel is being prepared, or still is what it was.
//
// The history begins with what we did, then comes what the carrier told, by its own times: its clock is not ours. The
// status is not the last line: a carrier may enter after the delivery which van it was in.
func viewOf(s shipping.Shipment, lines []shipping.Line) shipmentView {
	v := shipmentView{OrderID: s.OrderID, Status: "PREPARING"}
	if s.TrackingNumber != "" {
		v.Carrier, v.TrackingNumber = &s.Carrier, &s.TrackingNumber
	}
	told := map[string]bool{}
	for _, l := range lines {
		told[l.Status] = true
	}
	step := func(status string, at time.Time) {
		if !at.IsZero() && !told[status] {
			v.History = append(v.History, trackingView{Status: status, At: at})
		}
	}
	step("PREPARING", s.CreatedAt)
	step("PREPARED", s.PreparedAt)
	// Shipments of before the history was kept have their times in the row alone.
	step("DISPATCHED", s.DispatchedAt)
	for _, l := range lines {
		v.History = append(v.History, trackingView{Status: l.Status, At: l.At, Location: l.Location, Source: l.Source})
	}
	step("DELIVERED", s.DeliveredAt)
	switch s.State {
	case shipping.Cancelled, shipping.Failed:
		step(string(s.State), s.UpdatedAt)
		v.Status = string(s.State)
	case shipping.Prepared, shipping.Stopping:
		v.Status = "PREPARED"
	case shipping.Dispatched, shipping.Delivered:
		v.Status = string(s.Tracking)
		if v.Status != "DISPATCHED" && v.Status != "DELIVERED" {
			step(v.Status, s.UpdatedAt)
		}
	}
	return v
}
