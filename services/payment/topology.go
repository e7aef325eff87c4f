package payment

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

var (
	completed = &paymentv1.PaymentCompleted{}
	failed    = &paymentv1.PaymentFailed{}
	cancelled = &paymentv1.PaymentCancelled{}
)

// Topology is payment's part in the choreography.
var Topology = flow.Service("payment",
	flow.On(OnStockDecreased, withoutCoupons).Emits(completed, failed).Calls(CallCharge),
	flow.On(OnCouponUsed).Emits(completed, failed).Calls(CallCharge),
	flow.On(OnCouponUseFailed).Emits(completed, failed).Calls(CallCharge),
	flow.On(OnOrderCouponWaived).Emits(completed, failed).Calls(CallCharge),
	flow.On(OnOrderCancelled, undoneFromHere).Emits(cancelled).Calls(CallVoid, CallRefund),
	flow.OnAnswer(OnCharged).Emits(completed, failed).Calls(CallAskCharge),
	flow.OnAnswer(OnChargeAsked).Emits(completed, failed).Calls(CallVoid),
	flow.OnAnswer(OnChargeVoided).Emits(completed, failed, cancelled).Calls(CallRefund),
	flow.OnAnswer(OnRefunded).Emits(&paymentv1.PaymentRefunded{}, &paymentv1.RefundFailed{}).Calls(CallAskRefund),
	flow.OnAnswer(OnRefundAsked).Emits(&paymentv1.PaymentRefunded{}, &paymentv1.RefundFailed{}),
	flow.OnCommand(OnNotify).Emits(completed, failed, cancelled).Calls(CallRefund),
	flow.OnCommand(OnNotifyRefund).Emits(&paymentv1.PaymentRefunded{}),
	flow.OnCommand(OnGrantPoints),
	flow.OnCommand(OnRecount),
)

// withoutCoupons: of an order with coupons, coupon's answer comes first.
func withoutCoupons(e *stockv1.StockDecreased) bool { return len(e.GetCheckout().GetCouponRefs()) == 0 }

func undoneFromHere(e *orderv1.OrderCancelled) bool {
	return e.GetUndoFrom() == orderv1.UndoFrom_UNDO_FROM_PAYMENT
}
