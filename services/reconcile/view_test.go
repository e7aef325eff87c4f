package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

const (
	hour  = 3600.0
	limit = 5 * time.Minute
)

// A healthy order of each kind, as all services see it: with a coupon worth 300 and 700 points.
func delivery() View {
	return View{
		OrderID: "o",
		Order: &book.Order{
			OrderID: "o", UserID: "u", Version: 7, Status: delivered, Progress: "none",
			Items: []book.Item{{ProductID: "p", Quantity: 3, ProductPrice: 1000}}, ItemsAmount: 3000, DiscountAmount: 300,
			PointAmount: 700, PaymentAmount: 2000, Currency: "KRW", HasCoupons: true,
			Carrier: "c", TrackingNumber: "t", ShipmentStatus: delivered, Idle: hour,
		},
		Stock:    &book.Reservation{OrderID: "o", State: "TAKEN", Items: []book.Item{{ProductID: "p", Quantity: 3}}, Idle: hour},
		Coupon:   &book.Use{OrderID: "o", State: "USED", CouponIDs: []string{"c1"}, SpentBy: []string{"o"}, Discount: 300, Idle: hour},
		Payment:  &book.Payment{OrderID: "o", UserID: "u", State: "COMPLETED", Refund: "NONE", Amount: 2000, Points: 700, Discount: 300, CouponCounted: true, HasCoupons: true, Currency: "KRW", ChargeID: "ch", Taken: 700, Idle: hour},
		Shipment: &book.Shipment{OrderID: "o", State: delivered, Carrier: "c", TrackingNumber: "t", BookingID: "b", Idle: hour},
		Mails:    &book.Mails{OrderID: "o", Kinds: []string{"completed", "delivered", "dispatched"}, Idle: hour},
		Line:     &book.Line{OrderID: "o", Status: delivered, Idle: hour},
	}
}

// undone is the same order cancelled after it was completed.
func undone() View {
	v := delivery()
	v.Order.Status, v.Order.Reason, v.Order.UndoPayment, v.Order.UndoCoupon, v.Order.UndoStock = cancelled, "CUSTOMER", "REFUNDED", "DONE", "DONE"
	v.Order.ShipmentStatus, v.Order.CancelRequest = cancelled, "REQUESTED"
	v.Stock.State, v.Coupon.State, v.Coupon.SpentBy = "RETURNED", cancelled, []string{""}
	v.Payment.State, v.Payment.Refund, v.Payment.Points, v.Payment.Returned = cancelled, "DONE", 0, 700
	v.Shipment.State, v.Shipment.CancelAsked = cancelled, true
	v.Mails.Kinds = []string{"cancelled", "completed", "refunded"}
	v.Line.Status, v.Line.Reason = cancelled, "CUSTOMER"
	return v
}

// soldOut has done nothing.
func soldOut() View {
	v := undone()
	v.Order.Reason, v.Order.UndoPayment, v.Order.ShipmentStatus = "OUT_OF_STOCK", "NONE", ""
	v.Stock.State, v.Stock.Items = "REFUSED", nil
	v.Coupon, v.Payment, v.Shipment = nil, nil, nil
	v.Mails.Kinds = []string{"cancelled"}
	v.Line.Reason = "OUT_OF_STOCK"
	return v
}

// underway is undone while its undo runs.
func underway() View {
	v := undone()
	v.Order.Status, v.Line.Status = cancelling, cancelling
	return v
}

func TestHealthyOrdersAgree(t *testing.T) {
	t.Parallel()
	waiting := delivery()
	waiting.Order.Status, waiting.Order.Overdue, waiting.Order.Idle = pending, -30, 10
	early := undone() // cancelled before anything but the tombstones
	early.Order.ShipmentStatus, early.Order.UndoPayment = "", "DONE"
	early.Stock.Items, early.Shipment = nil, nil
	early.Payment = &book.Payment{State: cancelled, Refund: "NONE"}
	early.Coupon = &book.Use{State: cancelled}
	early.Mails.Kinds = []string{"cancelled"}
	full := delivery() // the coupon was waived
	full.Order.DiscountAmount, full.Order.PaymentAmount = 0, 2300
	full.Payment.Discount, full.Payment.CouponCounted, full.Payment.Amount = 0, false, 2300
	full.Coupon.State, full.Coupon.SpentBy = "GIVEN_BACK", []string{"another"}
	recent := underway()
	recent.Order.Idle = 60
	for name, v := range map[string]View{
		"delivered": delivery(), "undone": undone(), "sold out": soldOut(), "pending": waiting, "early": early,
		"waived": full, "under way": recent, "unknown to all": {OrderID: "x"},
	} {
		for _, d := range v.judge(limit) {
			t.Errorf("%s: [%s %s] %s", name, d.Rule, d.Row, d.Sentence)
		}
	}
}

