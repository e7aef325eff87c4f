package service_test

import (
	"fmt"
	"testing"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

// A pending order is sent elsewhere by its owner, and only to an address of his; once paid, it goes where it was said.
func TestChangeAddress(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	id := s.place(seedBody)
	path := "/api/v1/orders/" + id
	tag := s.do("m1", "GET", path, "").Header.Get("Etag")
	for _, c := range []struct{ member, path, body, want string }{
		{"m2", path, `{"shippingAddressId": "home-2"}`, "404 not_found"},
		{"m1", path[:len(path)-1] + "x", `{"shippingAddressId": "work-1"}`, "404 not_found"},
		{"m1", path, `{"shippingAddressId": "home-2"}`, "422 unknown_address"},
		{"m1", path, `{"shippingAddressId": ""}`, "400 invalid_field"},
		{"m1", path, `{}`, "400 missing_field"},
		{"m1", path, `{"shippingAddressId": "work-1", "status": "COMPLETED"}`, "400 unknown_field"},
	} {
		a := s.do(c.member, "PATCH", c.path, c.body)
		if got := fmt.Sprint(a.Status, " ", a.Field("code")); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.member, c.body, got, c.want)
		}
	}
	a := s.do("m1", "PATCH", path, `{"shippingAddressId": "work-1"}`)
	if a.Status != 200 || a.Field("shippingAddressId") != "work-1" {
		t.Errorf("%s", a)
	}
	if a := s.do("m1", "GET", path, "", "If-None-Match", tag); a.Status != 200 || a.Field("shippingAddressId") != "work-1" {
		t.Errorf("read again: %s", a)
	}
	s.Publish(id, decreased(id), paid(id))
	completed := s.await(id, "OrderCompleted").Message.(*orderv1.OrderCompleted)
	if completed.GetShippingAddressId() != "work-1" {
		t.Errorf("%v", completed)
	}
	s.awaitStatus(id, order.Completed)
	if a := s.do("m1", "PATCH", path, `{"shippingAddressId": "home-1"}`); a.Status != 409 || a.Field("code") != "address_fixed" {
		t.Errorf("%s", a)
	}
	if a := s.do("m1", "PATCH", path, `{"shippingAddressId": "work-1"}`); a.Status != 200 {
		t.Errorf("where it goes anyway: %s", a)
	}
}
