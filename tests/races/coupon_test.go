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

// holder is a member with a coupon of the policy, and the coupon's id.
func (a *arena) holder(t *testing.T, by buyer, policy string) (coupon string) {
	t.Helper()
	var issued struct{ CouponID string }
	if _, err := by.at[0].Call(t.Context(), issue(policy), &issued); err != nil {
		t.Fatalf("get a coupon: %v", err)
	}
	return issued.CouponID
}

// discounted counts orders that were completed with a discount, by member.
func (a *arena) discounted(t *testing.T, ids []string) map[string]int {
	t.Helper()
	return a.count(t, "order", `SELECT user_id, count(*) FROM orders
		WHERE order_id = ANY ($1) AND discount_amount > 0 AND status = 'COMPLETED' GROUP BY 1`, ids)
}

// One coupon, and 750 orders that want it, by its policy or by its own id: one gets it; the others are
// cancelled, or pay the full price where they said so. And one whose 250 orders name his coupon twice, in the
// hope that it counts twice.
func oneCoupon(t *testing.T, a *arena) {
	product, policy, by, greedy := a.product(t, 10_000, 100_000), a.policy(t, 3_000, 100), a.buyer(t), a.buyer(t)
	coupon, twice := a.holder(t, by, policy), a.holder(t, greedy, policy)
	wants := []fields{
		{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000},
		{"couponIds": []string{coupon}, "discountAmount": 3_000, "paymentAmount": 7_000, "couponFailurePolicy": "PAY_FULL_PRICE"},
		{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000, "couponFailurePolicy": "PAY_FULL_PRICE"},
		{"discountPolicyId": policy, "couponIds": []string{twice}, "discountAmount": 6_000, "paymentAmount": 4_000},
	}
	v := a.fire(t, crowd, func(i int) shot {
		who, k := by, i/2%len(wants)
		if k == len(wants)-1 {
			who = greedy
		}
		return shot{by: who, request: fresh(basket(0, line(product, 1, 10_000)).with(wants[k]))}
	})
	ids := v.orders(t)
	got, discounted := a.outcomes(t, ids), a.discounted(t, ids)
	lost := got[notCharged]
	if n := discounted[by.id]; n > 1 || n+lost < 1 || discounted[greedy.id] != 0 {
		t.Errorf("%d wins: orders with a discount: %v", n-1+discounted[greedy.id], discounted)
	}
	// Half of them said that they pay the full price; the one that got the coupon may be of either half.
	if got["COMPLETED"] < crowd/2-lost || got["COMPLETED"] > crowd/2+1 || got["COMPLETED"]+lost+got["CANCELLED COUPON_REJECTED"] != crowd {
		t.Errorf("%v; want about %d COMPLETED, and the others CANCELLED COUPON_REJECTED", got, crowd/2)
	}
}

// A hundred members, each with one coupon and points for one order, and five orders at once for either: a
// hundred races of few instead of one of many, so that the two replicas meet at the same row.
func manySpendTwice(t *testing.T, a *arena) {
	const members = 100
	product, policy := a.product(t, 10_000, 100_000), a.policy(t, 3_000, members)
	spenders := make([]buyer, members)
	for i := range spenders {
		spenders[i] = a.crowd[i]
		a.holder(t, spenders[i], policy)
		a.granted(t, spenders[i].id, 10_000)
	}
	pays := []fields{
		{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000},
		{"pointAmount": 10_000, "paymentAmount": 0, "paymentType": "POINT"},
	}
	v := a.fire(t, crowd, func(i int) shot {
		return shot{by: spenders[i/10], request: fresh(basket(0, line(product, 1, 10_000)).with(pays[i/2%2]))}
	})
	ids := v.orders(t)
	got := a.outcomes(t, ids)
	for member, n := range a.discounted(t, ids) {
		if n > 1 {
			t.Errorf("%d wins: %s has the discount %d times", n-1, member, n)
		}
	}
	if got["COMPLETED"] > 2*members || got["COMPLETED"] < 2*members-got[notCharged] || len(ids) != crowd {
		t.Errorf("%d wins: %v; want %d COMPLETED", got["COMPLETED"]-2*members, got, 2*members)
	}
}

// An order is cancelled while 999 others want the coupon that it gives back: one of them may get it, no two.
func couponGivenBack(t *testing.T, a *arena) {
	product, policy, by := a.product(t, 10_000, 100_000), a.policy(t, 3_000, 100), a.buyer(t)
	a.holder(t, by, policy)
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
	if got["COMPLETED"] > 1 || got["COMPLETED"]+got["CANCELLED COUPON_REJECTED"]+got[notCharged] != crowd-1 || a.having(t, []string{first}, "CANCELLED") != 1 {
		t.Errorf("%d wins: %v", got["COMPLETED"]-1, got)
	}
}
