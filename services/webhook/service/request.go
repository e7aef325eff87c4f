package service

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/outward"
	"github.com/quadrille-io/quadrille/services/webhook/sign"
)

// longestText bounds a description, in characters.
const longestText = 500

// createRequest is POST /ops/v1/webhooks. Reasons are for the gateway's audit.
type createRequest struct {
	URL         *string  `json:"url"`
	Events      []string `json:"events"`
	Description *string  `json:"description"`
	Reason      *string  `json:"reason"`
}

func (r createRequest) command(p outward.Policy) (webhook.Create, error) {
	var bad web.Fields
	bad.Missing("/url", r.URL == nil)
	bad.Missing("/events", r.Events == nil)
	checkURL(&bad, p, r.URL)
	checkEvents(&bad, r.Events)
	checkText(&bad, "/description", r.Description)
	if err := bad.Err(); err != nil {
		return webhook.Create{}, err
	}
	c := webhook.Create{
		ID: uuid.Must(uuid.NewV7()).String(), URL: *r.URL, Events: set(r.Events), Secret: sign.NewSecret(),
	}
	if r.Description != nil {
		c.Description = *r.Description
	}
	return c, nil
}

// updateRequest is PATCH /ops/v1/webhooks/{webhookId}; what is absent stays.
type updateRequest struct {
	URL         *string  `json:"url"`
	Events      []string `json:"events"`
	Description *string  `json:"description"`
	Enabled     *bool    `json:"enabled"`
	Reason      *string  `json:"reason"`
}

func (r updateRequest) command(p outward.Policy, id string) (webhook.Update, error) {
	var bad web.Fields
	checkURL(&bad, p, r.URL)
	checkEvents(&bad, r.Events)
	checkText(&bad, "/description", r.Description)
	if err := bad.Err(); err != nil {
		return webhook.Update{}, err
	}
	c := webhook.Update{ID: id, URL: r.URL, Description: r.Description, Enabled: r.Enabled}
	if r.Events != nil {
		c.Events = set(r.Events)
	}
	return c, nil
}

// reasonRequest is the body of what needs nothing more.
type reasonRequest struct {
	Reason *string `json:"reason"`
}

// resendRequest is POST /ops/v1/webhooks/{webhookId}/resend.
type resendRequest struct {
	EventID *string `json:"eventId"`
	Reason  *string `json:"reason"`
}

func (r resendRequest) command(id string) (webhook.Resend, error) {
	var bad web.Fields
	bad.Missing("/eventId", r.EventID == nil)
	if r.EventID == nil {
		return webhook.Resend{}, bad.Err()
	}
	event, err := uuid.Parse(*r.EventID)
	bad.Invalid("/eventId", err != nil, "The id of an event is a UUID.")
	return webhook.Resend{ID: id, EventID: event.String()}, bad.Err()
}

// recoverRequest is POST /ops/v1/webhooks/{webhookId}/recover.
type recoverRequest struct {
	Since  *time.Time `json:"since"`
	Reason *string    `json:"reason"`
}

// The years that PostgreSQL and JSON both know.
const firstYear, lastYear = 1970, 9999

func (r recoverRequest) command(id string) (webhook.Recover, error) {
	var bad web.Fields
	bad.Missing("/since", r.Since == nil)
	if r.Since == nil {
		return webhook.Recover{}, bad.Err()
	}
	year := r.Since.UTC().Year()
	bad.Invalid("/since", year < firstYear || year > lastYear, "The years 1970 to 9999 can be asked for.")
	return webhook.Recover{ID: id, Since: r.Since.UTC()}, bad.Err()
}

func checkURL(bad *web.Fields, p outward.Policy, raw *string) {
	if raw == nil {
		return
	}
	if err := p.CheckURL(*raw); err != nil {
		bad.Invalid("/url", true, "No delivery can be made to it: "+err.Error()+".")
	}
}

func checkEvents(bad *web.Fields, events []string) {
	if events == nil {
		return
	}
	known := webhook.Types()
	unknown := slices.ContainsFunc(events, func(name string) bool {
		return name != webhook.AllEvents && !slices.Contains(known, name)
	})
	bad.Invalid("/events", len(events) == 0 || unknown, `It is a list of event types, such as quadrille.order.v1.OrderCompleted, or of "*" for all of them.`)
	bad.Invalid("/events", len(events) > 1 && slices.Contains(events, webhook.AllEvents), `With "*" there is nothing to add.`)
}

func checkText(bad *web.Fields, pointer string, text *string) {
	if text == nil {
		return
	}
	bad.Invalid(pointer, utf8.RuneCountInString(*text) > longestText || strings.ContainsRune(*text, 0),
		"It is at most 500 characters long.")
}

// set sorts names and leaves out those that stand twice.
func set(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
