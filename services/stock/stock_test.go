package stock

import (
	"fmt"
	"math"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

const (
	nothing   = orderv1.UndoFrom_UNDO_FROM_NOTHING
	atStock   = orderv1.UndoFrom_UNDO_FROM_STOCK
	atCoupon  = orderv1.UndoFrom_UNDO_FROM_COUPON
	atPayment = orderv1.UndoFrom_UNDO_FROM_PAYMENT
)

// given is a world with 5 pieces of p, of which the order has 3 in every state but the first.
func given(state State) *World {
	w := &World{}
	w.Products.Loaded("p", Product{ProductID: "p", Quantity: 5})
	switch state {
	case Taken:
		w.Reservations.Loaded("o", Reservation{OrderID: "o", State: Taken, Items: []Item{{ProductID: "p", Quantity: 3}}})
	case "":
	default:
		w.Reservations.Loaded("o", Reservation{OrderID: "o", State: state})
	}
	return w
}

// Every state meets every event. A cell is what was emitted, the state after it, and the pieces left.
func TestEveryStateMeetsEveryEvent(t *testing.T) {
	t.Parallel()
	states := [...]State{"", Taken, Refused, Returned}
	created := func(quantity int32) flow.Event {
		return &orderv1.OrderCreated{OrderId: "o", OrderItems: []*orderv1.OrderItem{{ProductId: "p", Quantity: quantity}}}
	}
	cancelled := func(from orderv1.UndoFrom, coupons bool) flow.Event {
		return &orderv1.OrderCancelled{OrderId: "o", UndoFrom: from, HasCoupons: coupons}
	}
	const (
		none = " 5"
		same = " TAKEN 5"
		shut = " RETURNED 5"
		no   = " REFUSED 5"
		back = "StockIncreased RETURNED 5" // nothing was taken
		undo = "StockIncreased RETURNED 8"
	)
	names := map[string]bool{}
	for _, c := range []struct {
		event flow.Event
		want  [len(states)]string
	}{
		{created(3), [...]string{"StockDecreased TAKEN 2", same, no, shut}},
		{created(6), [...]string{"StockDecreaseFailed REFUSED 5", same, no, shut}},
		{cancelled(nothing, false), [...]string{none, same, no, shut}},
		{cancelled(atStock, false), [...]string{back, undo, back, shut}},
		{cancelled(atStock, true), [...]string{back, undo, back, shut}},
		{cancelled(atCoupon, false), [...]string{back, undo, back, shut}},
		{cancelled(atCoupon, true), [...]string{none, same, no, shut}},
		{cancelled(atPayment, false), [...]string{none, same, no, shut}},
		{cancelled(atPayment, true), [...]string{none, same, no, shut}},
		{&paymentv1.PaymentCancelled{OrderId: "o"}, [...]string{back, undo, back, shut}},
		{&paymentv1.PaymentCancelled{OrderId: "o", HasCoupons: true}, [...]string{none, same, no, shut}},
		{&couponv1.CouponUseCancelled{OrderId: "o"}, [...]string{back, undo, back, shut}},
	} {
		names[flowtest.Name(c.event)] = true
		for i, state := range states {
			w := given(state)
			out := flowtest.Decide(t, Topology, w, c.event)
			row, _ := w.Reservations.Get("o")
			product, _ := w.Products.Get("p")
			if got := fmt.Sprintf("%s %s %d", flowtest.Told(out), row.State, product.Quantity); got != c.want[i] && got != " "+c.want[i] {
				t.Errorf("%s {%v} in state %q: got %q, want %q", flowtest.Name(c.event), c.event, state, got, c.want[i])
			}
		}
	}
	names["Low"] = true // about a product, whatever became of its orders: TestLowStockIsToldOnce
	flowtest.Covered(t, Topology, names)
}

// Two lines of one product need the pieces of both, however each alone would have been satisfied.
func TestLinesOfOneProductAreSummed(t *testing.T) {
	t.Parallel()
	w := given("")
	out := flowtest.Decide(t, Topology, w, &orderv1.OrderCreated{OrderId: "o", OrderItems: []*orderv1.OrderItem{
		{ProductId: "p", Quantity: 3}, {ProductId: "x", Quantity: 1}, {ProductId: "p", Quantity: 3},
	}})
	short := flowtest.Event[*stockv1.StockDecreaseFailed](t, out).GetShortages()
	if len(short) != 2 || short[0].GetRequested() != 6 || short[0].GetAvailable() != 5 || short[1].GetProductId() != "x" {
		t.Errorf("shortages %v: 6 of 5 p and 1 of 0 x are short", short)
	}
	out = flowtest.Decide(t, Topology, given(""), &orderv1.OrderCreated{OrderId: "o", OrderItems: []*orderv1.OrderItem{
		{ProductId: "p", Quantity: math.MaxInt32}, {ProductId: "p", Quantity: math.MaxInt32}, {ProductId: "p", Quantity: -1},
	}})
	if flowtest.Told(out) != "StockDecreaseFailed" {
		t.Errorf("a sum beyond 32 bits: %q", flowtest.Told(out))
	}
}

// A batch decides against the row once: the last piece goes to the first who asks.
func TestLastPieces(t *testing.T) {
	t.Parallel()
	w := given("")
	var told []string
	for i := range 4 {
		out := flowtest.Decide(t, Topology, w, &orderv1.OrderCreated{
			OrderId: fmt.Sprint(i), OrderItems: []*orderv1.OrderItem{{ProductId: "p", Quantity: 2}},
		})
		told = append(told, flowtest.Told(out))
	}
	if got := fmt.Sprint(told); got != "[StockDecreased StockDecreased StockDecreaseFailed StockDecreaseFailed]" {
		t.Error(got)
	}
}

// What was taken is given back to the piece, whatever became of the order's own data.
func TestEventCarriesTheOrderOn(t *testing.T) {
	t.Parallel()
	w := given("")
	e := &orderv1.OrderCreated{
		OrderId: "o", UserId: "u", Checkout: &orderv1.Checkout{ItemsAmount: 30, CouponRefs: []string{"c"}},
		OrderItems: []*orderv1.OrderItem{{ProductId: "p", ProductName: "P", Quantity: 3, ProductPrice: 10}},
	}
	decreased := flowtest.Event[*stockv1.StockDecreased](t, flowtest.Decide(t, Topology, w, e))
	if decreased.GetUserId() != "u" || decreased.GetCheckout().GetItemsAmount() != 30 || len(decreased.GetOrderItems()) != 1 {
		t.Errorf("StockDecreased %v", decreased)
	}
	increased := flowtest.Event[*stockv1.StockIncreased](t, flowtest.Decide(t, Topology, w, &paymentv1.PaymentCancelled{OrderId: "o", UserId: "u"}))
	if items := increased.GetOrderItems(); len(items) != 1 || items[0].GetQuantity() != 3 || items[0].GetProductName() != "P" {
		t.Errorf("StockIncreased %v", increased)
	}
}
