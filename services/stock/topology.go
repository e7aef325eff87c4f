package stock

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Topology is stock's part in the choreography.
var Topology = flow.Service("stock",
	flow.On(OnOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv1.StockDecreaseFailed{}),
	flow.On(OnOrderCancelled).Emits(&stockv1.StockIncreased{}),
	flow.On(OnPaymentCancelled).Emits(&stockv1.StockIncreased{}),
	flow.On(OnCouponUseCancelled).Emits(&stockv1.StockIncreased{}),
	flow.OnCommand(OnList).Emits(&stockv1.ProductListed{}),
	flow.OnCommand(OnRestock).Emits(&stockv1.StockRestocked{}),
	flow.OnCommand(OnRecount),
	flow.OnCommand(OnChange).Emits(&stockv1.ProductPriceChanged{}),
)
