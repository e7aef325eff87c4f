// Package shipping decides over parcels: it books one for a completed order, follows the carrier's
// tracking, and stops the parcel while it can be stopped. Everything here is a pure function of the
// World and one input; no clock, no I/O.
package shipping

import (
	"fmt"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: the order's Shipments row; for OrderCompleted also the Addresses row of
// its shipping_address_id; for a member's event the Books row.
type World struct {
	flow.Calls
	// Shipments by order id.
	Shipments flow.Rows[string, Shipment]
	// Addresses by address id: the copy that member.v1 feeds, by way of Books.
	Addresses flow.Rows[string, Address]
	// Books by user id.
	Books flow.Rows[string, Book]
	// History is what was told of parcels, by Line.Key. It is only written: no decision looks at it, so it is no part of
	// the state that decisions depend on (and that the explorer tells states apart by).
	History flow.Rows[string, Line] `json:"-"`
}

// State is where an order's shipment stands.
type State string

// The states. Failed, Cancelled and everything from Dispatched on are ends for a request to cancel.
const (
	// Booking: the call "book" is under way.
	Booking State = "BOOKING"
	// Asking: its outcome is unknown, "ask_booking" is under way.
	Asking State = "ASKING"
	// Voiding: the carrier does not know the key; "void_booking" closes it for good.
	Voiding State = "VOIDING"
	// Prepared: the carrier has the parcel; ShipmentPrepared is out.
	Prepared State = "PREPARED"
	// Stopping: "cancel_booking" is under way, or "ask_cancel" after an unknown outcome.
	Stopping  State = "STOPPING"
	Cancelled State = "CANCELLED"
	Failed    State = "FAILED"
	// Dispatched: on its way; ShipmentDispatched is out. See Tracking for what the carrier says since.
	Dispatched State = "DISPATCHED"
	// Delivered: ShipmentDelivered is out.
	Delivered State = "DELIVERED"
)

// Tracking is what the carrier last said of a parcel.
type Tracking string

// The carrier's words. InVan, InTrouble, Lost and SentBack change nothing for the order; the last three are for a person
// to look into.
const (
	NotTracked      Tracking = ""
	TrackBooked     Tracking = "BOOKED"
	TrackDispatched Tracking = "DISPATCHED"
	TrackInVan      Tracking = "OUT_FOR_DELIVERY"
	TrackInTrouble  Tracking = "UNDELIVERABLE"
	TrackDelivered  Tracking = "DELIVERED"
	TrackLost       Tracking = "LOST"
	TrackSentBack   Tracking = "RETURNED"
)

// Followed says whether more is expected of a parcel: whether the carrier is still asked, should it not tell by itself.
// One that was lost or sent back may be told of again all the same.
func (s Shipment) Followed() bool {
	switch s.State {
	case Prepared, Stopping:
		return true
	case Dispatched:
		return s.Tracking != TrackLost && s.Tracking != TrackSentBack
	}
	return false
}

// Line is one line of a shipment's tracking history: a checkpoint, and who told of it.
type Line struct {
	OrderID string
	// Status is a Tracking from TrackDispatched on, or one of IN_TRANSIT, ATTEMPT_FAILED and AWAITS_RECEIVER.
	Status string
	// At is the carrier's own time, where it tells one, in UTC and whole microseconds.
	At       time.Time
	Location string
	Source   string
}

// Key tells lines apart: the same fact, told again by the same source, is the same line.
func (l Line) Key() string {
	return fmt.Sprintf("%s\x00%020d\x00%s\x00%s", l.OrderID, l.At.UnixMicro(), l.Status, l.Source)
}

// Shipment is one order's parcel. There is one row per order, for ever.
type Shipment struct {
	OrderID   string
	UserID    string
	AddressID string
	State     State
	Tracking  Tracking

	Carrier        string
	BookingID      string // the carrier's id, once booked
	TrackingNumber string
	// FailReason is the stable word of ShipmentFailed.
	FailReason string

	// CancelAsked: OrderCancelRequested has come. While a booking is in flight it is remembered here.
	CancelAsked bool
	// CancelRefused: ShipmentCancelRefused is out.
	CancelRefused bool

	// The events that opened the waits: OrderCompleted, OrderCancelRequested, our ShipmentPrepared and
	// our ShipmentDispatched. They are the causes of what the carrier's answers and webhooks emit.
	CompletedEvent string
	CancelEvent    string
	PreparedEvent  string
	DispatchEvent  string

	CreatedAt    time.Time
	UpdatedAt    time.Time
	PreparedAt   time.Time
	DispatchedAt time.Time
	DeliveredAt  time.Time
}

// Address is where a member wants parcels. It is personal data: it stays in this service's database,
// and neither events nor call bodies carry it.
type Address struct {
	AddressID  string
	UserID     string
	Name       string
	Phone      string
	Line1      string
	Line2      string
	City       string
	PostalCode string
	Country    string // ISO 3166-1 alpha-2
}
