package coupon

import (
	"time"

	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// assess finds the coupons an order refers to and says what they take off together, or why they cannot
// be used: also where they are worth something else than the customer claimed.
func assess(w *World, userID string, checkout *orderv1.Checkout, now time.Time) ([]Coupon, int64, couponv1.CouponUseFailReason) {
	coupons, discount, reason := total(w, userID, checkout, now)
	if reason == 0 && discount != checkout.GetDiscountAmount() {
		return nil, 0, couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_DISCOUNT_MISMATCH
	}
	return coupons, discount, reason
}

// Quote says what the coupons would take off at this moment, in minor units, or why they could not be
// used (0: they could). Nothing is reserved.
func Quote(w *World, userID string, checkout *orderv1.Checkout, now time.Time) (int64, couponv1.CouponUseFailReason) {
	_, discount, reason := total(w, userID, checkout, now)
	return discount, reason
}

// total adds up the coupons that are referred to, all or none. A ref is a policy the member holds a coupon
// of, or a coupon's id; two refs to one coupon are one. The sum is capped at what the items cost:
// delivery is never discounted.
func total(w *World, userID string, checkout *orderv1.Checkout, now time.Time) ([]Coupon, int64, couponv1.CouponUseFailReason) {
	var coupons []Coupon
	var discount int64
	taken := map[string]bool{}
	for _, ref := range checkout.GetCouponRefs() {
		c, held := find(w, userID, ref)
		if !held {
			return nil, 0, couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_NOT_HELD
		}
		if taken[c.CouponID] {
			continue
		}
		taken[c.CouponID] = true
		policy, known := w.Policies.Get(c.PolicyID)
		if !known {
			return nil, 0, couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_NOT_HELD
		}
		if reason := objection(c, policy, checkout, now); reason != 0 {
			return nil, 0, reason
		}
		coupons = append(coupons, c)
		// Capped with every step: the sum of a thousand coupons does not overflow either.
		discount = min(discount+Worth(policy, checkout.GetItemsAmount()), checkout.GetItemsAmount())
	}
	return coupons, discount, 0
}

// find looks a ref up, first as a policy and then as a coupon. Somebody else's coupon is not held.
func find(w *World, userID, ref string) (Coupon, bool) {
	id, byPolicy := w.Held.Get(HeldKey(ref, userID))
	if !byPolicy {
		id = ref
	}
	c, known := w.Coupons.Get(id)
	return c, known && c.UserID == userID
}

// objection is why a coupon that is held cannot be used; 0: it can.
func objection(c Coupon, p Policy, checkout *orderv1.Checkout, now time.Time) couponv1.CouponUseFailReason {
	switch {
	case c.UsedBy != "":
		return couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_ALREADY_USED
	case p.expired(now), now.Before(p.ValidFrom):
		return couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_OUT_OF_VALIDITY
	case p.Currency != "" && p.Currency != checkout.GetCurrency():
		return couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_CURRENCY_MISMATCH
	case checkout.GetItemsAmount() < p.MinimumAmount:
		return couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_BELOW_MINIMUM
	}
	return 0
}

// Worth is what one coupon of the policy takes off items of that sum: the amount, or the percentage
// rounded down and bounded by MaxAmount; never more than the items cost. Minor units.
func Worth(p Policy, items int64) int64 {
	if p.Amount > 0 {
		return min(p.Amount, items)
	}
	// Whole hundreds first: items*percent would overflow for sums no shop has, and this way none does.
	worth := items/100*p.Percent + items%100*p.Percent/100
	if p.MaxAmount > 0 {
		worth = min(worth, p.MaxAmount)
	}
	return min(worth, items)
}
