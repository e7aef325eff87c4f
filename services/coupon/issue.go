package coupon

import (
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnCreatePolicy adds a policy; one of that id that is there already is 409 policy_exists.
func OnCreatePolicy(w *World, c CreatePolicy, m flow.Meta) (flow.Reply, []flow.Event) {
	if bad := c.invalid(); len(bad) > 0 {
		return flow.Refuse(fault.Invalid(bad...))
	}
	if _, known := w.Policies.Get(c.PolicyID); known {
		return flow.Refuse(fault.Conflict(fault.CodePolicyExists, "There is a coupon policy of this id already."))
	}
	policy := Policy{
		PolicyID: c.PolicyID, Name: c.Name, Amount: c.Amount, Percent: c.Percent, MaxAmount: c.MaxAmount,
		MinimumAmount: c.MinimumAmount, Currency: c.Currency, Limit: c.Limit,
		ValidFrom: c.ValidFrom, ValidUntil: c.ValidUntil, CreatedAt: m.Now,
	}
	w.Policies.Put(c.PolicyID, policy)
	return flow.Reply{Status: 201, Body: PolicyViewOf(policy)}, nil
}

func (c CreatePolicy) invalid() []fault.FieldError {
	var bad []fault.FieldError
	refuse := func(wrong bool, pointer, detail string) {
		if wrong {
			bad = append(bad, fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail})
		}
	}
	refuse(c.PolicyID == "", "/policyId", "is required")
	refuse(c.Name == "", "/name", "is required")
	refuse((c.Amount > 0) == (c.Percent > 0), "/discount", "needs either an amount or a percent")
	refuse(c.Amount < 0, "/discount/amount", "must be above 0")
	refuse(c.Percent < 0 || c.Percent > 100, "/discount/percent", "must be between 1 and 100")
	refuse(c.MaxAmount < 0, "/discount/maxAmount", "must not be negative")
	refuse(c.MinimumAmount < 0, "/minimumAmount", "must not be negative")
	refuse(c.Limit < 1, "/limit", "must be at least 1")
	refuse(!c.ValidFrom.IsZero() && !c.ValidUntil.IsZero() && !c.ValidFrom.Before(c.ValidUntil),
		"/validUntil", "must be after validFrom")
	return bad
}

// OnIssue gives a member a coupon, first come, first served: the policy's row is locked, so its count is
// what it is. A member who has one gets the same again.
func OnIssue(w *World, c Issue, m flow.Meta) (flow.Reply, []flow.Event) {
	policy, known := w.Policies.Get(c.PolicyID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	if id, held := w.Held.Get(HeldKey(c.PolicyID, c.UserID)); held {
		if mine, found := w.Coupons.Get(id); found {
			return flow.Reply{Status: 200, Body: ViewOf(mine, policy, m.Now)}, nil
		}
	}
	switch {
	case policy.expired(m.Now):
		return flow.Refuse(fault.Unprocessable(fault.CodeCouponNotValid, "The policy's coupons are no longer valid."))
	case policy.Issued >= policy.Limit:
		return flow.Refuse(fault.Conflict(fault.CodeCouponLimitReached, "Every coupon of this policy has been issued."))
	}
	policy.Issued++
	w.Policies.Put(c.PolicyID, policy)
	coupon := Coupon{CouponID: c.CouponID, PolicyID: c.PolicyID, UserID: c.UserID, IssuedAt: m.Now}
	w.Coupons.Put(c.CouponID, coupon)
	w.Held.Put(HeldKey(c.PolicyID, c.UserID), c.CouponID)
	return flow.Reply{Status: 201, Body: ViewOf(coupon, policy, m.Now)}, nil
}

// OnRecount sets what a policy says was issued to the coupons there are. More of them than its limit are a
// person's to look at.
func OnRecount(w *World, c Recount, _ flow.Meta) (flow.Reply, []flow.Event) {
	policy, known := w.Policies.Get(c.PolicyID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	counted, _ := w.Counted.Get(c.PolicyID)
	for _, issued := range w.Coupons.Changed() {
		// What this batch has issued before was not there yet when they were counted.
		if issued.New && issued.Row.PolicyID == c.PolicyID {
			counted++
		}
	}
	if counted > policy.Limit {
		return flow.Refuse(fault.Conflict(fault.CodeCouponLimitReached, "There are more coupons than the limit allows."))
	}
	policy.Issued = counted
	w.Policies.Put(c.PolicyID, policy)
	return flow.Reply{Status: 200, Body: PolicyViewOf(policy)}, nil
}
