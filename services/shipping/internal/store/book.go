package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what shipping believes.
func Books() map[string]host.Book {
	return map[string]host.Book{"orders": host.BookOf(shipmentBook)}
}

func shipmentBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Shipment, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Shipment](ctx, tx, `
		SELECT order_id, user_id, state, carrier, tracking_number, booking_id, cancel_asked, cancel_refused,
		       extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM shipment `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what shipping believes: %w", err)
	}
	return rows, nil
}
