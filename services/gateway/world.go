// Package gateway decides what the operators' read model keeps of the choreography: every event as it came, and one
// line per order. It also explains a timeline: causes before effects, and which events somebody ignored, and why.
// Everything here is a pure function of its arguments; no clock, no I/O.
package gateway

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change. The event id is the key of the timeline, so a repeated
// event is found there and changes nothing: this service needs no inbox.
type World struct {
	// Events by event id. Load brings only those that are there already: repeated ones.
	Events flow.Rows[string, Event]
	// Orders by order id.
	Orders flow.Rows[string, Order]

	// Rules is what the events are held against; nil checks nothing.
	Rules *Rules
	// Checks by subject, Causes by the id of an event that one of the batch names as its cause.
	Checks flow.Rows[string, Check]
	Causes flow.Rows[string, Known]
	// Told are all events of the subjects whose doubts are due.
	Told map[string][]Known
	// Starts by PartitionKey, Findings by Finding.Key; those found before are not loaded.
	Starts   flow.Rows[string, Start]
	Findings flow.Rows[string, Finding]
}

// Event is one event as it stood on its topic.
type Event struct {
	ID string // UUIDv7
	// Subject is the order id, or the product id of a product's event.
	Subject string
	// Type is the full type, quadrille.stock.v1.StockDecreased.
	Type string
	// Service is who emitted it: stock.
	Service string
	// Sequence is per service and subject, gap-free from 1.
	Sequence    int64
	OccurredAt  time.Time
	Causation   string // id of the event that caused it; "" for the first of a chain
	Command     string // id of the command that came between, if one did
	Correlation string // id of the first event of the chain
	Topic       string // without prefix
	Partition   int32
	Offset      int64
	// Payload is the protobuf message. It may carry a provider's token, so it is never shown as it is.
	Payload []byte
	// Position is the order of arrival here, given by the database; 0 in a World.
	Position int64
	// Findings that stand against the event; nil in a World.
	Findings []Finding
}

// Name is the short name of the event's type: StockDecreased.
func (e Event) Name() string { return shortName(e.Type) }

// Status is an order's state as callers see it.
type Status string

// The states of an order; see CHOREOGRAPHY in the README.
const (
	Pending    Status = "PENDING"
	Completed  Status = "COMPLETED"
	Shipped    Status = "SHIPPED"
	Delivered  Status = "DELIVERED"
	Cancelling Status = "CANCELLING"
	Cancelled  Status = "CANCELLED"
)

// Statuses lists every status in the order in which a list offers them.
var Statuses = []Status{Pending, Completed, Shipped, Delivered, Cancelling, Cancelled}

// Step is what an order waits for.
type Step string

// The steps, first the way forward, then the way back.
const (
	AtStock       Step = "STOCK"
	AtCoupon      Step = "COUPON"
	AtPayment     Step = "PAYMENT"
	AtShipping    Step = "SHIPPING"
	AtUndoPayment Step = "UNDO_PAYMENT"
	AtUndoCoupon  Step = "UNDO_COUPON"
	AtUndoStock   Step = "UNDO_STOCK"
	AtNothing     Step = "none"
)

// Steps lists every step in the order in which a list offers them.
var Steps = []Step{AtStock, AtCoupon, AtPayment, AtShipping, AtUndoPayment, AtUndoCoupon, AtUndoStock, AtNothing}

// Order is one line of the console's list, folded from the order's events. Topics have no order between them, so the
// fold does not depend on the order of arrival: it keeps which events were seen, and Status and Step follow from that.
type Order struct {
	OrderID string
	UserID  string
	Seen    Seen
	Status  Status
	Step    Step
	// Reason of a cancelled order: OUT_OF_STOCK, ...; "" otherwise.
	Reason string
	// HasCoupons and UndoFrom decide which steps take part.
	HasCoupons bool
	UndoFrom   int32
	// Amount is what the order is to pay or paid, in the minor unit of Currency (ISO 4217).
	Amount   int64
	Currency string
	// LastEvent is the short name of the newest event, UpdatedAt its time, CreatedAt that of the oldest.
	LastEvent string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Settled says that nothing more happens by itself that a caller would wait for: the order was completed and nobody
// asked to cancel it, or it was cancelled and every step is undone.
func (o Order) Settled() bool {
	if o.Status == Pending || o.Status == Cancelling {
		return false
	}
	return o.Status != Completed || !o.cancelAsked()
}

// cancelAsked: a completed order is to be cancelled and shipping has not said whether it still can be.
func (o Order) cancelAsked() bool {
	return o.Seen.Has("OrderCancelRequested") && !o.Seen.Has("ShipmentCancelRefused")
}
