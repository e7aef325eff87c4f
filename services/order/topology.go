package order

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

var orderCancelled = &orderv1.OrderCancelled{}

// Topology is order's part in the choreography.
var Topology = flow.Service("order",
	flow.OnCommand(OnPlace).Emits(&orderv1.OrderCreated{}),
	flow.OnCommand(OnCancel).Emits(orderCancelled, &orderv1.OrderCancelRequested{}),
	flow.OnDeadline(OnDue).Emits(orderCancelled, &orderv1.OrderCouponWaived{}),

	// The way forward.
	flow.On(OnStockDecreased),
	flow.On(OnStockDecreaseFailed).Emits(orderCancelled),
	flow.On(OnCouponUsed),
	flow.On(OnCouponUseFailed).Emits(orderCancelled),
	flow.On(OnPaymentCompleted).Emits(&orderv1.OrderCompleted{}),
	flow.On(OnPaymentFailed).Emits(orderCancelled),
	flow.On(OnShipmentPrepared),
	flow.On(OnShipmentFailed).Emits(orderCancelled),
	flow.On(OnShipmentDispatched),
	flow.On(OnShipmentDelivered),

	// The way back.
	flow.On(OnShipmentCancelled).Emits(orderCancelled),
	flow.On(OnShipmentCancelRefused),
	flow.On(OnPaymentCancelled),
	flow.On(OnPaymentRefunded),
	flow.On(OnRefundFailed),
	flow.On(OnCouponReturned),
	flow.On(OnCouponUseCancelled),
	flow.On(OnStockIncreased),

	// The price list.
	flow.On(OnProductListed),
	flow.On(OnProductPriceChanged),
)
