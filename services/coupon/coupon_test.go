package coupon

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

// given is a world in which member u holds coupon c, worth 500, which order o has used in the state Used.
func given(state State) *World {
	w := &World{}
	c := Coupon{CouponID: "c", PolicyID: "p", UserID: "u"}
	if state == Used {
		c.UsedBy = "o"
	}
	w.Policies.Loaded("p", Policy{PolicyID: "p", Amount: 500, Limit: 10, Issued: 1})
	w.Coupons.Loaded("c", c)
	w.Held.Loaded(HeldKey("p", "u"), "c")
	switch state {
	case Used, GivenBack:
		w.Uses.Loaded("o", Use{OrderID: "o", UserID: "u", State: state, CouponIDs: []string{"c"}, Discount: 500})
	case "":
	default:
		w.Uses.Loaded("o", Use{OrderID: "o", UserID: "u", State: state})
	}
	return w
}

func decreased(discount int64, refs ...string) *stockv1.StockDecreased {
	return &stockv1.StockDecreased{OrderId: "o", UserId: "u", Checkout: &orderv1.Checkout{
		ItemsAmount: 1000, DiscountAmount: discount, Currency: "KRW", CouponRefs: refs,
		CouponFailurePolicy: orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE,
	}}
}

// Every state meets every event. A cell is what was emitted, the state after it, and who uses the coupon.
func TestEveryStateMeetsEveryEvent(t *testing.T) {
	t.Parallel()
	states := [...]State{"", Used, Refused, Closed, GivenBack, Cancelled}
	same := [...]string{" ", " USED o", " REFUSED", " CLOSED", " GIVEN_BACK", " CANCELLED"}
	undone := [...]string{
		"CouponUseCancelled CANCELLED", "CouponUseCancelled CANCELLED", "CouponUseCancelled CANCELLED",
		"CouponUseCancelled CANCELLED", "CouponUseCancelled CANCELLED", " CANCELLED",
	}
	first := func(cell string) [len(states)]string { all := same; all[0] = cell; return all }
	uncounted := first(" CLOSED")
	uncounted[1] = "CouponReturned GIVEN_BACK"
	cancelled := func(from orderv1.UndoFrom, coupons bool) flow.Event {
		return &orderv1.OrderCancelled{OrderId: "o", UserId: "u", UndoFrom: from, HasCoupons: coupons}
	}
	names := map[string]bool{}
	for _, c := range []struct {
		event flow.Event
		want  [len(states)]string
	}{
		{decreased(0), same},
		{decreased(500, "c"), first("CouponUsed USED o")},
		{decreased(400, "c"), first("CouponUseFailed REFUSED")},
		{&paymentv1.PaymentCompleted{OrderId: "o"}, same},
		{&paymentv1.PaymentCompleted{OrderId: "o", HasCoupons: true, CouponCounted: true}, same},
		{&paymentv1.PaymentCompleted{OrderId: "o", HasCoupons: true}, uncounted},
		{cancelled(orderv1.UndoFrom_UNDO_FROM_NOTHING, true), same},
		{cancelled(orderv1.UndoFrom_UNDO_FROM_STOCK, true), same},
		{cancelled(orderv1.UndoFrom_UNDO_FROM_COUPON, true), undone},
		{cancelled(orderv1.UndoFrom_UNDO_FROM_COUPON, false), same},
		{cancelled(orderv1.UndoFrom_UNDO_FROM_PAYMENT, true), same},
		{&paymentv1.PaymentCancelled{OrderId: "o", HasCoupons: true}, undone},
		{&paymentv1.PaymentCancelled{OrderId: "o"}, same},
	} {
		names[flowtest.Name(c.event)] = true
		for i, state := range states {
			w := given(state)
			out := flowtest.Decide(t, Topology, w, c.event)
			use, _ := w.Uses.Get("o")
			coupon, _ := w.Coupons.Get("c")
			got := fmt.Sprintf("%s %s", flowtest.Told(out), use.State)
			if coupon.UsedBy != "" {
				got += " " + coupon.UsedBy
			}
			if got != c.want[i] {
				t.Errorf("%s {%v} in state %q: got %q, want %q", flowtest.Name(c.event), c.event, state, got, c.want[i])
			}
		}
	}
	flowtest.Covered(t, Topology, names)
}

// A late word about one order never touches a coupon that another order uses by now.
func TestAnotherOrdersUseStays(t *testing.T) {
	t.Parallel()
	w := given(Used)
	w.Coupons.Put("c", Coupon{CouponID: "c", PolicyID: "p", UserID: "u", UsedBy: "other"})
	flowtest.Decide(t, Topology, w, &paymentv1.PaymentCancelled{OrderId: "o", UserId: "u", HasCoupons: true})
	if c, _ := w.Coupons.Get("c"); c.UsedBy != "other" {
		t.Errorf("the coupon is used by %q", c.UsedBy)
	}
}

// What the next step needs goes on with the answer.
func TestEventCarriesTheOrderOn(t *testing.T) {
	t.Parallel()
	used := flowtest.Event[*couponv1.CouponUsed](t, flowtest.Decide(t, Topology, given(""), decreased(500, "p")))
	if used.GetDiscountAmount() != 500 || used.GetCheckout().GetItemsAmount() != 1000 || used.GetCouponIds()[0] != "c" || used.GetUserId() != "u" {
		t.Errorf("CouponUsed %v", used)
	}
	failed := flowtest.Event[*couponv1.CouponUseFailed](t, flowtest.Decide(t, Topology, given(""), decreased(500, "x")))
	if failed.GetCouponFailurePolicy() != orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE ||
		failed.GetCheckout().GetItemsAmount() != 1000 || failed.GetUserId() != "u" {
		t.Errorf("CouponUseFailed %v", failed)
	}
}
