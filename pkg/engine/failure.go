package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Failure is one parked subject.
type Failure struct {
	Service     string     `json:"service"`
	Subject     string     `json:"subject"`
	EventID     string     `json:"eventId"`
	EventType   string     `json:"eventType"`
	Fingerprint string     `json:"fingerprint"`
	Error       string     `json:"error"`
	Retries     int        `json:"retries"`
	FailedAt    time.Time  `json:"failedAt"`
	RetriedAt   *time.Time `json:"retriedAt"`
	// NextRetryAt is nil when only a person can help.
	NextRetryAt *time.Time `json:"nextRetryAt"`
	// Queued is how many events wait, the failed one included.
	Queued int `json:"queued"`
}

// Group is what failures have in common: service, event type and fingerprint.
func (f Failure) Group() string { return f.Service + "/" + f.EventType + "/" + f.Fingerprint }

// Failures lists the parked subjects, oldest first, at most limit.
func (e *Engine[W]) Failures(ctx context.Context, limit int) ([]Failure, error) {
	rows, err := e.cfg.Pool.Query(ctx, `
		SELECT f.subject, f.event_id, f.event_type, f.fingerprint, f.error, f.retries, f.failed_at, f.retried_at,
		       f.next_retry_at, (SELECT count(*) FROM parked_event p WHERE p.subject = f.subject)
		FROM failure f ORDER BY f.failed_at LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	failures, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Failure, error) {
		f := Failure{Service: e.cfg.Definition.Name()}
		err := row.Scan(&f.Subject, &f.EventID, &f.EventType, &f.Fingerprint, &f.Error, &f.Retries, &f.FailedAt,
			&f.RetriedAt, &f.NextRetryAt, &f.Queued)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	return failures, nil
}

// StuckCall is a call outside that has been tried often and still has no outcome.
type StuckCall struct {
	Service   string    `json:"service"`
	Subject   string    `json:"subject"`
	Kind      string    `json:"kind"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"lastError"`
	Since     time.Time `json:"since"`
}

// StuckCalls lists pending calls with at least the given number of attempts, oldest first.
func (e *Engine[W]) StuckCalls(ctx context.Context, attempts, limit int) ([]StuckCall, error) {
	rows, err := e.cfg.Pool.Query(ctx, `
		SELECT subject, kind, attempts, last_error, created_at FROM call
		WHERE state = 0 AND attempts >= $1 ORDER BY created_at LIMIT $2`, attempts, limit)
	if err != nil {
		return nil, fmt.Errorf("list stuck calls: %w", err)
	}
	calls, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (StuckCall, error) {
		c := StuckCall{Service: e.cfg.Definition.Name()}
		return c, row.Scan(&c.Subject, &c.Kind, &c.Attempts, &c.LastError, &c.Since)
	})
	if err != nil {
		return nil, fmt.Errorf("list stuck calls: %w", err)
	}
	return calls, nil
}
