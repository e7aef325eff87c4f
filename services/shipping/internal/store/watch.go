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

// lookAfter is Store.LookAfter where nothing is said.
const lookAfter = 10 * time.Minute

// saveWatches keeps one row for each parcel of which more is expected. News begin the pauses between two questions anew;
// a random half keeps the parcels of a rush from being asked about all at once.
func saveWatches(b *pg.Batch, rows []flow.Change[string, shipping.Shipment], after time.Duration) {
	var followed, ended []string
	for _, c := range rows {
		switch {
		case c.Row.Followed():
			followed = append(followed, c.Key)
		case !c.New && !c.Row.PreparedAt.IsZero(): // else it never had a row
			ended = append(ended, c.Key)
		}
	}
	if after == 0 {
		after = lookAfter
	}
	if len(followed) > 0 {
		b.Queue("watch parcels", `
			INSERT INTO parcel_watch (order_id, due_at)
			SELECT id, clock_timestamp() + $2::interval * (0.75 + random() / 2) FROM unnest($1::text[]) AS id
			ON CONFLICT (order_id) DO UPDATE SET due_at = EXCLUDED.due_at, attempts = 0, news_at = EXCLUDED.news_at`, followed, after)
	}
	if len(ended) > 0 {
		b.Queue("watch parcels no more", `DELETE FROM parcel_watch WHERE order_id = ANY($1)`, ended)
	}
}

// followed is [shipping.Shipment.Followed] of the row s.
const followed = `(s.state IN ('PREPARED', 'STOPPING') OR s.state = 'DISPATCHED' AND s.tracking NOT IN ('LOST', 'RETURNED'))`

// Tend makes the list of watched parcels what the shipments say it should be, and returns how many rows it lacked or had
// too many. There are none but those that replicas of an earlier release left, who know of no list, while they were being
// replaced. A row that a decision has locked at the moment is the decision's to see to.
func Tend(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	over, err := pool.Exec(ctx, `
		DELETE FROM parcel_watch WHERE order_id IN (
			SELECT w.order_id FROM parcel_watch w JOIN shipment s USING (order_id) WHERE NOT `+followed+` FOR UPDATE OF w SKIP LOCKED)`)
	if err != nil {
		return 0, fmt.Errorf("take parcels off the list that are not watched any more: %w", err)
	}
	lacking, err := pool.Exec(ctx, `
		INSERT INTO parcel_watch (order_id, due_at)
		SELECT s.order_id, clock_timestamp() + $1::interval * random() FROM shipment s
		WHERE `+followed+` AND NOT EXISTS (SELECT FROM parcel_watch w WHERE w.order_id = s.order_id)
		ON CONFLICT DO NOTHING`, lookAfter)
	if err != nil {
		return over.RowsAffected(), fmt.Errorf("put parcels on the list that are not watched yet: %w", err)
	}
	return over.RowsAffected() + lacking.RowsAffected(), nil
}

// Claimed is a parcel that the carrier is to be asked about.
type Claimed struct {
	OrderID, Carrier, BookingID, TrackingNumber string
	Tracking                                    shipping.Tracking
	// WatchedUntil is how long callbacks are registered; zero if they are not.
	WatchedUntil time.Time
	// Lines is how much of its history the source has told.
	Lines int
}

// Claim takes up to limit parcels whose time has come, for the caller alone: their next time is set in the same statement,
// twice as far as the last one until most, give or take a quarter. So a caller that dies has delayed its parcels by one
// turn, and one that has nothing to say need not write again. Source is who will be asked.
func Claim(ctx context.Context, pool *pgxpool.Pool, limit int, least, most time.Duration, source string) ([]Claimed, error) {
	rows, err := pool.Query(ctx, `
		WITH due AS MATERIALIZED (
			SELECT order_id FROM parcel_watch WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		UPDATE parcel_watch AS w
		SET attempts = w.attempts + 1, asked_at = clock_timestamp(),
		    due_at = clock_timestamp() + least($2::interval * power(2, least(w.attempts, 20)), $3::interval) * (0.75 + random() / 2)
		FROM due JOIN shipment AS s USING (order_id)
		WHERE w.order_id = due.order_id
		RETURNING w.order_id, s.carrier, s.booking_id, s.tracking_number, s.tracking, w.watched_until,
		          (SELECT count(*) FROM tracking_history AS h WHERE h.order_id = w.order_id AND h.source = $4)`,
		limit, least, most, source)
	if err != nil {
		return nil, fmt.Errorf("claim parcels: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Claimed, error) {
		var c Claimed
		var until *time.Time
		err := row.Scan(&c.OrderID, &c.Carrier, &c.BookingID, &c.TrackingNumber, &c.Tracking, &until, &c.Lines)
		c.WatchedUntil = orZero(until)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim parcels: %w", err)
	}
	return claimed, nil
}

// Postpone gives parcels back that were claimed and could not be asked about: their turn is repeated after a while.
// Neither it nor Watched waits for a row: who has one locked is a decision with news of the parcel, or takes the row away,
// and a decision may wait for another row of ours in turn.
func Postpone(ctx context.Context, pool *pgxpool.Pool, orders []string, after time.Duration) error {
	_, err := pool.Exec(ctx, `
		UPDATE parcel_watch SET attempts = greatest(attempts - 1, 0), due_at = clock_timestamp() + $2::interval * (0.75 + random() / 2)
		WHERE order_id IN (SELECT order_id FROM parcel_watch WHERE order_id = ANY($1) FOR UPDATE SKIP LOCKED)`, orders, after)
	if err != nil {
		return fmt.Errorf("postpone %d parcels: %w", len(orders), err)
	}
	return nil
}

// Watched notes until when callbacks about these parcels are registered.
func Watched(ctx context.Context, pool *pgxpool.Pool, orders []string, until time.Time) error {
	_, err := pool.Exec(ctx, `
		UPDATE parcel_watch SET watched_until = $2
		WHERE order_id IN (SELECT order_id FROM parcel_watch WHERE order_id = ANY($1) FOR UPDATE SKIP LOCKED)`, orders, until)
	if err != nil {
		return fmt.Errorf("note callbacks of %d parcels: %w", len(orders), err)
	}
	return nil
}

// Hint makes a parcel's turn come now: there seems to be news of it. However often it is said, the carrier is not asked
// again before a pause has passed since it was asked. False: nothing more is expected of the parcel.
func Hint(ctx context.Context, pool *pgxpool.Pool, orderID string, pause time.Duration) (bool, error) {
	tag, err := pool.Exec(ctx, `
		UPDATE parcel_watch
		SET due_at = least(due_at, greatest(clock_timestamp(), coalesce(asked_at + $2::interval, '-infinity'))), attempts = 0
		WHERE order_id = $1`, orderID, pause)
	if err != nil {
		return false, fmt.Errorf("hint at news of a parcel: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}
