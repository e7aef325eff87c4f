package check

import (
	"slices"
)

// agreementRules hold the services' tables against each other, order by order.
var agreementRules = []Rule{
	{"stock-agrees", "Stock holds an order's pieces if and only if the order stands.", stockAgrees},
	{"coupon-agrees", "An order's coupons are spent if and only if the order stands and they counted.", couponAgrees},
	{"payment-agrees", "A payment is taken if and only if the order stands, and its amounts are the order's.", paymentAgrees},
	{"shipping-agrees", "Shipping and the carrier know a parcel if and only if the order stands, as far on its way as the order says.", shippingAgrees},
	{"gateway-agrees", "The gateway shows what order says.", gatewayAgrees},
	{"undo-agrees", "A cancelled order's own view of its undo is what was undone.", undoAgrees},
	{"mails", "A customer gets each mail once, for what has happened and for nothing else.", mails},
	{"orphan", "No service knows an order that order does not know.", orphan},
}

// undo is where an order's undo began, "" if it has none.
func (j *judge) undo(order string) string {
	if e := j.first(order, "OrderCancelled"); e != nil {
		return e.Undo
	}
	return ""
}

func stockAgrees(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		if !o.final() {
			continue
		}
		r := j.reservation[o.ID]
		state := ""
		if r != nil {
			state = r.State
		}
		want := "TAKEN"
		if !o.live() {
			want = "RETURNED"
			if j.undo(o.ID) == "NOTHING" {
				want = "REFUSED"
			}
		}
		switch {
		case state != want:
			j.violated(o.ID, "the order is %s, and its reservation %q, not %s", o.Status, state, want)
		case o.live() && terms(r.Items, nil, "", "", "") != terms(o.Items, nil, "", "", ""):
			j.violated(o.ID, "ordered are %v, and reserved %v", o.Items, r.Items)
		}
	}
}

func couponAgrees(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		if !o.final() {
			continue
		}
		state, discount := "", int64(0)
		if u := j.use[o.ID]; u != nil {
			state, discount = u.State, u.Discount
		}
		if want := j.wantUse(o); !slices.Contains(want, state) {
			j.violated(o.ID, "the order is %s (%s), and its use of coupons %q, not one of %q", o.Status, o.Reason, state, want)
		}
		switch {
		case !o.live():
		case state == "USED" && discount != o.Discount:
			j.violated(o.ID, "the coupons took off %d, and the order says %d", discount, o.Discount)
		case state != "USED" && o.Discount != 0:
			j.violated(o.ID, "no coupon is used, and the order says that %d was taken off", o.Discount)
		case len(o.Coupons) > 0 && state != "USED" && o.CouponPolicy != "PAY_FULL_PRICE":
			j.violated(o.ID, "it stands at full price, to which nobody has agreed")
		}
	}
}

// wantUse are the states in which coupon may have an order's use.
func (j *judge) wantUse(o *Order) []string {
	p := j.payment[o.ID]
	switch {
	case len(o.Coupons) == 0:
		return []string{""}
	case o.live() && p != nil && p.CouponCounted:
		return []string{"USED"}
	case o.live():
		return []string{"REFUSED", "CLOSED", "GIVEN_BACK"}
	case j.undo(o.ID) == "NOTHING":
		return []string{""}
	case j.undo(o.ID) == "STOCK":
		return []string{"REFUSED"}
	}
	return []string{"CANCELLED"}
}

func paymentAgrees(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		if !o.final() {
			continue
		}
		state := ""
		p := j.payment[o.ID]
		if p != nil {
			state = p.State
		}
		want := map[string]string{"": "COMPLETED", "NOTHING": "", "STOCK": "", "COUPON": "FAILED", "PAYMENT": "CANCELLED"}[j.undo(o.ID)]
		switch {
		case state != want:
			j.violated(o.ID, "the order is %s (%s), and its payment %q, not %q", o.Status, o.Reason, state, want)
		case o.live() && (p.Amount != o.Payment || p.Points != o.Points || p.Discount != o.Discount):
			j.violated(o.ID, "the order says %d by card, %d points, %d off, and payment %d, %d, %d",
				o.Payment, o.Points, o.Discount, p.Amount, p.Points, p.Discount)
		case o.live() && o.ItemsAmount+o.Fee != o.Payment+o.Points+o.Discount:
			j.violated(o.ID, "%d for items and %d for delivery are not %d by card, %d points and %d off",
				o.ItemsAmount, o.Fee, o.Payment, o.Points, o.Discount)
		case p != nil && !o.live() && p.Points != 0:
			j.violated(o.ID, "the order is %s, and payment holds %d points", o.Status, p.Points)
		case p != nil && (p.Refund == "PENDING" || p.Refund == "ASKING"):
			j.violated(o.ID, "its refund is still %s", p.Refund)
		case p != nil && p.Refund == "REFUSED":
			j.violated(o.ID, "its refund was refused, which no card of this run does")
		}
	}
}

