package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/webhook"
)

// Result is how one attempt ended.
type Result struct {
	Claimed
	ID   string // of the attempt, UUIDv7
	At   time.Time
	Took time.Duration
	// Status of the answer; 0 without one, and then Error says why.
	Status    int
	Error     string
	Delivered bool
	// Gone: the receiver wants no more, neither this nor anything else.
	Gone bool
	// Wait until the next attempt, if there has to be one.
	Wait time.Duration
}

// SaveResults writes what became of attempts: the log, the deliveries, and of their endpoints whether they work. Of one
// delivery there is at most one result.
//
// An attempt counts whenever it ends. But only that of the present claim says when the next one is, or a worker that
// was paused would have a delivery made that another one is making. That something was delivered holds in any case.
func SaveResults(ctx context.Context, pool *pgxpool.Pool, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Endpoints before deliveries, as commands lock them.
		if err := saveHealth(ctx, tx, results); err != nil {
			return err
		}
		return saveAttempts(ctx, tx, results)
	})
	if err != nil {
		return fmt.Errorf("save %d results: %w", len(results), err)
	}
	return nil
}

// health is what a batch of results says of an endpoint.
type health struct{ works, gone bool }

// saveHealth notes since when nothing was delivered, and disables who answered 410. It writes only what changes: as a
// rule nothing does.
func saveHealth(ctx context.Context, tx pgx.Tx, results []Result) error {
	by := map[string]health{}
	for _, r := range results {
		h := by[r.EndpointID]
		h.works, h.gone = h.works || r.Delivered, h.gone || r.Gone
		by[r.EndpointID] = h
	}
	ids := slices.Sorted(maps.Keys(by))
	_, err := tx.Exec(ctx, `
		UPDATE endpoint e SET
			failing_since = CASE WHEN NOT k.works THEN coalesce(e.failing_since, now()) END,
			state = CASE WHEN k.gone THEN 'DISABLED' ELSE e.state END,
			reason = CASE WHEN k.gone THEN $4 ELSE e.reason END,
			disabled_at = CASE WHEN k.gone THEN now() ELSE e.disabled_at END
		FROM (SELECT e.id, k.works, k.gone AND e.state = 'ENABLED' AS gone
		      FROM endpoint e JOIN unnest($1::uuid[], $2::bool[], $3::bool[]) AS k(id, works, gone) USING (id)
		      WHERE k.works = (e.failing_since IS NOT NULL) OR k.gone AND e.state = 'ENABLED'
		      ORDER BY e.id FOR NO KEY UPDATE OF e) AS k
		WHERE e.id = k.id`,
		ids, column(ids, func(id string) bool { return by[id].works }), column(ids, func(id string) bool { return by[id].gone }),
		webhook.Gone)
	if err != nil {
		return fmt.Errorf("note which endpoints work: %w", err)
	}
	return nil
}

func saveAttempts(ctx context.Context, tx pgx.Tx, results []Result) error {
	text := func(pick func(Result) string) []string { return column(results, pick) }
	flag := func(pick func(Result) bool) []bool { return column(results, pick) }
	_, err := tx.Exec(ctx, `
		WITH k AS (
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[], $6::int[], $7::int[],
			                     $8::text[], $9::bool[], $10::bool[], $11::interval[])
			AS k(endpoint_id, event_id, claim, id, at, millis, status, error, delivered, gone, wait)),
		moved AS (
			UPDATE delivery d SET
				attempts = d.attempts + 1,
				state = CASE WHEN k.delivered THEN 1
				             WHEN d.claim <> k.claim OR d.state <> 0 THEN d.state
				             WHEN k.gone OR now() + k.wait > d.give_up_at THEN 2
				             ELSE 0 END,
				due_at = CASE WHEN d.claim = k.claim THEN now() + k.wait ELSE d.due_at END,
				claimed_until = CASE WHEN d.claim = k.claim THEN NULL ELSE d.claimed_until END
			FROM k WHERE d.endpoint_id = k.endpoint_id AND d.event_id = k.event_id
			RETURNING d.endpoint_id, d.event_id, d.attempts, d.state, d.due_at, k.id, k.at, k.millis, k.status, k.error, k.delivered)
		INSERT INTO attempt (id, endpoint_id, event_id, number, at, millis, status, error, outcome, next_at)
		SELECT id, endpoint_id, event_id, attempts, at, millis, nullif(status, 0), error,
		       CASE WHEN delivered THEN 'DELIVERED' WHEN state = 2 THEN 'GIVEN_UP' ELSE 'RETRYING' END,
		       CASE WHEN state = 0 THEN due_at END
		FROM moved`,
		text(func(r Result) string { return r.EndpointID }), text(func(r Result) string { return r.EventID }),
		column(results, func(r Result) int64 { return r.Claim }), text(func(r Result) string { return r.ID }),
		column(results, func(r Result) time.Time { return r.At }),
		column(results, func(r Result) int32 { return int32(min(r.Took.Milliseconds(), 1<<30)) }),
		column(results, func(r Result) int32 { return int32(r.Status) }), text(func(r Result) string { return r.Error }),
		flag(func(r Result) bool { return r.Delivered }), flag(func(r Result) bool { return r.Gone }),
		column(results, func(r Result) time.Duration { return r.Wait }))
	if err != nil {
		return fmt.Errorf("log attempts: %w", err)
	}
	return nil
}
