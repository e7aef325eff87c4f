package order

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// The price before the last change is honoured within the grace and not a moment longer, whichever way it went; no older
// one is, and a new name is no new price.
func TestPriceGrace(t *testing.T) {
	t.Parallel()
	const grace = 30 * time.Second
	for _, c := range []struct {
		name    string
		changes []int64 // a second apart, the last one at flowtest.Now; a negative one changes the name alone
		claims  []int64 // 0: none
		after   time.Duration
		want    string
	}{
		{"at once", []int64{800, 1000}, []int64{800}, 0, "202 800"},
		{"the new one", []int64{800, 1000}, []int64{1000}, 0, "202 1000"},
		{"none", []int64{800, 1000}, []int64{0}, 0, "202 1000"},
		{"the higher one before", []int64{1200, 1000}, []int64{1200}, time.Second, "202 1200"},
		{"in the last microsecond", []int64{800, 1000}, []int64{800}, grace - time.Microsecond, "202 800"},
		{"as it ends", []int64{800, 1000}, []int64{800}, grace, "422 price_changed the price is 1000 KRW"},
		{"another one", []int64{800, 1000}, []int64{801}, 0, "422 price_changed the price is 1000 KRW"},
		{"the one before that", []int64{700, 800, 1000}, []int64{700}, 0, "422 price_changed the price is 1000 KRW"},
		{"up and back", []int64{1000, 1100, 1000}, []int64{1100}, 0, "202 1100"},
		{"stock's clock is ahead", []int64{800, 1000}, []int64{800}, -grace + time.Microsecond, "202 800"},
		{"stock's clock is far ahead", []int64{800, 1000}, []int64{800}, -grace, "422 price_changed the price is 1000 KRW"},
		{"a new name opens no grace", []int64{800, 1000, -60}, []int64{800}, grace - time.Second, "422 price_changed the price is 1000 KRW"},
		{"it never changed", []int64{1000}, []int64{999}, 0, "422 price_changed the price is 1000 KRW"},
		{"two lines at the old price", []int64{800, 1000}, []int64{800, 800}, 0, "202 800"},
		{"the second line has the first one's", []int64{800, 1000}, []int64{800, 0}, 0, "202 800"},
		{"two lines at two prices", []int64{800, 1000}, []int64{800, 1000}, 0, "422 price_changed the price is 800 KRW"},
		{"two lines at two prices, turned round", []int64{800, 1000}, []int64{1000, 800}, 0, "422 price_changed the price is 1000 KRW"},
	} {
		w, command := shop(), placeTwo()
		changed(t, w, c.changes)
		command.Rules.PriceGrace = grace
		command.Items = nil
		var cost int64
		for _, price := range c.claims {
			item := PlaceItem{ProductID: "new", Quantity: 1}
			if price != 0 {
				item.ProductPrice = claim(price)
			}
			command.Items = append(command.Items, item)
		}
		if _, err := fmt.Sscanf(c.want, "202 %d", &cost); err == nil {
			command.PaymentAmount = cost * int64(len(c.claims))
		}
		out := flowtest.At(t, Topology, w, command, flowtest.Now.Add(c.after))
		got := fmt.Sprint(out.Reply.Status)
		if r := out.Reply.Refusal; r != nil {
			got += " " + r.Code + " " + r.Errors[0].Detail
		} else {
			got += fmt.Sprint(" ", out.Reply.Body.(View).Items[0].ProductPrice)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func changed(t *testing.T, w *World, prices []int64) {
	t.Helper()
	for i, price := range prices {
		at := flowtest.Now.Add(time.Duration(i-len(prices)+1) * time.Second)
		if price < 0 { // the price was changed that many seconds before
			known, _ := w.Prices.Get("new")
			known.ChangedAt = flowtest.Now.Add(time.Duration(price) * time.Second)
			w.Prices.Put("new", known)
			price = known.Price
		}
		e := &stockv1.ProductPriceChanged{
			ProductId: "new", Name: fmt.Sprint("N", i), Price: price, Currency: "KRW", OnSale: true, ChangedAt: timestamppb.New(at),
		}
		if i == 0 {
			flowtest.Decide(t, Topology, w, &stockv1.ProductListed{
				ProductId: "new", Name: "N", Price: price, Currency: "KRW", OnSale: true, ListedAt: timestamppb.New(at.Add(-time.Hour)),
			})
			continue
		}
		flowtest.Decide(t, Topology, w, e)
	}
}

// A sale begins and ends at its moments, and an order has no more of a product than it may, in all its lines.
func TestSale(t *testing.T) {
	t.Parallel()
	starts, ends := flowtest.Now, flowtest.Now.Add(time.Hour)
	for _, c := range []struct {
		name   string
		sale   *stockv1.Sale
		pieces []int64
		at     time.Time
		want   string
	}{
		{"no sale", nil, []int64{9}, starts, "202"},
		{"before", &stockv1.Sale{StartsAt: timestamppb.New(starts)}, []int64{1}, starts.Add(-time.Microsecond), "422 not_on_sale_yet /items/0/productId"},
		{"as it starts", &stockv1.Sale{StartsAt: timestamppb.New(starts)}, []int64{1}, starts, "202"},
		{"in its last microsecond", &stockv1.Sale{EndsAt: timestamppb.New(ends)}, []int64{1}, ends.Add(-time.Microsecond), "202"},
		{"as it ends", &stockv1.Sale{EndsAt: timestamppb.New(ends)}, []int64{1}, ends, "422 sale_over /items/0/productId"},
		{"as many as allowed", &stockv1.Sale{MaxPerOrder: 3}, []int64{1, 2}, starts, "202"},
		{"one more", &stockv1.Sale{MaxPerOrder: 3}, []int64{4}, starts, "422 quantity_limit /items/0/quantity"},
		{"one more in another line", &stockv1.Sale{MaxPerOrder: 3}, []int64{2, 2}, starts, "422 quantity_limit /items/1/quantity"},
		{"a member's limit is stock's", &stockv1.Sale{MaxPerMember: 1}, []int64{2}, starts, "202"},
	} {
		w, command := shop(), placeTwo()
		flowtest.Decide(t, Topology, w, &stockv1.ProductListed{ProductId: "new", Price: 1, Currency: "KRW", OnSale: true, ListedAt: timestamppb.New(starts)})
		flowtest.Decide(t, Topology, w, &stockv1.ProductPriceChanged{ProductId: "new", Price: 1, Currency: "KRW", OnSale: true, Sale: c.sale, ChangedAt: timestamppb.New(starts)})
		command.Items, command.PaymentAmount = nil, 0
		for _, n := range c.pieces {
			command.Items = append(command.Items, PlaceItem{ProductID: "new", Quantity: n})
			command.PaymentAmount += n
		}
		out := flowtest.At(t, Topology, w, command, c.at)
		got := fmt.Sprint(out.Reply.Status)
		if r := out.Reply.Refusal; r != nil {
			got += " " + r.Code + " " + r.Errors[0].Pointer
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
