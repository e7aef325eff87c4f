package stock

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
)

// answer is a command's reply in short: the status, and the refusal's code or the events.
func answer(out flow.Outcome) string {
	if r := out.Reply.Refusal; r != nil {
		return fmt.Sprintf("%d %s", r.Status, r.Code)
	}
	return fmt.Sprintf("%d %s", out.Reply.Status, flowtest.Told(out))
}

func TestProductCommands(t *testing.T) {
	t.Parallel()
	name, empty, price, free, off, on := "Q", "", int64(20), int64(0), false, true
	yes, no := true, false
	at := func(hours int) *time.Time { return new(flowtest.Now.Add(time.Duration(hours) * time.Hour)) }
	for _, c := range []struct {
		name    string
		command any
		want    string
		// pieces, price and sale state of p afterwards
		after string
	}{
		{"list", List{ProductID: "q", Name: "Q", Price: 1, Currency: "KRW", Quantity: 7}, "201 ProductListed", "5 10 true"},
		{"list one that is there", List{ProductID: "p", Name: "P", Price: 1}, "409 product_exists", "5 10 true"},
		{"list without a price", List{ProductID: "q", Name: "Q"}, "400 invalid_field", "5 10 true"},
		{"list fewer than none", List{ProductID: "q", Name: "Q", Price: 1, Quantity: -1}, "400 invalid_field", "5 10 true"},
		{"restock", Restock{ProductID: "p", Quantity: 3}, "200 StockRestocked", "8 10 true"},
		{"restock nothing", Restock{ProductID: "p"}, "400 invalid_field", "5 10 true"},
		{"restock fewer than none", Restock{ProductID: "p", Quantity: -5}, "400 invalid_field", "5 10 true"},
		{"restock too many", Restock{ProductID: "p", Quantity: MaxQuantity}, "400 invalid_field", "5 10 true"},
		{"restock what is unknown", Restock{ProductID: "x", Quantity: 3}, "404 not_found", "5 10 true"},
		{"recount", Recount{ProductID: "p", By: -2, Corrections: 1}, "200 ", "3 10 true"},
		{"recount more than there are", Recount{ProductID: "p", By: -6, Corrections: 1}, "409 conflict", "5 10 true"},
		{"recount what was corrected meanwhile", Recount{ProductID: "p", By: -2}, "409 conflict", "5 10 true"},
		{"recount what is unknown", Recount{ProductID: "x"}, "404 not_found", "5 10 true"},
		{"change the price", Change{ProductID: "p", Price: &price}, "200 ProductPriceChanged", "5 20 true"},
		{"change the name", Change{ProductID: "p", Name: &name}, "200 ProductPriceChanged", "5 10 true"},
		{"take off sale", Change{ProductID: "p", OnSale: &off}, "200 ProductPriceChanged", "5 10 false"},
		{"change nothing", Change{ProductID: "p", OnSale: &on}, "200 ", "5 10 true"},
		{"change to no name", Change{ProductID: "p", Name: &empty}, "400 invalid_field", "5 10 true"},
		{"change to no price", Change{ProductID: "p", Price: &free}, "400 invalid_field", "5 10 true"},
		{"change what is unknown", Change{ProductID: "x"}, "404 not_found", "5 10 true"},
		{"freeze", Change{ProductID: "p", Frozen: &yes}, "200 ProductPriceChanged", "5 10 true"},
		{"unfreeze what is not frozen", Change{ProductID: "p", Frozen: &no}, "200 ", "5 10 true"},
		{"show it", Change{ProductID: "p", PictureURL: new("https://cdn.example/p.jpg?w=2#x")}, "200 ProductPriceChanged", "5 10 true"},
		{"show no picture of what has none", Change{ProductID: "p", PictureURL: new("")}, "200 ", "5 10 true"},
		{"show it in clear", Change{ProductID: "p", PictureURL: new("http://cdn.example/p.jpg")}, "400 invalid_field", "5 10 true"},
		{"show what a browser runs", Change{ProductID: "p", PictureURL: new("javascript:alert(1)")}, "400 invalid_field", "5 10 true"},
		{"show it with a password", Change{ProductID: "p", PictureURL: new("https://u:p@cdn.example/")}, "400 invalid_field", "5 10 true"},
		{"show it at no host", Change{ProductID: "p", PictureURL: new("https:///p.jpg")}, "400 invalid_field", "5 10 true"},
		{"show what ends an attribute", Change{ProductID: "p", PictureURL: new(`https://cdn.example/"onload=`)}, "400 invalid_field", "5 10 true"},
		{"show it far away", Change{ProductID: "p", PictureURL: new("https://cdn.example/" + strings.Repeat("x", MaxPictureURL))}, "400 invalid_field", "5 10 true"},
		{"a threshold is operators' alone", Change{ProductID: "p", LowThreshold: new(int64(2))}, "200 ", "5 10 true"},
		{"a negative threshold", Change{ProductID: "p", LowThreshold: new(int64(-1))}, "400 invalid_field", "5 10 true"},
		{"a sale", Change{ProductID: "p", SaleStartsAt: at(1), SaleEndsAt: at(2), MaxPerOrder: new(int64(2)), MaxPerMember: new(int64(4))}, "200 ProductPriceChanged", "5 10 true"},
		{"a sale that ends first", Change{ProductID: "p", SaleStartsAt: at(2), SaleEndsAt: at(1)}, "400 invalid_field", "5 10 true"},
		{"a sale that ends at once", Change{ProductID: "p", SaleStartsAt: at(1), SaleEndsAt: at(1)}, "400 invalid_field", "5 10 true"},
		{"a negative limit", Change{ProductID: "p", MaxPerMember: new(int64(-1))}, "400 invalid_field", "5 10 true"},
		{"a limit beyond all", Change{ProductID: "p", MaxPerOrder: new(int64(MaxQuantity + 1))}, "400 invalid_field", "5 10 true"},
		{"no sale where there is none", Change{ProductID: "p", SaleEndsAt: new(time.Time{}), MaxPerOrder: new(int64(0))}, "200 ", "5 10 true"},
		{"list with a bad picture", List{ProductID: "q", Name: "Q", Price: 1, PictureURL: "ftp://x"}, "400 invalid_field", "5 10 true"},
		{"list for a sale", List{ProductID: "q", Name: "Q", Price: 1, Sale: Sale{StartsAt: *at(1), MaxPerMember: 1}}, "201 ProductListed", "5 10 true"},
	} {
		w := &World{}
		w.Products.Loaded("p", Product{ProductID: "p", Name: "P", Price: 10, Currency: "KRW", Quantity: 5, Received: 9, Corrections: 1, OnSale: true})
		if got := answer(flowtest.Decide(t, Topology, w, c.command)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		p, _ := w.Products.Get("p")
		if got := fmt.Sprintf("%d %d %v", p.Quantity, p.Price, p.OnSale); got != c.after {
			t.Errorf("%s: afterwards %q, want %q", c.name, got, c.after)
		}
	}
}

// What operators do to the pieces is written down with the reason; what they do to the price is not.
func TestLedger(t *testing.T) {
	t.Parallel()
	w := &World{}
	for i, c := range []any{
		List{ProductID: "p", Name: "P", Price: 1, Quantity: 5, Reason: "spring"},
		Restock{ProductID: "p", Quantity: 3, Reason: "van"},
		Recount{ProductID: "p", By: -2, Reason: "broken"},
		Restock{ProductID: "p", Quantity: -3},
		Change{ProductID: "p", Price: new(int64(2))},
	} {
		in := flow.Input{Kind: flow.KindCommand, Subject: "p", Msg: c, Meta: flow.Meta{
			Now: flowtest.Now, Cause: fmt.Sprintf("c%d", i), IDs: func(int) string { return "id" },
		}}
		if _, err := Topology.Decide(w, in); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, c := range w.Movements.Changed() {
		got += fmt.Sprintf("%s %s %d %s;", c.Key, c.Row.Kind, c.Row.Amount, c.Row.Reason)
	}
	if got != "c0 LISTED 5 spring;c1 RESTOCK 3 van;c2 RECOUNT -2 broken;" {
		t.Error(got)
	}
}
