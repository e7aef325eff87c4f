// Package stock decides over pieces: it takes them for orders, all or none, and gives them back.
// Everything here is a pure function of the World and one input; no clock, no I/O.
package stock

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: for an order's event its Reservations row and the Products it names
// (OrderCreated: the event's items; an undo: the reservation's items); for a product's command the
// Products row. Products are locked last, in key order.
type World struct {
	// Products by product id.
	Products flow.Rows[string, Product]
	// Reservations by order id.
	Reservations flow.Rows[string, Reservation]
}

// Product is what there is of one product.
type Product struct {
	ProductID string
	Name      string
	// Price of one piece, minor unit of Currency (ISO 4217).
	Price    int64
	Currency string
	// Quantity of pieces left; never negative.
	Quantity int64
	// Received is all the pieces that ever came in: those left and those that reservations hold. Corrections
	// counts the recounts.
	Received    int64
	Corrections int64
	OnSale      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// State is where an order's reservation stands.
type State string

// An order takes pieces once and gives them back once. Returned is also the tombstone of an order whose
// undo came before its OrderCreated: Items is empty then, and nothing will be taken any more.
const (
	Taken    State = "TAKEN"
	Refused  State = "REFUSED"
	Returned State = "RETURNED"
)

// Item is one product of a reservation.
type Item struct {
	ProductID   string
	ProductName string
	Quantity    int32
	// ProductPrice the order was placed at, minor unit.
	ProductPrice int64
}

// Reservation is what stock did for one order. There is one row per order, for ever.
type Reservation struct {
	OrderID string
	UserID  string
	State   State
	// Items that are or were taken; empty where nothing ever was.
	Items     []Item
	CreatedAt time.Time
	UpdatedAt time.Time
}
