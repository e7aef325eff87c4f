package order

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// shop is a world with two products at 1000 and 250, one that is not sold, one in another currency, and
// a member with two addresses.
func shop() *World {
	w := &World{}
	for _, p := range []Price{
		{ProductID: "p", Name: "P", Price: 1000, Currency: "KRW", OnSale: true},
		{ProductID: "q", Name: "Q", Price: 250, Currency: "KRW", OnSale: true},
		{ProductID: "off", Name: "Off", Price: 1, Currency: "KRW"},
		{ProductID: "usd", Name: "Dollar", Price: 1, Currency: "USD", OnSale: true},
		{ProductID: "dear", Name: "Dear", Price: MaxAmount / 2, Currency: "KRW", OnSale: true},
	} {
		w.Prices.Loaded(p.ProductID, p)
	}
	w.Members.Loaded("u", Member{UserID: "u", AddressIDs: []string{"home", "work"}, DefaultAddressID: "home"})
	w.Members.Loaded("nowhere", Member{UserID: "nowhere"})
	return w
}

func placeTwo() Place {
	return Place{
		OrderID: "o", UserID: "u", BodyHash: "h", PaymentAmount: 2000, PaymentType: Credit,
		Items: []PlaceItem{{ProductID: "p", Quantity: 2}},
		Rules: Rules{DoubleClickWindow: 5 * time.Second, PendingTimeout: time.Minute, CouponTimeout: 10 * time.Second, PointCurrency: "KRW"},
	}
}

func claim(amount int64) *int64 { return &amount }

