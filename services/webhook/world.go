// Package webhook decides which facts are sent to which of the merchants' HTTP endpoints, and what operators may change
// about those. Everything here is a pure function of the World and one input; no clock, no I/O. Sending is not decided
// here: it is the work of package deliver, on the rows that these decisions leave.
package webhook

import (
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change. There is no inbox: a delivery is of one endpoint and one
// event, and the first row of the two counts, so an event that comes again changes nothing.
type World struct {
	Rules Rules
	// Endpoints by id: for events those that are enabled, for a command the one it names; none that was deleted.
	Endpoints flow.Rows[string, Endpoint]
	// Count is how many endpoints there are; only Create asks.
	Count int
	// Facts by event id, and Deliveries by DeliveryKey. For events neither is loaded: Save leaves what is there already.
	Facts      flow.Rows[string, Fact]
	Deliveries flow.Rows[string, Delivery]
	// More names the endpoints that have more deliveries to recover than were loaded.
	More map[string]bool
}

// Rules are the figures that the configuration gives.
type Rules struct {
	// MaxEndpoints is how many there may be.
	MaxEndpoints int
	// GiveUpAfter is how long a delivery is tried.
	GiveUpAfter time.Duration
	// Retention is how long facts, deliveries and attempts are kept.
	Retention time.Duration
}

// AllEvents in Endpoint.Events subscribes to every type, also to those that are yet to come.
const AllEvents = "*"

// OldSecretFor is how long the secret before the last rotation signs beside the new one.
const OldSecretFor = 24 * time.Hour

// State is where an endpoint stands.
type State string

// The states of an endpoint. A deleted one is kept until its deliveries are swept away, and seen by nobody.
const (
	Enabled  State = "ENABLED"
	Disabled State = "DISABLED"
	Deleted  State = "DELETED"
)

// Why an endpoint is disabled.
const (
	ByOperator = "OPERATOR"
	// Gone: it answered 410.
	Gone = "GONE"
	// Failing: nothing was delivered for so long that nobody seems to be there.
	Failing = "FAILING"
)

// Endpoint is one receiver.
type Endpoint struct {
	ID          string // UUIDv7
	URL         string
	Description string
	// Events are full types (quadrille.order.v1.OrderCompleted), or AllEvents.
	Events []string
	State  State
	// Reason why it is disabled; "" while it is enabled.
	Reason     string
	DisabledAt time.Time
	// Secret signs; OldSecret signs beside it until OldSecretUntil.
	Secret         string
	OldSecret      string
	OldSecretUntil time.Time
	// SubscribedAt is since when what Events names has been recorded without a gap.
	SubscribedAt time.Time
	// FailingSince is the first failure after the last success; zero while there is none. Only deliver writes it.
	FailingSince time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Wants says whether facts of a type are for this endpoint.
func (e Endpoint) Wants(eventType string) bool {
	return e.State == Enabled && (slices.Contains(e.Events, AllEvents) || slices.Contains(e.Events, eventType))
}

// Fact is one event as it is sent.
type Fact struct {
	EventID    string // UUIDv7; the webhook-id
	Type       string
	Subject    string // order id, or product id
	OccurredAt time.Time
	RecordedAt time.Time
	// Body is made once, so that every try, of whatever release, sends the same bytes.
	Body []byte
}

// Progress is where a delivery stands.
type Progress int16

// What a delivery can be.
const (
	Pending   Progress = 0
	Delivered Progress = 1
	GivenUp   Progress = 2
)

func (p Progress) String() string { return [...]string{"PENDING", "DELIVERED", "GIVEN_UP"}[p] }

// Delivery is one fact on its way to one endpoint.
type Delivery struct {
	EndpointID string
	EventID    string
	Progress   Progress
	DueAt      time.Time
	GiveUpAt   time.Time
	// ClaimedUntil is when the claim of whoever is sending it ends; zero while nobody is.
	ClaimedUntil time.Time
	CreatedAt    time.Time
}

// DeliveryKey is the key of Deliveries.
func DeliveryKey(endpointID, eventID string) string { return endpointID + "/" + eventID }

// again has a delivery made once more. One that somebody is sending at the moment waits for the end of that claim, or
// two would be sending it.
func (d Delivery) again(r Rules, now time.Time) Delivery {
	d.Progress, d.DueAt, d.GiveUpAt = Pending, now, now.Add(r.GiveUpAfter)
	if d.ClaimedUntil.After(now) {
		d.DueAt = d.ClaimedUntil
	}
	return d
}
