package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// term is one connection's life: stand by, be elected, publish until something breaks. The lock, the
// reads and the deletes share the connection, so that a relay whose lock PostgreSQL has released, as
// the connection is gone, cannot delete any more either, and finds out at its next statement.
func (r *Relay) term(ctx context.Context) error {
	conn, err := connect(ctx, r.cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if err := r.standBy(ctx, conn); err != nil {
		return err
	}
	r.log.InfoContext(ctx, "relay elected")
	r.metrics.elected.Set(1)
	defer r.metrics.elected.Set(0)
	return r.work(ctx, conn)
}

// standBy asks for the election until it is won.
func (r *Relay) standBy(ctx context.Context, conn *pgx.Conn) error {
	for {
		won, oldest, err := campaign(ctx, conn)
		if err != nil {
			return err
		}
		r.metrics.waiting(oldest)
		r.ready.Store(true)
		if won {
			return nil
		}
		if r.draining() {
			return errDrained // before the first sleep, too
		}
		if err := r.sleep(ctx, r.cfg.Standby); err != nil {
			return err
		}
	}
}

// work publishes as the elected relay.
func (r *Relay) work(ctx context.Context, conn *pgx.Conn) error {
	out, err := newProducer(r.cfg)
	if err != nil {
		return err
	}
	defer func() { out.close() }()
	var (
		failures backoff
		began    time.Time // the start of the last read that found something
	)
	for {
		rows, full, err := r.next(ctx, conn, &began)
		if err != nil {
			return err
		}
		r.at(ctx, afterRead)
		err = r.carry(ctx, conn, out, rows)
		var refused *produceError
		switch {
		case errors.As(err, &refused):
			// Whatever state this producer is in, the next one starts clean, and the next read begins
			// at the oldest row again.
			wait := failures.next()
			r.metrics.errors.WithLabelValues(refused.class()).Inc()
			r.log.ErrorContext(ctx, "publish failed, reading again", "error", refused, "class", refused.class(), "in", wait)
			out.close()
			if out, err = newProducer(r.cfg); err != nil {
				return err
			}
			if err := pause(ctx, wait); err != nil {
				return err
			}
		case err != nil:
			return err
		case full:
			failures.reset()
			began = time.Time{} // there is more: a full batch needs no company
		default:
			failures.reset()
		}
	}
}

// next reads until there is something to send. It starts at once if the last start (began) was Pace
// ago or more, and else waits for that moment: a lone event never waits for company, and a busy
// service's events travel together.
//
// After rows it reads again without being woken: rows that another replica commits wake nobody here,
// and under load there are more. Only an empty read makes it wait for Wake or Poll.
func (r *Relay) next(ctx context.Context, conn *pgx.Conn, began *time.Time) (rows []row, full bool, err error) {
	for {
		if err := pause(ctx, r.cfg.Pace-time.Since(*began)); err != nil {
			return nil, false, err
		}
		if err := r.survey(ctx, conn); err != nil {
			return nil, false, err
		}
		start := time.Now()
		rows, full, err = read(ctx, conn, r.cfg.BatchMax)
		if err != nil {
			return nil, false, err
		}
		r.metrics.waiting(oldestOf(rows))
		if len(rows) > 0 {
			*began = start
			return rows, full, nil
		}
		if r.draining() {
			return nil, false, errDrained
		}
		if err := r.idle(ctx); err != nil {
			return nil, false, err
		}
	}
}

// carry publishes rows and deletes what was acknowledged, which after a failure may be a part. A row
// is acknowledged only when every earlier one of its partition is, so deleting it strands nothing, and
// the partitions that work are not sent again and again while one does not.
func (r *Relay) carry(ctx context.Context, conn *pgx.Conn, out *producer, rows []row) error {
	patience, cancel := context.WithTimeoutCause(ctx, r.cfg.Stall, errStalled)
	defer cancel()
	acked, failed := out.publish(patience, rows, conn.Ping)
	if len(acked) > 0 {
		r.at(ctx, beforeDelete)
		if err := remove(ctx, conn, acked); err != nil {
			return err
		}
		r.metrics.published.Add(float64(len(acked)))
		r.metrics.batch.Observe(float64(len(acked)))
	}
	return failed
}

// survey looks now and then at what vacuum has left.
func (r *Relay) survey(ctx context.Context, conn *pgx.Conn) error {
	if time.Since(r.surveyed) < surveyEvery {
		return nil
	}
	dead, err := deadTuples(ctx, conn)
	if err != nil {
		return err
	}
	r.metrics.dead.Set(float64(dead))
	r.surveyed = time.Now()
	return nil
}

const surveyEvery = 15 * time.Second

// idle waits for a reason to read.
func (r *Relay) idle(ctx context.Context) error {
	timer := time.NewTimer(r.cfg.Poll)
	defer timer.Stop()
	select {
	case <-r.wake:
	case <-timer.C:
	case <-r.drain:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// pause waits for d; draining does not shorten it.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
