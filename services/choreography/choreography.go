// Package choreography puts the topologies of all services side by side: to check them against each
// other, to draw them, and to generate what must not say something else than the code does.
package choreography

import (
	"slices"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/webhook"
)

// Topologies lists every service's part, in the order in which an order meets them.
func Topologies() []flow.Topology {
	return []flow.Topology{
		order.Topology.Topology(),
		stock.Topology.Topology(),
		coupon.Topology.Topology(),
		payment.Topology.Topology(),
		shipping.Topology.Topology(),
		mailer.Topology.Topology(),
		member.Topology.Topology(),
		gateway.Topology.Topology(),
		dataplatform.Topology.Topology(),
		webhook.Topology.Topology(),
	}
}

// shortName is an event type's own name: StockDecreased of quadrille.stock.v1.StockDecreased.
func shortName(eventType string) string { return eventType[strings.LastIndexByte(eventType, '.')+1:] }

// emittedBy lists the event types a service may emit, in the order of its declaration.
func emittedBy(t flow.Topology) []string {
	var all []string
	for _, edge := range t.Edges {
		for _, name := range edge.Emits {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}
