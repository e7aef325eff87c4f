package tracker

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// status is what one of the aggregator's codes says of a parcel.
type status struct {
	// state is "" for a code that shows nothing of whether the parcel has left.
	state carrier.State
	// word of the tracking history.
	word string
}

// statuses are the codes of TrackEventStatusCode that show a parcel on its way. AT_PICKUP is a parcel that its carrier has
// fetched: from there on nobody can stop it. UNKNOWN and INFORMATION_RECEIVED show nothing, as does every code that comes
// to the API later. There is no code for lost or returned: EXCEPTION is all of that.
var statuses = map[string]status{
	"AT_PICKUP":            {carrier.Dispatched, string(carrier.Dispatched)},
	"IN_TRANSIT":           {carrier.Dispatched, carrier.InTransit},
	"OUT_FOR_DELIVERY":     {carrier.OutForDelivery, string(carrier.OutForDelivery)},
	"ATTEMPT_FAIL":         {carrier.OutForDelivery, carrier.AttemptFailed},
	"AVAILABLE_FOR_PICKUP": {carrier.OutForDelivery, carrier.AwaitsReceiver},
	"DELIVERED":            {carrier.Delivered, string(carrier.Delivered)},
}

const codeException = "EXCEPTION"

var exception = status{carrier.Undeliverable, string(carrier.Undeliverable)}

// read makes one word of how the parcel stands, and its history. The last event is the aggregator's judgement of which
// one counts, which need not be the latest (a van's list that is entered after the delivery).
//
// EXCEPTION is also what a carrier says of a parcel that it never fetched, because the order to fetch it was withdrawn.
// So it counts only for a parcel that has been seen on its way; else a completed order would be told of a dispatch that
// never was, and could not be cancelled any more.
func read(last *trackEvent, events []trackEvent) (carrier.State, []carrier.Checkpoint) {
	left := last != nil && statuses[last.Status.Code].state != ""
	for _, e := range events {
		left = left || statuses[e.Status.Code].state != ""
	}
	if !left {
		return carrier.Booked, nil
	}
	var checkpoints []carrier.Checkpoint
	for _, e := range events {
		if c, ok := checkpoint(e); ok {
			checkpoints = append(checkpoints, c)
		}
	}
	state := carrier.Dispatched
	if last != nil {
		if s, known := meaning(last.Status.Code); known {
			state = s.state
		}
	}
	return state, checkpoints
}

// meaning of a code for a parcel that has left.
func meaning(code string) (status, bool) {
	if code == codeException {
		return exception, true
	}
	s, known := statuses[code]
	return s, known
}

// checkpoint leaves out what has no time: the history is kept by it.
func checkpoint(e trackEvent) (carrier.Checkpoint, bool) {
	s, known := meaning(e.Status.Code)
	at, err := time.Parse(time.RFC3339, e.Time)
	if !known || err != nil {
		return carrier.Checkpoint{}, false
	}
	c := carrier.Checkpoint{Status: s.word, At: at.UTC()}
	if e.Location != nil {
		c.Location = printable(e.Location.Name)
	}
	return c, true
}

// printable makes a place's name one that can be kept and shown, whatever a carrier has put there.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(strings.TrimSpace(name)); len(runes) > carrier.MaxLocation {
		return string(runes[:carrier.MaxLocation])
	}
	return strings.TrimSpace(name)
}
