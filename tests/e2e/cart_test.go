package e2e_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type cart struct {
	Items []struct {
		ProductID    string `json:"productId"`
		Quantity     int64  `json:"quantity"`
		PriceChanged *struct{ From, To int64 }
	} `json:"items"`
	Total int64 `json:"total"`
}

// cart sends a request about the member's cart, which must succeed, and returns the cart.
func (c customer) cart(method, path string, body any) cart {
	c.t.Helper()
	var answer cart
	if _, err := c.Call(c.t.Context(), rest.Request{Method: method, Path: "/api/v1/cart" + path, Body: body}, &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// A cart of two products is ordered, paid and gone; the shop finds the order by the number that the customer reads out.
func cartOrdered(t *testing.T, s *shop) {
	c, lamp, chair := s.customer(t), s.product(t, 3_000, 5), s.product(t, 500, 5)
	c.cart(http.MethodPut, "/items/"+lamp, fields{"quantity": 3})
	c.cart(http.MethodPut, "/items/"+chair, fields{"quantity": 4})
	c.cart(http.MethodPut, "/items/"+lamp, fields{"quantity": 1})
	if got := c.cart(http.MethodGet, "", nil); got.Total != 5_000 || len(got.Items) != 2 || got.Items[0].ProductID != lamp {
		t.Fatalf("%+v", got)
	}
	order := func(amount int64, key string) rest.Response {
		t.Helper()
		res, err := c.Do(t.Context(), rest.Request{
			Method: http.MethodPost, Path: "/api/v1/cart/order", Body: fields{"paymentAmount": amount, "paymentType": "CREDIT"},
			Header: map[string]string{"Idempotency-Key": key},
		})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := order(4_999, uuid.NewString()); res.Status != http.StatusUnprocessableEntity {
		t.Errorf("with another sum: %d", res.Status)
	}
	if got := c.cart(http.MethodGet, "", nil); got.Total != 5_000 {
		t.Errorf("after a refused order: %+v", got)
	}
	key := uuid.NewString()
	placed := order(5_000, key)
	if placed.Status != http.StatusAccepted {
		t.Fatal(placed.Problem())
	}
	shown := decode[struct{ OrderID, OrderNumber string }](t, placed.Body)
	if got := c.cart(http.MethodGet, "", nil); len(got.Items) > 0 {
		t.Errorf("ordered, and still in the cart: %+v", got)
	}
	if again := order(5_000, key); again.Status != http.StatusAccepted || decode[struct{ OrderID string }](t, again.Body).OrderID != shown.OrderID {
		t.Errorf("under the same key: %d %s", again.Status, again.Body)
	}
	if o := c.settled(shown.OrderID); o.Status != "COMPLETED" || o.PaymentAmount != 5_000 {
		t.Errorf("%s %s", o.Status, o.why())
	}
	if lamps, chairs := s.left(t, lamp), s.left(t, chair); lamps != 4 || chairs != 1 {
		t.Errorf("%d and %d pieces are left, want 4 and 1", lamps, chairs)
	}
	var found struct{ Data []struct{ OrderID string } }
	if err := s.ops.Get(t.Context(), "/ops/v1/orders?query="+shown.OrderNumber, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Data) != 1 || found.Data[0].OrderID != shown.OrderID {
		t.Errorf("by the number %q: %+v", shown.OrderNumber, found)
	}
}
