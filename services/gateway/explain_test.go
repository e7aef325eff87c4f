package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
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

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// told is one event of a story: its message, the name of its cause, and when it happened, in ms after noon.
type told struct {
	message proto.Message
	cause   string
	at      int
}

var (
	card   = &orderv1.Checkout{PaymentAmount: 10050, Currency: "KRW", PaymentType: orderv1.PaymentType_PAYMENT_TYPE_CREDIT, PaymentToken: "tok_secret"}
	ticket = &orderv1.Checkout{
		PaymentAmount: 7050, DiscountAmount: 3000, Currency: "KRW", CouponRefs: []string{"WELCOME"},
		CouponFailurePolicy: orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE,
	}
	tea          = []*orderv1.OrderItem{{ProductId: "TEA", Quantity: 2, ProductPrice: 5025}}
	payFullPrice = orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE
)

func created(c *orderv1.Checkout) proto.Message {
	return &orderv1.OrderCreated{OrderId: "o", UserId: "alice", OrderItems: tea, Checkout: c}
}

func decreased(c *orderv1.Checkout) proto.Message {
	return &stockv1.StockDecreased{OrderId: "o", UserId: "alice", OrderItems: tea, Checkout: c}
}

func cancelled(reason orderv1.CancelReason, from orderv1.UndoFrom) proto.Message {
	return &orderv1.OrderCancelled{OrderId: "o", UserId: "alice", Reason: reason, UndoFrom: from}
}

const (
	byCustomer  = orderv1.CancelReason_CANCEL_REASON_CUSTOMER
	timedOut    = orderv1.CancelReason_CANCEL_REASON_TIMED_OUT
	outOfStock  = orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK
	fromPayment = orderv1.UndoFrom_UNDO_FROM_PAYMENT
	fromNothing = orderv1.UndoFrom_UNDO_FROM_NOTHING
)

// story makes events of what is told, in the order of telling. An event's id is its short name, with a number where a
// type comes again; positions are the order of telling.
func story(t *testing.T, all []told) []gateway.Event {
	t.Helper()
	sequences, times := map[string]int64{}, map[string]int{}
	events := make([]gateway.Event, len(all))
	for i, x := range all {
		payload, err := proto.Marshal(x.message)
		if err != nil {
			t.Fatal(err)
		}
		full := string(x.message.ProtoReflect().Descriptor().FullName())
		name := full[strings.LastIndexByte(full, '.')+1:]
		times[name]++
		id := name
		if times[name] > 1 {
			id = fmt.Sprint(name, times[name])
		}
		service := flow.Owner(full)
		sequences[service]++
		events[i] = gateway.Event{
			ID: id, Subject: "o", Type: full, Service: service, Sequence: sequences[service], Causation: x.cause,
			OccurredAt: noon.Add(time.Duration(x.at) * time.Millisecond), Payload: payload, Position: int64(i + 1),
		}
	}
	return events
}

