package dataplatform

import "github.com/quadrille-io/quadrille/pkg/flow"

// Topology is the export's part in the choreography: it takes every event but those with personal data, and emits
// none. Nobody waits for it.
var Topology = flow.Service("dataplatform",
	flow.Listen([]string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}, OnEvent).Relaxed(),
	flow.OnCommand(OnReplay),
)
