package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// subject is one locked row of the subject table.
type subject struct {
	id      string
	emitted int32
	parked  bool
	root    string
	trace   string
	changed bool
}

// origin is what a subject's row begins with: the chain it belongs to, and its trace.
type origin struct{ root, trace string }

// lockSubjects makes and locks the rows of the given ids, in their order, and then reads the clock. The
// map's value is what a row made here begins with.
//
// The insert comes first because a row that does not exist cannot be locked: an OrderCreated and a
// PaymentCancelled side by side would both find nothing and both go on. Whoever inserts second waits
// for the first to commit. The clock is read by a statement of its own after the lock: a time taken
// before may be older than what the former holder of the lock wrote.
func lockSubjects(ctx context.Context, tx pgx.Tx, origins map[string]origin) (map[string]*subject, time.Time, error) {
	ids := slices.Sorted(maps.Keys(origins))
	roots, traces := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		roots[i], traces[i] = origins[id].root, origins[id].trace
	}
	subjects := make(map[string]*subject, len(ids))
	var now time.Time
	batch := &pgx.Batch{}
	if len(ids) > 0 {
		// By ordinality: an ORDER BY of the text itself would follow the database's collation, and that is
		// another order than the one the rows are locked in below.
		batch.Queue(`
			INSERT INTO subject (id, root, trace)
			SELECT id, root, trace FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k(id, root, trace, n)
			ORDER BY n
			ON CONFLICT DO NOTHING`, ids, roots, traces)
		batch.Queue(`SELECT id, emitted, parked, root, trace FROM subject WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, ids).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					s := &subject{}
					if err := rows.Scan(&s.id, &s.emitted, &s.parked, &s.root, &s.trace); err != nil {
						return err
					}
					subjects[s.id] = s
				}
				return rows.Err()
			})
	}
	batch.Queue(`SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, now, fmt.Errorf("lock %d subjects: %w", len(ids), err)
	}
	return subjects, now.UTC(), nil
}

// saveSubjects writes the counters and roots that changed.
func saveSubjects(ctx context.Context, tx pgx.Tx, subjects map[string]*subject) error {
	var ids, roots []string
	var emitted []int32
	for _, id := range slices.Sorted(maps.Keys(subjects)) {
		if s := subjects[id]; s.changed {
			ids, emitted, roots = append(ids, id), append(emitted, s.emitted), append(roots, s.root)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE subject s SET emitted = k.emitted, root = k.root
		FROM unnest($1::text[], $2::int[], $3::text[]) AS k(id, emitted, root)
		WHERE s.id = k.id`, ids, emitted, roots)
	if err != nil {
		return fmt.Errorf("save %d subjects: %w", len(ids), err)
	}
	return nil
}
