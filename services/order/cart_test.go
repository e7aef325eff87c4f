package order

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

func put(t *testing.T, w *World, productID string, quantity int64, rules Rules) flow.Reply {
	t.Helper()
	return flowtest.Decide(t, Topology, w, PutInCart{UserID: "u", ProductID: productID, Quantity: quantity, Rules: rules}).Reply
}

// orderCart is placeTwo of whatever is in the cart.
func orderCart(id string, amount int64) PlaceCart {
	c := PlaceCart{placeTwo()}
	c.OrderID, c.Items, c.PaymentAmount = id, nil, amount
	return c
}

func checkout(t *testing.T, w *World, c PlaceCart) (flow.Reply, []flow.Emission) {
	t.Helper()
	out := flowtest.Decide(t, Topology, w, c)
	return out.Reply, out.Events
}

func said(reply flow.Reply) string {
	r := reply.Refusal
	if r == nil {
		return fmt.Sprint(reply.Status)
	}
	s := fmt.Sprint(r.Status, " ", r.Code)
	if len(r.Errors) > 0 {
		s += " " + r.Errors[0].Pointer
	}
	return s
}

func lines(w *World) string {
	cart, _ := w.Carts.Get("u")
	s := ""
	for _, line := range cart.Lines {
		s += fmt.Sprint(line.ProductID, line.Quantity, " ")
	}
	return s
}

// What may be put in beside what is there already, and what is refused with which code.
func TestPutInCart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, productID string
		quantity        int64
		rules           Rules
		want, lines     string
	}{
		{"another product", "q", 3, Rules{}, "200", "p2 q3 "},
		{"the same again: so many and no more", "p", 5, Rules{}, "200", "p5 "},
		{"unknown", "x", 1, Rules{}, "422 unknown_product", "p2 "},
		{"not sold", "off", 1, Rules{}, "422 product_not_on_sale", "p2 "},
		{"a second currency", "usd", 1, Rules{}, "422 currency_mismatch", "p2 "},
		{"as many pieces as allowed", "q", 3, Rules{MaxQuantity: 5}, "200", "p2 q3 "},
		{"too many pieces", "q", 4, Rules{MaxQuantity: 5}, "422 quantity_limit /quantity", "p2 "},
		{"replaced pieces do not count", "p", 5, Rules{MaxQuantity: 5}, "200", "p5 "},
		{"more than an int32 in all", "q", math.MaxInt32 - 1, Rules{}, "422 quantity_limit /quantity", "p2 "},
		{"too many products", "q", 1, Rules{MaxItems: 1}, "422 quantity_limit", "p2 "},
		{"no further product", "p", 1, Rules{MaxItems: 1}, "200", "p1 "},
		{"beyond any sum", "dear", 3, Rules{}, "422 quantity_limit /quantity", "p2 "},
		{"as many as one order may have of it", "few", 2, Rules{}, "200", "p2 few2 "},
		{"more than one order may have of it", "few", 3, Rules{}, "422 quantity_limit /quantity", "p2 "},
		{"before its sale", "soon", 1, Rules{}, "422 not_on_sale_yet", "p2 "},
	} {
		w := shop()
		w.Prices.Loaded("few", Price{ProductID: "few", Price: 10, Currency: "KRW", OnSale: true, MaxPerOrder: 2})
		w.Prices.Loaded("soon", Price{ProductID: "soon", Currency: "KRW", OnSale: true, SaleStartsAt: flowtest.Now.Add(1)})
		put(t, w, "p", 2, Rules{})
		if got := said(put(t, w, c.productID, c.quantity, c.rules)); got != c.want || lines(w) != c.lines {
			t.Errorf("%s: %s, want %s; cart %q, want %q", c.name, got, c.want, lines(w), c.lines)
		}
	}
}

// A cart of one product may change its currency with it, and taking out what is not there is no mistake.
func TestTakeFromCart(t *testing.T) {
	t.Parallel()
	w := shop()
	put(t, w, "p", 2, Rules{})
	put(t, w, "q", 1, Rules{})
	before, _ := w.Carts.Get("u")
	for _, id := range []string{"p", "p", "q"} {
		if out := flowtest.Decide(t, Topology, w, TakeFromCart{UserID: "u", ProductID: id}); out.Reply.Status != 200 {
			t.Errorf("%+v", out)
		}
	}
	if len(before.Lines) != 2 || before.Lines[0].ProductID != "p" {
		t.Error("a row was changed in place")
	}
	if lines(w) != "" || said(put(t, w, "usd", 1, Rules{})) != "200" {
		t.Errorf("cart %q", lines(w))
	}
}

