package gateway_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/order"
)

// A story is shown in the order it is told, whatever the order in which its events arrived, and says what was ignored.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tt := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := story(t, tt.events)
			var want []string
			for _, e := range events {
				want = append(want, e.ID)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				var got []string
				for _, line := range gateway.Explain(events) {
					got = append(got, line.ID)
					why := ""
					if line.Ignored != nil {
						why = *line.Ignored
					}
					if why != tt.ignored[line.ID] {
						t.Errorf("%s: ignored %q, want %q", line.ID, why, tt.ignored[line.ID])
					}
					if line.Summary == "" || strings.Contains(line.Summary, "tok_secret") || strings.Contains(line.Summary, "alice") {
						t.Errorf("%s: summary %q", line.ID, line.Summary)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("shown: %v\nwant:  %v", got, want)
				}
			}
		})
	}
}

// The order's line does not depend on the order of arrival, and a repeated event changes nothing.
func TestOnEvent(t *testing.T) {
	t.Parallel()
	for name, tt := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := story(t, tt.events)
			random := rand.New(rand.NewPCG(3, 4))
			var first gateway.Order
			for i := range 20 {
				random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				w := &gateway.World{}
				for _, e := range slices.Concat(events, events) {
					if out := gateway.OnEvent(w, record(e), flow.Meta{}); out != nil {
						t.Fatal("the gateway emitted something")
					}
				}
				order, _ := w.Orders.Get("o")
				if order.Status != tt.status || order.Step != tt.step || order.Settled() != tt.settled {
					t.Fatalf("%s at %s, settled %v; want %s at %s, %v", order.Status, order.Step, order.Settled(), tt.status, tt.step, tt.settled)
				}
				if order.Settled() == (order.WaitsFor() != "") && order.Status != gateway.Completed {
					t.Errorf("settled %v and waits for %q", order.Settled(), order.WaitsFor())
				}
				if w.Events.Len() != len(events) {
					t.Fatalf("%d events kept of %d", w.Events.Len(), len(events))
				}
				if i == 0 {
					first = order
				}
				if order != first {
					t.Fatalf("%+v\nand in another order %+v", order, first)
				}
			}
		})
	}
}

func record(e gateway.Event) flow.Record {
	return flow.Record{
		Topic: flow.Topic(e.Type), ID: e.ID, Type: e.Type, Source: "/quadrille/" + e.Service, SubjectID: e.Subject,
		Time: e.OccurredAt, Sequence: e.Sequence, CausationID: e.Causation, Payload: e.Payload,
	}
}

// What a follower is told only ever grows at its end: whatever the order of arrival and wherever it comes back, it
// gets every event, each after its cause.
func TestLiveLosesNothing(t *testing.T) {
	t.Parallel()
	never := func(string) bool { return false }
	for name, tt := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(5, 6))
			for range 50 {
				events := story(t, tt.events)
				random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				for i := range events {
					events[i].Position = int64(i + 1)
				}
				var told []string
				for n := range events {
					ready, held := gateway.Live(events[:n+1], never)
					ids := idsOf(ready)
					if len(ready)+len(held) != n+1 || !slices.Equal(ids[:len(told)], told) {
						t.Fatalf("told %v, then %v (held %v)", told, ids, idsOf(held))
					}
					told = ids
				}
				if len(told) != len(events) {
					t.Fatalf("told %v of %v", told, idsOf(events))
				}
				for i, e := range told {
					cause := events[slices.IndexFunc(events, func(x gateway.Event) bool { return x.ID == e })].Causation
					if cause != "" && !slices.Contains(told[:i], cause) {
						t.Fatalf("%s before its cause %s: %v", e, cause, told)
					}
				}
			}
		})
	}
}

func idsOf(events []gateway.Event) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// A cause that never comes holds an event back only until it is released.
func TestLiveReleases(t *testing.T) {
	t.Parallel()
	events := story(t, []told{{created(card), "", 0}, {&paymentv1.PaymentFailed{OrderId: "o"}, "lost", 5}})
	if ready, held := gateway.Live(events, func(string) bool { return false }); len(ready) != 1 || len(held) != 1 {
		t.Errorf("ready %v, held %v", idsOf(ready), idsOf(held))
	}
	if ready, _ := gateway.Live(events, func(string) bool { return true }); len(ready) != 2 {
		t.Errorf("released: %v", idsOf(ready))
	}
}

// Envelopes that name each other as causes are shown all the same.
func TestSortSurvivesACircle(t *testing.T) {
	t.Parallel()
	events := story(t, []told{{created(card), "StockDecreased", 0}, {decreased(card), "OrderCreated", 10}})
	if got := idsOf(gateway.Sort(events)); len(got) != 2 {
		t.Errorf("sorted: %v", got)
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{10050, "KRW", "₩10,050"},
		{0, "KRW", "₩0"},
		{-1234567, "KRW", "-₩1,234,567"},
		{1234, "USD", "12.34 USD"},
		{-5, "EUR", "-0.05 EUR"},
		{100000, "JPY", "100,000 JPY"},
		{7, "", "7"},
	} {
		if got := gateway.Money(tt.amount, tt.currency); got != tt.want {
			t.Errorf("Money(%d, %q) = %q, want %q", tt.amount, tt.currency, got, tt.want)
		}
	}
}

// Every event type of the contract has a summary, and every order's event a bit.
func TestEveryTypeIsKnown(t *testing.T) {
	t.Parallel()
	for _, file := range []protoreflect.FileDescriptor{
		orderv1.File_quadrille_order_v1_order_proto, stockv1.File_quadrille_stock_v1_stock_proto,
		couponv1.File_quadrille_coupon_v1_coupon_proto, paymentv1.File_quadrille_payment_v1_payment_proto,
		shippingv1.File_quadrille_shipping_v1_shipping_proto,
	} {
		for i := range file.Messages().Len() {
			known(t, file.Messages().Get(i))
		}
	}
}

func known(t *testing.T, d protoreflect.MessageDescriptor) {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	m := kind.New().Interface()
	_, aboutOrder := m.(interface{ GetOrderId() string })
	_, aboutProduct := m.(interface{ GetProductId() string })
	switch d.Name() {
	case "OrderItem", "Checkout", "Shortage", "Sale":
		return // parts of events
	}
	if !aboutOrder && !aboutProduct {
		t.Errorf("%s is about neither an order nor a product", d.Name())
	}
	e := story(t, []told{{m, "", 0}})[0]
	if s := gateway.Summary(e); s == "" || strings.HasPrefix(s, "cannot be read") {
		t.Errorf("%s: summary %q", e.Type, s)
	}
	// A timeline waits until it has as many of these as the order's version says.
	if dealt := dealtWithByOrder(e.Type); gateway.CountsForVersion(e) != dealt {
		t.Errorf("%s: counts for the version: %v, order deals with it: %v", e.Type, gateway.CountsForVersion(e), dealt)
	}
}

// dealtWithByOrder: order emits or consumes the type as an event of an order.
func dealtWithByOrder(eventType string) bool {
	if strings.Contains(eventType, ".Product") {
		return false // feeds the price list, no order
	}
	return flow.Owner(eventType) == "order" || order.Topology.Consumes(eventType)
}
