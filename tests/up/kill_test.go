package up_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// recovery is what every accepted order has to end within, from the readiness after a kill.
const recovery = 60 * time.Second

// kill -9 of the whole process in the middle of 400 orders: nothing that was accepted is lost, nothing
// is done twice, and what the services and the provider have in their books adds up to the unit.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := up(t, dir)
	accepted := storm(t, first)
	again := up(t, dir)
	begin := time.Now()
	customer := again.client("CUSTOMER_TOKEN")
	var orders map[string]placed
	testkit.Eventually(t, recovery, func() error {
		orders = map[string]placed{}
		waiting := 0
		for _, o := range ordersOf(t, customer) {
			orders[o.OrderID] = o
			if o.Status == "PENDING" || o.Status == "CANCELLING" {
				waiting++
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d of %d orders have not ended", waiting, len(orders))
		}
		return nil
	})
	for _, id := range accepted {
		if _, known := orders[id]; !known {
			t.Errorf("order %s was accepted and is gone", id)
		}
	}
	t.Logf("%d orders were accepted, %d are there, all ended %s after readiness",
		len(accepted), len(orders), time.Since(begin).Round(time.Millisecond))
	testkit.Eventually(t, recovery, func() error { return addsUp(t, again, orders) })
}

// storm sends 400 orders and kills the process when 150 are accepted; it returns those.
func storm(t *testing.T, i *instance) []string {
	t.Helper()
	customer := i.client("CUSTOMER_TOKEN")
	var mu sync.Mutex
	var ids []string
	var count atomic.Int64
	half := make(chan struct{})
	var all sync.WaitGroup
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for n := range next {
				var o placed
				_, err := customer.Call(t.Context(), rest.Request{
					Method: http.MethodPost, Path: "/api/v1/orders", Body: body(n),
					Header: map[string]string{"Idempotency-Key": uuid.NewString()},
				}, &o)
				if err != nil {
					continue // it is being killed
				}
				mu.Lock()
				ids = append(ids, o.OrderID)
				mu.Unlock()
				if count.Add(1) == 150 {
					close(half)
				}
			}
		})
	}
	go func() {
		for n := range 400 {
			next <- n
		}
		close(next)
	}()
	select {
	case <-half:
	case <-time.After(time.Minute):
		t.Fatalf("only %d orders were accepted", count.Load())
	}
	i.signal(syscall.SIGKILL)
	all.Wait()
	return ids
}

// body is the n-th order: products, payment tokens and points in all combinations.
func body(n int) map[string]any {
	product, price := local.Product, int64(10_050)
	if n%3 == 0 {
		product, price = local.Flash, 1_000
	}
	points := int64(0)
	if n%4 == 0 {
		points = 100
	}
	tokens := []string{"tok_ok", "tok_ok", "tok_ok", "tok_decline", "tok_slow", "tok_flaky"}
	return map[string]any{
		"items":       []map[string]any{{"productId": product, "quantity": 1, "productPrice": price}},
		"pointAmount": points, "paymentAmount": price - points, "paymentType": "CREDIT",
		"paymentToken": tokens[rand.IntN(len(tokens))],
	}
}

// addsUp holds stock, points and the provider's books against the orders.
func addsUp(t *testing.T, i *instance, orders map[string]placed) error {
	t.Helper()
	sold, money, points := map[string]int64{}, map[string]int64{}, int64(0)
	for id, o := range orders {
		if o.Status == "CANCELLED" {
			continue
		}
		for _, item := range o.Items {
			sold[item.ProductID] += item.Quantity
		}
		money[id], points = o.PaymentAmount, points+o.PointAmount
	}
	for product, had := range map[string]int64{local.Product: 1_000, local.Flash: 100} {
		var p struct{ Quantity int64 }
		if err := i.client("CUSTOMER_TOKEN").Get(t.Context(), "/api/v1/products/"+product, &p); err != nil {
			return err
		}
		if p.Quantity != had-sold[product] {
			return fmt.Errorf("%s: %d are left and %d sold, of %d", product, p.Quantity, sold[product], had)
		}
	}
	if left := pointsOf(t, i); left != local.Points-points {
		return fmt.Errorf("%d points are left, %d were used, of %d", left, points, local.Points)
	}
	var books payment.Summary
	provider := rest.Client{BaseURL: i.env["PAYMENT_SIMULATOR_URL"]}
	if err := provider.Get(t.Context(), "/v1/summary", &books); err != nil {
		return err
	}
	for _, r := range books.References {
		if r.Charges > 1 {
			return fmt.Errorf("order %s was charged %d times", r.Reference, r.Charges)
		}
		if got, want := r.Charged-r.Refunded, money[r.Reference]; got != want {
			return fmt.Errorf("order %s (%s): %d was paid, want %d", r.Reference, orders[r.Reference].Status, got, want)
		}
		delete(money, r.Reference)
	}
	for id, amount := range money {
		if amount > 0 {
			return fmt.Errorf("order %s is not paid: %d", id, amount)
		}
	}
	return nil
}
