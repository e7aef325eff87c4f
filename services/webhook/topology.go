package webhook

import "github.com/quadrille-io/quadrille/pkg/flow"

// Topology is webhook's part in the choreography: it takes every event but those with personal data, emits none, and
// nobody waits for it.
var Topology = Definition(nil)

// Definition is Topology for a process that knows of which event types somebody wants to hear: the others are read
// past, without a lock or a row. nil wants all. Whoever says no must be sure that no endpoint wanted the type when the
// event was published: see package directory.
func Definition(wanted func(eventType string) bool) *flow.Definition[World] {
	var conditions []func(flow.Record) bool
	if wanted != nil {
		conditions = append(conditions, func(r flow.Record) bool { return wanted(r.Type) })
	}
	return flow.Service("webhook",
		flow.Listen([]string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}, OnFact, conditions...).Relaxed(),
		flow.OnCommand(OnCreate),
		flow.OnCommand(OnUpdate),
		flow.OnCommand(OnRotate),
		flow.OnCommand(OnDelete),
		flow.OnCommand(OnResend),
		flow.OnCommand(OnRecover),
		flow.OnCommand(OnTest),
	)
}
