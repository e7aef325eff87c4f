package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// orderStatus blames order's row: everybody else did what the events say.
func (v View) orderStatus() Difference {
	o, says := v.Order, v.Line.Status
	if v.Line.Reason != "" {
		says += " (" + v.Line.Reason + ")"
	}
	is := o.Status
	if o.Reason != "" {
		is += " (" + o.Reason + ")"
	}
	services := append([]string{"order"}, v.others()...)
	d := v.difference("order_status", "order.orders", services,
		"order says that order %s is %s, but its events say %s, and %s acted on that.", v.OrderID, is, says, list(services[1:]))
	switch {
	case v.Line.Status == delivered && (o.Status == completed || o.Status == shipped):
		return d.resend("ShipmentDelivered")
	case v.Line.Status == shipped && o.Status == completed:
		return d.resend("ShipmentDispatched")
	}
	return d.person("Status, reason and progress of the row in orders; the timeline shows the event after which they are right.")
}

// others are the services that know the order.
func (v View) others() []string {
	var names []string
	for _, k := range []struct {
		name  string
		knows bool
	}{
		{"stock", v.Stock != nil}, {"coupon", v.Coupon != nil}, {"payment", v.Payment != nil}, {"shipping", v.Shipment != nil}, {"mailer", v.Mails != nil},
	} {
		if k.knows {
			names = append(names, k.name)
		}
	}
	return names
}

// adds holds the order's amounts against each other.
func (v View) adds() []Difference {
	o := v.Order
	var items int64
	for _, item := range o.Items {
		items += item.Quantity * item.ProductPrice
	}
	due := o.ItemsAmount + o.DeliveryFee - o.DiscountAmount - o.PointAmount
	const advice = "The amounts of the row in orders; payment's row and the provider's charge say what was paid."
	switch {
	case items != o.ItemsAmount:
		return []Difference{v.difference("order_adds_up", "order.orders", []string{"order"},
			"order says that the items of order %s cost %d, but its lines add up to %d.", v.OrderID, o.ItemsAmount, items).person(advice)}
	case due != o.PaymentAmount:
		return []Difference{v.difference("order_adds_up", "order.orders", []string{"order"},
			"the amounts of order %s do not add up: items %d + fee %d - discount %d - points %d is %d, not the payment of %d.",
			v.OrderID, o.ItemsAmount, o.DeliveryFee, o.DiscountAmount, o.PointAmount, due, o.PaymentAmount).person(advice)}
	}
	return nil
}

// addsUp says that the order's amounts can be held against others'.
func (v View) addsUp() bool { return len(v.adds()) == 0 }

// waits judges the time of an order under way.
func (v View) waits(stuck time.Duration) []Difference {
	o := v.Order
	limit := stuck.Seconds()
	switch {
	case o.Status == pending && o.Overdue > limit:
		d := v.difference("order_stuck", "order.orders", []string{"order"},
			"order %s is PENDING and waits for %s, although its deadline passed %s ago.", v.OrderID, o.Progress, ago(o.Overdue))
		return []Difference{d.person("Does order's sweeper run, and is the order parked (quadrille dlq list)? To end it: quadrille order cancel.")}
	case o.Status == cancelling && o.Idle > limit:
		return []Difference{v.undoStuck()}
	}
	return nil
}

// undoStuck finds out which step of an undo did not hear, or was not heard, and has the event published
// again that it waits for.
func (v View) undoStuck() Difference {
	o := v.Order
	stuck := func(at, row, format string, args ...any) Difference {
		d := v.difference("order_stuck", row, []string{at, "order"}, "order %s has been CANCELLING for %s: ", v.OrderID, ago(o.Idle))
		d.Sentence += fmt.Sprintf(format, args...)
		return d
	}
	from := undoOf(o.Reason)
	paymentUndone := from != undoAll || v.Payment != nil && v.Payment.State == cancelled
	couponUndone := from < undoCoupon || !o.HasCoupons || v.Coupon != nil && v.Coupon.State == cancelled
	before := "OrderCancelled"
	if from == undoAll {
		before = "PaymentCancelled"
	}
	switch {
	case !paymentUndone && v.Payment != nil && slices.Contains([]string{"CLOSING", "ASKING", "VOIDING", "CHARGING"}, v.Payment.State):
		return stuck("payment", "payment.payment", "payment is still %s and waits for the provider.", v.Payment.State).
			person("What became of the charge is asked of the provider until it answers: see quadrille dlq list and the provider's own pages.")
	case !paymentUndone:
		return stuck("payment", "payment.payment", "payment has not given the money back.").resend("OrderCancelled")
	case !couponUndone:
		return stuck("coupon", "coupon.coupon_use", "coupon has not given the coupons back.").resend(before)
	case v.Stock == nil || v.Stock.State != "RETURNED":
		if from > undoStock && o.HasCoupons {
			before = "CouponUseCancelled"
		}
		return stuck("stock", "stock.reservation", "stock has not given the pieces back.").resend(before)
	}
	return stuck("order", "order.orders", "every step is undone, and order has not heard of the last one.").resend("StockIncreased")
}

// prices holds what order sells at against what stock lists.
func prices(listed map[string]book.Product, sold map[string]book.Price) []Difference {
	var found []Difference
	for _, id := range sortedKeys(listed) {
		p, s := listed[id], sold[id]
		_, known := sold[id]
		if known && p.Price == s.Price && p.Currency == s.Currency && p.OnSale == s.OnSale {
			continue
		}
		d := Difference{
			Rule: "price_agrees", Row: "order.price", ProductID: id, Services: []string{"order", "stock"}, Repair: []string{},
			Sentence: fmt.Sprintf("stock lists product %s at %d %s (on sale: %v), order sells it at %d %s (on sale: %v).",
				id, p.Price, p.Currency, p.OnSale, s.Price, s.Currency, s.OnSale),
		}
		if known {
			d.Advice = "Every change of a price is published: PATCH /ops/v1/products/" + id + " to another price and back."
		} else {
			d.Repair = []string{"quadrille repair resend " + id + " ProductPriceChanged ProductListed"}
		}
		found = append(found, d)
	}
	return found
}
