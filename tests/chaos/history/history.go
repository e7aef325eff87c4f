// Package history is the log of everything a chaos client asked and was answered: one line when a call
// begins, one when it ends, written as it goes. A call whose end is not in the log is one whose outcome
// nobody knows, as after a crash of the client itself.
package history

import "time"

// Op is what a call asks for.
type Op string

// The calls of customers, then those of operators, then that of the carrier.
const (
	Place    Op = "place"
	Cancel   Op = "cancel"
	Get      Op = "get"
	List     Op = "list"
	Timeline Op = "timeline"
	Preview  Op = "preview"
	Issue    Op = "issue"

	AddProduct Op = "product"
	Restock    Op = "restock"
	AddPolicy  Op = "policy"
	Grant      Op = "grant"

	Ship Op = "ship"
)

// Outcome is what is known of a call's effect.
type Outcome string

// OK: done, the answer says so. Fail: refused, or surely never sent. Unknown: it may have been done.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"
	Unknown Outcome = "unknown"
)

// Invocation is a call as it was sent.
type Invocation struct {
	N  int64     `json:"n"`
	At time.Time `json:"at"`
	Op Op        `json:"op"`
	// Member on whose behalf; "" for operators and the carrier.
	Member string `json:"member,omitempty"`
	// Gateway is which replica was asked, from 0.
	Gateway int `json:"gw"`
	// Key is the Idempotency-Key, "" for none; Attempt counts the calls with it, from 1.
	Key     string `json:"key,omitempty"`
	Attempt int    `json:"try,omitempty"`
	// Target is the order, product or policy in the path, and where Op is Ship what becomes of the parcel
	// stands in Word.
	Target string `json:"target,omitempty"`
	Word   string `json:"word,omitempty"`
	// Amount of pieces, points or, for a policy, of its coupons' worth; Limit of a policy.
	Amount int64 `json:"amount,omitempty"`
	Limit  int64 `json:"limit,omitempty"`
	// Asked is the order of a Place.
	Asked *Asked `json:"asked,omitempty"`
	// Expect is the code of the refusal that a Place asks for, "" where it should be accepted.
	Expect string `json:"expect,omitempty"`
}

// Asked is what an order was to be. Amounts in the minor unit.
type Asked struct {
	Items        []Item   `json:"items"`
	Coupons      []string `json:"coupons,omitempty"`
	CouponPolicy string   `json:"couponPolicy,omitempty"`
	Discount     int64    `json:"discount,omitempty"`
	Points       int64    `json:"points,omitempty"`
	Payment      int64    `json:"payment"`
	PaymentType  string   `json:"paymentType"`
	Token        string   `json:"token,omitempty"`
}

// Item is one line of an order; Price of one piece.
type Item struct {
	Product  string `json:"p"`
	Quantity int64  `json:"q"`
	Price    int64  `json:"c"`
}

// Completion is how a call ended.
type Completion struct {
	N       int64     `json:"n"`
	At      time.Time `json:"at"`
	Outcome Outcome   `json:"out"`
	// Status of the answer, 0 for none; Code of a problem document.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	// Order, Version and State (the order's status) of an answer that shows an order; Coupon of an Issue.
	Order   string `json:"order,omitempty"`
	Version int64  `json:"version,omitempty"`
	State   string `json:"state,omitempty"`
	Coupon  string `json:"coupon,omitempty"`
	// Count of lines in a list.
	Count int `json:"count,omitempty"`
	// Replayed: answered with Idempotency-Replayed.
	Replayed bool `json:"replayed,omitempty"`
	// Error where there was no answer.
	Error string `json:"error,omitempty"`
}

// Call is both. One that never ended has the Outcome Unknown and no time of its end.
type Call struct {
	Invocation
	End Completion
}

// Accepted says that a Place was answered with an order.
func (c *Call) Accepted() bool { return c.Op == Place && c.End.Outcome == OK && c.End.Order != "" }
