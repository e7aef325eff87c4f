// Package order decides what happens to orders: it places them, holds the pivot between completing and
// cancelling, and follows the undo to its end. Everything here is a pure function of the World and one
// input; no clock, no I/O.
package order

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: for a Place the Recent row of (UserID, BodyHash) and the order it names,
// the Members row of UserID and the Prices of its products; the same for a PlaceCart, with the member's Carts row; for
// the other commands about a cart its Carts row, the member and the Prices of all its products; for everything else about an order its
// Orders row; for a product's event its Prices row, for a member's its Members row, and
// the Carts row when the member is erased.
type World struct {
	// Orders by order id.
	Orders flow.Rows[string, Order]
	// Prices by product id: what may be ordered and for how much, fed by stock's product events.
	Prices flow.Rows[string, Price]
	// Recent by RecentKey: the double-click guard. Load inserts and locks these rows, so that of two
	// identical orders at once one sees the other.
	Recent flow.Rows[string, Recent]
	// Members by user id: which addresses a member has, as member.v1 says.
	Members flow.Rows[string, Member]
	// Addresses of orders that were changed, by order id. Load brings none: an address stands in the order's row, among
	// what never changes otherwise, and Save writes it apart from the rest.
	Addresses flow.Rows[string, string]
	// Carts by user id. Load inserts and locks these rows too: they are changed by the cart's own commands, and by an
	// order of the cart, whose subject is the order.
	Carts flow.Rows[string, Cart]
}

// Status is an order's state as callers see it. It never goes back.
type Status string

// The states of an order. Completed, Shipped, Delivered and Cancelled are ends a caller may wait for.
const (
	Pending    Status = "PENDING"
	Completed  Status = "COMPLETED"
	Shipped    Status = "SHIPPED"
	Delivered  Status = "DELIVERED"
	Cancelling Status = "CANCELLING"
	Cancelled  Status = "CANCELLED"
)

// Progress is the step an order waits for.
type Progress string

// The steps, first the way forward, then the way back.
const (
	AtStock       Progress = "STOCK"
	AtCoupon      Progress = "COUPON"
	AtPayment     Progress = "PAYMENT"
	AtShipping    Progress = "SHIPPING"
	AtUndoPayment Progress = "UNDO_PAYMENT"
	AtUndoCoupon  Progress = "UNDO_COUPON"
	AtUndoStock   Progress = "UNDO_STOCK"
	AtNothing     Progress = "none"
)

// Reason is why an order was cancelled; empty while it is not.
type Reason string

// The reasons, as in orderv1.CancelReason.
const (
	OutOfStock      Reason = "OUT_OF_STOCK"
	CouponRejected  Reason = "COUPON_REJECTED"
	PaymentDeclined Reason = "PAYMENT_DECLINED"
	TimedOut        Reason = "TIMED_OUT"
	ByCustomer      Reason = "CUSTOMER"
	ShippingFailed  Reason = "SHIPPING_FAILED"
)

// PaymentType is what an order is paid with.
type PaymentType string

// The payment types of the API. A Transfer is paid by the buyer later: it has a longer
// deadline, and without one it is refused at intake.
const (
	Credit   PaymentType = "CREDIT"
	Points   PaymentType = "POINT"
	Transfer PaymentType = "TRANSFER"
)

// CouponPolicy is the customer's word on what happens when a coupon is refused.
type CouponPolicy string

// The two policies; CancelOrder is the default.
const (
	CancelOrder  CouponPolicy = "CANCEL_ORDER"
	PayFullPrice CouponPolicy = "PAY_FULL_PRICE"
)

// Item is one product of an order. A product stands once.
type Item struct {
	ProductID   string `json:"productId"`
	ProductName string `json:"productName"`
	// Quantity in pieces, at least 1.
	Quantity int32 `json:"quantity"`
	// ProductPrice of one piece, minor unit.
	ProductPrice int64 `json:"productPrice"`
}

// CancelRequest is where a request to cancel a completed order stands.
type CancelRequest string

// A request is made once, and answered by shipping.
const (
	NotRequested     CancelRequest = ""
	CancelRequested  CancelRequest = "REQUESTED"
	CancelNotAllowed CancelRequest = "REFUSED"
)

