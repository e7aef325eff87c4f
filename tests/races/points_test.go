package races_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// grant is the request to give a member points, under a key.
func grant(member string, amount int64, key string) rest.Request {
	return rest.Request{
		Method: http.MethodPost, Path: "/ops/v1/points/grants", Header: map[string]string{"Idempotency-Key": key},
		Body: fields{"userId": member, "amount": amount, "reason": "race"},
	}
}

// granted gives a member points.
func (a *arena) granted(t *testing.T, member string, amount int64) {
	t.Helper()
	if _, err := a.ops.Call(t.Context(), grant(member, amount, uuid.NewString()), nil); err != nil {
		t.Fatalf("grant points: %v", err)
	}
	a.grantedAlready(member, amount)
}

// Points for ten orders, and 1,000 orders that want them: some with points alone, some with the card for
// the rest.
func pointsSpent(t *testing.T, a *arena) {
	product, by := a.product(t, 1_500, 100_000), a.buyer(t)
	a.granted(t, by.id, 15_000)
	pays := []fields{
		{"pointAmount": 1_500, "paymentAmount": 0, "paymentType": "POINT"},
		{"pointAmount": 1_500, "paymentAmount": 1_500, "items": []fields{line(product, 2, 1_500)}},
	}
	v := a.fire(t, crowd, func(i int) shot {
		return shot{by: by, request: fresh(basket(0, line(product, 1, 1_500)).with(pays[i/2%2]))}
	})
	got := a.outcomes(t, v.orders(t))
	lost := got[notCharged]
	if n := got["COMPLETED"]; n > 10 || n < 10-lost || n+lost+got["CANCELLED PAYMENT_DECLINED"] != crowd {
		t.Errorf("%d wins: %v; want 10 COMPLETED", n-10, got)
	}
}

// One grant sent 1,000 times is one grant.
func grantOneKey(t *testing.T, a *arena) {
	by, operator, key := a.buyer(t), a.operator(t), uuid.NewString()
	v := a.fire(t, crowd, func(int) shot { return shot{by: operator, request: grant(by.id, 500, key)} })
	a.grantedAlready(by.id, 500)
	var points struct {
		Balance int64
		Data    []struct{ Amount int64 }
	}
	if err := by.at[0].Get(t.Context(), "/api/v1/points", &points); err != nil {
		t.Fatal(err)
	}
	if points.Balance != 500 || len(points.Data) != 1 || v.count(http.StatusCreated) != crowd {
		t.Errorf("%d wins: %+v; %s", (points.Balance-500)/500, points, v)
	}
}

// 800 grants to a member who had no account, while 200 of his orders want to spend them: none is lost, and
// an order that comes before there is enough is declined.
func grantsAtOnce(t *testing.T, a *arena) {
	product, by, operator := a.product(t, 10, 1_000), a.buyer(t), a.operator(t)
	v := a.fire(t, crowd, func(i int) shot {
		if i/2%5 == 0 {
			return shot{by: by, request: fresh(basket(0, line(product, 1, 10)).with(fields{"pointAmount": 10, "paymentType": "POINT"}))}
		}
		return shot{by: operator, request: grant(by.id, 5, uuid.NewString())}
	})
	grants := int64(v.count(http.StatusCreated))
	a.grantedAlready(by.id, 5*grants)
	var ids []string
	for _, answer := range v.answers {
		if answer.Status == http.StatusAccepted {
			ids = append(ids, decode[placed](t, answer.Body).OrderID)
		}
	}
	got := a.outcomes(t, ids)
	var points struct{ Balance int64 }
	if err := by.at[0].Get(t.Context(), "/api/v1/points", &points); err != nil {
		t.Fatal(err)
	}
	if want := 5*grants - 10*int64(got["COMPLETED"]); points.Balance != want || grants != crowd*4/5 || len(ids) != crowd/5 {
		t.Errorf("wins: the balance is %d, want %d after %v; %s", points.Balance, want, got, v)
	}
}
