package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/coupon"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what coupon believes.
func Books() map[string]host.Book {
	return map[string]host.Book{
		"orders": host.BookOf(useBook), "spent": host.BookOf(spentBook), "policies": host.BookOf(policyBook),
	}
}

func useBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Use, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Use](ctx, tx, `
		SELECT order_id, user_id, state, coupon_ids,
		       ARRAY(SELECT coalesce(s.order_id, '') FROM unnest(coupon_ids) WITH ORDINALITY AS k(coupon_id, n)
		             LEFT JOIN coupon_spent s USING (coupon_id) ORDER BY n),
		       discount, extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM coupon_use `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what coupon believes: %w", err)
	}
	return rows, nil
}

func spentBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Spent, error) {
	where, args := q.Keys("s.coupon_id")
	rows, err := host.Collect[book.Spent](ctx, tx, `
		SELECT s.coupon_id, s.order_id, coalesce(u.state, ''), coalesce(s.coupon_id = ANY(u.coupon_ids), false),
		       coalesce(c.user_id, ''), extract(epoch FROM clock_timestamp() - s.used_at)::float8
		FROM coupon_spent s LEFT JOIN coupon_use u ON u.order_id = s.order_id LEFT JOIN coupon c ON c.coupon_id = s.coupon_id `+
		where, args...)
	if err != nil {
		return nil, fmt.Errorf("list spent coupons: %w", err)
	}
	return rows, nil
}

// policyBook counts the coupons of each policy over the index that keeps a member from a second one.
func policyBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Policy, error) {
	where, args := q.Keys("policy_id")
	rows, err := host.Collect[book.Policy](ctx, tx, `
		SELECT policy_id, issue_limit, issued, (SELECT count(*) FROM coupon c WHERE c.policy_id = p.policy_id)
		FROM coupon_policy p `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list policies with their coupons: %w", err)
	}
	return rows, nil
}

// loadCounted counts coupons under the lock on their policies: a statement of its own, after it, so that it
// sees what the last holder of the lock issued.
func loadCounted(b *pg.Batch, w *coupon.World, policies []string) {
	if len(policies) == 0 {
		return
	}
	b.Queue("count coupons", `SELECT policy_id, count(*) FROM coupon WHERE policy_id = ANY($1) GROUP BY policy_id`, policies).
		Query(func(rows pgx.Rows) error {
			var policy string
			var n int64
			_, err := pgx.ForEachRow(rows, []any{&policy, &n}, func() error {
				w.Counted.Loaded(policy, n)
				return nil
			})
			return err
		})
}
