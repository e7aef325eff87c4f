package races_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// One order sent 1,000 times under one key is one order, and every answer is the first one.
func keySameBody(t *testing.T, a *arena) {
	product, by := a.product(t, 1_000, 10), a.buyer(t)
	request := place(basket(1_000, line(product, 1, 1_000)), uuid.NewString())
	v := a.fire(t, crowd, func(int) shot { return shot{by: by, request: request} })
	a.one(t, v, crowd)
	for _, answer := range v.answers {
		if string(answer.Body) != string(v.answers[0].Body) {
			t.Fatalf("two answers to one key:\n%s\n%s", v.answers[0].Body, answer.Body)
		}
	}
	replayed := 0
	for _, answer := range v.answers {
		if answer.Header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	if replayed != crowd-1 {
		t.Errorf("%d answers say that they are repeated, want %d", replayed, crowd-1)
	}
}

// one checks that so many answers are about one order, that it was completed, and that there is no other.
func (a *arena) one(t *testing.T, v volley, answers int) {
	t.Helper()
	ids := v.orders(t)
	if n := v.count(http.StatusAccepted); n != answers || len(ids) != 1 {
		t.Fatalf("%d wins: %d orders; %s", max(len(ids)-1, n-answers), len(ids), v)
	}
	if got := a.outcomes(t, ids); got["COMPLETED"]+got[notCharged] != 1 {
		t.Errorf("%v, want one COMPLETED", got)
	}
}

// 1,000 different orders under one key are one order and 999 refusals.
func keyManyBodies(t *testing.T, a *arena) {
	product, by, key := a.product(t, 10, 1_000_000), a.buyer(t), uuid.NewString()
	v := a.fire(t, crowd, func(i int) shot {
		n := int64(i + 1)
		return shot{by: by, request: place(basket(10*n, line(product, n, 10)), key)}
	})
	a.one(t, v, 1)
	if got := v.count(http.StatusUnprocessableEntity, "idempotency_key_reused"); got != crowd-1 {
		t.Errorf("%d wins: %s", crowd-1-got, v)
	}
}

// 1,000 members use the same key for the same body: keys are the member's own, so each has an order of his
// own, and nobody is shown another's.
func keyManyMembers(t *testing.T, a *arena) {
	product := a.product(t, 1_000, 100_000)
	request := place(basket(1_000, line(product, 1, 1_000)), "order-1")
	v := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i], request: request} })
	wins := 0
	for i, answer := range v.answers {
		if answer.Status != http.StatusAccepted || decode[struct{ UserID string }](t, answer.Body).UserID != a.crowd[i].id {
			wins++
		}
	}
	if ids := v.orders(t); wins > 0 || len(ids) != crowd {
		t.Errorf("%d wins: %d orders for %d members; %s", wins+crowd-len(ids), len(ids), crowd, v)
	}
}

// The same order 1,000 times without a key is a finger that slipped.
func doubleClick(t *testing.T, a *arena) {
	product, by := a.product(t, 1_000, 10_000), a.buyer(t)
	request := place(basket(1_000, line(product, 1, 1_000)), "")
	v := a.fire(t, crowd, func(int) shot { return shot{by: by, request: request} })
	a.one(t, v, crowd)
}