// What is accepted, and what is refused with which code, and where in the request.
func TestPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Place)
		want   string
	}{
		{"as it is", func(*Place) {}, "202"},
		{"the right claim", func(c *Place) { c.Items[0].ProductPrice = claim(1000) }, "202"},
		{"two lines of one product", func(c *Place) {
			c.Items = []PlaceItem{{"p", 1, nil}, {"q", 4, nil}, {"p", 1, claim(1000)}}
			c.PaymentAmount = 3000
		}, "202"},
		{"coupon", func(c *Place) { c.CouponRefs, c.DiscountAmount, c.PaymentAmount = []string{"c"}, 500, 1500 }, "202"},
		{"points and card", func(c *Place) { c.PointAmount, c.PaymentAmount = 300, 1700 }, "202"},
		{"points for all, by card", func(c *Place) { c.PointAmount, c.PaymentAmount = 2000, 0 }, "202"},
		{"points alone", func(c *Place) { c.PointAmount, c.PaymentAmount, c.PaymentType = 2000, 0, Points }, "202"},
		{"transfer", func(c *Place) { c.PaymentType, c.Rules.TransferTimeout = Transfer, time.Minute }, "202"},
		{"another address", func(c *Place) { c.AddressID = "work" }, "202"},
		{"delivery", func(c *Place) { c.Rules.DeliveryFee, c.DeliveryFee, c.PaymentAmount = 30, 30, 2030 }, "202"},
		{"delivery free from a sum", func(c *Place) { c.Rules.DeliveryFee, c.Rules.FreeDeliveryFrom = 30, 2000 }, "202"},
		{"as many as allowed", func(c *Place) { c.Rules.MaxQuantity = 2 }, "202"},

		{"no items", func(c *Place) { c.Items = nil }, "400 invalid_field /items"},
		{"no piece", func(c *Place) { c.Items[0].Quantity = 0 }, "400 invalid_field /items/0/quantity"},
		{"fewer than no piece", func(c *Place) { c.Items[0].Quantity = -2 }, "400 invalid_field /items/0/quantity"},
		{"negative points", func(c *Place) { c.PointAmount, c.PaymentAmount = -1, 2001 }, "400 invalid_field /pointAmount"},
		{"negative payment", func(c *Place) { c.PaymentAmount = -1 }, "400 invalid_field /paymentAmount"},
		{"points beyond all", func(c *Place) { c.PointAmount = math.MaxInt64 }, "400 invalid_field /pointAmount"},
		{"unknown payment type", func(c *Place) { c.PaymentType = "CASH" }, "400 invalid_field /paymentType"},
		{"transfer where there are none", func(c *Place) { c.PaymentType = Transfer }, "422 payment_type_unavailable /paymentType"},
		{"many coupons", func(c *Place) { c.CouponRefs = make([]string, MaxCoupons+1) }, "400 invalid_field /couponIds"},

		{"unknown product", func(c *Place) { c.Items = append(c.Items, PlaceItem{"x", 1, nil}) }, "422 unknown_product /items/1/productId"},
		{"not on sale", func(c *Place) { c.Items = append(c.Items, PlaceItem{"off", 1, nil}) }, "422 product_not_on_sale /items/1/productId"},
		{"another price", func(c *Place) { c.Items[0].ProductPrice = claim(999) }, "422 price_changed /items/0/productPrice"},
		{"points in another currency", func(c *Place) {
			c.Items, c.PointAmount, c.PaymentAmount = []PlaceItem{{"usd", 2, nil}}, 1, 1
		}, "422 currency_mismatch /pointAmount"},
		{"two currencies", func(c *Place) { c.Items = append(c.Items, PlaceItem{"usd", 1, nil}) }, "422 currency_mismatch /items/1/productId"},
		{"several things wrong", func(c *Place) {
			c.Items = []PlaceItem{{"p", 1, claim(1)}, {"x", 1, nil}}
		}, "422 price_changed /items/0/productPrice /items/1/productId"},
		{"too many pieces", func(c *Place) { c.Rules.MaxQuantity = 1 }, "422 quantity_limit /items"},
		{"too many lines", func(c *Place) { c.Rules.MaxItems, c.Items = 1, append(c.Items, c.Items[0]) }, "422 quantity_limit /items"},
		{"more than 32 bits of pieces", func(c *Place) { c.Items[0].Quantity = math.MaxInt32 + 1 }, "422 quantity_limit /items/0/quantity"},
		{"more than 32 bits in two lines", func(c *Place) {
			c.Items = []PlaceItem{{"q", math.MaxInt32, nil}, {"q", 1, nil}}
		}, "422 quantity_limit /items/1/quantity"},
		{"more money than there is", func(c *Place) { c.Items[0] = PlaceItem{"dear", 3, nil} }, "422 quantity_limit /items/0/quantity"},

		{"another sum", func(c *Place) { c.PaymentAmount = 1999 }, "422 amount_mismatch /paymentAmount"},
		{"nothing for a card", func(c *Place) { c.PaymentAmount = 0 }, "422 amount_mismatch /paymentAmount"},
		{"points that do not pay for all", func(c *Place) {
			c.PointAmount, c.PaymentAmount, c.PaymentType = 1999, 1, Points
		}, "422 amount_mismatch /pointAmount"},
		{"more points than needed", func(c *Place) { c.PointAmount, c.PaymentAmount = 2001, 0 }, "422 amount_mismatch /pointAmount"},
		{"discount without coupon", func(c *Place) { c.DiscountAmount, c.PaymentAmount = 1, 1999 }, "422 amount_mismatch /discountAmount"},
		{"discount above the items", func(c *Place) {
			c.CouponRefs, c.DiscountAmount, c.PaymentAmount = []string{"c"}, 2001, 0
		}, "422 amount_mismatch /discountAmount"},
		{"delivery for nothing", func(c *Place) { c.Rules.DeliveryFee = 30 }, "422 amount_mismatch /deliveryFee"},
		{"delivery that nobody asks for", func(c *Place) { c.DeliveryFee, c.PaymentAmount = 30, 2030 }, "422 amount_mismatch /deliveryFee"},
		{"no address", func(c *Place) { c.UserID = "nowhere" }, "422 address_required /shippingAddressId"},
		{"unknown member", func(c *Place) { c.UserID = "x" }, "422 address_required /shippingAddressId"},
		{"somebody else's address", func(c *Place) { c.AddressID = "theirs" }, "422 unknown_address /shippingAddressId"},
	} {
		w, command := shop(), placeTwo()
		c.change(&command)
		out := flowtest.Decide(t, Topology, w, command)
		got := fmt.Sprint(out.Reply.Status)
		if r := out.Reply.Refusal; r != nil {
			got += " " + r.Code
			for _, field := range r.Errors {
				got += " " + field.Pointer
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		accepted := out.Reply.Status == 202
		if told := flowtest.Told(out); accepted != (told == "OrderCreated") || accepted != (w.Orders.Len() == 1) || accepted != (w.Recent.Len() == 1) {
			t.Errorf("%s: answered %s, emitted %q, %d orders", c.name, got, told, w.Orders.Len())
		}
	}
}

// The event carries everything the later steps need; the lines of one product are one.
func TestOrderCreated(t *testing.T) {
	t.Parallel()
	w, c := shop(), placeTwo()
	c.Items = []PlaceItem{{"p", 1, nil}, {"q", 2, nil}, {"p", 2, nil}}
	c.CouponRefs, c.DiscountAmount, c.CouponPolicy = []string{"a", "b", "a"}, 500, PayFullPrice
	c.PointAmount, c.PaymentToken, c.AddressID = 100, "tok", "work"
	c.Rules.DeliveryFee, c.DeliveryFee = 30, 30
	c.PaymentAmount = 3500 + 30 - 500 - 100
	e := flowtest.Event[*orderv1.OrderCreated](t, flowtest.Decide(t, Topology, w, c))
	items := e.GetOrderItems()
	if len(items) != 2 || items[0].GetQuantity() != 3 || items[0].GetProductName() != "P" || items[1].GetProductPrice() != 250 {
		t.Errorf("items %v", items)
	}
	k := e.GetCheckout()
	if e.GetTotalAmount() != 3530 || k.GetItemsAmount() != 3500 || k.GetDiscountAmount() != 500 || k.GetDeliveryFee() != 30 ||
		k.GetPointAmount() != 100 || k.GetPaymentAmount() != 2930 || k.GetCurrency() != "KRW" || k.GetPaymentToken() != "tok" ||
		k.GetPaymentType() != orderv1.PaymentType_PAYMENT_TYPE_CREDIT || k.GetShippingAddressId() != "work" ||
		!slices.Equal(k.GetCouponRefs(), []string{"a", "b"}) ||
		k.GetCouponFailurePolicy() != orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE ||
		!k.GetDeadlineAt().AsTime().Equal(flowtest.Now.Add(time.Minute)) {
		t.Errorf("OrderCreated %v", e)
	}
	if o, _ := w.Orders.Get("o"); o.CreatedEvent != "id-0" || o.Version != 1 {
		t.Errorf("created by %q, version %d", o.CreatedEvent, o.Version)
	}
}

// A double click is answered with the first order; not after the window, not for another member or body,
// and not once the first is cancelled.
func TestDoubleClick(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		after  time.Duration
		change func(*World, *Place)
		orders int
	}{
		{"again", 0, func(*World, *Place) {}, 1},
		{"at the end of the window", 5*time.Second - 1, func(*World, *Place) {}, 1},
		{"after the window", 5 * time.Second, func(*World, *Place) {}, 2},
		{"another body", 0, func(_ *World, p *Place) { p.BodyHash = "other" }, 2},
		{"another member", 0, func(w *World, p *Place) {
			p.UserID = "v"
			w.Members.Loaded("v", Member{UserID: "v", AddressIDs: []string{"a"}, DefaultAddressID: "a"})
		}, 2},
		{"switched off", 0, func(_ *World, p *Place) { p.Rules.DoubleClickWindow = 0 }, 2},
		{"completed", 0, func(w *World, _ *Place) { set(w, Completed) }, 1},
		{"being cancelled", 0, func(w *World, _ *Place) { set(w, Cancelling) }, 2},
		{"cancelled", 0, func(w *World, _ *Place) { set(w, Cancelled) }, 2},
		{"a row that was only locked", 0, func(w *World, _ *Place) { w.Recent.Put(RecentKey("u", "h"), Recent{}) }, 2},
	} {
		w, p := shop(), placeTwo()
		flowtest.Decide(t, Topology, w, p)
		p.OrderID = "o2"
		c.change(w, &p)
		out := flowtest.At(t, Topology, w, p, flowtest.Now.Add(c.after))
		view, ok := out.Reply.Body.(View)
		if !ok || out.Reply.Status != 202 || w.Orders.Len() != c.orders || (view.OrderID == "o") != (c.orders == 1) {
			t.Errorf("%s: %d orders, answered %d with %q", c.name, w.Orders.Len(), out.Reply.Status, view.OrderID)
		}
		if (flowtest.Told(out) == "") != (c.orders == 1) {
			t.Errorf("%s: emitted %q", c.name, flowtest.Told(out))
		}
	}
}

func set(w *World, s Status) {
	o, _ := w.Orders.Get("o")
	o.Status = s
	w.Orders.Put("o", o)
}

// The fields of the API, no more and no fewer, with null where there is nothing.
func TestViewFields(t *testing.T) {
	t.Parallel()
	out := flowtest.Decide(t, Topology, shop(), placeTwo())
	text, err := json.Marshal(out.Reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"orderId":"o","orderNumber":"","version":1,"userId":"u","status":"PENDING","reason":null,"progress":"STOCK",` +
		`"items":[{"productId":"p","productName":"P","quantity":2,"productPrice":1000}],"discountAmount":0,"deliveryFee":0,` +
		`"pointAmount":0,"paymentAmount":2000,"currency":"KRW","paymentType":"CREDIT","shippingAddressId":"home","shipment":null,"undo":null,` +
		`"nextActions":["cancel"],"deadlineAt":"2026-07-01T12:01:00Z","createdAt":"2026-07-01T12:00:00Z","updatedAt":"2026-07-01T12:00:00Z"}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
