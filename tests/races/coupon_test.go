package races_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// issue is the request for a coupon.
func issue(policy string) rest.Request {
	return rest.Request{Method: http.MethodPost, Path: "/api/v1/coupon-policies/" + policy + "/issue"}
}

// 1,000 members at once want a coupon of which there are 100.
func couponIssueLimit(t *testing.T, a *arena) {
	policy := a.policy(t, 3_000, 100)
	v := a.fire(t, crowd, func(i int) shot { return shot{by: a.crowd[i], request: issue(policy)} })
	if got := v.count(http.StatusCreated); got != 100 || v.count(http.StatusConflict, "coupon_limit_reached") != crowd-100 {
		t.Errorf("%d wins: %s; want 100 issued and the others refused", got-100, v)
	}
}

// One member asks 1,000 times, each time as if for the first: it is the same coupon.
func couponOncePerMember(t *testing.T, a *arena) {
	policy, by := a.policy(t, 3_000, 100), a.buyer(t)
	v := a.fire(t, crowd, func(int) shot { return shot{by: by, request: issue(policy)} })
	ids := map[string]bool{}
	for _, answer := range v.answers {
		if answer.Status < 300 {
			ids[decode[struct{ CouponID string }](t, answer.Body).CouponID] = true
		}
	}
	if len(ids) != 1 || v.count(http.StatusCreated) != 1 || v.count(http.StatusOK) != crowd-1 {
		t.Errorf("%d wins: %d coupons; %s", len(ids)-1, len(ids), v)
	}
}

// One coupon, and 1,000 orders that want it: by its policy, by its own id, and by both in the hope that it
// counts twice. One order gets it. The others are cancelled, or pay the full price where they said so.
func oneCoupon(t *testing.T, a *arena) {
	product, policy, by := a.product(t, 10_000, 100_000), a.policy(t, 3_000, 100), a.buyer(t)
	issued, err := by.at[0].Do(t.Context(), issue(policy))
	if err != nil {
		t.Fatal(err)
	}
	coupon := decode[struct{ CouponID string }](t, issued.Body).CouponID
	wants := []fields{
		{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000},
		{"couponIds": []string{coupon}, "discountAmount": 3_000, "paymentAmount": 7_000, "couponFailurePolicy": "PAY_FULL_PRICE"},
		{"discountPolicyId": policy, "couponIds": []string{coupon}, "discountAmount": 6_000, "paymentAmount": 4_000},
		{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000, "couponFailurePolicy": "PAY_FULL_PRICE"},
	}
	v := a.fire(t, crowd, func(i int) shot {
		return shot{by: by, request: fresh(basket(0, line(product, 1, 10_000)).with(wants[i/2%len(wants)]))}
	})
	ids := v.orders(t)
	got := a.outcomes(t, ids)
	var discounted int
	err = a.pools["order"].QueryRow(t.Context(), `SELECT count(*) FROM orders WHERE order_id = ANY ($1) AND discount_amount > 0
		AND status IN ('COMPLETED', 'SHIPPED', 'DELIVERED')`, ids).Scan(&discounted)
	if err != nil {
		t.Fatal(err)
	}
	// Half of them said that they pay the full price; the one that got the coupon may be of either half.
	if discounted != 1 || got["COMPLETED"] < crowd/2 || got["COMPLETED"] > crowd/2+1 || got["COMPLETED"]+got["CANCELLED COUPON_REJECTED"] != crowd {
		t.Errorf("%d wins: %d orders have the discount; %v", discounted-1, discounted, got)
	}
}

// An order is cancelled while 999 others want the coupon that it gives back: one of them may get it, no two.
func couponGivenBack(t *testing.T, a *arena) {
	product, policy, by := a.product(t, 10_000, 100_000), a.policy(t, 3_000, 100), a.buyer(t)
	if _, err := by.at[0].Call(t.Context(), issue(policy), nil); err != nil {
		t.Fatal(err)
	}
	body := basket(7_000, line(product, 1, 10_000)).with(fields{"discountPolicyId": policy, "discountAmount": 3_000})
	first := a.bought(t, by, body)
	v := a.fire(t, crowd, func(i int) shot {
		if i == 0 {
			return shot{by: by, request: cancel(first)}
		}
		return shot{by: by, request: fresh(body)}
	})
	ids := slices.DeleteFunc(v.orders(t), func(id string) bool { return id == first })
	got := a.outcomes(t, ids)
	if got["COMPLETED"] > 1 || got["COMPLETED"]+got["CANCELLED COUPON_REJECTED"] != crowd-1 || a.having(t, []string{first}, "CANCELLED") != 1 {
		t.Errorf("%d wins: %v", got["COMPLETED"]-1, got)
	}
}
