package choreography

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
)

// FuzzDecide: an event may hold anything its type allows, for it comes from a neighbour that may be wrong. No service
// panics at it, and what it answers with is declared, about the same subject, and the same when it is asked again.
func FuzzDecide(f *testing.F) {
	var names []string
	for _, t := range Topologies() {
		for _, name := range emittedBy(t) {
			names = append(names, name)
			for _, value := range [][]byte{nil, {0x0a, 0x01, 'o'}, {0x0a, 0x01, 'o', 0x12, 0x01, 'u', 0x1a, 0x02, 0x0a, 0x00}} {
				f.Add(name, value, name, []byte{0x0a, 0x01, 'o'})
			}
		}
	}
	for _, first := range names {
		for _, second := range names {
			f.Add(first, []byte{0x0a, 0x01, 'o'}, second, []byte{0x0a, 0x01, 'o'})
		}
	}
	f.Fuzz(func(t *testing.T, firstType string, first []byte, secondType string, second []byte) {
		var events []proto.Message
		for _, e := range []struct {
			name  string
			value []byte
		}{{firstType, first}, {secondType, second}, {secondType, second}} {
			m := message(e.name, e.value)
			if m == nil {
				return
			}
			events = append(events, m)
		}
		alike(t, order.Topology, events)
		alike(t, stock.Topology, events)
		alike(t, coupon.Topology, events)
		alike(t, payment.Topology, events)
		alike(t, shipping.Topology, events)
		alike(t, mailer.Topology, events)
	})
}

// message decodes an event of ours, as far as it is one.
func message(name string, value []byte) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	m := t.New().Interface()
	if proto.Unmarshal(value, m) != nil {
		return nil
	}
	return m
}

// alike lets a service decide the events one after the other on an empty World, twice.
func alike[W any](t *testing.T, d *flow.Definition[W], events []proto.Message) {
	t.Helper()
	var told [2][]string
	for run := range told {
		var w W
		for i, m := range events {
			name := string(m.ProtoReflect().Descriptor().FullName())
			if !d.Consumes(name) {
				continue
			}
			out, err := d.Decide(&w, flow.Input{Msg: proto.Clone(m), Meta: flow.Meta{
				Now: time.Unix(1767225600, 0).UTC(), Cause: "cause", IDs: func(n int) string { return fmt.Sprintf("%d-%d", i, n) },
			}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, e := range out.Events {
				told[run] = append(told[run], fmt.Sprintf("%d %s %s", i, e.Message.ProtoReflect().Descriptor().Name(), subject(e.Message)))
				if subject(e.Message) != subject(m) {
					t.Fatalf("%s about %q makes %s about %q", name, subject(m), e.Message.ProtoReflect().Descriptor().Name(), subject(e.Message))
				}
				if _, err := proto.Marshal(e.Message); err != nil {
					t.Fatalf("%s makes what cannot be sent: %v", name, err)
				}
			}
		}
	}
	if fmt.Sprint(told[0]) != fmt.Sprint(told[1]) {
		t.Fatalf("the same events make %v and %v", told[0], told[1])
	}
}

// subject is field 1 of an event: the id it is about.
func subject(m proto.Message) string {
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByNumber(1)).String()
}
