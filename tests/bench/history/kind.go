package history

import (
	"net/http"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// The names that stand in the recorded rows where a copy gets its own. All copies of a name are as long as the
// name: a copy is the recorded bytes with some of them written over.
const (
	memberName  = "member-000000"
	productName = "PRODUCT-0000"
	soldOutName = "SOLDOUT-0000" // recorded only: its orders become orders of other products, which were sold out at the time
	policyName  = "POLICY-000"
	addressName = "0190a3a0-0000-7000-8000-200000000000"
	// No copy of these is ever needed.
	maxMembers, maxProducts, maxPolicies = 1_000_000, 10_000, 1_000
)

const (
	price    = 1_000       // of one piece, in every order
	discount = 300         // of a coupon
	pieces   = 100_000_000 // that came in of every product
	granted  = 100_000_000 // points, once to every member
	limit    = maxMembers  // coupons of a policy
)

type fields = map[string]any

// kind is one course that an order took.
type kind struct {
	name string
	// share of a hundred orders.
	share int
	// basket is what it was placed with, beside its one line; the price is paid by card where it does not say.
	basket fields
	// until is what its order says at the end.
	until end
	// returned: the customer cancelled it after it was completed.
	returned bool

	points int64 // taken of the member and kept
	sold   int64 // pieces taken of the product and kept
	coupon bool  // spends a coupon of the member's
}

// end is the state of an order of a kind.
type end struct{ status, reason, shipment, refund string }

// kinds are what the past is made of: one line each, most of them delivered, some cancelled.
func kinds() []kind {
	delivered := end{status: "DELIVERED", shipment: "DELIVERED"}
	return []kind{
		{name: "card", share: 55, until: delivered, sold: 1},
		{name: "points", share: 25, basket: fields{"pointAmount": price, "paymentAmount": 0, "paymentType": "POINT"}, until: delivered, sold: 1, points: price},
		{name: "coupon", share: 3, basket: fields{
			"discountPolicyId": policyName, "discountAmount": discount, "paymentAmount": price - discount,
		}, until: delivered, sold: 1, coupon: true},
		{name: "on its way", share: 10, until: end{status: "COMPLETED", shipment: "PREPARED"}, sold: 1},
		{name: "sold out", share: 2, until: end{status: "CANCELLED", reason: "OUT_OF_STOCK"}},
		{name: "declined", share: 3, basket: fields{"paymentToken": "tok_decline"}, until: end{status: "CANCELLED", reason: "PAYMENT_DECLINED"}},
		{name: "returned", share: 2, until: end{status: "CANCELLED", reason: "CUSTOMER", refund: "REFUNDED"}, returned: true},
	}
}

// body is the request that places an order of the kind.
func (k kind) body() fields {
	product := productName
	if k.until.reason == "OUT_OF_STOCK" {
		product = soldOutName
	}
	body := fields{
		"items":         []fields{{"productId": product, "quantity": 1, "productPrice": price}},
		"paymentAmount": price, "paymentType": "CREDIT",
	}
	for name, value := range k.basket {
		body[name] = value
	}
	return body
}

// goods are the requests that put there what the recorded orders need, in this order.
func goods() []request {
	return []request{
		{http.MethodPost, "/ops/v1/products", local.NewProduct{ProductID: productName, Name: "Piece " + productName, Price: price, Currency: "KRW", Quantity: pieces}},
		{http.MethodPost, "/ops/v1/products", local.NewProduct{ProductID: soldOutName, Name: "Piece " + soldOutName, Price: price, Currency: "KRW"}},
		{http.MethodPost, "/ops/v1/coupon-policies", fields{
			"policyId": policyName, "name": "Policy " + policyName, "discount": fields{"amount": discount}, "limit": limit,
		}},
		{http.MethodPost, "/ops/v1/points/grants", local.Grant{UserID: memberName, Amount: granted, Reason: "history"}},
	}
}

// request is one that an operator sends.
type request struct {
	method, path string
	body         any
}
