package service

import (
	"reflect"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/order"
)

// FuzzPlace: whatever the body, an order that is accepted adds up to the unit, by the price list and not by the claims.
func FuzzPlace(f *testing.F) {
	for _, body := range []string{
		`{"userId":"m","items":[{"productId":"A","quantity":1,"productPrice":10050}],"deliveryFee":0,"paymentAmount":10050,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"A","quantity":2},{"productId":"A","quantity":1},{"productId":"B","quantity":3}],"discountPolicyId":"W","discountAmount":150,"pointAmount":1000,"paymentAmount":29003,"paymentType":"CREDIT","couponFailurePolicy":"PAY_FULL_PRICE"}`,
		`{"items":[{"productId":"A","quantity":1}],"pointAmount":10050,"paymentAmount":0,"paymentType":"POINT"}`,
		`{"items":[{"productId":"HUGE","quantity":1000}],"paymentAmount":1000000000000000,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"HUGE","quantity":9223372036854775807}],"paymentAmount":1,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"A","quantity":4294967297}],"paymentAmount":10050,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"A","quantity":-1}],"paymentAmount":-10050,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"A","quantity":1}],"couponIds":["a","a"],"discountAmount":9223372036854775807,"paymentAmount":1,"paymentType":"CREDIT"}`,
		`{"items":[],"paymentAmount":0,"paymentType":"TRANSFER"}`, `{"userId":"other","items":[{"productId":"A","quantity":1}],"paymentAmount":1,"paymentType":"CREDIT"}`,
		`{"items":[{"productId":"D","quantity":1},{"productId":"A","quantity":1}],"paymentAmount":1,"paymentType":"CREDIT"}`, `{}`,
	} {
		f.Add([]byte(body))
	}
	prices := map[string]order.Price{
		"A": {ProductID: "A", Price: 10_050, Currency: "KRW", OnSale: true}, "B": {ProductID: "B", Price: 1, Currency: "KRW", OnSale: true},
		"HUGE": {ProductID: "HUGE", Price: 1_000_000_000_000, Currency: "KRW", OnSale: true}, "D": {ProductID: "D", Price: 5, Currency: "USD", OnSale: true},
		"OFF": {ProductID: "OFF", Price: 5, Currency: "KRW"},
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r placeRequest
		if rig.Refused(t, rig.Decode(body, &r)) {
			return
		}
		cmd, err := r.place("m", true)
		if rig.Refused(t, err) {
			return
		}
		var w order.World
		for id, price := range prices {
			w.Prices.Loaded(id, price)
		}
		w.Members.Loaded("m", order.Member{UserID: "m", AddressIDs: []string{"home", "work"}, DefaultAddressID: "home"})
		cmd.OrderID, cmd.Rules = "o", order.Rules{PointCurrency: "KRW"}
		o, refusal := order.Check(&w, cmd, time.Unix(0, 0))
		if refusal != nil {
			rig.Refused(t, refusal)
			return
		}
		addsUp(t, r, o, prices)
	})
}

// addsUp counts an accepted order again, from the body and the price list.
func addsUp(t *testing.T, r placeRequest, o order.Order, prices map[string]order.Price) {
	t.Helper()
	wanted, sum := map[string]int64{}, int64(0)
	for _, item := range r.Items {
		price := prices[*item.ProductID]
		if *item.Quantity < 1 || !price.OnSale || price.Currency != o.Currency || item.ProductPrice != nil && *item.ProductPrice != price.Price {
			t.Fatalf("%+v is sold", item)
		}
		wanted[*item.ProductID] += *item.Quantity
		sum += *item.Quantity * price.Price
	}
	for _, item := range o.Items {
		if int64(item.Quantity) != wanted[item.ProductID] || item.ProductPrice != prices[item.ProductID].Price {
			t.Fatalf("%+v is sold, %d pieces were asked for", item, wanted[item.ProductID])
		}
		delete(wanted, item.ProductID)
	}
	if len(wanted) > 0 || sum != o.ItemsAmount || sum < 0 || sum > order.MaxAmount {
		t.Fatalf("left out: %v, items cost %d and not %d", wanted, sum, o.ItemsAmount)
	}
	if o.PaymentAmount != sum+o.DeliveryFee-o.DiscountAmount-o.PointAmount || o.PaymentAmount < 0 || o.DiscountAmount < 0 || o.PointAmount < 0 ||
		o.DiscountAmount > sum || o.PaymentAmount != *r.PaymentAmount || o.UserID != "m" || o.AddressID != "home" && o.AddressID != "work" {
		t.Fatalf("does not add up: %+v", o)
	}
}

