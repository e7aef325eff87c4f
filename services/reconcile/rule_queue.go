package reconcile

import (
	"fmt"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
)

// queues judges what is on its way, in two looks: the same event at the head of an outbox both times does
// not get out.
func queues(first, second map[string]host.Queues) []Difference {
	var found []Difference
	for _, service := range services {
		q := second[service]
		for _, f := range q.Parked {
			found = append(found, Difference{
				Rule: "queue_parked", Row: service + ".failure", OrderID: f.Subject, Services: []string{service},
				Sentence: fmt.Sprintf("%s has parked %s at %s: it cannot handle %s (%s), and %d events wait.",
					service, f.Subject, f.FailedAt.UTC().Format(time.RFC3339), f.EventType, f.Error, f.Queued),
				Repair: []string{fmt.Sprintf("quadrille dlq replay --service %s --subject %s", service, f.Subject)},
				Advice: "Mend the cause first: the same event fails again otherwise.",
			})
		}
		for _, c := range q.Calls {
			found = append(found, Difference{
				Rule: "queue_calls", Row: service + ".call", OrderID: c.Subject, Services: []string{service}, Repair: []string{},
				Sentence: fmt.Sprintf("%s has made the call %q for %s %d times and knows no outcome (%s).", service, c.Kind, c.Subject, c.Attempts, c.LastError),
				Advice:   "It is tried on under the same key. Is the one that is called there? Its own pages say what it knows of the key.",
			})
		}
		if q.OldestOutbox > 0 && q.OldestOutbox == first[service].OldestOutbox {
			found = append(found, Difference{
				Rule: "queue_outbox", Row: service + ".outbox", Services: []string{service}, Repair: []string{},
				Sentence: fmt.Sprintf("%s has %d events that do not get out: the first one was the same in both looks.", service, q.Outbox),
				Advice:   "Is the broker there, and does a relay of the service say that it is elected (/readyz)?",
			})
		}
	}
	return found
}
