package coupon

import "time"

// CreatePolicy is POST /ops/v1/coupon-policies. The fields mean what they mean in Policy; the edge has
// checked that exactly one of Amount and Percent is set.
type CreatePolicy struct {
	PolicyID      string
	Name          string
	Amount        int64
	Percent       int64
	MaxAmount     int64
	MinimumAmount int64
	Currency      string
	Limit         int64
	ValidFrom     time.Time
	ValidUntil    time.Time
}

// Subject is the policy.
func (c CreatePolicy) Subject() string { return c.PolicyID }

// Issue is POST /api/v1/coupon-policies/{policyId}/issue.
type Issue struct {
	PolicyID string
	UserID   string
	// CouponID of the coupon to be, made at the edge (UUIDv7).
	CouponID string
}

// Subject is the member's place in the policy's list: two requests of one member take turns, those of
// different members meet only at the policy's row.
func (c Issue) Subject() string { return HeldKey(c.PolicyID, c.UserID) }

// Recount is POST /ops/v1/coupon-policies/{policyId}/recount: how many coupons were issued is set to how
// many there are.
type Recount struct{ PolicyID string }

// Subject is the policy.
func (c Recount) Subject() string { return c.PolicyID }

// PolicyView is a policy as the API shows it.
type PolicyView struct {
	PolicyID      string       `json:"policyId"`
	Name          string       `json:"name"`
	Discount      DiscountView `json:"discount"`
	MinimumAmount int64        `json:"minimumAmount"`
	Currency      string       `json:"currency,omitempty"`
	Limit         int64        `json:"limit"`
	Issued        int64        `json:"issued"`
	ValidFrom     *time.Time   `json:"validFrom"`
	ValidUntil    *time.Time   `json:"validUntil"`
}

// DiscountView is a policy's discount: an amount, or a percentage with or without a bound.
type DiscountView struct {
	Amount    int64 `json:"amount,omitempty"`
	Percent   int64 `json:"percent,omitempty"`
	MaxAmount int64 `json:"maxAmount,omitempty"`
}

// View is a coupon as the API shows it.
type View struct {
	CouponID      string       `json:"couponId"`
	PolicyID      string       `json:"policyId"`
	Name          string       `json:"name"`
	Status        string       `json:"status"` // AVAILABLE, USED, EXPIRED
	Discount      DiscountView `json:"discount"`
	MinimumAmount int64        `json:"minimumAmount"`
	OrderID       *string      `json:"orderId"`
	ValidFrom     *time.Time   `json:"validFrom"`
	ValidUntil    *time.Time   `json:"validUntil"`
	IssuedAt      time.Time    `json:"issuedAt"`
}

// PolicyViewOf shows a policy.
func PolicyViewOf(p Policy) PolicyView {
	return PolicyView{
		PolicyID: p.PolicyID, Name: p.Name, Discount: discountView(p), MinimumAmount: p.MinimumAmount,
		Currency: p.Currency, Limit: p.Limit, Issued: p.Issued,
		ValidFrom: timeView(p.ValidFrom), ValidUntil: timeView(p.ValidUntil),
	}
}

// ViewOf shows a coupon as it stands at a moment.
func ViewOf(c Coupon, p Policy, now time.Time) View {
	v := View{
		CouponID: c.CouponID, PolicyID: c.PolicyID, Name: p.Name, Status: "AVAILABLE", Discount: discountView(p),
		MinimumAmount: p.MinimumAmount, ValidFrom: timeView(p.ValidFrom), ValidUntil: timeView(p.ValidUntil),
		IssuedAt: c.IssuedAt.UTC(),
	}
	switch {
	case c.UsedBy != "":
		v.Status, v.OrderID = "USED", &c.UsedBy
	case p.expired(now):
		v.Status = "EXPIRED"
	}
	return v
}

func discountView(p Policy) DiscountView {
	return DiscountView{Amount: p.Amount, Percent: p.Percent, MaxAmount: p.MaxAmount}
}

func timeView(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// expired says whether the policy's coupons are no longer valid.
func (p Policy) expired(now time.Time) bool {
	return !p.ValidUntil.IsZero() && !now.Before(p.ValidUntil)
}
