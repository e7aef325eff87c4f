package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Querier asks a single question: a pool, or a connection.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Watermark says how far the export is.
type Watermark struct {
	// Position of the newest fact kept, and of the newest one that the platform has taken.
	Position int64
	Exported int64
	// Oldest is when the oldest fact that was not exported happened; nil: all are.
	Oldest *time.Time
	// Lag is how long ago that was, by the database's clock.
	Lag time.Duration
	// Attempts and LastError are of the batch under way: 0 and "" if nothing went wrong with it.
	Attempts  int
	LastError string
	// Batches and Facts were sent since the beginning.
	Batches, Facts int64
}

// ReadWatermark asks how far the live export is.
func ReadWatermark(ctx context.Context, q Querier) (Watermark, error) {
	var w Watermark
	var lag float64
	err := q.QueryRow(ctx, `
		SELECT h.position, s.position, f.occurred_at,
		       coalesce(greatest(extract(epoch FROM clock_timestamp() - f.occurred_at), 0), 0)::float8,
		       coalesce(b.attempts, 0), coalesce(b.last_error, ''), s.batches, s.facts
		FROM head h
		JOIN stream s ON s.id = '00000000-0000-0000-0000-000000000000'
		LEFT JOIN LATERAL (SELECT occurred_at FROM fact WHERE position > s.position ORDER BY position LIMIT 1) f ON true
		LEFT JOIN batch b ON b.stream = s.id AND b.sent_at IS NULL`).
		Scan(&w.Position, &w.Exported, &w.Oldest, &lag, &w.Attempts, &w.LastError, &w.Batches, &w.Facts)
	if err != nil {
		return w, fmt.Errorf("read the export's watermark: %w", err)
	}
	if w.Oldest != nil {
		at := w.Oldest.UTC()
		w.Oldest = &at
	}
	w.Lag = time.Duration(lag * float64(time.Second))
	return w, nil
}

// ReplayState is a replay as operators see it.
type ReplayState struct {
	ReplayID string     `json:"replayId"`
	From     time.Time  `json:"from"`
	UpTo     int64      `json:"upTo"`
	Position int64      `json:"position"`
	Batches  int64      `json:"batches"`
	Facts    int64      `json:"facts"`
	OpenedAt time.Time  `json:"openedAt"`
	DoneAt   *time.Time `json:"doneAt"`
}

// Replays lists replays, newest first.
func Replays(ctx context.Context, q Querier, limit int) ([]ReplayState, error) {
	rows, err := q.Query(ctx, `
		SELECT id::text, since, up_to, position, batches, facts, opened_at, done_at
		FROM stream WHERE up_to IS NOT NULL ORDER BY opened_at DESC, id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r ReplayState, err error) {
		err = row.Scan(&r.ReplayID, &r.From, &r.UpTo, &r.Position, &r.Batches, &r.Facts, &r.OpenedAt, &r.DoneAt)
		r.From, r.OpenedAt = r.From.UTC(), r.OpenedAt.UTC()
		if r.DoneAt != nil {
			at := r.DoneAt.UTC()
			r.DoneAt = &at
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	return states, nil
}

// Stuck is a replay whose batch was sent in vain.
type Stuck struct {
	ReplayID  string
	Since     time.Time
	LastError string
}

// StuckReplays lists the replays whose batch was cut longer than behind ago and sent in vain at least so often, oldest
// first.
func StuckReplays(ctx context.Context, q Querier, behind time.Duration, attempts int) ([]Stuck, error) {
	rows, err := q.Query(ctx, `
		SELECT s.id::text, b.cut_at, b.last_error FROM batch b JOIN stream s ON s.id = b.stream
		WHERE b.sent_at IS NULL AND s.up_to IS NOT NULL AND b.attempts >= $2 AND b.cut_at < clock_timestamp() - $1::interval
		ORDER BY b.cut_at, s.id`, behind, attempts)
	if err != nil {
		return nil, fmt.Errorf("list stuck replays: %w", err)
	}
	stuck, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Stuck, err error) {
		err = row.Scan(&s.ReplayID, &s.Since, &s.LastError)
		s.Since = s.Since.UTC()
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list stuck replays: %w", err)
	}
	return stuck, nil
}

// Watermark is ReadWatermark over the exporter's connection.
func (e *Exporter) Watermark(ctx context.Context) (Watermark, error) {
	return ReadWatermark(ctx, e.conn)
}
