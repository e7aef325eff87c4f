package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/service"
)

// with changes fields of a good request; nil takes one out.
func with(fields map[string]any) string {
	body := map[string]any{
		"items":         []any{map[string]any{"productId": "P", "quantity": 1, "productPrice": 10050}},
		"paymentAmount": 10050, "paymentType": "CREDIT",
	}
	for name, value := range fields {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func item(fields map[string]any) []any { return []any{fields} }

// Every refusal has its status, its code and a pointer to the field.
func TestPlaceRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *service.Config) {
		c.MaxQuantity, c.MaxItems, c.DeliveryFee, c.FreeDeliveryFrom, c.TransferTimeout = 50, 5, 3000, 10000, 0
	})
	s.list()
	for _, c := range []struct {
		name, member, body string
		status             int
		code, pointer      string
	}{
		{"not JSON", "m1", `{`, 400, "invalid_json", ""},
		{"empty", "m1", ``, 415, "unsupported_media_type", ""},
		{"an unknown field", "m1", with(map[string]any{"status": "COMPLETED"}), 400, "unknown_field", "/status"},
		{"no items", "m1", with(map[string]any{"items": nil}), 400, "missing_field", "/items"},
		{"empty items", "m1", with(map[string]any{"items": []any{}}), 400, "missing_field", "/items"},
		{"an item that is null", "m1", with(map[string]any{"items": []any{nil}}), 400, "invalid_field", "/items/0"},
		{"no paymentAmount", "m1", with(map[string]any{"paymentAmount": nil}), 400, "missing_field", "/paymentAmount"},
		{"no paymentType", "m1", with(map[string]any{"paymentType": nil}), 400, "missing_field", "/paymentType"},
		{"no quantity", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P"})}), 400, "missing_field", "/items/0/quantity"},
		{"quantity 0", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": 0})}), 400, "invalid_field", "/items/0/quantity"},
		{"quantity as text", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": "1"})}), 400, "invalid_field", "/items/0/quantity"},
		{"a fraction", "m1", with(map[string]any{"paymentAmount": 10050.5}), 400, "invalid_field", "/paymentAmount"},
		{"a negative amount", "m1", with(map[string]any{"pointAmount": -1}), 400, "invalid_field", "/pointAmount"},
		{"another payment type", "m1", with(map[string]any{"paymentType": "CASH"}), 400, "invalid_field", "/paymentType"},
		{"another policy", "m1", with(map[string]any{"couponFailurePolicy": "MAYBE"}), 400, "invalid_field", "/couponFailurePolicy"},
		{"an id with a line break", "m1", with(map[string]any{"shippingAddressId": "a\nb"}), 400, "invalid_field", "/shippingAddressId"},
		{"another member", "m1", with(map[string]any{"userId": "m2"}), 403, "forbidden", ""},
		{"a transfer", "m1", with(map[string]any{"paymentType": "TRANSFER"}), 422, "payment_type_unavailable", "/paymentType"},
		{"an unknown product", "m1", with(map[string]any{"items": item(map[string]any{"productId": "?", "quantity": 1})}), 422, "unknown_product", "/items/0/productId"},
		{"a product not on sale", "m1", with(map[string]any{"items": item(map[string]any{"productId": "OFF", "quantity": 1})}), 422, "product_not_on_sale", "/items/0/productId"},
		{"a negative price", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": 1, "productPrice": -1})}), 400, "invalid_field", "/items/0/productPrice"},
		{"an old price", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": 1, "productPrice": 9})}), 422, "price_changed", "/items/0/productPrice"},
		{"a wrong sum", "m1", with(map[string]any{"paymentAmount": 1}), 422, "amount_mismatch", "/paymentAmount"},
		{"a wrong fee", "m1", with(map[string]any{"deliveryFee": 1}), 422, "amount_mismatch", "/deliveryFee"},
		{"a discount without a coupon", "m1", with(map[string]any{"discountAmount": 50, "paymentAmount": 10000}), 422, "amount_mismatch", "/discountAmount"},
		{"too many pieces", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": 51})}), 422, "quantity_limit", "/items"},
		{"more than can be counted", "m1", with(map[string]any{"items": item(map[string]any{"productId": "P", "quantity": int64(1) << 62})}), 422, "quantity_limit", "/items/0/quantity"},
		{"two currencies", "m1", with(map[string]any{"items": []any{map[string]any{"productId": "P", "quantity": 1}, map[string]any{"productId": "EUR", "quantity": 1}}}), 422, "currency_mismatch", "/items/1/productId"},
		{"somebody else's address", "m1", with(map[string]any{"shippingAddressId": "home-2"}), 422, "unknown_address", "/shippingAddressId"},
		{"no address at all", "m3", with(nil), 422, "address_required", "/shippingAddressId"},
		{"a member nobody knows", "m9", with(nil), 422, "address_required", "/shippingAddressId"},
	} {
		a := s.do(c.member, "POST", "/api/v1/orders", c.body)
		var p web.Problem
		a.Decode(t, &p)
		pointed := c.pointer == "" || slices.ContainsFunc(p.Errors, func(e fault.FieldError) bool { return e.Pointer == c.pointer })
		if a.Status != c.status || p.Code != c.code || !pointed || a.Header.Get("Content-Type") != web.MediaTypeProblem {
			t.Errorf("%s: %s, want %d %s at %s", c.name, a, c.status, c.code, c.pointer)
		}
		if !fault.Known(p.Code) {
			t.Errorf("%s: the code %s is not in the list", c.name, p.Code)
		}
	}
	if a := s.do("m1", "GET", "/api/v1/orders", ""); a.Text != `{"data":[],"hasMore":false}`+"\n" {
		t.Errorf("something was ordered: %s", a)
	}
}

func TestHeadersRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, c := range map[string]struct {
		token, method, path string
		headers             []string
		status              int
	}{
		"no token":           {"", "GET", "/api/v1/orders", nil, 401},
		"a bad token":        {"x.y.z", "POST", "/api/v1/orders", nil, 401},
		"a long key":         {s.Token("m1"), "POST", "/api/v1/orders", []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400},
		"an empty key":       {s.Token("m1"), "POST", "/api/v1/orders", []string{"Idempotency-Key", ""}, 400},
		"a control char":     {s.Token("m1"), "POST", "/api/v1/orders", []string{"Idempotency-Key", "a\tb"}, 400},
		"two keys":           {s.Token("m1"), "POST", "/api/v1/orders", []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400},
		"a key too long":     {s.Token("m1"), "POST", "/api/v1/orders/" + uuid.NewString() + "/cancel", []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400},
		"an unknown order":   {s.Token("m1"), "GET", "/api/v1/orders/" + uuid.NewString(), nil, 404},
		"no order id":        {s.Token("m1"), "GET", "/api/v1/orders/x%00y", nil, 404},
		"cancel of no order": {s.Token("m1"), "POST", "/api/v1/orders/nothing/cancel", nil, 404},
		"a bad limit":        {s.Token("m1"), "GET", "/api/v1/orders?limit=0", nil, 400},
		"a bad status":       {s.Token("m1"), "GET", "/api/v1/orders?status=LOST", nil, 400},
		"a bad cursor":       {s.Token("m1"), "GET", "/api/v1/orders?startingAfter=x", nil, 400},
		"a bad period":       {s.Token("m1"), "GET", "/api/v1/orders?from=yesterday", nil, 400},
		"a customer's ops":   {s.Token("m1"), "GET", "/ops/v1/orders", nil, 403},
		"a bad step":         {s.Token("op", "operator"), "GET", "/ops/v1/orders?progress=X", nil, 400},
		"a bad age":          {s.Token("op", "operator"), "GET", "/ops/v1/orders?olderThan=long", nil, 400},
		"a wrong method":     {s.Token("m1"), "DELETE", "/api/v1/orders", nil, 405},
	} {
		body := ""
		if c.method == "POST" && !strings.Contains(c.path, "cancel") {
			body = with(nil)
		}
		a := s.Call(c.token, c.method, c.path, body, c.headers...)
		if a.Status != c.status {
			t.Errorf("%s: %s, want %d", name, a, c.status)
		}
	}
	long := `{"reason": "` + strings.Repeat("x", 501) + `"}`
	if a := s.do("m1", "POST", "/api/v1/orders/"+uuid.NewString()+"/cancel", long); a.Status != 400 {
		t.Errorf("a long reason: %d", a.Status)
	}
}

// Lists are newest first, the member's own, and paged; the operators' begin with what waits longest.
func TestLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	var ids []string
	for i := range 5 {
		ids = append(ids, s.place(seedBody, "Idempotency-Key", fmt.Sprint(i)))
	}
	a := s.do("m2", "POST", "/api/v1/orders", with(nil))
	foreign := a.Field("orderId")
	s.Publish(ids[1], &stockv1.StockDecreaseFailed{OrderId: ids[1]})
	s.awaitStatus(ids[1], order.Cancelled)
	s.Publish(ids[2], decreased(ids[2]))
	testkit.Eventually(t, rig.Patience, func() error {
		if p := s.do("m1", "GET", "/api/v1/orders/"+ids[2], "").Field("progress"); p != "PAYMENT" {
			return fmt.Errorf("at %s", p)
		}
		return nil
	})
	if a := s.do("m2", "GET", "/api/v1/orders/"+ids[0], ""); a.Status != 404 {
		t.Errorf("somebody else's order: %d", a.Status)
	}
	operator := s.Token("op", "operator")
	for _, c := range []struct {
		token, query string
		want         []string
		more         bool
	}{
		{s.Token("m1"), "/api/v1/orders?limit=2", []string{ids[4], ids[3]}, true},
		{s.Token("m1"), "/api/v1/orders?limit=2&startingAfter=" + ids[3], []string{ids[2], ids[1]}, true},
		{s.Token("m1"), "/api/v1/orders?startingAfter=" + ids[1], []string{ids[0]}, false},
		{s.Token("m1"), "/api/v1/orders?status=CANCELLED", []string{ids[1]}, false},
		{s.Token("m1"), "/api/v1/orders?from=2020-01-01T00:00:00Z&limit=2&status=PENDING", []string{ids[4], ids[3]}, true},
		{s.Token("m1"), "/api/v1/orders?to=2020-01-01T00:00:00%2B09:00", []string{}, false},
		{operator, "/ops/v1/orders?from=2020-01-01T00:00:00Z&query=m2", []string{foreign}, false},
		{s.Token("m2"), "/api/v1/orders", []string{foreign}, false},
		{s.Token("m3"), "/api/v1/orders", []string{}, false},
		{operator, "/ops/v1/orders?limit=1", []string{foreign}, true},
		{operator, "/ops/v1/orders?status=PENDING", []string{ids[0], ids[2], ids[3], ids[4], foreign}, false},
		{operator, "/ops/v1/orders?status=PENDING&limit=2&startingAfter=" + ids[0], []string{ids[2], ids[3]}, true},
		{operator, "/ops/v1/orders?progress=PAYMENT", []string{ids[2]}, false},
		{operator, "/ops/v1/orders?query=m2", []string{foreign}, false},
		{operator, "/ops/v1/orders?query=" + ids[1], []string{ids[1]}, false},
		{operator, "/ops/v1/orders?query=" + order.NumberOf(ids[1]), []string{ids[1]}, false},
		{operator, "/ops/v1/orders?query=" + strings.ToLower(strings.ReplaceAll(order.NumberOf(foreign), "-", "")), []string{foreign}, false},
		{operator, "/ops/v1/orders?query=0000-0000-0001", []string{}, false},
		{operator, "/ops/v1/orders?olderThan=1h", []string{}, false},
		{operator, "/ops/v1/orders?olderThan=1us&status=CANCELLED", []string{ids[1]}, false},
	} {
		a := s.Call(c.token, "GET", c.query, "")
		if a.Status != 200 {
			t.Fatalf("%s: %s", c.query, a)
		}
		var list web.List[order.View]
		a.Decode(t, &list)
		got := []string{}
		for _, v := range list.Data {
			got = append(got, v.OrderID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || list.HasMore != c.more {
			t.Errorf("%s: more=%t %s", c.query, list.HasMore, diff)
		}
	}
	if a := s.Call(operator, "GET", "/api/v1/orders/"+foreign, ""); a.Status != 200 {
		t.Errorf("an operator reads any order: %d", a.Status)
	}
}

// The preview computes what is left out, and lists every problem instead of refusing for the first.
func TestPreview(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	for _, c := range []struct {
		member, body string
		payment      int64
		address      string
		problems     []string
	}{
		{"m1", `{"items": [{"productId": "P", "quantity": 2}, {"productId": "Q", "quantity": 1}]}`, 20600, "home-1", []string{}},
		{"m1", with(map[string]any{"shippingAddressId": "work-1"}), 10050, "work-1", []string{}},
		{"m1", with(map[string]any{"pointAmount": 50, "paymentAmount": nil}), 10000, "home-1", []string{}},
		{"m1", with(map[string]any{"paymentType": "POINT", "pointAmount": 10050, "paymentAmount": 0}), 0, "home-1", []string{}},
		{"m1", with(map[string]any{"discountPolicyId": "W", "discountAmount": 50, "paymentAmount": 10000}), 10000, "home-1", []string{}},
		{"m3", with(map[string]any{
			"items":         []any{map[string]any{"productId": "P", "quantity": 1, "productPrice": 1}, map[string]any{"productId": "Q", "quantity": 1}},
			"paymentAmount": 7,
		}), 10550, "", []string{"/items/0/productPrice price_changed", "/paymentAmount amount_mismatch", "/shippingAddressId address_required"}},
		{"m1", with(map[string]any{"items": []any{map[string]any{"productId": "P", "quantity": 1}, map[string]any{"productId": "?", "quantity": 1}}}), 10050, "", []string{"/items/1/productId unknown_product"}},
	} {
		a := s.do(c.member, "POST", "/api/v1/orders/preview", c.body)
		var p struct {
			PaymentAmount int64
			AddressID     *string
			Currency      string
			Items         []order.Item
			Problems      []fault.FieldError
		}
		if a.Decode(t, &p); a.Status != 200 {
			t.Fatalf("%s: %s", c.body, a)
		}
		problems := []string{}
		for _, x := range p.Problems {
			problems = append(problems, x.Pointer+" "+x.Code)
		}
		if diff := cmp.Diff(c.problems, problems); diff != "" || p.PaymentAmount != c.payment || p.Currency != "KRW" {
			t.Errorf("%s: %s\n%s", c.body, a, diff)
		}
		if c.address == "" && p.AddressID != nil || c.address != "" && (p.AddressID == nil || *p.AddressID != c.address) {
			t.Errorf("%s: sent to %v", c.body, p.AddressID)
		}
	}
	if a := s.do("m1", "POST", "/api/v1/orders/preview", `{"items": []}`); a.Status != 400 {
		t.Errorf("no items: %d", a.Status)
	}
	if a := s.do("m1", "POST", "/api/v1/orders/preview", with(map[string]any{"userId": "m2"})); a.Status != 403 {
		t.Errorf("another member: %d", a.Status)
	}
}

// A shutdown does not cut those that wait: they are answered with the order as it is.
func TestShutdownAnswersWaiters(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.list()
	answers := make(chan rig.Answer, 1)
	token := s.Token("m1")
	go func() { answers <- s.Call(token, "POST", "/api/v1/orders", seedBody, "Prefer", "wait=30") }()
	s.Await(1)
	began := time.Now()
	s.stop()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	select {
	case a := <-answers:
		if a.Status != 202 || a.Field("status") != "PENDING" {
			t.Errorf("%s", a)
		}
	case <-ctx.Done():
		t.Error("not answered")
	}
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("it took %s", d)
	}
}
