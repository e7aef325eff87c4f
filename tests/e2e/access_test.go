package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// do sends a request and returns the answer.
func do(t *testing.T, c rest.Client, method, path string, body any, header map[string]string) rest.Response {
	t.Helper()
	res, err := c.Do(t.Context(), rest.Request{Method: method, Path: path, Body: body, Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func somebodyElses(t *testing.T, s *shop) {
	owner, other, product := s.customer(t), s.customer(t), s.product(t, 300, 1)
	id := owner.buy(basket(product, 1, 300)).OrderID
	for _, target := range []string{id, uuid.Must(uuid.NewV7()).String(), "not-an-id"} {
		for _, ask := range []struct{ method, path string }{
			{http.MethodGet, ""}, {http.MethodGet, "/events"}, {http.MethodGet, "/shipment"}, {http.MethodPost, "/cancel"},
		} {
			res := do(t, other.Client, ask.method, "/api/v1/orders/"+target+ask.path, nil, nil)
			if p := res.Problem(); res.Status != http.StatusNotFound || p.Code != "not_found" {
				t.Errorf("%s %s%s is answered %v, want 404: one must not learn whose it is", ask.method, target, ask.path, p)
			}
		}
	}
	var list struct {
		Data []order `json:"data"`
	}
	if err := other.Get(t.Context(), "/api/v1/orders", &list); err != nil || len(list.Data) != 0 {
		t.Errorf("another member's list has %d orders: %v", len(list.Data), err)
	}
	if err := owner.Get(t.Context(), "/api/v1/orders?limit=1", &list); err != nil || len(list.Data) != 1 || list.Data[0].OrderID != id {
		t.Errorf("the owner's list is %+v: %v", list.Data, err)
	}
	if res := other.post(basket(product, 1, 300).with(fields{"userId": owner.id}), nil); res.Status != http.StatusForbidden {
		t.Errorf("an order in another's name is answered %d, want 403", res.Status)
	}
}

func roles(t *testing.T, s *shop) {
	customer := s.customer(t).Client
	for _, path := range []string{"/ops/v1/orders", "/ops/v1/failures", "/ops/v1/subscriptions", "/ops/v1/topology", "/ops/v1/audit"} {
		if res := do(t, customer, http.MethodGet, path, nil, nil); res.Status != http.StatusForbidden {
			t.Errorf("a customer's GET %s is answered %d, want 403", path, res.Status)
		}
		if res := do(t, s.ops, http.MethodGet, path, nil, nil); res.Status != http.StatusOK {
			t.Errorf("the operator's GET %s is answered %v", path, res.Problem())
		}
	}
	for path, body := range map[string]any{
		"/ops/v1/products":                               local.NewProduct{ProductID: "MINE", Name: "Mine", Price: 1, Currency: "KRW", Quantity: 1},
		"/ops/v1/points/grants":                          local.Grant{UserID: local.Customer, Amount: 1, Reason: "mine"},
		"/ops/v1/coupon-policies":                        fields{"policyId": "MINE"},
		"/ops/v1/failures/replay":                        fields{"filter": fields{"service": "stock"}},
		"/ops/v1/products/" + local.Product + "/restock": fields{"quantity": 1},
	} {
		if res := do(t, customer, http.MethodPost, path, body, nil); res.Status != http.StatusForbidden {
			t.Errorf("a customer's POST %s is answered %d, want 403", path, res.Status)
		}
	}
	// Every service checks the token itself: the gateway is not a wall that the others hide behind.
	for _, service := range local.Services() {
		behind := customer.As("")
		behind.BaseURL = s.URL(service)
		if res := do(t, behind, http.MethodGet, "/internal/v1/failures", nil, nil); res.Status != http.StatusUnauthorized {
			t.Errorf("%s answers a stranger %d, want 401", service, res.Status)
		}
	}
}

func refusals(t *testing.T, s *shop) {
	c, product := s.customer(t), s.product(t, 500, 10)
	good := basket(product, 1, 500)
	line := func(changes fields) []fields {
		return []fields{fields{"productId": product, "quantity": 1, "productPrice": 500}.with(changes)}
	}
	for name, test := range map[string]struct {
		body    any
		header  map[string]string
		status  int
		code    string
		pointer string
	}{
		"not JSON":              {[]byte(`{"items":`), nil, 400, "invalid_json", ""},
		"empty":                 {[]byte(``), nil, 400, "invalid_json", ""},
		"trailing data":         {[]byte(`{} {}`), nil, 400, "invalid_json", ""},
		"unknown field":         {good.with(fields{"status": "COMPLETED"}), nil, 400, "unknown_field", "/status"},
		"unknown inner field":   {good.with(fields{"items": line(fields{"discount": 500})}), nil, 400, "unknown_field", "/items/0/discount"},
		"twice the same field":  {[]byte(`{"paymentAmount":1,"paymentAmount":1}`), nil, 400, "duplicate_field", "/paymentAmount"},
		"no items":              {good.with(fields{"items": nil}), nil, 400, "missing_field", "/items"},
		"no payment amount":     {good.with(fields{"paymentAmount": nil}), nil, 400, "missing_field", "/paymentAmount"},
		"no payment type":       {good.with(fields{"paymentType": nil}), nil, 400, "missing_field", "/paymentType"},
		"amount with decimals":  {good.with(fields{"paymentAmount": 500.5}), nil, 400, "invalid_field", "/paymentAmount"},
		"amount as text":        {good.with(fields{"paymentAmount": "500"}), nil, 400, "invalid_field", "/paymentAmount"},
		"negative amount":       {good.with(fields{"paymentAmount": -500}), nil, 400, "invalid_field", "/paymentAmount"},
		"no quantity":           {good.with(fields{"items": line(fields{"quantity": nil})}), nil, 400, "missing_field", "/items/0/quantity"},
		"quantity zero":         {good.with(fields{"items": line(fields{"quantity": 0})}), nil, 400, "invalid_field", "/items/0/quantity"},
		"negative quantity":     {good.with(fields{"items": line(fields{"quantity": -1})}), nil, 400, "invalid_field", "/items/0/quantity"},
		"payment type unknown":  {good.with(fields{"paymentType": "CASH"}), nil, 400, "invalid_field", "/paymentType"},
		"coupon policy unknown": {good.with(fields{"couponFailurePolicy": "WHATEVER"}), nil, 400, "invalid_field", "/couponFailurePolicy"},
		"media type":            {good, map[string]string{"Content-Type": "text/plain"}, 415, "unsupported_media_type", ""},
		"too large":             {good.with(fields{"paymentToken": strings.Repeat("x", 65<<10)}), nil, 413, "body_too_large", ""},
		"price changed":         {good.with(fields{"items": line(fields{"productPrice": 499}), "paymentAmount": 499}), nil, 422, "price_changed", "/items/0/productPrice"},
		"product unknown":       {good.with(fields{"items": line(fields{"productId": "NOTHING"})}), nil, 422, "unknown_product", "/items/0/productId"},
		"sum too low":           {good.with(fields{"paymentAmount": 1}), nil, 422, "amount_mismatch", "/paymentAmount"},
		"points cover nothing":  {good.with(fields{"pointAmount": 600, "paymentAmount": 0}), nil, 422, "amount_mismatch", "/pointAmount"},
		"discount, no coupon":   {good.with(fields{"discountAmount": 100, "paymentAmount": 400}), nil, 422, "amount_mismatch", "/discountAmount"},
		"delivery fee":          {good.with(fields{"deliveryFee": 3000, "paymentAmount": 3500}), nil, 422, "amount_mismatch", "/deliveryFee"},
		"address unknown":       {good.with(fields{"shippingAddressId": uuid.NewString()}), nil, 422, "unknown_address", "/shippingAddressId"},
		"overflow":              {good.with(fields{"items": line(fields{"quantity": 1 << 62})}), nil, 422, "quantity_limit", "/items/0/quantity"},
	} {
		t.Run(name, func(t *testing.T) {
			res := do(t, c.Client, http.MethodPost, "/api/v1/orders", test.body, test.header)
			p := res.Problem()
			if res.Status != test.status || p.Code != test.code {
				t.Errorf("answered %v, want %d %s", p, test.status, test.code)
			}
			if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/problem+json") || p.RequestID == "" || p.Title == "" {
				t.Errorf("no problem document: %s %s", kind, res.Body)
			}
			if test.pointer != "" && !slices.ContainsFunc(p.Errors, func(f rest.FieldError) bool { return f.Pointer == test.pointer }) {
				t.Errorf("no pointer %s in %+v", test.pointer, p.Errors)
			}
		})
	}
	noAddress, err := s.Client("member-without-address")
	if err != nil {
		t.Fatal(err)
	}
	gateway := rest.Client{BaseURL: s.GatewayURL()}
	for name, test := range map[string]struct {
		client       rest.Client
		method, path string
		status       int
		code         string
	}{
		"no address":      {noAddress, http.MethodPost, "/api/v1/orders", 422, "address_required"},
		"no token":        {gateway, http.MethodPost, "/api/v1/orders", 401, "unauthenticated"},
		"wrong token":     {gateway.As("x.y.z"), http.MethodPost, "/api/v1/orders", 401, "unauthenticated"},
		"unknown path":    {c.Client, http.MethodGet, "/api/v1/nothing", 404, "not_found"},
		"wrong method":    {c.Client, http.MethodDelete, "/api/v1/orders", 405, "method_not_allowed"},
		"limit too high":  {c.Client, http.MethodGet, "/api/v1/orders?limit=101", 400, "invalid_parameter"},
		"status unknown":  {c.Client, http.MethodGet, "/api/v1/orders?status=LOST", 400, "invalid_parameter"},
		"unknown product": {c.Client, http.MethodGet, "/api/v1/products/NOTHING", 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			var body any
			if test.method == http.MethodPost {
				body = good
			}
			res := do(t, test.client, test.method, test.path, body, nil)
			if p := res.Problem(); res.Status != test.status || p.Code != test.code {
				t.Errorf("answered %v, want %d %s", p, test.status, test.code)
			}
		})
	}
	if left := s.left(t, product); left != 10 {
		t.Errorf("refused orders took %d pieces", 10-left)
	}
}
