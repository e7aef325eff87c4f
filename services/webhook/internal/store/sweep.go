package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/webhook"
)

// sweepChunk bounds one statement, so that none runs long or holds many rows.
const sweepChunk = 5000

// chores are what time does to the rows. Each statement takes up to a chunk and is repeated while it finds as much; rows
// that somebody is working on are left for the next time. $1 is the chunk, $2 the figure named.
var chores = []struct {
	what, sql string
	figure    func(Limits) any
}{
	// What is claimed is due when the claim ends, so nothing is given up that somebody is sending. The last attempt says
	// so in the log.
	{"give up deliveries", `
		WITH late AS (
			UPDATE delivery SET state = 2, claimed_until = NULL WHERE (endpoint_id, event_id) IN (
				SELECT endpoint_id, event_id FROM delivery WHERE state = 0 AND give_up_at < now() - $2::interval AND due_at < now()
				LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
			RETURNING endpoint_id, event_id, attempts),
		last AS (
			UPDATE attempt a SET outcome = 'GIVEN_UP', next_at = NULL FROM late
			WHERE a.endpoint_id = late.endpoint_id AND a.event_id = late.event_id AND a.number = late.attempts)
		SELECT FROM late`, func(Limits) any { return time.Duration(0) }},
	{"disable endpoints that fail", `
		UPDATE endpoint SET state = 'DISABLED', reason = '` + webhook.Failing + `', disabled_at = now() WHERE id IN (
			SELECT id FROM endpoint WHERE state = 'ENABLED' AND failing_since < now() - $2::interval
			ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)`, func(l Limits) any { return l.DisableAfter }},
	{"forget old secrets", `
		UPDATE endpoint SET old_secret = '', old_secret_until = NULL WHERE id IN (
			SELECT id FROM endpoint WHERE old_secret_until < now() - $2::interval
			ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)`, func(Limits) any { return time.Duration(0) }},
	{"delete old deliveries", `
		DELETE FROM delivery WHERE (endpoint_id, event_id) IN (
			SELECT endpoint_id, event_id FROM delivery WHERE created_at < now() - $2::interval ORDER BY created_at LIMIT $1
			FOR UPDATE SKIP LOCKED)`, func(l Limits) any { return l.Retention }},
	{
		"delete old attempts", `
		DELETE FROM attempt WHERE id IN (
			SELECT id FROM attempt WHERE at < now() - $2::interval ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)`,
		func(l Limits) any { return l.Retention },
	},
	{
		"delete old facts", `
		DELETE FROM fact WHERE event_id IN (
			SELECT event_id FROM fact WHERE recorded_at < now() - $2::interval ORDER BY recorded_at LIMIT $1 FOR UPDATE SKIP LOCKED)`,
		func(l Limits) any { return l.Retention },
	},
	{
		"delete the deliveries of deleted endpoints", `
		DELETE FROM delivery WHERE (endpoint_id, event_id) IN (
			SELECT d.endpoint_id, d.event_id FROM delivery d JOIN endpoint e ON e.id = d.endpoint_id
			WHERE e.state = 'DELETED' AND e.updated_at < now() - $2::interval LIMIT $1 FOR UPDATE OF d SKIP LOCKED)`,
		func(l Limits) any { return l.Settle },
	},
	{
		"delete the attempts of deleted endpoints", `
		DELETE FROM attempt WHERE id IN (
			SELECT a.id FROM attempt a JOIN endpoint e ON e.id = a.endpoint_id
			WHERE e.state = 'DELETED' AND e.updated_at < now() - $2::interval LIMIT $1 FOR UPDATE OF a SKIP LOCKED)`,
		func(l Limits) any { return l.Settle },
	},
	// Last of all: a batch that saw the endpoint before it was deleted has long been committed then.
	{"delete endpoints", `
		DELETE FROM endpoint WHERE id IN (
			SELECT id FROM endpoint e WHERE state = 'DELETED' AND updated_at < now() - $2::interval
				AND NOT EXISTS (SELECT FROM delivery d WHERE d.endpoint_id = e.id)
				AND NOT EXISTS (SELECT FROM attempt a WHERE a.endpoint_id = e.id)
			ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)`, func(l Limits) any { return l.Settle }},
}

// Limits say how long things last.
type Limits struct {
	// DisableAfter is how long nothing may be delivered before an endpoint is disabled.
	DisableAfter time.Duration
	// Retention of facts, deliveries and attempts.
	Retention time.Duration
	// Settle is how long a deleted endpoint's rows are left alone: longer than any transaction or attempt that began
	// before may last.
	Settle time.Duration
}

// Sweep does what is due: it gives up, disables and deletes. Any number of replicas may do so at once. It returns how
// many rows it has dealt with.
func Sweep(ctx context.Context, pool *pgxpool.Pool, limits Limits) (swept int64, err error) {
	for _, c := range chores {
		for {
			tag, err := pool.Exec(ctx, c.sql, sweepChunk, c.figure(limits))
			if err != nil {
				return swept, fmt.Errorf("%s: %w", c.what, err)
			}
			swept += tag.RowsAffected()
			if tag.RowsAffected() < sweepChunk {
				break
			}
		}
	}
	return swept, nil
}
