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
	Delivered  State = "DELIVERED"
	Lost       State = "LOST"
)

// OnItsWay says whether the parcel has left: then a cancel is refused.
func (s State) OnItsWay() bool { return s == Dispatched || s == Delivered || s == Lost }

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
}

// Event is a webhook: ids and the state it tells of. Events come late, again
// and in any order.
type Event struct {
	ID         string // of the webhook
	BookingID  string
	OrderID    string
	State      State // Dispatched, Delivered or Lost
	OccurredAt time.Time
}
