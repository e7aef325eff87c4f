package order

import (
	"fmt"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// The columns of a table: the states of an order that decide differently.
var columns = [...]struct {
	name  string
	order Order
}{
	{"new", Order{Status: Pending, Progress: AtStock}},
	{"new, coupon", Order{Status: Pending, Progress: AtStock, CouponRefs: coupons, CouponPolicy: CancelOrder}},
	{"new, coupon or full price", Order{Status: Pending, Progress: AtStock, CouponRefs: coupons, CouponPolicy: PayFullPrice}},
	{"waits for coupon", Order{
		Status: Pending, Progress: AtCoupon, CouponRefs: coupons, CouponPolicy: PayFullPrice, StockDecreased: true,
		StockEvent: "decreased", CouponDeadlineAt: flowtest.Now.Add(10 * time.Second),
	}},
	{"coupon answered", Order{
		Status: Pending, Progress: AtPayment, CouponRefs: coupons, CouponPolicy: PayFullPrice, CouponAnswered: true,
	}},
	{"completed", Order{Status: Completed, Progress: AtShipping}},
	{"cancel requested", Order{Status: Completed, Progress: AtShipping, CancelRequest: CancelRequested}},
	{"shipped", Order{Status: Shipped, Progress: AtNothing, ShipmentStatus: "DISPATCHED", CancelRequest: CancelRequested}},
	{"delivered", Order{Status: Delivered, Progress: AtNothing, ShipmentStatus: "DELIVERED"}},
	{"undoing payment", Order{
		Status: Cancelling, Progress: AtUndoPayment, CouponRefs: coupons, UndoPayment: UndoPending, UndoCoupon: UndoPending, UndoStock: UndoPending,
	}},
	{"refunding, undoing stock", Order{
		Status: Cancelling, Progress: AtUndoStock, CouponRefs: coupons, UndoPayment: Refunding, UndoCoupon: UndoDone, UndoStock: UndoPending,
	}},
	{"cancelled", Order{Status: Cancelled, Progress: AtNothing, UndoPayment: RefundFailed, UndoCoupon: UndoDone, UndoStock: UndoDone}},
}

var coupons = []string{"c"}

func given(i int) *World {
	w := &World{}
	o := columns[i].order
	o.OrderID, o.UserID, o.Version = "o", "u", 7
	o.DeadlineAt, o.CouponTimeout, o.CreatedEvent = flowtest.Now.Add(time.Minute), 10*time.Second, "created"
	w.Orders.Loaded("o", o)
	return w
}

// show is what a cell says: what was emitted, and the parts of the order that an event can change.
func show(told string, o Order) string {
	s := fmt.Sprintf("%s %s/%s", told, o.Status, o.Progress)
	if o.Reason != "" {
		s += " " + string(o.Reason)
	}
	if o.Status == Cancelling || o.Status == Cancelled {
		s += fmt.Sprintf(" %s,%s,%s", o.UndoPayment, o.UndoCoupon, o.UndoStock)
	}
	if !o.CouponDeadlineAt.IsZero() {
		s += " deadline"
	}
	return s
}

// Every state meets every event and deadline. A cell that is left out stays as it is, and nothing is emitted.
func TestEveryStateMeetsEveryInput(t *testing.T) {
	t.Parallel()
	const (
		full   = "OrderCancelled CANCELLING/UNDO_PAYMENT %s PENDING,%s,PENDING"
		paying = " PENDING/PAYMENT"
		done   = "OrderCompleted COMPLETED/SHIPPING"
	)
	back := func(reason string) string { return fmt.Sprintf(full, reason, "NONE") }
	backCoupon := func(reason string) string { return fmt.Sprintf(full, reason, "PENDING") }
	late := map[int]string{
		0: back("TIMED_OUT"), 1: backCoupon("TIMED_OUT"), 2: backCoupon("TIMED_OUT"), 3: backCoupon("TIMED_OUT"), 4: backCoupon("TIMED_OUT"),
	}
	soldOut := "OrderCancelled CANCELLED/none OUT_OF_STOCK NONE,NONE,NONE"
	declined := "OrderCancelled CANCELLING/UNDO_COUPON PAYMENT_DECLINED NONE,PENDING,PENDING"
	names := map[string]bool{}
	for _, c := range []struct {
		input any
		at    time.Duration
		want  map[int]string
	}{
		{&stockv1.StockDecreased{OrderId: "o"}, 0, map[int]string{0: paying, 1: " PENDING/COUPON", 2: " PENDING/COUPON deadline"}},
		{&stockv1.StockDecreaseFailed{OrderId: "o"}, 0, map[int]string{0: soldOut, 1: soldOut, 2: soldOut, 3: soldOut, 4: soldOut}},
		{&couponv1.CouponUsed{OrderId: "o"}, 0, map[int]string{0: paying, 1: paying, 2: paying, 3: paying}},
		{&couponv1.CouponUseFailed{OrderId: "o"}, 0, map[int]string{
			0: "OrderCancelled CANCELLING/UNDO_STOCK COUPON_REJECTED NONE,NONE,PENDING",
			1: "OrderCancelled CANCELLING/UNDO_STOCK COUPON_REJECTED NONE,NONE,PENDING", 2: paying, 3: paying,
		}},
		{&paymentv1.PaymentCompleted{OrderId: "o"}, 0, map[int]string{0: done, 1: done, 2: done, 3: done, 4: done}},
		{&paymentv1.PaymentFailed{OrderId: "o"}, 0, map[int]string{
			0: "OrderCancelled CANCELLING/UNDO_STOCK PAYMENT_DECLINED NONE,NONE,PENDING", 1: declined, 2: declined, 3: declined, 4: declined,
		}},
		{&shippingv1.ShipmentPrepared{OrderId: "o"}, 0, nil},
		{&shippingv1.ShipmentFailed{OrderId: "o"}, 0, map[int]string{5: back("SHIPPING_FAILED"), 6: back("CUSTOMER")}},
		{&shippingv1.ShipmentDispatched{OrderId: "o"}, 0, map[int]string{5: " SHIPPED/none", 6: " SHIPPED/none"}},
		{&shippingv1.ShipmentDelivered{OrderId: "o"}, 0, map[int]string{5: " DELIVERED/none", 6: " DELIVERED/none", 7: " DELIVERED/none"}},
		{&shippingv1.ShipmentCancelled{OrderId: "o"}, 0, map[int]string{5: back("CUSTOMER"), 6: back("CUSTOMER")}},
		{&shippingv1.ShipmentCancelRefused{OrderId: "o"}, 0, nil},
		{&paymentv1.PaymentCancelled{OrderId: "o"}, 0, map[int]string{9: " CANCELLING/UNDO_COUPON DONE,PENDING,PENDING"}},
		{&paymentv1.PaymentCancelled{OrderId: "o", PaymentAmount: 1}, 0, map[int]string{9: " CANCELLING/UNDO_COUPON REFUNDING,PENDING,PENDING"}},
		{&paymentv1.PaymentRefunded{OrderId: "o"}, 0, map[int]string{
			10: " CANCELLING/UNDO_STOCK REFUNDED,DONE,PENDING", 11: " CANCELLED/none REFUNDED,DONE,DONE",
		}},
		{&paymentv1.RefundFailed{OrderId: "o"}, 0, map[int]string{10: " CANCELLING/UNDO_STOCK REFUND_FAILED,DONE,PENDING"}},
		{&couponv1.CouponReturned{OrderId: "o"}, 0, nil},
		{&couponv1.CouponUseCancelled{OrderId: "o"}, 0, map[int]string{9: " CANCELLING/UNDO_STOCK PENDING,DONE,PENDING"}},
		{&stockv1.StockIncreased{OrderId: "o"}, 0, map[int]string{
			9: " CANCELLED/none PENDING,DONE,DONE", 10: " CANCELLED/none REFUNDING,DONE,DONE",
		}},
		{Due{OrderID: "o"}, 9 * time.Second, nil},
		{Due{OrderID: "o"}, 10 * time.Second, map[int]string{3: "OrderCouponWaived PENDING/PAYMENT"}},
		{Due{OrderID: "o"}, time.Minute - 1, map[int]string{3: "OrderCouponWaived PENDING/PAYMENT"}},
		{Due{OrderID: "o"}, time.Minute, late},
	} {
		names[flowtest.Name(c.input)] = true
		for i, column := range columns {
			w := given(i)
			before, _ := w.Orders.Get("o")
			out := flowtest.At(t, Topology, w, c.input, flowtest.Now.Add(c.at))
			o, _ := w.Orders.Get("o")
			want, changes := c.want[i]
			if !changes {
				want = show("", before)
			}
			if got := show(flowtest.Told(out), o); got != want {
				t.Errorf("%s {%v} in state %q: got %q, want %q", flowtest.Name(c.input), c.input, column.name, got, want)
			}
		}
	}
	names["quadrille.stock.v1.ProductListed"], names["quadrille.stock.v1.ProductPriceChanged"] = true, true // see TestPrices
	names["quadrille.member.v1.MemberChanged"] = true                                                       // see TestMembers
	flowtest.Covered(t, Topology, names)
}

// The version counts what was consumed, ignored or not, and what was emitted.
func TestVersion(t *testing.T) {
	t.Parallel()
	w := given(0)
	for _, c := range []struct {
		input any
		want  int64
	}{
		{&stockv1.StockDecreased{OrderId: "o"}, 8},
		{&couponv1.CouponReturned{OrderId: "o"}, 9},
		{Due{OrderID: "o"}, 9},
		{&paymentv1.PaymentCompleted{OrderId: "o"}, 11},
		{&paymentv1.PaymentFailed{OrderId: "o"}, 12},
		{Cancel{OrderID: "o", UserID: "u"}, 13},
		{Cancel{OrderID: "o", UserID: "u"}, 13},
		{&shippingv1.ShipmentCancelled{OrderId: "o"}, 15},
	} {
		flowtest.Decide(t, Topology, w, c.input)
		if o, _ := w.Orders.Get("o"); o.Version != c.want {
			t.Errorf("after %s: version %d, want %d", flowtest.Name(c.input), o.Version, c.want)
		}
	}
}

// What the payment says in the end is what the order shows, and what OrderCompleted carries on.
func TestCompletedSumIsThePayments(t *testing.T) {
	t.Parallel()
	w := given(3)
	o, _ := w.Orders.Get("o")
	o.DiscountAmount, o.PaymentAmount, o.AddressID, o.Currency = 500, 2500, "a", "KRW"
	o.Items = []Item{{ProductID: "p", Quantity: 3, ProductPrice: 1000}}
	w.Orders.Loaded("o", o)
	out := flowtest.Decide(t, Topology, w, &paymentv1.PaymentCompleted{OrderId: "o", PaymentAmount: 3000})
	e := flowtest.Event[*orderv1.OrderCompleted](t, out)
	if e.GetDiscountAmount() != 0 || e.GetPaymentAmount() != 3000 || e.GetShippingAddressId() != "a" || len(e.GetOrderItems()) != 1 || e.GetUserId() != "u" {
		t.Errorf("OrderCompleted %v", e)
	}
	o, _ = w.Orders.Get("o")
	if v := ViewOf(o); v.DiscountAmount != 0 || v.PaymentAmount != 3000 || v.DeadlineAt != nil {
		t.Errorf("the order shows %+v", v)
	}
}

// A deadline's event is caused by the one that opened the wait.
func TestDeadlineCauses(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Duration]string{10 * time.Second: "decreased", time.Minute: "created"} {
		out := flowtest.At(t, Topology, given(3), Due{OrderID: "o"}, flowtest.Now.Add(at))
		if got := out.Events[0].Cause; got != want {
			t.Errorf("%s is caused by %q, want %q", flowtest.Told(out), got, want)
		}
	}
	waived := flowtest.Event[*orderv1.OrderCouponWaived](t, flowtest.At(t, Topology, given(3), Due{OrderID: "o"}, flowtest.Now.Add(10*time.Second)))
	if waived.GetCheckout().GetCouponRefs()[0] != "c" {
		t.Errorf("OrderCouponWaived %v", waived)
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	w := &World{}
	at := flowtest.Stamp
	for i, c := range []struct {
		input any
		want  string
	}{
		{&stockv1.ProductListed{ProductId: "p", Name: "P", Price: 10, Currency: "KRW", OnSale: true, ListedAt: at(0)}, "P 10 before 10 true"},
		{&stockv1.ProductListed{ProductId: "p", Name: "again", Price: 99, ListedAt: at(9)}, "P 10 before 10 true"},
		{&stockv1.ProductPriceChanged{ProductId: "p", Name: "P", Price: 12, Currency: "KRW", OnSale: true, ChangedAt: at(2)}, "P 12 before 10 true"},
		{&stockv1.ProductPriceChanged{ProductId: "p", Name: "P", Price: 11, Currency: "KRW", OnSale: true, ChangedAt: at(2)}, "P 11 before 12 true"}, // of the same batch
		{&stockv1.ProductPriceChanged{ProductId: "p", Name: "P", Price: 13, Currency: "KRW", OnSale: true, ChangedAt: at(1)}, "P 13 before 11 true"}, // the clock was set back
		{&stockv1.ProductPriceChanged{ProductId: "p", Name: "Q", Price: 13, Currency: "KRW", OnSale: false, ChangedAt: at(3)}, "Q 13 before 11 false"},
	} {
		flowtest.Decide(t, Topology, w, c.input)
		p, _ := w.Prices.Get("p")
		if got := fmt.Sprintf("%s %d before %d %v", p.Name, p.Price, p.PreviousPrice, p.OnSale); got != c.want {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
}
