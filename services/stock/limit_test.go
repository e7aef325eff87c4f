package stock

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// A sale's limits are held at the microsecond and at the piece, by the time at which the order was placed.
func TestLimits(t *testing.T) {
	t.Parallel()
	starts, ends := flowtest.Now, flowtest.Now.Add(time.Hour)
	for _, c := range []struct {
		name    string
		change  func(*Product)
		pieces  []int32
		has     int64
		placed  time.Time
		want    string
		allowed int64
	}{
		{"nothing limits", func(*Product) {}, []int32{5}, 0, starts, "", 0},
		{"sold out", func(*Product) {}, []int32{6}, 0, starts, "OUT_OF_STOCK", 5},
		{"frozen", func(p *Product) { p.Frozen = true }, []int32{1}, 0, starts, "FROZEN", 0},
		{"just before it starts", func(p *Product) { p.Sale.StartsAt = starts }, []int32{1}, 0, starts.Add(-time.Microsecond), "NOT_ON_SALE_YET", 0},
		{"as it starts", func(p *Product) { p.Sale.StartsAt = starts }, []int32{1}, 0, starts, "", 0},
		{"just before it ends", func(p *Product) { p.Sale.EndsAt = ends }, []int32{1}, 0, ends.Add(-time.Microsecond), "", 0},
		{"as it ends", func(p *Product) { p.Sale.EndsAt = ends }, []int32{1}, 0, ends, "SALE_OVER", 0},
		{"as many as an order may have", func(p *Product) { p.Sale.MaxPerOrder = 3 }, []int32{3}, 0, starts, "", 0},
		{"one more in two lines", func(p *Product) { p.Sale.MaxPerOrder = 3 }, []int32{2, 2}, 0, starts, "ORDER_LIMIT", 3},
		{"an order may have more than there is", func(p *Product) { p.Sale.MaxPerOrder = 9 }, []int32{10}, 0, starts, "ORDER_LIMIT", 5},
		{"as many as a member may have", func(p *Product) { p.Sale.MaxPerMember = 3 }, []int32{2}, 1, starts, "", 0},
		{"one more than a member may have", func(p *Product) { p.Sale.MaxPerMember = 3 }, []int32{1, 1}, 2, starts, "MEMBER_LIMIT", 1},
		{"the limit was lowered", func(p *Product) { p.Sale.MaxPerMember = 1 }, []int32{1}, 4, starts, "MEMBER_LIMIT", 0},
		{"beyond 32 bits", func(p *Product) { p.Sale.MaxPerMember = 3 }, []int32{math.MaxInt32, math.MaxInt32}, 0, starts, "MEMBER_LIMIT", 3},
	} {
		w := &World{}
		p := Product{ProductID: "p", Quantity: 5}
		c.change(&p)
		w.Products.Loaded("p", p)
		w.Purchases.Loaded("p/u", Purchase{"p", "u", c.has})
		e := &orderv1.OrderCreated{OrderId: "o", UserId: "u", CreatedAt: timestamppb.New(c.placed)}
		for _, n := range c.pieces {
			e.OrderItems = append(e.OrderItems, &orderv1.OrderItem{ProductId: "p", Quantity: n})
		}
		// Decided long after it was placed: it is not late for that.
		out := flowtest.At(t, Topology, w, e, ends.Add(time.Hour))
		got, allowed := "", int64(0)
		if flowtest.Told(out) == "StockDecreaseFailed" {
			short := flowtest.Event[*stockv1.StockDecreaseFailed](t, out).GetShortages()[0]
			got, allowed = strings.TrimPrefix(short.GetReason().String(), "SHORTAGE_REASON_"), short.GetAvailable()
		}
		if got != c.want || allowed != c.allowed {
			t.Errorf("%s: %q %d, want %q %d", c.name, got, allowed, c.want, c.allowed)
		}
	}
}

// Whatever orders come and go, and however limits change meanwhile: what is counted is what the orders that were
// counted hold, and nobody gets more than the limit was when it was asked for. The pieces add up.
func TestMembersAreLimited(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := &World{}
		limit := rapid.Int64Range(0, 3).Draw(r, "limit")
		const pieces = 12
		w.Products.Loaded("p", Product{ProductID: "p", Price: 1, Name: "P", Quantity: pieces, Sale: Sale{MaxPerMember: limit}})
		orders := 0
		r.Repeat(map[string]func(*rapid.T){
			"order": func(r *rapid.T) {
				orders++
				user, n := fmt.Sprint("u", rapid.IntRange(0, 2).Draw(r, "user")), rapid.Int32Range(1, 3).Draw(r, "pieces")
				before := counted(w, user)
				decide(r, w, fmt.Sprint("o", orders), &orderv1.OrderCreated{
					OrderId: fmt.Sprint("o", orders), UserId: user, OrderItems: []*orderv1.OrderItem{{ProductId: "p", Quantity: n}},
				})
				row, _ := w.Reservations.Get(fmt.Sprint("o", orders))
				if row.State == Taken && limit > 0 && before+int64(n) > limit {
					r.Fatalf("%s had %d, got %d more, of %d", user, before, n, limit)
				}
			},
			"undo": func(r *rapid.T) {
				id := fmt.Sprint("o", rapid.IntRange(1, orders+1).Draw(r, "order"))
				decide(r, w, id, &orderv1.OrderCancelled{OrderId: id, UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
			},
			"another limit": func(r *rapid.T) {
				limit = rapid.Int64Range(0, 3).Draw(r, "limit")
				decide(r, w, "p", Change{ProductID: "p", MaxPerMember: &limit})
			},
			"": func(r *rapid.T) {
				var held int64
				for _, row := range w.Reservations.All() {
					for _, item := range row.Items {
						if row.State == Taken {
							held += int64(item.Quantity)
						}
					}
				}
				if p, _ := w.Products.Get("p"); p.Quantity+held != pieces || p.Quantity < 0 {
					r.Fatalf("%d left, %d held of %d", p.Quantity, held, pieces)
				}
				for key, p := range w.Purchases.All() {
					if p.Quantity != counted(w, p.UserID) || p.Quantity < 0 {
						r.Fatalf("%s: %d are counted, %d are held", key, p.Quantity, counted(w, p.UserID))
					}
				}
			},
		})
	})
}

// counted is what a member's orders hold that were counted.
func counted(w *World, user string) (n int64) {
	for _, row := range w.Reservations.All() {
		for _, item := range row.Items {
			if row.UserID == user && row.State == Taken && item.Counted {
				n += int64(item.Quantity)
			}
		}
	}
	return n
}

func decide(r *rapid.T, w *World, subject string, msg any) flow.Outcome {
	kind := flow.KindEvent
	switch msg.(type) {
	case Low:
		kind = flow.KindDeadline
	case List, Change, Restock, Recount:
		kind = flow.KindCommand
	}
	out, err := Topology.Decide(w, flow.Input{Kind: kind, Subject: subject, Msg: msg, Meta: flow.Meta{
		Now: flowtest.Now, Cause: "c", IDs: func(i int) string { return fmt.Sprint("id-", i) },
	}})
	if err != nil {
		r.Fatal(err)
	}
	return out
}
