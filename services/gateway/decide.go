package gateway

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	// The types of these topics have to be known for their payloads to be read.
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnEvent records an event, whatever its type, and folds it into its order's line. An event that is there already
// changes nothing. One of an unknown type, or whose payload cannot be read, is recorded too and only not folded: a
// timeline with an opaque entry is worth more than an order whose timeline stops.
func OnEvent(w *World, r flow.Record, m flow.Meta) []flow.Event {
	if _, known := w.Events.Get(r.ID); known {
		return nil
	}
	e := Event{
		ID: r.ID, Subject: r.SubjectID, Type: r.Type, Service: serviceOf(r), Sequence: r.Sequence,
		OccurredAt: r.Time, Causation: r.CausationID, Command: r.CommandID, Correlation: r.CorrelationID,
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Payload: r.Payload,
	}
	w.Events.Put(e.ID, e)
	conform(w, e, r, m)
	message := decode(e)
	if message == nil || !aboutOrder(message) {
		return nil
	}
	order, ok := w.Orders.Get(e.Subject)
	if !ok {
		order = Order{OrderID: e.Subject}
	}
	w.Orders.Put(e.Subject, order.with(e, message))
	return nil
}

// Fold makes an order's line of its events, in whatever order they stand.
func Fold(orderID string, events []Event) Order {
	order := Order{OrderID: orderID, Status: Pending, Step: AtStock}
	for _, e := range events {
		if message := decode(e); message != nil && aboutOrder(message) {
			order = order.with(e, message)
		}
	}
	return order
}

// serviceOf is who emitted a record: by its source, else by its type.
func serviceOf(r flow.Record) string {
	if name := strings.TrimPrefix(r.Source, "/quadrille/"); name != "" && !strings.Contains(name, "/") {
		return name
	}
	return flow.Owner(r.Type)
}

func shortName(eventType string) string { return eventType[strings.LastIndexByte(eventType, '.')+1:] }

// decode returns the event's message, nil if its type is not known or the payload is not a message of it.
func decode(e Event) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
	if err != nil {
		return nil
	}
	m := t.New().Interface()
	if proto.Unmarshal(e.Payload, m) != nil {
		return nil
	}
	return m
}

// aboutOrder tells an order's event from a product's.
func aboutOrder(m proto.Message) bool {
	_, is := m.(interface{ GetOrderId() string })
	return is
}

// with folds one event in. Amounts come from whoever knows best: the completed order, else the payment, else the claim.
func (o Order) with(e Event, message proto.Message) Order {
	if m, ok := message.(interface{ GetUserId() string }); ok && o.UserID == "" {
		o.UserID = m.GetUserId()
	}
	if m, ok := message.(interface{ GetCheckout() *orderv1.Checkout }); ok {
		o = o.claim(m.GetCheckout())
	}
	switch m := message.(type) {
	case *orderv1.OrderCompleted:
		o.Amount, o.Currency = m.GetPaymentAmount(), m.GetCurrency()
	case *orderv1.OrderCancelled:
		o.Reason, o.UndoFrom = reasonName(m.GetReason()), int32(m.GetUndoFrom())
		o.HasCoupons = o.HasCoupons || m.GetHasCoupons()
	case *paymentv1.PaymentCompleted:
		if !o.Seen.Has("OrderCompleted") {
			o.Amount, o.Currency = m.GetPaymentAmount(), m.GetCurrency()
		}
	}
	o.Seen = o.Seen.with(e.Name())
	if o.CreatedAt.IsZero() || e.OccurredAt.Before(o.CreatedAt) {
		o.CreatedAt = e.OccurredAt
	}
	if !e.OccurredAt.Before(o.UpdatedAt) {
		o.UpdatedAt, o.LastEvent = e.OccurredAt, e.Name()
	}
	o.Status = o.status()
	o.Step = o.step()
	return o
}

func (o Order) claim(c *orderv1.Checkout) Order {
	if c == nil {
		return o
	}
	o.HasCoupons = o.HasCoupons || len(c.GetCouponRefs()) > 0
	if !o.Seen.Has("PaymentCompleted") && !o.Seen.Has("OrderCompleted") {
		o.Amount, o.Currency = c.GetPaymentAmount(), c.GetCurrency()
	}
	return o
}

func reasonName(r orderv1.CancelReason) string {
	return strings.TrimPrefix(r.String(), "CANCEL_REASON_")
}

// Compile-time proof that the packages are linked in.
var _ = []proto.Message{(*couponv1.CouponUsed)(nil), (*shippingv1.ShipmentPrepared)(nil), (*stockv1.StockDecreased)(nil)}
