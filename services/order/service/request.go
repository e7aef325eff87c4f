package service

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/order"
)

// placeRequest is the body of POST /api/v1/orders and of its preview. Only what may be set is here;
// absent and null are the same.
type placeRequest struct {
	UserID              *string       `json:"userId"`
	Items               []itemRequest `json:"items"`
	DiscountPolicyID    *string       `json:"discountPolicyId"`
	CouponIDs           []string      `json:"couponIds"`
	DiscountAmount      *int64        `json:"discountAmount"`
	CouponFailurePolicy *string       `json:"couponFailurePolicy"`
	PointAmount         *int64        `json:"pointAmount"`
	DeliveryFee         *int64        `json:"deliveryFee"`
	PaymentAmount       *int64        `json:"paymentAmount"`
	PaymentType         *string       `json:"paymentType"`
	PaymentToken        *string       `json:"paymentToken"`
	ShippingAddressID   *string       `json:"shippingAddressId"`
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

// Longest strings, in characters.
const (
	maxID    = 100
	maxToken = 500
	maxNote  = 500
)

// faults collects what is wrong with the fields of a body.
type faults []fault.FieldError

func (f *faults) missing(pointer string, is bool) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeMissingField, Detail: "The field is required."})
	}
}

func (f *faults) invalid(pointer string, is bool, detail string) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail})
	}
}

// place checks the shape of the body and makes the command of it; what the body means is decided under
// lock. paid says that the payment has to be given, which only a preview leaves out.
func (r *placeRequest) place(userID string, paid bool) (order.Place, error) {
	var bad faults
	bad.missing("/items", len(r.Items) == 0)
	bad.missing("/paymentAmount", paid && r.PaymentAmount == nil)
	bad.missing("/paymentType", paid && r.PaymentType == nil)
	bad.invalid("/userId", r.UserID != nil && !text(*r.UserID, 255), "The id is too long.")
	bad.invalid("/paymentToken", !text(or(r.PaymentToken, ""), maxToken), "The token is at most 500 printable characters.")
	bad.invalid("/shippingAddressId", !text(or(r.ShippingAddressID, ""), maxID), "The id is at most 100 printable characters.")
	policy := order.CouponPolicy(or(r.CouponFailurePolicy, string(order.CancelOrder)))
	bad.invalid("/couponFailurePolicy", policy != order.CancelOrder && policy != order.PayFullPrice, "It is CANCEL_ORDER or PAY_FULL_PRICE.")
	items := r.items(&bad)
	coupons := r.coupons(&bad)
	if len(bad) > 0 {
		return order.Place{}, fault.Invalid(bad...)
	}
	if r.UserID != nil && *r.UserID != userID {
		return order.Place{}, fault.Forbidden("userId is not the member that the token belongs to.")
	}
	return order.Place{
		UserID: userID, Items: items, CouponRefs: coupons, CouponPolicy: policy,
		DiscountAmount: or(r.DiscountAmount, 0), PointAmount: or(r.PointAmount, 0), DeliveryFee: or(r.DeliveryFee, 0),
		PaymentAmount: or(r.PaymentAmount, 0), PaymentType: order.PaymentType(or(r.PaymentType, string(order.Credit))),
		PaymentToken: or(r.PaymentToken, ""), AddressID: or(r.ShippingAddressID, ""),
	}, nil
}

func (r *placeRequest) items(bad *faults) []order.PlaceItem {
	items := make([]order.PlaceItem, len(r.Items))
	for i, item := range r.Items {
		at := fmt.Sprintf("/items/%d", i)
		bad.missing(at+"/productId", item.ProductID == nil)
		bad.missing(at+"/quantity", item.Quantity == nil)
		id := or(item.ProductID, "-")
		bad.invalid(at+"/productId", id == "" || !text(id, maxID), "The id is 1 to 100 printable characters.")
		items[i] = order.PlaceItem{ProductID: id, Quantity: or(item.Quantity, 0), ProductPrice: item.ProductPrice}
	}
	return items
}

// coupons joins the one policy of the seeds' request and the list.
func (r *placeRequest) coupons(bad *faults) []string {
	refs := []string{}
	const detail = "The id is 1 to 100 printable characters."
	if id := or(r.DiscountPolicyID, "-"); r.DiscountPolicyID != nil {
		bad.invalid("/discountPolicyId", id == "" || !text(id, maxID), detail)
		refs = append(refs, id)
	}
	for i, id := range r.CouponIDs {
		bad.invalid(fmt.Sprintf("/couponIds/%d", i), id == "" || !text(id, maxID), detail)
		refs = append(refs, id)
	}
	return refs
}

// hash is over what a request means: spaces, the order of fields, null against absent and a value that
// is the default anyway make no difference. It tells two requests under one Idempotency-Key apart, and
// knows a double click.
func hash(method, path string, body any) ([]byte, error) {
	canonical, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	sum := sha256.Sum256([]byte(method + " " + path + "\n" + string(canonical)))
	return sum[:], nil
}

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }

// text says whether s can be stored and shown: valid UTF-8, printable, not longer than most characters.
func text(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// isOrderID: ids of orders are UUIDs in their usual form. Any other id is nobody's order.
func isOrderID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

func or[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}
