package rolling

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// consumers first, so that nobody publishes what nobody takes; the gateway before them, as it judges what it sees by
// what it knows. Back is the other way round.
var (
	consumers = []string{"gateway", "order", "coupon", "payment", "shipping", "mailer"}
	producer  = "stock"
	v1        = []string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}
)

// Every service is replaced by its next release, one replica after the other, with customers ordering, paying,
// cancelling and getting parcels: old and new work side by side. Then stock stops to publish the former version of its
// event. Then all goes back. No order is lost, none is late, every order is final, the books agree.
func TestForwardAndBack(t *testing.T) {
	next, last := built(t, next), built(t, afterNext)
	s := start(t, cluster.Options{})
	s.topic("stock.v2")
	s.shop(12)
	s.served(30)
	s.roll(next, consumers...)
	s.roll(next, producer)
	s.served(30)
	s.roll(last, producer)
	s.served(30)
	s.roll(next, producer)
	s.roll(s.old, producer)
	for i := len(consumers) - 1; i > 0; i-- {
		s.roll(s.old, consumers[i])
	}
	s.served(30)
	e := s.close()
	s.conforming() // by the new gateway, which knows both versions
	s.kept(e, true)
	records := s.records(append(slices.Clone(v1), "stock.v2")...)
	types := s.numbered(records)
	s.filed(records)
	for _, name := range []string{"quadrille.stock.v1.StockDecreased", "quadrille.stock.v2.StockDecreased", "quadrille.stock.v1.LowStockReached"} {
		if types[name] == 0 {
			t.Errorf("nobody has published %s", name)
		}
	}
	var written, left int
	s.query("stock", `SELECT count(*) FILTER (WHERE channel = 'NEXT'), count(*) FILTER (WHERE channel = '') FROM reservation`, &written, &left)
	if written == 0 || left == 0 {
		t.Errorf("the new column is written in %d rows, and not in %d: both versions should have written some", written, left)
	}
	for _, p := range s.cluster.Replicas("gateway") {
		s.replace(p, filepath.Join(s.old, "gateway"))
	}
	s.deaths()
	t.Logf("%d types of events: %v", len(types), types)
}
