package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what the gateway has read of the orders.
func Books() map[string]host.Book {
	return map[string]host.Book{"orders": host.BookOf(lineBook)}
}

func lineBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Line, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Line](ctx, tx, `
		SELECT order_id, user_id, status, reason, amount, currency, extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM order_line `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what the events add up to: %w", err)
	}
	return rows, nil
}
