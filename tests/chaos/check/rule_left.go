package check

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// leftRules: nothing is left to do.
var leftRules = []Rule{
	{"not-final", "Every order becomes final.", notFinal},
	{"final-late", "Every order is final within 5 minutes of the last fault.", finalLate},
	{"died", "No process panics, or ends by itself while nothing is wrong around it.", died},
	{"left-over", "At rest no outbox, no call, no parked event and no unread record is left.", leftOver},
}

func notFinal(j *judge) {
	for i := range j.Orders {
		if o := &j.Orders[i]; !o.final() {
			j.violated(o.ID, "it is %s and waits for %s", o.Status, o.Progress)
		}
	}
}

// finalAt is when an order became final, by its events; zero while it is not.
func (j *judge) finalAt(o *Order) time.Time {
	var at time.Time
	if !o.final() {
		return at
	}
	for _, e := range j.about[o.ID] {
		switch e.Type {
		case "OrderCompleted", "OrderCancelled", "StockIncreased", "ShipmentCancelRefused":
			if e.At.After(at) {
				at = e.At
			}
		}
	}
	return at
}

// lateness is how long after the last fault an order became final, or after it was placed or its cancel
// was asked for, where that was later; 0 for one that was final before.
func (j *judge) lateness(o *Order, cancelled map[string]time.Time) time.Duration {
	since := j.LastFault
	for _, at := range []time.Time{o.Created, cancelled[o.ID]} {
		if at.After(since) {
			since = at
		}
	}
	return max(j.finalAt(o).Sub(since), 0)
}

// cancels says when the last cancel of each order was asked for.
func (j *judge) cancels() map[string]time.Time {
	at := map[string]time.Time{}
	for i := range j.Calls {
		if c := &j.Calls[i]; c.Op == history.Cancel && c.At.After(at[c.Target]) {
			at[c.Target] = c.At
		}
	}
	return at
}

// LongestToFinal is the longest that any order took to become final after the last fault.
func LongestToFinal(e *Evidence) time.Duration {
	j, longest := newJudge(e), time.Duration(0)
	cancelled := j.cancels()
	for i := range j.Orders {
		longest = max(longest, j.lateness(&j.Orders[i], cancelled))
	}
	return longest
}

func finalLate(j *judge) {
	if j.FinalAt.IsZero() || j.FinalAt.Sub(j.LastFault) > FinalWithin {
		j.violated("", "%s after the last fault there were still orders that were not final", FinalWithin)
	}
	cancelled := j.cancels()
	for i := range j.Orders {
		if late := j.lateness(&j.Orders[i], cancelled); late > FinalWithin {
			j.violated(j.Orders[i].ID, "it was final %s after the last fault", late)
		}
	}
}

func leftOver(j *judge) {
	for _, service := range sorted(j.Services) {
		l := j.Services[service]
		if l.Outbox > 0 {
			j.violated("", "%s: %d events are in the outbox", service, l.Outbox)
		}
		for _, line := range l.Calls {
			j.violated("", "%s: a call waits: %s", service, line)
		}
		for _, line := range l.Parked {
			j.violated("", "%s: parked: %s", service, line)
		}
		for at, next := range l.Fences {
			if end := j.Ends[at]; next < end {
				j.violated("", "%s has read %s/%d up to %d, and it ends at %d", service, at.Topic, at.Partition, next, end)
			}
		}
	}
}

// died: a service that cannot go on, because its database is away for instance, ends itself with status 1
// and is started again. Any other status is a panic or a data race.
func died(j *judge) {
	for _, d := range j.Deaths {
		switch {
		case strings.HasPrefix(d.How, "exit status ") && d.How != "exit status 1":
			j.violated("", "%s ended with %s at %s: %s", d.Process, d.How, d.At.UTC().Format(clock), d.Tail)
		case d.Undisturbed:
			j.violated("", "%s ended with %s at %s, when nothing was wrong around it: %s", d.Process, d.How, d.At.UTC().Format(clock), d.Tail)
		}
	}
}
