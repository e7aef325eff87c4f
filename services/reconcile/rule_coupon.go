package reconcile

import (
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// couponCounted says whether the order was paid less its discount. The discount is what the payment said;
// one of 0 leaves it open, and payment's row knows.
func (v View) couponCounted() bool {
	return v.Order.DiscountAmount > 0 || v.Payment != nil && v.Payment.CouponCounted
}

// coupon holds the use against the order's status. One row, one difference: what is wrong first hides the
// rest.
func (v View) coupon() []Difference {
	o, u := v.Order, v.Coupon
	wrong := func(rule, format string, args ...any) []Difference {
		d := v.difference(rule, "coupon.coupon_use", []string{"coupon", "order"}, format, args...)
		d.Sentence += fmt.Sprintf(" for order %s, %s.", v.OrderID, v.is())
		if event := v.couponMissed(); rule == "coupon_use" && event != "" {
			return []Difference{d.resend(event)}
		}
		return []Difference{d.person("The order's timeline and the rows in coupon_use and coupon_spent: is the coupon the member's again?")}
	}
	allowed := v.couponStates()
	switch {
	case u == nil && len(allowed) == 0:
		return nil
	case u == nil:
		return wrong("coupon_use", "coupon has no use")
	case len(allowed) == 0:
		return wrong("coupon_use", "coupon has a use (%s) and should have none", u.State)
	case !slices.Contains(allowed, u.State):
		return wrong("coupon_use", "coupon's use is %s instead of %s", u.State, list(allowed))
	case u.State == "USED" && v.addsUp() && u.Discount != o.DiscountAmount:
		return wrong("coupon_discount", "coupon granted %d and order took off %d", u.Discount, o.DiscountAmount)
	}
	return v.spending(u)
}

// couponStates are those that the use may have; none means that there may be no use.
func (v View) couponStates() []string {
	o := v.Order
	switch {
	case !o.HasCoupons:
		return nil
	case stands(o) && v.couponCounted():
		return []string{"USED"}
	case stands(o):
		return []string{"CLOSED", "GIVEN_BACK", "REFUSED"}
	}
	switch undoOf(o.Reason) {
	case undoNothing:
		return nil
	case undoStock:
		return []string{"REFUSED"}
	}
	return []string{cancelled}
}

// couponMissed is the event that, published again, lets coupon do what it has not done; "" where there is
// none, because it is not that coupon has done too little.
func (v View) couponMissed() string {
	o, u := v.Order, v.Coupon
	open := u == nil || u.State == "USED"
	switch {
	case !o.HasCoupons || !open && u.State != "REFUSED" && u.State != "CLOSED" && u.State != "GIVEN_BACK":
		return ""
	case stands(o) && !v.couponCounted() && open:
		return "PaymentCompleted"
	case o.Status != cancelled:
		return ""
	}
	switch undoOf(o.Reason) {
	case undoCoupon:
		return "OrderCancelled"
	case undoAll:
		return "PaymentCancelled"
	}
	return ""
}

// spending holds a use against the coupons it spent.
func (v View) spending(u *book.Use) []Difference {
	const advice = "The rows in coupon_use and coupon_spent: the coupon belongs to the use that counted, see both orders' timelines."
	for i, id := range u.CouponIDs {
		by := u.SpentBy[i]
		var d Difference
		switch {
		case u.State == "USED" && by == "":
			d = v.difference("coupon_spent", "coupon.coupon_spent", []string{"coupon"},
				"coupon used coupon %s for order %s, but does not have it as spent: it could be used again.", id, v.OrderID)
		case u.State == "USED" && by != v.OrderID:
			d = v.difference("coupon_spent", "coupon.coupon_spent", []string{"coupon"},
				"coupon used coupon %s for order %s, but has it as spent by order %s.", id, v.OrderID, by)
		case u.State != "USED" && by == v.OrderID:
			d = v.difference("coupon_spent", "coupon.coupon_spent", []string{"coupon"},
				"coupon gave coupon %s back (%s), but still has it as spent by order %s.", id, u.State, v.OrderID)
		default:
			continue
		}
		d.CouponID = id
		return []Difference{d.person(advice)}
	}
	return nil
}

// spentWithoutUse judges a spent coupon by its own order's use.
func spentWithoutUse(s book.Spent) (Difference, bool) {
	if s.UseState == "USED" && s.Listed && s.Owner != "" {
		return Difference{}, false
	}
	text := fmt.Sprintf("coupon has coupon %s as spent by order %s, whose use does not name it.", s.CouponID, s.OrderID)
	switch {
	case s.Owner == "":
		text = fmt.Sprintf("coupon has coupon %s as spent by order %s, and there is no such coupon.", s.CouponID, s.OrderID)
	case s.UseState == "":
		text = fmt.Sprintf("coupon has coupon %s as spent by order %s, for which it has no use.", s.CouponID, s.OrderID)
	case s.UseState != "USED":
		text = fmt.Sprintf("coupon has coupon %s as spent by order %s, whose use is %s.", s.CouponID, s.OrderID, s.UseState)
	}
	d := Difference{
		Rule: "coupon_spent", Row: "coupon.coupon_spent", OrderID: s.OrderID, CouponID: s.CouponID,
		Services: []string{"coupon"}, Sentence: text, Repair: []string{},
	}
	return d.person("The rows in coupon, coupon_use and coupon_spent of this coupon."), true
}

// policy judges a policy's counter.
func policy(p book.Policy) (Difference, bool) {
	if p.Issued == p.Coupons && p.Issued <= p.Limit {
		return Difference{}, false
	}
	d := Difference{
		Rule: "coupon_issued", Row: "coupon.coupon_policy", PolicyID: p.PolicyID, Services: []string{"coupon"}, Repair: []string{},
		Sentence: fmt.Sprintf("coupon says that %d coupons of policy %s were issued (limit %d), and there are %d.", p.Issued, p.PolicyID, p.Limit, p.Coupons),
	}
	if p.Coupons > p.Limit {
		return d.person("More coupons were issued than allowed: the rows in coupon."), true
	}
	d.Repair = append(d.Repair, "quadrille repair recount policy "+p.PolicyID)
	return d, true
}
