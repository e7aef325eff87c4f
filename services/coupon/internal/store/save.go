package store

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/coupon"
)

// Save writes what changed: one statement per table, two for the table of spent coupons.
func (Store) Save(b *pg.Batch, w *coupon.World) error {
	saveUses(b, w)
	saveCoupons(b, w)
	savePolicies(b, w)
	return nil
}

// saveUses also gives back what the uses that ended had spent. It deletes by coupon and order: a coupon
// that was handed to another order without the first one's use having ended stays, and coupon_used_once
// refuses the second.
func saveUses(b *pg.Batch, w *coupon.World) {
	changed := w.Uses.Changed()
	if len(changed) == 0 {
		return
	}
	n := len(changed)
	orders, users, states := make([]string, n), make([]string, n), make([]string, n)
	discounts, created, updated := make([]int64, n), make([]time.Time, n), make([]time.Time, n)
	// A row's coupons travel as pairs: arrays of arrays have to be rectangular.
	coupons, byOrder := []string{}, []string{}
	endedCoupons, endedOrders := []string{}, []string{}
	for i, c := range changed {
		u := c.Row
		orders[i], users[i], states[i], discounts[i] = u.OrderID, u.UserID, string(u.State), u.Discount
		created[i], updated[i] = u.CreatedAt, u.UpdatedAt
		for _, id := range u.CouponIDs {
			coupons, byOrder = append(coupons, id), append(byOrder, u.OrderID)
			if u.State != coupon.Used && !c.New {
				endedCoupons, endedOrders = append(endedCoupons, id), append(endedOrders, u.OrderID)
			}
		}
	}
	b.Queue("save uses", `
		INSERT INTO coupon_use AS u (order_id, user_id, state, coupon_ids, discount, created_at, updated_at)
		SELECT k.order_id, k.user_id, k.state, coalesce(c.ids, '{}'), k.discount, k.created_at, k.updated_at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
		     AS k(order_id, user_id, state, discount, created_at, updated_at)
		LEFT JOIN (SELECT order_id, array_agg(id ORDER BY place) AS ids
		           FROM unnest($7::text[], $8::text[]) WITH ORDINALITY AS p(id, order_id, place) GROUP BY order_id) c USING (order_id)
		ORDER BY k.order_id
		ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, coupon_ids = excluded.coupon_ids,
			discount = excluded.discount, updated_at = excluded.updated_at`,
		orders, users, states, discounts, created, updated, coupons, byOrder)
	if len(endedCoupons) > 0 {
		b.Queue("give back coupons", `
			DELETE FROM coupon_spent s USING unnest($1::text[], $2::text[]) AS k(coupon_id, order_id)
			WHERE s.coupon_id = k.coupon_id AND s.order_id = k.order_id`, endedCoupons, endedOrders)
	}
}

// saveCoupons writes new coupons, and the orders that spend one now.
func saveCoupons(b *pg.Batch, w *coupon.World) {
	var ids, policies, users, spent, orders []string
	var issued, used []time.Time
	for _, c := range w.Coupons.Changed() {
		if c.New {
			ids, policies, users = append(ids, c.Row.CouponID), append(policies, c.Row.PolicyID), append(users, c.Row.UserID)
			issued = append(issued, c.Row.IssuedAt)
		}
		if c.Row.UsedBy != "" {
			spent, orders, used = append(spent, c.Row.CouponID), append(orders, c.Row.UsedBy), append(used, c.Row.UsedAt)
		}
	}
	if len(ids) > 0 {
		b.Queue("add coupons", `
			INSERT INTO coupon (coupon_id, policy_id, user_id, issued_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])`, ids, policies, users, issued)
	}
	if len(spent) > 0 {
		b.Queue("spend coupons", `
			INSERT INTO coupon_spent (coupon_id, order_id, used_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])`, spent, orders, used)
	}
}

// savePolicies writes new policies and the counts of those that are there; nothing else of a policy
// ever changes.
func savePolicies(b *pg.Batch, w *coupon.World) {
	changed := w.Policies.Changed()
	if len(changed) == 0 {
		return
	}
	n := len(changed)
	ids, names, currencies := make([]string, n), make([]string, n), make([]string, n)
	amounts, percents, maxima, minima := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	limits, issued := make([]int64, n), make([]int64, n)
	from, until, created := make([]*time.Time, n), make([]*time.Time, n), make([]time.Time, n)
	for i, c := range changed {
		p := c.Row
		ids[i], names[i], currencies[i] = p.PolicyID, p.Name, p.Currency
		amounts[i], percents[i], maxima[i], minima[i] = p.Amount, p.Percent, p.MaxAmount, p.MinimumAmount
		limits[i], issued[i] = p.Limit, p.Issued
		from[i], until[i], created[i] = bound(p.ValidFrom), bound(p.ValidUntil), p.CreatedAt
	}
	b.Queue("save policies", `
		INSERT INTO coupon_policy (`+policyColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
			$8::bigint[], $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
		ON CONFLICT (policy_id) DO UPDATE SET issued = excluded.issued`,
		ids, names, amounts, percents, maxima, minima, currencies, limits, issued, from, until, created)
}

// bound is NULL for the zero time: no bound.
func bound(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
