package order

import "time"

// Rules are the configured numbers a new order is held to. They come with the command, as deciding
// code reads no configuration.
type Rules struct {
	// DoubleClickWindow is how long an identical order of the same member counts as a double click; 0: never.
	DoubleClickWindow time.Duration
	// PendingTimeout is how long an order paid by card or points may be PENDING.
	PendingTimeout time.Duration
	// TransferTimeout is the same for a bank transfer; 0: there are none.
	TransferTimeout time.Duration
	// CouponTimeout is how long PAY_FULL_PRICE waits for coupon once the stock is decreased.
	CouponTimeout time.Duration
	// DeliveryFee in the minor unit, and the sum of items from which delivery is free (0: never free by sum).
	DeliveryFee      int64
	FreeDeliveryFrom int64
	// MaxQuantity of pieces in one order; 0: any.
	MaxQuantity int64
	// MaxItems is the number of different lines; 0: any.
	MaxItems int
	// PriceGrace is how long an order may claim the price before the last change; 0: not at all.
	PriceGrace time.Duration
	// PointCurrency is the one currency that points pay, one minor unit each; "": none.
	PointCurrency string
}

// PlaceItem is one line of the request, as it stands there: pointers into the request count these.
type PlaceItem struct {
	ProductID string
	Quantity  int64
	// ProductPrice is the caller's claim; nil: none.
	ProductPrice *int64
}

// Place is POST /api/v1/orders. The edge has checked the shape of the body (types, required fields,
// lengths); what the body means is decided here.
type Place struct {
	// OrderID is made at the edge (UUIDv7).
	OrderID string
	// UserID is the token's subject.
	UserID string
	// BodyHash is the hash of the request body in a canonical form, as hex.
	BodyHash string
	Items    []PlaceItem
	// CouponRefs are discountPolicyId and couponIds together, in the order of the request.
	CouponRefs     []string
	DiscountAmount int64 // the claim; 0 where absent
	CouponPolicy   CouponPolicy
	PointAmount    int64
	DeliveryFee    int64
	PaymentAmount  int64
	PaymentType    PaymentType
	PaymentToken   string // "": the member's default method
	AddressID      string // "": the member's default address
	Rules          Rules
}

// Subject is the order to be.
func (c Place) Subject() string { return c.OrderID }

// Cancel is POST /api/v1/orders/{orderId}/cancel.
type Cancel struct {
	OrderID string
	UserID  string
	// Operator may cancel anybody's order.
	Operator bool
	// Reason is free text and stays in order's database.
	Reason string
}

// Subject is the order.
func (c Cancel) Subject() string { return c.OrderID }

// Due says that a deadline of a PENDING order may have passed: DeadlineAt or CouponDeadlineAt. The
// decision looks at both again.
type Due struct{ OrderID string }

// Subject is the order.
func (d Due) Subject() string { return d.OrderID }
