package coupon

import (
	"fmt"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
)

func answer(out flow.Outcome) string {
	if r := out.Reply.Refusal; r != nil {
		return fmt.Sprintf("%d %s", r.Status, r.Code)
	}
	return fmt.Sprint(out.Reply.Status)
}

// First come, first served, once per member, never above the limit.
func TestIssue(t *testing.T) {
	t.Parallel()
	w := &World{}
	flowtest.Decide(t, Topology, w, CreatePolicy{PolicyID: "p", Name: "P", Amount: 5, Limit: 2})
	for i, c := range []struct{ user, want string }{
		{"a", "201"}, {"a", "200"}, {"b", "201"}, {"c", "409 coupon_limit_reached"}, {"b", "200"}, {"a", "200"},
	} {
		out := flowtest.Decide(t, Topology, w, Issue{PolicyID: "p", UserID: c.user, CouponID: fmt.Sprint("c", i)})
		if got := answer(out); got != c.want {
			t.Errorf("%d: %s gets %q, want %q", i, c.user, got, c.want)
		}
	}
	if p, _ := w.Policies.Get("p"); p.Issued != 2 || w.Coupons.Len() != 2 {
		t.Errorf("%d issued, %d coupons", p.Issued, w.Coupons.Len())
	}
	out := flowtest.Decide(t, Topology, w, Issue{PolicyID: "p", UserID: "a", CouponID: "again"})
	if v := out.Reply.Body.(View); v.CouponID != "c0" || v.Status != "AVAILABLE" {
		t.Errorf("a member who has one gets %v", v)
	}
	if got := answer(flowtest.Decide(t, Topology, w, Issue{PolicyID: "x", UserID: "a", CouponID: "c"})); got != "404 not_found" {
		t.Errorf("an unknown policy: %s", got)
	}
}

func TestIssueOfAnExpiredPolicy(t *testing.T) {
	t.Parallel()
	w := &World{}
	flowtest.Decide(t, Topology, w, CreatePolicy{PolicyID: "p", Name: "P", Amount: 5, Limit: 2, ValidUntil: flowtest.Now.Add(time.Hour)})
	issue := Issue{PolicyID: "p", UserID: "a", CouponID: "c"}
	if got := answer(flowtest.At(t, Topology, w, issue, flowtest.Now.Add(time.Hour))); got != "422 coupon_not_valid" {
		t.Errorf("at its end: %s", got)
	}
	if got := answer(flowtest.At(t, Topology, w, issue, flowtest.Now.Add(time.Hour-1))); got != "201" {
		t.Errorf("before its end: %s", got)
	}
	c, _ := w.Coupons.Get("c")
	p, _ := w.Policies.Get("p")
	if got := ViewOf(c, p, flowtest.Now.Add(time.Hour)).Status; got != "EXPIRED" {
		t.Errorf("it shows as %s", got)
	}
}

func TestCreatePolicy(t *testing.T) {
	t.Parallel()
	good := CreatePolicy{PolicyID: "p", Name: "P", Percent: 10, MaxAmount: 5, Limit: 1}
	for _, c := range []struct {
		name   string
		change func(*CreatePolicy)
		want   string
	}{
		{"good", func(*CreatePolicy) {}, "201"},
		{"no name", func(c *CreatePolicy) { c.Name = "" }, "400 invalid_field"},
		{"amount and percent", func(c *CreatePolicy) { c.Amount = 1 }, "400 invalid_field"},
		{"neither", func(c *CreatePolicy) { c.Percent = 0 }, "400 invalid_field"},
		{"more than all", func(c *CreatePolicy) { c.Percent = 101 }, "400 invalid_field"},
		{"no limit", func(c *CreatePolicy) { c.Limit = 0 }, "400 invalid_field"},
		{"ends before it begins", func(c *CreatePolicy) { c.ValidFrom, c.ValidUntil = flowtest.Now, flowtest.Now }, "400 invalid_field"},
		{"there already", func(c *CreatePolicy) { c.PolicyID = "old" }, "409 policy_exists"},
	} {
		w := &World{}
		w.Policies.Loaded("old", Policy{PolicyID: "old"})
		command := good
		c.change(&command)
		if got := answer(flowtest.Decide(t, Topology, w, command)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A recount sets the counter to the coupons there are, with those that the same batch has issued before it.
func TestRecount(t *testing.T) {
	t.Parallel()
	w := &World{}
	w.Policies.Loaded("p", Policy{PolicyID: "p", Amount: 5, Limit: 4, Issued: 3})
	w.Counted.Loaded("p", 2)
	w.Policies.Loaded("full", Policy{PolicyID: "full", Amount: 5, Limit: 1})
	w.Counted.Loaded("full", 2)
	flowtest.Decide(t, Topology, w, Issue{PolicyID: "p", UserID: "a", CouponID: "c"})
	for _, c := range []struct {
		policy, want string
		issued       int64
	}{
		{"p", "200", 3}, {"p", "200", 3}, {"full", "409 coupon_limit_reached", 0}, {"none", "404 not_found", 0},
	} {
		got := answer(flowtest.Decide(t, Topology, w, Recount{PolicyID: c.policy}))
		if p, _ := w.Policies.Get(c.policy); got != c.want || p.Issued != c.issued {
			t.Errorf("%s: %s with %d issued, want %s with %d", c.policy, got, p.Issued, c.want, c.issued)
		}
	}
}
