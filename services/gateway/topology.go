package gateway

import "github.com/quadrille-io/quadrille/pkg/flow"

// Topology is the gateway's part in the choreography: it takes every event but those with personal data, and emits
// none.
var Topology = flow.Service("gateway",
	flow.Listen([]string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}, OnEvent).Relaxed(),
	flow.OnDeadline(OnOverdue),
)
