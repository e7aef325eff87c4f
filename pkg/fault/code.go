package fault

import (
	"net/http"
	"slices"
	"strings"
)

// The stable codes that machinery and services share. A code, once answered to a client, is never renamed.
const (
	CodeInvalidJSON            = "invalid_json"
	CodeUnknownField           = "unknown_field"
	CodeDuplicateField         = "duplicate_field"
	CodeInvalidField           = "invalid_field"
	CodeMissingField           = "missing_field"
	CodeInvalidParameter       = "invalid_parameter"
	CodeBodyTooLarge           = "body_too_large"
	CodeUnsupportedMediaType   = "unsupported_media_type"
	CodeMethodNotAllowed       = "method_not_allowed"
	CodeNotFound               = "not_found"
	CodeUnauthenticated        = "unauthenticated"
	CodeForbidden              = "forbidden"
	CodeRequestTimeout         = "request_timeout"
	CodeInvalidSignature       = "invalid_signature"
	CodeConflict               = "conflict"
	CodePriceChanged           = "price_changed"
	CodeAmountMismatch         = "amount_mismatch"
	CodeAddressRequired        = "address_required"
	CodeUnknownAddress         = "unknown_address"
	CodeAddressFixed           = "address_fixed"
	CodeUnknownProduct         = "unknown_product"
	CodeProductNotOnSale       = "product_not_on_sale"
	CodeNotOnSaleYet           = "not_on_sale_yet"
	CodeSaleOver               = "sale_over"
	CodeQuantityLimit          = "quantity_limit"
	CodeUnknownCoupon          = "unknown_coupon"
	CodeCouponNotValid         = "coupon_not_valid"
	CodeCouponLimitReached     = "coupon_limit_reached"
	CodeIdempotencyKeyReused   = "idempotency_key_reused"
	CodeAlreadyExists          = "already_exists"
	CodeProductExists          = "product_exists"
	CodePolicyExists           = "policy_exists"
	CodeEmailTaken             = "email_taken"
	CodeInvalidCredentials     = "invalid_credentials"
	CodeCurrencyMismatch       = "currency_mismatch"
	CodePaymentTypeUnavailable = "payment_type_unavailable"
	CodeNotCancelable          = "not_cancelable"
	CodeNotRefundable          = "not_refundable"
	CodeCartEmpty              = "cart_empty"
	CodeAddressLimitReached    = "address_limit_reached"
	CodeOrderParked            = "order_parked"
	CodeRateLimited            = "rate_limited"
	CodeServiceUnavailable     = "service_unavailable"
	CodeInternal               = "internal"
)

// Code is one row of the registry: what documentation lists and tests check answers against.
type Code struct {
	Name string
	// Status is the usual HTTP status of the code.
	Status int
	// Title is the problem's title, the same for every occurrence.
	Title string
	// Meaning is the sentence of the documentation.
	Meaning string
	// Retryable says that the same request, unchanged, may succeed later.
	Retryable bool
}

