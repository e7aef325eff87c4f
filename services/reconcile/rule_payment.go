package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

const paymentAdvice = "The provider's own books under charge-ORDER and refund-ORDER, the order's timeline, and the row in payment."

func (v View) wrongPayment(rule, format string, args ...any) Difference {
	d := v.difference(rule, "payment.payment", []string{"payment", "order"}, format, args...)
	d.Sentence += fmt.Sprintf(" for order %s, %s.", v.OrderID, v.is())
	return d
}

// askProvider is the advice for what only the provider's books can settle.
func (d Difference) askProvider() Difference {
	return d.person(strings.ReplaceAll(paymentAdvice, "ORDER", d.OrderID))
}

// payment holds the payment against the order's status and amounts. One row, one difference.
func (v View) payment(stuck time.Duration) []Difference {
	for _, rule := range []func() (Difference, bool){
		v.paymentState,
		v.paymentAmount,
		func() (Difference, bool) { return v.refund(stuck) },
		v.ledgerOfOrder,
	} {
		if d, wrong := rule(); wrong {
			return []Difference{d}
		}
	}
	return nil
}

// paymentState: "" stands for no payment at all.
func (v View) paymentState() (Difference, bool) {
	state, want := "", []string{""}
	if v.Payment != nil {
		state = v.Payment.State
	}
	switch o := v.Order; {
	case stands(o):
		want = []string{"COMPLETED"}
	case undoOf(o.Reason) == undoAll:
		want = []string{cancelled}
	case undoOf(o.Reason) == undoCoupon:
		want = []string{"FAILED"}
	}
	if slices.Contains(want, state) {
		return Difference{}, false
	}
	switch {
	case state == "":
		d := v.wrongPayment("payment_state", "payment knows of no payment")
		if want[0] == cancelled {
			return d.resend("OrderCancelled"), true
		}
		return d.askProvider(), true
	case want[0] == "":
		return v.wrongPayment("payment_state", "payment has a payment (%s) and should have none", state).askProvider(), true
	case state == "COMPLETED" && want[0] == cancelled:
		return v.wrongPayment("payment_state", "payment still has %d %s and %d points", v.Payment.Amount, v.Payment.Currency, v.Payment.Points).
			resend("OrderCancelled"), true
	case state == "FAILED" && want[0] == cancelled:
		return v.wrongPayment("payment_state", "payment has not answered the cancel (FAILED)").resend("OrderCancelled"), true
	}
	return v.wrongPayment("payment_state", "payment is %s instead of %s", state, want[0]).askProvider(), true
}

// paymentAmount holds what was paid against an order that was completed at some time; of others only the
// claim is known, and payment may have gone on at the full price.
func (v View) paymentAmount() (Difference, bool) {
	o, p := v.Order, v.Payment
	if p == nil || !wasCompleted(o) || !v.addsUp() {
		return Difference{}, false
	}
	switch {
	case p.Amount != o.PaymentAmount || p.Currency != o.Currency:
		d := v.wrongPayment("payment_amount", "payment has %d %s instead of %d %s", p.Amount, p.Currency, o.PaymentAmount, o.Currency)
		return d.askProvider(), true
	case stands(o) && p.Points != o.PointAmount:
		return v.wrongPayment("payment_amount", "payment holds %d points instead of %d", p.Points, o.PointAmount).askProvider(), true
	case p.Discount != o.DiscountAmount, o.DiscountAmount > 0 && !p.CouponCounted:
		return v.wrongPayment("payment_amount", "payment took off %d (coupon counted: %v) instead of %d", p.Discount, p.CouponCounted, o.DiscountAmount).
			askProvider(), true
	case (p.ChargeID != "") != (p.Amount > 0):
		return v.wrongPayment("payment_amount", "payment has %d %s and the charge %q", p.Amount, p.Currency, p.ChargeID).askProvider(), true
	}
	return Difference{}, false
}

// refund: what was captured is given back, and order knows how far that is.
func (v View) refund(stuck time.Duration) (Difference, bool) {
	o, p := v.Order, v.Payment
	if p == nil {
		return Difference{}, false
	}
	captured := p.ChargeID != "" && p.Amount > 0
	known := map[string]string{"NONE": "DONE", "PENDING": "REFUNDING", "ASKING": "REFUNDING", "DONE": "REFUNDED", "REFUSED": "REFUND_FAILED"}[p.Refund]
	switch {
	case p.State != cancelled && p.Refund != "NONE":
		return v.wrongPayment("payment_refund", "payment has a refund (%s) of a payment that is %s", p.Refund, p.State).askProvider(), true
	case p.State != cancelled:
		return Difference{}, false
	case captured != (p.Refund != "NONE"):
		return v.wrongPayment("payment_refund", "payment captured %d %s (charge %q) and its refund is %s", p.Amount, p.Currency, p.ChargeID, p.Refund).
			askProvider(), true
	case (p.Refund == "PENDING" || p.Refund == "ASKING") && p.Idle > stuck.Seconds():
		return v.wrongPayment("payment_refund", "payment has been waiting for %s for the refund of %d %s", ago(p.Idle), p.Amount, p.Currency).
			person("The provider does not say what became of it; it is tried on under the same key. Look at the provider's pages under refund-" + v.OrderID + "."), true
	case undoOf(o.Reason) == undoAll && o.UndoPayment != "" && o.UndoPayment != known:
		return v.refundUnheard(known)
	}
	return Difference{}, false
}

// refundUnheard: payment has said what became of the refund, and order has not heard it.
func (v View) refundUnheard(known string) (Difference, bool) {
	d := v.difference("payment_refund", "order.orders", []string{"order", "payment"},
		"order says that the refund of order %s is %s, and payment says that it is %s.", v.OrderID, v.Order.UndoPayment, v.Payment.Refund)
	switch known {
	case "REFUNDED":
		return d.resend("PaymentRefunded"), true
	case "REFUND_FAILED":
		return d.resend("RefundFailed"), true
	}
	return d.askProvider(), true
}

// ledgerOfOrder holds the points that the payment holds against the order's entries in the ledger.
func (v View) ledgerOfOrder() (Difference, bool) {
	p := v.Payment
	if p == nil || p.Taken-p.Returned == p.Points && p.Returned <= p.Taken {
		return Difference{}, false
	}
	return v.difference("payment_points", "payment.ledger", []string{"payment"},
		"payment holds %d points for order %s, but its ledger has %d taken and %d given back for it.", p.Points, v.OrderID, p.Taken, p.Returned).
		person("The entries of order " + v.OrderID + " in ledger, which is append-only: a grant (POST /ops/v1/points/grants) books what is missing."), true
}

// ledgerOff is by how much the order's ledger entries are off, for the member's balance to be judged
// without them: the sum should be so much higher.
func (v View) ledgerOff() int64 {
	return (v.Payment.Taken - v.Payment.Returned) - v.Payment.Points
}

// account judges a member's balance. explained is by how much the ledger was found to be off already.
func account(a book.Account, explained int64) (Difference, bool) {
	if off := a.Balance - a.Ledger; off == 0 || off == explained {
		return Difference{}, false
	}
	d := Difference{
		Rule: "points_add_up", Row: "payment.points", UserID: a.UserID, Services: []string{"payment"}, Repair: []string{},
		Sentence: fmt.Sprintf("payment says that member %s has %d points, and the entries of the ledger add up to %d.", a.UserID, a.Balance, a.Ledger),
	}
	if a.Ledger < 0 {
		return d.person("The member's entries in ledger: more was taken than there ever was."), true
	}
	d.Repair = append(d.Repair, "quadrille repair recount member "+a.UserID)
	return d, true
}
