// Package letter writes the mails: what they say, in the member's language, as text and as HTML.
package letter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"

	"github.com/quadrille-io/quadrille/services/mailer"
)

//go:embed templates
var files embed.FS

// Letter is one mail's words.
type Letter struct {
	Subject string
	Text    string
	HTML    string
}

// Fallback is the language of members whose own is not one of Languages.
const Fallback = "en"

// Languages that mails are written in, by their BCP 47 primary subtag.
func Languages() []string { return []string{"en", "ko"} }

// Writer writes letters. It is safe for concurrent use.
type Writer struct {
	shop  string
	words map[string]*texttemplate.Template // by language
	text  *texttemplate.Template
	html  *htmltemplate.Template
}

// New makes a Writer. shopURL is where customers see their orders, {shopURL}/orders/{orderId}; letters
// have no link if it is "".
func New(shopURL string) (*Writer, error) {
	if u, err := url.Parse(shopURL); shopURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("shop URL %q is not an http or https URL", shopURL)
	}
	w := &Writer{shop: strings.TrimSuffix(shopURL, "/"), words: map[string]*texttemplate.Template{}}
	for _, language := range Languages() {
		words, err := texttemplate.New(language).Option("missingkey=error").ParseFS(files, "templates/"+language+".tmpl")
		if err != nil {
			return nil, fmt.Errorf("read the words of %s: %w", language, err)
		}
		w.words[language] = words
	}
	var err error
	if w.text, err = texttemplate.ParseFS(files, "templates/mail.txt.tmpl"); err != nil {
		return nil, fmt.Errorf("read the text template: %w", err)
	}
	if w.html, err = htmltemplate.ParseFS(files, "templates/mail.html.tmpl"); err != nil {
		return nil, fmt.Errorf("read the HTML template: %w", err)
	}
	return w, nil
}

// page is what both templates show.
type page struct {
	Language   string
	Subject    string
	Greeting   string
	Lead       string
	OrderLabel string
	OrderID    string
	Items      []line
	Facts      []fact
	Link       string
	LinkLabel  string
	Footer     string
}

type line struct {
	Name     string
	Quantity int32
	Amount   string
}

type fact struct{ Label, Value string }

// Write writes the letter of a mail to somebody of that name (may be "") and language (BCP 47).
func (w *Writer) Write(mail mailer.MailCall, name, language string) (Letter, error) {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	words := w.words[primary]
	if words == nil {
		primary, words = Fallback, w.words[Fallback]
	}
	v := &vocabulary{words: words}
	p := v.page(mail, name)
	p.Language = primary
	if w.shop != "" {
		p.Link, p.LinkLabel = w.shop+"/orders/"+url.PathEscape(mail.OrderID), v.say("link", nil)
	}
	if v.err != nil {
		return Letter{}, fmt.Errorf("write a letter %q in %s: %w", mail.Kind, primary, v.err)
	}
	var text, html bytes.Buffer
	if err := errors.Join(w.text.ExecuteTemplate(&text, "mail.txt.tmpl", p), w.html.ExecuteTemplate(&html, "mail.html.tmpl", p)); err != nil {
		return Letter{}, fmt.Errorf("write a letter %q: %w", mail.Kind, err)
	}
	return Letter{Subject: p.Subject, Text: text.String(), HTML: html.String()}, nil
}

// vocabulary is one language's words, and the first that was missing.
type vocabulary struct {
	words *texttemplate.Template
	err   error
}

func (v *vocabulary) say(word string, data any) string {
	var b strings.Builder
	if err := v.words.ExecuteTemplate(&b, word, data); err != nil && v.err == nil {
		v.err = err
	}
	return b.String()
}

func (v *vocabulary) page(mail mailer.MailCall, name string) page {
	d, kind := mail.Data, string(mail.Kind)
	about := map[string]string{"OrderID": mail.OrderID, "Name": name, "Reason": ""}
	if d.Reason != "" {
		about["Reason"] = v.reason(d.Reason)
	}
	p := page{
		Subject: v.say(kind+".subject", about), Lead: v.say(kind+".lead", about), Greeting: v.say("greeting", about),
		OrderLabel: v.say("order", nil), OrderID: mail.OrderID, Footer: v.say("footer", nil),
	}
	for _, item := range d.Items {
		p.Items = append(p.Items, line{item.ProductName, item.Quantity, Money(int64(item.Quantity)*item.ProductPrice, d.Currency)})
	}
	tell := func(is bool, label, value string) {
		if is {
			p.Facts = append(p.Facts, fact{v.say(label, nil), value})
		}
	}
	tell(d.DiscountAmount > 0, "discount", Money(-d.DiscountAmount, d.Currency))
	tell(d.DeliveryFee > 0, "delivery", Money(d.DeliveryFee, d.Currency))
	tell(d.PointAmount > 0, "points", group(d.PointAmount))
	tell(mail.Kind == mailer.Completed, "paid", Money(d.PaymentAmount, d.Currency))
	tell(mail.Kind == mailer.Refunded, "refund", Money(d.PaymentAmount, d.Currency))
	tell(d.Carrier != "", "carrier", d.Carrier)
	tell(d.TrackingNumber != "", "tracking", d.TrackingNumber)
	return p
}

// reason says why an order was cancelled; one that this version has no words for is left out: the mail
// is about the cancellation, and it should go out.
func (v *vocabulary) reason(reason string) string {
	if v.words.Lookup("reason."+reason) == nil {
		return ""
	}
	return v.say("reason."+reason, nil)
}
