package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what mailer believes.
func Books() map[string]host.Book {
	return map[string]host.Book{"orders": host.BookOf(mailBook)}
}

// mailBook is a row per order. The table has up to five, so a page is cut by the key of the group: the
// index yields the rows in order, and the grouping stops with the limit.
func mailBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Mails, error) {
	where, args := `WHERE order_id > $1`, []any{q.After, q.Limit + 1}
	if len(q.IDs) > 0 {
		where, args = `WHERE order_id = ANY($1)`, []any{q.IDs, q.Limit + 1}
	}
	rows, err := host.Collect[book.Mails](ctx, tx, `
		SELECT order_id, array_agg(kind::text ORDER BY kind), array_agg(state ORDER BY kind),
		       min(extract(epoch FROM clock_timestamp() - updated_at))::float8
		FROM mail `+where+` GROUP BY order_id ORDER BY order_id LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("list what mailer believes: %w", err)
	}
	return rows, nil
}
