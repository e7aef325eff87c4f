// Package reconcile compares what the services believe. Each keeps its own data and hears of the others by
// events only; here their books are laid side by side and every place where they do not agree is named, in
// a sentence, with the command that mends it where one does.
//
// Nothing here writes, locks, or joins databases: the books are read over HTTP, in pages. The comparison
// (View.judge and what it calls) is a pure function of the rows.
//
// # What is compared
//
// An order is judged when it is at rest: final and unchanged since the look before. Of one under way only
// the time is judged. A difference counts when it is still there in a second look.
//
//	order_known       every order that another service has done something for is order's
//	order_status      order says what the events, and all who heard them, say became of the order
//	order_adds_up     items + deliveryFee - discount - points = payment; items = sum of their lines
//	order_stuck       no order waits beyond its deadline, or for ever for an undo or an answer to a cancel
//	stock_reservation held while the order stands, given back when it is cancelled, refused when sold out
//	stock_items       what is held is what was ordered
//	stock_adds_up     per product: left = received - held by reservations
//	price_agrees      order sells at the price that stock lists
//	coupon_use        used while the order stands and the discount counted, given back when cancelled
//	coupon_discount   what coupon granted is what order took off
//	coupon_spent      a use has spent its coupons, all of them and nobody else's
//	coupon_issued     per policy: issued = coupons there are, at most the limit
//	payment_state     taken while the order stands, given back when it is cancelled
//	payment_amount    captured, points and discount are the order's
//	payment_refund    what was captured for a cancelled order is refunded, and order knows
//	payment_points    points held for an order = its ledger entries
//	points_add_up     per member: balance = sum of the ledger
//	shipment_state    a parcel for every order that stands, as far as order says; none for the others
//	shipment_tracking order shows the carrier's tracking number
//	mail_asked        a mail for every fact worth one, and for no other
//	events_agree      the gateway's line of the order is order's status
//	queue_parked      nothing is parked
//	queue_calls       no outside call goes on without an outcome
//	queue_outbox      committed events get out
package reconcile

import (
	"cmp"
	"encoding/json"
	"time"
)

// Difference is one place where the books do not agree: one row of one service that is not as the others
// say.
type Difference struct {
	Rule string `json:"rule"`
	// Row names the row that does not agree: stock.reservation. Which one is wrong is a judgement, and the
	// sentence says by what.
	Row string `json:"row"`
	// What it is about: one of them, and the order where there is one.
	OrderID   string `json:"orderId,omitempty"`
	ProductID string `json:"productId,omitempty"`
	UserID    string `json:"userId,omitempty"`
	PolicyID  string `json:"policyId,omitempty"`
	CouponID  string `json:"couponId,omitempty"`
	// Services that were compared, the row's own first.
	Services []string `json:"services"`
	// Sentence says it to a person; no personal data.
	Sentence string `json:"sentence"`
	// Repair is the commands that make the books agree, in this order. Where it is empty a person has to
	// decide, and Advice says what to look at.
	Repair []string `json:"repair"`
	Advice string   `json:"advice,omitempty"`
	// Timeline is the order's, as the gateway tells it.
	Timeline []json.RawMessage `json:"timeline,omitempty"`

	// products of a reservation that does not agree.
	products []string
}

// Checked is how much was compared.
type Checked struct {
	Orders int `json:"orders"`
	// InFlight of them were under way and were judged by their time only.
	InFlight int `json:"inFlight"`
	Products int `json:"products"`
	Members  int `json:"members"`
	Policies int `json:"policies"`
	Coupons  int `json:"coupons"` // spent ones
	// Money by currency, and points.
	Money  map[string]Money `json:"money"`
	Points int64            `json:"points"`
}

// Money is the sum of what payment's books say, in the minor unit.
type Money struct {
	Captured int64 `json:"captured"`
	Refunded int64 `json:"refunded"`
}

// Report is the outcome of a comparison.
type Report struct {
	Checked     Checked      `json:"checked"`
	Differences []Difference `json:"differences"`
	// Open is what could not be judged, in sentences: products that sold while they were counted, and the like.
	Open []string `json:"open"`
	// Moving are the orders that are under way or changed in every look: they were not judged.
	Moving []string `json:"-"`
}

// Options bound a comparison.
type Options struct {
	// Only compares what it names; nil compares everything.
	Only *Scope
	// Wait is the time between the two looks; an order is at rest that did not change in it.
	Wait time.Duration
	// Stuck is how long an order or a call may wait beyond what it should. 0 is 5 min.
	Stuck time.Duration
}

// Scope names rows to compare: orders, and what is counted.
type Scope struct {
	Orders, Products, Prices, Coupons, Policies, Members []string
}

// Key names a difference: found again it has the same one.
func (d Difference) Key() string { return d.Rule + " " + d.Row + " " + d.About() }

// About is the id that the difference is about, the order's where there is one; "" for a whole service.
func (d Difference) About() string {
	return cmp.Or(d.OrderID, d.ProductID, d.UserID, d.PolicyID, d.CouponID)
}

// ScopeOf is what has to be compared again to see whether the differences are mended.
func ScopeOf(differences []Difference) *Scope {
	s := &Scope{}
	for _, d := range differences {
		switch {
		case d.Rule == "price_agrees":
			s.Prices = append(s.Prices, d.ProductID)
		case d.ProductID != "":
			s.Products = append(s.Products, d.ProductID)
		case d.UserID != "":
			s.Members = append(s.Members, d.UserID)
		case d.PolicyID != "":
			s.Policies = append(s.Policies, d.PolicyID)
		case d.OrderID != "":
			s.Orders = append(s.Orders, d.OrderID)
		}
		if d.CouponID != "" {
			s.Coupons = append(s.Coupons, d.CouponID)
		}
	}
	return s
}

// Rules lists the rules, as in the table above.
func Rules() []string {
	return []string{
		"order_known", "order_status", "order_adds_up", "order_stuck", "stock_reservation", "stock_items", "stock_adds_up",
		"price_agrees", "coupon_use", "coupon_discount", "coupon_spent", "coupon_issued", "payment_state", "payment_amount",
		"payment_refund", "payment_points", "points_add_up", "shipment_state", "shipment_tracking", "mail_asked",
		"events_agree", "queue_parked", "queue_calls", "queue_outbox",
	}
}

const defaultStuck = 5 * time.Minute
