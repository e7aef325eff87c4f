package gateway

import (
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// tale is an order's whole story, indexed for the question who ignored what.
type tale struct {
	// first of each short name, in the order of the timeline.
	first map[string]Event
	// effects are the events that name an event as their cause.
	effects map[string][]Event
	decoded map[string]proto.Message
}

func newTale(sorted []Event) *tale {
	t := &tale{first: map[string]Event{}, effects: map[string][]Event{}, decoded: map[string]proto.Message{}}
	for _, e := range sorted {
		if _, known := t.first[e.Name()]; !known {
			t.first[e.Name()] = e
		}
		t.effects[e.Causation] = append(t.effects[e.Causation], e)
		t.decoded[e.ID] = decode(e)
	}
	return t
}

const (
	whyCancelled = "order was already cancelled"
	whyRepeated  = "came before, under another id"
)

// ignored says why the service that an event was for did not act on it, "" if it did or nothing is known. It is read
// off the events alone: whoever acts on an event emits one that names it as its cause, so a forward event without
// effects in a story that ends in a cancellation came too late.
func (t *tale) ignored(e Event) string {
	name := e.Name()
	if first := t.first[name]; first.ID != e.ID && name != "RefundFailed" && bitOf[name] != 0 {
		return whyRepeated
	}
	switch name {
	case "OrderCreated":
		return t.createdIgnored()
	case "StockDecreased", "CouponUsed", "OrderCouponWaived":
		return t.triggerIgnored(e)
	case "CouponUseFailed":
		return t.couponFailedIgnored(e)
	case "PaymentCompleted":
		if _, done := t.first["OrderCompleted"]; !done && t.cancelledBut(e) {
			return whyCancelled
		}
	case "PaymentFailed", "StockDecreaseFailed", "ShipmentFailed", "ShipmentCancelled":
		if t.cancelledBut(e) {
			return whyCancelled
		}
	case "OrderCancelRequested":
		if failed, ok := t.first["ShipmentFailed"]; ok && failed.OccurredAt.Before(e.OccurredAt) {
			return "the shipment had failed before"
		}
	}
	return ""
}

// cancelledBut: the order was cancelled, and not because of e.
func (t *tale) cancelledBut(e Event) bool {
	cancelled, ok := t.first["OrderCancelled"]
	return ok && cancelled.Causation != e.ID
}

// createdIgnored: the undo reached stock before the order did, so stock took nothing and gave nothing back.
func (t *tale) createdIgnored() string {
	_, took := t.first["StockDecreased"]
	_, refused := t.first["StockDecreaseFailed"]
	undone, ok := t.decoded[t.first["StockIncreased"].ID].(*stockv1.StockIncreased)
	if ok && !took && !refused && len(undone.GetOrderItems()) == 0 {
		return "the undo reached stock first"
	}
	return ""
}

// triggerIgnored is about the events that payment (or coupon) goes on with.
func (t *tale) triggerIgnored(e Event) string {
	for _, outcome := range []string{"PaymentCompleted", "PaymentFailed"} {
		paid, ok := t.first[outcome]
		if begun := t.nameOf(paid.Causation); ok && competes(e.Name(), begun) {
			return "payment had already begun with " + begun
		}
	}
	cancelled, ok := t.first["OrderCancelled"]
	if ok && len(t.effects[e.ID]) == 0 && !e.OccurredAt.Before(cancelled.OccurredAt) {
		return whyCancelled
	}
	return ""
}

// competes: both would have begun the payment of an order with coupons; the first counts. StockDecreased is not among
// them: without coupons it is the only one.
func competes(a, b string) bool {
	return a != b && isCouponAnswer(a) && isCouponAnswer(b)
}

func isCouponAnswer(name string) bool {
	return name == "CouponUsed" || name == "CouponUseFailed" || name == "OrderCouponWaived"
}

// nameOf is the short name of an event of this story, "" if it is not there.
func (t *tale) nameOf(id string) string {
	for name, e := range t.first {
		if e.ID == id {
			return name
		}
	}
	return ""
}

func (t *tale) couponFailedIgnored(e Event) string {
	m, ok := t.decoded[e.ID].(interface {
		GetCouponFailurePolicy() orderv1.CouponFailurePolicy
	})
	if ok && m.GetCouponFailurePolicy() == orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE {
		return t.triggerIgnored(e)
	}
	if t.cancelledBut(e) {
		return whyCancelled
	}
	return ""
}
