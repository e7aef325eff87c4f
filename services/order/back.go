package order

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// OnShipmentCancelled cancels a completed order whose parcel could be stopped.
func OnShipmentCancelled(w *World, e *shippingv1.ShipmentCancelled, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Completed {
			return nil
		}
		o.shipment("CANCELLED", o.Carrier, o.TrackingNumber, m)
		return []flow.Event{o.cancel(ByCustomer, orderv1.UndoFrom_UNDO_FROM_PAYMENT, m)}
	})
}

// OnShipmentCancelRefused ends the wish to cancel: the parcel is on its way.
func OnShipmentCancelRefused(w *World, e *shippingv1.ShipmentCancelRefused, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.CancelRequest == CancelRequested {
			o.CancelRequest = CancelNotAllowed
			o.changed(m)
		}
		return nil
	})
}

// OnPaymentCancelled notes that the money is as good as back. Topics have no order between them, so the
// undo may be further already, and progress does not go back.
func OnPaymentCancelled(w *World, e *paymentv1.PaymentCancelled, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.UndoPayment != UndoPending {
			return nil
		}
		o.UndoPayment = UndoDone
		if e.GetPaymentAmount() > 0 {
			o.UndoPayment = Refunding
		}
		o.changed(m)
		if o.hasCoupons() {
			o.advance(AtUndoCoupon, m)
		} else {
			o.advance(AtUndoStock, m)
		}
		return nil
	})
}

// OnPaymentRefunded notes that the provider has confirmed the refund.
func OnPaymentRefunded(w *World, e *paymentv1.PaymentRefunded, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.UndoPayment == Refunding || o.UndoPayment == RefundFailed {
			o.UndoPayment = RefundDone
			o.changed(m)
		}
		return nil
	})
}

// OnRefundFailed notes that a person has to bring the money back. The order itself is undone all the same.
func OnRefundFailed(w *World, e *paymentv1.RefundFailed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.UndoPayment == Refunding {
			o.UndoPayment = RefundFailed
			o.changed(m)
		}
		return nil
	})
}

// OnCouponReturned is for the version and the timeline: an order that went on without its coupon does
// not change when the coupon is back.
func OnCouponReturned(w *World, e *couponv1.CouponReturned, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(*Order) []flow.Event { return nil })
}

// OnCouponUseCancelled moves on to the last step of the undo.
func OnCouponUseCancelled(w *World, e *couponv1.CouponUseCancelled, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.UndoCoupon == UndoPending {
			o.UndoCoupon = UndoDone
			o.changed(m)
			o.advance(AtUndoStock, m)
		}
		return nil
	})
}

// OnStockIncreased ends the undo: every undo runs last step first, so nothing is left. The word of a step
// before may still be on its way to here; it changes only that step's own line.
func OnStockIncreased(w *World, e *stockv1.StockIncreased, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Cancelling {
			return nil
		}
		o.Status, o.UndoStock = Cancelled, UndoDone
		if o.UndoCoupon == UndoPending {
			o.UndoCoupon = UndoDone
		}
		o.advance(AtNothing, m)
		o.changed(m)
		return nil
	})
}
