package check

import "time"

// leftRules: nothing is left to do.
var leftRules = []Rule{
	{"not-final", "Every order becomes final.", notFinal},
	{"final-late", "Every order is final within 5 minutes of the last fault.", finalLate},
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

func finalLate(j *judge) {
	if j.FinalAt.IsZero() || j.FinalAt.Sub(j.LastFault) > FinalWithin {
		j.violated("", "%s after the last fault there were still orders that were not final", FinalWithin)
	}
	for i := range j.Orders {
		o := &j.Orders[i]
		since := j.LastFault
		if o.Created.After(since) {
			since = o.Created
		}
		if at := j.finalAt(o); at.Sub(since) > FinalWithin {
			j.violated(o.ID, "it was final %s after the last fault", at.Sub(since))
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