func shippingAgrees(j *judge) {
	type stand struct{ shipment, carrier []string }
	wanted := map[string]stand{
		"COMPLETED": {[]string{"PREPARED"}, []string{"booked"}},
		"SHIPPED":   {[]string{"DISPATCHED"}, []string{"dispatched", "lost"}},
		"DELIVERED": {[]string{"DELIVERED"}, []string{"delivered"}},
		"never":     {[]string{""}, []string{""}},
		"stopped":   {[]string{"CANCELLED", "FAILED"}, []string{"cancelled", "voided", "refused", ""}},
	}
	for i := range j.Orders {
		o := &j.Orders[i]
		if !o.final() {
			continue
		}
		state := ""
		if s := j.shipment[o.ID]; s != nil {
			state = s.State
		}
		as := o.Status
		if !o.live() {
			as = "never"
			if j.has(o.ID, "OrderCompleted") {
				as = "stopped"
			}
		}
		want := wanted[as]
		if !slices.Contains(want.shipment, state) {
			j.violated(o.ID, "the order is %s, and its shipment %q, not one of %q", o.Status, state, want.shipment)
		}
		if !slices.Contains(want.carrier, j.Bookings[o.ID]) {
			j.violated(o.ID, "the order is %s, and the carrier's parcel %q, not one of %q", o.Status, j.Bookings[o.ID], want.carrier)
		}
		if is := (map[string]string{"PREPARED": "PREPARED", "DISPATCHED": "DISPATCHED", "DELIVERED": "DELIVERED"})[state]; o.live() && o.Shipment != is {
			j.violated(o.ID, "shipping says %s, and the order shows its parcel as %q", state, o.Shipment)
		}
	}
}

func gatewayAgrees(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		l := j.line[o.ID]
		switch {
		case l == nil:
			j.violated(o.ID, "the gateway does not show it")
		case l.Status != o.Status || l.Reason != o.Reason || l.Member != o.Member:
			j.violated(o.ID, "order says %s %s of %s, and the gateway %s %s of %s", o.Status, o.Reason, o.Member, l.Status, l.Reason, l.Member)
		case o.live() && l.Amount != o.Payment:
			j.violated(o.ID, "order says %d was paid, and the gateway %d", o.Payment, l.Amount)
		}
	}
}

func undoAgrees(j *judge) {
	for i := range j.Orders {
		o := &j.Orders[i]
		if o.Status != "CANCELLED" {
			continue
		}
		e := j.first(o.ID, "OrderCancelled")
		if e == nil {
			j.violated(o.ID, "it is CANCELLED, and there is no OrderCancelled")
			continue
		}
		steps := undoSteps(e.Undo, len(o.Coupons) > 0)
		word := func(step string) string {
			if slices.Contains(steps, step) {
				return "DONE"
			}
			return "NONE"
		}
		payment := word("PaymentCancelled")
		if j.has(o.ID, "PaymentRefunded") {
			payment = "REFUNDED"
		}
		if o.Reason != e.Reason {
			j.violated(o.ID, "its reason is %s, and the event says %s", o.Reason, e.Reason)
		}
		if o.UndoPayment != payment || o.UndoCoupon != word("CouponUseCancelled") || o.UndoStock != word("StockIncreased") {
			j.violated(o.ID, "it shows its undo as payment %s, coupon %s, stock %s, and the events say %s, %s, %s",
				o.UndoPayment, o.UndoCoupon, o.UndoStock, payment, word("CouponUseCancelled"), word("StockIncreased"))
		}
	}
}

// mailKinds are what customers hear of.
var mailKinds = map[string]string{
	"OrderCompleted": "completed", "OrderCancelled": "cancelled", "ShipmentDispatched": "dispatched",
	"ShipmentDelivered": "delivered", "PaymentRefunded": "refunded",
}

func mails(j *judge) {
	there := map[[2]string]bool{}
	for _, m := range j.Mails {
		k := [2]string{m.Order, m.Kind}
		if there[k] {
			j.violated(m.Order, "the mail %q stands there twice", m.Kind)
		}
		there[k] = true
		if m.State != "SENT" {
			j.violated(m.Order, "the mail %q is %s", m.Kind, m.State)
		}
	}
	for _, e := range j.event {
		if kind := mailKinds[e.Type]; kind != "" {
			if !there[[2]string{e.Subject, kind}] {
				j.violated(e.Subject, "there is %s, and no mail %q", e.Type, kind)
			}
			delete(there, [2]string{e.Subject, kind})
		}
	}
	for k := range there {
		j.violated(k[0], "there is a mail %q, and nothing that it would be about", k[1])
	}
}

func orphan(j *judge) {
	known := func(service, order string) {
		if order != "" && j.order[order] == nil {
			j.violated(order, "%s knows it, and order does not", service)
		}
	}
	for i := range j.Reservations {
		known("stock", j.Reservations[i].Order)
	}
	for i := range j.Uses {
		known("coupon", j.Uses[i].Order)
	}
	for i := range j.Payments {
		known("payment", j.Payments[i].Order)
	}
	for i := range j.Shipments {
		known("shipping", j.Shipments[i].Order)
	}
	for i := range j.Lines {
		known("the gateway", j.Lines[i].Order)
	}
	for i := range j.Mails {
		known("mailer", j.Mails[i].Order)
	}
	for i := range j.Ledger {
		known("the points ledger", j.Ledger[i].Order)
	}
}
