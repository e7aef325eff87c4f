// Package carrier is what shipping needs from a parcel carrier. Each carrier
// has its adapter in a folder of its own.
//
// Book comes to a final answer like a charge (see payment's package provider):
// after ErrUnknown ask about the key; NotFound is final only once VoidBooking
// has answered Voided.
package carrier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
)

// Errors of every call; test with errors.Is. An error that is none of them does
// not occur.
var (
	// ErrNotSent: surely not received (no connection, circuit breaker open, rate
	// limited).
	ErrNotSent = remote.ErrNotSent
	// ErrUnknown: sent, and what became of it is not known (time-out, cut
	// connection, 5xx, an answer nobody understands).
	ErrUnknown = remote.ErrUnknown
	// ErrRejected: refused as a request (wrong credentials, a key used with
	// another body, no such booking). It had no effect; needs a person.
	ErrRejected = errors.New("rejected by the carrier")
)

// ErrSignature says that a webhook is not the carrier's, or not of now.
var ErrSignature = errors.New("webhook signature")

// State of a parcel.
type State string

// The states of a parcel.
const (
	NotFound   State = "NOT_FOUND"  // only from AskBooking; not final
	Voided     State = "VOIDED"     // no parcel was booked with this key and none ever will be
	Refused    State = "REFUSED"    // the carrier does not take it
	Booked     State = "BOOKED"     // has not left
	Cancelled  State = "CANCELLED"  // taken back before it left
	Dispatched State = "DISPATCHED" // on its way
	// OutForDelivery: in the van that brings it to its receiver.
	OutForDelivery State = "OUT_FOR_DELIVERY"
	// Undeliverable: something is the matter with it that needs a person (nobody there, damaged, held). It may still arrive.
	Undeliverable State = "UNDELIVERABLE"
	Delivered     State = "DELIVERED"
	Lost          State = "LOST"
	Returned      State = "RETURNED" // on its way back, or back
)

// OnItsWay says whether the parcel has left: then a cancel is refused.
func (s State) OnItsWay() bool {
	switch s {
	case Dispatched, OutForDelivery, Undeliverable, Delivered, Lost, Returned:
		return true
	}
	return false
}

// Carrier is a parcel carrier. Every call is made once (no repetition inside)
// and is bounded by the adapter's time-out.
type Carrier interface {
	// Name is the carrier's id in the API and in webhook paths.
	Name() string
	// Book orders a parcel, once per key: Booked, Refused or Voided (or, if the
	// key was used before, whatever became of its parcel).
	Book(ctx context.Context, r BookRequest) (Booking, error)
	// AskBooking says what became of a key.
	AskBooking(ctx context.Context, key string) (Booking, error)
	// VoidBooking closes a key: afterwards it is Voided, or it was used before
	// and its booking is the answer.
	VoidBooking(ctx context.Context, key string) (Booking, error)
	// Cancel takes a parcel back: Cancelled, or refused with the state that
	// hinders it (State.OnItsWay). After ErrUnknown cancel again, or ask Status.
	Cancel(ctx context.Context, bookingID string) (Booking, error)
	// Status says how a parcel stands. A webhook is a hint to ask this.
	Status(ctx context.Context, bookingID string) (Booking, error)
	// VerifyWebhook checks that a webhook is the carrier's and of now (300 s
	// either way) and returns what it says. The error wraps ErrSignature (answer
	// 401) unless a well signed body is not understood (answer 400). The same
	// event may come again: Event.ID tells.
	VerifyWebhook(header http.Header, body []byte, now time.Time) (Event, error)
}

// BookRequest orders a parcel.
type BookRequest struct {
	Key     string // idempotency key of the attempt
	OrderID string
	Address Address
	Items   []Item // at least one
}

// Address of the receiver. All but Line2 are required.
type Address struct {
	Name, Phone, Line1, Line2, City, PostalCode string
	Country                                     string // ISO 3166-1 alpha-2
}

// Item of a parcel.
type Item struct {
	ProductID, Name string
	Quantity        int64
}

// Booking is how a parcel stands. BookingID and TrackingNumber are set once it
// was booked; Reason (the carrier's own word) when Refused.
type Booking struct {
	State          State
	BookingID      string
	TrackingNumber string
	Reason         string
	// Checkpoints are what was noted of the parcel since it left, as far as the carrier tells.
	Checkpoints []Checkpoint
}

// The words of a Checkpoint that are no State. The parcel is on its way.
const (
	InTransit      = "IN_TRANSIT"      // moved from one place to the next
	AttemptFailed  = "ATTEMPT_FAILED"  // its receiver was not met; it will be tried again
	AwaitsReceiver = "AWAITS_RECEIVER" // to be fetched from a counter or a locker
)

// Checkpoint is one thing that was noted of a parcel on its way.
type Checkpoint struct {
	// Status is a State for which OnItsWay holds, or one of the words above.
	Status string
	At     time.Time
	// Location is the name of a place, "" where it is not told: printable, at most 100 characters.
	Location string
}

// MaxLocation is the most characters of a Checkpoint's location.
const MaxLocation = 100

// Tracker says how parcels stand that a carrier has booked: the carrier itself, or an aggregator that is told a parcel's
// number. It only reads, so a call without an outcome is simply made again later.
type Tracker interface {
	// Name is the tracker's word in the tracking history.
	Name() string
	// Track says how a parcel stands: a state for which OnItsWay holds once it has left; anything else says that nothing
	// is known of that.
	Track(ctx context.Context, p Parcel) (Booking, error)
}

// Parcel names one that was booked.
type Parcel struct{ OrderID, BookingID, TrackingNumber string }

// Event is a webhook: ids and the state it tells of. Events come late, again
// and in any order.
type Event struct {
	ID         string // of the webhook
	BookingID  string
	OrderID    string
	State      State // one for which OnItsWay holds
	OccurredAt time.Time
}
