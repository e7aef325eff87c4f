package explorer

import (
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// emitted finds an event on its topic by name.
func (s *search) emitted(now *state, topic int, name string) (event, bool) {
	for _, e := range s.lists[topic][now.topic[topic]].events {
		if s.events[e].name == name {
			return s.events[e], true
		}
	}
	return event{}, false
}

func (s *search) has(now *state, topic int, name string) bool {
	_, found := s.emitted(now, topic, name)
	return found
}

// undoFrom is where the undo began; unspecified: there is none.
func (s *search) undoFrom(now *state) orderv1.UndoFrom {
	if e, found := s.emitted(now, atOrder, "OrderCancelled"); found {
		return e.message.(*orderv1.OrderCancelled).GetUndoFrom()
	}
	return orderv1.UndoFrom_UNDO_FROM_UNSPECIFIED
}

// checkEmit says which rule an event breaks at the moment it is emitted.
func (s *search) checkEmit(now *state, number, in uint16) string {
	e := s.events[number]
	if s.has(now, e.topic, e.name) {
		return "emitted twice: " + e.name
	}
	if rule := s.checkCause(now, e, in); rule != "" {
		return rule
	}
	from := s.undoFrom(now)
	paymentFirst := from == orderv1.UndoFrom_UNDO_FROM_PAYMENT && !s.has(now, atPayment, "PaymentCancelled")
	couponFirst := s.system.variant.Coupon && !s.has(now, atCoupon, "CouponUseCancelled") &&
		(from == orderv1.UndoFrom_UNDO_FROM_PAYMENT || from == orderv1.UndoFrom_UNDO_FROM_COUPON)
	switch e.name {
	case "CouponUseCancelled":
		if paymentFirst {
			return "undone out of order: CouponUseCancelled before PaymentCancelled"
		}
	case "StockIncreased":
		if paymentFirst || couponFirst {
			return "undone out of order: StockIncreased before PaymentCancelled or CouponUseCancelled"
		}
	case "OrderCompleted", "OrderCouponWaived", "OrderCancelRequested":
		if from != 0 {
			return e.name + " after OrderCancelled"
		}
	case "ShipmentFailed", "ShipmentCancelled":
		if s.has(now, atShipping, "ShipmentFailed") || s.has(now, atShipping, "ShipmentCancelled") {
			return "ended twice: " + e.name
		}
		if s.has(now, atShipping, "ShipmentDispatched") {
			return e.name + " after ShipmentDispatched"
		}
	case "ShipmentCancelRefused":
		if !s.has(now, atShipping, "ShipmentDispatched") {
			return "ShipmentCancelRefused without ShipmentDispatched before it"
		}
	}
	return s.checkDispatched(now, e)
}

// checkDispatched: an order is sent or its money goes back, never both. The parcel itself counts, not
// only what is said about it.
func (s *search) checkDispatched(now *state, e event) string {
	gone := s.has(now, atShipping, "ShipmentDispatched") || e.name == "ShipmentDispatched" || now.parcel >= parcelDispatched
	back := s.has(now, atPayment, "PaymentCancelled") || e.name == "PaymentCancelled" ||
		s.has(now, atOrder, "OrderCancelled") || e.name == "OrderCancelled"
	if gone && back {
		return "dispatched and cancelled: " + e.name
	}
	return ""
}

// checkCause: every event but the first names one that is there already; what a command emits may leave
// it to the engine, which knows the chain.
func (s *search) checkCause(now *state, e event, in uint16) string {
	if e.cause == "" {
		if s.inputs[in].in.Kind == flow.KindCommand {
			return ""
		}
		return e.name + " does not say what caused it"
	}
	for topic := range services {
		for _, other := range s.lists[topic][now.topic[topic]].events {
			if s.events[other].id == e.cause {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s names a cause that was never emitted: %q", e.name, e.cause)
}

// endKey is all that the judgement of an end depends on.
type endKey struct {
	world                  [services]uint16
	topic                  [services]uint16
	charge, refund, parcel uint8
	charging, refunding    uint8 // the calls, for their amounts
}

// checkEnd judges a state in which nothing has to happen any more.
func (s *search) checkEnd(at uint32) string {
	now := &s.states[at]
	key := endKey{now.world, now.topic, now.charge, now.refund, now.parcel, now.call[callCharge], now.call[callRefund]}
	rule, known := s.ending[key]
	if !known {
		rule = s.judge(now)
		s.ending[key] = rule
		o := s.orderIn(now)
		outcome := string(o.Status)
		if o.Reason != "" {
			outcome = string(o.Reason)
		}
		if _, seen := s.outcomes[outcome]; !seen {
			s.outcomes[outcome] = at
		}
	}
	return rule
}

// checkOutcomes: every way to end that there is, is possible, and no other.
func (s *search) checkOutcomes() {
	wanted := s.system.variant.Outcomes
	for outcome, at := range s.outcomes {
		if !slices.Contains(wanted, outcome) {
			s.violation = &Violation{Rule: "it must not end as " + outcome, Trace: s.trace(at)}
			return
		}
	}
	for _, outcome := range wanted {
		if _, seen := s.outcomes[outcome]; !seen {
			s.violation = &Violation{Rule: "no way ends as " + outcome}
			return
		}
	}
}

func (s *search) orderIn(now *state) order.Order {
	o, _ := s.system.order.row(now.world[atOrder], s.worlds[atOrder]).Orders.Get(orderID)
	return o
}

// waitKey is all that the order's progress depends on.
type waitKey struct {
	order uint16
	topic [services]uint16
}

// checkWaiting: an order that has read everything names the step it really waits for.
func (s *search) checkWaiting(now *state) string {
	for topic := range services {
		if int(now.read[atOrder][topic]) < len(s.lists[topic][now.topic[topic]].taken[atOrder]) {
			return ""
		}
	}
	key := waitKey{now.world[atOrder], now.topic}
	rule, known := s.waiting[key]
	if !known {
		o := s.orderIn(now)
		if want := s.waitsFor(now, o); o.Progress != want {
			rule = fmt.Sprintf("the order is %s and says it waits for %s, but it waits for %s", o.Status, o.Progress, want)
		}
		s.waiting[key] = rule
	}
	return rule
}

// waitsFor says which step an order waits for, by what is on the topics.
func (s *search) waitsFor(now *state, o order.Order) order.Progress {
	withCoupon, from := s.system.variant.Coupon, s.undoFrom(now)
	couponDone := s.has(now, atCoupon, "CouponUsed") || s.has(now, atCoupon, "CouponUseFailed") || s.has(now, atOrder, "OrderCouponWaived")
	switch {
	case o.Status == order.Pending && !s.has(now, atStock, "StockDecreased"):
		return order.AtStock
	case o.Status == order.Pending && withCoupon && !couponDone:
		return order.AtCoupon
	case o.Status == order.Pending:
		return order.AtPayment
	case o.Status == order.Completed:
		return order.AtShipping
	case o.Status != order.Cancelling:
		return order.AtNothing
	case from == orderv1.UndoFrom_UNDO_FROM_PAYMENT && !s.has(now, atPayment, "PaymentCancelled"):
		return order.AtUndoPayment
	case from != orderv1.UndoFrom_UNDO_FROM_STOCK && withCoupon && !s.has(now, atCoupon, "CouponUseCancelled"):
		return order.AtUndoCoupon
	}
	return order.AtUndoStock
}

// end is a final state, decoded.
type end struct {
	variant  Variant
	order    order.Order
	quantity int64
	coupon   coupon.Coupon
	payment  payment.Payment
	points   int64
	shipment shipping.Shipment
	// inHand is what the provider has charged and not refunded.
	inHand int64
	parcel uint8
}

func (s *search) judge(now *state) string {
	e := end{variant: s.system.variant, parcel: now.parcel}
	e.order = s.orderIn(now)
	product, _ := s.system.stock.row(now.world[atStock], s.worlds[atStock]).Products.Get(productID)
	e.quantity = product.Quantity
	e.coupon, _ = s.system.coupon.row(now.world[atCoupon], s.worlds[atCoupon]).Coupons.Get(couponID)
	pay := s.system.payment.row(now.world[atPayment], s.worlds[atPayment])
	e.payment, _ = pay.Payments.Get(orderID)
	account, _ := pay.Points.Get(userID)
	e.points = account.Balance
	booked := int64(0)
	for _, entry := range pay.Ledger.All() {
		booked += entry.Amount
	}
	if booked != e.points-e.variant.Balance {
		return fmt.Sprintf("the ledger says %d points, the balance %d", booked, e.points-e.variant.Balance)
	}
	e.shipment, _ = s.system.shipping.row(now.world[atShipping], s.worlds[atShipping]).Shipments.Get(orderID)
	e.inHand = s.inHand(now)
	if e.variant.CouponDown && e.order.Progress == order.AtUndoCoupon {
		return "" // an undo waits for as long as it takes
	}
	if !e.order.Settled() {
		return fmt.Sprintf("stall: the order is %s, waits for %s, and nothing will come", e.order.Status, e.order.Progress)
	}
	if e.order.Status == order.Cancelled {
		if rule := e.cancelled(); rule != "" {
			return "cancelled, but " + rule
		}
		return s.undoComplete(now, e.order)
	}
	if rule := e.completed(); rule != "" {
		return "completed, but " + rule
	}
	return ""
}

// inHand is the provider's balance of the order.
func (s *search) inHand(now *state) int64 {
	sum := int64(0)
	if now.charge == charged {
		sum += s.bodies[callCharge][now.callBody(callCharge)].Body.(payment.ChargeCall).Amount
	}
	if now.refund == refunded {
		sum -= s.bodies[callRefund][now.callBody(callRefund)].Body.(payment.RefundCall).Amount
	}
	return sum
}

// cancelled: everything is where it was before the order.
func (e *end) cancelled() string {
	switch {
	case e.quantity != e.variant.startingStock():
		return fmt.Sprintf("stock is %d, was %d", e.quantity, e.variant.startingStock())
	case e.coupon.UsedBy == orderID:
		return "the coupon is used"
	case e.points != e.variant.Balance:
		return fmt.Sprintf("there are %d points, were %d", e.points, e.variant.Balance)
	case e.inHand != 0 && e.payment.Refund != payment.RefundRefused:
		return fmt.Sprintf("the provider holds %d", e.inHand)
	case e.payment.Refund == payment.RefundPending || e.payment.Refund == payment.RefundAsking:
		return "the refund is not settled"
	case slices.Contains([]uint8{parcelBooked, parcelDispatched, parcelDelivered, parcelLost}, e.parcel):
		return "the carrier has a parcel"
	case e.order.Progress != order.AtNothing:
		return "it waits for " + string(e.order.Progress)
	case e.order.Reason == "":
		return "without a reason"
	}
	want := order.UndoNone
	switch e.payment.Refund {
	case payment.RefundDone:
		want = order.RefundDone
	case payment.RefundRefused:
		want = order.RefundFailed
	case payment.NoRefund:
		if e.payment.State == payment.Cancelled {
			want = order.UndoDone
		}
	}
	if e.order.UndoPayment != want {
		return fmt.Sprintf("its undo shows payment %s, which is %s", e.order.UndoPayment, want)
	}
	if e.order.UndoCoupon == order.UndoPending || e.order.UndoStock == order.UndoPending {
		return "its undo shows a step as pending"
	}
	return ""
}

// undoComplete: every step from where the undo began has answered.
func (s *search) undoComplete(now *state, o order.Order) string {
	from := s.undoFrom(now)
	steps := []struct {
		topic  int
		name   string
		wanted bool
	}{
		{atPayment, "PaymentCancelled", from == orderv1.UndoFrom_UNDO_FROM_PAYMENT},
		{atCoupon, "CouponUseCancelled", s.system.variant.Coupon && from >= orderv1.UndoFrom_UNDO_FROM_COUPON},
		{atStock, "StockIncreased", from >= orderv1.UndoFrom_UNDO_FROM_STOCK},
	}
	for _, step := range steps {
		if s.has(now, step.topic, step.name) != step.wanted {
			return fmt.Sprintf("cancelled (%s), but %s emitted is %v, not %v", o.Reason, step.name, !step.wanted, step.wanted)
		}
	}
	return ""
}

// completed: pieces, coupon, points and money are taken, to the unit, and the parcel is where the order
// says it is.
func (e *end) completed() string {
	if rule := e.taken(); rule != "" {
		return rule
	}
	return e.sent()
}

func (e *end) taken() string {
	o := e.order
	used := e.coupon.UsedBy == orderID
	points := e.variant.Balance - e.points
	switch {
	case e.quantity != e.variant.startingStock()-pieces:
		return fmt.Sprintf("stock is %d, was %d", e.quantity, e.variant.startingStock())
	case used != (o.DiscountAmount > 0):
		return fmt.Sprintf("the coupon used is %v at a discount of %d", used, o.DiscountAmount)
	case used && o.DiscountAmount != discount:
		return fmt.Sprintf("the discount is %d", o.DiscountAmount)
	case e.variant.Coupon && e.variant.Policy == order.CancelOrder && !used:
		return "at full price, to which nobody has agreed"
	case points != o.PointAmount:
		return fmt.Sprintf("%d points are taken, it says %d", points, o.PointAmount)
	case e.inHand != o.PaymentAmount:
		return fmt.Sprintf("the provider holds %d, it says %d", e.inHand, o.PaymentAmount)
	case unitPrice*pieces != o.DiscountAmount+o.PointAmount+o.PaymentAmount:
		return fmt.Sprintf("%d, %d and %d do not add up", o.DiscountAmount, o.PointAmount, o.PaymentAmount)
	}
	return ""
}

func (e *end) sent() string {
	o := e.order
	is := map[order.Status][]uint8{
		order.Completed: {parcelBooked}, order.Shipped: {parcelDispatched, parcelLost}, order.Delivered: {parcelDelivered},
	}
	switch {
	case o.CancelRequest == order.CancelRequested:
		return "a request to cancel is not answered"
	case !slices.Contains(is[o.Status], e.parcel):
		return fmt.Sprintf("it is %s, and the carrier says %s", o.Status, parcelState[e.parcel])
	case e.parcel == parcelLost && e.shipment.Tracking != shipping.TrackLost:
		return "the lost parcel is not tracked as lost"
	case o.ShipmentStatus == "" || o.TrackingNumber == "":
		return "it does not know its parcel"
	}
	return ""
}
