package rolling

// next is the next release: it differs from this one in everything that may differ while both run.
//
//   - order's OrderCreated has a field that this version does not know;
//   - stock emits an event type where it did not, on the same topic (LowStockReached, on a restock);
//   - a migration of stock adds a column, which the new version writes and this one does not know;
//   - StockDecreased has a second version, published on stock.v2 beside the first: order, coupon and payment take both,
//     the gateway listens to both.
var next = version{
	name: "next",
	files: map[string]string{
		"proto/quadrille/stock/v2/stock.pb.go": "@tests/rolling/proto/quadrille/stock/v2/stock.pb.go",

		"services/order/channel.go": `package order

import (
	"google.golang.org/protobuf/encoding/protowire"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// withChannel adds field 100, a text that no other version knows.
func withChannel(e *orderv1.OrderCreated) *orderv1.OrderCreated {
	field := protowire.AppendTag(nil, 100, protowire.BytesType)
	e.ProtoReflect().SetUnknown(protowire.AppendString(field, "WEB"))
	return e
}
`,
		"services/order/v2.go": `package order

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	stockv2 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v2"
)

// OnStockDecreasedV2 does what the first version does.
func OnStockDecreasedV2(w *World, e *stockv2.StockDecreased, m flow.Meta) []flow.Event {
	return OnStockDecreased(w, &stockv1.StockDecreased{OrderId: e.GetOrderId()}, m)
}
`,
		"services/coupon/v2.go":  takesBoth("coupon"),
		"services/payment/v2.go": takesBoth("payment"),
		"services/stock/v2.go": `package stock

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	stockv2 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v2"
)

// decreased says it in both versions.
func decreased(e *stockv1.StockDecreased) []flow.Event {
	next := &stockv2.StockDecreased{
		OrderId: e.GetOrderId(), MemberId: e.GetUserId(), DecreasedAt: e.GetDecreasedAt(), Checkout: e.GetCheckout(),
	}
	for _, item := range e.GetOrderItems() {
		next.Lines = append(next.Lines, &stockv2.Line{ProductId: item.GetProductId(), Pieces: int64(item.GetQuantity())})
	}
	return []flow.Event{e, next}
}
`,
		"services/stock/internal/store/migrations/00090_channel.sql": `-- +goose Up
ALTER TABLE reservation ADD COLUMN channel text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE reservation DROP COLUMN channel;
`,
	},
	edits: []edit{
		{"services/order/place.go", "[]flow.Event{&orderv1.OrderCreated{", "[]flow.Event{withChannel(&orderv1.OrderCreated{"},
		{"services/order/place.go", "Checkout: checkoutOf(o),\n\t}}\n", "Checkout: checkoutOf(o),\n\t})}\n"},
		{"services/order/topology.go", "\tflow.On(OnStockDecreased).Relaxed(),\n", "\tflow.On(OnStockDecreased).Relaxed(), flow.On(OnStockDecreasedV2).Relaxed(),\n"},
		{
			"services/coupon/topology.go", "\tflow.On(OnPaymentCompleted,",
			"\tflow.On(OnStockDecreasedV2).Emits(&couponv1.CouponUsed{}, &couponv1.CouponUseFailed{}),\n\tflow.On(OnPaymentCompleted,",
		},
		{
			"services/payment/topology.go", "\tflow.On(OnCouponUsed)",
			"\tflow.On(OnStockDecreasedV2).Emits(completed, failed).Calls(CallCharge),\n\tflow.On(OnCouponUsed)",
		},
		{"services/gateway/topology.go", `"stock.v1", `, `"stock.v1", "stock.v2", `},
		// What a decision takes has to be loaded for it, whichever of the two versions comes first.
		{
			"services/coupon/internal/store/store.go", "\t\tswitch m := i.Msg.(type) {\n",
			"\t\tmsg := i.Msg\n\t\tif e, is := msg.(*stockv2.StockDecreased); is {\n" +
				"\t\t\tmsg = &stockv1.StockDecreased{OrderId: e.GetOrderId(), UserId: e.GetMemberId(), Checkout: e.GetCheckout()}\n\t\t}\n" +
				"\t\tswitch m := msg.(type) {\n",
		},
		{
			"services/coupon/internal/store/store.go", "\tstockv1 \"",
			"\tstockv2 \"github.com/quadrille-io/quadrille/proto/quadrille/stock/v2\"\n\tstockv1 \"",
		},
		{
			"services/payment/internal/store/store.go", "\t\tcase interface{ GetUserId() string }:\n",
			"\t\tcase interface{ GetMemberId() string }:\n\t\t\tw.users[msg.GetMemberId()] = struct{}{}\n\t\tcase interface{ GetUserId() string }:\n",
		},
		{
			"services/stock/topology.go", "flow.On(OnOrderCreated).Emits(&stockv1.StockDecreased{}, ",
			"flow.On(OnOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv2.StockDecreased{}, ",
		},
		{"services/stock/topology.go", "\tstockv1 \"", "\tstockv2 \"github.com/quadrille-io/quadrille/proto/quadrille/stock/v2\"\n\tstockv1 \""},
		{"services/stock/topology.go", "Emits(&stockv1.StockRestocked{})", "Emits(&stockv1.StockRestocked{}, &stockv1.LowStockReached{})"},
		{"services/stock/stock.go", "return []flow.Event{&stockv1.StockDecreased{", "return decreased(&stockv1.StockDecreased{"},
		{"services/stock/stock.go", "\t\tDecreasedAt: timestamppb.New(m.Now),\n\t}}\n", "\t\tDecreasedAt: timestamppb.New(m.Now),\n\t})\n"},
		{
			"services/stock/product.go", "Available: product.Quantity, RestockedAt: timestamppb.New(m.Now),\n\t}}",
			"Available: product.Quantity, RestockedAt: timestamppb.New(m.Now),\n\t}, &stockv1.LowStockReached{ProductId: c.ProductID, Available: product.Quantity}}",
		},
		{
			"services/stock/internal/store/reservation.go", "state, items, created_at, updated_at)\n\t\t\tSELECT order_id, user_id, state, items::jsonb, created_at, updated_at\n",
			"state, items, created_at, updated_at, channel)\n\t\t\tSELECT order_id, user_id, state, items::jsonb, created_at, updated_at, 'NEXT'\n",
		},
	},
}

// takesBoth is what coupon and payment add: the second version as the first.
func takesBoth(service string) string {
	return `package ` + service + `

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	stockv2 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v2"
)

// OnStockDecreasedV2 does what the first version does; the second of the two to come finds it done.
func OnStockDecreasedV2(w *World, e *stockv2.StockDecreased, m flow.Meta) []flow.Event {
	return OnStockDecreased(w, &stockv1.StockDecreased{
		OrderId: e.GetOrderId(), UserId: e.GetMemberId(), Checkout: e.GetCheckout(),
	}, m)
}
`
}

// afterNext is the release after: stock has stopped to publish the first version.
var afterNext = next.and("after-next", []string{"stock"}, version{edits: []edit{
	{"services/stock/v2.go", "return []flow.Event{e, next}", "return []flow.Event{next}"},
}})

// misplaced is a mistake: stock publishes the second version alone, and on the first one's topic.
var misplaced = afterNext.and("misplaced", []string{"stock"}, version{edits: []edit{
	{"pkg/flow/flow.go", `return parts[1] + "." + parts[2]`, `return parts[1] + ".v1"`},
}})
