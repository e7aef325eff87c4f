package cluster

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	quadrille "github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

func start(t *testing.T, opts Options) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	begin := time.Now()
	c, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(begin).Round(100*time.Millisecond))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// shop lists a product and returns a customer's client.
func shop(t *testing.T, c *Cluster) rest.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	gateway := c.Gateways()[0]
	ops := rest.Client{BaseURL: gateway, Token: c.OperatorToken()}
	product := quadrille.NewProduct{ProductID: "RECORD", Name: "Record", Price: 1000, Currency: "KRW", Quantity: 1000}
	if err := quadrille.AddProduct(ctx, ops, product); err != nil {
		t.Fatal(err)
	}
	customer := rest.Client{BaseURL: gateway, Token: c.Token(c.Members()[0])}
	if err := quadrille.AwaitOrderable(ctx, customer, "RECORD"); err != nil {
		t.Fatal(err)
	}
	return customer
}

// order places one and returns its final status.
func order(ctx context.Context, c *Cluster, customer rest.Client, key string) (string, error) {
	var placed struct {
		OrderID string `json:"orderId"`
		Status  string `json:"status"`
	}
	_, err := customer.Call(ctx, rest.Request{
		Method: http.MethodPost, Path: "/api/v1/orders",
		Header: map[string]string{"Idempotency-Key": key, "Prefer": "wait=20"},
		Body: map[string]any{
			"userId": c.Members()[0], "paymentAmount": 1000, "paymentType": "CREDIT", "deliveryFee": 0,
			"items": []map[string]any{{"productId": "RECORD", "quantity": 1, "productPrice": 1000}},
		},
	}, &placed)
	return placed.Status, err
}

func completes(t *testing.T, c *Cluster, customer rest.Client, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, err := order(ctx, c, customer, key)
	if err != nil || status != "COMPLETED" {
		t.Errorf("order %s: %q, %v", key, status, err)
	}
}
