// Package stock decides over pieces: it takes them for orders, all or none, and gives them back.
// Everything here is a pure function of the World and one input; no clock, no I/O.
package stock

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: for an order's event its Reservations row, the Products it names
// (OrderCreated: the event's items; an undo: the reservation's items) and, of those of them that have a limit per
// member, the member's Purchases row; for a product's command or deadline the Products row. Products are locked last,
// in key order.
type World struct {
	// Products by product id.
	Products flow.Rows[string, Product]
	// Reservations by order id.
	Reservations flow.Rows[string, Reservation]
	// Purchases by PurchaseKey.
	Purchases flow.Rows[string, Purchase]
	// Movements by their ids: written, never read.
	Movements flow.Rows[string, Movement]
	// Listed are the products as Load found them, so that Save can leave alone what no operator changed.
	Listed map[string]Product `json:"-"`
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
	// PictureURL is an https address, or "".
	PictureURL string
	// Frozen: nobody gets a piece until it is unfrozen, whatever is left.
	Frozen bool
	Sale   Sale
	// LowThreshold of pieces left at which operators want to hear of it; 0: they do not.
	LowThreshold int64
	// LowAt is when the pieces left fell to the threshold or below it; zero while there are more. LowTold says that
	// LowStockReached is out for it.
	LowAt     time.Time
	LowTold   bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Sale is when and to whom a product is sold. What is zero does not limit.
type Sale struct {
	// StartsAt is the first moment, EndsAt the first one after the last.
	StartsAt, EndsAt time.Time
	// MaxPerOrder pieces in one order, MaxPerMember in all orders of a member that hold some.
	MaxPerOrder, MaxPerMember int64
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
	// Counted: the pieces count in the member's Purchase, and go off it when they are given back.
	Counted bool
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

// Purchase is how many pieces of one product the orders of one member hold, counted while the product has a limit per
// member. Whoever changes it holds the product's row, so it needs no lock of its own.
type Purchase struct {
	ProductID string
	UserID    string
	// Quantity of pieces; never negative.
	Quantity int64
}

// PurchaseKey is the key of a Purchase. The ids of products have no slash.
func PurchaseKey(productID, userID string) string { return productID + "/" + userID }

// MovementKind is why pieces came, went, or were found to be others.
type MovementKind string

// The kinds of movement. Listed, Restock and Recount are rows of their own. What an order took and gave back
// is its reservation, one row per order for ever: a second row would say the same, at the cost of every order.
const (
	MovedListed   MovementKind = "LISTED"
	MovedRestock  MovementKind = "RESTOCK"
	MovedRecount  MovementKind = "RECOUNT"
	MovedTaken    MovementKind = "TAKEN"
	MovedReturned MovementKind = "RETURNED"
)

// Movement is one line of a product's ledger. It is never changed.
//
// But for Recount, the amounts of a product add up to its Quantity. A Recount is by how much the row was
// off the others: it moved no piece.
type Movement struct {
	// MovementID is the id of the command: UUIDv7.
	MovementID string
	ProductID  string
	Kind       MovementKind
	// Amount of pieces, negative where they went.
	Amount int64
	// Reason is the operator's, or "".
	Reason string
	At     time.Time
}
