package letter_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/letter"
)

func writer(t *testing.T, shop string) *letter.Writer {
	t.Helper()
	w, err := letter.New(letter.Config{ShopURL: shop, Zone: seoul(t)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func seoul(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

var completed = mailer.MailCall{OrderID: "0192-order", Kind: mailer.Completed, Data: mailer.Data{
	Items:    []mailer.Item{{ProductName: "Mug <b>", Quantity: 2, ProductPrice: 5000}},
	Currency: "KRW", DiscountAmount: 3000, PointAmount: 1500, DeliveryFee: 2500, PaymentAmount: 8000,
	At: time.Date(2026, time.November, 21, 6, 4, 0, 0, time.UTC),
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
		wants := []string{"Mug <b> × 2: ₩10,000", "Discount: -₩3,000", "Points used: 1,500", "Delivery: ₩2,500", "Paid: ₩8,000", "21 November 2026, 15:04 KST"}
		if strings.HasPrefix(language, "ko") {
			wants = []string{"Mug <b> × 2: 10,000원", "할인: -3,000원", "포인트: 1,500P", "배송비: 2,500원", "결제 금액: 8,000원", "2026년 11월 21일 (토) 오후 3:04"}
		}
		for _, want := range append(wants, "김 & 이", "https://shop.example/orders/0192-order") {
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
		"ko 10,050원": {10_050, "KRW"}, "ko -1,234,567원": {-1_234_567, "KRW"}, "ko €100.50": {10_050, "EUR"}, "ko USD 1.00": {100, "USD"},
		"₩10,050": {10_050, "KRW"}, "₩0": {0, "KRW"}, "-₩1,234,567": {-1_234_567, "KRW"}, "€0.05": {5, "EUR"}, "-€100.50": {-10_050, "EUR"},
		"CHF 1,000.00": {100_000, "CHF"}, "KWD 1.005": {1005, "KWD"}, "12.34": {1234, ""}, "-₩9,223,372,036,854,775,808": {-1 << 63, "KRW"},
	} {
		language := "en"
		if korean, is := strings.CutPrefix(want, "ko "); is {
			language, want = "ko", korean
		}
		if got := letter.Money(c.amount, c.currency, language); got != want {
			t.Errorf("%d %s is %q, want %q", c.amount, c.currency, got, want)
		}
	}
}

func TestShopURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"shop", "javascript:alert(1)", "//shop.example"} {
		if _, err := letter.New(letter.Config{ShopURL: bad}); err == nil {
			t.Errorf("%q is taken for a shop's URL", bad)
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		"2026년 11월 21일 (토) 오후 3:04":     time.Date(2026, 11, 21, 15, 4, 0, 0, seoul(t)),
		"2026년 1월 4일 (일) 오전 12:00":      time.Date(2026, 1, 4, 0, 0, 0, 0, seoul(t)),
		"2026년 2월 28일 (토) 오후 12:30 UTC": time.Date(2026, 2, 28, 12, 30, 0, 0, time.UTC),
		"2026년 3월 2일 (월) 오전 9:05":       time.Date(2026, 3, 2, 0, 5, 0, 0, time.UTC).In(seoul(t)),
	} {
		if got := letter.Date(at, "ko"); got != want {
			t.Errorf("%s is %q, want %q", at, got, want)
		}
	}
	if got := letter.Date(time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC), "en"); got != "4 January 2026, 00:00 UTC" {
		t.Errorf("in English %q", got)
	}
}

// A cancelled order of which nothing was paid does not promise money back, and one of which something may have been
// does.
func TestWhatIsGivenBack(t *testing.T) {
	t.Parallel()
	w := writer(t, "")
	for language, words := range map[string][2]string{"en": {"You were not charged", "is being given back"}, "ko": {"결제된 금액은 없으며", "모두 돌려드립니다"}} {
		for i, notCharged := range []bool{true, false} {
			l, err := w.Write(mailer.MailCall{OrderID: "o", Kind: mailer.Cancelled, Data: mailer.Data{Reason: "TIMED_OUT", NotCharged: notCharged}}, "", language)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(l.Text, words[i]) || strings.Contains(l.Text, words[1-i]) {
				t.Errorf("%s, not charged %v:\n%s", language, notCharged, l.Text)
			}
		}
	}
}

// What mail programs and people's eyes need: nothing is fetched from anywhere, nothing runs, both colour schemes are
// known, and no box is wider than the window. Every kind of mail has an example to look at.
func TestPagesAreFitForMail(t *testing.T) {
	t.Parallel()
	w := writer(t, "https://shop.example")
	kinds := map[mailer.Kind]bool{}
	for _, e := range letter.Examples() {
		kinds[e.Mail.Kind] = true
		for _, language := range letter.Languages() {
			l, err := w.Write(e.Mail, "Hong Gil-dong", language)
			if err != nil {
				t.Fatal(err)
			}
			page := strings.ToLower(l.HTML)
			for _, forbidden := range []string{"<img", "<script", "<link", "<iframe", "<form", "@import", "url(", "src=", "onclick", " width=\"", "px;width:", ";width:6"} {
				if strings.Contains(page, forbidden) {
					t.Errorf("%s %s has %q", e.Name, language, forbidden)
				}
			}
			for _, needed := range []string{`<html lang="` + language + `"`, "width=device-width", `name="color-scheme" content="light dark"`, "prefers-color-scheme: dark", "max-width:36rem", "overflow-wrap:anywhere"} {
				if !strings.Contains(page, needed) {
					t.Errorf("%s %s lacks %q", e.Name, language, needed)
				}
			}
			if strings.Contains(l.Text, "<") || strings.Contains(l.Text, "\n\n\n") {
				t.Errorf("%s %s as text:\n%s", e.Name, language, l.Text)
			}
			if len(l.HTML) > 100_000 { // where some programs cut
				t.Errorf("%s %s is %d bytes", e.Name, language, len(l.HTML))
			}
		}
	}
	for _, kind := range mailer.Kinds() {
		if !kinds[kind] {
			t.Errorf("there is no example of %s", kind)
		}
	}
}
