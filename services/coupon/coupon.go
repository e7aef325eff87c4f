package coupon

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// OnStockDecreased uses the order's coupons, all or none. Where the payment went on without them, or the
// undo came first, the row that left refuses them, silently: nobody waits for the answer any more.
func OnStockDecreased(w *World, e *stockv1.StockDecreased, m flow.Meta) []flow.Event {
	refs := e.GetCheckout().GetCouponRefs()
	if _, known := w.Uses.Get(e.GetOrderId()); known || len(refs) == 0 {
		return nil
	}
	use := Use{OrderID: e.GetOrderId(), UserID: e.GetUserId(), CreatedAt: m.Now, UpdatedAt: m.Now}
	coupons, discount, reason := assess(w, e.GetUserId(), e.GetCheckout(), m.Now)
	if reason != 0 {
		use.State = Refused
		w.Uses.Put(use.OrderID, use)
		return []flow.Event{&couponv1.CouponUseFailed{
			OrderId: use.OrderID, UserId: use.UserID, Reason: reason, Checkout: e.GetCheckout(),
			CouponFailurePolicy: e.GetCheckout().GetCouponFailurePolicy(), FailedAt: timestamppb.New(m.Now),
		}}
	}
	use.State, use.Discount = Used, discount
	for _, c := range coupons {
		c.UsedBy, c.UsedAt = use.OrderID, m.Now
		w.Coupons.Put(c.CouponID, c)
		use.CouponIDs = append(use.CouponIDs, c.CouponID)
	}
	w.Uses.Put(use.OrderID, use)
	return []flow.Event{&couponv1.CouponUsed{
		OrderId: use.OrderID, UserId: use.UserID, CouponIds: use.CouponIDs, DiscountAmount: discount,
		Checkout: e.GetCheckout(), UsedAt: timestamppb.New(m.Now),
	}}
}

// OnPaymentCompleted follows the payment's word on whether the coupon counted. One that was waived is
// refused from now on, or given back where it was used meanwhile: CouponReturned, which undoes nothing
// further.
func OnPaymentCompleted(w *World, e *paymentv1.PaymentCompleted, m flow.Meta) []flow.Event {
	if !couponWaived(e) {
		return nil
	}
	use, known := w.Uses.Get(e.GetOrderId())
	switch {
	case !known:
		w.Uses.Put(e.GetOrderId(), Use{
			OrderID: e.GetOrderId(), UserID: e.GetUserId(), State: Closed, CreatedAt: m.Now, UpdatedAt: m.Now,
		})
		return nil
	case use.State != Used:
		return nil
	}
	release(w, use)
	use.State, use.UpdatedAt = GivenBack, m.Now
	w.Uses.Put(use.OrderID, use)
	return []flow.Event{&couponv1.CouponReturned{
		OrderId: use.OrderID, UserId: use.UserID, CouponIds: use.CouponIDs, ReturnedAt: timestamppb.New(m.Now),
	}}
}

// OnOrderCancelled undoes where the undo begins here. One that begins at payment comes by way of
// PaymentCancelled; one that begins at stock means that coupon has refused.
func OnOrderCancelled(w *World, e *orderv1.OrderCancelled, m flow.Meta) []flow.Event {
	if !undoneFromHere(e) {
		return nil
	}
	return undo(w, e.GetOrderId(), e.GetUserId(), m)
}

// OnPaymentCancelled undoes: the step after coupon has been undone.
func OnPaymentCancelled(w *World, e *paymentv1.PaymentCancelled, m flow.Meta) []flow.Event {
	if !e.GetHasCoupons() {
		return nil
	}
	return undo(w, e.GetOrderId(), e.GetUserId(), m)
}

// undo gives back what is used and answers also where nothing is: stock waits for the word. The row it
// leaves refuses a late StockDecreased for good.
func undo(w *World, orderID, userID string, m flow.Meta) []flow.Event {
	use, known := w.Uses.Get(orderID)
	if use.State == Cancelled {
		return nil
	}
	if !known {
		use = Use{OrderID: orderID, UserID: userID, CreatedAt: m.Now}
	}
	back := &couponv1.CouponUseCancelled{OrderId: orderID, UserId: userID, CancelledAt: timestamppb.New(m.Now)}
	if use.State == Used {
		release(w, use)
		back.CouponIds = use.CouponIDs
	}
	use.State, use.UpdatedAt = Cancelled, m.Now
	w.Uses.Put(orderID, use)
	return []flow.Event{back}
}

// release makes the coupons of a use the member's again. One that another order uses is not touched.
func release(w *World, use Use) {
	for _, id := range use.CouponIDs {
		c, known := w.Coupons.Get(id)
		if !known || c.UsedBy != use.OrderID {
			continue
		}
		c.UsedBy, c.UsedAt = "", time.Time{}
		w.Coupons.Put(id, c)
	}
}
