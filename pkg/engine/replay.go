package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// ErrNotParked says that a subject has nothing to replay.
var ErrNotParked = errors.New("subject is not parked")

// Replay handles the queue of a parked subject, oldest first, through the same Load, decide and Save,
// and unparks it, all in one transaction under its lock. It returns the events handled, ErrNotParked,
// or the error that still stands in the way; then nothing has changed but the failure's text and retry.
func (e *Engine[W]) Replay(ctx context.Context, subject string) (int, error) {
	handled, err := e.replay(ctx, subject)
	if err == nil || errors.Is(err, ErrNotParked) {
		return handled, err
	}
	if fault.Classify(err) == fault.Deterministic {
		if noteErr := e.noteRetry(ctx, subject, err); noteErr != nil {
			return 0, errors.Join(err, noteErr)
		}
	}
	return 0, err
}

func (e *Engine[W]) replay(ctx context.Context, id string) (handled int, err error) {
	started := time.Now()
	err = pgx.BeginFunc(ctx, e.cfg.Pool, func(tx pgx.Tx) error {
		subjects, now, err := lockSubjects(ctx, tx, []string{id})
		if err != nil {
			return err
		}
		if !subjects[id].parked {
			return ErrNotParked
		}
		queue, err := e.readParked(ctx, tx, id)
		if err != nil {
			return err
		}
		var items []*item
		for _, a := range queue {
			if a.err != nil {
				return a.err
			}
			if a.skip {
				continue // the service does not take this type any more
			}
			it := a.item()
			it.input.Subject = id
			items = append(items, it)
		}
		if err := e.apply(ctx, tx, subjects, now, items); err != nil {
			return err
		}
		handled = len(items)
		return unpark(ctx, tx, id)
	})
	if err != nil {
		return 0, err
	}
	e.cfg.Wake()
	e.worker.wakeUp()
	e.metrics.batch("replay", handled, time.Since(started))
	e.log.Info("parked subject replayed", "subject", id, "events", handled)
	return handled, nil
}

func unpark(ctx context.Context, tx pgx.Tx, id string) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM parked_event WHERE subject = $1`, id)
	batch.Queue(`DELETE FROM failure WHERE subject = $1`, id)
	batch.Queue(`UPDATE subject SET parked = false WHERE id = $1`, id)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("unpark: %w", err)
	}
	return nil
}

// noteRetry records that a replay failed, and with what.
func (e *Engine[W]) noteRetry(ctx context.Context, subject string, cause error) error {
	var retries int
	var now time.Time
	err := e.cfg.Pool.QueryRow(ctx, `SELECT retries + 1, clock_timestamp() FROM failure WHERE subject = $1`, subject).
		Scan(&retries, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // replayed by somebody else meanwhile
	}
	if err == nil {
		_, err = e.cfg.Pool.Exec(ctx, `
			UPDATE failure SET retries = $2, retried_at = $3, next_retry_at = $4, error = $5, fingerprint = $6
			WHERE subject = $1`,
			subject, retries, now, e.nextRetry(retries, now), cause.Error(), fault.Fingerprint(cause))
	}
	if err != nil {
		return fmt.Errorf("note the failed replay: %w", err)
	}
	return nil
}

// replayDue tries the parked subjects whose time has come.
func (e *Engine[W]) replayDue(ctx context.Context) error {
	rows, err := e.cfg.Pool.Query(ctx, `
		SELECT subject FROM failure WHERE next_retry_at <= clock_timestamp() ORDER BY next_retry_at LIMIT 100`)
	if err != nil {
		return fmt.Errorf("list due replays: %w", err)
	}
	subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list due replays: %w", err)
	}
	for _, s := range subjects {
		if ctx.Err() != nil {
			return nil
		}
		if _, err := e.Replay(ctx, s); err != nil && !errors.Is(err, ErrNotParked) {
			e.log.Warn("replay failed", "subject", s, "error", err)
		}
	}
	return nil
}
