package service_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// A carrier whose webhooks never come is asked: everything is told all the same, once, in order.
func TestLostWebhooks(t *testing.T) {
	t.Parallel()
	nowhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(nowhere.Close)
	r := startWith(t, map[string]string{"WEBHOOKS": nowhere.URL, "TRACKING_INTERVAL": "50ms", "TRACKING_INTERVAL_MAX": "200ms"})
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.firm.advance(order, "dispatched")
	left := r.want(order, 2, booked, dispatched(order))
	r.firm.advance(order, "out_for_delivery")
	r.wantHistory(order, "PREPARING", "PREPARED", "DISPATCHED", "OUT_FOR_DELIVERY")
	// While it cannot be asked, nothing is lost either.
	r.firm.fault(outage.Fault{Mode: outage.Down})
	r.firm.advanceParcel(r.parcelOf(order), "delivered")
	r.firm.fault(outage.Fault{})
	r.want(order, 3, left, delivered(order))
	r.wantHistory(order, "PREPARING", "PREPARED", "DISPATCHED", "OUT_FOR_DELIVERY", "DELIVERED")

	lost, trigger := r.complete("kim-home")
	booked = r.want(lost, 1, trigger, prepared(lost))
	r.firm.advance(lost, "lost")
	r.want(lost, 2, booked, dispatched(lost))
	r.wantHistory(lost, "PREPARING", "PREPARED", "DISPATCHED", "LOST")
	// Nobody is asked about either any more.
	testkit.Eventually(t, 10*time.Second, func() error {
		var n int
		err := r.Pool.QueryRow(t.Context(), `SELECT count(*) FROM parcel_watch`).Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d parcels are asked about", n)
		}
		return err
	})
	if n, m := r.Emitted(order), r.Emitted(lost); n != 3 || m != 2 {
		t.Errorf("%d and %d events, want 3 and 2", n, m)
	}
}

// parcelOf is the carrier's id of an order's parcel, as the service knows it: the carrier may be down.
func (r *system) parcelOf(order string) (id string) {
	r.T.Helper()
	if err := r.Pool.QueryRow(r.T.Context(), `SELECT booking_id FROM shipment WHERE order_id = $1`, order).Scan(&id); err != nil {
		r.T.Fatal(err)
	}
	return id
}

// A parcel that is lost, or comes back, or that nobody tells of, goes to the operators, and changes nothing for the order.
func TestOperatorsHearOfLostParcels(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	heard := map[string][]string{}
	operators := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var body struct {
			Notices []struct {
				Group    string   `json:"group"`
				Subjects []string `json:"subjects"`
			} `json:"notices"`
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, n := range body.Notices {
			heard[n.Group] = n.Subjects
		}
	}))
	t.Cleanup(operators.Close)
	r := startWith(t, map[string]string{"OPERATORS_WEBHOOK": operators.URL, "OPERATORS_EVERY": "50ms", "TRACKING_SILENCE": "1ms"})
	for _, c := range []struct{ to, status string }{{"lost", "LOST"}, {"returned", "RETURNED"}} {
		order, trigger := r.complete("kim-home")
		booked := r.want(order, 1, trigger, prepared(order))
		r.firm.advance(order, c.to)
		r.want(order, 2, booked, dispatched(order))
		r.wantHistory(order, "PREPARING", "PREPARED", "DISPATCHED", c.status)
		testkit.Eventually(t, 10*time.Second, func() error {
			mu.Lock()
			defer mu.Unlock()
			if got := heard["parcel/"+c.to]; !slices.Equal(got, []string{order}) {
				return fmt.Errorf("the operators heard %v", heard)
			}
			return nil
		})
		if n := r.Emitted(order); n != 2 {
			t.Errorf("%s: %d events, want 2", c.to, n)
		}
	}
	// A parcel that nobody tells of, for longer than is usual here.
	order, trigger := r.complete("kim-home")
	r.want(order, 1, trigger, prepared(order))
	testkit.Eventually(t, 10*time.Second, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(heard["parcel/silent"]) == 0 {
			return fmt.Errorf("the operators heard %v", heard)
		}
		return nil
	})
}

// aggregator is a tracking aggregator, by its published reference as far as the service uses it.
type aggregator struct {
	*httptest.Server
	mu      sync.Mutex
	parcels map[string]string // trackingNumber: TrackInfo
	watched map[string]string // trackingNumber: callbackUrl
	asked   int
	down    bool
}

