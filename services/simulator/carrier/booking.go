package carrier

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Booking is what the carrier knows of one parcel. The address is not kept: a
// simulator has no use for personal data.
type Booking struct {
	Key            string     `json:"key"`
	State          string     `json:"state"`
	BookingID      string     `json:"bookingId,omitempty"`
	TrackingNumber string     `json:"trackingNumber,omitempty"`
	Reason         string     `json:"reason,omitempty"` // of a refused one
	Reference      string     `json:"reference,omitempty"`
	CreatedAt      time.Time  `json:"createdAt"`
	DispatchAt     *time.Time `json:"dispatchAt,omitempty"` // when it leaves by itself
	UpdatedAt      time.Time  `json:"updatedAt"`
	History        []Passed   `json:"history,omitempty"` // since it left, oldest first
}

// Passed is one state that a parcel on its way came to.
type Passed struct {
	Status string    `json:"status"`
	At     time.Time `json:"at"`
}

// Webhook is the body of a notice to the merchant. It carries ids and the
// status only; who wants to know more asks.
type Webhook struct {
	ID         string    `json:"id"` // the same in every repetition
	BookingID  string    `json:"bookingId"`
	Reference  string    `json:"reference"`
	Status     string    `json:"status"` // dispatched, out_for_delivery, delivered, lost or returned
	OccurredAt time.Time `json:"occurredAt"`
}

func newBooking(o order) Booking {
	now := time.Now().UTC()
	b := Booking{Key: o.key, State: Booked, Reference: o.reference, CreatedAt: now, UpdatedAt: now}
	if o.refusal != "" {
		b.State, b.Reason = Refused, o.refusal
		return b
	}
	id := uuid.Must(uuid.NewV7())
	b.BookingID = "bk_" + id.String()
	b.TrackingNumber = trackingNumber(id)
	if o.delay >= 0 {
		at := now.Add(o.delay)
		b.DispatchAt = &at
	}
	return b
}

// trackingNumber is SIM and 15 digits, from the random part of the id.
func trackingNumber(id uuid.UUID) string {
	var n uint64
	for _, b := range id[8:] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("SIM%015d", n%1_000_000_000_000_000)
}
