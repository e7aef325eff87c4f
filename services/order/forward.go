package order

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

var noTime time.Time

// OnStockDecreased moves on to the next step, and starts the coupon step's own deadline where the order
// may go on without its coupon. Coupon's answer may have come before: then there is nothing to wait for.
func OnStockDecreased(w *World, e *stockv1.StockDecreased, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Pending || o.StockDecreased {
			return nil
		}
		o.StockDecreased, o.StockEvent = true, m.Cause
		if !o.hasCoupons() {
			o.advance(AtPayment, m)
			return nil
		}
		o.advance(AtCoupon, m)
		if o.CouponPolicy == PayFullPrice && !o.CouponAnswered {
			o.CouponDeadlineAt = m.Now.Add(o.CouponTimeout)
		}
		return nil
	})
}

// OnStockDecreaseFailed ends the order at once: nothing happened, so nobody has anything to undo.
func OnStockDecreaseFailed(w *World, e *stockv1.StockDecreaseFailed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Pending {
			// Cancelled meanwhile: that undo is running and will find nothing to give back.
			return nil
		}
		return []flow.Event{o.cancel(OutOfStock, orderv1.UndoFrom_UNDO_FROM_NOTHING, m)}
	})
}

// OnCouponUsed moves on to the payment.
func OnCouponUsed(w *World, e *couponv1.CouponUsed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		o.couponAnswered(m)
		return nil
	})
}

// couponAnswered ends the wait for coupon. The answer may come before StockDecreased is read.
func (o *Order) couponAnswered(m flow.Meta) {
	if o.Status != Pending {
		return
	}
	o.CouponAnswered, o.CouponDeadlineAt = true, noTime
	o.advance(AtPayment, m)
}

// OnCouponUseFailed does what the customer said: cancel, or pay the full price.
func OnCouponUseFailed(w *World, e *couponv1.CouponUseFailed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Pending {
			return nil
		}
		if o.CouponPolicy == PayFullPrice {
			o.couponAnswered(m)
			return nil
		}
		return []flow.Event{o.cancel(CouponRejected, orderv1.UndoFrom_UNDO_FROM_STOCK, m)}
	})
}

// OnPaymentCompleted is the pivot: the order row, under its lock, decides between complete and cancel. A
// payment that finds the order cancelled changes nothing: the undo that is running gives the money back.
func OnPaymentCompleted(w *World, e *paymentv1.PaymentCompleted, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Pending {
			return nil
		}
		o.Status, o.CouponDeadlineAt = Completed, noTime
		o.DiscountAmount, o.PointAmount, o.PaymentAmount = e.GetDiscountAmount(), e.GetPointAmount(), e.GetPaymentAmount()
		o.advance(AtShipping, m)
		o.changed(m)
		return []flow.Event{&orderv1.OrderCompleted{
			OrderId: o.OrderID, UserId: o.UserID, OrderItems: itemsOf(*o), DiscountAmount: o.DiscountAmount,
			DeliveryFee: o.DeliveryFee, PointAmount: o.PointAmount, PaymentAmount: o.PaymentAmount,
			Currency: o.Currency, ShippingAddressId: o.AddressID, CompletedAt: timestamppb.New(m.Now),
		}}
	})
}

// OnPaymentFailed cancels: coupon and stock undo, payment has taken nothing.
func OnPaymentFailed(w *World, e *paymentv1.PaymentFailed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Pending {
			return nil
		}
		return []flow.Event{o.cancel(PaymentDeclined, orderv1.UndoFrom_UNDO_FROM_COUPON, m)}
	})
}

// OnShipmentPrepared notes the parcel.
func OnShipmentPrepared(w *World, e *shippingv1.ShipmentPrepared, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.ShipmentStatus == "" {
			o.shipment("PREPARED", e.GetCarrier(), e.GetTrackingNumber(), m)
		}
		return nil
	})
}

func (o *Order) shipment(status, carrier, trackingNumber string, m flow.Meta) {
	o.ShipmentStatus, o.Carrier, o.TrackingNumber = status, carrier, trackingNumber
	o.changed(m)
}

// OnShipmentFailed cancels a completed order: there will be no parcel. Where a cancel was asked for, this
// is its answer.
func OnShipmentFailed(w *World, e *shippingv1.ShipmentFailed, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status != Completed {
			return nil
		}
		o.shipment("FAILED", o.Carrier, o.TrackingNumber, m)
		reason := ShippingFailed
		if o.CancelRequest == CancelRequested {
			reason = ByCustomer
		}
		return []flow.Event{o.cancel(reason, orderv1.UndoFrom_UNDO_FROM_PAYMENT, m)}
	})
}

// OnShipmentDispatched notes that the order can no longer be cancelled.
func OnShipmentDispatched(w *World, e *shippingv1.ShipmentDispatched, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status == Completed {
			o.Status = Shipped
			o.advance(AtNothing, m)
			o.shipment("DISPATCHED", e.GetCarrier(), e.GetTrackingNumber(), m)
		}
		return nil
	})
}

// OnShipmentDelivered ends the order.
func OnShipmentDelivered(w *World, e *shippingv1.ShipmentDelivered, m flow.Meta) []flow.Event {
	return step(w, e.GetOrderId(), m, func(o *Order) []flow.Event {
		if o.Status == Completed || o.Status == Shipped {
			o.Status = Delivered
			o.advance(AtNothing, m)
			o.shipment("DELIVERED", e.GetCarrier(), e.GetTrackingNumber(), m)
		}
		return nil
	})
}
