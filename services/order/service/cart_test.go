package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

func (s *system) cart(member, want string) {
	s.T.Helper()
	if a := s.do(member, "GET", "/api/v1/cart", ""); a.Status != 200 || a.Text != want+"\n" {
		s.T.Errorf("%s\nwant %s", a, want)
	}
}

func (s *system) put(member, product string, quantity int) rig.Answer {
	s.T.Helper()
	return s.do(member, "PUT", "/api/v1/cart/items/"+product, fmt.Sprintf(`{"quantity": %d}`, quantity))
}

const emptyCart = `{"items":[],"total":0,"currency":null}`

// A member fills a cart, sees a price change in it, and orders it; nobody else has any of it.
func TestCart(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	s.cart("m1", emptyCart)
	s.put("m1", "P", 1)
	if a := s.put("m1", "Q", 2); a.Status != 200 || !strings.Contains(a.Text, `"total":11050`) {
		t.Errorf("%s", a)
	}
	for product, code := range map[string]string{"NONE": "unknown_product", "OFF": "product_not_on_sale", "EUR": "currency_mismatch"} {
		if a := s.put("m1", product, 1); a.Status != 422 || a.Field("code") != code {
			t.Errorf("%s: %s", product, a)
		}
	}
	s.cart("m2", emptyCart)
	s.Publish("Q", &stockv1.ProductPriceChanged{ProductId: "Q", Name: "Chair", Price: 600, Currency: "KRW", OnSale: true, ChangedAt: timestamppb.Now()})
	const changed = `{"items":[{"productId":"P","name":"Lamp","quantity":1,"price":10050,"priceChanged":null,"problem":null},` +
		`{"productId":"Q","name":"Chair","quantity":2,"price":600,"priceChanged":{"from":500,"to":600},"problem":null}],"total":11250,"currency":"KRW"}`
	testkit.Eventually(t, rig.Patience, func() error {
		if a := s.do("m1", "GET", "/api/v1/cart", ""); !strings.Contains(a.Text, `"to":600`) {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	s.cart("m1", changed)

	a := s.do("m1", "POST", "/api/v1/cart/order", `{"paymentAmount": 11251, "paymentType": "CREDIT"}`)
	if a.Status != 422 || a.Field("code") != "amount_mismatch" {
		t.Errorf("%s", a)
	}
	s.cart("m1", changed)
	a = s.do("m1", "POST", "/api/v1/cart/order", `{"paymentAmount": 11250, "paymentType": "CREDIT"}`)
	if a.Status != 202 || a.Header.Get("Location") != "/api/v1/orders/"+a.Field("orderId") {
		t.Fatalf("%s", a)
	}
	id := a.Field("orderId")
	s.cart("m1", emptyCart)
	if created := s.await(id, "OrderCreated").Message.(*orderv1.OrderCreated); len(created.GetOrderItems()) != 2 || created.GetCheckout().GetPaymentAmount() != 11250 {
		t.Errorf("%v", created)
	}
	again := s.do("m1", "POST", "/api/v1/cart/order", `{"paymentAmount": 11250, "paymentType": "CREDIT"}`)
	if again.Status != 202 || again.Field("orderId") != id {
		t.Errorf("a double click: %s", again)
	}
	s.Publish(id, decreased(id), paid(id))
	s.awaitStatus(id, "COMPLETED")
	waited := s.do("m1", "POST", "/api/v1/cart/order", `{"paymentAmount": 11250, "paymentType": "CREDIT"}`, "Prefer", "wait=5")
	if waited.Status != 200 || waited.Field("status") != "COMPLETED" {
		t.Errorf("waited for: %s", waited)
	}
}

// Under its key an order of the cart is the same request again, whatever is in the cart by then.
func TestOrderCartAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	const body = `{"paymentAmount": 500, "paymentType": "CREDIT"}`
	order := func(key, body string) rig.Answer {
		t.Helper()
		return s.do("m1", "POST", "/api/v1/cart/order", body, "Idempotency-Key", key)
	}
	s.put("m1", "Q", 1)
	first := order("one", body)
	s.put("m1", "Q", 1)
	again := order("one", body)
	if first.Status != 202 || again.Field("orderId") != first.Field("orderId") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s\n%s", first, again)
	}
	if a := order("one", `{"paymentAmount": 501, "paymentType": "CREDIT"}`); a.Field("code") != "idempotency_key_reused" {
		t.Errorf("%s", a)
	}
	if a := order("two", body); a.Status != 202 || a.Field("orderId") == first.Field("orderId") {
		t.Errorf("%s", a)
	}
	if a := order("three", body); a.Field("code") != "cart_empty" {
		t.Errorf("%s", a)
	}
}

// What a cart's requests may not say, and ids that a path has to be decoded for.
func TestCartRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	const odd = "a/b 한%"
	s.Publish(odd, &stockv1.ProductListed{ProductId: odd, Name: "Odd", Price: 5, Currency: "KRW", OnSale: true, ListedAt: timestamppb.Now()})
	const escaped = "a%2Fb%20%ED%95%9C%25"
	testkit.Eventually(t, rig.Patience, func() error {
		if a := s.put("m2", escaped, 1); a.Status != 200 || !strings.Contains(a.Text, odd) {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if a := s.do("m2", "DELETE", "/api/v1/cart/items/"+escaped, ""); a.Status != 200 || a.Text != emptyCart {
		t.Errorf("%s", a)
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "/items/P", `{"quantity": 0}`, "400 invalid_field"},
		{"PUT", "/items/P", `{"quantity": -1}`, "400 invalid_field"},
		{"PUT", "/items/P", `{"quantity": 2147483648}`, "400 invalid_field"},
		{"PUT", "/items/P", `{}`, "400 missing_field"},
		{"PUT", "/items/P", `{"quantity": 1, "price": 1}`, "400 unknown_field"},
		{"PUT", "/items/" + strings.Repeat("x", 101), `{"quantity": 1}`, "404 not_found"},
		{"PUT", "/items/%00", `{"quantity": 1}`, "404 not_found"},
		{"POST", "/order", `{"paymentType": "CREDIT"}`, "400 missing_field"},
		{"POST", "/order", `{"paymentAmount": -1, "paymentType": "CREDIT"}`, "400 invalid_field"},
		{"POST", "/order", `{"paymentAmount": 1, "paymentType": "CREDIT", "items": [{"productId": "P", "quantity": 1}]}`, "400 unknown_field"},
		{"POST", "/order", `{"paymentAmount": 1, "paymentType": "CREDIT", "userId": "m2"}`, "403 forbidden"},
		{"POST", "/order", `{"paymentAmount": 1, "paymentType": "CREDIT"}`, "422 cart_empty"},
	} {
		a := s.do("m1", c.method, "/api/v1/cart"+c.path, c.body)
		if got := fmt.Sprint(a.Status, " ", a.Field("code")); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.method, c.path, c.body, got, c.want)
		}
	}
	if a := s.Call("", http.MethodGet, "/api/v1/cart", ""); a.Status != 401 {
		t.Errorf("%s", a)
	}
}
