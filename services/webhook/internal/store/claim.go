package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Claimed is a delivery that is this process's to make until its claim ends.
type Claimed struct {
	EndpointID string
	EventID    string
	Claim      int64
	// Attempts is how many there were before.
	Attempts int
	Body     []byte
}

// Claim takes due deliveries for so long, of each endpoint as many as there is room for, the longest due first. SKIP
// LOCKED is right here: no order is promised among deliveries. A claim is the delivery's due time moved to its end, so
// that what is claimed by a process that dies becomes due again by itself; its number tells one claim from the next.
//
// now() and not clock_timestamp(), which the planner may not look up in an index: each claim would read all that is
// waiting for a later try.
func Claim(ctx context.Context, pool *pgxpool.Pool, rooms map[string]int, lease time.Duration) ([]Claimed, error) {
	ids, limits := make([]string, 0, len(rooms)), make([]int32, 0, len(rooms))
	for id, room := range rooms {
		ids, limits = append(ids, id), append(limits, int32(room))
	}
	rows, err := pool.Query(ctx, `
		WITH due AS (
			SELECT d.endpoint_id, d.event_id FROM unnest($1::uuid[], $2::int[]) AS e(id, room)
			CROSS JOIN LATERAL (
				SELECT endpoint_id, event_id FROM delivery
				WHERE endpoint_id = e.id AND state = 0 AND due_at <= now()
				ORDER BY due_at LIMIT e.room FOR NO KEY UPDATE SKIP LOCKED) AS d)
		UPDATE delivery d SET due_at = now() + $3::interval, claimed_until = now() + $3::interval, claim = d.claim + 1
		FROM due JOIN fact f ON f.event_id = due.event_id
		WHERE d.endpoint_id = due.endpoint_id AND d.event_id = due.event_id
		RETURNING d.endpoint_id::text, d.event_id::text, d.claim, d.attempts, f.body`, ids, limits, lease)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Claimed, error) {
		var c Claimed
		return c, row.Scan(&c.EndpointID, &c.EventID, &c.Claim, &c.Attempts, &c.Body)
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return claimed, nil
}

// GiveBack makes deliveries due at once that were claimed and not sent. Those that somebody else has claimed since stay
// that one's.
func GiveBack(ctx context.Context, pool *pgxpool.Pool, unsent []Claimed) error {
	if len(unsent) == 0 {
		return nil
	}
	_, err := pool.Exec(ctx, `
		UPDATE delivery d SET due_at = now(), claimed_until = NULL
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS k(endpoint_id, event_id, claim)
		WHERE d.endpoint_id = k.endpoint_id AND d.event_id = k.event_id AND d.claim = k.claim AND d.state = 0`,
		column(unsent, func(c Claimed) string { return c.EndpointID }),
		column(unsent, func(c Claimed) string { return c.EventID }),
		column(unsent, func(c Claimed) int64 { return c.Claim }))
	if err != nil {
		return fmt.Errorf("give back %d deliveries: %w", len(unsent), err)
	}
	return nil
}
