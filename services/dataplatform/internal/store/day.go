package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/pg"
)

const dayName = "fact_20060102"

// PrepareDays makes the partitions of the days around now. Replicas start together, hence the lock.
func PrepareDays(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('quadrille export days'))`); err != nil {
			return err
		}
		today := now.UTC().Truncate(24 * time.Hour)
		for d := -1; d <= 2; d++ {
			if err := addDay(ctx, tx, today.AddDate(0, 0, d)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prepare the days of facts: %w", err)
	}
	return nil
}

func addDay(ctx context.Context, tx pgx.Tx, day time.Time) error {
	var there, inDefault bool
	err := tx.QueryRow(ctx, `
		SELECT to_regclass($1) IS NOT NULL, EXISTS (SELECT FROM fact_default WHERE day = $2::date)`,
		day.Format(dayName), day).Scan(&there, &inDefault)
	if err != nil || there || inDefault {
		// A day that has rows in the default partition stays there: moving them would lock the table.
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s PARTITION OF fact FOR VALUES FROM ('%s') TO ('%s')
		WITH (autovacuum_analyze_threshold = %d)`,
		day.Format(dayName), day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly), pg.AnalyzeThreshold))
	return err
}

// DropDays forgets the days before a time, oldest first, and the batches that were sent before it. A day of which
// anything is not exported, or is in a replay that is not done, stays, and all after it.
//
// The locks come in the order in which a batch of facts takes them: the table first (dropping one of its partitions needs
// it for itself), then the head. A replay is opened under the head's lock: it finds its first day, or is refused.
func DropDays(ctx context.Context, pool *pgxpool.Pool, before time.Time) (dropped []string, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		old, err := anythingBefore(ctx, tx, before)
		if err != nil || !old {
			return err
		}
		for _, lock := range []string{
			`SELECT pg_advisory_xact_lock(hashtext('quadrille export days'))`,
			`LOCK TABLE fact IN ACCESS EXCLUSIVE MODE`, `SELECT FROM head FOR UPDATE`,
		} {
			if _, err := tx.Exec(ctx, lock); err != nil {
				return err
			}
		}
		dropped, err = dropDays(ctx, tx, before.UTC().Truncate(24*time.Hour))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("drop days of facts: %w", err)
	}
	return dropped, nil
}

// partitions lists the days, oldest first.
func partitions(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT inhrelid::regclass::text FROM pg_inherits
		WHERE inhparent = 'fact'::regclass AND inhrelid <> 'fact_default'::regclass ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// anythingBefore looks, without a lock, whether there is anything to drop.
func anythingBefore(ctx context.Context, tx pgx.Tx, before time.Time) (old bool, err error) {
	names, err := partitions(ctx, tx)
	if err != nil {
		return false, err
	}
	if len(names) > 0 && names[0] < before.UTC().Format(dayName) {
		return true, nil
	}
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM fact_default WHERE day < $1::date) OR EXISTS (SELECT FROM batch WHERE sent_at < $1)`, before).Scan(&old)
	return old, err
}

func dropDays(ctx context.Context, tx pgx.Tx, before time.Time) ([]string, error) {
	names, err := partitions(ctx, tx)
	if err != nil {
		return nil, err
	}
	var dropped []string
	for _, name := range names {
		day, err := time.Parse(dayName, name)
		if err != nil || !day.Before(before) {
			continue
		}
		free, err := release(ctx, tx, name, day)
		if err != nil {
			return nil, err
		}
		if !free {
			before = day // what follows stays as well, and so does its kept_from
			break
		}
		if _, err := tx.Exec(ctx, `DROP TABLE `+name); err != nil {
			return nil, err
		}
		dropped = append(dropped, name)
	}
	return dropped, forget(ctx, tx, before, len(dropped) > 0)
}

// release says whether a day may go: all of it is with the platform, and no open replay begins before its end.
func release(ctx context.Context, tx pgx.Tx, name string, day time.Time) (free bool, err error) {
	err = tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT coalesce((SELECT max(position) FROM %s), 0) <= (SELECT position FROM stream WHERE up_to IS NULL)
		   AND NOT EXISTS (SELECT FROM stream WHERE done_at IS NULL AND since < $1)`, name), day.AddDate(0, 0, 1)).Scan(&free)
	return free, err
}

// forget notes from when on everything is kept, and deletes what is not kept in partitions.
func forget(ctx context.Context, tx pgx.Tx, before time.Time, moved bool) error {
	tag, err := tx.Exec(ctx, `
		DELETE FROM fact_default WHERE day < $1::date AND position <= (SELECT position FROM stream WHERE up_to IS NULL)
		AND NOT EXISTS (SELECT FROM stream WHERE done_at IS NULL AND since < $1)`, before)
	if err != nil {
		return err
	}
	if moved || tag.RowsAffected() > 0 {
		if _, err := tx.Exec(ctx, `UPDATE head SET kept_from = greatest(kept_from, $1::date)`, before); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM batch WHERE sent_at < $1`, before)
	return err
}
