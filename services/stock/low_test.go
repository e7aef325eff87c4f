package stock

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// The pieces fall to the threshold: that is told once, and again only after there were more.
func TestLowStockIsToldOnce(t *testing.T) {
	t.Parallel()
	w := &World{}
	w.Products.Loaded("p", Product{ProductID: "p", Name: "P", Price: 1, Quantity: 6, LowThreshold: 3})
	take := func(order string, n int32) any {
		return &orderv1.OrderCreated{OrderId: order, OrderItems: []*orderv1.OrderItem{{ProductId: "p", Quantity: n}}}
	}
	undo := func(order string) any {
		return &orderv1.OrderCancelled{OrderId: order, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK}
	}
	for i, step := range []struct {
		msg  any
		told string
	}{
		{take("a", 2), ""},                                        // 4
		{take("b", 1), "LowStockReached 3 3"},                     // 3
		{take("c", 1), ""},                                        // 2
		{undo("c"), ""},                                           // 3
		{undo("b"), ""},                                           // 4
		{take("d", 4), "LowStockReached 0 3"},                     // 0
		{Restock{ProductID: "p", Quantity: 3}, ""},                // 3: never above
		{Change{ProductID: "p", LowThreshold: new(int64(2))}, ""}, // 3, above 2
		{Recount{ProductID: "p", By: -1}, "LowStockReached 2 2"},  // 2
		{Change{ProductID: "p", LowThreshold: new(int64(0))}, ""}, // nobody wants to know
		{take("e", 2), ""},                                        // 0
		{Change{ProductID: "p", LowThreshold: new(int64(1))}, "LowStockReached 0 1"},  // it is low by then
		{List{ProductID: "q", Name: "Q", Price: 1, Quantity: 1, LowThreshold: 1}, ""}, // another product
	} {
		flowtest.Decide(t, Topology, w, step.msg)
		if got := toldLow(flowtest.Told(flowtest.Decide(t, Topology, w, Low{"p"})), w); got != step.told {
			t.Errorf("step %d: told %q, want %q", i, got, step.told)
		}
	}
	if got := flowtest.Told(flowtest.Decide(t, Topology, w, Low{"q"})); got != "LowStockReached" {
		t.Errorf("listed with few pieces: %q", got)
	}
	if got := flowtest.Told(flowtest.Decide(t, Topology, w, Low{"x"})); got != "" {
		t.Errorf("an unknown product: %q", got)
	}
}

func toldLow(name string, w *World) string {
	if name == "" {
		return ""
	}
	p, _ := w.Products.Get("p")
	return fmt.Sprintf("%s %d %d", name, p.Quantity, p.LowThreshold)
}

// However inputs are told apart or together: swept after each, the events are those of counting by hand.
func TestLowStockAsCountedByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		threshold := rapid.Int64Range(0, 4).Draw(r, "threshold")
		w := &World{}
		w.Products.Loaded("p", Product{ProductID: "p", Quantity: 10, LowThreshold: threshold})
		low, orders, told, want := false, 0, 0, 0
		r.Repeat(map[string]func(*rapid.T){
			"order": func(r *rapid.T) {
				orders++
				decide(r, w, fmt.Sprint("o", orders), &orderv1.OrderCreated{OrderId: fmt.Sprint("o", orders), OrderItems: []*orderv1.OrderItem{
					{ProductId: "p", Quantity: rapid.Int32Range(1, 5).Draw(r, "pieces")},
				}})
			},
			"undo": func(r *rapid.T) {
				id := fmt.Sprint("o", rapid.IntRange(1, orders+1).Draw(r, "order"))
				decide(r, w, id, &orderv1.OrderCancelled{OrderId: id, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
			},
			"restock": func(r *rapid.T) {
				decide(r, w, "p", Restock{ProductID: "p", Quantity: rapid.Int64Range(1, 5).Draw(r, "pieces")})
			},
			"": func(r *rapid.T) {
				p, _ := w.Products.Get("p")
				is := threshold > 0 && p.Quantity <= threshold
				if is && !low {
					want++
				}
				low = is
				for range rapid.IntRange(1, 2).Draw(r, "sweeps") {
					told += len(decide(r, w, "p", Low{"p"}).Events)
				}
				if told != want {
					r.Fatalf("told %d times, %d pieces at a threshold of %d: want %d times", told, p.Quantity, threshold, want)
				}
			},
		})
	})
}
