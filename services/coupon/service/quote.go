package service

import (
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/fault"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
)

// quoteView is what coupons would take off now, in minor units; where they could not be used,
// DiscountAmount is 0 and Problem says why.
type quoteView struct {
	DiscountAmount int64         `json:"discountAmount"`
	Problem        *quoteProblem `json:"problem"`
}

type quoteProblem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// problems says for callers what CouponUseFailed would say to the other services.
var problems = map[couponv1.CouponUseFailReason]quoteProblem{
	couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_NOT_HELD:          {fault.CodeUnknownCoupon, "The member holds no such coupon."},
	couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_ALREADY_USED:      {fault.CodeCouponNotValid, "The coupon is used already."},
	couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_OUT_OF_VALIDITY:   {fault.CodeCouponNotValid, "The coupon is not valid yet, or no longer."},
	couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_BELOW_MINIMUM:     {fault.CodeCouponNotValid, "The items cost less than the coupon's minimum."},
	couponv1.CouponUseFailReason_COUPON_USE_FAIL_REASON_CURRENCY_MISMATCH: {fault.CodeCouponNotValid, "The coupon is of another currency."},
}

// quoteOf shows a quote.
func quoteOf(discount int64, reason couponv1.CouponUseFailReason) (quoteView, error) {
	if reason == 0 {
		return quoteView{DiscountAmount: discount}, nil
	}
	problem, known := problems[reason]
	if !known {
		return quoteView{}, fmt.Errorf("no words for the refusal %s", reason)
	}
	return quoteView{Problem: &problem}, nil
}
