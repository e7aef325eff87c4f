package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// saveHistory adds lines, those that are not there yet.
func saveHistory(b *pg.Batch, lines []flow.Change[string, shipping.Line]) {
	if len(lines) == 0 {
		return
	}
	text := func(pick func(shipping.Line) string) []string {
		return column(lines, func(c flow.Change[string, shipping.Line]) string { return pick(c.Row) })
	}
	b.Queue("save tracking history", `
		INSERT INTO tracking_history (order_id, at, status, source, location)
		SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
		ON CONFLICT DO NOTHING`,
		text(func(l shipping.Line) string { return l.OrderID }),
		column(lines, func(c flow.Change[string, shipping.Line]) time.Time { return c.Row.At }),
		text(func(l shipping.Line) string { return l.Status }),
		text(func(l shipping.Line) string { return l.Source }),
		text(func(l shipping.Line) string { return l.Location }))
}

// maxLines of a history are shown: no carrier tells half as many.
const maxLines = 500

// History lists what was told of an order's parcel, by the carrier's times.
func History(ctx context.Context, pool *pgxpool.Pool, orderID string) ([]shipping.Line, error) {
	rows, err := pool.Query(ctx, `
		SELECT order_id, status, at, location, source FROM tracking_history WHERE order_id = $1 ORDER BY at, noted_at, status, source LIMIT $2`,
		orderID, maxLines)
	if err != nil {
		return nil, fmt.Errorf("read tracking history: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[shipping.Line])
	if err != nil {
		return nil, fmt.Errorf("read tracking history: %w", err)
	}
	for i := range lines {
		lines[i].At = lines[i].At.UTC()
	}
	return lines, nil
}

// Trouble is parcels that something is the matter with.
type Trouble struct {
	Orders []string // those longest in trouble
	Count  int
	Since  time.Time
}

// Silent counts the parcels of which more is expected and nothing was told for so long.
func Silent(ctx context.Context, pool *pgxpool.Pool, long time.Duration) (Trouble, error) {
	return trouble(ctx, pool, "count silent parcels", `
		WITH parcels AS (
			SELECT w.order_id, greatest(w.news_at, (SELECT max(noted_at) FROM tracking_history h WHERE h.order_id = w.order_id)) AS at
			FROM parcel_watch w WHERE w.news_at < clock_timestamp() - $1::interval)
		SELECT count(*), min(at), coalesce((array_agg(order_id ORDER BY at, order_id))[:20], '{}') FROM parcels
		WHERE at < clock_timestamp() - $1::interval`, long)
}

func trouble(ctx context.Context, pool *pgxpool.Pool, what, sql string, args ...any) (Trouble, error) {
	var t Trouble
	var since *time.Time
	if err := pool.QueryRow(ctx, sql, args...).Scan(&t.Count, &since, &t.Orders); err != nil {
		return t, fmt.Errorf("%s: %w", what, err)
	}
	t.Since = orZero(since)
	return t, nil
}

// InTrouble counts the parcels that came into a state within the last while, by the database's clock, and are in it still.
func InTrouble(ctx context.Context, pool *pgxpool.Pool, state shipping.Tracking, within time.Duration) (Trouble, error) {
	// The list of states is that of the index, so that the history is not read through every time.
	return trouble(ctx, pool, "count parcels that are "+string(state), `
		WITH parcels AS (
			SELECT h.order_id, min(h.noted_at) AS noted_at FROM tracking_history h JOIN shipment s USING (order_id)
			WHERE h.status IN ('UNDELIVERABLE', 'LOST', 'RETURNED') AND h.status = $1 AND s.tracking = $1
			  AND h.noted_at > clock_timestamp() - $2::interval
			GROUP BY h.order_id)
		SELECT count(*), min(noted_at), coalesce((array_agg(order_id ORDER BY noted_at, order_id))[:20], '{}') FROM parcels`,
		string(state), within)
}
