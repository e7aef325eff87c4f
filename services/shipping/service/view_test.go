package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/shipping"
)

// What a customer sees of a shipment: the status does not depend on what was told last, nor on whose clock is ahead.
func TestViews(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	told := func(status string, hours int) shipping.Line {
		return shipping.Line{Status: status, At: at(hours), Source: "c"}
	}
	row := func(state shipping.State, tracking shipping.Tracking) shipping.Shipment {
		s := shipping.Shipment{State: state, Tracking: tracking, CreatedAt: at(0), UpdatedAt: at(9), Carrier: "c"}
		switch state {
		case shipping.Delivered:
			s.DeliveredAt = at(5)
			fallthrough
		case shipping.Dispatched:
			s.DispatchedAt = at(3)
			fallthrough
		case shipping.Prepared, shipping.Stopping, shipping.Cancelled:
			s.PreparedAt, s.TrackingNumber = at(1), "n"
		}
		return s
	}
	for name, c := range map[string]struct {
		shipment shipping.Shipment
		lines    []shipping.Line
		status   string
		want     []string
	}{
		"asked for":   {row(shipping.Booking, ""), nil, "PREPARING", []string{"PREPARING 0"}},
		"asked about": {row(shipping.Voiding, ""), nil, "PREPARING", []string{"PREPARING 0"}},
		"booked":      {row(shipping.Prepared, "BOOKED"), nil, "PREPARED", []string{"PREPARING 0", "PREPARED 1"}},
		"stopping":    {row(shipping.Stopping, "BOOKED"), nil, "PREPARED", []string{"PREPARING 0", "PREPARED 1"}},
		"stopped":     {row(shipping.Cancelled, "BOOKED"), nil, "CANCELLED", []string{"PREPARING 0", "PREPARED 1", "CANCELLED 9"}},
		"failed":      {row(shipping.Failed, ""), nil, "FAILED", []string{"PREPARING 0", "FAILED 9"}},
		"told of":     {row(shipping.Dispatched, "DISPATCHED"), []shipping.Line{told("DISPATCHED", 2)}, "DISPATCHED", []string{"PREPARING 0", "PREPARED 1", "DISPATCHED 2"}},
		"a clock behind": {
			row(shipping.Dispatched, "DISPATCHED"),
			[]shipping.Line{told("DISPATCHED", -7)},
			"DISPATCHED",
			[]string{"PREPARING 0", "PREPARED 1", "DISPATCHED -7"},
		},
		"entered late": {
			row(shipping.Delivered, "DELIVERED"),
			[]shipping.Line{told("DISPATCHED", 2), told("DELIVERED", 4), told("OUT_FOR_DELIVERY", 6)},
			"DELIVERED",
			[]string{"PREPARING 0", "PREPARED 1", "DISPATCHED 2", "DELIVERED 4", "OUT_FOR_DELIVERY 6"},
		},
		"sent back": {
			row(shipping.Delivered, "RETURNED"),
			[]shipping.Line{told("DELIVERED", 4), told("RETURNED", 6)},
			"RETURNED",
			[]string{"PREPARING 0", "PREPARED 1", "DISPATCHED 3", "DELIVERED 4", "RETURNED 6"},
		},
		"of before the history":       {row(shipping.Delivered, "DELIVERED"), nil, "DELIVERED", []string{"PREPARING 0", "PREPARED 1", "DISPATCHED 3", "DELIVERED 5"}},
		"lost before the history was": {row(shipping.Dispatched, "LOST"), nil, "LOST", []string{"PREPARING 0", "PREPARED 1", "DISPATCHED 3", "LOST 9"}},
	} {
		v := viewOf(c.shipment, c.lines)
		var got []string
		for _, l := range v.History {
			got = append(got, fmt.Sprintf("%s %.0f", l.Status, l.At.Sub(noon).Hours()))
		}
		if v.Status != c.status || !slices.Equal(got, c.want) || (v.Carrier == nil) != c.shipment.PreparedAt.IsZero() {
			t.Errorf("%s: %s %v, want %s %v", name, v.Status, got, c.status, c.want)
		}
	}
}
