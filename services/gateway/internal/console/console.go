// Package console is the operators' pages: plain HTML made on the server, with one style sheet and no script. They
// read the gateway's own read model, so they answer also while the services they are about do not.
package console

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// Parts is what the pages need.
type Parts struct {
	Pool     *pgxpool.Pool
	Verifier *web.Verifier
	// Failures lists what is parked in all services, and names those that did not answer.
	Failures func(ctx context.Context, c upstream.Caller) ([]Group, []string, error)
}

// Group is one group of parked orders.
type Group struct {
	Service, EventType, Fingerprint, Error string
	Count, Queued                          int
	Subjects                               []string
	Since                                  time.Time
	NextRetryAt                            *time.Time
}

//go:embed page/*.html console.css
var files embed.FS

// pages are one template set each: the layout and the page's own part.
var pages = func() map[string]*template.Template {
	set := map[string]*template.Template{}
	for _, name := range []string{"orders", "order", "failures", "login", "message"} {
		set[name] = template.Must(template.New("layout.html").Funcs(functions).
			ParseFS(files, "page/layout.html", "page/"+name+".html"))
	}
	return set
}()

var functions = template.FuncMap{
	"money": gateway.Money,
	"iso":   func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
	"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"short": shortID,
	"tone":  tone,
}

// shortID is the end of an id: UUIDv7 begin alike when they were made together.
func shortID(id string) string {
	if len(id) <= 12 {
		return id
	}
	return "…" + id[len(id)-8:]
}

// tone is the style of a status: what waits, what is well, what was undone.
func tone(s gateway.Status) string {
	switch s {
	case gateway.Completed, gateway.Shipped, gateway.Delivered:
		return "good"
	case gateway.Cancelled:
		return "off"
	default:
		return "wait"
	}
}

// render draws a page whole before a byte is sent, so that a mistake in it is an error and not half a page.
func render(page string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := pages[page].ExecuteTemplate(&out, "layout.html", data); err != nil {
		return nil, fmt.Errorf("draw the page %s: %w", page, err)
	}
	return out.Bytes(), nil
}

// view is what every page gets.
type view struct {
	Title string
	// At is the current entry of the navigation.
	At string
	// Operator is who is signed in, "" for nobody.
	Operator string
	Body     any
}

type ordersView struct {
	Orders   []gateway.Order
	Statuses []gateway.Status
	Steps    []gateway.Step
	Status   gateway.Status
	Step     gateway.Step
	// Older is the address of the next page, "" if there is none.
	Older string
	Paged bool
}

type orderView struct {
	Order gateway.Order
	Lines []entry
}

// entry is one line of a timeline with what only operators see.
type entry struct {
	gateway.Line
	Event gateway.Event
	// Cause is the event that caused it, if it is in the timeline.
	Cause *gateway.Line
	// After is the time since the first event.
	After string
}

func timeline(events []gateway.Event) []entry {
	byID := map[string]gateway.Event{}
	for _, e := range events {
		byID[e.ID] = e
	}
	lines := gateway.Explain(events)
	at := map[string]*gateway.Line{}
	entries := make([]entry, len(lines))
	for i := range lines {
		line := &lines[i]
		at[line.ID] = line
		entries[i] = entry{Line: *line, Event: byID[line.ID], After: since(lines[0].OccurredAt, line.OccurredAt)}
		if line.CausationID != nil {
			entries[i].Cause = at[*line.CausationID]
		}
	}
	return entries
}

func since(start, t time.Time) string {
	d := t.Sub(start)
	switch {
	case d < time.Second:
		return fmt.Sprintf("+%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("+%.1f s", d.Seconds())
	}
	return "+" + d.Round(time.Second).String()
}

type failuresView struct {
	Groups      []Group
	Unavailable []string
}

type messageView struct{ Text string }

type loginView struct{ Problem string }
