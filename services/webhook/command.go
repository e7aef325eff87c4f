package webhook

import "time"

// Create is POST /ops/v1/webhooks. The edge has checked the URL and the events, and made id and secret.
type Create struct {
	ID          string
	URL         string
	Events      []string
	Description string
	Secret      string
}

// Subject is the same for all: they are made one after the other, so that their number is bounded.
func (Create) Subject() string { return "webhooks" }

// Update is PATCH /ops/v1/webhooks/{webhookId}; what is nil stays.
type Update struct {
	ID          string
	URL         *string
	Events      []string
	Description *string
	Enabled     *bool
}

// Subject is the endpoint.
func (c Update) Subject() string { return c.ID }

// Rotate is POST /ops/v1/webhooks/{webhookId}/rotate-secret. The edge has made the new secret.
type Rotate struct{ ID, Secret string }

// Subject is the endpoint.
func (c Rotate) Subject() string { return c.ID }

// Delete is DELETE /ops/v1/webhooks/{webhookId}.
type Delete struct{ ID string }

// Subject is the endpoint.
func (c Delete) Subject() string { return c.ID }

// Resend is POST /ops/v1/webhooks/{webhookId}/resend.
type Resend struct{ ID, EventID string }

// Subject is the endpoint.
func (c Resend) Subject() string { return c.ID }

// Recover is POST /ops/v1/webhooks/{webhookId}/recover: what was given up since then is tried once more. One call
// takes up to RecoverLimit.
type Recover struct {
	ID    string
	Since time.Time
}

// RecoverLimit is the most deliveries of one Recover.
const RecoverLimit = 1000

// Subject is the endpoint.
func (c Recover) Subject() string { return c.ID }

// Test is POST /ops/v1/webhooks/{webhookId}/test. The edge has made the event's id.
type Test struct{ ID, EventID string }

// Subject is the endpoint.
func (c Test) Subject() string { return c.ID }

// EndpointView is an endpoint as the API shows it.
type EndpointView struct {
	ID          string   `json:"webhookId"`
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	// DisabledReason is OPERATOR, GONE (it answered 410) or FAILING.
	DisabledReason *string    `json:"disabledReason"`
	DisabledAt     *time.Time `json:"disabledAt"`
	FailingSince   *time.Time `json:"failingSince"`
	// RecordedSince: what happened before and was not recorded for this endpoint cannot be sent to it.
	RecordedSince       time.Time  `json:"recordedSince"`
	OldSecretValidUntil *time.Time `json:"oldSecretValidUntil"`
	CreatedAt           time.Time  `json:"createdAt"`
	UpdatedAt           time.Time  `json:"updatedAt"`
	// Secret is shown once, by what made it.
	Secret string `json:"secret,omitempty"`
}

// View is what the API shows of an endpoint: all but its secrets.
func (e Endpoint) View() EndpointView {
	v := EndpointView{
		ID: e.ID, URL: e.URL, Events: e.Events, Description: e.Description, Enabled: e.State == Enabled,
		DisabledAt: orNull(e.DisabledAt), FailingSince: orNull(e.FailingSince), RecordedSince: e.SubscribedAt,
		OldSecretValidUntil: orNull(e.OldSecretUntil), CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	if e.Reason != "" {
		v.DisabledReason = &e.Reason
	}
	return v
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Queued is what a Resend or a Test is answered: the attempts of the event tell what becomes of it.
type Queued struct {
	EventID string `json:"eventId"`
}

// Recovered is what a Recover is answered.
type Recovered struct {
	// Queued is how many deliveries are tried once more, More whether there are others: ask again.
	Queued int  `json:"queued"`
	More   bool `json:"more"`
	// RecordedSince is since when everything was recorded for the endpoint. With Complete false, something may have
	// happened after the asked time that was not recorded, and cannot be sent.
	RecordedSince time.Time `json:"recordedSince"`
	Complete      bool      `json:"complete"`
}
