package races_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// cancel is the request to cancel an order.
func cancel(id string) rest.Request {
	return rest.Request{Method: http.MethodPost, Path: "/api/v1/orders/" + id + "/cancel", Body: fields{"reason": "race"}}
}

// having counts orders that have the status.
func (a *arena) having(t *testing.T, ids []string, status string) (n int) {
	t.Helper()
	err := a.pools["order"].QueryRow(t.Context(),
		`SELECT count(*) FROM orders WHERE order_id = ANY ($1) AND status = $2`, ids, status).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bought places an order and waits until its parcel is ready.
func (a *arena) bought(t *testing.T, by buyer, body fields) string {
	t.Helper()
	var o placed
	if _, err := by.at[0].Call(t.Context(), fresh(body), &o); err != nil {
		t.Fatalf("place order: %v", err)
	}
	a.awaitRest(t)
	if a.having(t, []string{o.OrderID}, "COMPLETED") != 1 {
		t.Fatalf("order %s is not COMPLETED", o.OrderID)
	}
	return o.OrderID
}

// One completed order, paid with coupon, points and card, is cancelled 1,000 times, half of them under one
// key: it is undone once, and everything comes back once. The audit looks at all of it; here is what the
// customer sees.
func cancelMany(t *testing.T, a *arena) {
	product, policy, by := a.product(t, 10_000, 10), a.policy(t, 3_000, 10), a.buyer(t)
	if _, err := by.at[0].Call(t.Context(), issue(policy), nil); err != nil {
		t.Fatal(err)
	}
	a.granted(t, by.id, 5_000)
	id := a.bought(t, by, basket(5_000, line(product, 1, 10_000)).with(fields{
		"discountPolicyId": policy, "discountAmount": 3_000, "pointAmount": 2_000,
	}))
	key := uuid.NewString()
	v := a.fire(t, crowd, func(i int) shot {
		r := cancel(id)
		if i/2%2 == 0 {
			r.Header = map[string]string{"Idempotency-Key": key}
		}
		return shot{by: by, request: r}
	})
	if got := a.outcomes(t, []string{id}); v.count(http.StatusAccepted) != crowd || got["CANCELLED CUSTOMER"] != 1 {
		t.Errorf("%v; %s", got, v)
	}
	a.allBack(t, by, product, 10, policy, 5_000)
}

// allBack checks that pieces, coupon and points are what they were.
func (a *arena) allBack(t *testing.T, by buyer, product string, pieces int64, policy string, points int64) {
	t.Helper()
	var coupons struct {
		Data []struct{ PolicyID, Status string }
	}
	var account struct{ Balance int64 }
	if err := by.at[1].Get(t.Context(), "/api/v1/coupons", &coupons); err != nil {
		t.Fatal(err)
	}
	if err := by.at[1].Get(t.Context(), "/api/v1/points", &account); err != nil {
		t.Fatal(err)
	}
	if left := a.left(t, product); left != pieces || account.Balance != points {
		t.Errorf("%d pieces and %d points, want %d and %d", left, account.Balance, pieces, points)
	}
	if len(coupons.Data) != 1 || coupons.Data[0].PolicyID != policy || coupons.Data[0].Status != "AVAILABLE" {
		t.Errorf("the coupon is %+v, want it AVAILABLE", coupons.Data)
	}
}

// An order whose charge is under way is cancelled 1,000 times.
func cancelPending(t *testing.T, a *arena) {
	product, by := a.product(t, 900, 5), a.buyer(t)
	var o placed
	body := basket(900, line(product, 1, 900)).with(fields{"paymentToken": "tok_slow"})
	if _, err := by.at[0].Call(t.Context(), fresh(body), &o); err != nil {
		t.Fatal(err)
	}
	v := a.fire(t, crowd, func(int) shot { return shot{by: by, request: cancel(o.OrderID)} })
	if got := a.outcomes(t, []string{o.OrderID}); v.count(http.StatusAccepted) != crowd || got["CANCELLED CUSTOMER"] != 1 {
		t.Errorf("%v; %s", got, v)
	}
	if left := a.left(t, product); left != 5 {
		t.Errorf("%d pieces are left, want 5", left)
	}
}

// orders places n orders at once and returns their ids by buyer.
func (a *arena) orders(t *testing.T, n int, body fields) []string {
	t.Helper()
	v := a.fire(t, n, func(i int) shot { return shot{by: a.crowd[i], request: fresh(body)} })
	ids := make([]string, n)
	for i, answer := range v.answers {
		if answer.Status != http.StatusAccepted {
			t.Fatal(answer.Problem())
		}
		ids[i] = decode[placed](t, answer.Body).OrderID
	}
	return ids
}

// 1,000 orders are cancelled at once while they are being completed: some before, some after, and each is
// one or the other to everybody. None is dispatched, so every cancel succeeds in the end.
func cancelAgainstComplete(t *testing.T, a *arena) {
	product := a.product(t, 700, 5_000)
	ids := a.orders(t, crowd, basket(700, line(product, 1, 700)))
	testkit.Eventually(t, patience, func() error {
		if n := a.having(t, ids, "COMPLETED"); n < crowd/5 {
			return fmt.Errorf("%d are completed", n)
		}
		return nil
	})
	v := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i], request: cancel(ids[i])} })
	got := a.outcomes(t, ids)
	if v.count(http.StatusAccepted) != crowd || got["CANCELLED CUSTOMER"]+got[notCharged] != crowd {
		t.Errorf("%d wins: %v; %s", crowd-got["CANCELLED CUSTOMER"]-got[notCharged], got, v)
	}
	var completed int
	err := a.pools["gateway"].QueryRow(t.Context(), `SELECT count(*) FROM event WHERE subject = ANY ($1) AND type LIKE '%OrderCompleted'`, ids).Scan(&completed)
	if err != nil {
		t.Fatal(err)
	}
	a.saw("%d of them were completed first", completed)
	if left := a.left(t, product); left != 5_000 {
		t.Errorf("%d wins: %d pieces are left, want 5,000", 5_000-left, left)
	}
}