var registry = []Code{
	{CodeInvalidJSON, http.StatusBadRequest, "Malformed JSON", "The body is not one JSON value, or it is nested too deeply.", false},
	{CodeUnknownField, http.StatusBadRequest, "Unknown field", "The body has a field that this action does not know; it is refused, not ignored.", false},
	{CodeDuplicateField, http.StatusBadRequest, "Duplicate field", "A field stands twice in one object, so two readers could see two values.", false},
	{CodeInvalidField, http.StatusBadRequest, "Invalid field", "A field has the wrong type or a value outside its range.", false},
	{CodeMissingField, http.StatusBadRequest, "Missing field", "A required field is absent or null.", false},
	{CodeInvalidParameter, http.StatusBadRequest, "Invalid parameter", "A query parameter or header has a value that is not allowed.", false},
	{CodeUnauthenticated, http.StatusUnauthorized, "Not authenticated", "There is no bearer token, or it is not valid here.", false},
	{CodeInvalidCredentials, http.StatusUnauthorized, "Invalid credentials", "The e-mail address and the password do not belong together.", false},
	{CodeInvalidSignature, http.StatusUnauthorized, "Invalid signature", "A webhook's signature or timestamp does not hold.", false},
	{CodeForbidden, http.StatusForbidden, "Forbidden", "The caller is known and may not do this.", false},
	{CodeNotFound, http.StatusNotFound, "Not found", "There is no such thing, or it is somebody else's.", false},
	{CodeMethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed", "The path exists; the Allow header names its methods.", false},
	{CodeRequestTimeout, http.StatusRequestTimeout, "Request timeout", "The request did not arrive in time.", true},
	{CodeConflict, http.StatusConflict, "Conflict", "The state of the thing does not allow it.", false},
	{CodeNotCancelable, http.StatusConflict, "Not cancelable", "The order is dispatched or already ended.", false},
	{CodeNotRefundable, http.StatusConflict, "Not refundable", "There is nothing left to refund, or a refund is under way.", false},
	{CodeAddressFixed, http.StatusConflict, "Address fixed", "The order is no longer pending, so where it goes cannot be changed.", false},
	{CodeCouponLimitReached, http.StatusConflict, "Coupon limit reached", "Every coupon of this policy has been issued.", false},
	{CodeAlreadyExists, http.StatusConflict, "Already exists", "There is already one of that id with other content.", false},
	{CodeProductExists, http.StatusConflict, "Product exists", "There is already a product of that id.", false},
	{CodePolicyExists, http.StatusConflict, "Policy exists", "There is already a coupon policy of that id.", false},
	{CodeEmailTaken, http.StatusConflict, "E-mail address taken", "There is a member with this e-mail address.", false},
	{CodeBodyTooLarge, http.StatusRequestEntityTooLarge, "Body too large", "The body is larger than the limit.", false},
	{CodeUnsupportedMediaType, http.StatusUnsupportedMediaType, "Unsupported media type", "The body must be application/json.", false},
	{CodePriceChanged, http.StatusUnprocessableEntity, "Price changed", "A claimed product price is neither the current one nor, shortly after a change, the one before; nothing was ordered.", false},
	{CodeAmountMismatch, http.StatusUnprocessableEntity, "Amount mismatch", "The sum does not add up: items + deliveryFee - discount - points must be paymentAmount.", false},
	{CodeAddressRequired, http.StatusUnprocessableEntity, "Address required", "No shipping address was given and the member has no default one.", false},
	{CodeUnknownAddress, http.StatusUnprocessableEntity, "Unknown address", "The shipping address is not one of the member's.", false},
	{CodeUnknownProduct, http.StatusUnprocessableEntity, "Unknown product", "An item names a product that does not exist.", false},
	{CodeProductNotOnSale, http.StatusUnprocessableEntity, "Product not on sale", "An item names a product that is not sold at the moment.", false},
	{CodeNotOnSaleYet, http.StatusUnprocessableEntity, "Not on sale yet", "The sale of an item starts later; the detail says when.", false},
	{CodeSaleOver, http.StatusUnprocessableEntity, "Sale over", "The sale of an item has ended.", false},
	{CodeQuantityLimit, http.StatusUnprocessableEntity, "Quantity limit", "More pieces, of all items or of one product, than one order may hold.", false},
	{CodeUnknownCoupon, http.StatusUnprocessableEntity, "Unknown coupon", "There is no such coupon or policy.", false},
	{CodeCouponNotValid, http.StatusUnprocessableEntity, "Coupon not valid", "The coupon is used, expired or not for this order.", false},
	{CodeCurrencyMismatch, http.StatusUnprocessableEntity, "Currency mismatch", "The items of one order are of different currencies, or its points are worth another one.", false},
	{CodePaymentTypeUnavailable, http.StatusUnprocessableEntity, "Payment type unavailable", "This payment type cannot be used at the moment.", false},
	{CodeIdempotencyKeyReused, http.StatusUnprocessableEntity, "Idempotency key reused", "The Idempotency-Key was used before with another body.", false},
	{CodeCartEmpty, http.StatusUnprocessableEntity, "Cart empty", "There is nothing in the cart to order.", false},
	{CodeAddressLimitReached, http.StatusUnprocessableEntity, "Address limit reached", "The member, or this address, has as many as allowed.", false},
	{CodeRateLimited, http.StatusTooManyRequests, "Too many requests", "The limit of requests was reached; Retry-After says when to go on.", true},
	{CodeInternal, http.StatusInternalServerError, "Internal error", "Something failed here; the requestId finds it in the logs.", true},
	{CodeOrderParked, http.StatusServiceUnavailable, "Order parked", "The order waits for a person to repair it; it will go on.", true},
	{CodeServiceUnavailable, http.StatusServiceUnavailable, "Service unavailable", "The service cannot answer at the moment.", true},
}

var byName = func() map[string]Code {
	m := make(map[string]Code, len(registry))
	for _, c := range registry {
		m[c.Name] = c
	}
	return m
}()

// Codes returns every stable code sorted by name. Documentation lists it; a test holds all answers to it.
func Codes() []Code {
	all := slices.Clone(registry)
	slices.SortFunc(all, func(a, b Code) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Known tells whether the code is registered.
func Known(code string) bool {
	_, ok := byName[code]
	return ok
}

// lookup gives an unregistered code a readable title instead of failing: an answer to a customer is the wrong place to
// find a forgotten registration. The test over Codes is the right one.
func lookup(code string) Code {
	if c, ok := byName[code]; ok {
		return c
	}
	title := strings.ReplaceAll(code, "_", " ")
	if title != "" {
		title = strings.ToUpper(title[:1]) + title[1:]
	}
	return Code{Name: code, Status: http.StatusUnprocessableEntity, Title: title}
}
