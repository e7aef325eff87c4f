package service

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/outward"
)

var policy = outward.Policy{Ports: []uint16{443, 8443}}

// FuzzEndpoint: whatever is sent to make or change a webhook is refused as a mistake of the caller's, or is something
// that a delivery can be made to.
func FuzzEndpoint(f *testing.F) {
	f.Add([]byte(`{"url":"https://shop.example/hooks","events":["quadrille.order.v1.OrderCompleted"],"description":"d","reason":"r"}`))
	f.Add([]byte(`{"url":"https://10.0.0.1/","events":["*"]}`))
	f.Add([]byte(`{"url":"https://shop.example/","events":["*","*"],"enabled":true}`))
	f.Add([]byte(`{"url":null,"events":[],"description":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r createRequest
		if !rig.Refused(t, rig.Decode(body, &r)) {
			c, err := r.command(policy)
			if !rig.Refused(t, err) {
				usable(t, &c.URL, c.Events)
				if c.ID == "" || c.Secret == "" || c.Events == nil {
					t.Errorf("made %+v", c)
				}
			}
		}
		var u updateRequest
		if !rig.Refused(t, rig.Decode(body, &u)) {
			c, err := u.command(policy, "id")
			if !rig.Refused(t, err) {
				usable(t, c.URL, c.Events)
			}
		}
	})
}

func usable(t *testing.T, url *string, events []string) {
	t.Helper()
	if url != nil && policy.CheckURL(*url) != nil {
		t.Errorf("taken: %q", *url)
	}
	for i, name := range events {
		if name != webhook.AllEvents && !slices.Contains(webhook.Types(), name) || i > 0 && events[i-1] >= name {
			t.Errorf("taken: %q", events)
		}
	}
}

// FuzzAgain: what is to be sent once more is named so that the database understands it, or refused.
func FuzzAgain(f *testing.F) {
	f.Add([]byte(`{"eventId":"0199a1b2-0000-7000-8000-000000000001","reason":"r"}`), "")
	f.Add([]byte(`{"eventId":"urn:uuid:0199A1B2-0000-7000-8000-000000000001"}`), "{0199a1b2-0000-7000-8000-000000000001}")
	f.Add([]byte(`{"since":"2026-11-21T00:00:00+09:00"}`), "0199a1b2000070008000000000000001")
	f.Add([]byte(`{"since":"0001-01-01T00:00:00Z"}`), "x")
	f.Fuzz(func(t *testing.T, body []byte, cursor string) {
		var again resendRequest
		if !rig.Refused(t, rig.Decode(body, &again)) {
			if c, err := again.command("id"); !rig.Refused(t, err) && !plain(c.EventID) {
				t.Errorf("taken: %q", c.EventID)
			}
		}
		var since recoverRequest
		if !rig.Refused(t, rig.Decode(body, &since)) {
			if c, err := since.command("id"); !rig.Refused(t, err) && (c.Since.Year() < 1970 || c.Since.Location() != time.UTC) {
				t.Errorf("taken: %s", c.Since)
			}
		}
		if id, ok := spelled(cursor); ok && id != "" && !plain(id) {
			t.Errorf("cursor %q is %q", cursor, id)
		}
	})
}

// plain is the spelling that PostgreSQL reads whatever its version.
func plain(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }
