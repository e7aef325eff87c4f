// Package coupon decides over coupons: it issues them first come, first served, uses them for orders,
// all or none, and gives them back. Everything here is a pure function of the World and one input; no
// clock, no I/O.
package coupon

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: for an order's event its Uses row, and the Coupons it names with their
// Policies (StockDecreased: by the checkout's coupon_refs, each either a coupon id or a policy id of
// which the member holds a coupon; an undo: the use's coupon ids); for a command the Policies row and
// the member's coupon of it. Policies are locked last, in key order.
type World struct {
	// Policies by policy id.
	Policies flow.Rows[string, Policy]
	// Coupons by coupon id.
	Coupons flow.Rows[string, Coupon]
	// Held finds a member's coupon of a policy: HeldKey to coupon id. It is an index over Coupons, which
	// Load fills and Save leaves alone.
	Held flow.Rows[string, string]
	// Counted are how many coupons there are by policy id; Load brings them for a Recount, once the policy is
	// locked. Save leaves them alone.
	Counted flow.Rows[string, int64]
	// Uses by order id.
	Uses flow.Rows[string, Use]
}

// Policy is what its coupons are worth, and to whom they are given.
type Policy struct {
	PolicyID string
	Name     string
	// Exactly one of Amount (minor unit) and Percent (1 to 100, rounded down) is above 0. MaxAmount
	// bounds a percentage; 0: no bound.
	Amount    int64
	Percent   int64
	MaxAmount int64
	// MinimumAmount is the least sum of items; 0: none.
	MinimumAmount int64
	// Currency the amounts are in, ISO 4217; "": any, for percentages without amounts.
	Currency string
	// Limit of coupons ever issued; Issued never exceeds it.
	Limit  int64
	Issued int64
	// A zero time is no bound. ValidUntil is the first moment at which it is no longer valid.
	ValidFrom  time.Time
	ValidUntil time.Time
	CreatedAt  time.Time
}

// Coupon is one member's coupon.
type Coupon struct {
	CouponID string
	PolicyID string
	UserID   string
	// UsedBy is the order that uses it; "": available.
	UsedBy   string
	IssuedAt time.Time
	UsedAt   time.Time // zero unless used
}

// HeldKey is the key of Held.
func HeldKey(policyID, userID string) string { return policyID + "/" + userID }

// State is where an order's use of coupons stands.
type State string

// Closed, GivenBack and Cancelled are final and refuse a late use: Closed and Cancelled are also the
// tombstones of an order whose payment or undo came before its StockDecreased.
const (
	Used      State = "USED"
	Refused   State = "REFUSED"
	Closed    State = "CLOSED"     // the payment did not count the coupon; it was not used yet
	GivenBack State = "GIVEN_BACK" // the payment did not count the coupon; it was used: CouponReturned
	Cancelled State = "CANCELLED"  // undone: CouponUseCancelled
)

// Use is what coupon did for one order. There is one row per order, for ever.
type Use struct {
	OrderID string
	UserID  string
	State   State
	// CouponIDs that are or were used; empty where none ever was.
	CouponIDs []string
	// Discount granted, minor unit.
	Discount  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}
