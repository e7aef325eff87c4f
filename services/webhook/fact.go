package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The types of these topics have to be known for their payloads to be read.
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnFact records an event and a delivery for every endpoint that wants its type; where none does, nothing. Of a type
// that this release does not know it cannot say what a receiver may see, so with somebody waiting for it the event is
// parked until the next release, as everything is that a service takes and does not understand.
func OnFact(w *World, r flow.Record, m flow.Meta) []flow.Event {
	var body []byte
	for id, e := range w.Endpoints.All() {
		if !e.Wants(r.Type) {
			continue
		}
		if body == nil {
			var err error
			if body, err = Body(r); err != nil {
				panic(err)
			}
			w.Facts.Put(r.ID, Fact{
				EventID: r.ID, Type: r.Type, Subject: r.SubjectID, OccurredAt: r.Time, RecordedAt: m.Now, Body: body,
			})
		}
		w.Deliveries.Put(DeliveryKey(id, r.ID), fresh(w.Rules, id, r.ID, m.Now))
	}
	return nil
}

func fresh(r Rules, endpointID, eventID string, now time.Time) Delivery {
	return Delivery{EndpointID: endpointID, EventID: eventID, DueAt: now, GiveUpAt: now.Add(r.GiveUpAfter), CreatedAt: now}
}

// envelope is the body of a delivery, as Standard Webhooks has it.
type envelope struct {
	Type string `json:"type"`
	// Timestamp is when it happened, not when it is sent.
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// Body renders an event for its receivers: the same record always gives the same bytes.
func Body(r flow.Record) ([]byte, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(r.Type))
	if err != nil {
		return nil, &fault.DecodeError{Type: r.Type, Reason: "type is not known", Err: err}
	}
	message := t.New().Interface()
	if err := proto.Unmarshal(r.Payload, message); err != nil {
		return nil, &fault.DecodeError{Type: r.Type, Reason: "not a message of this type", Err: err}
	}
	data, err := render(nil, message.ProtoReflect())
	if err != nil {
		return nil, err
	}
	return seal(r.Type, r.Time, data)
}

func seal(eventType string, at time.Time, data []byte) ([]byte, error) {
	body, err := json.Marshal(envelope{Type: eventType, Timestamp: at.UTC(), Data: data})
	if err != nil {
		return nil, fmt.Errorf("encode the body of %s: %w", eventType, err)
	}
	return body, nil
}

// Types lists the event types there are, in the order of the topics and of their declaration.
func Types() []string {
	var names []string
	for _, file := range []protoreflect.FileDescriptor{
		orderv1.File_quadrille_order_v1_order_proto, stockv1.File_quadrille_stock_v1_stock_proto,
		couponv1.File_quadrille_coupon_v1_coupon_proto, paymentv1.File_quadrille_payment_v1_payment_proto,
		shippingv1.File_quadrille_shipping_v1_shipping_proto,
	} {
		for i := range file.Messages().Len() {
			if m := file.Messages().Get(i); isEvent(m) {
				names = append(names, string(m.FullName()))
			}
		}
	}
	return names
}

// isEvent tells an event from a part of one by the contract of events: field 1 is the id of what it is about, and it
// says when it happened.
func isEvent(m protoreflect.MessageDescriptor) bool {
	about := m.Fields().ByNumber(1)
	if about == nil || about.Kind() != protoreflect.StringKind || about.IsList() {
		return false
	}
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.Message() != nil && f.Message().FullName() == timestampName {
			return true
		}
	}
	return false
}
