package service_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

const webhooks = "/webhooks/shipping/simulator"

func notice(id, booking, order, status string) string {
	return fmt.Sprintf(`{"id":%q,"bookingId":%q,"reference":%q,"status":%q,"occurredAt":"2026-01-01T00:00:00Z"}`, id, booking, order, status)
}

// Nobody but the carrier, and only now: whatever else comes in changes nothing.
func TestForgedWebhooks(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.complete("kim-home")
	r.want(order, 1, trigger, prepared(order))
	booking := r.firm.parcels(order)[0].BookingID
	body, now := notice("w1", booking, order, "dispatched"), time.Now()
	genuine := signed(secret, now, body)
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		status     int
		code       string
	}{
		"no signature":        {webhooks, body, nil, 401, "invalid_signature"},
		"another secret":      {webhooks, body, signed("whsec_other", now, body), 401, "invalid_signature"},
		"another body":        {webhooks, body + " ", genuine, 401, "invalid_signature"},
		"another time":        {webhooks, body, []string{genuine[0], "1", genuine[2], genuine[3]}, 401, "invalid_signature"},
		"too old":             {webhooks, body, signed(secret, now.Add(-310*time.Second), body), 401, "invalid_signature"},
		"from the future":     {webhooks, body, signed(secret, now.Add(310*time.Second), body), 401, "invalid_signature"},
		"nobody's carrier":    {"/webhooks/shipping/other", body, genuine, 404, "not_found"},
		"not understood":      {webhooks, "[]", signed(secret, now, "[]"), 400, "invalid_field"},
		"parcel has not left": {webhooks, body, genuine, 503, "service_unavailable"},
	} {
		if a := r.Call("", "POST", c.path, c.body, c.headers...); a.Status != c.status || a.Code() != c.code {
			t.Errorf("%s: %d %v, want %d %s", name, a.Status, a.Body, c.status, c.code)
		}
	}
	for _, unknown := range []string{
		notice("w2", booking, rig.NewID(), "dispatched"), notice("w3", "another", order, "dispatched"), strings.Replace(notice("w4", booking, "ORDER", "dispatched"), "ORDER", `x\u0000`, 1),
	} {
		if a := r.Call("", "POST", webhooks, unknown, signed(secret, now, unknown)...); a.Status != 404 {
			t.Errorf("%s: %d %v", unknown, a.Status, a.Body)
		}
	}
	if n := r.Emitted(order); n != 1 {
		t.Errorf("%d events of forged webhooks", n-1)
	}
}

// The same webhook again, late, or many times at once, is answered the same and told once. Both secrets
// hold while the carrier changes them.
func TestWebhookAgain(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.firm.advance(order, "delivered") // before anybody hears of the dispatch
	left := r.want(order, 2, booked, dispatched(order))
	r.want(order, 3, left, delivered(order))
	booking := r.firm.parcels(order)[0].BookingID
	var sent sync.WaitGroup
	for i := range 20 {
		sent.Go(func() {
			body := notice(fmt.Sprint("w", i%2), booking, order, []string{"dispatched", "delivered"}[i%2])
			if a := r.Call("", "POST", webhooks, body, signed([]string{secret, "old"}[i/10], time.Now(), body)...); a.Status != 204 {
				t.Errorf("webhook: %d %v", a.Status, a.Body)
			}
		})
	}
	sent.Wait()
	if n := r.Emitted(order); n != 3 {
		t.Errorf("%d events, want the three", n)
	}
}

// A webhook that comes before we know of the parcel is refused, and the refusal is not remembered: the
// carrier sends it again, and then it counts.
func TestWebhookComesTooEarly(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order := rig.NewID()
	// Booked under our key by a life of ours that ended before it had written anything down.
	booking := r.firm.book("parcel-"+order, order)
	r.firm.advance(order, "dispatched")
	early := notice("early", booking, order, "dispatched")
	if a := r.Call("", "POST", webhooks, early, signed(secret, time.Now(), early)...); a.Status != 404 {
		t.Errorf("before the shipment: %d %v", a.Status, a.Body)
	}
	trigger := r.completed(order, "kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.want(order, 2, booked, dispatched(order))
	if a := r.Call("", "POST", webhooks, early, signed(secret, time.Now(), early)...); a.Status != 204 {
		t.Errorf("the same again: %d %v", a.Status, a.Body)
	}
	r.untilTold()
}

// The webhook is a hint: while the carrier's API does not confirm it, it is to be sent again.
func TestWebhookWhileTheCarrierIsDown(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	booking := r.firm.parcels(order)[0].BookingID
	r.firm.fault(outage.Fault{Mode: outage.Down})
	r.firm.advanceParcel(booking, "dispatched") // the van drives all the same
	body := notice("w", booking, order, "dispatched")
	a := r.Call("", "POST", webhooks, body, signed(secret, time.Now(), body)...)
	if a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("while the carrier is down: %d %v", a.Status, a.Body)
	}
	r.firm.fault(outage.Fault{})
	r.want(order, 2, booked, dispatched(order))
	r.untilTold()
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, patience)
	order, trigger := r.complete("kim-home")
	r.want(order, 1, trigger, prepared(order))
	path := "/api/v1/orders/" + order + "/shipment"
	for _, c := range []struct {
		token, method, path string
		status              int
		code                string
	}{
		{"", "GET", path, 401, "unauthenticated"},
		{r.Token("lee"), "GET", path, 404, "not_found"}, // somebody else's
		{r.Token("kim"), "GET", "/api/v1/orders/" + rig.NewID() + "/shipment", 404, "not_found"},
		{r.Token("kim"), "GET", "/api/v1/orders/%00/shipment", 404, "not_found"},
		{r.Token("ops", "operator"), "GET", "/api/v1/orders/" + rig.NewID() + "/shipment", 404, "not_found"},
		{r.Token("lee", "other"), "GET", path, 404, "not_found"},
		{r.Token("kim"), "POST", path, 405, "method_not_allowed"},
		{"", "GET", webhooks, 405, "method_not_allowed"},
		{r.Token("kim"), "GET", "/internal/v1/failures", 403, "forbidden"},
	} {
		if a := r.Call(c.token, c.method, c.path, ""); a.Status != c.status || a.Code() != c.code {
			t.Errorf("%s %s: %d %v, want %d %s", c.method, c.path, a.Status, a.Body, c.status, c.code)
		}
	}
	if a := r.Call(r.Token("ops", "operator"), "GET", path, ""); a.Status != 200 || a.Body["status"] != "PREPARED" {
		t.Errorf("an operator: %d %v", a.Status, a.Body)
	}
}
