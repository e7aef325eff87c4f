package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// taken adds up items by product.
func taken(items []book.Item) map[string]int64 {
	sum := map[string]int64{}
	for _, item := range items {
		sum[item.ProductID] += item.Quantity
	}
	return sum
}

// holds is what a reservation holds now.
func holds(r *book.Reservation) map[string]int64 {
	if r == nil || r.State != "TAKEN" {
		return nil
	}
	return taken(r.Items)
}

// inWords writes what is held: 2 pieces of A and 1 piece of B.
func inWords(held map[string]int64) string {
	var parts []string
	for _, id := range sortedKeys(held) {
		parts = append(parts, pieces(held[id])+" of "+id)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return list(parts)
}

// stock holds the reservation against the order's status.
func (v View) stock() []Difference {
	o, r := v.Order, v.Stock
	const advice = "The order's timeline, the row in reservation, and how many pieces are on the shelf."
	wrong := func(rule, format string, args ...any) Difference {
		d := v.difference(rule, "stock.reservation", []string{"stock", "order"}, format, args...)
		d.Sentence += fmt.Sprintf(" for order %s, %s.", v.OrderID, v.is())
		d.products = sortedKeys(union(v.shouldHold(), holds(r)))
		return d
	}
	switch {
	case r == nil:
		return []Difference{wrong("stock_reservation", "stock has no reservation").person(advice)}
	case stands(o) && r.State != "TAKEN":
		return []Difference{wrong("stock_reservation", "stock holds nothing any more (%s)", r.State).person(advice)}
	case stands(o) && !maps.Equal(taken(o.Items), taken(r.Items)):
		return []Difference{wrong("stock_items", "stock holds %s instead of %s", inWords(taken(r.Items)), inWords(taken(o.Items))).person(advice)}
	case stands(o):
		return nil
	case r.State == "TAKEN" && undoOf(o.Reason) == undoNothing:
		return []Difference{wrong("stock_reservation", "stock still holds %s", inWords(holds(r))).person(advice)}
	case r.State == "TAKEN":
		return []Difference{wrong("stock_reservation", "stock still holds %s", inWords(holds(r))).resend(v.beforeStock())}
	case undoOf(o.Reason) == undoNothing && r.State != "REFUSED", undoOf(o.Reason) != undoNothing && r.State != "RETURNED":
		return []Difference{wrong("stock_reservation", "stock's reservation is %s", r.State).person(advice)}
	case r.State == "RETURNED" && len(r.Items) > 0 && !maps.Equal(taken(o.Items), taken(r.Items)):
		return []Difference{wrong("stock_items", "stock gave back %s instead of %s", inWords(taken(r.Items)), inWords(taken(o.Items))).person(advice)}
	}
	return nil
}

// beforeStock is the event upon which stock gives back.
func (v View) beforeStock() string {
	switch from := undoOf(v.Order.Reason); {
	case from > undoStock && v.Order.HasCoupons:
		return "CouponUseCancelled"
	case from == undoAll:
		return "PaymentCancelled"
	}
	return "OrderCancelled"
}

// shouldHold is what stock ought to hold for the order; judged only where a difference was found.
func (v View) shouldHold() map[string]int64 {
	if v.Order == nil || !stands(v.Order) {
		return nil
	}
	return taken(v.Order.Items)
}

// product judges a product whose held pieces were counted in one statement with what is left. explained is
// what reservations hold too much or too little, as was found already: where that is all that is wrong,
// the reservation's row is, and not the product's.
func product(p book.Product, explained int64) (Difference, bool) {
	missing := p.Received - p.Held - p.Quantity
	if missing == 0 || missing == explained {
		return Difference{}, false
	}
	d := Difference{
		Rule: "stock_adds_up", Row: "stock.product", ProductID: p.ProductID, Services: []string{"stock"},
		Sentence: fmt.Sprintf("stock has %s of %s left, but %d came in and %d are held for orders: %d should be left.",
			pieces(p.Quantity), p.ProductID, p.Received, p.Held, p.Received-p.Held),
		Repair: []string{},
	}
	if p.Received-p.Held < 0 {
		return d.person("More is held than ever came in: the product's restocks in the audit, and its reservations."), true
	}
	d.Repair = append(d.Repair, recountProduct(p.ProductID))
	return d, true
}

func recountProduct(id string) string { return "quadrille repair recount product " + id }
