package coupon

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Topology is coupon's part in the choreography.
var Topology = flow.Service("coupon",
	flow.On(OnStockDecreased, hasCoupons).Emits(&couponv1.CouponUsed{}, &couponv1.CouponUseFailed{}),
	flow.On(OnPaymentCompleted, couponWaived).Emits(&couponv1.CouponReturned{}),
	flow.On(OnOrderCancelled, undoneFromHere).Emits(&couponv1.CouponUseCancelled{}),
	flow.On(OnPaymentCancelled, (*paymentv1.PaymentCancelled).GetHasCoupons).Emits(&couponv1.CouponUseCancelled{}),
	flow.OnCommand(OnCreatePolicy),
	flow.OnCommand(OnIssue),
	flow.OnCommand(OnRecount),
)

// What concerns coupon at all: most orders have none.

func hasCoupons(e *stockv1.StockDecreased) bool { return len(e.GetCheckout().GetCouponRefs()) > 0 }

func couponWaived(e *paymentv1.PaymentCompleted) bool {
	return e.GetHasCoupons() && !e.GetCouponCounted()
}

func undoneFromHere(e *orderv1.OrderCancelled) bool {
	return e.GetHasCoupons() && e.GetUndoFrom() == orderv1.UndoFrom_UNDO_FROM_COUPON
}