// What the tests of the running system cannot make happen in time.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		of     func() View
		change func(*View)
		// want is rule and row, repair the last word of the commands.
		want, repair string
	}{
		{"deadline long past", delivery, func(v *View) { v.Order.Status, v.Order.Overdue = pending, hour }, "order_stuck order.orders", ""},
		{"payment sleeps in the undo", underway, func(v *View) { v.Payment.State = "COMPLETED" }, "order_stuck payment.payment", "OrderCancelled"},
		{"payment waits for the provider", underway, func(v *View) { v.Payment.State = "CLOSING" }, "order_stuck payment.payment", ""},
		{"coupon sleeps in the undo", underway, func(v *View) { v.Coupon.State = "USED" }, "order_stuck coupon.coupon_use", "PaymentCancelled"},
		{"coupon sleeps after a decline", underway, func(v *View) { v.Order.Reason, v.Coupon.State = "PAYMENT_DECLINED", "USED" }, "order_stuck coupon.coupon_use", "OrderCancelled"},
		{"stock sleeps in the undo", underway, func(v *View) { v.Stock.State = "TAKEN" }, "order_stuck stock.reservation", "CouponUseCancelled"},
		{"stock sleeps, no coupons", underway, func(v *View) { v.Stock, v.Order.HasCoupons = nil, false }, "order_stuck stock.reservation", "PaymentCancelled"},
		{"stock sleeps after a refused coupon", underway, func(v *View) { v.Order.Reason, v.Stock.State = "COUPON_REJECTED", "TAKEN" }, "order_stuck stock.reservation", "OrderCancelled"},
		{"order sleeps", underway, func(*View) {}, "order_stuck order.orders", "StockIncreased"},

		{"shipping sleeps", delivery, func(v *View) {
			completedAgain(v)
			v.Shipment.State = "BOOKING"
		}, "shipment_state shipping.shipment", ""},
		{"cancel not heard", delivery, func(v *View) {
			completedAgain(v)
			v.Order.CancelRequest = "REQUESTED"
		}, "order_stuck shipping.shipment", "OrderCancelRequested"},
		{"refusal not heard", delivery, func(v *View) {
			completedAgain(v)
			v.Order.CancelRequest, v.Shipment.CancelAsked, v.Shipment.CancelRefused = "REQUESTED", true, true
		}, "order_stuck order.orders", "ShipmentCancelRefused"},
		{"stop not heard", delivery, func(v *View) {
			completedAgain(v)
			v.Order.CancelRequest, v.Shipment.CancelAsked, v.Shipment.State = "REQUESTED", true, cancelled
		}, "shipment_state order.orders", "ShipmentCancelled"},
		{"failure not heard", delivery, func(v *View) {
			completedAgain(v)
			v.Shipment.State, v.Shipment.BookingID = "FAILED", ""
		}, "shipment_state order.orders", "ShipmentFailed"},
		{"parcel of a cancelled order", undone, func(v *View) { v.Shipment.State = "DISPATCHED" }, "shipment_state shipping.shipment", ""},
		{"parcel of a sold-out order", soldOut, func(v *View) { v.Shipment = &book.Shipment{State: "PREPARED"} }, "shipment_state shipping.shipment", ""},

		{"refund takes long", undone, func(v *View) {
			v.Payment.Refund, v.Order.UndoPayment = "PENDING", "REFUNDING"
			v.Mails.Kinds = []string{"cancelled", "completed"}
		}, "payment_refund payment.payment", ""},
		{"refusal of a refund not heard", undone, func(v *View) {
			v.Payment.Refund, v.Order.UndoPayment = "REFUSED", "REFUNDING"
			v.Mails.Kinds = []string{"cancelled", "completed"}
		}, "payment_refund order.orders", "RefundFailed"},
		{"refund of what stands", delivery, func(v *View) { v.Payment.Refund = "DONE"; v.Mails.Kinds = append(v.Mails.Kinds, "refunded") }, "payment_refund payment.payment", ""},
		{"payment never heard of the cancel", undone, func(v *View) { v.Payment = nil }, "payment_state payment.payment", "OrderCancelled"},
		{"paid though sold out", soldOut, func(v *View) { v.Payment = &book.Payment{State: "COMPLETED", Refund: "NONE"} }, "payment_state payment.payment", ""},

		{"sold out and held", soldOut, func(v *View) { v.Stock.State, v.Stock.Items = "TAKEN", []book.Item{{ProductID: "p", Quantity: 1}} }, "stock_reservation stock.reservation", ""},
		{"gave back too little", undone, func(v *View) { v.Stock.Items[0].Quantity = 1 }, "stock_items stock.reservation", ""},
		{"coupon without need", soldOut, func(v *View) { v.Coupon = &book.Use{State: cancelled} }, "coupon_use coupon.coupon_use", ""},
		{"coupon kept though cancelled", undone, func(v *View) { v.Coupon.State, v.Coupon.SpentBy = "USED", []string{"o"} }, "coupon_use coupon.coupon_use", "PaymentCancelled"},
		{"coupon back and still spent", undone, func(v *View) { v.Coupon.SpentBy = []string{"o"} }, "coupon_spent coupon.coupon_spent", ""},
	} {
		v := c.of()
		c.change(&v)
		found := v.judge(limit)
		if len(found) != 1 {
			t.Errorf("%s: %d differences: %+v", c.name, len(found), found)
			continue
		}
		d := found[0]
		if got := d.Rule + " " + d.Row; got != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, got, c.want, d.Sentence)
		}
		if repair := strings.Join(d.Repair, "; "); c.repair == "" && repair != "" || !strings.HasSuffix(repair, c.repair) {
			t.Errorf("%s: repair %q, want %q", c.name, repair, c.repair)
		}
		if len(d.Repair) == 0 && d.Advice == "" || !strings.Contains(d.Sentence, "order o") {
			t.Errorf("%s: says %q and advises %q", c.name, d.Sentence, d.Advice)
		}
		known := false
		for _, rule := range Rules() {
			known = known || rule == d.Rule
		}
		if !known {
			t.Errorf("%s: the rule %s is not listed", c.name, d.Rule)
		}
	}
}

