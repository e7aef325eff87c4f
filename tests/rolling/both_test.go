package rolling

import (
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	stockv2 "github.com/quadrille-io/quadrille/tests/rolling/proto/quadrille/stock/v2"
)

// A service that takes both versions of an event parks neither; one that takes the first alone parks the second, and
// both park a third. What it reads and publishes follows: a topic for each version.
func TestBothVersionsDeclared(t *testing.T) {
	t.Parallel()
	type world struct{}
	first := flow.On(func(*world, *stockv1.StockDecreased, flow.Meta) []flow.Event { return nil })
	second := flow.On(func(*world, *stockv2.StockDecreased, flow.Meta) []flow.Event { return nil })
	const v1, v2, v3 = "quadrille.stock.v1.StockDecreased", "quadrille.stock.v2.StockDecreased", "quadrille.stock.v3.StockDecreased"
	for _, tt := range []struct {
		what        string
		handlers    []*flow.Handler[world]
		takes, park []string
		topics      int
	}{
		{"the first", []*flow.Handler[world]{first}, []string{v1}, []string{v2, v3}, 1},
		{"both", []*flow.Handler[world]{first, second}, []string{v1, v2}, []string{v3}, 2},
		{"the second", []*flow.Handler[world]{second}, []string{v2}, []string{v1, v3}, 1},
	} {
		d := flow.Service("payment", tt.handlers...)
		for _, name := range tt.takes {
			if !d.Consumes(name) || d.OtherVersion(name) {
				t.Errorf("takes %s: %s is taken %v, parked %v", tt.what, name, d.Consumes(name), d.OtherVersion(name))
			}
		}
		for _, name := range tt.park {
			if d.Consumes(name) || !d.OtherVersion(name) {
				t.Errorf("takes %s: %s is taken %v, parked %v", tt.what, name, d.Consumes(name), d.OtherVersion(name))
			}
		}
		if topics := d.Topology().Topics(); len(topics) != tt.topics {
			t.Errorf("takes %s: reads %v", tt.what, topics)
		}
	}
	published := flow.Service("stock", flow.OnCommand(func(*world, restock, flow.Meta) (flow.Reply, []flow.Event) {
		return flow.Reply{}, nil
	}).Emits(&stockv1.StockDecreased{}, &stockv2.StockDecreased{})).Topology().Published()
	if len(published) != 2 || published[0] != "stock.v1" || published[1] != "stock.v2" {
		t.Errorf("publishes on %v", published)
	}
}

type restock struct{}

func (restock) Subject() string { return "TEA" }
