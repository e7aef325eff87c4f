package mailer

import "github.com/quadrille-io/quadrille/pkg/flow"

// Topology is mailer's part in the choreography: it listens, and nobody waits for it.
var Topology = flow.Service("mailer",
	flow.On(OnOrderCompleted).Calls(CallOf(Completed)),
	flow.On(OnOrderCancelled).Calls(CallOf(Cancelled)),
	flow.On(OnShipmentDispatched).Calls(CallOf(Dispatched)),
	flow.On(OnShipmentDelivered).Calls(CallOf(Delivered)),
	flow.On(OnPaymentRefunded).Calls(CallOf(Refunded)),
	flow.OnAnswer(OnMailed),
)
