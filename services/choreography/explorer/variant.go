package explorer

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// The one order, its member and what it is about. Two lines of one product, so that summing them matters.
const (
	orderID   = "order-1"
	userID    = "member-1"
	productID = "product-1"
	couponID  = "coupon-1"
	policyID  = "policy-1"
	addressID = "address-1"

	unitPrice = 1000
	pieces    = 3
	discount  = 500
)

// The deadlines of the explored order, and moments after each.
const (
	couponTimeout  = 10 * time.Second
	pendingTimeout = time.Minute
)

// Variant is one order to search, with the world it is placed in.
type Variant struct {
	Name string
	// Coupon: the order comes with one; Policy is what happens where it is refused; Refused: it is, as
	// somebody has used it before.
	Coupon  bool
	Policy  order.CouponPolicy
	Refused bool
	// Points to pay with, and how many the member has.
	Points  int64
	Balance int64
	// PayType is CREDIT unless said otherwise.
	PayType order.PaymentType
	// SoldOut: one piece less than is asked for. NoAddress: shipping does not know the address (any more).
	SoldOut   bool
	NoAddress bool
	// CouponDown: coupon reads nothing, for ever. Deadlines surely pass then, and an undo waits for coupon.
	CouponDown bool
	// Outcomes are all the ways the order can end, and each of them has to be possible: the reasons of a
	// cancellation, or the status it keeps.
	Outcomes []string
	// Large: left to `make explore`; `go test` does without.
	Large bool
}

// Variants lists what `make explore` searches.
func Variants() []Variant {
	const all = unitPrice * pieces
	// Whatever else happens, the customer or the deadline can end it, and once it is paid for it can be sent.
	sent := []string{"COMPLETED", "SHIPPED", "DELIVERED", "CUSTOMER", "TIMED_OUT", "SHIPPING_FAILED"}
	with := func(reasons ...string) []string { return append(slices.Clone(sent), reasons...) }
	unsent := func(reasons ...string) []string { return append([]string{"CUSTOMER", "TIMED_OUT"}, reasons...) }
	full := order.PayFullPrice
	return []Variant{
		{Name: "card", Outcomes: with("PAYMENT_DECLINED")},
		{Name: "card and points", Large: true, Points: 700, Balance: 1000, Outcomes: with("PAYMENT_DECLINED")},
		{Name: "transfer", PayType: order.Transfer, Outcomes: with("PAYMENT_DECLINED")},
		{
			Name: "transfer and points, coupon or full price", Large: true, PayType: order.Transfer, Coupon: true, Policy: full,
			Points: 700, Balance: 1000, Outcomes: with("PAYMENT_DECLINED"),
		},
		{Name: "points alone", PayType: order.Points, Points: all, Balance: all, Outcomes: with()},
		{Name: "too few points", Points: 700, Balance: 699, Outcomes: unsent("PAYMENT_DECLINED")},
		{Name: "sold out", SoldOut: true, Outcomes: unsent("OUT_OF_STOCK")},
		{Name: "no address", NoAddress: true, Outcomes: unsent("PAYMENT_DECLINED", "SHIPPING_FAILED")},
		{Name: "coupon", Large: true, Coupon: true, Policy: order.CancelOrder, Points: 100, Balance: 100, Outcomes: with("PAYMENT_DECLINED")},
		{
			Name: "coupon, points alone", Coupon: true, Policy: order.CancelOrder,
			PayType: order.Points, Points: all - discount, Balance: all, Outcomes: with(),
		},
		{Name: "coupon refused", Coupon: true, Policy: order.CancelOrder, Refused: true, Outcomes: unsent("COUPON_REJECTED")},
		{Name: "coupon down", Coupon: true, Policy: order.CancelOrder, CouponDown: true, Outcomes: unsent()},
		{Name: "coupon or full price, sold out", Coupon: true, Policy: full, SoldOut: true, Outcomes: unsent("OUT_OF_STOCK")},
		{Name: "coupon or full price", Large: true, Coupon: true, Policy: full, Outcomes: with("PAYMENT_DECLINED")},
		{Name: "coupon or full price, refused", Large: true, Coupon: true, Policy: full, Refused: true, Outcomes: with("PAYMENT_DECLINED")},
		{Name: "coupon or full price, down", Coupon: true, Policy: full, CouponDown: true, Outcomes: with("PAYMENT_DECLINED")},
		{
			Name: "coupon or full price, card and points", Large: true, Coupon: true, Policy: full, Points: 700, Balance: 1000,
			Outcomes: with("PAYMENT_DECLINED"),
		},
		{
			Name: "coupon or full price, points alone", Coupon: true, Policy: full,
			PayType: order.Points, Points: all - discount, Balance: all, Outcomes: with(),
		},
		{
			Name: "coupon or full price, refused, points alone", Coupon: true, Policy: full, Refused: true,
			PayType: order.Points, Points: all - discount, Balance: all, Outcomes: with(),
		},
		{
			Name: "coupon or full price, points for the discounted price only", Coupon: true, Policy: full,
			PayType: order.Points, Points: all - discount, Balance: all - discount, Outcomes: with("PAYMENT_DECLINED"),
		},
	}
}

