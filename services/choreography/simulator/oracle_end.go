package simulator

import (
	"fmt"
	"slices"
	"time"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// conserved adds a service's books up.
func (o *oracle) conserved(v *service) {
	switch v.number {
	case atStock:
		o.stockConserved(v.machine.(*unit[stock.World]).tables.(*stocks))
	case atCoupon:
		o.couponsConserved(v.machine.(*unit[coupon.World]).tables.(*coupons))
	case atPayment:
		o.pointsConserved(v.machine.(*unit[payment.World]).tables.(*payments))
	}
}

// stockConserved: what there was is left or taken by an order, of each product, at every moment; and no member
// has more of it than one may.
func (o *oracle) stockConserved(t *stocks) {
	sum, has := map[string]int64{}, map[string]int64{}
	for _, r := range t.reservations {
		for _, item := range r.Items {
			if r.State != stock.Taken {
				continue
			}
			sum[item.ProductID] += int64(item.Quantity)
			if item.Counted {
				has[stock.PurchaseKey(item.ProductID, r.UserID)] += int64(item.Quantity)
			}
		}
	}
	for _, key := range sortedKeys(t.purchases) {
		p := t.purchases[key]
		most := t.products[p.ProductID].Sale.MaxPerMember
		if p.Quantity != has[key] || p.Quantity > most {
			o.violate(p.ProductID, "%s has %d pieces in orders, %d are counted, %d are allowed", p.UserID, has[key], p.Quantity, most)
		}
	}
	for _, id := range sortedKeys(t.products) {
		left := t.products[id].Quantity
		if left < 0 || left+sum[id] != o.pieces[id] {
			o.violate(id, "%d pieces are left and %d taken, of %d", left, sum[id], o.pieces[id])
		}
	}
}

// low: a product is told of when few pieces are left, and not again while it is so.
func (o *oracle) low(product string, m *stockv1.LowStockReached) {
	if p := o.shop.tablesOf(atStock).(*stocks).products[product]; !p.LowTold || m.GetAvailable() > m.GetThreshold() {
		o.violate(product, "is told to run low with %d pieces, threshold %d", m.GetAvailable(), m.GetThreshold())
	}
}

// couponsConserved: a coupon is spent by the one order that uses it, and no policy gives more than its limit.
func (o *oracle) couponsConserved(t *coupons) {
	users := map[string]string{}
	for _, id := range sortedKeys(t.uses) {
		use := t.uses[id]
		if use.State != coupon.Used {
			continue
		}
		for _, c := range use.CouponIDs {
			if users[c] != "" {
				o.violate(id, "%s is used by %s too", c, users[c])
			}
			users[c] = id
		}
	}
	for _, c := range sortedKeys(t.rows) {
		if t.spent[c].order != users[c] {
			o.violate(users[c], "%s is spent by %q and used by %q", c, t.spent[c].order, users[c])
		}
	}
	issued := map[string]int64{}
	for _, c := range t.rows {
		issued[c.PolicyID]++
	}
	for _, id := range sortedKeys(t.policies) {
		if p := t.policies[id]; p.Issued != issued[id] || p.Issued > p.Limit {
			o.violate(id, "%d coupons are issued, counted are %d, of %d", issued[id], p.Issued, p.Limit)
		}
	}
}

// pointsConserved: a balance is the sum of its ledger and never negative.
func (o *oracle) pointsConserved(t *payments) {
	sum := map[string]int64{}
	for _, e := range t.ledger {
		sum[e.UserID] += e.Amount
	}
	for _, id := range sortedKeys(t.points) {
		if balance := t.points[id].Balance; balance != sum[id] || balance < 0 {
			o.violate(id, "the balance is %d, the ledger says %d", balance, sum[id])
		}
	}
}

// longestRest is how long after the last fault something may still happen: customers and carriers take their time,
// but everything that waits for something else has looked for it long before.
const longestRest = 2 * time.Hour

// rest judges the end, when nothing will ever happen again.
func (o *oracle) rest() {
	if o.steps >= maxSteps {
		o.violate("", "it does not come to rest: %d steps", o.steps)
		return
	}
	if late := o.last - o.plan.end; late > longestRest {
		o.violate("", "it comes to rest %v after the last fault", late)
	}
	for _, v := range o.services {
		o.restOf(v)
	}
	if o.emitted["StockRestocked"] != o.shop.restocks {
		o.violate("", "restocked %d times, asked for %d times", o.emitted["StockRestocked"], o.shop.restocks)
	}
	if o.shop.waiting > 0 {
		o.violate("", "%d commands were never answered", o.shop.waiting)
	}
	for _, f := range o.log {
		for _, v := range o.consumers(f) {
			if !o.handled[reading{v.number, f.id}] {
				o.violate(f.subject, "%s was lost: %s never handled it", f.name, v.name)
			}
		}
	}
	for _, id := range o.promises {
		if o.orders[id] == nil {
			o.violate(id, "the customer was told of an order that does not exist")
		}
	}
	for _, id := range sortedKeys(o.orders) {
		if rule := o.judge(o.orders[id]); rule != "" {
			o.violate(id, "%s", rule)
		}
	}
}

// restOf: nothing is left over in a service.
func (o *oracle) restOf(v *service) {
	db := v.db
	if len(db.outbox) > 0 {
		o.violate(db.outbox[0].fact.subject, "the outbox of %s holds %d events", v.name, len(db.outbox))
	}
	for _, id := range db.parked() {
		o.violate(id, "still parked in %s: %s", v.name, db.failures[id].err)
	}
	if len(db.open) > 0 || len(db.locks) > 0 {
		o.violate("", "%s has %d open transactions and %d locks", v.name, len(db.open), len(db.locks))
	}
	open := slices.DeleteFunc(slices.Clone(db.callRows), func(row *callRow) bool { return row.state != callPending })
	slices.SortFunc(open, byDue)
	for _, row := range open {
		o.violate(row.subject, "the call %s of %s was never answered", row.kind, v.name)
	}
}

// ending is an order at the end, with all that the others know of it.
type ending struct {
	*story
	order       order.Order
	reservation stock.Reservation
	use         coupon.Use
	payment     payment.Payment
	taken       int64 // points
	back        int64
	captured    int64
	refunded    int64
	shipment    shipping.Shipment
	parcel      shipping.Parcel
}

func (o *oracle) ending(s *story) ending {
	e := ending{story: s}
	e.order = o.services[atOrder].machine.(*unit[order.World]).tables.(*orders).rows[s.id]
	e.reservation = o.services[atStock].machine.(*unit[stock.World]).tables.(*stocks).reservations[s.id]
	e.use = o.services[atCoupon].machine.(*unit[coupon.World]).tables.(*coupons).uses[s.id]
	pay := o.services[atPayment].machine.(*unit[payment.World]).tables.(*payments)
	e.payment = pay.rows[s.id]
	e.taken = -pay.ledger[payment.LedgerKey(s.id, payment.EntryTaken)].Amount
	e.back = pay.ledger[payment.LedgerKey(s.id, payment.EntryReturn)].Amount
	for _, c := range o.card.captured[s.id] {
		e.captured += c.amount
	}
	e.refunded = o.card.returned[s.id]
	e.shipment = o.services[atShipping].machine.(*unit[shipping.World]).tables.(*shipments).rows[s.id]
	e.parcel = shipping.ParcelNotFound
	for _, p := range o.carrier.all[s.id] {
		e.parcel = p.state
	}
	return e
}

// judge says what is wrong with an order at the end.
func (o *oracle) judge(s *story) string {
	e := o.ending(s)
	outcome := string(e.order.Status)
	if e.order.Reason != "" {
		outcome = string(e.order.Reason)
	}
	o.outcomes[outcome]++
	if !e.order.Settled() {
		return fmt.Sprintf("stuck: the order is %s, waits for %s, and nothing will come", e.order.Status, e.order.Progress)
	}
	rule, prefix := e.completed(), "completed, but "
	if e.order.Status == order.Cancelled {
		rule, prefix = e.cancelled(), "cancelled, but "
	}
	if rule == "" {
		rule = o.mailed(&e)
	}
	if rule != "" {
		return prefix + rule
	}
	return ""
}

// cancelled: everything is where it was before the order.
func (e *ending) cancelled() string {
	switch {
	case e.reservation.State == stock.Taken:
		return "its pieces are taken"
	case e.use.State == coupon.Used:
		return "its coupon is used"
	case e.taken != e.back || e.payment.Points != 0:
		return fmt.Sprintf("%d points were taken and %d given back", e.taken, e.back)
	case e.payment.Refund == payment.RefundRefused:
		if e.refunded != 0 || e.facts["RefundFailed"] == nil {
			return "its refused refund was made, or nobody was told of it"
		}
	case e.captured != e.refunded:
		return fmt.Sprintf("%d were charged and %d refunded", e.captured, e.refunded)
	case e.payment.Refund == payment.RefundPending || e.payment.Refund == payment.RefundAsking:
		return "its refund is not settled"
	}
	if e.parcel == shipping.ParcelBooked || e.parcel.OnItsWay() {
		return "the carrier has a parcel"
	}
	if e.order.Reason == "" || e.order.Progress != order.AtNothing {
		return fmt.Sprintf("for the reason %q it waits for %s", e.order.Reason, e.order.Progress)
	}
	return e.undone()
}

// undone: every step from where the undo began has answered, and the order shows it.
func (e *ending) undone() string {
	for _, step := range []struct {
		name   string
		wanted bool
	}{
		{"PaymentCancelled", e.from == orderv1.UndoFrom_UNDO_FROM_PAYMENT},
		{"CouponUseCancelled", e.coupons && e.from >= orderv1.UndoFrom_UNDO_FROM_COUPON},
		{"StockIncreased", e.from >= orderv1.UndoFrom_UNDO_FROM_STOCK},
	} {
		if (e.facts[step.name] != nil) != step.wanted {
			return fmt.Sprintf("%s was emitted: %v, and should be: %v", step.name, !step.wanted, step.wanted)
		}
	}
	want := order.UndoNone
	switch {
	case e.payment.Refund == payment.RefundDone:
		want = order.RefundDone
	case e.payment.Refund == payment.RefundRefused:
		want = order.RefundFailed
	case e.payment.State == payment.Cancelled:
		want = order.UndoDone
	}
	if e.order.UndoPayment != want || e.order.UndoCoupon == order.UndoPending || e.order.UndoStock == order.UndoPending {
		return fmt.Sprintf("it shows payment %s (which is %s), coupon %s, stock %s", e.order.UndoPayment, want, e.order.UndoCoupon, e.order.UndoStock)
	}
	return ""
}

// completed: pieces, coupon, points and money are taken, to the unit, and the parcel is where the order says.
func (e *ending) completed() string {
	o := e.order
	used := e.use.State == coupon.Used
	is := map[order.Status][]shipping.Parcel{
		order.Completed: {shipping.ParcelBooked}, order.Delivered: {shipping.ParcelDelivered},
		order.Shipped: {shipping.ParcelDispatched, shipping.ParcelLost, shipping.ParcelSentBack},
	}
	switch {
	case e.reservation.State != stock.Taken:
		return "its pieces are not taken"
	case used != (o.DiscountAmount > 0) || used && e.use.Discount != o.DiscountAmount:
		return fmt.Sprintf("its coupon is %q, its discount %d", e.use.State, o.DiscountAmount)
	case e.coupons && o.CouponPolicy == order.CancelOrder && !used:
		return "at full price, to which nobody has agreed"
	case e.taken != o.PointAmount || e.back != 0:
		return fmt.Sprintf("%d points were taken and %d given back, it says %d", e.taken, e.back, o.PointAmount)
	case e.captured != o.PaymentAmount || e.refunded != 0:
		return fmt.Sprintf("%d were charged and %d refunded, it says %d", e.captured, e.refunded, o.PaymentAmount)
	case o.ItemsAmount+o.DeliveryFee != o.DiscountAmount+o.PointAmount+o.PaymentAmount:
		return fmt.Sprintf("%d, %d and %d do not add up", o.DiscountAmount, o.PointAmount, o.PaymentAmount)
	case o.CancelRequest == order.CancelRequested:
		return "a request to cancel is not answered"
	case !slices.Contains(is[o.Status], e.parcel):
		return fmt.Sprintf("it is %s, and the carrier says %s", o.Status, e.parcel)
	case o.ShipmentStatus == "" || o.TrackingNumber == "":
		return "it does not know its parcel"
	}
	return e.tracked()
}

// tracked: what the carrier said last is what shipping says.
func (e *ending) tracked() string {
	is := map[shipping.Parcel]shipping.Tracking{
		shipping.ParcelBooked: shipping.TrackBooked, shipping.ParcelDispatched: shipping.TrackDispatched,
		shipping.ParcelDelivered: shipping.TrackDelivered, shipping.ParcelLost: shipping.TrackLost,
		shipping.ParcelSentBack: shipping.TrackSentBack,
	}
	if e.shipment.Tracking != is[e.parcel] {
		return fmt.Sprintf("its parcel is %s and tracked as %s", e.parcel, e.shipment.Tracking)
	}
	return ""
}

// mailed: every fact worth a mail was mailed, under one key.
func (o *oracle) mailed(e *ending) string {
	rows := o.services[atMailer].machine.(*unit[mailer.World]).tables.(*mails).rows
	wanted := 0
	for _, name := range sortedKeys(e.facts) {
		kind := mailer.KindOf(e.facts[name].full)
		if kind == "" {
			continue
		}
		wanted++
		if row := rows[mailer.MailKey(e.id, kind)]; row.State != mailer.Sent || o.post.sent["mail-"+string(kind)+"-"+e.id] == 0 {
			return fmt.Sprintf("the mail %s is %q", kind, row.State)
		}
	}
	for _, kind := range mailer.Kinds() {
		if _, there := rows[mailer.MailKey(e.id, kind)]; there {
			wanted--
		}
	}
	if wanted != 0 {
		return "a mail was written about nothing"
	}
	return ""
}
