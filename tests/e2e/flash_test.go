package e2e_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// 400 buyers at once on 100 pieces: exactly 100 get one, and nobody waits for ever.
func flashSale(t *testing.T, s *shop) {
	const buyers = 400
	orders := make([]order, buyers)
	customers := make([]customer, buyers)
	for i := range customers {
		customers[i] = s.customer(t)
	}
	var all sync.WaitGroup
	errs := make(chan error, buyers)
	for i, c := range customers {
		all.Go(func() {
			_, err := c.Call(t.Context(), rest.Request{
				Method: "POST", Path: "/api/v1/orders", Body: basket(local.Flash, 1, 1_000),
				Header: map[string]string{"Idempotency-Key": uuid.NewString()},
			}, &orders[i])
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	charged := int64(0)
	for i, c := range customers {
		o := c.settled(orders[i].OrderID)
		count[o.Status+" "+o.why()]++
		charged += s.money(t, o.OrderID).Charged
	}
	if count["COMPLETED "] != 100 || count["CANCELLED OUT_OF_STOCK"] != 300 {
		t.Errorf("%v, want 100 COMPLETED and 300 CANCELLED OUT_OF_STOCK", count)
	}
	if charged != 100*1_000 {
		t.Errorf("%d was charged, want 100,000", charged)
	}
	testkit.Eventually(t, patience, func() error {
		if left := s.left(t, local.Flash); left != 0 {
			return fmt.Errorf("%d pieces are left", left)
		}
		return nil
	})
}
