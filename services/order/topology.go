package order

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

var orderCancelled = &orderv1.OrderCancelled{}

// Topology is order's part in the choreography.
var Topology = flow.Service("order",
	flow.OnCommand(OnPlace).Emits(&orderv1.OrderCreated{}),
	flow.OnCommand(OnPlaceCart).Emits(&orderv1.OrderCreated{}),
	flow.OnCommand(OnPutInCart),
	flow.OnCommand(OnTakeFromCart),
	flow.OnCommand(OnChangeAddress),
	flow.OnCommand(OnCancel).Emits(orderCancelled, &orderv1.OrderCancelRequested{}),
	flow.OnDeadline(OnDue).Emits(orderCancelled, &orderv1.OrderCouponWaived{}),

	// The way forward.
	flow.On(OnStockDecreased).Relaxed(),
	flow.On(OnStockDecreaseFailed).Emits(orderCancelled),
	flow.On(OnCouponUsed).Relaxed(),
	flow.On(OnCouponUseFailed).Emits(orderCancelled),
	flow.On(OnPaymentCompleted).Emits(&orderv1.OrderCompleted{}),
	flow.On(OnPaymentFailed).Emits(orderCancelled),
	flow.On(OnShipmentPrepared).Relaxed(),
	flow.On(OnShipmentFailed).Emits(orderCancelled),
	flow.On(OnShipmentDispatched).Relaxed(),
	flow.On(OnShipmentDelivered).Relaxed(),

	// The way back.
	flow.On(OnShipmentCancelled).Emits(orderCancelled),
	flow.On(OnShipmentCancelRefused).Relaxed(),
	flow.On(OnPaymentCancelled).Relaxed(),
	flow.On(OnPaymentRefunded).Relaxed(),
	flow.On(OnRefundFailed).Relaxed(),
	flow.On(OnCouponReturned).Relaxed(),
	flow.On(OnCouponUseCancelled).Relaxed(),
	flow.On(OnStockIncreased),

	// The price list.
	flow.On(OnProductListed),
	flow.On(OnProductPriceChanged),

	// The members' addresses, by their ids.
	flow.On(OnMemberChanged),
	flow.OnErased(OnMemberErased),
)