// completedAgain takes the delivery back.
func completedAgain(v *View) {
	v.Order.Status, v.Order.ShipmentStatus, v.Shipment.State = completed, "PREPARED", "PREPARED"
	v.Mails.Kinds, v.Line.Status = []string{"completed"}, completed
}

// One wrong row explains the sum that it makes wrong, and does not excuse another mistake in it.
func TestSumsAreExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		product   book.Product
		explained int64
		wrong     bool
	}{
		{"adds up", book.Product{Received: 10, Held: 3, Quantity: 7}, 0, false},
		{"does not", book.Product{Received: 10, Held: 3, Quantity: 8}, 0, true},
		{"the reservation is gone", book.Product{Received: 10, Held: 0, Quantity: 7}, 3, false},
		{"the reservation is gone, and a piece", book.Product{Received: 10, Held: 0, Quantity: 6}, 3, true},
		{"never given back", book.Product{Received: 10, Held: 3, Quantity: 7}, -3, false},
	} {
		if d, wrong := product(c.product, c.explained); wrong != c.wrong {
			t.Errorf("%s: %v %s", c.name, wrong, d.Sentence)
		}
	}
	if _, wrong := account(book.Account{Balance: 300, Ledger: 400}, -100); wrong {
		t.Error("a ledger entry that is off does not explain the balance")
	}
	if _, wrong := account(book.Account{Balance: 300, Ledger: 400}, 0); !wrong {
		t.Error("a balance that is off is not found")
	}
}
