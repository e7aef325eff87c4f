package flow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

func TestServiceRefusesMistakes(t *testing.T) {
	t.Parallel()
	listen := func() *flow.Handler[shelf] {
		return flow.Listen([]string{"order.v1"}, func(*shelf, flow.Record, flow.Meta) []flow.Event { return nil })
	}
	onCreated := flow.On[shelf, *orderv1.OrderCreated]
	for _, c := range []struct {
		text     string
		handlers []*flow.Handler[shelf]
	}{
		{"two handlers for quadrille.order.v1.OrderCreated", []*flow.Handler[shelf]{onCreated(onOrderCreated), onCreated(onOrderCreated)}},
		{"two handlers for restock", []*flow.Handler[shelf]{flow.OnCommand(onRestock), flow.OnCommand(onRestock)}},
		{"two handlers for expire", []*flow.Handler[shelf]{flow.OnDeadline(onExpire), flow.OnAnswer(onExpire)}},
		{"two handlers for *", []*flow.Handler[shelf]{listen(), listen()}},
		{"has a listener and takes events beside it", []*flow.Handler[shelf]{onCreated(onOrderCreated), listen()}},
		{"emit quadrille.order.v1.OrderCreated, which only order may", []*flow.Handler[shelf]{flow.OnCommand(onRestock).Emits(&stockv1.StockRestocked{}, &orderv1.OrderCreated{})}},
		{"emit google.protobuf.Empty, which only", []*flow.Handler[shelf]{flow.OnCommand(onRestock).Emits(&emptypb.Empty{})}},
		{"takes google.protobuf.Empty, which no service may emit", []*flow.Handler[shelf]{
			flow.On(func(*shelf, *emptypb.Empty, flow.Meta) []flow.Event { return nil }),
		}},
	} {
		panics(t, c.text, func() { flow.Service("stock", c.handlers...) })
	}
	panics(t, "listens to no topic", func() {
		flow.Listen(nil, func(*shelf, flow.Record, flow.Meta) []flow.Event { return nil })
	})
	// A listener beside commands is none.
	flow.Service("gateway", listen(), flow.OnCommand(onRestock))
}

func TestTopology(t *testing.T) {
	t.Parallel()
	decreased, increased := "quadrille.stock.v1.StockDecreased", "quadrille.stock.v1.StockIncreased"
	want := flow.Topology{Service: "stock", Edges: []flow.Edge{
		{Kind: flow.KindEvent, Input: "quadrille.order.v1.OrderCreated", Func: "flow_test.onOrderCreated", Emits: []string{decreased, increased}},
		{Kind: flow.KindEvent, Input: "quadrille.order.v1.OrderCancelled", Func: "flow_test.onOrderCancelled"},
		{Kind: flow.KindCommand, Input: "restock", Func: "flow_test.onRestock", Emits: []string{"quadrille.stock.v1.StockRestocked"}, Calls: []string{"label"}},
		{Kind: flow.KindAnswer, Input: "labelled", Func: "flow_test.onLabelled", Emits: []string{decreased}},
		{Kind: flow.KindDeadline, Input: "expire", Func: "flow_test.onExpire", Emits: []string{increased}},
	}}
	got := toy().Topology()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"order.v1"}, got.Topics()); diff != "" {
		t.Errorf("two events of one topic: %s", diff)
	}
	if diff := cmp.Diff([]string{"stock.v1"}, got.Published()); diff != "" {
		t.Errorf("many events on one topic: %s", diff)
	}
	if topics := (flow.Topology{}).Published(); len(topics) > 0 {
		t.Errorf("nothing is emitted, on %v", topics)
	}
	if kinds := []string{flow.KindEvent.String(), flow.KindCommand.String(), flow.KindAnswer.String(), flow.KindDeadline.String(), flow.Kind(9).String(), flow.Kind(-1).String()}; !cmp.Equal(kinds,
		[]string{"event", "command", "answer", "deadline", "kind 9", "kind -1"}) {
		t.Errorf("kinds %q", kinds)
	}
}