// parcel is the carrier's id of an order's one parcel.
func (a *arena) parcel(t *testing.T, order string) string {
	t.Helper()
	bookings, err := a.outside.Carrier.Bookings(order)
	if err != nil || len(bookings) != 1 {
		t.Fatalf("the carrier has %d parcels of order %s: %v", len(bookings), order, err)
	}
	return bookings[0].BookingID
}

// advance is the van: it moves a parcel on, by the carrier's own API.
func advance(booking, to string) rest.Request {
	return rest.Request{Method: http.MethodPost, Path: "/v1/bookings/" + booking + "/advance", Body: fields{"to": to}}
}

// van is the carrier as a caller.
func (a *arena) van() buyer {
	client := rest.Client{BaseURL: a.outside.CarrierURL, HTTP: a.http}
	return buyer{id: "van", at: [2]rest.Client{client, client}}
}

// 500 orders are cancelled, and when the first 50 parcels are stopped every other leaves that still can. The customer has his money or his parcel, not both and
// not neither.
func cancelAgainstDispatch(t *testing.T, a *arena) {
	const half = crowd / 2
	product := a.product(t, 800, 5_000)
	ids := a.orders(t, half, basket(800, line(product, 1, 800)))
	a.awaitRest(t)
	parcels := make([]string, len(ids))
	for i, id := range ids {
		parcels[i] = a.parcel(t, id)
	}
	van := a.van()
	leave := a.reached(t, half/10, "shipping", `SELECT count(*) FROM shipment WHERE order_id = ANY ($1) AND state = 'CANCELLED'`, ids)
	v := a.fire(t, crowd, func(i int) shot {
		if i >= half {
			return shot{by: van, request: advance(parcels[i-half], carrier.Dispatched), after: leave}
		}
		return shot{by: a.crowd[i], request: cancel(ids[i])}
	})
	cancels, gone := volley{answers: v.answers[:half]}, volley{answers: v.answers[half:]}.count(http.StatusOK)
	a.awaitWebhooks(t)
	got := a.outcomes(t, ids)
	if got["SHIPPED"] != gone || got["SHIPPED"]+got["CANCELLED CUSTOMER"] != half {
		t.Errorf("%d wins: %v with %d parcels gone; %s", got["SHIPPED"]-gone, got, gone, cancels)
	}
	if pieces := a.left(t, product); pieces != int64(5_000-got["SHIPPED"]) {
		t.Errorf("%d pieces are left with %v of 5,000", pieces, got)
	}
}

// awaitWebhooks waits until the carrier has told all.
func (a *arena) awaitWebhooks(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if n := a.outside.Carrier.Undelivered(); n > 0 {
			return fmt.Errorf("%d webhooks are not taken", n)
		}
		return nil
	})
}

// A stranger reads and cancels an order 750 times while its owner reads it: he learns and changes nothing.
func somebodyElses(t *testing.T, a *arena) {
	product, owner, stranger := a.product(t, 600, 5), a.buyer(t), a.buyer(t)
	id := a.bought(t, owner, basket(600, line(product, 1, 600)))
	get := func(tail string) rest.Request {
		return rest.Request{Method: http.MethodGet, Path: "/api/v1/orders/" + id + tail}
	}
	asks := []rest.Request{cancel(id), get(""), get("/events"), get("/shipment")}
	v := a.fire(t, crowd, func(i int) shot {
		if i/2%4 == 0 {
			return shot{by: owner, request: get("")}
		}
		return shot{by: stranger, request: asks[i/8%len(asks)]}
	})
	if v.count(http.StatusOK) != crowd/4 || v.count(http.StatusNotFound, "not_found") != crowd-crowd/4 {
		t.Errorf("%d wins: %s; want 404 for the stranger, each time", crowd-crowd/4-v.count(http.StatusNotFound), v)
	}
	if a.having(t, []string{id}, "COMPLETED") != 1 {
		t.Error("1 win: the order is not COMPLETED any more")
	}
}
