package gateway

import (
	"cmp"
	"slices"
	"time"
)

// Line is one event of an order as its timeline shows it.
type Line struct {
	ID string `json:"id"`
	// Type is the short name: StockDecreased.
	Type       string    `json:"type"`
	Service    string    `json:"service"`
	OccurredAt time.Time `json:"occurredAt"`
	// CausationID is the event that caused this one; nil for the first.
	CausationID *string `json:"causationId"`
	// Ignored says why the one it was for did not act on it; nil if it did.
	Ignored *string `json:"ignored"`
	// Summary is one line for a person; no personal data.
	Summary string `json:"summary"`
	// Findings say against which rules of the declared choreography the event stands.
	Findings []Badge `json:"findings,omitempty"`
}

// Badge is one finding as a timeline shows it.
type Badge struct {
	Rule   Rule   `json:"rule"`
	Detail string `json:"detail"`
}

// Explain lists an order's events with causes before effects, and says which were ignored.
func Explain(events []Event) []Line {
	sorted := Sort(events)
	t := newTale(sorted)
	lines := make([]Line, len(sorted))
	for i, e := range sorted {
		lines[i] = Line{
			ID: e.ID, Type: e.Name(), Service: e.Service, OccurredAt: e.OccurredAt.UTC(), Summary: Summary(e),
		}
		if e.Causation != "" {
			lines[i].CausationID = &e.Causation
		}
		if why := t.ignored(e); why != "" {
			lines[i].Ignored = &why
		}
		for _, f := range e.Findings {
			lines[i].Findings = append(lines[i].Findings, Badge{Rule: f.Rule, Detail: f.Detail})
		}
	}
	return lines
}

// Sort puts causes before effects and each service's events in their sequence; where that leaves a choice, time
// decides. Time alone would not do: the services' clocks differ, and a batch gives all its events the same moment.
func Sort(events []Event) []Event {
	rest := slices.SortedFunc(slices.Values(events), byTime)
	waits := dependencies(rest)
	placed := map[string]bool{}
	out := make([]Event, 0, len(rest))
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(e Event) bool {
			return !slices.ContainsFunc(waits[e.ID], func(id string) bool { return !placed[id] })
		})
		if i < 0 {
			i = 0 // a circle: only a broken envelope can make one, and it must not hide the rest
		}
		placed[rest[i].ID] = true
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return out
}

// dependencies lists, for each event, which of the others have to stand before it.
func dependencies(events []Event) map[string][]string {
	there := map[string]bool{}
	byService := map[string][]Event{}
	for _, e := range events {
		there[e.ID] = true
		byService[e.Service] = append(byService[e.Service], e)
	}
	waits := map[string][]string{}
	for _, e := range events {
		if e.Causation != e.ID && there[e.Causation] {
			waits[e.ID] = append(waits[e.ID], e.Causation)
		}
	}
	for _, own := range byService {
		slices.SortStableFunc(own, func(a, b Event) int { return cmp.Compare(a.Sequence, b.Sequence) })
		for i := 1; i < len(own); i++ {
			if own[i-1].Sequence < own[i].Sequence {
				waits[own[i].ID] = append(waits[own[i].ID], own[i-1].ID)
			}
		}
	}
	return waits
}

func byTime(a, b Event) int {
	return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.ID, b.ID))
}

// Live lists the events that may be told to a follower now, in the order in which they became tellable: an event waits
// for its cause, which may come later, as it stands on another topic. held are those that wait.
//
// The order only ever grows at its end: an event's rank is the arrival of the last of itself and its causes. So a
// follower who comes back with the id of the last event it saw gets all that came after it, and nothing is lost.
// release names events that have waited long enough for a cause that does not come.
func Live(events []Event, release func(id string) bool) (ready, held []Event) {
	byID := map[string]Event{}
	for _, e := range events {
		byID[e.ID] = e
	}
	ranks := map[string]int64{}
	const waiting = -1
	for _, e := range Sort(events) { // causes first, so a cause's rank is known
		rank := e.Position
		if _, there := byID[e.Causation]; e.Causation != "" && e.Causation != e.ID {
			switch up, known := ranks[e.Causation]; {
			case !there && !release(e.ID), known && up == waiting:
				rank = waiting
			case known:
				rank = max(rank, up)
			}
		}
		ranks[e.ID] = rank
		if rank == waiting {
			held = append(held, e)
		} else {
			ready = append(ready, e)
		}
	}
	slices.SortStableFunc(ready, func(a, b Event) int { return cmp.Compare(ranks[a.ID], ranks[b.ID]) })
	return ready, held
}
