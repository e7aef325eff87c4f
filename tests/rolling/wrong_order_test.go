package rolling

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// patient gives whoever deploys in the wrong order the time to notice, and lets operators alone replay.
var patient = map[string]map[string]string{"order": {"PENDING_TIMEOUT": "30m"}}

// A release whose stock publishes only the second version of its event is deployed before those who take it. Nobody reads
// that topic, so orders wait; once the others are upgraded they read it from its beginning, and every order goes on.
func TestProducerBeforeItsConsumers(t *testing.T) {
	next, wrong := built(t, next), built(t, afterNext)
	s := start(t, cluster.Options{Replicas: 1, ServiceEnvironment: patient})
	shop := s.open()
	s.swap(wrong, producer)
	orders := shop.place(12)
	var taken int
	s.eventually(func() error {
		if s.query("stock", `SELECT count(*) FROM reservation WHERE state = 'TAKEN'`, &taken); taken < len(orders) {
			return fmt.Errorf("stock has taken the pieces of %d orders", taken)
		}
		return nil
	})
	if open := shop.open(orders); open != len(orders) {
		t.Errorf("%d orders of %d wait: want all, as nobody reads what stock says", open, len(orders))
	}
	s.swap(next, "order", "coupon", "payment", "gateway")
	shop.settled(orders)
	s.deaths()
}

// Somebody publishes the second version on the first one's topic: those who take the first one know that they ought to
// understand it, and park the order. After they are upgraded a replay finishes the orders, each step once.
func TestUnknownVersionParksUntilTheUpgrade(t *testing.T) {
	next, wrong := built(t, next), built(t, misplaced)
	s := start(t, cluster.Options{Replicas: 1, ServiceEnvironment: patient})
	shop := s.open()
	s.swap(wrong, producer)
	orders := shop.place(8)
	services := []string{"order", "coupon", "payment"}
	for _, service := range services {
		s.eventually(func() error {
			var parked int
			s.query(service, `SELECT count(*) FROM failure WHERE event_type = 'quadrille.stock.v2.StockDecreased'`, &parked)
			if parked < len(orders) {
				return fmt.Errorf("%s has parked %d orders of %d", service, parked, len(orders))
			}
			return nil
		})
	}
	s.topic("stock.v2")
	s.swap(next, append(services, "gateway")...)
	for _, service := range services {
		shop.replay(service)
	}
	shop.settled(orders)
	for _, service := range services {
		var parked, queued int
		s.query(service, `SELECT (SELECT count(*) FROM failure), (SELECT count(*) FROM parked_event)`, &parked, &queued)
		if parked+queued > 0 {
			t.Errorf("%s still has %d orders parked, with %d events", service, parked, queued)
		}
	}
	s.deaths()
}

// swap replaces services that nobody uses just now.
func (s *stage) swap(programs string, services ...string) {
	s.t.Helper()
	for _, service := range services {
		for _, p := range s.cluster.Replicas(service) {
			s.replace(p, filepath.Join(programs, service))
		}
	}
	if err := s.cluster.Ready(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// counter is a shop with one product and its few customers.
type counter struct {
	*stage
	ops, customer rest.Client
}

const shelf = 1000

func (s *stage) open() *counter {
	s.t.Helper()
	gateway := s.cluster.Gateways()[0]
	c := &counter{
		stage: s, ops: rest.Client{BaseURL: gateway, Token: s.cluster.OperatorToken()},
		customer: rest.Client{BaseURL: gateway, Token: s.cluster.Token(s.cluster.Members()[0])},
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	product := local.NewProduct{ProductID: "RECORD", Name: "Record", Price: 1000, Currency: "KRW", Quantity: shelf}
	if err := local.AddProduct(ctx, c.ops, product); err != nil {
		s.t.Fatal(err)
	}
	if err := local.AwaitOrderable(ctx, c.customer, "RECORD"); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// place places orders of one piece each.
func (c *counter) place(n int) (ids []string) {
	c.t.Helper()
	for i := range n {
		var placed struct{ OrderID string }
		_, err := c.customer.Call(c.t.Context(), rest.Request{
			Method: http.MethodPost, Path: "/api/v1/orders",
			Header: map[string]string{"Idempotency-Key": fmt.Sprint(c.t.Name(), i)},
			Body: map[string]any{
				"userId": c.cluster.Members()[0], "paymentAmount": 1000, "paymentType": "CREDIT", "deliveryFee": 0,
				"items": []map[string]any{{"productId": "RECORD", "quantity": 1, "productPrice": 1000}},
			},
		}, &placed)
		if err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, placed.OrderID)
	}
	return ids
}

// open counts the orders that are PENDING.
func (c *counter) open(ids []string) (n int) {
	c.t.Helper()
	for _, id := range ids {
		var o struct{ Status string }
		if err := c.customer.Get(c.t.Context(), "/api/v1/orders/"+id, &o); err != nil {
			c.t.Fatal(err)
		}
		if o.Status == "PENDING" {
			n++
		}
	}
	return n
}

// replay has everything that is parked in a service handled again.
func (c *counter) replay(service string) {
	c.t.Helper()
	body := map[string]any{"filter": map[string]any{"service": service}, "dryRun": false, "reason": "upgraded"}
	if err := c.ops.Post(c.t.Context(), "/ops/v1/failures/replay", body, &struct{}{}); err != nil {
		c.t.Fatal(err)
	}
}

// settled waits until every order is completed, and wants each of them to have been paid once, and the shelf to add up.
func (c *counter) settled(ids []string) {
	c.t.Helper()
	c.eventually(func() error {
		if n := c.count("order", `SELECT count(*) FROM orders WHERE status = 'COMPLETED'`); n != len(ids) {
			return fmt.Errorf("%d orders of %d are completed", n, len(ids))
		}
		return nil
	})
	if n := c.count("payment", `SELECT count(*) FROM payment WHERE state = 'COMPLETED' AND amount = 1000`); n != len(ids) {
		c.t.Errorf("%d orders are paid, want %d", n, len(ids))
	}
	if n := c.count("payment", `SELECT count(*) FROM call WHERE kind = 'charge'`); n != len(ids) {
		c.t.Errorf("%d charges were asked for, want %d", n, len(ids))
	}
	if n := c.count("stock", `SELECT quantity FROM product WHERE product_id = 'RECORD'`); n != shelf-len(ids) {
		c.t.Errorf("%d records are left, want %d", n, shelf-len(ids))
	}
}

func (s *stage) count(service, sql string) (n int) {
	s.t.Helper()
	s.query(service, sql, &n)
	return n
}