func openAggregator(t *testing.T) *aggregator {
	t.Helper()
	a := &aggregator{parcels: map[string]string{}, watched: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	})
	mux.HandleFunc("POST /graphql", a.graphql)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *aggregator) graphql(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Query     string `json:"query"`
		Variables struct {
			TrackingNumber string `json:"trackingNumber"`
			Input          struct{ TrackingNumber, CallbackURL string }
		} `json:"variables"`
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	a.mu.Lock()
	defer a.mu.Unlock()
	info, known := a.parcels[q.Variables.TrackingNumber]
	switch {
	case a.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.HasPrefix(q.Query, "mutation"):
		a.watched[q.Variables.Input.TrackingNumber] = q.Variables.Input.CallbackURL
		fmt.Fprint(w, `{"data":{"registerTrackWebhook":true}}`)
	case known:
		a.asked++
		fmt.Fprintf(w, `{"data":{"track":%s}}`, info)
	default:
		a.asked++
		fmt.Fprint(w, `{"errors":[{"message":"?","extensions":{"code":"NOT_FOUND"}}],"data":null}`)
	}
}

// knows sets what there is to know of a parcel: codes and places, an hour apart.
func (a *aggregator) knows(number string, events ...[2]string) {
	var edges []string
	for i, e := range events {
		at := time.Date(2026, 3, 2, 9+i, 0, 0, 0, time.FixedZone("", 9*3600)).Format(time.RFC3339)
		edges = append(edges, fmt.Sprintf(`{"node":{"time":%q,"status":{"code":%q},"location":{"name":%q}}}`, at, e[0], e[1]))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parcels[number] = fmt.Sprintf(`{"lastEvent":{"status":{"code":%q}},"events":{"edges":[%s]}}`, events[len(events)-1][0], strings.Join(edges, ","))
}

func (a *aggregator) callback(number string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.watched[number]
}

// An aggregator is told where its callbacks go, and is asked when one has come; what it says is kept with its places.
// Nobody else's callback is taken, and the aggregator's is no more than a hint.
func TestAggregator(t *testing.T) {
	t.Parallel()
	a := openAggregator(t)
	r := startWith(t, map[string]string{
		"WEBHOOKS": a.URL + "/nowhere", // the carrier itself tells nothing
		"TRACKING": "tracker", "TRACKER_URL": a.URL, "TRACKER_TOKEN_URL": a.URL + "/oauth2/token", "TRACKER_CLIENT_ID": "id",
		"TRACKER_CLIENT_SECRET": "hush", "TRACKER_CARRIER_ID": "kr.cjlogistics", "TRACKING_INTERVAL": "100ms", "TRACKING_INTERVAL_MAX": "24h",
		"TRACKER_CALLBACK_URL": "https://shop.example/webhooks/shipping/tracker", "TRACKER_CALLBACK_SECRET": "0123456789abcdef",
	})
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	number := r.Await(1, rig.About(order))[0].Message.(*shippingv1.ShipmentPrepared).GetTrackingNumber()
	testkit.Eventually(t, rig.Patience, func() error {
		if a.callback(number) == "" {
			return fmt.Errorf("no callback was registered")
		}
		return nil
	})
	address, err := url.Parse(a.callback(number))
	if err != nil || address.Path != "/webhooks/shipping/tracker" {
		t.Fatalf("callbacks go to %s, %v", address, err)
	}
	body := fmt.Sprintf(`{"carrierId":"kr.cjlogistics","trackingNumber":%q}`, number)
	forged := address.Query()
	forged.Set("order", rig.NewID())
	for name, c := range map[string]struct {
		query, body string
		status      int
	}{
		"unsigned":       {"", body, 401},
		"another order":  {forged.Encode(), body, 401},
		"another parcel": {address.RawQuery, strings.Replace(body, number, "1", 1), 401},
		"no ids":         {address.RawQuery, "[]", 400},
	} {
		if got := r.Call("", "POST", address.Path+"?"+c.query, c.body); got.Status != c.status {
			t.Errorf("%s: %d %v", name, got.Status, got.Body)
		}
	}
	if got := r.Call("", "POST", "/webhooks/shipping/tracker", body); got.Code() != "invalid_signature" {
		t.Errorf("unsigned: %v", got.Body)
	}

	// From here on only a callback has the aggregator asked in time.
	if _, err := r.Pool.Exec(t.Context(), `UPDATE parcel_watch SET due_at = 'infinity', attempts = 20`); err != nil {
		t.Fatal(err)
	}
	call := func() {
		t.Helper()
		if got := r.Call("", "POST", address.Path+"?"+address.RawQuery, body); got.Status != 202 {
			t.Fatalf("the aggregator's callback: %d %v", got.Status, got.Body)
		}
	}
	a.knows(number, [2]string{"AT_PICKUP", "Seoul"}, [2]string{"IN_TRANSIT", "Okcheon"})
	call()
	left := r.want(order, 2, booked, dispatched(order))
	r.wantTold(order, "DISPATCHED", "PREPARING", "PREPARED", "DISPATCHED Seoul tracker", "IN_TRANSIT Okcheon tracker")
	a.knows(number, [2]string{"AT_PICKUP", "Seoul"}, [2]string{"IN_TRANSIT", "Okcheon"}, [2]string{"DELIVERED", "Busan"})
	for range 3 {
		call()
	}
	r.want(order, 3, left, delivered(order))
	r.wantTold(order, "DELIVERED", "PREPARING", "PREPARED", "DISPATCHED Seoul tracker", "IN_TRANSIT Okcheon tracker", "DELIVERED Busan tracker")
	call() // late
	if n := r.Emitted(order); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

// wantTold waits until the customer sees this status, and these lines with their places and sources.
func (r *system) wantTold(order, status string, want ...string) {
	r.T.Helper()
	testkit.Eventually(r.T, rig.Patience, func() error {
		got := r.Call(r.Token("kim"), "GET", "/api/v1/orders/"+order+"/shipment", "")
		var view struct {
			Status  string
			History []struct{ Status, Location, Source string }
		}
		got.Decode(r.T, &view)
		var lines []string
		for _, l := range view.History {
			lines = append(lines, strings.TrimSpace(l.Status+" "+l.Location+" "+l.Source))
		}
		if view.Status != status || !slices.Equal(lines, want) {
			return fmt.Errorf("%s, want %s %v", got.Text, status, want)
		}
		return nil
	})
}

// An aggregator that is away costs time and nothing else: its parcels are asked about again soon.
func TestAggregatorIsAway(t *testing.T) {
	t.Parallel()
	a := openAggregator(t)
	a.down = true
	r := startWith(t, map[string]string{
		"WEBHOOKS": a.URL + "/nowhere", "TRACKING": "tracker", "TRACKER_URL": a.URL, "TRACKER_TOKEN_URL": a.URL + "/oauth2/token",
		"TRACKER_CLIENT_ID": "id", "TRACKER_CLIENT_SECRET": "hush", "TRACKER_CARRIER_ID": "kr.cjlogistics",
		"TRACKING_INTERVAL": "20ms", "TRACKING_INTERVAL_MAX": "100ms",
	})
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	number := r.Await(1, rig.About(order))[0].Message.(*shippingv1.ShipmentPrepared).GetTrackingNumber()
	testkit.Eventually(t, rig.Patience, func() error {
		var attempts int
		err := r.Pool.QueryRow(t.Context(), `SELECT attempts FROM parcel_watch WHERE order_id = $1`, order).Scan(&attempts)
		if err == nil && attempts < 2 {
			err = fmt.Errorf("asked %d times", attempts)
		}
		return err
	})
	a.mu.Lock()
	a.down = false
	a.mu.Unlock()
	a.knows(number, [2]string{"IN_TRANSIT", "Okcheon"}, [2]string{"EXCEPTION", "Busan"})
	r.want(order, 2, booked, dispatched(order))
	r.wantTold(order, "UNDELIVERABLE", "PREPARING", "PREPARED", "DISPATCHED", "IN_TRANSIT Okcheon tracker", "UNDELIVERABLE Busan tracker")
}

// A carrier that cannot be reached is tried with one parcel at a time, and none of them waits for its whole turn then.
func TestCarrierIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	r := startWith(t, map[string]string{"WEBHOOKS": "http://127.0.0.1:1", "TRACKING_INTERVAL": "50ms", "TRACKING_INTERVAL_MAX": "24h"})
	order, trigger := r.complete("kim-home")
	booked := r.want(order, 1, trigger, prepared(order))
	r.firm.advance(order, "dispatched")
	r.firm.kill()
	// Its next regular turn would be in a day.
	if _, err := r.Pool.Exec(t.Context(), `UPDATE parcel_watch SET attempts = 30, due_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, rig.Patience, func() error {
		var given bool
		err := r.Pool.QueryRow(t.Context(), `
			SELECT asked_at IS NOT NULL AND due_at < clock_timestamp() + interval '1 minute' FROM parcel_watch WHERE order_id = $1`, order).Scan(&given)
		if err == nil && !given {
			err = fmt.Errorf("the parcel was not given back")
		}
		return err
	})
	r.firm.start()
	r.want(order, 2, booked, dispatched(order))
}
