package carrier_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// A parcel's history has every state since it left, each with its webhook; where it came from does not matter, and no state
// is left once it has come to its end.
func TestHistory(t *testing.T) {
	t.Parallel()
	for to, want := range map[string][]string{
		"dispatched":                          {"dispatched"},
		"out_for_delivery":                    {"dispatched", "out_for_delivery"},
		"dispatched out_for_delivery":         {"dispatched", "out_for_delivery"},
		"out_for_delivery dispatched":         {"dispatched", "out_for_delivery"},
		"out_for_delivery delivered returned": {"dispatched", "out_for_delivery", "delivered"},
		"delivered out_for_delivery":          {"dispatched", "delivered"},
		"out_for_delivery lost":               {"dispatched", "out_for_delivery", "lost"},
		"returned delivered":                  {"dispatched", "returned"},
	} {
		m := newMerchant(t, 0)
		f := start(t, carrier.Config{WebhookURL: m.URL})
		_, b := f.book("k", "04524")
		for step := range strings.FieldsSeq(to) {
			f.call("POST", "/v1/bookings/"+b.BookingID+"/advance", `{"to":"`+step+`"}`)
		}
		_, now := f.call("GET", "/v1/bookings/"+b.BookingID, "")
		var got, told []string
		last := time.Time{}
		for _, h := range now.History {
			got, told = append(got, h.Status), append(told, m.next().Status)
			if h.At.Before(last) {
				t.Errorf("%s: %s was before what came before it", to, h.Status)
			}
			last = h.At
		}
		if !slices.Equal(got, want) || !slices.Equal(told, want) || now.State != want[len(want)-1] {
			t.Errorf("%s: %s %v, told %v, want %v", to, now.State, got, told, want)
		}
	}
}
