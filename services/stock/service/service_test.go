package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock"
)

// add puts a product on sale.
func (s *system) add(id string, quantity int) {
	s.T.Helper()
	body := fmt.Sprintf(`{"productId": %q, "name": "Lamp %s", "price": 1000, "currency": "KRW", "quantity": %d}`, id, id, quantity)
	if a := s.Call(s.Token("op", "operator"), "POST", "/ops/v1/products", body); a.Status != 201 {
		s.T.Fatalf("%s", a)
	}
}

func (s *system) product(id string) stock.View {
	s.T.Helper()
	var v stock.View
	a := s.Call("", "GET", "/api/v1/products/"+id, "")
	a.Decode(s.T, &v)
	return v
}

// Four hundred buyers of a hundred pieces: exactly a hundred get one, and when those cancel, everything
// is back.
func TestFlashSale(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("FLASH", 100)
	var orders []about
	for range 400 {
		orders = append(orders, &orderv1.OrderCreated{
			OrderId: uuid.NewString(), UserId: "m",
			OrderItems: []*orderv1.OrderItem{{ProductId: "FLASH", ProductName: "Lamp", Quantity: 1, ProductPrice: 1000}},
			Checkout:   &orderv1.Checkout{ItemsAmount: 1000},
		})
	}
	s.happen(orders...)
	taken := s.Await(100, rig.Named("StockDecreased"))
	refused := s.Await(300, rig.Named("StockDecreaseFailed"))
	if len(taken) != 100 || len(refused) != 300 || s.product("FLASH").Quantity != 0 {
		t.Errorf("%d taken, %d refused, %d left", len(taken), len(refused), s.product("FLASH").Quantity)
	}
	for _, e := range taken {
		if e.Sequence != 1 || e.Causation == "" || e.Message.(*stockv1.StockDecreased).GetCheckout() == nil {
			t.Fatalf("%+v", e)
		}
	}
	var cancels []about
	for _, e := range taken {
		cancels = append(cancels, &orderv1.OrderCancelled{OrderId: e.Subject, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
	}
	s.happen(cancels...)
	s.happen(cancels...) // with other event ids: the row remembers what the inbox does not
	s.Await(100, rig.Named("StockIncreased"))
	if got := s.product("FLASH").Quantity; got != 100 {
		t.Errorf("%d pieces after the undo", got)
	}
	s.CaughtUp()
	if n := len(s.Await(100, rig.Named("StockIncreased"))); n != 100 {
		t.Errorf("%d gave back", n)
	}
}

// An undo that comes before its order leaves a tombstone: nothing is taken any more.
func TestUndoBeforeDo(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("P", 5)
	id := uuid.NewString()
	s.happen(&orderv1.OrderCancelled{OrderId: id, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
	back := s.Await(1, rig.Named("StockIncreased"))[0].Message.(*stockv1.StockIncreased)
	if len(back.GetOrderItems()) != 0 {
		t.Errorf("%v", back)
	}
	s.happen(&orderv1.OrderCreated{OrderId: id, OrderItems: []*orderv1.OrderItem{{ProductId: "P", Quantity: 1}}})
	s.CaughtUp()
	if got := s.product("P").Quantity; got != 5 {
		t.Errorf("%d left", got)
	}
	if n := s.Emitted(id); n != 1 {
		t.Errorf("%d events of the cancelled order", n)
	}
}

// Operators list, restock and change products; each is an event, and answered again under its key.
func TestOperators(t *testing.T) {
	t.Parallel()
	s := start(t)
	operator := s.Token("op", "operator")
	body := `{"productId": "PRD_1", "name": "의자", "price": 10050, "currency": "KRW", "quantity": 3, "reason": "spring"}`
	a := s.Call(operator, "POST", "/ops/v1/products", body, "Idempotency-Key", "k")
	if a.Status != 201 || a.Header.Get("Location") != "/api/v1/products/PRD_1" {
		t.Fatalf("%s", a)
	}
	if again := s.Call(operator, "POST", "/ops/v1/products", body, "Idempotency-Key", "k"); again.Status != 201 || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s", again)
	}
	if twice := s.Call(operator, "POST", "/ops/v1/products", body); twice.Status != 409 || twice.Field("code") != "product_exists" {
		t.Errorf("%s", twice)
	}
	if a := s.Call(operator, "POST", "/ops/v1/products/PRD_1/restock", `{"quantity": 7}`); a.Status != 200 || a.Field("quantity") != "10" {
		t.Errorf("%s", a)
	}
	if a := s.Call(operator, "PATCH", "/ops/v1/products/PRD_1", `{"price": 9900, "onSale": false, "reason": "sale over"}`); a.Status != 200 {
		t.Errorf("%s", a)
	}
	want := stock.View{ProductID: "PRD_1", Name: "의자", Price: 9900, Currency: "KRW", Quantity: 10}
	if diff := cmp.Diff(want, s.product("PRD_1")); diff != "" {
		t.Error(diff)
	}
	s.Await(1, rig.Named("ProductPriceChanged"))
	var got []string
	for i, e := range s.Events(rig.About("PRD_1")) {
		got = append(got, e.Name())
		if e.Sequence != int64(i+1) || e.Command == "" {
			t.Errorf("%+v", e.Envelope)
		}
	}
	if diff := cmp.Diff([]string{"ProductListed", "StockRestocked", "ProductPriceChanged"}, got); diff != "" {
		t.Error(diff)
	}
}

// Everybody may look at the catalogue.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, id := range []string{"A", "B", "C", "sp ace+ü"} {
		s.add(id, 1)
	}
	for _, c := range []struct {
		query string
		want  []string
		more  bool
	}{
		{"?limit=2", []string{"A", "B"}, true},
		{"?limit=2&startingAfter=B", []string{"C", "sp ace+ü"}, false},
		{"?query=lamp%20b", []string{"B"}, false},
		{"?query=none", []string{}, false},
	} {
		var list web.List[stock.View]
		a := s.Call("", "GET", "/api/v1/products"+c.query, "")
		a.Decode(t, &list)
		got := []string{}
		for _, v := range list.Data {
			got = append(got, v.ProductID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || list.HasMore != c.more {
			t.Errorf("%s: %s %s", c.query, a.Text, diff)
		}
	}
	if v := s.product("sp%20ace+%C3%BC"); v.ProductID != "sp ace+ü" {
		t.Errorf("%+v", v)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("P", 1)
	operator, customer := s.Token("op", "operator"), s.Token("m1")
	const path = "/ops/v1/products"
	good := `{"productId": "X", "name": "X", "price": 1, "currency": "KRW"}`
	for name, c := range map[string]struct {
		token, method, path, body string
		status                    int
		code                      string
	}{
		"no token":            {"", "POST", path, good, 401, "unauthenticated"},
		"a customer":          {customer, "POST", path, good, 403, "forbidden"},
		"nothing":             {operator, "POST", path, `{}`, 400, "missing_field"},
		"an unknown field":    {operator, "POST", path, `{"id": "X"}`, 400, "unknown_field"},
		"a slash":             {operator, "POST", path, strings.Replace(good, `"X"`, `"a/b"`, 1), 400, "invalid_field"},
		"a long id":           {operator, "POST", path, strings.Replace(good, `"X"`, `"`+strings.Repeat("x", 101)+`"`, 1), 400, "invalid_field"},
		"no currency":         {operator, "POST", path, strings.Replace(good, `KRW`, `won`, 1), 400, "invalid_field"},
		"free of charge":      {operator, "POST", path, strings.Replace(good, `"price": 1`, `"price": 0`, 1), 400, "invalid_field"},
		"fewer than none":     {operator, "POST", path, strings.Replace(good, `"price": 1`, `"price": 1, "quantity": -1`, 1), 400, "invalid_field"},
		"restock by none":     {operator, "POST", path + "/P/restock", `{"quantity": 0}`, 400, "invalid_field"},
		"restock by what":     {operator, "POST", path + "/P/restock", `{}`, 400, "missing_field"},
		"restock of none":     {operator, "POST", path + "/none/restock", `{"quantity": 1}`, 404, "not_found"},
		"change of none":      {operator, "PATCH", path + "/none", `{"price": 1}`, 404, "not_found"},
		"an empty name":       {operator, "PATCH", path + "/P", `{"name": ""}`, 400, "invalid_field"},
		"a picture in clear":  {operator, "PATCH", path + "/P", `{"pictureUrl": "http://x.example/p.jpg"}`, 400, "invalid_field"},
		"a time of no date":   {operator, "PATCH", path + "/P", `{"saleStartsAt": "tomorrow"}`, 400, "invalid_field"},
		"a year of 5 digits":  {operator, "PATCH", path + "/P", `{"saleEndsAt": "10000-01-01T00:00:00Z"}`, 400, "invalid_field"},
		"a sale turned round": {operator, "PATCH", path + "/P", `{"saleStartsAt": "2026-07-02T00:00:00Z", "saleEndsAt": "2026-07-01T00:00:00Z"}`, 400, "invalid_field"},
		"a limit below none":  {operator, "POST", path, strings.Replace(good, `"price": 1`, `"price": 1, "maxPerMember": -1`, 1), 400, "invalid_field"},
		"a reason of control": {operator, "POST", path + "/P/restock", `{"quantity": 1, "reason": "a\u0000b"}`, 400, "invalid_field"},
		"a customer's ledger": {customer, "GET", path + "/P/movements", "", 403, "forbidden"},
		"no product's ledger": {operator, "GET", path + "/none/movements", "", 404, "not_found"},
		"a ledger from where": {operator, "GET", path + "/P/movements?startingAfter=P", "", 400, "invalid_parameter"},
		"an unknown one":      {"", "GET", "/api/v1/products/none", "", 404, "not_found"},
		"a null byte":         {"", "GET", "/api/v1/products/a%00b", "", 404, "not_found"},
		"a bad limit":         {"", "GET", "/api/v1/products?limit=101", "", 400, "invalid_parameter"},
		"a bad cursor":        {"", "GET", "/api/v1/products?startingAfter=a%00b", "", 400, "invalid_parameter"},
	} {
		a := s.Call(c.token, c.method, c.path, c.body)
		var p web.Problem
		a.Decode(t, &p)
		if a.Status != c.status || p.Code != c.code || !fault.Known(p.Code) {
			t.Errorf("%s: %s, want %d %s", name, a, c.status, c.code)
		}
	}
	if a := s.Call(operator, "POST", path, good, "Idempotency-Key", strings.Repeat("k", 256)); a.Status != 400 {
		t.Errorf("a long key: %d", a.Status)
	}
}
