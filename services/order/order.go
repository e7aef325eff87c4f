package order

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// step applies one event to its order. Every event counts into the order's version, ignored or not: the
// inbox has made them distinct. An event of an order that is not known changes nothing; it cannot
// happen, as OrderCreated was committed with the order.
func step(w *World, orderID string, m flow.Meta, decide func(o *Order) []flow.Event) []flow.Event {
	o, known := w.Orders.Get(orderID)
	if !known {
		return nil
	}
	o.Version++
	events := decide(&o)
	o.Version += int64(len(events))
	w.Orders.Put(orderID, o)
	return events
}

// changed notes when the order last changed in a way a caller can see.
func (o *Order) changed(m flow.Meta) { o.UpdatedAt = m.Now }

// rank orders the steps: what an order waits for only ever moves on, in whichever order the topics are read.
var rank = map[Progress]int{
	AtStock: 1, AtCoupon: 2, AtPayment: 3, AtShipping: 4, AtUndoPayment: 5, AtUndoCoupon: 6, AtUndoStock: 7, AtNothing: 8,
}

// advance moves progress on, never back.
func (o *Order) advance(to Progress, m flow.Meta) {
	if rank[to] > rank[o.Progress] {
		o.Progress = to
		o.changed(m)
	}
}

func (o *Order) hasCoupons() bool { return len(o.CouponRefs) > 0 }

// cancel is the one way an order is cancelled. It is called under the order's lock with the order PENDING
// or COMPLETED and not dispatched, so OrderCancelled is emitted once; what comes forward afterwards finds
// the order cancelled and changes nothing.
func (o *Order) cancel(reason Reason, from orderv1.UndoFrom, m flow.Meta) flow.Event {
	o.Status, o.Reason = Cancelling, reason
	o.CouponDeadlineAt = noTime
	o.UndoPayment, o.UndoCoupon, o.UndoStock = UndoNone, UndoNone, UndoNone
	switch from {
	case orderv1.UndoFrom_UNDO_FROM_NOTHING:
		// Nobody will answer.
		o.Status, o.Progress = Cancelled, AtNothing
	case orderv1.UndoFrom_UNDO_FROM_STOCK:
		o.UndoStock, o.Progress = UndoPending, AtUndoStock
	case orderv1.UndoFrom_UNDO_FROM_COUPON:
		o.undoBeforePayment()
	default:
		o.undoBeforePayment()
		o.UndoPayment, o.Progress = UndoPending, AtUndoPayment
	}
	o.changed(m)
	return &orderv1.OrderCancelled{
		OrderId: o.OrderID, UserId: o.UserID, Reason: reasonCode(reason), UndoFrom: from,
		HasCoupons: o.hasCoupons(), CancelledAt: timestamppb.New(m.Now),
	}
}

func (o *Order) undoBeforePayment() {
	o.UndoStock, o.Progress = UndoPending, AtUndoStock
	if o.hasCoupons() {
		o.UndoCoupon, o.Progress = UndoPending, AtUndoCoupon
	}
}

func reasonCode(r Reason) orderv1.CancelReason {
	return orderv1.CancelReason(orderv1.CancelReason_value["CANCEL_REASON_"+string(r)])
}

// OnDue looks whether a deadline of a pending order has passed: its own, or that of the coupon step.
func OnDue(w *World, d Due, m flow.Meta) []flow.Event {
	o, known := w.Orders.Get(d.OrderID)
	if !known || o.Status != Pending {
		return nil
	}
	var event flow.Event
	switch {
	case !m.Now.Before(o.DeadlineAt):
		event = flow.Because(o.CreatedEvent, o.cancel(TimedOut, orderv1.UndoFrom_UNDO_FROM_PAYMENT, m))
	case !o.CouponDeadlineAt.IsZero() && !m.Now.Before(o.CouponDeadlineAt):
		event = flow.Because(o.StockEvent, o.waive(m))
	default:
		return nil
	}
	o.Version++
	w.Orders.Put(o.OrderID, o)
	return []flow.Event{event}
}

// waive goes on without the coupon. It is emitted once: the deadline is gone with it.
func (o *Order) waive(m flow.Meta) flow.Event {
	o.CouponDeadlineAt, o.CouponWaived = noTime, true
	o.advance(AtPayment, m)
	return &orderv1.OrderCouponWaived{
		OrderId: o.OrderID, UserId: o.UserID, Checkout: checkoutOf(*o), WaivedAt: timestamppb.New(m.Now),
	}
}
