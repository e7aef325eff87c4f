package stock

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Topology is stock's part in the choreography.
var Topology = flow.Service("stock",
	flow.On(OnOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv1.StockDecreaseFailed{}),
	flow.On(OnOrderCancelled, undoneFromHere).Emits(&stockv1.StockIncreased{}),
	flow.On(OnPaymentCancelled, withoutCoupons).Emits(&stockv1.StockIncreased{}),
	flow.On(OnCouponUseCancelled).Emits(&stockv1.StockIncreased{}),
	flow.OnCommand(OnList).Emits(&stockv1.ProductListed{}),
	flow.OnCommand(OnRestock).Emits(&stockv1.StockRestocked{}),
	flow.OnCommand(OnRecount),
	flow.OnCommand(OnChange).Emits(&stockv1.ProductPriceChanged{}),
	flow.OnDeadline(OnLow).Emits(&stockv1.LowStockReached{}),
)

// undoneFromHere: nothing stands, or coupon does not stand, between what was refused and stock.
func undoneFromHere(e *orderv1.OrderCancelled) bool {
	from := e.GetUndoFrom()
	return from == orderv1.UndoFrom_UNDO_FROM_STOCK || from == orderv1.UndoFrom_UNDO_FROM_COUPON && !e.GetHasCoupons()
}

func withoutCoupons(e *paymentv1.PaymentCancelled) bool { return !e.GetHasCoupons() }
