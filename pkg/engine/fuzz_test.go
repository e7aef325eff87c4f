package engine

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// FuzzArrival: whatever a record holds, the engine either decides it under the lock of the subject it is about, or
// parks it at once under a subject that the database can hold; it is never a failure to be tried again for ever.
func FuzzArrival(f *testing.F) {
	for _, m := range []proto.Message{
		&orderv1.OrderCreated{OrderId: "o", UserId: "u"}, &orderv1.OrderCancelled{OrderId: "o"}, &stockv1.StockDecreased{OrderId: "o"},
		&stockv1.ProductListed{ProductId: "o"}, &couponv1.CouponUsed{OrderId: "o"}, &paymentv1.PaymentCompleted{OrderId: "o"},
		&shippingv1.ShipmentDispatched{OrderId: "o"}, &memberv1.MemberChanged{MemberId: "o"},
	} {
		value, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(m.ProtoReflect().Descriptor().FullName()), "0190a3a0-0000-7000-8000-000000000001", "o", "o", "", value)
	}
	f.Add("quadrille.member.v1.MemberChanged", "0190a3a0-0000-7000-8000-000000000001", "o", "o", "", []byte(nil))
	f.Add("google.protobuf.Any", "0190a3a0-0000-7000-8000-000000000001", "o", "o", "", []byte{})
	f.Add("quadrille.order.v2.OrderCreated", "0190a3a0-0000-7000-8000-000000000001", "o", "o", "", []byte{0x0a, 0x01, 'o'})
	f.Add("quadrille.order.v1.OrderCreated", "", "\x00", "\xff", "\x00\xff", []byte{0xff})
	f.Add("quadrille.order.v1.OrderCreated", "0190a3a0000070008000000000000001", strings.Repeat("o", 2000), "", "", []byte{0x0a, 0x01, 'p'})
	f.Fuzz(func(t *testing.T, eventType, id, subject, key, correlation string, value []byte) {
		record := &kgo.Record{Key: []byte(key), Value: value, Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "content-type", Value: []byte(kafka.ContentType)},
			{Key: "ce_id", Value: []byte(id)},
			{Key: "ce_type", Value: []byte(eventType)},
			{Key: "ce_source", Value: []byte("/quadrille/x")},
			{Key: "ce_subject", Value: []byte(subject)},
			{Key: "ce_time", Value: []byte("2026-01-01T00:00:00Z")},
			{Key: "ce_sequence", Value: []byte("1")},
			{Key: "ce_correlationid", Value: []byte(correlation)},
		}}
		for _, raw := range []bool{false, true} {
			a := &arrival{record: record, topic: "order.v1"}
			if a.open(); a.err == nil {
				a.msg, a.err = deciding(raw).message(a)
			}
			for _, text := range []string{a.envelope.Subject, a.envelope.Correlation, a.envelope.Causation, a.envelope.TraceParent} {
				if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
					t.Fatalf("PostgreSQL cannot hold %q", text)
				}
			}
			if a.envelope.Subject == "" || len(a.envelope.Subject) > longestSubject {
				t.Fatalf("the subject is %d bytes long", len(a.envelope.Subject))
			}
			switch {
			case a.err != nil && (fault.Classify(a.err) != fault.Deterministic || a.msg != nil):
				t.Fatalf("parked with %v, holding %v", a.err, a.msg)
			case a.err == nil && (!a.known || a.envelope.Subject != subject):
				t.Fatalf("to be decided about %q under the lock of %q, its id known: %v", subject, a.envelope.Subject, a.known)
			}
			switch m := a.msg.(type) {
			case proto.Message:
				aboutItself(t, m, eventType, subject)
			case flow.Erased[*memberv1.MemberChanged]:
				if value != nil || m.SubjectID != subject || eventType != "quadrille.member.v1.MemberChanged" {
					t.Fatalf("%q of %q erases %q", value, eventType, m.SubjectID)
				}
			}
		}
	})
}

// deciding is an engine of a service that takes an event and its null value, or of one that listens.
func deciding(listens bool) *Engine[struct{}] {
	type w = struct{}
	handlers := []*flow.Handler[w]{
		flow.On(func(*w, *memberv1.MemberChanged, flow.Meta) []flow.Event { return nil }),
		flow.OnErased(func(*w, flow.Erased[*memberv1.MemberChanged], flow.Meta) []flow.Event { return nil }),
	}
	if listens {
		handlers = []*flow.Handler[w]{flow.Listen([]string{"order.v1"}, func(*w, flow.Record, flow.Meta) []flow.Event { return nil })}
	}
	return &Engine[w]{cfg: Config[w]{Definition: flow.Service("mailer", handlers...)}}
}

// aboutItself checks that a decoded message is of its type and about its envelope's subject.
func aboutItself(t *testing.T, m proto.Message, eventType, subject string) {
	t.Helper()
	d := m.ProtoReflect().Descriptor()
	if string(d.FullName()) != eventType {
		t.Fatalf("%s decoded as %s", eventType, d.FullName())
	}
	first := d.Fields().ByNumber(1)
	if first != nil && first.Kind() == protoreflect.StringKind && !first.IsList() && m.ProtoReflect().Get(first).String() != subject {
		t.Fatalf("%v is decided under the lock of %q", m, subject)
	}
}
