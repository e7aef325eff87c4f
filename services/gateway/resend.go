package gateway

import "slices"

// Newest is the last event of any of the types (short names) that its service decided about a subject.
func Newest(events []Event, types []string) (newest Event, found bool) {
	for _, e := range events {
		if slices.Contains(types, e.Name()) && (!found || e.Sequence > newest.Sequence) {
			newest, found = e, true
		}
	}
	return newest, found
}

// Repeats names the events that only say again what the event they name as their cause said: see
// flow.Resend. All others of a type are caused by something else.
func Repeats(events []Event) map[string]bool {
	first := map[string]Event{}
	for _, e := range events {
		first[e.ID] = e
	}
	repeats := map[string]bool{}
	for _, e := range events {
		if cause, known := first[e.Causation]; known && cause.Type == e.Type && cause.Service == e.Service && e.Command != "" {
			repeats[e.ID] = true
		}
	}
	return repeats
}
