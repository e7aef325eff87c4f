package floor

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/outbox"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

type record = kgo.Record

// fact says of each event who publishes it, as its how manieth about the order.
type fact struct {
	service, name, topic string
	sequence             int64
}

var facts = [events]fact{
	created:   factOf("order", &orderv1.OrderCreated{}, 1),
	decreased: factOf("stock", &stockv1.StockDecreased{}, 1),
	paid:      factOf("payment", &paymentv1.PaymentCompleted{}, 1),
	completed: factOf("order", &orderv1.OrderCompleted{}, 2),
	prepared:  factOf("shipping", &shippingv1.ShipmentPrepared{}, 1),
}

func factOf(service string, m proto.Message, sequence int64) fact {
	name := string(m.ProtoReflect().Descriptor().FullName())
	return fact{service: service, name: name, topic: flow.Topic(name), sequence: sequence}
}

// encode makes the order's records: the contract's own messages in the project's own envelope.
func (o *order) encode(at time.Time, prefix string) error {
	for i, message := range o.messages(timestamppb.New(at)) {
		e, f := &o.events[i], facts[i]
		var err error
		if e.payload, err = proto.Marshal(message); err != nil {
			return fmt.Errorf("encode %s: %w", f.name, err)
		}
		envelope := kafka.Envelope{
			ID: e.id, Type: f.name, Source: "/quadrille/" + f.service, Subject: o.id, Time: at, Sequence: f.sequence,
			Correlation: o.events[created].id, TraceParent: o.trace,
		}
		if i == created {
			envelope.Command = o.command
		} else {
			envelope.Causation = o.events[i-1].id
		}
		headers := envelope.Headers()
		e.headers = frame(headers)
		e.record = &record{
			Topic: prefix + f.topic, Key: []byte(o.id), Value: e.payload, Headers: make([]kgo.RecordHeader, len(headers)),
		}
		for n, h := range headers {
			e.record.Headers[n] = kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)}
		}
	}
	return nil
}

func (o *order) messages(at *timestamppb.Timestamp) [events]proto.Message {
	items := []*orderv1.OrderItem{{ProductId: o.goods, ProductName: productName, Quantity: 1, ProductPrice: price}}
	checkout := &orderv1.Checkout{
		ItemsAmount: price, PointAmount: price, Currency: "KRW", PaymentType: orderv1.PaymentType_PAYMENT_TYPE_POINT,
		CouponFailurePolicy: orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_CANCEL_ORDER, ShippingAddressId: o.place,
		DeadlineAt: at,
	}
	return [events]proto.Message{
		created: &orderv1.OrderCreated{
			OrderId: o.id, UserId: o.user, OrderItems: items, TotalAmount: price, CreatedAt: at, Checkout: checkout,
		},
		decreased: &stockv1.StockDecreased{
			OrderId: o.id, UserId: o.user, OrderItems: items, Checkout: checkout, DecreasedAt: at,
		},
		paid: &paymentv1.PaymentCompleted{
			OrderId: o.id, UserId: o.user, PaymentId: o.payment, PointAmount: price, Currency: "KRW",
			PaymentType: orderv1.PaymentType_PAYMENT_TYPE_POINT, CompletedAt: at,
		},
		completed: &orderv1.OrderCompleted{
			OrderId: o.id, UserId: o.user, OrderItems: items, PointAmount: price, Currency: "KRW",
			ShippingAddressId: o.place, CompletedAt: at,
		},
		prepared: &shippingv1.ShipmentPrepared{
			OrderId: o.id, UserId: o.user, Carrier: "simulator", TrackingNumber: o.tracking, PreparedAt: at,
		},
	}
}

// frame writes headers as package outbox stores them: length and text, in turn.
func frame(headers []outbox.Header) []byte {
	buf := make([]byte, 0, 640)
	for _, h := range headers {
		for _, s := range []string{h.Key, h.Value} {
			buf = binary.AppendUvarint(buf, uint64(len(s)))
			buf = append(buf, s...)
		}
	}
	return buf
}