// system is every service over one variant's worlds.
type system struct {
	variant  Variant
	order    *service[order.World]
	stock    *service[stock.World]
	coupon   *service[coupon.World]
	payment  *service[payment.World]
	shipping *service[shipping.World]
	mailer   *service[mailer.World]
}

func newSystem(v Variant) *system {
	return &system{
		variant: v,
		// The version counts events, which the inbox makes distinct; the search goes around the inbox.
		order: &service[order.World]{def: order.Topology, normal: func(w *order.World) {
			o, _ := w.Orders.Get(orderID)
			o.Version = 0
			w.Orders.Put(orderID, o)
		}},
		stock:    &service[stock.World]{def: stock.Topology},
		coupon:   &service[coupon.World]{def: coupon.Topology},
		payment:  &service[payment.World]{def: payment.Topology},
		shipping: &service[shipping.World]{def: shipping.Topology},
		mailer:   &service[mailer.World]{def: mailer.Topology},
	}
}

func (s *system) machines() [services]machine {
	return [services]machine{s.order, s.stock, s.coupon, s.payment, s.shipping}
}

// startingStock is how many pieces there are before the order.
func (v Variant) startingStock() int64 {
	if v.SoldOut {
		return pieces - 1
	}
	return pieces + 1
}

// place is the command that starts it all.
func (v Variant) place() order.Place {
	c := order.Place{
		OrderID: orderID, UserID: userID, BodyHash: "hash", CouponPolicy: v.Policy, PointAmount: v.Points,
		Items:       []order.PlaceItem{{ProductID: productID, Quantity: pieces - 1}, {ProductID: productID, Quantity: 1}},
		PaymentType: order.Credit, PaymentToken: "tok_ok", AddressID: addressID,
		Rules: order.Rules{CouponTimeout: couponTimeout, PendingTimeout: pendingTimeout, TransferTimeout: pendingTimeout, PointCurrency: "KRW"},
	}
	if v.PayType != "" {
		c.PaymentType = v.PayType
	}
	if v.Coupon {
		c.CouponRefs, c.DiscountAmount = []string{policyID}, discount
	}
	c.PaymentAmount = unitPrice*pieces - c.DiscountAmount - c.PointAmount
	return c
}

// worlds are the services' worlds before the order is placed, as JSON.
func (v Variant) worlds() [services][]byte {
	var o order.World
	o.Prices.Loaded(productID, order.Price{ProductID: productID, Name: "Product", Price: unitPrice, Currency: "KRW", OnSale: true})
	o.Members.Loaded(userID, order.Member{UserID: userID, AddressIDs: []string{addressID}, DefaultAddressID: addressID})

	var st stock.World
	st.Products.Loaded(productID, stock.Product{ProductID: productID, Quantity: v.startingStock(), OnSale: true, UpdatedAt: now})

	var cp coupon.World
	held := coupon.Coupon{CouponID: couponID, PolicyID: policyID, UserID: userID}
	if v.Refused {
		held.UsedBy = "order-0"
	}
	cp.Policies.Loaded(policyID, coupon.Policy{PolicyID: policyID, Amount: discount, Limit: 1, Issued: 1})
	cp.Coupons.Loaded(couponID, held)
	cp.Held.Loaded(coupon.HeldKey(policyID, userID), couponID)

	var pay payment.World
	pay.Points.Loaded(userID, payment.Points{UserID: userID, Balance: v.Balance})

	var ship shipping.World
	if !v.NoAddress {
		ship.Addresses.Loaded(addressID, shipping.Address{AddressID: addressID, UserID: userID})
	}
	return [services][]byte{encode(&o), encode(&st), encode(&cp), encode(&pay), encode(&ship)}
}

func encode(w any) []byte {
	data, err := json.Marshal(w)
	if err != nil {
		panic(err) // our own structs
	}
	return data
}

// commands the customer and the clock may give at any moment.
func commands() []struct {
	name    string
	service int
	in      flow.Input
} {
	type command = struct {
		name    string
		service int
		in      flow.Input
	}
	due := func(after time.Duration) flow.Input {
		return flow.Input{
			Kind: flow.KindDeadline, Subject: orderID, Msg: order.Due{OrderID: orderID},
			Meta: flow.Meta{Now: now.Add(after + time.Second)},
		}
	}
	return []command{
		{"the customer cancels", atOrder, flow.Input{
			Kind: flow.KindCommand, Subject: orderID, Msg: order.Cancel{OrderID: orderID, UserID: userID, Reason: "why not"},
			Meta: flow.Meta{Now: now, Cause: "cancel"},
		}},
		{"the coupon step's deadline passes", atOrder, due(couponTimeout)},
		{"the order's deadline passes", atOrder, due(pendingTimeout)},
	}
}
