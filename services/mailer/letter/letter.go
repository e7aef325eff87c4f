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
	"time"

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
	cfg   Config
	words map[string]*texttemplate.Template // by language
	text  *texttemplate.Template
	html  *htmltemplate.Template
}

// Config of a Writer.
type Config struct {
	// ShopURL is where customers see their orders, {ShopURL}/orders/{orderId}; letters have no link if it is "".
	ShopURL string
	// Zone is the one that letters tell the time in; nil is UTC.
	Zone *time.Location
}

// New makes a Writer.
func New(cfg Config) (*Writer, error) {
	if u, err := url.Parse(cfg.ShopURL); cfg.ShopURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("shop URL %q is not an http or https URL", cfg.ShopURL)
	}
	cfg.ShopURL = strings.TrimSuffix(cfg.ShopURL, "/")
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	w := &Writer{cfg: cfg, words: map[string]*texttemplate.Template{}}
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
	Language            string
	Subject, Title      string
	Greeting, Lead      string
	OrderLabel, OrderID string
	WhenLabel, When     string
	Items               []line
	Sums                []fact // what comes to and off the items, and what is paid
	Facts               []fact
	Link, LinkLabel     string
	Footer              string
}

type line struct {
	Name     string
	Quantity int32
	Amount   string
}

type fact struct {
	Label, Value string
	Total        bool
}

// Write writes the letter of a mail to somebody of that name (may be "") and language (BCP 47).
func (w *Writer) Write(mail mailer.MailCall, name, language string) (Letter, error) {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	words := w.words[primary]
	if words == nil {
		primary, words = Fallback, w.words[Fallback]
	}
	v := &vocabulary{language: primary, words: words}
	p := v.page(mail, name)
	if at := mail.Data.At; !at.IsZero() {
		p.WhenLabel, p.When = v.say("when", nil), Date(at.In(w.cfg.Zone), primary)
	}
	if w.cfg.ShopURL != "" {
		p.Link, p.LinkLabel = w.cfg.ShopURL+"/orders/"+url.PathEscape(mail.OrderID), v.say("link", nil)
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
	language string
	words    *texttemplate.Template
	err      error
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
	about := map[string]any{"OrderID": mail.OrderID, "Name": name, "Reason": "", "NotCharged": d.NotCharged}
	if d.Reason != "" {
		about["Reason"] = v.reason(d.Reason)
	}
	p := page{
		Language: v.language, Subject: v.say(kind+".subject", about), Title: v.say(kind+".title", about), Lead: v.say(kind+".lead", about),
		Greeting: v.say("greeting", about), OrderLabel: v.say("order", nil), OrderID: mail.OrderID, Footer: v.say("footer", nil),
	}
	for _, item := range d.Items {
		p.Items = append(p.Items, line{item.ProductName, item.Quantity, v.money(int64(item.Quantity)*item.ProductPrice, d)})
	}
	tell := func(to *[]fact, is bool, label, value string, total bool) {
		if is {
			*to = append(*to, fact{v.say(label, nil), value, total})
		}
	}
	tell(&p.Sums, d.DiscountAmount > 0, "discount", v.money(-d.DiscountAmount, d), false)
	tell(&p.Sums, d.DeliveryFee > 0, "delivery", v.money(d.DeliveryFee, d), false)
	tell(&p.Sums, d.PointAmount > 0, "points", points(d.PointAmount, v.language), false)
	tell(&p.Sums, mail.Kind == mailer.Completed, "paid", v.money(d.PaymentAmount, d), true)
	tell(&p.Sums, mail.Kind == mailer.Refunded, "refund", v.money(d.PaymentAmount, d), true)
	tell(&p.Facts, d.Carrier != "", "carrier", d.Carrier, false)
	tell(&p.Facts, d.TrackingNumber != "", "tracking", d.TrackingNumber, false)
	return p
}

func (v *vocabulary) money(amount int64, d mailer.Data) string {
	return Money(amount, d.Currency, v.language)
}

// reason says why an order was cancelled; one that this version has no words for is left out: the mail
// is about the cancellation, and it should go out.
func (v *vocabulary) reason(reason string) string {
	if v.words.Lookup("reason."+reason) == nil {
		return ""
	}
	return v.say("reason."+reason, nil)
}
