package letter

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/services/mailer"
)

// FuzzWrite: whatever a product, a carrier or a member is called, a letter is written, its subject is one line, and no
// name becomes markup of the page or a link that is not ours.
func FuzzWrite(f *testing.F) {
	f.Add("order", "Name", "en", "Product", "carrier", "SIM1", "KRW", int64(10050), int32(1), uint8(0))
	f.Add("<script>alert(1)</script>", "\r\nBcc: a@b.example", "ko-KR", "</td><img src=x onerror=alert(1)>", "{{.OrderID}}", "\"'><", "", int64(-1), int32(-1), uint8(1))
	f.Add("../..", "javascript:alert(1)", "xx", "{{template \"x\"}}", "\x00", "\xff", "won", int64(1)<<62, int32(1)<<30, uint8(2))
	f.Add("%0a", "", "", "a\u202eb", "OUT_OF_STOCK", "TIMED_OUT", "JPY", int64(0), int32(0), uint8(3))
	f.Add("o", "n", "EN-", "p", "c", "t", "KWD", int64(-1)<<63, int32(-1)<<31, uint8(4))
	w, err := New(Config{ShopURL: "https://shop.example"})
	if err != nil {
		f.Fatal(err)
	}
	kinds := mailer.Kinds()
	f.Fuzz(func(t *testing.T, order, name, language, product, carrier, tracking, currency string, amount int64, quantity int32, kind uint8) {
		mail := mailer.MailCall{OrderID: order, Kind: kinds[int(kind)%len(kinds)], Data: mailer.Data{
			Currency: currency, PaymentAmount: amount, DiscountAmount: amount, DeliveryFee: amount, PointAmount: amount,
			Carrier: carrier, TrackingNumber: tracking, Reason: carrier,
			Items: []mailer.Item{{ProductName: product, Quantity: quantity, ProductPrice: amount}},
		}}
		l, err := w.Write(mail, name, language)
		if err != nil {
			t.Fatalf("not written: %v", err)
		}
		if l.Subject == "" || l.Text == "" || l.HTML == "" || strings.ContainsAny(l.Subject, "\r\n") && !strings.ContainsAny(order+name, "\r\n") {
			t.Fatalf("%q\n%s", l.Subject, l.Text)
		}
		plain, err := w.Write(mailer.MailCall{OrderID: "o", Kind: mail.Kind, Data: mailer.Data{
			Currency: "KRW", PaymentAmount: amount, DiscountAmount: amount, DeliveryFee: amount, PointAmount: amount,
			Carrier: nonempty(carrier), TrackingNumber: nonempty(tracking), Reason: carrier, Items: []mailer.Item{{ProductName: "p", Quantity: 1, ProductPrice: 1}},
		}}, nonempty(name), language)
		if err != nil {
			t.Fatal(err)
		}
		if tags(l.HTML) != tags(plain.HTML) {
			t.Fatalf("a name became markup:\n%s", l.HTML)
		}
		if strings.Count(l.HTML, "href=") != strings.Count(l.HTML, `href="https://shop.example/orders/`) {
			t.Fatalf("a link that is not ours:\n%s", l.HTML)
		}
		valid := true
		for _, text := range []string{order, name, product, carrier, tracking, currency} {
			valid = valid && utf8.ValidString(text) // each by itself: two halves may be a character together
		}
		if valid && !utf8.ValidString(l.HTML) {
			t.Fatal("the letter is no text any more")
		}
	})
}

func nonempty(text string) string {
	if text == "" {
		return ""
	}
	return "x"
}

// tags counts what begins an element: everything of a value is escaped, so there are as many for every value.
func tags(html string) int { return strings.Count(html, "<") }
