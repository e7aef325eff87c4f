package payment

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// The words of PaymentFailed that are ours; others are the provider's own codes.
const (
	FailDeclined   = "DECLINED"
	FailPoints     = "INSUFFICIENT_POINTS"
	FailNotCharged = "NOT_CHARGED" // no answer of the provider, and its key was closed unused
)

// OnStockDecreased takes the payment of an order without coupons. With coupons, coupon comes first.
func OnStockDecreased(w *World, e *stockv1.StockDecreased, m flow.Meta) []flow.Event {
	if !withoutCoupons(e) {
		return nil
	}
	return open(w, attempt{orderID: e.GetOrderId(), userID: e.GetUserId(), checkout: e.GetCheckout()}, m)
}

// OnCouponUsed takes the payment less the discount that was granted.
func OnCouponUsed(w *World, e *couponv1.CouponUsed, m flow.Meta) []flow.Event {
	return open(w, attempt{
		orderID: e.GetOrderId(), userID: e.GetUserId(), checkout: e.GetCheckout(),
		discount: e.GetDiscountAmount(), counted: true,
	}, m)
}

// OnCouponUseFailed takes the full price where the customer agreed to it; else order cancels.
func OnCouponUseFailed(w *World, e *couponv1.CouponUseFailed, m flow.Meta) []flow.Event {
	if e.GetCouponFailurePolicy() != orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE {
		return nil
	}
	return open(w, attempt{orderID: e.GetOrderId(), userID: e.GetUserId(), checkout: e.GetCheckout()}, m)
}

// OnOrderCouponWaived takes the full price: coupon did not answer in time. Where CouponUsed comes after
// all, or came before, the first of the two has opened the payment and the other finds it open.
func OnOrderCouponWaived(w *World, e *orderv1.OrderCouponWaived, m flow.Meta) []flow.Event {
	return open(w, attempt{orderID: e.GetOrderId(), userID: e.GetUserId(), checkout: e.GetCheckout()}, m)
}

// attempt is what one of the triggers asks for.
type attempt struct {
	orderID, userID string
	checkout        *orderv1.Checkout
	discount        int64
	counted         bool
}

// open makes the order's one attempt: points are reserved in this transaction, the card is charged by a
// call, and a failure of the card gives the points back. Whatever opened or cancelled the payment before
// wins: a second trigger would charge twice, one after the undo would charge a cancelled order.
func open(w *World, a attempt, m flow.Meta) []flow.Event {
	if _, known := w.Payments.Get(a.orderID); known {
		return nil
	}
	p := Payment{
		// The decision emits one event at most; the next id is free.
		OrderID: a.orderID, PaymentID: m.EventID(1), UserID: a.userID, Refund: NoRefund,
		Discount: a.discount, CouponCounted: a.counted, HasCoupons: len(a.checkout.GetCouponRefs()) > 0,
		Currency: a.checkout.GetCurrency(), PaymentType: a.checkout.GetPaymentType().String(),
		OpenedBy: m.Cause, CreatedAt: m.Now,
	}
	p.Token = a.checkout.GetPaymentToken()
	p.Amount, p.Points = price(a)
	if !takePoints(w, p, m) {
		p.Points = 0
		return fail(w, p, FailPoints, m)
	}
	if p.Amount == 0 {
		return complete(w, p, "", m)
	}
	p.State = Charging
	put(w, p, m)
	w.Call(flow.Call{Subject: p.OrderID, Kind: CallCharge, Body: ChargeCall{
		Key: chargeKey(p.OrderID), OrderID: p.OrderID, Token: p.Token, UserID: p.UserID,
		Amount: p.Amount, Currency: p.Currency, Transfer: p.byTransfer(),
	}})
	return nil
}

// price says what card and points have to pay. An order paid with points alone pays the full price in
// points too where its coupon did not count: the customer named no card.
func price(a attempt) (amount, points int64) {
	c := a.checkout
	points = c.GetPointAmount()
	amount = max(c.GetItemsAmount()+c.GetDeliveryFee()-a.discount-points, 0)
	if c.GetPaymentType() == orderv1.PaymentType_PAYMENT_TYPE_POINT {
		return 0, points + amount
	}
	return amount, points
}

// byTransfer: the buyer pays into an account, in their own time.
func (p Payment) byTransfer() bool {
	return p.PaymentType == orderv1.PaymentType_PAYMENT_TYPE_TRANSFER.String()
}

