package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/gateway"
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
