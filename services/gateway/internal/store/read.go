package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/gateway"
)

// timelineLimit bounds a timeline. An order has some twenty events; a product may have any number, the newest count.
const timelineLimit = 1000

// Timeline returns the events of one order or product, as they are kept, with what was found against them.
func Timeline(ctx context.Context, pool *pgxpool.Pool, subject string) ([]gateway.Event, error) {
	rows, err := pool.Query(ctx, `
		SELECT `+eventColumns+` FROM event WHERE subject = $1 ORDER BY position DESC LIMIT $2`, subject, timelineLimit)
	if err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	return events, addFindings(ctx, pool, subject, events)
}

// Counts returns how many events each of the subjects has, in one statement for all who wait.
func Counts(ctx context.Context, pool *pgxpool.Pool, subjects []string) (map[string]int, error) {
	rows, err := pool.Query(ctx, `
		SELECT subject, count(*) FROM event WHERE subject = ANY($1) GROUP BY subject`, subjects)
	if err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	counts := make(map[string]int, len(subjects))
	var subject string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&subject, &n}, func() error {
		counts[subject] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	return counts, nil
}

// ErrNoOrder says that the read model has no such order (yet).
var ErrNoOrder = errors.New("no such order")

// Order returns one order's line, or ErrNoOrder.
func Order(ctx context.Context, pool *pgxpool.Pool, id string) (gateway.Order, error) {
	rows, err := pool.Query(ctx, `SELECT `+orderColumns+` FROM order_line WHERE order_id = $1`, id)
	if err != nil {
		return gateway.Order{}, fmt.Errorf("read order line: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOrder)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, ErrNoOrder
	}
	if err != nil {
		return o, fmt.Errorf("read order line: %w", err)
	}
	return o, nil
}

// Filter picks orders of the list; empty fields match all.
type Filter struct {
	Status gateway.Status
	Step   gateway.Step
	// Before is the id of the last order of the page before.
	Before string
	Limit  int
}

// Orders lists orders newest first, one more than the limit if there are more.
//
// The status stands in the statement as a constant, out of the known ones: with a parameter the planner could not use
// the index that holds only what waits.
func Orders(ctx context.Context, pool *pgxpool.Pool, f Filter) ([]gateway.Order, error) {
	where := "true"
	if slices.Contains(gateway.Statuses, f.Status) {
		where = "status = '" + string(f.Status) + "'"
	}
	rows, err := pool.Query(ctx, `
		SELECT `+orderColumns+` FROM order_line
		WHERE `+where+` AND ($1 = '' OR step = $1) AND ($2 = '' OR order_id < $2)
		ORDER BY order_id DESC LIMIT $3`, string(f.Step), f.Before, f.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list order lines: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil {
		return nil, fmt.Errorf("list order lines: %w", err)
	}
	return orders, nil
}

// AuditEntry is one change that an operator asked for.
type AuditEntry struct {
	ID        string    `json:"id"` // UUIDv7
	At        time.Time `json:"at"`
	Operator  string    `json:"operator"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Reason    string    `json:"reason"`
	RequestID string    `json:"requestId"`
	// Status is the HTTP status of the answer; nil while there is none.
	Status *int `json:"status"`
}

// BeginAudit records that a change was asked for, before it is done.
func BeginAudit(ctx context.Context, pool *pgxpool.Pool, a AuditEntry) error {
	_, err := pool.Exec(ctx, `
		INSERT INTO audit (id, operator, method, path, reason, request_id) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.ID, a.Operator, a.Method, a.Path, a.Reason, a.RequestID)
	if err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	return nil
}

// EndAudit records how a change was answered.
func EndAudit(ctx context.Context, pool *pgxpool.Pool, id string, status int) error {
	if _, err := pool.Exec(ctx, `UPDATE audit SET status = $2 WHERE id = $1`, id, status); err != nil {
		return fmt.Errorf("record the answer: %w", err)
	}
	return nil
}

// Audit lists changes newest first, one more than limit if there are more; before is the id of the last one of the
// page before, or "".
func Audit(ctx context.Context, pool *pgxpool.Pool, before string, limit int) ([]AuditEntry, error) {
	rows, err := pool.Query(ctx, `
		SELECT id::text, at, operator, method, path, reason, request_id, status FROM audit
		WHERE $1 = '' OR id < NULLIF($1, '')::uuid ORDER BY id DESC LIMIT $2`, before, limit+1)
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditEntry, error) {
		var a AuditEntry
		err := row.Scan(&a.ID, &a.At, &a.Operator, &a.Method, &a.Path, &a.Reason, &a.RequestID, &a.Status)
		a.At = a.At.UTC()
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the audit: %w", err)
	}
	return entries, nil
}