// A cart is shown at the prices of the moment, says what has changed and what could not be ordered any more.
func TestCartOf(t *testing.T) {
	t.Parallel()
	w := shop()
	put(t, w, "p", 2, Rules{})
	put(t, w, "q", 4, Rules{})
	put(t, w, "dear", 1, Rules{})
	change := func(id string, f func(*Price)) {
		price, _ := w.Prices.Get(id)
		f(&price)
		w.Prices.Put(id, price)
	}
	change("p", func(p *Price) { p.Price, p.PreviousPrice = 1100, 1000 })
	change("q", func(p *Price) { p.OnSale = false })
	change("dear", func(p *Price) { p.Currency = "USD" })
	cart, _ := w.Carts.Get("u")
	got, err := json.Marshal(CartOf(w, cart, Rules{}, flowtest.Now))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"items":[` +
		`{"productId":"p","name":"P","quantity":2,"price":1100,"priceChanged":{"from":1000,"to":1100},"problem":null},` +
		`{"productId":"q","name":"Q","quantity":4,"price":250,"priceChanged":null,"problem":{"code":"product_not_on_sale","detail":"the product is not sold at the moment"}},` +
		`{"productId":"dear","name":"Dear","quantity":1,"price":500000000000000,"priceChanged":{"from":500000000000000,"to":500000000000000},` +
		`"problem":{"code":"currency_mismatch","detail":"its currency is another one than that of the items before"}}],` +
		`"total":2200,"currency":"KRW"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	put(t, w, "p", 2, Rules{})
	if cart, _ = w.Carts.Get("u"); CartOf(w, cart, Rules{}, flowtest.Now).Items[0].PriceChanged != nil {
		t.Error("put in again, the price is the one that the member saw")
	}
	change("p", func(p *Price) { p.Price = MaxAmount/2 + 1 })
	if v := CartOf(w, cart, Rules{}, flowtest.Now); v.Items[0].Problem == nil || v.Items[0].Problem.Code != "quantity_limit" || *v.Currency != "USD" {
		t.Errorf("a sum that no order can have: %+v", v)
	}
	if empty, _ := json.Marshal(CartOf(w, Cart{}, Rules{}, flowtest.Now)); string(empty) != `{"items":[],"total":0,"currency":null}` {
		t.Errorf("%s", empty)
	}
}

// An order of the cart takes everything and empties it; one that is refused takes nothing.
func TestOrderCart(t *testing.T) {
	t.Parallel()
	w := shop()
	if reply, _ := checkout(t, w, orderCart("o", 0)); said(reply) != "422 cart_empty" {
		t.Errorf("with an empty cart: %s", said(reply))
	}
	put(t, w, "p", 1, Rules{})
	put(t, w, "q", 4, Rules{})
	reply, events := checkout(t, w, orderCart("o", 1999))
	if said(reply) != "422 amount_mismatch /paymentAmount" || len(events) > 0 || lines(w) != "p1 q4 " {
		t.Errorf("%s, cart %q", said(reply), lines(w))
	}
	reply, events = checkout(t, w, orderCart("o", 2000))
	o, _ := w.Orders.Get("o")
	if said(reply) != "202" || len(events) != 1 || lines(w) != "" || len(o.Items) != 2 || o.ItemsAmount != 2000 {
		t.Fatalf("%s, cart %q, %+v", said(reply), lines(w), o)
	}

	// A double click finds the cart empty and is answered with the order; with something in it, it is another order.
	again, events := checkout(t, w, orderCart("o2", 2000))
	if v, ok := again.Body.(View); !ok || v.OrderID != "o" || len(events) > 0 {
		t.Errorf("the second click: %+v", again)
	}
	put(t, w, "p", 2, Rules{})
	if reply, _ := checkout(t, w, orderCart("o3", 2000)); reply.Body.(View).OrderID != "o3" || lines(w) != "" {
		t.Errorf("%+v, cart %q", reply, lines(w))
	}
}

// Where the sum is right by the prices before a change, these are what the member means, for as long as they are honoured.
func TestOrderCartAtThePriceBefore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		since  time.Duration
		amount int64
		want   string
		cost   int64
	}{
		{"the new price", time.Second, 2400, "202", 1200},
		{"the old price, just now", time.Second, 2000, "202", 1000},
		{"the old price, too late", time.Minute, 2000, "422 amount_mismatch /paymentAmount", 0},
		{"neither", time.Second, 2200, "422 amount_mismatch /paymentAmount", 0},
	} {
		w := shop()
		w.Prices.Put("p", Price{ProductID: "p", Price: 1200, PreviousPrice: 1000, Currency: "KRW", OnSale: true, ChangedAt: flowtest.Now.Add(-c.since)})
		put(t, w, "p", 2, Rules{})
		cmd := orderCart("o", c.amount)
		cmd.Rules.PriceGrace = 30 * time.Second
		reply, _ := checkout(t, w, cmd)
		o, _ := w.Orders.Get("o")
		if said(reply) != c.want || c.cost > 0 && !slices.ContainsFunc(o.Items, func(i Item) bool { return i.ProductPrice == c.cost }) {
			t.Errorf("%s: %s, %+v", c.name, said(reply), o.Items)
		}
	}
}

// Who is erased has no cart and gets none.
func TestCartOfTheErased(t *testing.T) {
	t.Parallel()
	w := shop()
	put(t, w, "p", 1, Rules{})
	flowtest.Decide(t, Topology, w, flow.Erased[*memberv1.MemberChanged]{SubjectID: "u"})
	if got := said(put(t, w, "p", 1, Rules{})); got != "403 forbidden" || lines(w) != "" {
		t.Errorf("%s, cart %q", got, lines(w))
	}
	if reply, _ := checkout(t, w, orderCart("o", 1000)); said(reply) != "422 cart_empty" {
		t.Error(said(reply))
	}
}
