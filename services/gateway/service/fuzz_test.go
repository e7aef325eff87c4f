package service

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/services/gateway"
)

// types are the events of every service.
func types(t testing.TB) (list []protoreflect.MessageType) {
	t.Helper()
	for _, edge := range gateway.Topology.Topology().Edges {
		for _, name := range edge.Emits {
			t.Fatalf("the gateway emits %s", name)
		}
	}
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		if m.Descriptor().FullName().Parent().Parent().Parent() == "quadrille" {
			list = append(list, m)
		}
		return true
	})
	if len(list) < 20 {
		t.Fatalf("only %d types of events", len(list))
	}
	return list
}

// FuzzTimeline: whatever events hold and a client says that it has seen, each event is shown once, those it has seen not
// again, and none that was sent before is missing.
func FuzzTimeline(f *testing.F) {
	for _, m := range types(f) {
		value, err := proto.Marshal(m.New().Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(m.Descriptor().FullName()), append(value, 0x0a, 0x01, 'o'), "", "2", uint8(1))
	}
	f.Add("", []byte{0xff}, "3", "1", uint8(9))
	f.Add("quadrille.order.v1.OrderCreated", []byte("\x0a\xff"), "never", "\x00", uint8(3))
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, eventType string, payload []byte, last, cause string, order uint8) {
		var events []gateway.Event
		for i := range 4 {
			e := gateway.Event{
				ID: fmt.Sprint(i), Subject: "o", Type: "quadrille.order.v1.OrderCompleted", Service: "order", Sequence: int64(i + 1),
				OccurredAt: now.Add(time.Duration(int(order)>>i&1) * time.Second), Position: int64(i + 1),
			}
			if i == 1 {
				e.Type, e.Payload, e.Causation = eventType, payload, cause
			}
			events = append(events, e)
		}
		if lines := gateway.Explain(events); len(lines) != len(events) {
			t.Fatalf("%d events are %d lines", len(events), len(lines))
		}
		_ = gateway.Fold("o", events).Settled() // any payload may come, and none may panic
		follower, sent := newFollower(last), map[string]bool{}
		for _, after := range []time.Duration{0, catchUp, 2 * catchUp} {
			lines, _ := follower.next(events, now.Add(after))
			for _, line := range lines {
				if sent[line.ID] || line.ID == last {
					t.Fatalf("%s is sent again after %s", line.ID, last)
				}
				sent[line.ID] = true
			}
		}
		if known := last == "0" || last == "1" || last == "2" || last == "3"; !known && len(sent) != len(events) {
			t.Fatalf("after %q only %v", last, sent)
		}
	})
}
