package races_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// outcomes counts orders by status and reason.
func (a *arena) outcomes(t *testing.T, ids []string) map[string]int {
	t.Helper()
	a.awaitRest(t)
	rows, err := a.pools["order"].Query(t.Context(), `
		SELECT trim(status || ' ' || reason), count(*) FROM orders WHERE order_id = ANY ($1) GROUP BY 1`, ids)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		counts[name] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("orders: %v", counts)
	return counts
}

// 1,000 buyers at once on 100 pieces.
func oversellOne(t *testing.T, a *arena) {
	product, buyers := a.product(t, 1_000, 100), a.buyers(t, crowd)
	v := a.fire(t, crowd, func(i int) shot { return shot{buyers[i], fresh(basket(1_000, line(product, 1, 1_000)))} })
	ids := v.orders(t)
	if len(ids) != crowd {
		t.Fatalf("%d orders were accepted, want %d", len(ids), crowd)
	}
	if got := a.outcomes(t, ids); got["COMPLETED"] != 100 || got["CANCELLED OUT_OF_STOCK"] != crowd-100 {
		t.Errorf("%v: %d wins, want 100 COMPLETED and the others CANCELLED OUT_OF_STOCK", got, got["COMPLETED"]-100)
	}
}

// issue is the request for a coupon.
func issue(policy string) rest.Request {
	return rest.Request{Method: http.MethodPost, Path: "/api/v1/coupon-policies/" + policy + "/issue"}
}

// 1,000 members at once want a coupon of which there are 100.
func couponIssueLimit(t *testing.T, a *arena) {
	policy, members := a.policy(t, 3_000, 100), a.buyers(t, crowd)
	v := a.fire(t, crowd, func(i int) shot { return shot{members[i], issue(policy)} })
	if got := v.count(http.StatusCreated); got != 100 || v.count(http.StatusConflict, "coupon_limit_reached") != crowd-100 {
		t.Errorf("%d wins: %s; want 100 issued and the others refused", got-100, v)
	}
}

// One order sent 1,000 times under one key is one order, and every answer is about it.
func sameKey(t *testing.T, a *arena) {
	product, by := a.product(t, 1_000, 10), a.buyers(t, 1)[0]
	request := place(basket(1_000, line(product, 1, 1_000)), uuid.NewString())
	v := a.fire(t, crowd, func(int) shot { return shot{by, request} })
	ids := v.orders(t)
	if v.count(http.StatusAccepted) != crowd || len(ids) != 1 {
		t.Fatalf("%d orders, %d wins: %s", len(ids), len(ids)-1, v)
	}
	for _, answer := range v.answers {
		if string(answer.Body) != string(v.answers[0].Body) {
			t.Fatalf("two answers to one key:\n%s\n%s", v.answers[0].Body, answer.Body)
		}
	}
	if got := a.outcomes(t, ids); got["COMPLETED"] != 1 {
		t.Errorf("%v, want one COMPLETED", got)
	}
}
