package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrBusy says that another replica compares at the moment.
var ErrBusy = errors.New("another replica is at it")

// reconcileLock is the advisory lock of the replica that compares: "reconcil" in ASCII.
const reconcileLock = 0x7265636f6e63696c

// Alone runs do in one replica at a time. The lock is the session's: it goes with the connection, so a
// replica that dies holds nobody up.
func Alone(ctx context.Context, pool *pgxpool.Pool, do func(context.Context) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("take the reconciler's lock: %w", err)
	}
	defer conn.Release()
	var taken bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(reconcileLock)).Scan(&taken); err != nil {
		return fmt.Errorf("take the reconciler's lock: %w", err)
	}
	if !taken {
		return ErrBusy
	}
	defer func() {
		// Also when ctx has ended: the connection goes back to the pool.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(reconcileLock)); err != nil {
			_ = conn.Conn().Close(ctx) // then it goes with the session
		}
	}()
	return do(ctx)
}

// Changed are orders that had an event within (since, until], with the time up to which these are all;
// at most limit. A product's events are left out: order ids are UUIDs, and products' are rarely.
func Changed(ctx context.Context, pool *pgxpool.Pool, since, until time.Time, limit int) (orders []string, upTo time.Time, err error) {
	rows, err := pool.Query(ctx, `
		SELECT e.subject, max(e.occurred_at) AS last FROM event e
		WHERE e.occurred_at > $1 AND e.occurred_at <= $2
		GROUP BY e.subject ORDER BY last LIMIT $3`, since, until, limit)
	if err != nil {
		return nil, since, fmt.Errorf("list changed orders: %w", err)
	}
	upTo = until
	var id string
	var last time.Time
	n := 0
	if _, err := pgx.ForEachRow(rows, []any{&id, &last}, func() error {
		if n++; n == limit {
			upTo = last
		}
		if isOrder(id) {
			orders = append(orders, id)
		}
		return nil
	}); err != nil {
		return nil, since, fmt.Errorf("list changed orders: %w", err)
	}
	return orders, upTo, nil
}

// isOrder tells an order's id by its form.
func isOrder(id string) bool {
	return len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-'
}

// Marks reads the reconciler's marks.
func Marks(ctx context.Context, pool *pgxpool.Pool) (map[string]time.Time, error) {
	rows, err := pool.Query(ctx, `SELECT name, at FROM reconciliation`)
	if err != nil {
		return nil, fmt.Errorf("read the reconciler's marks: %w", err)
	}
	marks := map[string]time.Time{}
	var name string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&name, &at}, func() error {
		marks[name] = at.UTC()
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the reconciler's marks: %w", err)
	}
	return marks, nil
}

// Mark sets one; it is never set back.
func Mark(ctx context.Context, pool *pgxpool.Pool, name string, at time.Time) error {
	_, err := pool.Exec(ctx, `
		INSERT INTO reconciliation (name, at) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET at = greatest(reconciliation.at, excluded.at)`, name, at)
	if err != nil {
		return fmt.Errorf("note how far the reconciler is: %w", err)
	}
	return nil
}

// Now is the database's clock, by which events are listed.
func Now(ctx context.Context, pool *pgxpool.Pool) (now time.Time, err error) {
	if err = pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the clock: %w", err)
	}
	return now.UTC(), nil
}

// Difference is one that stands.
type Difference struct {
	Key, Rule, About string
	FoundAt          time.Time
	Report           []byte // JSON
}

// Differences lists what stands, oldest first, at most limit.
func Differences(ctx context.Context, pool *pgxpool.Pool, limit int) ([]Difference, error) {
	rows, err := pool.Query(ctx, `SELECT key, rule, about, found_at, report FROM difference ORDER BY found_at, key LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list differences: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Difference])
	if err != nil {
		return nil, fmt.Errorf("list differences: %w", err)
	}
	return list, nil
}

// KeepDifferences records what was found, and deletes those of the judged keys that are not among it.
func KeepDifferences(ctx context.Context, pool *pgxpool.Pool, found []Difference, judged []string) error {
	n := len(found)
	keys, rules, abouts, reports := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, d := range found {
		keys[i], rules[i], abouts[i], reports[i] = d.Key, d.Rule, d.About, string(d.Report)
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM difference WHERE key = ANY($1) AND NOT key = ANY($2)`, judged, keys); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO difference (key, rule, about, found_at, report)
			SELECT key, rule, about, clock_timestamp(), report
			FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[]) AS k(key, rule, about, report)
			ON CONFLICT (key) DO UPDATE SET report = excluded.report`, keys, rules, abouts, reports)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep differences: %w", err)
	}
	return nil
}
