// Package book holds the rows that services lay open for reconciliation: what each believes, in its own
// words, from its own tables. It is the contract of GET /ops/v1/books/{service}/{book}, and nothing but
// values: a service imports it to write its rows, the comparison to read them.
//
// Amounts are in the currency's minor unit. Ages are in seconds by the clock of the database that the row
// is in, so that no two clocks are compared. Fields are in the order in which they are selected.
package book

// Item is so many pieces of a product. ProductPrice of one piece is order's alone.
type Item struct {
	ProductID    string `json:"productId"`
	Quantity     int64  `json:"quantity"`
	ProductPrice int64  `json:"productPrice"`
}

// Order is what order believes: book orders of order.
type Order struct {
	OrderID  string `json:"orderId"`
	UserID   string `json:"userId"`
	Version  int64  `json:"version"`
	Status   string `json:"status"`
	Progress string `json:"progress"`
	// Reason of a cancelled order, "" else.
	Reason string `json:"reason"`
	Items  []Item `json:"items"`

	ItemsAmount    int64  `json:"itemsAmount"`
	DeliveryFee    int64  `json:"deliveryFee"`
	DiscountAmount int64  `json:"discountAmount"`
	PointAmount    int64  `json:"pointAmount"`
	PaymentAmount  int64  `json:"paymentAmount"`
	Currency       string `json:"currency"`
	HasCoupons     bool   `json:"hasCoupons"`

	UndoPayment   string `json:"undoPayment"`
	UndoCoupon    string `json:"undoCoupon"`
	UndoStock     string `json:"undoStock"`
	CancelRequest string `json:"cancelRequest"`

	Carrier        string `json:"carrier"`
	TrackingNumber string `json:"trackingNumber"`
	ShipmentStatus string `json:"shipmentStatus"`

	// Overdue is how long ago its deadline passed; negative while it has not.
	Overdue float64 `json:"overdue"`
	// Idle is how long ago it last changed.
	Idle float64 `json:"idle"`
}

// Price is what order sells a product for: book prices of order.
type Price struct {
	ProductID string  `json:"productId"`
	Price     int64   `json:"price"`
	Currency  string  `json:"currency"`
	OnSale    bool    `json:"onSale"`
	Idle      float64 `json:"idle"`
}

// Reservation is what stock did for an order: book orders of stock.
type Reservation struct {
	OrderID string  `json:"orderId"`
	UserID  string  `json:"userId"`
	State   string  `json:"state"` // TAKEN, REFUSED, RETURNED
	Items   []Item  `json:"items"`
	Idle    float64 `json:"idle"`
}

// Product is how many pieces stock has: book products of stock. Changed differs after every change of the
// row. Held is what reservations hold; it is counted in book counts only, for it reads all of them.
type Product struct {
	ProductID string `json:"productId"`
	Price     int64  `json:"price"`
	Currency  string `json:"currency"`
	OnSale    bool   `json:"onSale"`
	// Quantity of pieces left; Received is all that ever came in.
	Quantity int64   `json:"quantity"`
	Received int64   `json:"received"`
	Held     int64   `json:"held"`
	Changed  string  `json:"changed"`
	Idle     float64 `json:"idle"`
}

// Use is what coupon did for an order: book orders of coupon.
type Use struct {
	OrderID   string   `json:"orderId"`
	UserID    string   `json:"userId"`
	State     string   `json:"state"` // USED, REFUSED, CLOSED, GIVEN_BACK, CANCELLED
	CouponIDs []string `json:"couponIds"`
	// SpentBy are the orders that have spent these coupons, in their order; "" for one that nobody has.
	SpentBy  []string `json:"spentBy"`
	Discount int64    `json:"discount"`
	Idle     float64  `json:"idle"`
}

// Spent is a coupon that an order has spent: book spent of coupon.
type Spent struct {
	CouponID string `json:"couponId"`
	OrderID  string `json:"orderId"`
	// UseState is where that order's use stands, "" if there is none; Listed says that it names the coupon.
	UseState string `json:"useState"`
	Listed   bool   `json:"listed"`
	// Owner is whose coupon it is, "" if there is no such coupon.
	Owner string  `json:"owner"`
	Idle  float64 `json:"idle"`
}

// Policy is how many coupons were issued: book policies of coupon.
type Policy struct {
	PolicyID string `json:"policyId"`
	Limit    int64  `json:"limit"`
	// Issued is the counter, Coupons how many there are.
	Issued  int64 `json:"issued"`
	Coupons int64 `json:"coupons"`
}

// Payment is what payment did for an order: book orders of payment.
type Payment struct {
	OrderID string `json:"orderId"`
	UserID  string `json:"userId"`
	State   string `json:"state"`  // CHARGING, ASKING, VOIDING, CLOSING, COMPLETED, FAILED, CANCELLED
	Refund  string `json:"refund"` // NONE, PENDING, ASKING, DONE, REFUSED
	// Amount of the card, Points that are held for the order.
	Amount        int64  `json:"amount"`
	Points        int64  `json:"points"`
	Discount      int64  `json:"discount"`
	CouponCounted bool   `json:"couponCounted"`
	HasCoupons    bool   `json:"hasCoupons"`
	Currency      string `json:"currency"`
	// ChargeID is the provider's, "" where nothing was captured.
	ChargeID string `json:"chargeId"`
	// Taken and Returned are the order's entries in the points ledger, both positive.
	Taken    int64   `json:"taken"`
	Returned int64   `json:"returned"`
	Idle     float64 `json:"idle"`
}

// Account is a member's points: book members of payment. Balance is the counter, Ledger the sum of the
// entries.
type Account struct {
	UserID  string `json:"userId"`
	Balance int64  `json:"balance"`
	Ledger  int64  `json:"ledger"`
}

// Shipment is what shipping did for an order: book orders of shipping.
type Shipment struct {
	OrderID        string  `json:"orderId"`
	UserID         string  `json:"userId"`
	State          string  `json:"state"` // BOOKING, ASKING, VOIDING, PREPARED, STOPPING, CANCELLED, FAILED, DISPATCHED, DELIVERED
	Carrier        string  `json:"carrier"`
	TrackingNumber string  `json:"trackingNumber"`
	BookingID      string  `json:"bookingId"`
	CancelAsked    bool    `json:"cancelAsked"`
	CancelRefused  bool    `json:"cancelRefused"`
	Idle           float64 `json:"idle"`
}

// Mails are the mails about an order: book orders of mailer. Kinds and States go together.
type Mails struct {
	OrderID string   `json:"orderId"`
	Kinds   []string `json:"kinds"`  // completed, cancelled, dispatched, delivered, refunded
	States  []string `json:"states"` // WAITING, SENT, UNDELIVERABLE, SKIPPED
	Idle    float64  `json:"idle"`
}

// Line is what the events of an order add up to: book orders of gateway.
type Line struct {
	OrderID string `json:"orderId"`
	UserID  string `json:"userId"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	// Amount is what the card was to be charged, or was.
	Amount   int64   `json:"amount"`
	Currency string  `json:"currency"`
	Idle     float64 `json:"idle"`
}
