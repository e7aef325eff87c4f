package inbox

import (
	"bytes"
	"html/template"
	"net/http"
	"strconv"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
)

// pageSize is how many mails the page shows.
const pageSize = 200

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
	list, more := s.box.list(r.URL.Query().Get("to"), limit)
	answer.JSON(w, http.StatusOK, answer.List[Message]{Data: list, HasMore: more})
}

func (s *Server) getMessage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.box.get(r.PathValue("id"))
	if !ok {
		answer.Refuse(w, http.StatusNotFound, "message_not_found", "no such mail")
		return
	}
	answer.JSON(w, http.StatusOK, m)
}

func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	mails, more := s.box.list(to, pageSize)
	render(w, "list", map[string]any{"Mails": mails, "More": more, "To": to})
}

func (s *Server) getMailPage(w http.ResponseWriter, r *http.Request) {
	m, ok := s.box.get(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	render(w, "mail", m)
}

// render shows a page. The mail's own HTML comes from anywhere, so it stands in
// a frame that may run no scripts, and the page loads nothing from outside.
func render(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = page.WriteTo(w)
}

var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.}}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #8886; vertical-align: top; }
td { overflow-wrap: anywhere; }
time { white-space: nowrap; }
dt { font-weight: 600; float: left; clear: left; width: 7rem; }
dd { margin-left: 7rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid #8886; padding: 1rem; }
iframe { width: 100%; height: 30rem; border: 1px solid #8886; background: #fff; }
</style></head><body>{{end}}

{{define "list"}}{{template "head" "Inbox"}}
<main><h1>Inbox</h1>
<form><label for="to">To</label> <input id="to" name="to" type="search" value="{{.To}}" placeholder="name@example.com"> <button>Show</button></form>
{{if .Mails}}<table><caption>Newest first{{if .More}}; older ones are not shown{{end}}</caption>
<thead><tr><th scope="col">Received</th><th scope="col">To</th><th scope="col">Subject</th></tr></thead><tbody>
{{range .Mails}}<tr><td><time datetime="{{.ReceivedAt.Format "2006-01-02T15:04:05Z07:00"}}">{{.ReceivedAt.Format "2006-01-02 15:04:05"}}</time></td>
<td>{{range $i, $a := .To}}{{if $i}}, {{end}}{{$a}}{{end}}</td><td><a href="/mails/{{.ID}}">{{or .Subject "(no subject)"}}</a></td></tr>
{{end}}</tbody></table>
{{else}}<p>No mails{{if .To}} to {{.To}}{{end}} yet.</p>{{end}}
</main></body></html>{{end}}

{{define "mail"}}{{template "head" .Subject}}
<main><p><a href="/">Inbox</a></p><h1>{{or .Subject "(no subject)"}}</h1>
<dl><dt>From</dt><dd>{{.From}}</dd><dt>To</dt><dd>{{range $i, $a := .To}}{{if $i}}, {{end}}{{$a}}{{end}}</dd>
<dt>Received</dt><dd>{{.ReceivedAt.Format "2006-01-02 15:04:05 MST"}}</dd>{{if gt .Deliveries 1}}<dt>Delivered</dt><dd>{{.Deliveries}} times</dd>{{end}}</dl>
{{if .Text}}<h2>Text</h2><pre>{{.Text}}</pre>{{end}}
{{if .HTML}}<h2>HTML</h2><iframe title="The mail as HTML" sandbox srcdoc="{{.HTML}}"></iframe>{{end}}
<h2>Headers</h2><dl>{{range $name, $values := .Headers}}{{range $values}}<dt>{{$name}}</dt><dd>{{.}}</dd>{{end}}{{end}}</dl>
</main></body></html>{{end}}
`))
