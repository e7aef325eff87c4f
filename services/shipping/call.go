package shipping

import "time"

// The kinds of outside call. Each is asked for at most once per order; the worker makes it again, under
// the same key, until it has an outcome.
const (
	CallBook       = "book"
	CallAskBooking = "ask_booking"
	CallVoid       = "void_booking"
	CallCancel     = "cancel_booking"
	CallAskCancel  = "ask_cancel"
)

// BookCall is the body of "book". The caller reads the address by its id when it calls, so that
// personal data is in one table only, and answers Booked: with the carrier's state, or Unknown when the
// request was sent and its outcome is not known. Surely not sent is no answer: the call is made again; so it is where the
// address is not there yet, for a while.
type BookCall struct {
	// Key is the carrier's idempotency key, safe in a path.
	Key       string `json:"key"`
	OrderID   string `json:"orderId"`
	AddressID string `json:"addressId"`
	// UserID is whose address it has to be; "" in calls of an earlier release, which were looked at before.
	UserID string     `json:"userId,omitempty"`
	Items  []BookItem `json:"items"`
}

// BookItem is one product of a parcel.
type BookItem struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	Quantity  int32  `json:"quantity"`
}

// KeyCall is the body of "ask_booking" and "void_booking". Their callers answer BookingAsked and
// BookingVoided with the carrier's state; neither has an unknown outcome.
type KeyCall struct {
	Key     string `json:"key"`
	OrderID string `json:"orderId"`
}

// CancelCall is the body of "cancel_booking" and "ask_cancel".
//
// The caller of cancel_booking answers BookingCancelled: ParcelCancelled, or the state that hinders it
// (on its way), or Unknown when it was sent and the outcome is not known. The caller of ask_cancel asks
// for the booking's state and answers CancelAsked with it; where the parcel is still booked it cancels
// again within the same call, so its answer is never ParcelBooked.
type CancelCall struct {
	OrderID   string `json:"orderId"`
	BookingID string `json:"bookingId"`
}

// Parcel is how a carrier says a parcel stands.
type Parcel string

// ParcelNotFound is not final: a paused worker may still send. The OnItsWay ones cannot be stopped.
const (
	ParcelBooked     Parcel = "BOOKED"
	ParcelRefused    Parcel = "REFUSED" // the carrier does not take it
	ParcelVoided     Parcel = "VOIDED"  // none was booked with this key and none ever will be
	ParcelCancelled  Parcel = "CANCELLED"
	ParcelDispatched Parcel = "DISPATCHED"
	ParcelInVan      Parcel = "OUT_FOR_DELIVERY"
	ParcelInTrouble  Parcel = "UNDELIVERABLE" // needs a person; it may still arrive
	ParcelDelivered  Parcel = "DELIVERED"
	ParcelLost       Parcel = "LOST"
	ParcelSentBack   Parcel = "RETURNED"
	ParcelNotFound   Parcel = "NOT_FOUND" // only in BookingAsked
	ParcelUnknown    Parcel = "UNKNOWN"   // only in Booked and BookingCancelled
)

// OnItsWay says whether the parcel has left: it cannot be stopped then.
func (p Parcel) OnItsWay() bool {
	switch p {
	case ParcelDispatched, ParcelInVan, ParcelInTrouble, ParcelDelivered, ParcelLost, ParcelSentBack:
		return true
	}
	return false
}

// Outcome is what a carrier's answer says of a parcel.
type Outcome struct {
	State Parcel
	// Carrier, BookingID and TrackingNumber are set where there is a booking.
	Carrier        string
	BookingID      string
	TrackingNumber string
	// Reason where refused: the carrier's own word.
	Reason string
	// Source is who tells, where that is not the carrier itself.
	Source string
	// Checkpoints are what was noted of the parcel on its way, in any order, those of before again.
	Checkpoints []Checkpoint
}

// Checkpoint is one thing that was noted of a parcel on its way.
type Checkpoint struct {
	Status   string // see Line
	At       time.Time
	Location string // a place's name, or ""
}

// Booked is the outcome of "book".
type Booked struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (a Booked) Subject() string { return a.OrderID }

// BookingAsked is the outcome of "ask_booking".
type BookingAsked struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (a BookingAsked) Subject() string { return a.OrderID }

// BookingVoided is the outcome of "void_booking".
type BookingVoided struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (a BookingVoided) Subject() string { return a.OrderID }

// BookingCancelled is the outcome of "cancel_booking".
type BookingCancelled struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (a BookingCancelled) Subject() string { return a.OrderID }

// CancelAsked is the outcome of "ask_cancel".
type CancelAsked struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (a CancelAsked) Subject() string { return a.OrderID }

// Track is how a parcel stands: a carrier's webhook has come, or the carrier was asked as none came. The edge has verified
// the webhook's signature; where it carries ids only, it has asked the carrier for the rest.
type Track struct {
	OrderID string
	Outcome
}

// Subject is the order.
func (c Track) Subject() string { return c.OrderID }
