package payment

import (
	"fmt"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// The states of a table's columns: a payment's, and those of its refund once it is cancelled.
var columns = [...]struct {
	state  State
	refund Refund
}{
	{"", ""},
	{Charging, NoRefund},
	{Asking, NoRefund},
	{Voiding, NoRefund},
	{Closing, NoRefund},
	{Awaiting, NoRefund},
	{Completed, NoRefund},
	{Failed, NoRefund},
	{Cancelled, NoRefund},
	{Cancelled, RefundPending},
	{Cancelled, RefundAsking},
	{Cancelled, RefundDone},
	{Cancelled, RefundRefused},
}

type row [len(columns)]string

// given is a world in which the member had 100 points, of which an open or completed payment holds 30.
func given(i int) *World {
	w := &World{}
	c := columns[i]
	if c.state == "" {
		w.Points.Loaded("u", Points{UserID: "u", Balance: 100})
		return w
	}
	p := Payment{
		OrderID: "o", UserID: "u", State: c.state, Refund: c.refund, Amount: 70, Points: 30, Currency: "KRW",
		PaymentType: "PAYMENT_TYPE_CREDIT", OpenedBy: "opened", CancelledBy: "cancelled", CancelEvent: "undone",
	}
	balance := int64(70)
	if c.state == Failed || c.state == Cancelled {
		p.Points, balance = 0, 100
	}
	w.Payments.Loaded("o", p)
	w.Points.Loaded("u", Points{UserID: "u", Balance: balance})
	return w
}

func checkout(points int64, refs ...string) *orderv1.Checkout {
	return &orderv1.Checkout{
		ItemsAmount: 90, DeliveryFee: 10, PointAmount: points, PaymentAmount: 100 - points, Currency: "KRW",
		PaymentType: orderv1.PaymentType_PAYMENT_TYPE_CREDIT, PaymentToken: "tok", CouponRefs: refs,
	}
}

const fullPrice = orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE

// Every state meets every input. A cell is what was emitted and asked for, the state after it, and the
// member's points.
func TestEveryStateMeetsEveryInput(t *testing.T) {
	t.Parallel()
	same := row{
		" : 100", " CHARGING: 70", " ASKING: 70", " VOIDING: 70", " CLOSING: 70", " AWAITING: 70", " COMPLETED: 70", " FAILED: 100", " CANCELLED: 100",
		" CANCELLED PENDING: 100", " CANCELLED ASKING: 100", " CANCELLED DONE: 100", " CANCELLED REFUSED: 100",
	}
	but := func(at State, cell string) row {
		all := same
		for i, c := range columns {
			if c.state == at && (c.refund == NoRefund || at == "") {
				all[i] = cell
			}
		}
		return all
	}
	refund := func(at Refund, cell string) row {
		all := same
		for i, c := range columns {
			if c.refund == at && c.state == Cancelled {
				all[i] = cell
			}
		}
		return all
	}
	undo := same
	for i, cell := range map[int]string{
		0: "PaymentCancelled CANCELLED: 100",
		1: "-charge +void_charge CLOSING: 70",
		2: "-ask_charge +void_charge CLOSING: 70",
		3: " CLOSING: 70",
		5: "+void_charge CLOSING: 70",
		6: "PaymentCancelled +refund CANCELLED PENDING: 100",
		7: "PaymentCancelled CANCELLED: 100",
	} {
		undo[i] = cell
	}
	voided := but(Voiding, "PaymentFailed FAILED: 100")
	voided[4] = "PaymentCancelled CANCELLED: 100"
	late := but(Voiding, "PaymentCompleted COMPLETED: 70")
	late[4] = "PaymentCancelled +refund CANCELLED PENDING: 100"

	// What the provider says unasked is the outcome of whatever is open.
	told := func(event, after, closing string) row {
		all := same
		for i, kind := range map[int]string{1: " -charge", 2: " -ask_charge", 3: " -void_charge", 5: ""} {
			all[i] = event + kind + after
		}
		all[4] = "PaymentCancelled -void_charge" + closing
		return all
	}
	found := refund(RefundPending, "PaymentRefunded -refund CANCELLED DONE: 100")
	found[10] = "PaymentRefunded -ask_refund CANCELLED DONE: 100"
	names := map[string]bool{}
	for _, c := range []struct {
		input any
		want  row
	}{
		{&stockv1.StockDecreased{OrderId: "o", UserId: "u", Checkout: checkout(30)}, but("", "+charge CHARGING: 70")},
		{&stockv1.StockDecreased{OrderId: "o", UserId: "u", Checkout: checkout(100)}, but("", "PaymentCompleted COMPLETED: 0")},
		{&stockv1.StockDecreased{OrderId: "o", UserId: "u", Checkout: checkout(101)}, but("", "PaymentFailed FAILED: 100")},
		{&stockv1.StockDecreased{OrderId: "o", UserId: "u", Checkout: checkout(30, "c")}, same},
		{&couponv1.CouponUsed{OrderId: "o", UserId: "u", DiscountAmount: 5, Checkout: checkout(30, "c")}, but("", "+charge CHARGING: 70")},
		{&couponv1.CouponUseFailed{OrderId: "o", UserId: "u", Checkout: checkout(30, "c")}, same},
		{
			&couponv1.CouponUseFailed{OrderId: "o", UserId: "u", Checkout: checkout(30, "c"), CouponFailurePolicy: fullPrice},
			but("", "+charge CHARGING: 70"),
		},
		{&orderv1.OrderCouponWaived{OrderId: "o", UserId: "u", Checkout: checkout(30, "c")}, but("", "+charge CHARGING: 70")},
		{&orderv1.OrderCancelled{OrderId: "o", UserId: "u", UndoFrom: orderv1.UndoFrom_UNDO_FROM_NOTHING}, same},
		{&orderv1.OrderCancelled{OrderId: "o", UserId: "u", UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK}, same},
		{&orderv1.OrderCancelled{OrderId: "o", UserId: "u", UndoFrom: orderv1.UndoFrom_UNDO_FROM_COUPON}, same},
		{&orderv1.OrderCancelled{OrderId: "o", UserId: "u", UndoFrom: orderv1.UndoFrom_UNDO_FROM_PAYMENT}, undo},
		{Charged{OrderID: "o", Outcome: Captured, ChargeID: "ch"}, but(Charging, "PaymentCompleted COMPLETED: 70")},
		{Charged{OrderID: "o", Outcome: Declined, Reason: "card_declined"}, but(Charging, "PaymentFailed FAILED: 100")},
		{Charged{OrderID: "o", Outcome: KeyVoided}, but(Charging, "PaymentFailed FAILED: 100")},
		{Charged{OrderID: "o", Outcome: ChargeIsUnknown}, but(Charging, "+ask_charge ASKING: 70")},
		{ChargeAsked{OrderID: "o", Outcome: Captured, ChargeID: "ch"}, but(Asking, "PaymentCompleted COMPLETED: 70")},
		{ChargeAsked{OrderID: "o", Outcome: Declined}, but(Asking, "PaymentFailed FAILED: 100")},
		{ChargeAsked{OrderID: "o", Outcome: KeyVoided}, but(Asking, "PaymentFailed FAILED: 100")},
		{ChargeAsked{OrderID: "o", Outcome: ChargeNotFound}, but(Asking, "+void_charge VOIDING: 70")},
		{Charged{OrderID: "o", Outcome: ChargePending, Account: Account{Number: "1"}}, but(Charging, " AWAITING: 70")},
		{ChargeAsked{OrderID: "o", Outcome: ChargePending, Account: Account{Number: "1"}}, but(Asking, " AWAITING: 70")},
		{Notify{OrderID: "o", Outcome: Captured, ChargeID: "ch"}, told("PaymentCompleted", " COMPLETED: 70", " +refund CANCELLED PENDING: 100")},
		{Notify{OrderID: "o", Outcome: Declined}, told("PaymentFailed", " FAILED: 100", " CANCELLED: 100")},
		{Notify{OrderID: "o", Outcome: KeyVoided}, told("PaymentFailed", " FAILED: 100", " CANCELLED: 100")},
		{Notify{OrderID: "o", Outcome: ChargePending}, same},
		{ChargeVoided{OrderID: "o", Outcome: KeyVoided}, voided},
		{ChargeVoided{OrderID: "o", Outcome: Declined}, voided},
		{ChargeVoided{OrderID: "o", Outcome: Captured, ChargeID: "ch"}, late},
		{NotifyRefund{OrderID: "o"}, found},
		{Refunded{OrderID: "o", Outcome: RefundIsDone}, refund(RefundPending, "PaymentRefunded CANCELLED DONE: 100")},
		{Refunded{OrderID: "o", Outcome: RefundIsRefused}, refund(RefundPending, "RefundFailed CANCELLED REFUSED: 100")},
		{Refunded{OrderID: "o", Outcome: RefundIsUnknown}, refund(RefundPending, "+ask_refund CANCELLED ASKING: 100")},
		{RefundAsked{OrderID: "o", Outcome: RefundIsDone}, refund(RefundAsking, "PaymentRefunded CANCELLED DONE: 100")},
		{RefundAsked{OrderID: "o", Outcome: RefundIsRefused}, refund(RefundAsking, "RefundFailed CANCELLED REFUSED: 100")},
	} {
		names[flowtest.Name(c.input)] = true
		for i := range columns {
			w := given(i)
			out := flowtest.Decide(t, Topology, w, c.input)
			p, _ := w.Payments.Get("o")
			account, _ := w.Points.Get("u")
			state := string(p.State)
			if p.State == Cancelled && p.Refund != NoRefund {
				state += " " + string(p.Refund)
			}
			if got := fmt.Sprintf("%s %s: %d", flowtest.Told(out), state, account.Balance); got != c.want[i] {
				t.Errorf("%s {%v} in state %v: got %q, want %q", flowtest.Name(c.input), c.input, columns[i], got, c.want[i])
			}
		}
	}
	flowtest.Covered(t, Topology, names)
}

// What is charged: the granted discount where it counted, the full price where it did not.
func TestPrice(t *testing.T) {
	t.Parallel()
	points := func(c *orderv1.Checkout) *orderv1.Checkout {
		c.PaymentType = orderv1.PaymentType_PAYMENT_TYPE_POINT
		return c
	}
	for _, c := range []struct {
		name           string
		event          flow.Event
		amount, points int64
		counted        bool
	}{
		{"no coupon", &stockv1.StockDecreased{Checkout: checkout(30)}, 70, 30, false},
		{"coupon", &couponv1.CouponUsed{DiscountAmount: 20, Checkout: checkout(30, "c")}, 50, 30, true},
		{"refused", &couponv1.CouponUseFailed{Checkout: checkout(30, "c"), CouponFailurePolicy: fullPrice}, 70, 30, false},
		{"waived", &orderv1.OrderCouponWaived{Checkout: checkout(30, "c")}, 70, 30, false},
		{"points alone", &couponv1.CouponUsed{DiscountAmount: 20, Checkout: points(checkout(80, "c"))}, 0, 80, true},
		{"points alone, waived", &orderv1.OrderCouponWaived{Checkout: points(checkout(80, "c"))}, 0, 100, false},
	} {
		w := &World{}
		w.Points.Loaded("", Points{Balance: 1000})
		flowtest.Decide(t, Topology, w, c.event)
		p, _ := w.Payments.Get("")
		if p.Amount != c.amount || p.Points != c.points || p.CouponCounted != c.counted {
			t.Errorf("%s: %d and %d points, counted %v", c.name, p.Amount, p.Points, p.CouponCounted)
		}
	}
}

// The events say what was taken and given back, and which event is the cause of each.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := given(1)
	out := flowtest.Decide(t, Topology, w, Charged{OrderID: "o", Outcome: Captured, ChargeID: "ch"})
	done := flowtest.Event[*paymentv1.PaymentCompleted](t, out)
	if done.GetPaymentAmount() != 70 || done.GetPointAmount() != 30 || done.GetCurrency() != "KRW" ||
		done.GetPaymentType() != orderv1.PaymentType_PAYMENT_TYPE_CREDIT || out.Events[0].Cause != "opened" {
		t.Errorf("PaymentCompleted %v because of %q", done, out.Events[0].Cause)
	}
	out = flowtest.Decide(t, Topology, w, &orderv1.OrderCancelled{OrderId: "o", UndoFrom: orderv1.UndoFrom_UNDO_FROM_PAYMENT, HasCoupons: true})
	undone := flowtest.Event[*paymentv1.PaymentCancelled](t, out)
	if undone.GetPaymentAmount() != 70 || undone.GetPointAmount() != 30 || !undone.GetHasCoupons() || out.Events[0].Cause != "cause" {
		t.Errorf("PaymentCancelled %v because of %q", undone, out.Events[0].Cause)
	}
	if call := out.Calls[0].Body.(RefundCall); call.ChargeID != "ch" || call.Amount != 70 || call.Key != "refund-o" {
		t.Errorf("refund call %v", call)
	}
	id := out.Events[0].ID
	out = flowtest.Decide(t, Topology, w, Refunded{OrderID: "o", Outcome: RefundIsDone})
	if back := flowtest.Event[*paymentv1.PaymentRefunded](t, out); back.GetPaymentAmount() != 70 || out.Events[0].Cause != id {
		t.Errorf("PaymentRefunded %v because of %q, want %q", back, out.Events[0].Cause, id)
	}
	if n := w.Ledger.Len(); n != 1 {
		t.Errorf("%d ledger entries: the points came back once", n)
	}
	failed := flowtest.Event[*paymentv1.PaymentFailed](t, flowtest.Decide(t, Topology, given(1), Charged{OrderID: "o", Outcome: Declined, Reason: "CARD_EXPIRED"}))
	if failed.GetReason() != "card_expired" {
		t.Errorf("PaymentFailed %v", failed)
	}
}
