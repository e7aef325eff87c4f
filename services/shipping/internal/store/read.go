package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/shipping"
)

// ShipmentOf reads the shipment of a member's own order; false if there is none or it is another's.
func ShipmentOf(ctx context.Context, pool *pgxpool.Pool, orderID, userID string) (shipping.Shipment, bool, error) {
	return shipment(ctx, pool, `SELECT `+shipmentColumns+` FROM shipment WHERE order_id = $1 AND user_id = $2`, orderID, userID)
}

// Shipment reads an order's shipment, whosever it is; false if there is none.
func Shipment(ctx context.Context, pool *pgxpool.Pool, orderID string) (shipping.Shipment, bool, error) {
	return shipment(ctx, pool, `SELECT `+shipmentColumns+` FROM shipment WHERE order_id = $1`, orderID)
}

func shipment(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (shipping.Shipment, bool, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return shipping.Shipment{}, false, fmt.Errorf("read shipment: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanShipment)
	if errors.Is(err, pgx.ErrNoRows) {
		return shipping.Shipment{}, false, nil
	}
	if err != nil {
		return shipping.Shipment{}, false, fmt.Errorf("read shipment: %w", err)
	}
	return s, true, nil
}
