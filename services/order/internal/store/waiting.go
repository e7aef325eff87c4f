package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Waiting is how long the orders that wait for one step have stood still, the oldest of them.
type Waiting struct {
	Progress string
	// Oldest in seconds, by the database's clock; Orders how many wait there.
	Oldest float64
	Orders int64
}

// Waiting looks at the orders under way, which an index of their own holds: few of many.
func (r Reader) Waiting(ctx context.Context) ([]Waiting, error) {
	rows, err := r.Pool.Query(ctx, `
		SELECT progress, extract(epoch FROM clock_timestamp() - min(updated_at))::float8, count(*)
		FROM orders WHERE status IN ('PENDING', 'CANCELLING') GROUP BY progress`)
	if err != nil {
		return nil, fmt.Errorf("look at waiting orders: %w", err)
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	if err != nil {
		return nil, fmt.Errorf("look at waiting orders: %w", err)
	}
	return waiting, nil
}
