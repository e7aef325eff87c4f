package mailer

import "github.com/quadrille-io/quadrille/pkg/flow"

// Topology is mailer's part in the choreography: it listens, and nobody waits for it.
var Topology = flow.Service("mailer",
	flow.On(OnOrderCompleted).Calls(CallOf(Completed)).Relaxed(),
	flow.On(OnOrderCancelled).Calls(CallOf(Cancelled)).Relaxed(),
	flow.On(OnShipmentDispatched).Calls(CallOf(Dispatched)).Relaxed(),
	flow.On(OnShipmentDelivered).Calls(CallOf(Delivered)).Relaxed(),
	flow.On(OnPaymentRefunded).Calls(CallOf(Refunded)).Relaxed(),
	flow.On(OnMemberChanged).Relaxed(),
	flow.OnErased(OnMemberErased).Relaxed(),
	flow.OnAnswer(OnMailed),
	flow.OnCommand(OnBounce),
)
