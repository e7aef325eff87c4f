package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/stock"
)

// Due lists products of which few pieces are left and nobody has been told. It claims nothing.
func Due(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error) {
	rows, err := pool.Query(ctx, `
		SELECT product_id FROM product WHERE low_at IS NOT NULL AND NOT low_told ORDER BY product_id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list products that run low: %w", err)
	}
	low, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Command, error) {
		var l stock.Low
		err := row.Scan(&l.ProductID)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("list products that run low: %w", err)
	}
	return low, nil
}

// Entry is a line of a product's ledger.
type Entry struct {
	// ID is the order's or the operator's command's: UUIDv7, by which the ledger is in order.
	ID     string
	Kind   stock.MovementKind
	Amount int64
	Reason string
	At     time.Time
}

// Cursor is where a page of the ledger ended; the zero Cursor is before the first.
type Cursor struct {
	ID   string
	Kind stock.MovementKind
}

// Ledger is one page of it, newest first.
type Ledger struct {
	Entries []Entry
	// Scanned is the last order that was looked at, where looking ended before the page was full: orders
	// of other products may fill whole pages. It is "" where everything was looked at.
	Scanned string
}

// Ledger reads a page of a product's ledger: the operators' movements and what orders took and gave back, by their
// ids. Reservations have no index by product, which every order would pay for, so it looks through at most so
// many orders, newest first, and says where it stopped.
func (r Reader) Ledger(ctx context.Context, productID string, after Cursor, limit, orders int) (Ledger, error) {
	if after.ID == "" {
		after.ID = "~" // behind every UUID
	}
	var l Ledger
	rows, err := r.Pool.Query(ctx, `
		WITH looked AS MATERIALIZED (
			SELECT order_id, state, items, created_at, updated_at FROM reservation
			WHERE order_id <= $2 ORDER BY order_id DESC LIMIT $5
		), last AS (
			SELECT CASE WHEN count(*) = $5 THEN min(order_id) ELSE '' END AS id FROM looked
		), took AS (
			SELECT order_id, state, created_at, updated_at, (item->>'quantity')::bigint AS quantity
			FROM looked CROSS JOIN LATERAL jsonb_array_elements(items) AS i(item) WHERE item->>'productId' = $1
		), moved AS (
			SELECT order_id AS id, 'TAKEN' AS kind, -quantity AS amount, '' AS reason, created_at AS at FROM took
			UNION ALL SELECT order_id, 'RETURNED', quantity, '', updated_at FROM took WHERE state = 'RETURNED'
			UNION ALL SELECT movement_id, kind, amount, reason, at FROM movement WHERE product_id = $1 AND movement_id <= $2
		)
		SELECT m.id, kind, amount, reason, at, last.id FROM last LEFT JOIN moved m
		  ON m.id >= last.id AND (m.id < $2 OR m.id = $2 AND kind > $3)
		ORDER BY m.id DESC, kind LIMIT $4`, productID, after.ID, string(after.Kind), limit, orders+1) // the cursor's own order once more
	if err != nil {
		return l, fmt.Errorf("read the ledger of %s: %w", productID, err)
	}
	var id, kind, reason *string
	var amount *int64
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &kind, &amount, &reason, &at, &l.Scanned}, func() error {
		if id != nil {
			l.Entries = append(l.Entries, Entry{ID: *id, Kind: stock.MovementKind(*kind), Amount: *amount, Reason: *reason, At: at.UTC()})
		}
		return nil
	})
	if err != nil {
		return l, fmt.Errorf("read the ledger of %s: %w", productID, err)
	}
	return l, nil
}
