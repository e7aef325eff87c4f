package service

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/coupon"
)

// largest is the largest amount and limit that is taken: far above any shop's, and sums of it fit.
const largest = 1_000_000_000_000

// policyRequest is POST /ops/v1/coupon-policies. Reason is the operator's, for the audit.
type policyRequest struct {
	PolicyID      *string          `json:"policyId"`
	Name          *string          `json:"name"`
	Discount      *discountRequest `json:"discount"`
	MinimumAmount *int64           `json:"minimumAmount"`
	Currency      *string          `json:"currency"`
	Limit         *int64           `json:"limit"`
	ValidFrom     *time.Time       `json:"validFrom"`
	ValidUntil    *time.Time       `json:"validUntil"`
	Reason        *string          `json:"reason"`
}

// discountRequest has an amount, or a percent with or without a bound.
type discountRequest struct {
	Amount    *int64 `json:"amount"`
	Percent   *int64 `json:"percent"`
	MaxAmount *int64 `json:"maxAmount"`
}

// command checks the form; what the values mean to each other is the decision's to judge.
func (r policyRequest) command(currency string) (coupon.CreatePolicy, error) {
	if r.Discount == nil {
		r.Discount = &discountRequest{}
	}
	var bad web.Fields
	bad.Missing("/policyId", r.PolicyID == nil)
	bad.Missing("/name", r.Name == nil)
	bad.Missing("/discount", *r.Discount == discountRequest{})
	bad.Missing("/limit", r.Limit == nil)
	bad.Invalid("/policyId", r.PolicyID != nil && !isPolicyID(*r.PolicyID), "1 to 100 letters, digits, dots, underscores and hyphens.")
	bad.Invalid("/name", r.Name != nil && (strings.TrimSpace(*r.Name) == "" || !web.Printable(*r.Name, 200)), "1 to 200 characters without control characters.")
	bad.Invalid("/currency", r.Currency != nil && !web.IsCurrency(*r.Currency), "An ISO 4217 code of three capital letters.")
	bad.Invalid("/discount", r.Discount.Amount != nil && r.Discount.Percent != nil, "Either an amount or a percent.")
	bad.Invalid("/discount/maxAmount", r.Discount.MaxAmount != nil && r.Discount.Amount != nil, "Only a percentage has a bound.")
	outside := func(n *int64, least int64) bool { return n != nil && (*n < least || *n > largest) }
	bad.Invalid("/discount/amount", outside(r.Discount.Amount, 1), "An integer from 1 to 1000000000000.")
	bad.Invalid("/discount/maxAmount", outside(r.Discount.MaxAmount, 1), "An integer from 1 to 1000000000000.")
	bad.Invalid("/minimumAmount", outside(r.MinimumAmount, 0), "An integer from 0 to 1000000000000.")
	bad.Invalid("/limit", outside(r.Limit, 1), "An integer from 1 to 1000000000000.")
	bad.Invalid("/validFrom", unlikely(r.ValidFrom), "A year from 1970 to 9999.")
	bad.Invalid("/validUntil", unlikely(r.ValidUntil), "A year from 1970 to 9999.")
	if err := bad.Err(); err != nil {
		return coupon.CreatePolicy{}, err
	}
	if r.Currency != nil {
		currency = *r.Currency
	} else if r.Discount.Percent != nil && r.Discount.MaxAmount == nil && web.Or(r.MinimumAmount, 0) == 0 {
		currency = "" // a mere percentage holds in any
	}
	return coupon.CreatePolicy{
		PolicyID: *r.PolicyID, Name: *r.Name, Currency: currency,
		Amount: web.Or(r.Discount.Amount, 0), Percent: web.Or(r.Discount.Percent, 0), MaxAmount: web.Or(r.Discount.MaxAmount, 0),
		MinimumAmount: web.Or(r.MinimumAmount, 0), Limit: *r.Limit, ValidFrom: moment(r.ValidFrom), ValidUntil: moment(r.ValidUntil),
	}, nil
}

// quoteRequest is POST /api/v1/coupons/quote. UserID, where given, must be the caller.
type quoteRequest struct {
	UserID      *string  `json:"userId"`
	CouponRefs  []string `json:"couponRefs"`
	ItemsAmount *int64   `json:"itemsAmount"`
	Currency    *string  `json:"currency"`
}

func (r quoteRequest) check() error {
	var bad web.Fields
	bad.Missing("/itemsAmount", r.ItemsAmount == nil)
	bad.Missing("/currency", r.Currency == nil)
	bad.Invalid("/itemsAmount", r.ItemsAmount != nil && *r.ItemsAmount < 0, "Not negative.")
	bad.Invalid("/currency", r.Currency != nil && !web.IsCurrency(*r.Currency), "An ISO 4217 code of three capital letters.")
	bad.Invalid("/couponRefs", len(r.CouponRefs) > 100, "At most 100.")
	for _, ref := range r.CouponRefs {
		if ref == "" || !web.Printable(ref, longest) {
			bad.Invalid("/couponRefs", true, "Each is the id of a coupon or of a policy.")
			break
		}
	}
	return bad.Err()
}

// moment is what the database keeps of a time: microseconds.
func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func unlikely(t *time.Time) bool { return t != nil && (t.Year() < 1970 || t.Year() > 9999) }
