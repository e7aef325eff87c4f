package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// issue asks for a coupon of a policy and returns the answer's status.
func (c customer) issue(policy string) (status int, coupon string) {
	c.t.Helper()
	res, err := c.Do(c.t.Context(), rest.Request{Method: http.MethodPost, Path: "/api/v1/coupon-policies/" + policy + "/issue"})
	if err != nil {
		c.t.Fatal(err)
	}
	if res.Status > 299 {
		return res.Status, res.Problem().Code
	}
	return res.Status, decode[struct{ CouponID string }](c.t, res.Body).CouponID
}

// coupon is the status of the member's coupon of a policy, "" if there is none.
func (c customer) coupon(policy string) string {
	c.t.Helper()
	var list struct {
		Data []struct{ PolicyID, Status string } `json:"data"`
	}
	if err := c.Get(c.t.Context(), "/api/v1/coupons", &list); err != nil {
		c.t.Fatal(err)
	}
	for _, coupon := range list.Data {
		if coupon.PolicyID == policy {
			return coupon.Status
		}
	}
	return ""
}

// discounted is an order of one piece for 10,000 with a coupon worth 3,000.
func discounted(product, policy string) fields {
	return basket(product, 1, 10_000).with(fields{"discountPolicyId": policy, "discountAmount": 3_000, "paymentAmount": 7_000})
}

func couponUsed(t *testing.T, s *shop) {
	c, product, policy := s.customer(t), s.product(t, 10_000, 9), s.policy(t, 3_000, 10)
	c.issue(policy)
	o := c.buy(discounted(product, policy))
	if o.Status != "COMPLETED" || o.DiscountAmount != 3_000 || o.PaymentAmount != 7_000 {
		t.Errorf("%+v", o)
	}
	if got := c.coupon(policy); got != "USED" {
		t.Errorf("the coupon is %s, want USED", got)
	}
	// It is used once: neither policy lets a second order have it.
	if o := c.buy(discounted(product, policy)); o.Status != "CANCELLED" || o.why() != "COUPON_REJECTED" {
		t.Errorf("%s %s, want CANCELLED COUPON_REJECTED", o.Status, o.why())
	}
	full := c.buy(discounted(product, policy).with(fields{"couponFailurePolicy": "PAY_FULL_PRICE"}))
	if full.Status != "COMPLETED" || full.DiscountAmount != 0 || full.PaymentAmount != 10_000 {
		t.Errorf("%+v, want COMPLETED at full price", full)
	}
	if m := s.money(t, full.OrderID); m.Charged != 10_000 {
		t.Errorf("the provider's books say %+v", m)
	}
	if left := s.left(t, product); left != 7 {
		t.Errorf("%d pieces are left, want 7", left)
	}
}

func couponGivenBack(t *testing.T, s *shop) {
	c, product, policy := s.customer(t), s.product(t, 10_000, 1), s.policy(t, 3_000, 1)
	c.issue(policy)
	o := c.buy(discounted(product, policy).with(fields{"paymentToken": "tok_decline"}))
	if o.Status != "CANCELLED" || o.why() != "PAYMENT_DECLINED" {
		t.Errorf("%s %s, want CANCELLED PAYMENT_DECLINED", o.Status, o.why())
	}
	want := []string{
		"OrderCreated", "StockDecreased<-OrderCreated", "CouponUsed<-StockDecreased", "PaymentFailed<-CouponUsed",
		"OrderCancelled<-PaymentFailed", "CouponUseCancelled<-OrderCancelled", "StockIncreased<-CouponUseCancelled",
	}
	if diff := cmp.Diff(want, story(c.timeline(o.OrderID))); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if got := c.coupon(policy); got != "AVAILABLE" {
		t.Errorf("the coupon is %s, want AVAILABLE", got)
	}
	if o := c.buy(discounted(product, policy)); o.Status != "COMPLETED" {
		t.Errorf("%s %s: the coupon that came back cannot be used", o.Status, o.why())
	}
}

