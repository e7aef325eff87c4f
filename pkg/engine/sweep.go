package engine

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// sweepLimit is how many deadlines are taken at once.
const sweepLimit = 1000

// sweep puts deadlines that have passed into the command lane. It reads them without claiming: the
// decide function looks again under the lock, so two replicas that both find one do no harm. It waits
// until the consumer has caught up: what an order waits for may be in the topic already, unread.
func (e *Engine[W]) sweep(ctx context.Context) error {
	if e.cfg.Due == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-e.consumer.caught:
	}
	tick := time.NewTicker(e.tuning.Sweep)
	defer tick.Stop()
	resting := map[string]rest{}
	for {
		if err := e.sweepOnce(ctx, resting); err != nil && ctx.Err() == nil {
			e.log.Warn("sweep deadlines", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// rest is a deadline whose decision fails: how often it has, and until when it is left alone.
type rest struct {
	failures int
	until    time.Time
}

// longestRest is the most that a deadline which cannot be decided is left alone. It is tried for as long as it takes:
// nothing else ends the wait, and the next release may be able to decide it.
const longestRest = 10 * time.Minute

// sweepOnce decides the deadlines that have passed, but for those that rest. These count beside the limit, or a
// thousand of them would leave no room for others.
func (e *Engine[W]) sweepOnce(ctx context.Context, resting map[string]rest) error {
	due, err := e.cfg.Due(ctx, e.cfg.Pool, sweepLimit+len(resting))
	if err != nil {
		return fmt.Errorf("list due deadlines: %w", err)
	}
	still := make(map[string]bool, len(due))
	for _, d := range due {
		still[d.Subject()] = true
	}
	maps.DeleteFunc(resting, func(subject string, _ rest) bool { return !still[subject] })
	var submitted []*work
	for _, d := range due {
		if r, rests := resting[d.Subject()]; rests && time.Now().Before(r.until) {
			continue
		}
		w := &work{
			item: item{input: flow.Input{Kind: flow.KindDeadline, Subject: d.Subject(), Msg: d}},
			done: make(chan error, 1),
		}
		if err := e.lane.submit(w); err != nil {
			break // the lane is full or ends: the next sweep finds the rest
		}
		submitted = append(submitted, w)
	}
	// Waited for, so that the next sweep does not queue the same deadlines again.
	for _, w := range submitted {
		e.settle(resting, w.input.Subject, <-w.done)
	}
	return nil
}

// settle lets a deadline rest that could not be decided, twice as long with every failure. Each failure is logged by
// the lane, as an error: left to every sweep, that would be four a second for each such order. What failed for
// the machine's sake is tried again by the next sweep.
func (e *Engine[W]) settle(resting map[string]rest, subject string, err error) {
	if fault.Classify(err) != fault.Deterministic {
		delete(resting, subject)
		return
	}
	r := resting[subject]
	r.until = time.Now().Add(min(e.tuning.Sweep<<min(r.failures, 20), longestRest))
	r.failures++
	resting[subject] = r
}

// maintain replays what is due, keeps the inbox's days, and forgets old idempotency keys.
func (e *Engine[W]) maintain(ctx context.Context) error {
	tick := time.NewTicker(e.tuning.Sweep * 4)
	defer tick.Stop()
	tidied := time.Now()
	for {
		if err := e.replayDue(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("replay parked subjects", "error", err)
		}
		e.countParked(ctx)
		if time.Since(tidied) > time.Hour {
			tidied = time.Now()
			if err := e.tidy(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("tidy", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (e *Engine[W]) countParked(ctx context.Context) {
	var n int
	if err := e.cfg.Pool.QueryRow(ctx, `SELECT count(*) FROM failure`).Scan(&n); err == nil {
		e.metrics.parkedNow.Set(float64(n))
	}
}

// tidy drops whole days of the inbox and forgets answers whose keys have expired.
func (e *Engine[W]) tidy(ctx context.Context) error {
	if err := e.prepareInbox(ctx); err != nil {
		return err
	}
	if _, err := e.cfg.Pool.Exec(ctx, `DELETE FROM command WHERE created_at < clock_timestamp() - $1::interval`, e.tuning.KeepCommands); err != nil {
		return fmt.Errorf("forget idempotency keys: %w", err)
	}
	return nil
}

// prepareInbox makes the partitions of yesterday to the day after tomorrow and drops those past
// retention. Under an advisory lock: replicas start together.
func (e *Engine[W]) prepareInbox(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, e.cfg.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('quadrille inbox days'))`); err != nil {
			return err
		}
		today := time.Now().UTC().Truncate(24 * time.Hour)
		for d := -1; d <= 2; d++ {
			if err := addDay(ctx, tx, today.AddDate(0, 0, d)); err != nil {
				return err
			}
		}
		return dropDays(ctx, tx, today.Add(-e.tuning.KeepInbox))
	})
	if err != nil {
		return fmt.Errorf("prepare inbox: %w", err)
	}
	return nil
}

const dayName = "inbox_20060102"

func addDay(ctx context.Context, tx pgx.Tx, day time.Time) error {
	var there, inDefault bool
	err := tx.QueryRow(ctx, `
		SELECT to_regclass($1) IS NOT NULL, EXISTS (SELECT FROM inbox_default WHERE day = $2::date)`,
		day.Format(dayName), day).Scan(&there, &inDefault)
	if err != nil || there || inDefault {
		// A day that has rows in the default partition stays there: moving them would lock the inbox.
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s PARTITION OF inbox FOR VALUES FROM ('%s') TO ('%s')
		WITH (autovacuum_analyze_threshold = %d)`,
		day.Format(dayName), day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly), pg.AnalyzeThreshold))
	return err
}

func dropDays(ctx context.Context, tx pgx.Tx, before time.Time) error {
	rows, err := tx.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'inbox'::regclass`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if day, err := time.Parse(dayName, name); err == nil && day.Before(before) {
			if _, err := tx.Exec(ctx, `DROP TABLE `+name); err != nil {
				return err
			}
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM inbox_default WHERE day < $1::date`, before)
	return err
}