// Undo is how far one step's undo is.
type Undo string

// UndoNone: the step takes no part. The refund states are payment's only: the undo itself is done then.
const (
	UndoNone     Undo = "NONE"
	UndoPending  Undo = "PENDING"
	UndoDone     Undo = "DONE"
	Refunding    Undo = "REFUNDING"
	RefundDone   Undo = "REFUNDED"
	RefundFailed Undo = "REFUND_FAILED"
)

// Order is one order with everything its JSON shows and its decisions need. Amounts are in the minor
// unit of Currency. Times are UTC; a zero time is none.
type Order struct {
	OrderID string
	UserID  string
	// Version counts the distinct events of this order that order has emitted or consumed, ignored
	// ones too. The inbox makes them distinct.
	Version  int64
	Status   Status
	Progress Progress
	Reason   Reason

	Items []Item
	// ItemsAmount is the sum over Items.
	ItemsAmount int64
	// DiscountAmount is the claim until the payment says what counted.
	DiscountAmount int64
	DeliveryFee    int64
	PointAmount    int64
	// PaymentAmount is what the card is to be charged, then what it was.
	PaymentAmount int64
	Currency      string
	PaymentType   PaymentType
	PaymentToken  string
	CouponRefs    []string
	CouponPolicy  CouponPolicy
	AddressID     string

	// DeadlineAt ends PENDING. It stays as it was set; it counts only while PENDING.
	DeadlineAt time.Time
	// CouponTimeout is the coupon step's own, counted from StockDecreased.
	CouponTimeout time.Duration
	// CouponDeadlineAt is set while the order waits for coupon and may go on without it, else zero. The
	// sweeper looks for the earlier of the two deadlines among PENDING orders.
	CouponDeadlineAt time.Time
	// StockDecreased and CouponAnswered say what was seen: topics have no order between them.
	StockDecreased bool
	CouponAnswered bool
	// CouponWaived: OrderCouponWaived is out.
	CouponWaived bool

	CancelRequest CancelRequest
	// CancelNote is the customer's own words. They may be personal, so no event carries them.
	CancelNote string

	UndoPayment Undo
	UndoCoupon  Undo
	UndoStock   Undo

	Carrier        string
	TrackingNumber string
	// ShipmentStatus is "" until there is a shipment, then PREPARED, DISPATCHED, DELIVERED, CANCELLED or FAILED.
	ShipmentStatus string

	// CreatedEvent and StockEvent are the ids of the events that opened the waits for the order's
	// deadline and for the coupon step's: the causes of what those deadlines emit.
	CreatedEvent string
	StockEvent   string

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Price is what one product costs now.
type Price struct {
	ProductID string
	Name      string
	// Price of one piece, minor unit.
	Price    int64
	Currency string
	OnSale   bool
	// PreviousPrice is the price before ChangedAt, by stock's clock; equal to Price where it never changed. A new name
	// or picture is no change of the price.
	PreviousPrice int64
	ChangedAt     time.Time
	// SaleStartsAt is the first moment at which it is sold, SaleEndsAt the first one after the last; zero: none.
	SaleStartsAt, SaleEndsAt time.Time
	// MaxPerOrder pieces in one order; 0: any. How many a member may have in all orders is stock's to count.
	MaxPerOrder int64
}

// Recent is the last order a member placed with one request body.
type Recent struct {
	// OrderID is "" in a row that was only inserted to be locked.
	OrderID string
	At      time.Time
}

// RecentKey is the key of Recent.
func RecentKey(userID, bodyHash string) string { return userID + "/" + bodyHash }

// Member is what order knows of a member: ids, no personal data.
type Member struct {
	UserID           string
	AddressIDs       []string
	DefaultAddressID string // "" if none
	// ChangedAt is the event's that says so.
	ChangedAt time.Time
	// Erased: there are no addresses, and there never will be again.
	Erased bool
}

// Settled says that nothing more happens by itself that a caller would wait for: the order was completed,
// or it was cancelled and every step is undone.
func (o Order) Settled() bool { return o.Status != Pending && o.Status != Cancelling }
