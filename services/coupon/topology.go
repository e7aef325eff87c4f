package coupon

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
)

// Topology is coupon's part in the choreography.
var Topology = flow.Service("coupon",
	flow.On(OnStockDecreased).Emits(&couponv1.CouponUsed{}, &couponv1.CouponUseFailed{}),
	flow.On(OnPaymentCompleted).Emits(&couponv1.CouponReturned{}),
	flow.On(OnOrderCancelled).Emits(&couponv1.CouponUseCancelled{}),
	flow.On(OnPaymentCancelled).Emits(&couponv1.CouponUseCancelled{}),
	flow.OnCommand(OnCreatePolicy),
	flow.OnCommand(OnIssue),
	flow.OnCommand(OnRecount),
)
