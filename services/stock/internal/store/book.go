package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Books is what stock believes. Counts are products with what reservations hold of them: one statement
// over all reservations, for the few products that never stand still.
func Books() map[string]host.Book {
	return map[string]host.Book{
		"orders": host.BookOf(reservationBook), "products": host.BookOf(productBook), "counts": host.BookOf(countBook),
	}
}

func reservationBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Reservation, error) {
	where, args := q.Keys("order_id")
	rows, err := host.Collect[book.Reservation](ctx, tx, `
		SELECT order_id, user_id, state, items, extract(epoch FROM clock_timestamp() - updated_at)::float8
		FROM reservation `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list what stock believes: %w", err)
	}
	return rows, nil
}

// bookProduct are the columns of a book.Product but for what is held: xmin is another one after each change.
const bookProduct = `product_id, price, currency, on_sale, quantity, received, %s, product.xmin::text, extract(epoch FROM clock_timestamp() - updated_at)::float8`

func productBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Product, error) {
	where, args := q.Keys("product_id")
	rows, err := host.Collect[book.Product](ctx, tx, `SELECT `+fmt.Sprintf(bookProduct, "0::bigint")+` FROM product `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return rows, nil
}

// heldOf adds up what reservations hold, by product; it reads them all.
const heldOf = `
	WITH held AS (
		SELECT i.item->>'productId' AS product_id, sum((i.item->>'quantity')::bigint)::bigint AS held
		FROM reservation r CROSS JOIN LATERAL jsonb_array_elements(r.items) AS i(item)
		WHERE r.state = 'TAKEN' GROUP BY 1
	)`

func countBook(ctx context.Context, tx pgx.Tx, q host.BookQuery) ([]book.Product, error) {
	where, args := q.Keys("product_id")
	rows, err := host.Collect[book.Product](ctx, tx, heldOf+`
		SELECT `+fmt.Sprintf(bookProduct, "coalesce(held, 0)")+` FROM product LEFT JOIN held USING (product_id) `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", err)
	}
	return rows, nil
}

// Count is how far a product's pieces are off.
type Count struct {
	// Missing is how many have to be added to go with those that came in and those held; negative: taken off.
	Missing     int64
	Corrections int64
}

// countTimeout ends a count that reads too much: the shop goes on beside it, but not for nothing.
const countTimeout = 10 * time.Second

// Count adds up what is held of a product, in one statement with what is left of it; pgx.ErrNoRows if
// there is no such product. It locks nothing.
func (r Reader) Count(ctx context.Context, productID string) (Count, error) {
	var c Count
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	err := r.Pool.QueryRow(ctx, heldOf+`
		SELECT received - coalesce(held, 0) - quantity, corrections
		FROM product LEFT JOIN held USING (product_id) WHERE product_id = $1`, productID).Scan(&c.Missing, &c.Corrections)
	if err != nil {
		return c, fmt.Errorf("count the pieces of %s: %w", productID, err)
	}
	return c, nil
}