// stories are orders told in the order in which they should be shown, with what was ignored and where they end.
var stories = map[string]struct {
	events  []told
	ignored map[string]string
	status  gateway.Status
	step    gateway.Step
	settled bool
}{
	"straight through": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{&paymentv1.PaymentCompleted{OrderId: "o", PaymentAmount: 10050, Currency: "KRW"}, "StockDecreased", 20},
			{&orderv1.OrderCompleted{OrderId: "o", PaymentAmount: 10050, Currency: "KRW"}, "PaymentCompleted", 30},
			{&shippingv1.ShipmentPrepared{OrderId: "o", Carrier: "simulator"}, "OrderCompleted", 40},
		},
		status: gateway.Completed, step: gateway.AtShipping, settled: true,
	},
	"clocks differ: payment's is behind": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 100},
			{&paymentv1.PaymentCompleted{OrderId: "o"}, "StockDecreased", 50},
			{&orderv1.OrderCompleted{OrderId: "o"}, "PaymentCompleted", 60},
		},
		status: gateway.Completed, step: gateway.AtShipping, settled: true,
	},
	"sold out": {
		events: []told{
			{created(card), "", 0},
			{&stockv1.StockDecreaseFailed{OrderId: "o", Shortages: []*stockv1.Shortage{{ProductId: "TEA", Requested: 2, Available: 1}}}, "OrderCreated", 10},
			{cancelled(outOfStock, fromNothing), "StockDecreaseFailed", 20},
		},
		status: gateway.Cancelled, step: gateway.AtNothing, settled: true,
	},
	"cancelled while the payment was on its way": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{cancelled(byCustomer, fromPayment), "OrderCreated", 20},
			{&paymentv1.PaymentCompleted{OrderId: "o"}, "StockDecreased", 25},
			{&paymentv1.PaymentCancelled{OrderId: "o", PaymentAmount: 10050, Currency: "KRW"}, "OrderCancelled", 30},
		},
		ignored: map[string]string{"PaymentCompleted": "order was already cancelled"},
		status:  gateway.Cancelling, step: gateway.AtUndoStock,
	},
	"timed out, then declined": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{cancelled(timedOut, fromPayment), "OrderCreated", 60000},
			{&paymentv1.PaymentFailed{OrderId: "o", Reason: "DECLINED"}, "StockDecreased", 60001},
			{&paymentv1.PaymentCancelled{OrderId: "o"}, "OrderCancelled", 60002},
			{&stockv1.StockIncreased{OrderId: "o", OrderItems: tea}, "PaymentCancelled", 60003},
		},
		ignored: map[string]string{"PaymentFailed": "order was already cancelled"},
		status:  gateway.Cancelled, step: gateway.AtNothing, settled: true,
	},
	"stock comes after the undo": {
		events: []told{
			{created(card), "", 0},
			{cancelled(byCustomer, fromPayment), "OrderCreated", 5},
			{&paymentv1.PaymentCancelled{OrderId: "o"}, "OrderCancelled", 6},
			{decreased(card), "OrderCreated", 10},
			{&stockv1.StockIncreased{OrderId: "o", OrderItems: tea}, "PaymentCancelled", 12},
		},
		ignored: map[string]string{"StockDecreased": "order was already cancelled"},
		status:  gateway.Cancelled, step: gateway.AtNothing, settled: true,
	},
	"the undo reaches stock first": {
		events: []told{
			{created(card), "", 0},
			{cancelled(byCustomer, fromPayment), "OrderCreated", 1},
			{&paymentv1.PaymentCancelled{OrderId: "o"}, "OrderCancelled", 2},
			{&stockv1.StockIncreased{OrderId: "o"}, "PaymentCancelled", 3},
		},
		ignored: map[string]string{"OrderCreated": "the undo reached stock first"},
		status:  gateway.Cancelled, step: gateway.AtNothing, settled: true,
	},
	"coupon answers after it was waived": {
		events: []told{
			{created(ticket), "", 0},
			{decreased(ticket), "OrderCreated", 10},
			{&orderv1.OrderCouponWaived{OrderId: "o"}, "StockDecreased", 10010},
			{&couponv1.CouponUsed{OrderId: "o", CouponIds: []string{"c1"}, DiscountAmount: 3000, Checkout: ticket}, "StockDecreased", 10020},
			{&paymentv1.PaymentCompleted{OrderId: "o", HasCoupons: true, PaymentAmount: 10050, Currency: "KRW"}, "OrderCouponWaived", 10030},
			{&couponv1.CouponReturned{OrderId: "o", CouponIds: []string{"c1"}}, "PaymentCompleted", 10040},
			{&orderv1.OrderCompleted{OrderId: "o"}, "PaymentCompleted", 10041},
		},
		ignored: map[string]string{"CouponUsed": "payment had already begun with OrderCouponWaived"},
		status:  gateway.Completed, step: gateway.AtShipping, settled: true,
	},
	"waived after coupon had answered": {
		events: []told{
			{created(ticket), "", 0},
			{decreased(ticket), "OrderCreated", 10},
			{&couponv1.CouponUseFailed{OrderId: "o", CouponFailurePolicy: payFullPrice}, "StockDecreased", 10000},
			{&orderv1.OrderCouponWaived{OrderId: "o"}, "StockDecreased", 10010},
			{&paymentv1.PaymentFailed{OrderId: "o", Reason: "DECLINED"}, "CouponUseFailed", 10030},
			{cancelled(orderv1.CancelReason_CANCEL_REASON_PAYMENT_DECLINED, orderv1.UndoFrom_UNDO_FROM_COUPON), "PaymentFailed", 10040},
		},
		ignored: map[string]string{"OrderCouponWaived": "payment had already begun with CouponUseFailed"},
		status:  gateway.Cancelling, step: gateway.AtUndoCoupon,
	},
	"coupon refused after a cancel": {
		events: []told{
			{created(ticket), "", 0},
			{decreased(ticket), "OrderCreated", 10},
			{cancelled(byCustomer, fromPayment), "OrderCreated", 11},
			{&couponv1.CouponUseFailed{OrderId: "o"}, "StockDecreased", 12},
		},
		ignored: map[string]string{"CouponUseFailed": "order was already cancelled"},
		status:  gateway.Cancelling, step: gateway.AtUndoPayment,
	},
	"asked to cancel, and too late": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{&paymentv1.PaymentCompleted{OrderId: "o"}, "StockDecreased", 20},
			{&orderv1.OrderCompleted{OrderId: "o"}, "PaymentCompleted", 30},
			{&shippingv1.ShipmentPrepared{OrderId: "o"}, "OrderCompleted", 40},
			{&orderv1.OrderCancelRequested{OrderId: "o"}, "OrderCreated", 50},
			{&shippingv1.ShipmentDispatched{OrderId: "o"}, "ShipmentPrepared", 55},
			{&shippingv1.ShipmentCancelRefused{OrderId: "o"}, "OrderCancelRequested", 56},
			{&shippingv1.ShipmentDelivered{OrderId: "o"}, "ShipmentDispatched", 90},
		},
		status: gateway.Delivered, step: gateway.AtNothing, settled: true,
	},
	"asked to cancel, shipping has not answered": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{&paymentv1.PaymentCompleted{OrderId: "o"}, "StockDecreased", 20},
			{&orderv1.OrderCompleted{OrderId: "o"}, "PaymentCompleted", 30},
			{&orderv1.OrderCancelRequested{OrderId: "o"}, "OrderCreated", 50},
		},
		status: gateway.Completed, step: gateway.AtShipping,
	},
	"asked to cancel after shipping had failed": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{&paymentv1.PaymentCompleted{OrderId: "o"}, "StockDecreased", 20},
			{&orderv1.OrderCompleted{OrderId: "o"}, "PaymentCompleted", 30},
			{&shippingv1.ShipmentFailed{OrderId: "o", Reason: "REFUSED"}, "OrderCompleted", 40},
			{&orderv1.OrderCancelRequested{OrderId: "o"}, "OrderCreated", 41},
			{cancelled(orderv1.CancelReason_CANCEL_REASON_SHIPPING_FAILED, fromPayment), "ShipmentFailed", 42},
		},
		ignored: map[string]string{"OrderCancelRequested": "the shipment had failed before"},
		status:  gateway.Cancelling, step: gateway.AtUndoPayment,
	},
	"an event comes again under another id": {
		events: []told{
			{created(card), "", 0},
			{decreased(card), "OrderCreated", 10},
			{decreased(card), "OrderCreated", 11},
		},
		ignored: map[string]string{"StockDecreased2": "came before, under another id"},
		status:  gateway.Pending, step: gateway.AtPayment,
	},
}

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
	case "OrderItem", "Checkout", "Shortage":
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
