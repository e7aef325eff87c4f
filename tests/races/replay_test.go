package races_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// parkedOrders is below what stops a partition: more than 20 within a minute are the code's fault.
const parkedOrders = 12

// Orders of one member are parked in stock, with what came for them since. Then the defect is mended and
// the operator asks for their replay 700 times, while their owner cancels them and places 100 new ones.
// Each is replayed once, what comes meanwhile is neither lost nor overtaken.
func replays(t *testing.T, a *arena) {
	product, sick, operator := a.product(t, 500, 1_000), a.buyer(t), a.operator(t)
	stock := a.pools["stock"]
	if _, err := stock.Exec(t.Context(), `ALTER TABLE reservation ADD CONSTRAINT defect CHECK (user_id <> '`+sick.id+`')`); err != nil {
		t.Fatal(err)
	}
	body := basket(500, line(product, 1, 500))
	v := a.fire(t, parkedOrders, func(int) shot { return shot{by: sick, request: fresh(body)} })
	ids := v.orders(t)
	a.awaitParked(t, parkedOrders)
	// Every other one is cancelled before: that waits behind, too.
	for _, id := range ids[:parkedOrders/2] {
		if _, err := sick.at[0].Call(t.Context(), cancel(id), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stock.Exec(t.Context(), `ALTER TABLE reservation DROP CONSTRAINT defect`); err != nil {
		t.Fatal(err)
	}
	replay := rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/failures/replay",
		Body: fields{"filter": fields{"service": "stock"}, "reason": "race"},
	}
	v = a.fire(t, crowd, func(i int) shot {
		switch {
		case i%10 == 0:
			return shot{by: a.crowd[i], request: fresh(body)}
		case i%10 < 3:
			return shot{by: sick, request: cancel(ids[i/10%parkedOrders])}
		}
		return shot{by: operator, request: replay}
	})
	a.awaitParked(t, 0)
	a.replayedOnce(t, v, ids)
	if got := a.outcomes(t, ids); got["CANCELLED CUSTOMER"] != parkedOrders {
		t.Errorf("%v; want all CANCELLED CUSTOMER", got)
	}
	if left := a.left(t, product); left != 900 {
		t.Errorf("%d wins: %d pieces are left, want 900", 900-left, left)
	}
}

// awaitParked waits until so many orders are parked in stock.
func (a *arena) awaitParked(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var n int
		err := a.pools["stock"].QueryRow(t.Context(), `SELECT count(*) FROM failure`).Scan(&n)
		if err == nil && n != want {
			err = fmt.Errorf("%d are parked", n)
		}
		return err
	})
}

// replayedOnce checks that at most one of the replays handled an order's events. (The others say that it
// is replayed, with no event handled, or find nothing parked; the machine's own replay may have been first.)
func (a *arena) replayedOnce(t *testing.T, v volley, ids []string) {
	t.Helper()
	times := map[string]int{}
	for _, answer := range v.answers {
		if answer.Status != http.StatusOK {
			continue
		}
		list := decode[struct {
			Data []struct {
				Subject, Outcome string
				Events           int
			}
		}](t, answer.Body)
		for _, r := range list.Data {
			if r.Outcome == "replayed" && r.Events > 0 {
				times[r.Subject]++
			}
		}
	}
	for _, id := range ids {
		if times[id] > 1 {
			t.Errorf("%d wins: order %s was replayed %d times", times[id]-1, id, times[id])
		}
	}
}

// The newest event of every kind of two orders, one completed and one cancelled, is published again, 300
// times in all (each looks for it on the topic): whatever is read again, each step happened once.
func resends(t *testing.T, a *arena) {
	const repeats = 300
	product, by, operator := a.product(t, 1_000, 10), a.buyer(t), a.operator(t)
	a.granted(t, by.id, 1_000)
	body := basket(500, line(product, 1, 1_000)).with(fields{"pointAmount": 500})
	kept, undone := a.bought(t, by, body), a.bought(t, by, body)
	if _, err := by.at[0].Call(t.Context(), cancel(undone), nil); err != nil {
		t.Fatal(err)
	}
	a.awaitRest(t)
	forward := []string{"OrderCreated", "StockDecreased", "PaymentCompleted", "OrderCompleted", "ShipmentPrepared"}
	back := []string{"OrderCancelRequested", "ShipmentCancelled", "OrderCancelled", "PaymentCancelled", "StockIncreased"}
	v := a.fire(t, repeats, func(i int) shot {
		subject, types := kept, forward
		if i/2%2 == 0 {
			subject, types = undone, append(forward[:len(forward):len(forward)], back...)
		}
		return shot{by: operator, request: rest.Request{
			Method: http.MethodPost, Path: "/ops/v1/events/resend",
			Body: fields{"subject": subject, "types": []string{types[i/4%len(types)]}, "reason": "race"},
		}}
	})
	if v.count(http.StatusAccepted) != repeats {
		t.Errorf("%s; want 202 each time", v)
	}
	if got := a.outcomes(t, []string{kept, undone}); got["COMPLETED"] != 1 || got["CANCELLED CUSTOMER"] != 1 {
		t.Errorf("wins: %v", got)
	}
	if left := a.left(t, product); left != 9 {
		t.Errorf("%d wins: %d pieces are left, want 9", left-9, left)
	}
}
