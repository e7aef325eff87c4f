package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/webhook"
)

// ErrNoEndpoint says that there is no such endpoint, or no more.
var ErrNoEndpoint = errors.New("no such endpoint")

// Endpoint returns one endpoint, or ErrNoEndpoint.
func Endpoint(ctx context.Context, pool *pgxpool.Pool, id string) (webhook.Endpoint, error) {
	found, err := endpoints(ctx, pool, `WHERE id = $1 AND state <> 'DELETED'`, id)
	if err == nil && len(found) == 0 {
		err = ErrNoEndpoint
	}
	if err != nil {
		return webhook.Endpoint{}, err
	}
	return found[0], nil
}

// Endpoints lists endpoints newest first, at most limit; before is the id of the last one of the page before, or "".
func Endpoints(ctx context.Context, pool *pgxpool.Pool, before string, limit int) ([]webhook.Endpoint, error) {
	return endpoints(ctx, pool, `
		WHERE state <> 'DELETED' AND ($1 = '' OR id < NULLIF($1, '')::uuid) ORDER BY id DESC LIMIT $2`, before, limit)
}

// EnabledEndpoints lists those that facts are recorded for and sent to.
func EnabledEndpoints(ctx context.Context, pool *pgxpool.Pool) ([]webhook.Endpoint, error) {
	return endpoints(ctx, pool, `WHERE state = 'ENABLED'`)
}

func endpoints(ctx context.Context, pool *pgxpool.Pool, where string, args ...any) ([]webhook.Endpoint, error) {
	rows, err := pool.Query(ctx, `SELECT `+endpointColumns+` FROM endpoint `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanEndpoint)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	return found, nil
}

// Attempt is one line of an endpoint's log.
type Attempt struct {
	ID      string `json:"id"` // UUIDv7
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	Subject string `json:"subject"` // order id, or product id
	// Attempt counts those of the delivery, from 1.
	Attempt    int       `json:"attempt"`
	At         time.Time `json:"at"`
	DurationMS int       `json:"durationMs"`
	// Status of the answer; nil without one, and then Error says why.
	Status *int   `json:"status"`
	Error  string `json:"error"`
	// Outcome is DELIVERED, RETRYING or GIVEN_UP; NextAttemptAt is when it was to be tried again.
	Outcome       string     `json:"outcome"`
	NextAttemptAt *time.Time `json:"nextAttemptAt"`
}

// Attempts lists an endpoint's attempts newest first, those of one event if eventID is not empty; at most limit, and
// before is the id of the last one of the page before, or "". Facts are kept at least as long as attempts.
func Attempts(ctx context.Context, pool *pgxpool.Pool, endpointID, eventID, before string, limit int) ([]Attempt, error) {
	rows, err := pool.Query(ctx, `
		SELECT a.id::text, a.event_id::text, coalesce(f.type, ''), coalesce(f.subject, ''), a.number, a.at, a.millis, a.status,
		       a.error, a.outcome, a.next_at
		FROM attempt a LEFT JOIN fact f ON f.event_id = a.event_id
		WHERE a.endpoint_id = $1 AND ($2 = '' OR a.event_id = NULLIF($2, '')::uuid) AND ($3 = '' OR a.id < NULLIF($3, '')::uuid)
		ORDER BY a.id DESC LIMIT $4`, endpointID, eventID, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	attempts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attempt, error) {
		var a Attempt
		err := row.Scan(&a.ID, &a.EventID, &a.Type, &a.Subject, &a.Attempt, &a.At, &a.DurationMS, &a.Status, &a.Error, &a.Outcome,
			&a.NextAttemptAt)
		a.At = a.At.UTC()
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return attempts, nil
}

// Backlog is what waits to be sent to endpoints that are enabled.
type Backlog struct {
	// Pending counts deliveries, at most a hundred thousand. Oldest is the age of the oldest one.
	Pending int64
	Oldest  time.Duration
}

// PendingDeliveries measures the backlog.
func PendingDeliveries(ctx context.Context, pool *pgxpool.Pool) (Backlog, error) {
	var b Backlog
	err := pool.QueryRow(ctx, `
		SELECT count(*), coalesce(now() - min(created_at), '0') FROM (
			SELECT d.created_at FROM delivery d JOIN endpoint e ON e.id = d.endpoint_id
			WHERE d.state = 0 AND e.state = 'ENABLED' LIMIT 100000) AS waiting`).Scan(&b.Pending, &b.Oldest)
	if err != nil {
		return b, fmt.Errorf("measure the backlog: %w", err)
	}
	return b, nil
}

// DisabledEndpoint is one that was disabled by what happened, not by an operator.
type DisabledEndpoint struct {
	ID     string
	Reason string
	At     time.Time
}

// DisabledLately lists the endpoints that were disabled by themselves within so long.
func DisabledLately(ctx context.Context, pool *pgxpool.Pool, within time.Duration) ([]DisabledEndpoint, error) {
	rows, err := pool.Query(ctx, `
		SELECT id::text, reason, disabled_at FROM endpoint
		WHERE state = 'DISABLED' AND reason <> $1 AND disabled_at > now() - $2::interval ORDER BY disabled_at, id`, webhook.ByOperator, within)
	if err != nil {
		return nil, fmt.Errorf("list disabled endpoints: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (DisabledEndpoint, error) {
		var d DisabledEndpoint
		err := row.Scan(&d.ID, &d.Reason, &d.At)
		d.At = d.At.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list disabled endpoints: %w", err)
	}
	return list, nil
}