// FuzzOrderID: only the one usual spelling of an id is one, so that two texts are never one order.
func FuzzOrderID(f *testing.F) {
	const id = "0190a3a0-0000-7000-8000-000000000001"
	for _, text := range []string{id, "", "{" + id + "}", "urn:uuid:" + id, "0190A3A0-0000-7000-8000-000000000001", "0190a3a0000070008000000000000001", id + "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isOrderID(text) {
			return
		}
		for i := range len(text) {
			hyphen := i == 8 || i == 13 || i == 18 || i == 23
			digit := text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'f'
			if len(text) != 36 || hyphen != (text[i] == '-') || !hyphen && !digit {
				t.Fatalf("%q is taken for an order's id", text)
			}
		}
	})
}

// FuzzCheckout: whatever is put in a cart and said when it is ordered, an order that is accepted is of what was in the
// cart, adds up, and leaves the cart empty; one that is refused leaves the cart as it was.
func FuzzCheckout(f *testing.F) {
	const paid = `{"paymentAmount":20101,"paymentType":"CREDIT"}`
	for _, bodies := range [][3]string{
		{`{"quantity":2}`, `{"quantity":1}`, paid},
		{`{"quantity":0}`, `{"quantity":1}`, paid},
		{`{"quantity":-1}`, `{"quantity":2147483648}`, `{}`},
		{`{"quantity":9223372036854775807}`, `{"quantity":2147483647}`, `{"paymentAmount":2147483647,"paymentType":"CREDIT"}`},
		{`{"quantity":2147483647}`, `{"quantity":2147483647}`, `{"paymentAmount":-1,"paymentType":"POINT"}`},
		{`{"quantity":1}`, `{}`, `{"paymentAmount":0,"paymentType":"POINT","pointAmount":10050}`},
		{`{"quantity":1}`, `{"quantity":null}`, `{"userId":"other","paymentAmount":10050,"paymentType":"CREDIT"}`},
		{`{"quantity":1}`, `null`, `{"items":[{"productId":"A","quantity":9}],"paymentAmount":10050,"paymentType":"CREDIT"}`},
		{`{}`, `{"quantity":50}`, `{"couponIds":["a","a"],"discountAmount":9223372036854775807,"paymentAmount":50,"paymentType":"CREDIT"}`},
		{`{"quantity":1.0}`, `{"quantity":"1"}`, `{"paymentAmount":10050,"paymentType":"CREDIT","shippingAddressId":"nobody's"}`},
	} {
		f.Add([]byte(bodies[0]), []byte(bodies[1]), []byte(bodies[2]))
	}
	prices := map[string]order.Price{
		"A": {ProductID: "A", Price: 10_050, Currency: "KRW", OnSale: true}, "B": {ProductID: "B", Price: 1, Currency: "KRW", OnSale: true},
	}
	f.Fuzz(func(t *testing.T, ofA, ofB, body []byte) {
		var w order.World
		for id, price := range prices {
			w.Prices.Loaded(id, price)
		}
		w.Members.Loaded("m", order.Member{UserID: "m", AddressIDs: []string{"home", "work"}, DefaultAddressID: "home"})
		whole := placeRequest{Items: append(puts(t, &w, "A", ofA), puts(t, &w, "B", ofB)...)}
		before, _ := w.Carts.Get("m")
		if len(before.Lines) != len(whole.Items) {
			t.Fatalf("%s and %s make %+v", ofA, ofB, before)
		}
		var bad web.Fields
		if rig.Refused(t, rig.Decode(body, &whole.checkoutRequest)) {
			return
		}
		cmd, err := whole.checkout(&bad, "m", true)
		if rig.Refused(t, err) {
			return
		}
		cmd.OrderID, cmd.Rules = "0190a3a0-0000-7000-8000-000000000001", order.Rules{PointCurrency: "KRW"}
		refusal := flowtest.Decide(t, order.Topology, &w, order.PlaceCart{Place: cmd}).Reply.Refusal
		after, _ := w.Carts.Get("m")
		o, placed := w.Orders.Get(cmd.OrderID)
		if placed != (refusal == nil) || placed && len(after.Lines) != 0 || !placed && !reflect.DeepEqual(before, after) {
			t.Fatalf("placed: %t, refused: %v, the cart has %+v and had %+v", placed, refusal, after, before)
		}
		if placed {
			addsUp(t, whole, o, prices)
		} else {
			rig.Refused(t, refusal)
		}
	})
}

// puts puts so many pieces in m's cart, and returns what an order of them would say.
func puts(t *testing.T, w *order.World, product string, body []byte) []itemRequest {
	t.Helper()
	var r quantityRequest
	if rig.Refused(t, rig.Decode(body, &r)) || rig.Refused(t, r.check()) {
		return nil
	}
	refusal := flowtest.Decide(t, order.Topology, w, order.PutInCart{UserID: "m", ProductID: product, Quantity: *r.Quantity}).Reply.Refusal
	if refusal != nil {
		rig.Refused(t, refusal)
		return nil
	}
	return []itemRequest{{ProductID: &product, Quantity: r.Quantity}}
}