func TestConsumesAndOtherVersion(t *testing.T) {
	t.Parallel()
	d := toy()
	if d.Name() != "stock" || d.Listens() {
		t.Errorf("%s, listens: %t", d.Name(), d.Listens())
	}
	for _, c := range []struct {
		eventType       string
		consumed, other bool
	}{
		{"quadrille.order.v1.OrderCreated", true, false},
		{"quadrille.order.v1.OrderCompleted", false, false},
		{"quadrille.order.v2.OrderCreated", false, true},
		{"quadrille.order.v10.OrderCancelled", false, true},
		{"quadrille.order.v2.OrderCompleted", false, false},
		{"quadrille.stock.v2.OrderCreated", false, false},
		{"other.order.v2.OrderCreated", false, false},
		{"quadrille.order.OrderCreated", false, false},
		{"quadrille.order.v2.deep.OrderCreated", false, false},
		{"OrderCreated", false, false},
		{"restock", false, false},
		{"*", false, false},
		{"", false, false},
	} {
		if got := d.Consumes(c.eventType); got != c.consumed {
			t.Errorf("consumes %q: %t", c.eventType, got)
		}
		if got := d.OtherVersion(c.eventType); got != c.other {
			t.Errorf("other version %q: %t", c.eventType, got)
		}
	}
}

func TestTopicAndOwner(t *testing.T) {
	t.Parallel()
	for eventType, want := range map[string][2]string{
		"quadrille.stock.v1.StockDecreased": {"stock.v1", "stock"},
		"quadrille.stock.v2.StockDecreased": {"stock.v2", "stock"},
		"quadrille.member.v1.MemberChanged": {"member.v1", "member"},
		"other.stock.v1.StockDecreased":     {"", ""},
		"quadrille.stock.StockDecreased":    {"", ""},
		"quadrille.stock.v1.a.B":            {"", ""},
		"google.protobuf.Empty":             {"", ""},
		"*":                                 {"", ""},
		"":                                  {"", ""},
	} {
		if got := [2]string{flow.Topic(eventType), flow.Owner(eventType)}; got != want {
			t.Errorf("%q: topic and owner %q, want %q", eventType, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const placed, taken, gone = "quadrille.order.v1.Placed", "quadrille.stock.v1.Taken", "quadrille.stock.v1.Gone"
	part := func(service string, edges ...flow.Edge) flow.Topology {
		return flow.Topology{Service: service, Edges: edges}
	}
	takes := func(input string, emits ...string) flow.Edge {
		return flow.Edge{Kind: flow.KindEvent, Input: input, Emits: emits}
	}
	place := flow.Edge{Kind: flow.KindCommand, Input: "Place", Emits: []string{placed}}
	listener := func(topics ...string) flow.Topology { return flow.Topology{Service: "gateway", Listens: topics} }
	for _, c := range []struct {
		name, want string
		all        []flow.Topology
	}{
		{"nothing", "", nil},
		{"closed", "", []flow.Topology{part("order", place, takes(taken)), part("stock", takes(placed, taken))}},
		{"nobody emits", "flow: " + taken + " is consumed, but no service emits it", []flow.Topology{part("order", place, takes(taken)), part("stock", takes(placed))}},
		{"nobody takes", "flow: " + gone + " is emitted, but no service takes it", []flow.Topology{part("order", place, takes(taken)), part("stock", takes(placed, taken, gone))}},
		{"a command of an event's name takes nothing", "flow: " + placed + " is emitted, but no service takes it", []flow.Topology{
			part("order", place), part("stock", flow.Edge{Kind: flow.KindCommand, Input: placed}),
		}},
		{"a listener takes", "", []flow.Topology{part("order", place), part("stock", takes(placed, taken, gone)), listener("stock.v1")}},
		{"of its topics only", "flow: " + gone + " is emitted, but no service takes it; " + taken + " is emitted, but no service takes it", []flow.Topology{
			part("order", place), part("stock", takes(placed, taken, gone)), listener("order.v1"),
		}},
		{"and emits nothing", "flow: " + gone + " is consumed, but no service emits it", []flow.Topology{
			part("order", place, takes(gone)), part("stock", takes(placed, taken)), listener("stock.v1"),
		}},
		{"nobody publishes", "flow: coupon.v1 is listened to, but no service publishes on it", []flow.Topology{part("order", place), listener("coupon.v1", "order.v1")}},
		{"all that is wrong, sorted", "flow: coupon.v1 is listened to, but no service publishes on it; " +
			placed + " is emitted, but no service takes it; " + taken + " is consumed, but no service emits it", []flow.Topology{part("order", takes(taken), place), listener("coupon.v1")}},
	} {
		got := ""
		if err := flow.Check(c.all...); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