// A coupon that is not worth what the caller claims is refused, as nobody agreed to another sum.
func couponRefused(t *testing.T, s *shop) {
	c, product, policy := s.customer(t), s.product(t, 10_000, 1), s.policy(t, 2_000, 1)
	c.issue(policy)
	if o := c.buy(discounted(product, policy)); o.Status != "CANCELLED" || o.why() != "COUPON_REJECTED" {
		t.Errorf("%s %s, want CANCELLED COUPON_REJECTED", o.Status, o.why())
	}
	if got := c.coupon(policy); got != "AVAILABLE" {
		t.Errorf("the coupon is %s, want AVAILABLE", got)
	}
}

// First come, first served, never more than the limit, once per member.
func couponPolicies(t *testing.T, s *shop) {
	policy := s.policy(t, 500, 3)
	const members = 12
	customers := make([]customer, members)
	for i := range customers {
		customers[i] = s.customer(t)
	}
	answers := make(chan string, 2*members)
	var all sync.WaitGroup
	for _, c := range customers {
		for range 2 {
			all.Go(func() {
				status, code := c.issue(policy)
				if status < 300 {
					code = c.id
				}
				answers <- fmt.Sprint(status, " ", code)
			})
		}
	}
	all.Wait()
	close(answers)
	count := map[string]int{}
	for a := range answers {
		count[a[:3]]++
	}
	if count["201"] != 3 || count["200"] != 3 || count["409"] != 2*members-6 {
		t.Errorf("%v, want 3 issued, the same 3 again, and 18 refused", count)
	}
	if status, code := s.customer(t).issue(policy); status != http.StatusConflict || code != "coupon_limit_reached" {
		t.Errorf("%d %s, want 409 coupon_limit_reached", status, code)
	}
	if status, _ := s.customer(t).issue("NO-SUCH-POLICY"); status != http.StatusNotFound {
		t.Errorf("%d for an unknown policy, want 404", status)
	}
}

// Not even an outage of the coupon service stops an order whose customer agreed to the full price; one
// whose customer did not is waited for.
func TestCouponOutage(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]map[string]string{"order": {"COUPON_TIMEOUT": "1s"}})
	agreed, insists := s.customer(t), s.customer(t)
	product, policy := s.product(t, 10_000, 2), s.policy(t, 3_000, 10)
	agreed.issue(policy)
	insists.issue(policy)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.StopService(ctx, "coupon"); err != nil {
		t.Fatal(err)
	}
	waits := insists.place(discounted(product, policy))
	o := agreed.buy(discounted(product, policy).with(fields{"couponFailurePolicy": "PAY_FULL_PRICE"}))
	if o.Status != "COMPLETED" || o.DiscountAmount != 0 || o.PaymentAmount != 10_000 {
		t.Errorf("%+v, want COMPLETED at full price", o)
	}
	if got := story(agreed.timeline(o.OrderID)); !slices.Contains(got, "OrderCouponWaived<-StockDecreased") {
		t.Errorf("no OrderCouponWaived, caused by what opened the wait, in %v", got)
	}
	if o := insists.get(waits.OrderID); o.Status != "PENDING" || o.Progress != "COUPON" {
		t.Errorf("%s, waiting for %s; want PENDING, COUPON", o.Status, o.Progress)
	}
	if err := s.StartService(ctx, "coupon"); err != nil {
		t.Fatal(err)
	}
	if o := insists.settled(waits.OrderID); o.Status != "COMPLETED" || o.PaymentAmount != 7_000 {
		t.Errorf("%+v, want COMPLETED with the discount", o)
	}
	testkit.Eventually(t, patience, func() error {
		if a, i := agreed.coupon(policy), insists.coupon(policy); a != "AVAILABLE" || i != "USED" {
			return fmt.Errorf("the coupons are %s and %s, want AVAILABLE and USED", a, i)
		}
		return nil
	})
}
