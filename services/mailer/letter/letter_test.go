package letter_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/letter"
)

func writer(t *testing.T, shop string) *letter.Writer {
	t.Helper()
	w, err := letter.New(shop)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var completed = mailer.MailCall{OrderID: "0192-order", Kind: mailer.Completed, Data: mailer.Data{
	Items:    []mailer.Item{{ProductName: "Mug <b>", Quantity: 2, ProductPrice: 5000}},
	Currency: "KRW", DiscountAmount: 3000, PointAmount: 1500, DeliveryFee: 2500, PaymentAmount: 8000,
}}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	for language, subject := range map[string]string{
		"en": "We have your order 0192-order", "en-GB": "We have your order 0192-order", "fr": "We have your order 0192-order",
		"": "We have your order 0192-order", "ko": "주문이 완료되었습니다 (0192-order)", "ko-KR": "주문이 완료되었습니다 (0192-order)",
	} {
		l, err := writer(t, "https://shop.example/").Write(completed, "김 & 이", language)
		if err != nil {
			t.Fatal(err)
		}
		if l.Subject != subject {
			t.Errorf("%q: subject %q", language, l.Subject)
		}
		for _, want := range []string{"김 & 이", "Mug <b> × 2: ₩10,000", "-₩3,000", "1,500", "₩2,500", "₩8,000", "https://shop.example/orders/0192-order"} {
			if !strings.Contains(l.Text, want) {
				t.Errorf("%q: the text has no %q:\n%s", language, want, l.Text)
			}
		}
		if !strings.Contains(l.HTML, "Mug &lt;b&gt;") || strings.Contains(l.HTML, "<b>") || !strings.Contains(l.HTML, "김 &amp; 이") {
			t.Errorf("%q: the HTML is not escaped:\n%s", language, l.HTML)
		}
	}
}

// Every kind has words in every language, and no template leaves a hole.
func TestEveryKindInEveryLanguage(t *testing.T) {
	t.Parallel()
	w := writer(t, "")
	for _, language := range letter.Languages() {
		for _, kind := range mailer.Kinds() {
			mail := mailer.MailCall{OrderID: "0192-order", Kind: kind, Data: mailer.Data{
				Reason: "OUT_OF_STOCK", Carrier: "simulator", TrackingNumber: "SIM1", PaymentAmount: 10_050, Currency: "KRW",
			}}
			l, err := w.Write(mail, "", language)
			if err != nil {
				t.Fatal(err)
			}
			whole := l.Subject + l.Text + l.HTML
			if !strings.Contains(l.Subject, "0192-order") || strings.Contains(whole, "no value") || strings.Contains(whole, "href") {
				t.Errorf("%s %s: %+v", language, kind, l)
			}
			korean := strings.ContainsFunc(whole, func(r rune) bool { return unicode.Is(unicode.Hangul, r) })
			if korean != (language == "ko") {
				t.Errorf("%s %s is in the wrong language:\n%s", language, kind, l.Text)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	w := writer(t, "")
	seen := map[string]string{}
	for _, reason := range []string{"OUT_OF_STOCK", "COUPON_REJECTED", "PAYMENT_DECLINED", "TIMED_OUT", "CUSTOMER", "SHIPPING_FAILED", "UNSPECIFIED"} {
		for _, language := range letter.Languages() {
			l, err := w.Write(mailer.MailCall{OrderID: "o", Kind: mailer.Cancelled, Data: mailer.Data{Reason: reason}}, "", language)
			if err != nil {
				t.Fatal(err)
			}
			if other := seen[l.Text]; other != "" {
				t.Errorf("%s and %s read the same", reason, other)
			}
			seen[l.Text] = reason
			if strings.Contains(l.Text, reason) {
				t.Errorf("%s stands in the mail as it is", reason)
			}
		}
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		amount   int64
		currency string
	}{
		"₩10,050": {10_050, "KRW"}, "₩0": {0, "KRW"}, "-₩1,234,567": {-1_234_567, "KRW"}, "€0.05": {5, "EUR"}, "-€100.50": {-10_050, "EUR"},
		"CHF 1,000.00": {100_000, "CHF"}, "KWD 1.005": {1005, "KWD"}, "12.34": {1234, ""}, "-₩9,223,372,036,854,775,808": {-1 << 63, "KRW"},
	} {
		if got := letter.Money(c.amount, c.currency); got != want {
			t.Errorf("%d %s is %q, want %q", c.amount, c.currency, got, want)
		}
	}
}

func TestShopURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"shop", "javascript:alert(1)", "//shop.example"} {
		if _, err := letter.New(bad); err == nil {
			t.Errorf("%q is taken for a shop's URL", bad)
		}
	}
}
