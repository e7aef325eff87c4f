package verify_test

import (
	"testing"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// day is a mix of orders of every kind, all at rest.
type day struct {
	product, other, soldOut, policy string

	card       string // completed, paid by card
	rich       string // delivered; with a coupon and points
	shipped    string
	returned   string // completed with coupon and points, then cancelled and refunded
	soldOutBy  string // cancelled: sold out
	declined   string // cancelled: with a coupon, the card was declined
	rejected   string // cancelled: the coupon was refused
	full       string // completed at the full price: the coupon was refused
	early      string // cancelled by the customer while it was pending
	points     string // completed, paid with points alone
	lateAnswer string // completed: the provider's answer did not come
}

// The members of the day's orders.
const (
	richMember     = "member-01"
	returnedMember = "member-02"
	pointsMember   = "member-03"
	declinedMember = "member-04"
)

// live lets a day pass in the shop.
func (s *shop) live(t *testing.T) *day {
	t.Helper()
	d := &day{product: s.product(t, 100), other: s.product(t, 50), soldOut: s.product(t, 0), policy: "SPRING"}
	check(t, s.ops.Post(t.Context(), "/ops/v1/coupon-policies", fields{
		"policyId": d.policy, "name": "Spring", "discount": fields{"amount": 300}, "limit": 10,
	}, nil))
	for _, member := range []string{richMember, returnedMember, declinedMember} {
		check(t, s.as(t, member).Post(t.Context(), "/api/v1/coupon-policies/"+d.policy+"/issue", nil, nil))
	}
	for _, member := range []string{richMember, returnedMember, pointsMember} {
		check(t, s.ops.Post(t.Context(), "/ops/v1/points/grants", local.Grant{UserID: member, Amount: 5000, Reason: "test"}, nil))
	}
	check(t, s.ops.Post(t.Context(), "/ops/v1/products/"+d.other+"/restock", fields{"quantity": 25}, nil))
	coupon := fields{"discountPolicyId": d.policy, "discountAmount": 300}
	with := func(more fields) fields {
		all := fields{}
		for k, v := range coupon {
			all[k] = v
		}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	d.card = s.buy(t, memberID(5), basket(d.product, 2, nil), "COMPLETED PREPARED")
	d.rich = s.buy(t, richMember, basket(d.product, 3, with(fields{"pointAmount": 700, "paymentAmount": 2000})), "COMPLETED PREPARED")
	d.shipped = s.buy(t, memberID(6), basket(d.product, 1, nil), "COMPLETED PREPARED")
	d.returned = s.buy(t, returnedMember, basket(d.other, 4, with(fields{"pointAmount": 700, "paymentAmount": 3000})), "COMPLETED PREPARED")
	d.soldOutBy = s.buy(t, memberID(7), basket(d.soldOut, 1, nil), "CANCELLED OUT_OF_STOCK")
	d.declined = s.buy(t, declinedMember, basket(d.product, 1, with(fields{"paymentAmount": 700, "paymentToken": "tok_decline"})), "CANCELLED PAYMENT_DECLINED")
	d.rejected = s.buy(t, memberID(8), basket(d.product, 1, with(fields{"paymentAmount": 700})), "CANCELLED COUPON_REJECTED")
	d.full = s.buy(t, memberID(9), basket(d.product, 1, with(fields{"paymentAmount": 700, "couponFailurePolicy": "PAY_FULL_PRICE"})), "COMPLETED PREPARED")
	d.points = s.buy(t, pointsMember, basket(d.product, 2, fields{"pointAmount": 2000, "paymentAmount": 0, "paymentType": "POINT"}), "COMPLETED PREPARED")
	d.lateAnswer = s.buy(t, memberID(10), basket(d.product, 1, fields{"paymentToken": "tok_unknown"}), "COMPLETED PREPARED")
	d.early = s.buy(t, memberID(11), basket(d.product, 1, fields{"paymentToken": "tok_slow"}), "PENDING")
	for _, id := range []string{d.early, d.returned} {
		check(t, s.ops.Post(t.Context(), "/api/v1/orders/"+id+"/cancel", fields{"reason": "test"}, nil))
	}
	s.await(t, d.early, "CANCELLED CUSTOMER")
	s.await(t, d.returned, "CANCELLED CUSTOMER REFUNDED")
	for _, id := range []string{d.rich, d.shipped} {
		s.ship(t, id, "dispatched")
		s.await(t, id, "SHIPPED")
	}
	s.ship(t, d.rich, "delivered")
	s.await(t, d.rich, "DELIVERED")
	return d
}
