package shipping

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

var (
	prepared   = &shippingv1.ShipmentPrepared{}
	failed     = &shippingv1.ShipmentFailed{}
	dispatched = &shippingv1.ShipmentDispatched{}
	delivered  = &shippingv1.ShipmentDelivered{}
	cancelled  = &shippingv1.ShipmentCancelled{}
	refused    = &shippingv1.ShipmentCancelRefused{}
)

// Topology is shipping's part in the choreography.
var Topology = flow.Service("shipping",
	flow.On(OnOrderCompleted).Emits(failed).Calls(CallBook),
	flow.On(OnOrderCancelRequested).Emits(cancelled, refused).Calls(CallCancel),
	flow.OnAnswer(OnBooked).Emits(prepared, failed, dispatched, delivered, refused).Calls(CallAskBooking, CallCancel),
	flow.OnAnswer(OnBookingAsked).Emits(prepared, failed, dispatched, delivered, refused).Calls(CallVoid, CallCancel),
	flow.OnAnswer(OnBookingVoided).Emits(prepared, failed, dispatched, delivered, refused).Calls(CallCancel),
	flow.OnAnswer(OnBookingCancelled).Emits(cancelled, dispatched, delivered, refused).Calls(CallAskCancel),
	flow.OnAnswer(OnCancelAsked).Emits(cancelled, dispatched, delivered, refused),
	flow.OnCommand(OnTrack).Emits(prepared, dispatched, delivered, refused),
	flow.On(OnMemberChanged),
	flow.OnErased(OnMemberErased),
)
