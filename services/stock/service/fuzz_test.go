package service

import (
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock"
)

// FuzzProduct: whatever operators send, a product has an id that can stand in a path and a key, a price and a number of
// pieces within bounds, and a change changes what it names and nothing else.
func FuzzProduct(f *testing.F) {
	for _, bodies := range [][3]string{
		{`{"productId":"A","name":"A","price":1,"currency":"KRW","quantity":1,"reason":"r"}`, `{"quantity":1}`, `{"name":"B","price":2,"onSale":false}`},
		{`{"productId":"A/B","name":"","price":0,"currency":"krw"}`, `{"quantity":0}`, `{"price":0}`},
		{`{"productId":" A","name":"A","price":9223372036854775807,"currency":"KRW","quantity":9223372036854775807}`, `{"quantity":9223372036854775807}`, `{"price":-1}`},
		{`{"productId":"회원","name":"é","price":1000000000000,"currency":"USD","quantity":2147483647}`, `{"quantity":2147483647}`, `{}`},
		{`{}`, `{}`, `null`},
	} {
		f.Add([]byte(bodies[0]), []byte(bodies[1]), []byte(bodies[2]))
	}
	f.Fuzz(func(t *testing.T, listed, restocked, changed []byte) {
		var r listRequest
		if rig.Refused(t, rig.Decode(listed, &r)) {
			return
		}
		list, err := r.command()
		if rig.Refused(t, err) {
			return
		}
		var w stock.World
		reply := flowtest.Decide(t, stock.Topology, &w, list).Reply
		if reply.Refusal != nil {
			rig.Refused(t, reply.Refusal)
			return
		}
		before := sound(t, &w, list.ProductID)
		if before.Price != *r.Price || before.Quantity != web.Or(r.Quantity, 0) || before.Currency != *r.Currency || before.Name != *r.Name {
			t.Fatalf("%s is %+v", listed, before)
		}
		restock(t, &w, list.ProductID, restocked)
		change(t, &w, list.ProductID, changed)
	})
}

func sound(t *testing.T, w *stock.World, id string) stock.Product {
	t.Helper()
	p, known := w.Products.Get(id)
	if !known || p.ProductID != id || id == "" || strings.ContainsAny(id, "/\x00\n") || p.Price < 1 || p.Price > stock.MaxPrice ||
		p.Quantity < 0 || p.Quantity > stock.MaxQuantity || len(p.Currency) != 3 || !web.Printable(p.Name, maxName) {
		t.Fatalf("a product of %+v", p)
	}
	return p
}

func restock(t *testing.T, w *stock.World, id string, body []byte) {
	t.Helper()
	var r restockRequest
	if rig.Refused(t, rig.Decode(body, &r)) {
		return
	}
	command, err := r.command(id)
	if rig.Refused(t, err) {
		return
	}
	before := sound(t, w, id)
	reply := flowtest.Decide(t, stock.Topology, w, command).Reply
	after := sound(t, w, id)
	if reply.Refusal != nil && rig.Refused(t, reply.Refusal) && after != before || reply.Refusal == nil && after.Quantity != before.Quantity+*r.Quantity {
		t.Fatalf("%s makes %d pieces of %d", body, after.Quantity, before.Quantity)
	}
}

func change(t *testing.T, w *stock.World, id string, body []byte) {
	t.Helper()
	var r changeRequest
	if rig.Refused(t, rig.Decode(body, &r)) {
		return
	}
	command, err := r.command(id)
	if rig.Refused(t, err) {
		return
	}
	before := sound(t, w, id)
	reply := flowtest.Decide(t, stock.Topology, w, command).Reply
	after := sound(t, w, id)
	if reply.Refusal != nil && rig.Refused(t, reply.Refusal) && after != before ||
		reply.Refusal == nil && (after.Price != web.Or(r.Price, before.Price) || after.Name != web.Or(r.Name, before.Name) || after.OnSale != web.Or(r.OnSale, before.OnSale) || after.Quantity != before.Quantity) {
		t.Fatalf("%s makes %+v of %+v", body, after, before)
	}
}

