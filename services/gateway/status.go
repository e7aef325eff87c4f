package gateway

import (
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// Seen is the set of event types that have been seen of an order, one bit each.
type Seen int64

// orderEvents gives every type of an order's event its bit. New ones go at the end: the numbers are stored. All of
// them are emitted or consumed by the order service, so each counts for an order's version.
var orderEvents = []string{
	"OrderCreated", "OrderCouponWaived", "OrderCompleted", "OrderCancelRequested", "OrderCancelled",
	"StockDecreased", "StockDecreaseFailed", "StockIncreased",
	"CouponUsed", "CouponUseFailed", "CouponReturned", "CouponUseCancelled",
	"PaymentCompleted", "PaymentFailed", "PaymentCancelled", "PaymentRefunded", "RefundFailed",
	"ShipmentPrepared", "ShipmentFailed", "ShipmentDispatched", "ShipmentDelivered",
	"ShipmentCancelled", "ShipmentCancelRefused",
}

var bitOf = func() map[string]Seen {
	bits := map[string]Seen{}
	for i, name := range orderEvents {
		bits[name] = 1 << i
	}
	return bits
}()

// Has tells whether an event of this short name was seen.
func (s Seen) Has(name string) bool { return s&bitOf[name] != 0 }

func (s Seen) with(name string) Seen { return s | bitOf[name] }

// CountsForVersion tells whether an event counts for its order's version: the order service emitted or consumed it.
func CountsForVersion(e Event) bool { return bitOf[e.Name()] != 0 }

// status follows from what was seen. A status never goes back: nothing unsets a bit, and what ends an order stands
// before what went on.
func (o Order) status() Status {
	switch {
	case o.Seen.Has("OrderCancelled") && o.undone():
		return Cancelled
	case o.Seen.Has("OrderCancelled"):
		return Cancelling
	case o.Seen.Has("ShipmentDelivered"):
		return Delivered
	case o.Seen.Has("ShipmentDispatched"):
		return Shipped
	case o.Seen.Has("OrderCompleted"):
		return Completed
	}
	return Pending
}

func (o Order) undone() bool {
	return o.UndoFrom == int32(orderv1.UndoFrom_UNDO_FROM_NOTHING) || o.Seen.Has("StockIncreased")
}

func (o Order) step() Step {
	switch o.Status {
	case Pending:
		return o.forward()
	case Cancelling:
		return o.back()
	case Completed, Shipped:
		if o.Seen.Has("ShipmentFailed") {
			return AtNothing
		}
		return AtShipping
	}
	return AtNothing
}

func (o Order) forward() Step {
	answered := o.Seen.Has("CouponUsed") || o.Seen.Has("CouponUseFailed") || o.Seen.Has("OrderCouponWaived")
	switch {
	case answered:
		return AtPayment
	case !o.Seen.Has("StockDecreased"):
		return AtStock
	case o.HasCoupons:
		return AtCoupon
	}
	return AtPayment
}

func (o Order) back() Step {
	switch from := orderv1.UndoFrom(o.UndoFrom); {
	case from == orderv1.UndoFrom_UNDO_FROM_PAYMENT && !o.Seen.Has("PaymentCancelled"):
		return AtUndoPayment
	case from != orderv1.UndoFrom_UNDO_FROM_STOCK && o.HasCoupons && !o.Seen.Has("CouponUseCancelled"):
		return AtUndoCoupon
	}
	return AtUndoStock
}

// WaitsFor says in words what an order waits for, "" if for nothing.
func (o Order) WaitsFor() string {
	switch o.Step {
	case AtStock:
		return "stock to take the pieces, or to refuse"
	case AtCoupon:
		return "coupon to accept the coupons, or to refuse"
	case AtPayment:
		return "payment to charge, or to refuse"
	case AtUndoPayment:
		return "payment to give the money back"
	case AtUndoCoupon:
		return "coupon to give the coupons back"
	case AtUndoStock:
		return "stock to take the pieces back"
	case AtShipping:
		return o.parcel()
	}
	if o.Seen.Has("PaymentCancelled") && o.Seen.Has("RefundFailed") && !o.Seen.Has("PaymentRefunded") {
		return "a person: the provider refused the refund"
	}
	return ""
}

func (o Order) parcel() string {
	switch {
	case o.Status == Completed && o.cancelAsked():
		return "shipping to stop the parcel, or to say that it is too late"
	case o.Status == Shipped:
		return "the carrier to deliver"
	case o.Seen.Has("ShipmentPrepared"):
		return "the carrier to pick the parcel up"
	}
	return "shipping to book the parcel"
}
