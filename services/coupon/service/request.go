package service

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
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
	var bad faults
	bad.missing("/policyId", r.PolicyID == nil)
	bad.missing("/name", r.Name == nil)
	bad.missing("/discount", *r.Discount == discountRequest{})
	bad.missing("/limit", r.Limit == nil)
	bad.invalid("/policyId", r.PolicyID != nil && !isPolicyID(*r.PolicyID), "1 to 100 letters, digits, dots, underscores and hyphens.")
	bad.invalid("/name", r.Name != nil && (strings.TrimSpace(*r.Name) == "" || !isText(*r.Name, 200)), "1 to 200 characters without control characters.")
	bad.invalid("/currency", r.Currency != nil && !isCurrency(*r.Currency), "An ISO 4217 code of three capital letters.")
	bad.invalid("/discount", r.Discount.Amount != nil && r.Discount.Percent != nil, "Either an amount or a percent.")
	bad.invalid("/discount/maxAmount", r.Discount.MaxAmount != nil && r.Discount.Amount != nil, "Only a percentage has a bound.")
	for pointer, n := range map[string]*int64{
		"/discount/amount": r.Discount.Amount, "/discount/maxAmount": r.Discount.MaxAmount, "/limit": r.Limit,
	} {
		bad.invalid(pointer, n != nil && (*n < 1 || *n > largest), "An integer from 1 to 1000000000000.")
	}
	bad.invalid("/minimumAmount", r.MinimumAmount != nil && (*r.MinimumAmount < 0 || *r.MinimumAmount > largest), "An integer from 0 to 1000000000000.")
	bad.invalid("/validFrom", unlikely(r.ValidFrom), "A year from 1970 to 9999.")
	bad.invalid("/validUntil", unlikely(r.ValidUntil), "A year from 1970 to 9999.")
	if len(bad) > 0 {
		return coupon.CreatePolicy{}, fault.Invalid(bad.sorted()...)
	}
	if r.Currency != nil {
		currency = *r.Currency
	} else if r.Discount.Percent != nil && r.Discount.MaxAmount == nil && value(r.MinimumAmount) == 0 {
		currency = "" // a mere percentage holds in any
	}
	return coupon.CreatePolicy{
		PolicyID: *r.PolicyID, Name: *r.Name, Currency: currency,
		Amount: value(r.Discount.Amount), Percent: value(r.Discount.Percent), MaxAmount: value(r.Discount.MaxAmount),
		MinimumAmount: value(r.MinimumAmount), Limit: *r.Limit, ValidFrom: moment(r.ValidFrom), ValidUntil: moment(r.ValidUntil),
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
	var bad faults
	bad.missing("/itemsAmount", r.ItemsAmount == nil)
	bad.missing("/currency", r.Currency == nil)
	bad.invalid("/itemsAmount", r.ItemsAmount != nil && *r.ItemsAmount < 0, "Not negative.")
	bad.invalid("/currency", r.Currency != nil && !isCurrency(*r.Currency), "An ISO 4217 code of three capital letters.")
	bad.invalid("/couponRefs", len(r.CouponRefs) > 100, "At most 100.")
	for _, ref := range r.CouponRefs {
		if ref == "" || !isText(ref, longest) {
			bad.invalid("/couponRefs", true, "Each is the id of a coupon or of a policy.")
			break
		}
	}
	if len(bad) > 0 {
		return fault.Invalid(bad...)
	}
	return nil
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// moment is what the database keeps of a time: microseconds.
func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func unlikely(t *time.Time) bool { return t != nil && (t.Year() < 1970 || t.Year() > 9999) }
