package service

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/order"
)

// placeRequest is the body of POST /api/v1/orders and of its preview. Only what may be set is here;
// absent and null are the same.
type placeRequest struct {
	checkoutRequest
	Items []itemRequest `json:"items"`
}

// checkoutRequest is the body of POST /api/v1/cart/order: an order without its items, as those are in the cart.
type checkoutRequest struct {
	UserID              *string  `json:"userId"`
	DiscountPolicyID    *string  `json:"discountPolicyId"`
	CouponIDs           []string `json:"couponIds"`
	DiscountAmount      *int64   `json:"discountAmount"`
	CouponFailurePolicy *string  `json:"couponFailurePolicy"`
	PointAmount         *int64   `json:"pointAmount"`
	DeliveryFee         *int64   `json:"deliveryFee"`
	PaymentAmount       *int64   `json:"paymentAmount"`
	PaymentType         *string  `json:"paymentType"`
	PaymentToken        *string  `json:"paymentToken"`
	ShippingAddressID   *string  `json:"shippingAddressId"`
}

type itemRequest struct {
	ProductID    *string `json:"productId"`
	Quantity     *int64  `json:"quantity"`
	ProductPrice *int64  `json:"productPrice"`
}

// cancelRequest is the body of POST /api/v1/orders/{orderId}/cancel.
type cancelRequest struct {
	Reason *string `json:"reason"`
}

// changeRequest is the body of PATCH /api/v1/orders/{orderId}.
type changeRequest struct {
	ShippingAddressID *string `json:"shippingAddressId"`
}

// Longest strings, in characters.
const (
	maxID    = 100
	maxToken = 500
	maxNote  = 500
)

// place checks the shape of the body and makes the command of it; what the body means is decided under
// lock. paid says that the payment has to be given, which only a preview leaves out.
func (r *placeRequest) place(userID string, paid bool) (order.Place, error) {
	var bad web.Fields
	bad.Missing("/items", len(r.Items) == 0)
	items := r.items(&bad)
	cmd, err := r.checkout(&bad, userID, paid)
	cmd.Items = items
	return cmd, err
}

// checkout is place without the items; bad is what is wrong with these.
func (r *checkoutRequest) checkout(bad *web.Fields, userID string, paid bool) (order.Place, error) {
	bad.Missing("/paymentAmount", paid && r.PaymentAmount == nil)
	bad.Missing("/paymentType", paid && r.PaymentType == nil)
	bad.Invalid("/userId", r.UserID != nil && !web.Printable(*r.UserID, 255), "The id is too long.")
	bad.Invalid("/paymentToken", !web.Printable(web.Or(r.PaymentToken, ""), maxToken), "The token is at most 500 printable characters.")
	bad.Invalid("/shippingAddressId", !web.Printable(web.Or(r.ShippingAddressID, ""), maxID), "The id is at most 100 printable characters.")
	policy := order.CouponPolicy(web.Or(r.CouponFailurePolicy, string(order.CancelOrder)))
	bad.Invalid("/couponFailurePolicy", policy != order.CancelOrder && policy != order.PayFullPrice, "It is CANCEL_ORDER or PAY_FULL_PRICE.")
	coupons := r.coupons(bad)
	if err := bad.Err(); err != nil {
		return order.Place{}, err
	}
	if r.UserID != nil && *r.UserID != userID {
		return order.Place{}, fault.Forbidden("userId is not the member that the token belongs to.")
	}
	return order.Place{
		UserID: userID, CouponRefs: coupons, CouponPolicy: policy,
		DiscountAmount: web.Or(r.DiscountAmount, 0), PointAmount: web.Or(r.PointAmount, 0), DeliveryFee: web.Or(r.DeliveryFee, 0),
		PaymentAmount: web.Or(r.PaymentAmount, 0), PaymentType: order.PaymentType(web.Or(r.PaymentType, string(order.Credit))),
		PaymentToken: web.Or(r.PaymentToken, ""), AddressID: web.Or(r.ShippingAddressID, ""),
	}, nil
}

func (r *placeRequest) items(bad *web.Fields) []order.PlaceItem {
	items := make([]order.PlaceItem, len(r.Items))
	for i, item := range r.Items {
		at := fmt.Sprintf("/items/%d", i)
		bad.Missing(at+"/productId", item.ProductID == nil)
		bad.Missing(at+"/quantity", item.Quantity == nil)
		id := web.Or(item.ProductID, "-")
		bad.Invalid(at+"/productId", id == "" || !web.Printable(id, maxID), "The id is 1 to 100 printable characters.")
		bad.Invalid(at+"/productPrice", web.Or(item.ProductPrice, 0) < 0, "A price is not negative.")
		items[i] = order.PlaceItem{ProductID: id, Quantity: web.Or(item.Quantity, 0), ProductPrice: item.ProductPrice}
	}
	return items
}

// coupons joins the one policy of the seeds' request and the list.
func (r *checkoutRequest) coupons(bad *web.Fields) []string {
	refs := []string{}
	const detail = "The id is 1 to 100 printable characters."
	if id := web.Or(r.DiscountPolicyID, "-"); r.DiscountPolicyID != nil {
		bad.Invalid("/discountPolicyId", id == "" || !web.Printable(id, maxID), detail)
		refs = append(refs, id)
	}
	for i, id := range r.CouponIDs {
		bad.Invalid(fmt.Sprintf("/couponIds/%d", i), id == "" || !web.Printable(id, maxID), detail)
		refs = append(refs, id)
	}
	return refs
}

// isOrderID: ids of orders are UUIDs in their usual form. Any other id is nobody's order.
func isOrderID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}
