package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// ErrNotParked says that a subject has nothing to replay.
var ErrNotParked = errors.New("subject is not parked")

// Replay handles the queue of a parked subject, oldest first, through the same Load, decide and Save,
// and unparks it, all in one transaction under its lock. It returns the events handled, ErrNotParked,
// or the error that still stands in the way; then nothing has changed but the failure's text and retry.
//
// A replay that somebody asks for leaves the automatic retries as they are.
func (e *Engine[W]) Replay(ctx context.Context, subject string) (int, error) {
	return e.tryAgain(ctx, subject, false)
}

func (e *Engine[W]) tryAgain(ctx context.Context, subject string, automatic bool) (int, error) {
	handled, err := e.replay(ctx, subject)
	if err == nil || errors.Is(err, ErrNotParked) {
		return handled, err
	}
	if fault.Classify(err) == fault.Deterministic {
		if noteErr := e.noteRetry(ctx, subject, err, automatic); noteErr != nil {
			return 0, errors.Join(err, noteErr)
		}
	}
	return 0, err
}

func (e *Engine[W]) replay(ctx context.Context, id string) (handled int, err error) {
	started := time.Now()
	var calls *callBook
	err = pg.Transact(ctx, e.cfg.Pool, func(tx *pg.Tx) error {
		batch := &pg.Batch{}
		lock := lockSubjects(batch, origins{id: {}})
		if err := tx.Send(ctx, batch); err != nil {
			return fmt.Errorf("lock a parked subject: %w", err)
		}
		subjects, now, err := lock.result()
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
		if calls, err = e.apply(ctx, tx, subjects, now, items); err != nil {
			return err
		}
		handled = len(items)
		unpark(tx.Last(), id)
		return nil
	})
	if err != nil {
		return 0, err
	}
	e.cfg.Wake()
	e.worker.start(calls.mine, started)
	e.metrics.batch("replay", handled, time.Since(started))
	e.log.Info("parked subject replayed", "subject", id, "events", handled)
	return handled, nil
}

func unpark(b *pg.Batch, id string) {
	b.Queue("forget the parked events", `DELETE FROM parked_event WHERE subject = $1`, id)
	b.Queue("forget the failure", `DELETE FROM failure WHERE subject = $1`, id)
	b.Queue("unpark", `UPDATE subject SET parked = false WHERE id = $1`, id)
}

// noteRetry records that a replay failed, and with what.
func (e *Engine[W]) noteRetry(ctx context.Context, subject string, cause error, automatic bool) error {
	var retries, counted int
	if automatic {
		counted = 1
	}
	var now time.Time
	err := e.cfg.Pool.QueryRow(ctx, `
		UPDATE failure SET retries = retries + $4, retried_at = clock_timestamp(), error = $2, fingerprint = $3
		WHERE subject = $1 RETURNING retries, retried_at`,
		subject, storable(cause.Error()), fault.Fingerprint(cause), counted).Scan(&retries, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // replayed by somebody else meanwhile
	}
	if err == nil && automatic {
		_, err = e.cfg.Pool.Exec(ctx, `UPDATE failure SET next_retry_at = $3 WHERE subject = $1 AND retries = $2`,
			subject, retries, e.nextRetry(retries, now))
	}
	if err != nil {
		return fmt.Errorf("note the failed replay: %w", err)
	}
	return nil
}

// replayLease is how long a due replay belongs to the replica that took it on. Longer than a
// transaction may last: two at the same one would use up its retries twice as fast.
const replayLease = 2 * txTimeout

// replayDue tries the parked subjects whose time has come, one after the other.
func (e *Engine[W]) replayDue(ctx context.Context) error {
	for ctx.Err() == nil {
		var subject string
		err := e.cfg.Pool.QueryRow(ctx, `
			UPDATE failure SET next_retry_at = clock_timestamp() + $1
			WHERE subject = (SELECT subject FROM failure WHERE next_retry_at <= clock_timestamp()
			                 ORDER BY next_retry_at LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING subject`, replayLease).Scan(&subject)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("take a due replay: %w", err)
		}
		if _, err := e.tryAgain(ctx, subject, true); err != nil && !errors.Is(err, ErrNotParked) && ctx.Err() == nil {
			e.log.Warn("replay failed", "subject", subject, "error", err)
		}
	}
	return nil
}
