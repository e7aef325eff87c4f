package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/coupon"
)

// couponsAndPolicies is the beginning of every read of coupons; scanHeld reads its rows.
const couponsAndPolicies = `
	SELECT c.coupon_id, c.policy_id, c.user_id, c.issued_at, coalesce(s.order_id, ''), s.used_at, clock_timestamp(),
		p.policy_id, p.name, p.amount, p.percent, p.max_amount, p.minimum_amount, p.currency, p.issue_limit, p.issued,
		p.valid_from, p.valid_until, p.created_at
	FROM coupon c JOIN coupon_policy p USING (policy_id) LEFT JOIN coupon_spent s USING (coupon_id)
	WHERE c.user_id = $1 `

// held is a coupon with its policy, as they stand at Now, by the database's clock.
type held struct {
	Coupon coupon.Coupon
	Policy coupon.Policy
	Now    time.Time
}

func scanHeld(row pgx.CollectableRow) (held, error) {
	var h held
	var used, from, until *time.Time
	c, p := &h.Coupon, &h.Policy
	err := row.Scan(&c.CouponID, &c.PolicyID, &c.UserID, &c.IssuedAt, &c.UsedBy, &used, &h.Now,
		&p.PolicyID, &p.Name, &p.Amount, &p.Percent, &p.MaxAmount, &p.MinimumAmount, &p.Currency, &p.Limit, &p.Issued,
		&from, &until, &p.CreatedAt)
	c.UsedAt, p.ValidFrom, p.ValidUntil = timeOf(used), timeOf(from), timeOf(until)
	return h, err
}

// MemberCoupons lists a member's coupons, newest first, as they stand now by the database's clock.
// after is the last coupon the caller has, "" begins at the newest; at most limit come back.
func MemberCoupons(ctx context.Context, pool *pgxpool.Pool, userID, after string, limit int) ([]coupon.View, error) {
	rows, err := pool.Query(ctx, couponsAndPolicies+`AND ($2 = '' OR c.coupon_id < $2) ORDER BY c.coupon_id DESC LIMIT $3`,
		userID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list a member's coupons: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanHeld)
	if err != nil {
		return nil, fmt.Errorf("list a member's coupons: %w", err)
	}
	views := make([]coupon.View, len(all))
	for i, h := range all {
		views[i] = coupon.ViewOf(h.Coupon, h.Policy, h.Now)
	}
	return views, nil
}

// Wallet reads those of a member's coupons that refs name, each by its id or its policy's, for a quote:
// nothing is locked, so it says what would be, not what will be. The time is the database's.
func Wallet(ctx context.Context, pool *pgxpool.Pool, userID string, refs []string) (*coupon.World, time.Time, error) {
	rows, err := pool.Query(ctx, couponsAndPolicies+`AND (c.coupon_id = ANY($2) OR c.policy_id = ANY($2))`, userID, refs)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read a member's coupons: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanHeld)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read a member's coupons: %w", err)
	}
	w, now := &coupon.World{}, time.Time{}
	for _, h := range all {
		w.Coupons.Loaded(h.Coupon.CouponID, h.Coupon)
		w.Held.Loaded(coupon.HeldKey(h.Coupon.PolicyID, userID), h.Coupon.CouponID)
		w.Policies.Loaded(h.Policy.PolicyID, h.Policy)
		now = h.Now
	}
	return w, now, nil
}

// Policies lists the policies by id, those behind after, at most limit.
func Policies(ctx context.Context, pool *pgxpool.Pool, after string, limit int) ([]coupon.PolicyView, error) {
	rows, err := pool.Query(ctx, `
		SELECT `+policyColumns+` FROM coupon_policy WHERE policy_id > $1 ORDER BY policy_id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	policies, err := pgx.CollectRows(rows, scanPolicy)
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	views := make([]coupon.PolicyView, len(policies))
	for i, p := range policies {
		views[i] = coupon.PolicyViewOf(p)
	}
	return views, nil
}

// timeOf is the zero time for NULL.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
