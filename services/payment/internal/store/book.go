package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what payment believes.
func Books() map[string]host.Book {
	return map[string]host.Book{"orders": host.BookOf(paymentBook), "members": host.BookOf(accountBook)}
}

func paymentBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Payment, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Payment](ctx, tx, `
		SELECT order_id, user_id, state, refund, amount, points, discount, coupon_counted, has_coupons, currency, charge_id,
		       coalesce((SELECT -sum(amount)::bigint FROM ledger l WHERE l.order_id = p.order_id AND kind = 'TAKEN'), 0),
		       coalesce((SELECT sum(amount)::bigint FROM ledger l WHERE l.order_id = p.order_id AND kind = 'RETURNED'), 0),
		       extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM payment p `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what payment believes: %w", err)
	}
	return rows, nil
}

// accountBook adds up the ledger of each member, in one statement with the balance. A member may have
// entries and no balance, which is wrong too: the members are those of either table, each found by
// skipping along its index.
func accountBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Account, error) {
	members, args := `
		WITH RECURSIVE entered AS (
			SELECT min(user_id) AS user_id, 1 AS n FROM ledger WHERE user_id > $1
			UNION ALL
			SELECT (SELECT min(user_id) FROM ledger WHERE user_id > e.user_id), n + 1 FROM entered e WHERE e.user_id IS NOT NULL AND n < $2
		), member AS (
			SELECT user_id FROM entered WHERE user_id IS NOT NULL
			UNION (SELECT user_id FROM points WHERE user_id > $1 ORDER BY user_id LIMIT $2)
			ORDER BY user_id LIMIT $2
		)`, []any{q.After, q.Limit + 1}
	if len(q.IDs) > 0 {
		members, args = `WITH member AS (SELECT DISTINCT user_id FROM unnest($1::text[]) AS k(user_id) LIMIT $2)`, []any{q.IDs, q.Limit + 1}
	}
	rows, err := host.Collect[book.Account](ctx, tx, members+`
		SELECT user_id, coalesce((SELECT balance FROM points p WHERE p.user_id = member.user_id), 0),
		       coalesce((SELECT sum(amount)::bigint FROM ledger l WHERE l.user_id = member.user_id), 0)
		FROM member ORDER BY user_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("list accounts with their ledgers: %w", err)
	}
	return rows, nil
}

// loadSums adds up ledgers under the lock on the balances: a statement of its own, after it, so that it
// sees what the last holder of the lock booked.
func loadSums(b *pg.Batch, w *payment.World, users []string) {
	if len(users) == 0 {
		return
	}
	b.Queue("add up ledgers", `SELECT user_id, sum(amount)::bigint FROM ledger WHERE user_id = ANY($1) GROUP BY user_id`, users).
		Query(func(rows pgx.Rows) error {
			var user string
			var sum int64
			_, err := pgx.ForEachRow(rows, []any{&user, &sum}, func() error { w.Sums.Loaded(user, sum); return nil })
			return err
		})
}
