package inbox

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
)

//go:embed templates
var files embed.FS

var pages = template.Must(template.ParseFS(files, "templates/page.tmpl"))

// pageSize is how many mails a page shows.
const pageSize = 100

func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) {
	limit := 100
	var err error
	if v := r.URL.Query().Get("limit"); v != "" {
		limit, err = strconv.Atoi(v)
	}
	if err != nil || limit < 1 || limit > 1000 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "limit must be 1 to 1000")
		return
	}
	to := r.URL.Query().Get("to")
	list, more := s.box.list(query{limit: limit, picks: func(m *Message) bool { return to == "" || m.isTo(to) }})
	answer.JSON(w, http.StatusOK, answer.List[Message]{Data: list, HasMore: more})
}

func (s *Server) getMessage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.box.get(r.PathValue("id"))
	if !ok {
		answer.Refuse(w, http.StatusNotFound, "message_not_found", "no such mail")
		return
	}
	answer.JSON(w, http.StatusOK, m.whole())
}

// getPage lists mails. Unlike the API it finds receivers by a part of their address.
func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, order, before := strings.TrimSpace(q.Get("to")), strings.TrimSpace(q.Get("order")), q.Get("before")
	mails, more := s.box.list(query{before: before, limit: pageSize, picks: func(m *Message) bool {
		return m.isLike(to) && m.isAbout(order)
	}})
	older := ""
	if more {
		older = "/?" + url.Values{"to": {to}, "order": {order}, "before": {mails[len(mails)-1].ID}}.Encode()
	}
	render(w, "list", map[string]any{"Mails": mails, "Older": older, "To": to, "Order": order, "Before": before})
}

// mailPage is one mail or preview, in one of the ways to look at it.
type mailPage struct {
	Subject string
	Facts   []mailFact
	Views   []mailView
	Frame   string // URL of the mail's own HTML; "": Text is shown
	Text    string
	Raw     string // URL of the source alone
}

type mailFact struct{ Name, Value string }

type mailView struct {
	Name, URL string
	Current   bool
}

// look fills in the views of a mail at base, of which one is asked for; without a word, or without the one that is
// asked for, the first.
func (p mailPage) look(base, asked string, contents ...content) mailPage {
	current := 0
	for i, c := range contents {
		if c.name == asked {
			current = i
		}
	}
	for i, c := range contents {
		p.Views = append(p.Views, mailView{Name: c.title, URL: base + "?view=" + c.name, Current: i == current})
	}
	if len(contents) == 0 {
		return p
	}
	switch c := contents[current]; c.name {
	case "html":
		p.Frame = base + "/html"
	case "source":
		p.Raw = base + "/source"
		p.Text = c.text
	default:
		p.Text = c.text
	}
	return p
}

// content is one way to look at a mail.
type content struct{ name, title, text string }

// contentsOf leaves out what a mail does not have.
func contentsOf(html, text, source string) []content {
	var all []content
	for _, c := range []content{{"html", "HTML", html}, {"text", "Text", text}, {"source", "Source", source}} {
		if c.text != "" {
			all = append(all, c)
		}
	}
	return all
}

func (s *Server) getMailPage(w http.ResponseWriter, r *http.Request) {
	k, ok := s.box.get(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	m := k.whole()
	p := mailPage{Subject: m.Subject, Facts: []mailFact{
		{"From", m.From},
		{"To", strings.Join(m.To, ", ")},
		{"Received", m.ReceivedAt.Format("2006-01-02 15:04:05 MST")},
		{"Message-ID", first(m.Headers["Message-Id"])},
	}}
	if m.Deliveries > 1 {
		p.Facts = append(p.Facts, mailFact{"Delivered", strconv.Itoa(m.Deliveries) + " times"})
	}
	render(w, "mail", p.look("/mails/"+m.ID, r.URL.Query().Get("view"), contentsOf(m.HTML, m.Text, string(k.Source))...))
}

func (s *Server) getMailHTML(w http.ResponseWriter, r *http.Request) {
	k, ok := s.box.get(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	frame(w, k.whole().HTML)
}

func (s *Server) getMailSource(w http.ResponseWriter, r *http.Request) {
	k, ok := s.box.get(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	secure(w, "sandbox; default-src 'none'")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(k.Source)
}

func (s *Server) getStyle(w http.ResponseWriter, r *http.Request) {
	style, err := files.ReadFile("templates/style.css")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(style))
}

// render shows a page of ours: it runs nothing, and loads only its style and the frame from here.
func render(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	secure(w, "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w)
}

// frame shows a mail's own HTML, which comes from anywhere. It is a document of its own that may run no script, send
// no form, lead nowhere and load nothing, also when it is opened without the frame around it.
func frame(w http.ResponseWriter, html string) {
	secure(w, "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(html))
}

func secure(w http.ResponseWriter, policy string) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
}