// chargeKey is the provider's idempotency key: an order is charged under one key only.
func chargeKey(orderID string) string { return "charge-" + orderID }

func put(w *World, p Payment, m flow.Meta) {
	p.UpdatedAt = m.Now
	w.Payments.Put(p.OrderID, p)
}

// complete ends the attempt with everything taken.
func complete(w *World, p Payment, chargeID string, m flow.Meta) []flow.Event {
	p.State, p.ChargeID = Completed, chargeID
	put(w, p, m)
	return []flow.Event{flow.Because(p.OpenedBy, &paymentv1.PaymentCompleted{
		OrderId: p.OrderID, UserId: p.UserID, PaymentId: p.PaymentID, PaymentAmount: p.Amount, PointAmount: p.Points,
		DiscountAmount: p.Discount, CouponCounted: p.CouponCounted, HasCoupons: p.HasCoupons, Currency: p.Currency,
		PaymentType: orderv1.PaymentType(orderv1.PaymentType_value[p.PaymentType]), CompletedAt: timestamppb.New(m.Now),
	})}
}

// fail ends the attempt with nothing taken.
func fail(w *World, p Payment, reason string, m flow.Meta) []flow.Event {
	returnPoints(w, &p, m)
	p.State, p.FailReason = Failed, reason
	put(w, p, m)
	return []flow.Event{flow.Because(p.OpenedBy, &paymentv1.PaymentFailed{
		OrderId: p.OrderID, UserId: p.UserID, Reason: reason, FailedAt: timestamppb.New(m.Now),
	})}
}

// OnOrderCancelled undoes where the undo begins here. A charge in flight is not guessed about: its key is
// closed at the provider, whose answer says whether there is money to give back. Closing it, instead of
// waiting for the charge, also stops one that was not sent yet. A transfer nobody has paid is closed first,
// too: its account is open, and money may be on its way into it.
func OnOrderCancelled(w *World, e *orderv1.OrderCancelled, m flow.Meta) []flow.Event {
	if !undoneFromHere(e) {
		return nil
	}
	p, known := w.Payments.Get(e.GetOrderId())
	if !known {
		p = Payment{OrderID: e.GetOrderId(), UserID: e.GetUserId(), Refund: NoRefund, CreatedAt: m.Now}
	}
	if p.State == Cancelled || p.State == Closing {
		return nil
	}
	p.HasCoupons, p.CancelledBy = e.GetHasCoupons(), m.Cause
	switch p.State {
	case Charging:
		w.Withdraw(p.OrderID, CallCharge)
	case Asking:
		w.Withdraw(p.OrderID, CallAskCharge)
	case Voiding, Awaiting:
	default:
		return cancel(w, p, p.State == Completed, m)
	}
	if p.State != Voiding {
		w.Call(voidCall(p))
	}
	p.State = Closing
	put(w, p, m)
	return nil
}

func voidCall(p Payment) flow.Call {
	return flow.Call{Subject: p.OrderID, Kind: CallVoid, Body: p.KeyCall()}
}

// cancel decides the refund: from now on it is durable, and the steps before may undo. The card's part
// is confirmed later. What was never taken is answered too, with 0.
func cancel(w *World, p Payment, captured bool, m flow.Meta) []flow.Event {
	points := p.Points
	returnPoints(w, &p, m)
	amount := int64(0)
	if captured {
		amount = p.Amount
	}
	p.State, p.CancelEvent = Cancelled, m.EventID(0)
	if amount > 0 {
		p.Refund = RefundPending
		w.Call(flow.Call{Subject: p.OrderID, Kind: CallRefund, Body: p.RefundCall()})
	}
	put(w, p, m)
	return []flow.Event{flow.Because(p.CancelledBy, &paymentv1.PaymentCancelled{
		OrderId: p.OrderID, UserId: p.UserID, HasCoupons: p.HasCoupons, PaymentAmount: amount, PointAmount: points,
		Currency: p.Currency, CancelledAt: timestamppb.New(m.Now),
	})}
}

// RefundCall is what the payment's refund is asked for with.
func (p Payment) RefundCall() RefundCall {
	return RefundCall{
		Key: "refund-" + p.OrderID, OrderID: p.OrderID, ChargeID: p.ChargeID, Amount: p.Amount, Currency: p.Currency,
	}
}
