package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what order believes.
func Books() map[string]host.Book {
	return map[string]host.Book{"orders": host.BookOf(orderBook), "prices": host.BookOf(priceBook)}
}

func orderBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Order, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Order](ctx, tx, `
		SELECT order_id, user_id, version, status, progress, reason, terms->'items',
		       (terms->>'itemsAmount')::bigint, (terms->>'deliveryFee')::bigint, discount_amount, point_amount,
		       payment_amount, terms->>'currency', coalesce(jsonb_typeof(terms->'couponRefs') = 'array' AND terms->'couponRefs' <> '[]', false),
		       undo_payment, undo_coupon, undo_stock, cancel_request, carrier, tracking_number, shipment_status,
		       coalesce(extract(epoch FROM clock_timestamp() - deadline_at), 0)::float8,
		       extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM orders `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what order believes: %w", err)
	}
	return rows, nil
}

func priceBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Price, error) {
	where, args := q.Keys("product_id")
	rows, err := host.Collect[book.Price](ctx, tx, `
		SELECT product_id, price, currency, on_sale, extract(epoch FROM clock_timestamp() - changed_at)::float8
		FROM price `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list order's prices: %w", err)
	}
	return rows, nil
}
