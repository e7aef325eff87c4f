// Package check says whether a run kept its promises. Collect reads everything that is left of it: the
// client's log, every topic from its beginning, every service's tables, the books of the card provider and
// of the carrier. Judge, which does no I/O, holds them against each other.
package check

import (
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// Evidence is everything a run left behind. Amounts are in the minor unit.
type Evidence struct {
	Calls []history.Call
	// Events as they stand on the topics, repeats included: per topic and partition in the order of offsets.
	Events []Event
	// Ends are the topics' end offsets.
	Ends map[Place]int64
	// LastFault is when the last fault had ended and everything ran again.
	LastFault time.Time
	// FinalAt is when no order was seen that was not final, QuietAt when nothing was left to do at all;
	// zero where that did not come.
	FinalAt, QuietAt time.Time

	Orders       []Order
	Commands     []Command
	Products     []Product
	Reservations []Reservation
	Policies     []Policy
	Coupons      []Coupon
	Spent        []Spent
	Uses         []Use
	Payments     []Payment
	Points       map[string]int64 // balance by member
	Ledger       []Entry
	Shipments    []Shipment
	Mails        []Mail
	Lines        []Line
	// Timeline is the gateway's: subject by event id.
	Timeline map[string]string
	// Services is what is left of the machinery, by service.
	Services map[string]Left

	// Deaths are the ends of processes that nobody asked for.
	Deaths []Death

	Charges  []Charge
	Bookings map[string]string // the carrier's state of a parcel, by order
}

// Place is one partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

// Event is one record of a topic.
type Event struct {
	Place
	Offset int64
	// Bad is what is wrong with the record's envelope, "" if nothing is.
	Bad     string
	ID      string
	Type    string // short: StockDecreased
	Source  string // the service
	Subject string
	// Cause is ce_causationid, Command ce_commandid, Root ce_correlationid.
	Cause, Command, Root string
	Sequence             int64
	At                   time.Time

	// What is read of the payload. Amount is what is charged, or to be; of a product's event the pieces.
	Amount, Points, Discount int64
	Undo                     string // UndoFrom of OrderCancelled, without its prefix
	Reason                   string
}

// Order is a row of order's table.
type Order struct {
	ID, Member                         string
	Version                            int64
	Status, Progress, Reason           string
	Discount, Points, Payment          int64
	CancelRequest                      string
	UndoPayment, UndoCoupon, UndoStock string
	Shipment                           string
	Created, Updated                   time.Time
	Items                              []history.Item
	ItemsAmount, Fee                   int64
	PaymentType, Token                 string
	Coupons                            []string
	CouponPolicy                       string
}

// Command is the answer that order keeps under an idempotency key; a request without one has a key too.
type Command struct {
	Member, Key string
	Status      int
	Order       string
}

// Product is what stock has of it.
type Product struct {
	ID       string
	Quantity int64
}

// Reservation is what stock did for an order.
type Reservation struct {
	Order, State string
	Items        []history.Item
}

// Policy is a coupon policy.
type Policy struct {
	ID            string
	Limit, Issued int64
}

// Coupon is a member's.
type Coupon struct{ ID, Policy, Member string }

// Spent says which order has a coupon.
type Spent struct{ Coupon, Order string }

// Use is what coupon did for an order.
type Use struct {
	Order, State string
	Coupons      []string
	Discount     int64
}

// Payment is what payment did for an order.
type Payment struct {
	Order, Member, State, Refund string
	Amount, Points, Discount     int64
	CouponCounted                bool
	Charge                       string
}

// Entry is a line of the points ledger. Order is "" for a grant.
type Entry struct {
	Member, Kind, Order string
	Amount              int64
}

// Shipment is what shipping did for an order.
type Shipment struct {
	Order, State, Tracking     string
	CancelAsked, CancelRefused bool
}

// Mail is one mail about an order.
type Mail struct{ Order, Kind, State string }

// Line is what the gateway shows of an order.
type Line struct {
	Order, Member, Status, Reason string
	Amount                        int64
}

// Charge is one captured charge of the card provider's books. Order is its reference.
type Charge struct {
	ID, Key, Order   string
	Amount, Refunded int64
	Token            string
}

// Death is the end of a process that nobody asked for.
type Death struct {
	Process string // order-1
	At      time.Time
	How     string // exit status 1
	Tail    string // the last lines of its log
	// Undisturbed: nothing was wrong at that time that could be the reason.
	Undisturbed bool
}

// Left is what is left to do in a service.
type Left struct {
	Outbox int64
	// Calls outside that wait, and subjects that are parked, a line each.
	Calls, Parked []string
	// Next offsets by partition.
	Fences map[Place]int64
	// Emitted is how many events the service has emitted about each subject.
	Emitted map[string]int64
}
