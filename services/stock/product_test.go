package stock

import (
	"fmt"
	"testing"

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
