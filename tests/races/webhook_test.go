package races_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// webhook is a carrier's notice, signed as the carrier does.
func webhook(t *testing.T, id, order, booking, status string) rest.Request {
	t.Helper()
	now := time.Now()
	body := encode(t, fields{"id": id, "bookingId": booking, "reference": order, "status": status, "occurredAt": now.UTC()})
	at := strconv.FormatInt(now.Unix(), 10)
	return rest.Request{
		Method: http.MethodPost, Path: "/webhooks/shipping/simulator", Body: body,
		Header: map[string]string{
			carrier.HeaderTimestamp: at,
			carrier.HeaderSignature: "v1=" + hex.EncodeToString(carrier.Sign([]byte(webhookSecret), at, body)),
		},
	}
}

// nobody has no token: webhooks are signed instead.
func (a *arena) nobody() buyer {
	b := buyer{id: "nobody"}
	for i, system := range a.replicas {
		b.at[i] = rest.Client{BaseURL: system.GatewayURL(), HTTP: a.http}
	}
	return b
}

// move moves an order's parcel on.
func (a *arena) move(t *testing.T, booking, to string) {
	t.Helper()
	if _, err := a.van().at[0].Call(t.Context(), advance(booking, to), nil); err != nil {
		t.Fatalf("move the parcel on: %v", err)
	}
}

// One notice comes 500 times, beside the carrier's own, and 500 others claim that the parcel has arrived,
// which the carrier, when asked, does not confirm: it left, once.
func webhookMany(t *testing.T, a *arena) {
	product, by := a.product(t, 600, 5), a.buyer(t)
	id := a.bought(t, by, basket(600, line(product, 1, 600)))
	booking, carriers := a.parcel(t, id), a.nobody()
	a.move(t, booking, carrier.Dispatched)
	r := webhook(t, uuid.NewString(), id, booking, carrier.Dispatched)
	v := a.fire(t, crowd, func(i int) shot {
		if i/2%2 == 0 {
			return shot{by: carriers, request: webhook(t, uuid.NewString(), id, booking, carrier.Delivered)}
		}
		return shot{by: carriers, request: r}
	})
	a.arrived(t, v, id, "SHIPPED")
}

// arrived checks that all notices were taken and that the order is where the parcel is.
func (a *arena) arrived(t *testing.T, v volley, id, status string) {
	t.Helper()
	a.awaitWebhooks(t)
	if got := a.outcomes(t, []string{id}); v.count(http.StatusNoContent) != len(v.answers) || got[status] != 1 {
		t.Errorf("%v, want %s; %s", got, status, v)
	}
}

// 1,000 different notices in no order, about a parcel that has arrived: it left once and arrived once, and
// nothing takes it back.
func webhookDisorder(t *testing.T, a *arena) {
	product, by := a.product(t, 600, 5), a.buyer(t)
	id := a.bought(t, by, basket(600, line(product, 1, 600)))
	booking, carriers := a.parcel(t, id), a.nobody()
	a.move(t, booking, carrier.Dispatched)
	a.move(t, booking, carrier.Delivered)
	says := []string{carrier.Delivered, carrier.Dispatched, carrier.Lost}
	v := a.fire(t, crowd, func(i int) shot {
		return shot{by: carriers, request: webhook(t, uuid.NewString(), id, booking, says[i%len(says)])}
	})
	a.arrived(t, v, id, "DELIVERED")
}

// The carrier books the parcels of 50 orders and its answers are lost; the parcels leave while shipping
// asks what became of them, and 20 notices of each come at once. Whatever is first, the parcel left once.
func webhookAgainstAsk(t *testing.T, a *arena) {
	product := a.product(t, 600, 100)
	v := a.fire(t, remote, func(i int) shot {
		by := a.as(t, citizen(crowd+spare+i).GetMemberId())
		return shot{by: by, request: fresh(basket(600, line(product, 1, 600)))}
	})
	ids := v.orders(t)
	parcels := make([]string, len(ids))
	testkit.Eventually(t, patience, func() error {
		for i, id := range ids {
			bookings, err := a.outside.Carrier.Bookings(id)
			if err != nil || len(bookings) != 1 {
				return fmt.Errorf("the carrier has %d parcels of order %s: %w", len(bookings), id, err)
			}
			parcels[i] = bookings[0].BookingID
		}
		return nil
	})
	for _, parcel := range parcels {
		a.move(t, parcel, carrier.Dispatched)
	}
	carriers := a.nobody()
	v = a.fire(t, crowd, func(i int) shot {
		k := i / 2 % len(ids)
		return shot{by: carriers, request: webhook(t, uuid.NewString(), ids[k], parcels[k], carrier.Dispatched)}
	})
	a.awaitWebhooks(t)
	if got := a.outcomes(t, ids); v.count(http.StatusNoContent) != crowd || got["SHIPPED"] != len(ids) {
		t.Errorf("%d wins: %v; %s", len(ids)-got["SHIPPED"], got, v)
	}
}