// FuzzProductID: an id that is taken can stand in a path, a record's key and a header.
func FuzzProductID(f *testing.F) {
	for _, id := range []string{"PRD_240701120000001_0001_101", "", "a/b", " a", "a\x00", "\xff", "회원", strings.Repeat("a", 101), "..", "a\u2028b"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if identifier(id) && (id == "" || len([]rune(id)) > maxID || strings.ContainsAny(id, "/\x00\r\n\t") || strings.TrimSpace(id) != id || strings.ToValidUTF8(id, "") != id) {
			t.Fatalf("%q is taken for a product's id", id)
		}
	})
}

// FuzzSale: a sale that is taken has times that a database keeps and a clock can compare, its end after its start, and
// limits within bounds; changing a product by the same fields makes the same sale, and "" takes a time away.
func FuzzSale(f *testing.F) {
	for _, sale := range []string{
		`{"saleStartsAt":"2026-07-01T12:00:00Z","saleEndsAt":"2026-07-01T13:00:00+09:00","maxPerOrder":1,"maxPerMember":2,"lowStockThreshold":3}`,
		`{"saleStartsAt":"2026-07-01T12:00:00Z","saleEndsAt":"2026-07-01T12:00:00Z"}`,
		`{"saleEndsAt":"9999-12-31T23:59:59.999999999-23:59"}`, `{"saleStartsAt":"0001-01-01T00:00:00Z"}`, `{"saleStartsAt":""}`, `{"saleStartsAt":null}`,
		`{"maxPerOrder":-1}`, `{"maxPerMember":9223372036854775807}`, `{"lowStockThreshold":-9223372036854775808}`,
		`{"pictureUrl":"https://pictures.example/a.png"}`, `{"pictureUrl":"javascript:alert(1)"}`, `{"pictureUrl":"//e\u0000"}`, `{}`, `null`,
	} {
		f.Add([]byte(sale))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r changeRequest
		if rig.Refused(t, rig.Decode(body, &r.saleRequest)) {
			return
		}
		id, name, currency, price := "A", "A", "KRW", int64(1)
		list, bad := listRequest{ProductID: &id, Name: &name, Price: &price, Currency: &currency, saleRequest: r.saleRequest}.command()
		change, bad2 := r.command(id)
		if (bad == nil) != (bad2 == nil) {
			t.Fatalf("%s is taken by one and refused by the other: %v, %v", body, bad, bad2)
		}
		if rig.Refused(t, bad) {
			return
		}
		var listed, changed stock.World
		reply := flowtest.Decide(t, stock.Topology, &listed, list).Reply
		plain := stock.List{ProductID: id, Name: name, Price: price, Currency: currency}
		if refusal := flowtest.Decide(t, stock.Topology, &changed, plain).Reply.Refusal; refusal != nil {
			t.Fatal(refusal)
		}
		if again := flowtest.Decide(t, stock.Topology, &changed, change).Reply; (again.Refusal == nil) != (reply.Refusal == nil) {
			t.Fatalf("%s is taken by one and refused by the other: %v, %v", body, reply.Refusal, again.Refusal)
		}
		if reply.Refusal != nil {
			rig.Refused(t, reply.Refusal)
			return
		}
		one, other := sound(t, &listed, id), sound(t, &changed, id)
		if one.Sale != other.Sale || one.LowThreshold != other.LowThreshold || one.PictureURL != other.PictureURL {
			t.Fatalf("%s lists %+v and changes to %+v", body, one, other)
		}
		sane(t, one)
	})
}

// sane checks what a product says of its sale.
func sane(t *testing.T, p stock.Product) {
	t.Helper()
	for _, at := range []time.Time{p.Sale.StartsAt, p.Sale.EndsAt} {
		if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999 || at.Location() != time.UTC || at.Nanosecond()%1000 != 0) {
			t.Fatalf("a sale at %s", at)
		}
	}
	if s := p.Sale; !s.StartsAt.IsZero() && !s.EndsAt.IsZero() && !s.StartsAt.Before(s.EndsAt) ||
		s.MaxPerOrder < 0 || s.MaxPerOrder > stock.MaxQuantity || s.MaxPerMember < 0 || s.MaxPerMember > stock.MaxQuantity ||
		p.LowThreshold < 0 || p.LowThreshold > stock.MaxQuantity || strings.ContainsAny(p.PictureURL, "\x00\r\n") ||
		p.PictureURL != "" && !strings.HasPrefix(p.PictureURL, "https://") {
		t.Fatalf("a sale of %+v, threshold %d, picture %q", s, p.LowThreshold, p.PictureURL)
	}
}
