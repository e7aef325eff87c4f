package coupon

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
)

func TestWorth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		policy Policy
		items  int64
		want   int64
	}{
		{"amount", Policy{Amount: 300}, 1000, 300},
		{"amount above the items", Policy{Amount: 300}, 200, 200},
		{"percent", Policy{Percent: 10}, 1000, 100},
		{"percent rounds down", Policy{Percent: 15}, 1099, 164},
		{"percent of little", Policy{Percent: 1}, 99, 0},
		{"percent up to a bound", Policy{Percent: 50, MaxAmount: 120}, 1000, 120},
		{"all of it", Policy{Percent: 100}, 1999, 1999},
		{"no overflow", Policy{Percent: 100}, math.MaxInt64 / 2, math.MaxInt64 / 2},
	} {
		if got := Worth(c.policy, c.items); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// Which coupons are used, and why they are refused. All or none: after a refusal nothing is used.
func TestUse(t *testing.T) {
	t.Parallel()
	world := func() *World {
		w := &World{}
		add := func(id, policy, user string, p Policy, usedBy string) {
			p.PolicyID = policy
			w.Policies.Loaded(policy, p)
			w.Coupons.Loaded(id, Coupon{CouponID: id, PolicyID: policy, UserID: user, UsedBy: usedBy})
			w.Held.Loaded(HeldKey(policy, user), id)
		}
		add("c1", "fixed", "u", Policy{Amount: 300}, "")
		add("c2", "tenth", "u", Policy{Percent: 10}, "")
		add("c3", "large", "u", Policy{Amount: 5000}, "")
		add("c4", "spent", "u", Policy{Amount: 1}, "other")
		add("c5", "late", "u", Policy{Amount: 1, ValidUntil: flowtest.Now}, "")
		add("c6", "early", "u", Policy{Amount: 1, ValidFrom: flowtest.Now.Add(time.Second)}, "")
		add("c7", "valid", "u", Policy{Amount: 7, ValidFrom: flowtest.Now, ValidUntil: flowtest.Now.Add(time.Second)}, "")
		add("c8", "minimum", "u", Policy{Amount: 8, MinimumAmount: 1000}, "")
		add("c9", "rich", "u", Policy{Amount: 9, MinimumAmount: 1001}, "")
		add("c10", "dollar", "u", Policy{Amount: 10, Currency: "USD"}, "")
		add("c11", "won", "u", Policy{Amount: 11, Currency: "KRW"}, "")
		add("c12", "theirs", "somebody", Policy{Amount: 12}, "")
		return w
	}
	for _, c := range []struct {
		refs  string
		claim int64
		want  string // the coupons used, or the reason
	}{
		{"fixed", 300, "c1"},
		{"c1", 300, "c1"},
		{"c1 fixed", 300, "c1"},
		{"fixed tenth", 400, "c1 c2"},
		{"tenth fixed", 400, "c2 c1"},
		{"large", 1000, "c3"},
		{"fixed large", 1000, "c1 c3"},
		{"valid", 7, "c7"},
		{"minimum", 8, "c8"},
		{"won", 11, "c11"},
		{"fixed", 299, "DISCOUNT_MISMATCH"},
		{"fixed", 0, "DISCOUNT_MISMATCH"},
		{"none", 0, "NOT_HELD"},
		{"theirs", 12, "NOT_HELD"},
		{"c12", 12, "NOT_HELD"},
		{"spent", 1, "ALREADY_USED"},
		{"fixed spent", 301, "ALREADY_USED"},
		{"late", 1, "OUT_OF_VALIDITY"},
		{"early", 1, "OUT_OF_VALIDITY"},
		{"rich", 9, "BELOW_MINIMUM"},
		{"dollar", 10, "CURRENCY_MISMATCH"},
	} {
		w := world()
		out := flowtest.Decide(t, Topology, w, decreased(c.claim, strings.Fields(c.refs)...))
		var used int
		for _, coupon := range w.Coupons.All() {
			if coupon.UsedBy == "o" {
				used++
			}
		}
		var got string
		switch e := out.Events[0].Message.(type) {
		case *couponv1.CouponUsed:
			got = strings.Join(e.GetCouponIds(), " ")
			if used != len(e.GetCouponIds()) || e.GetDiscountAmount() != c.claim {
				t.Errorf("%s: %d coupons are used, the discount is %d", c.refs, used, e.GetDiscountAmount())
			}
		case *couponv1.CouponUseFailed:
			got = strings.TrimPrefix(e.GetReason().String(), "COUPON_USE_FAIL_REASON_")
			if used != 0 {
				t.Errorf("%s: refused, and %d coupons are used", c.refs, used)
			}
		}
		if got != c.want {
			t.Errorf("%s at %d: got %q, want %q", c.refs, c.claim, got, c.want)
		}
	}
}

// Two orders of one batch ask for the same coupon: the first has it.
func TestOneCouponTwoOrders(t *testing.T) {
	t.Parallel()
	w := given("")
	first, second := decreased(500, "p"), decreased(500, "c")
	second.OrderId = "o2"
	got := flowtest.Told(flowtest.Decide(t, Topology, w, first)) + " " + flowtest.Told(flowtest.Decide(t, Topology, w, second))
	if got != "CouponUsed CouponUseFailed" {
		t.Error(got)
	}
}
