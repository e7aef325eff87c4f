// Package choreography puts the topologies of all services side by side: to check them against each
// other, to draw them, and to generate what must not say something else than the code does.
package choreography

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/stock"
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
	}
}
