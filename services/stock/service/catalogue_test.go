package service_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock"
)

func buys(member, product string, quantity int32, at time.Time) *orderv1.OrderCreated {
	return &orderv1.OrderCreated{
		OrderId: uuid.Must(uuid.NewV7()).String(), UserId: member, CreatedAt: timestamppb.New(at),
		OrderItems: []*orderv1.OrderItem{{ProductId: product, ProductName: "Lamp", Quantity: quantity, ProductPrice: 1000}},
	}
}

func (s *system) patch(product, body string) {
	s.T.Helper()
	if a := s.Call(s.Token("op", "operator"), "PATCH", "/ops/v1/products/"+product, body); a.Status != 200 {
		s.T.Fatalf("%s", a)
	}
}

// 80 orders of 40 members who may have one each: 40 get one. What they give back they may have again.
func TestFlashSaleForMembers(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("FLASH", 100)
	s.patch("FLASH", `{"maxPerMember": 1, "maxPerOrder": 3}`)
	now := time.Now()
	var orders []about
	for i := range 80 {
		orders = append(orders, buys(fmt.Sprint("m", i%40), "FLASH", 1, now))
	}
	s.happen(orders...)
	taken := s.Await(40, rig.Named("StockDecreased"))
	refused := s.Await(40, rig.Named("StockDecreaseFailed"))
	members := map[string]bool{}
	for _, e := range taken {
		members[e.Message.(*stockv1.StockDecreased).GetUserId()] = true
	}
	if len(taken) != 40 || len(members) != 40 || len(refused) != 40 || s.product("FLASH").Quantity != 60 {
		t.Errorf("%d taken by %d members, %d refused, %d left", len(taken), len(members), len(refused), s.product("FLASH").Quantity)
	}
	for _, e := range refused {
		short := e.Message.(*stockv1.StockDecreaseFailed).GetShortages()[0]
		if short.GetReason() != stockv1.ShortageReason_SHORTAGE_REASON_MEMBER_LIMIT || short.GetAvailable() != 0 {
			t.Fatalf("%v", short)
		}
	}
	first := taken[0].Message.(*stockv1.StockDecreased)
	s.happen(&orderv1.OrderCancelled{OrderId: first.GetOrderId(), UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
	s.Await(1, rig.Named("StockIncreased"))
	s.happen(buys(first.GetUserId(), "FLASH", 1, now))
	s.Await(41, rig.Named("StockDecreased"))
}

// A product that is frozen is given to nobody, and shown as frozen; unfrozen it is sold again. Few pieces are told once,
// under the product's own key and number, whichever order took the last one.
func TestFrozenAndLow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("P", 5)
	s.patch("P", `{"frozen": true, "lowStockThreshold": 4, "pictureUrl": "https://cdn.example/p.jpg", "saleStartsAt": "2026-01-01T09:00:00+09:00"}`)
	s.happen(buys("m", "P", 1, time.Now()))
	failed := s.Await(1, rig.Named("StockDecreaseFailed"))[0].Message.(*stockv1.StockDecreaseFailed)
	if short := failed.GetShortages()[0]; short.GetReason() != stockv1.ShortageReason_SHORTAGE_REASON_FROZEN || short.GetAvailable() != 0 {
		t.Errorf("%v", short)
	}
	want := stock.View{
		ProductID: "P", Name: "Lamp P", Price: 1000, Currency: "KRW", OnSale: true, Quantity: 5, Frozen: true, LowThreshold: 4,
		PictureURL: new("https://cdn.example/p.jpg"), SaleStartsAt: new(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	if diff := cmp.Diff(want, s.product("P")); diff != "" {
		t.Error(diff)
	}
	s.patch("P", `{"frozen": false, "pictureUrl": "", "saleStartsAt": ""}`)
	if p := s.product("P"); p.Frozen || p.PictureURL != nil || p.SaleStartsAt != nil {
		t.Errorf("%+v", p)
	}
	s.happen(buys("m", "P", 1, time.Now()))
	low := s.Await(1, rig.Named("LowStockReached"))[0]
	if m := low.Message.(*stockv1.LowStockReached); low.Subject != "P" || low.Sequence != 4 || m.GetAvailable() != 4 || m.GetThreshold() != 4 {
		t.Errorf("%+v", low)
	}
	s.happen(buys("m", "P", 1, time.Now()), buys("m", "P", 1, time.Now()))
	s.Await(3, rig.Named("StockDecreased"))
	if n := len(s.Events(rig.About("P"))); n != 4 {
		t.Errorf("%d events of the product", n)
	}
}

// What operators and orders did to a product's pieces is one list, newest first, in pages.
func TestMovements(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("P", 5)
	operator := s.Token("op", "operator")
	sold := buys("m", "P", 2, time.Now())
	s.happen(sold)
	s.Await(1, rig.Named("StockDecreased"))
	s.happen(&orderv1.OrderCancelled{OrderId: sold.GetOrderId(), UndoFrom: orderv1.UndoFrom_UNDO_FROM_STOCK})
	s.Await(1, rig.Named("StockIncreased"))
	if a := s.Call(operator, "POST", "/ops/v1/products/P/restock", `{"quantity": 7, "reason": "van"}`); a.Status != 200 {
		t.Fatalf("%s", a)
	}
	type page struct {
		Data []struct {
			OrderID, Reason *string
			Kind            string
			Amount          int64
		}
		HasMore bool
		Next    *string
	}
	var got []string
	cursor := ""
	for range 5 {
		var p page
		s.Call(operator, "GET", "/ops/v1/products/P/movements?limit=2&startingAfter="+cursor, "").Decode(t, &p)
		for _, m := range p.Data {
			line := fmt.Sprint(m.Kind, " ", m.Amount)
			if m.OrderID != nil {
				line += map[bool]string{true: " sold"}[*m.OrderID == sold.GetOrderId()]
			}
			if m.Reason != nil {
				line += " " + *m.Reason
			}
			got = append(got, line)
		}
		if !p.HasMore {
			break
		}
		cursor = *p.Next
	}
	if diff := cmp.Diff([]string{"RESTOCK 7 van", "RETURNED 2 sold", "TAKEN -2 sold", "LISTED 5"}, got); diff != "" {
		t.Error(diff)
	}
}
