package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
	"github.com/quadrille-io/quadrille/services/dataplatform/sink"
)

// platform takes batches: sink.HTTP or sink.Files. An error may come after the batch was taken.
type platform interface {
	Deliver(ctx context.Context, b dataplatform.Batch) error
}

// exporter carries facts to the platform. Every replica runs one; one of them is elected and works, the others stand
// by. The election saves work. That nothing is lost or sent in two batches rests on the rows: see store.Cut and Sent.
type exporter struct {
	url   string
	limit store.Limit
	// age is how long a batch that is not full waits for company, tick how often it is looked for facts.
	age, tick time.Duration
	// retryMin and retryMax bound the pauses after a failure, of the platform or of the database.
	retryMin, retryMax time.Duration
	platform           platform

	log     *slog.Logger
	metrics *metrics
	breaker breaker
	rests   map[uuid.UUID]time.Time // streams whose batch was refused, until when
	since   time.Time               // since when facts are waiting for company
}

// run works until ctx ends. It connects again and asks for the election again for as long as it takes: a data platform
// is no reason for the service to end.
func (x *exporter) run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		begun := time.Now()
		err := x.term(ctx)
		x.metrics.elected.Set(0)
		if ctx.Err() != nil {
			break
		}
		if time.Since(begun) > x.retryMax {
			failures = 0
		}
		wait := backoff(x.retryMin, x.retryMax, failures)
		failures++
		x.log.WarnContext(ctx, "export lost its term, trying again", "error", err, "in", wait)
		pause(ctx, wait)
	}
	return nil
}

// term is one connection's life: stand by, be elected, send until something breaks.
func (x *exporter) term(ctx context.Context) error {
	db, err := store.Connect(ctx, x.url)
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		won, err := db.Campaign(ctx)
		if err != nil {
			return err
		}
		if err := x.measure(ctx, db); err != nil {
			return err
		}
		if won {
			break
		}
		pause(ctx, 2*x.tick)
	}
	x.log.InfoContext(ctx, "export elected")
	x.metrics.elected.Set(1)
	x.rests, x.since, x.breaker = map[uuid.UUID]time.Time{}, time.Time{}, breaker{min: x.retryMin, max: x.retryMax}
	for measured := time.Now(); ctx.Err() == nil; {
		busy, err := x.round(ctx, db)
		if err != nil {
			return err
		}
		if time.Since(measured) > time.Second {
			measured = time.Now()
			if err := x.measure(ctx, db); err != nil {
				return err
			}
		}
		if !busy {
			pause(ctx, x.tick)
		}
	}
	return ctx.Err()
}

func (x *exporter) measure(ctx context.Context, db *store.Exporter) error {
	w, err := db.Watermark(ctx)
	if err != nil {
		return err
	}
	x.metrics.watermark(w)
	open := 0.0
	if x.breaker.open(time.Now()) {
		open = 1
	}
	x.metrics.open.Set(open)
	return nil
}

// round sends a batch of the live stream, and one of the oldest replay: a replay takes at most every second turn, and a
// batch of it that is refused holds up nothing else. busy says that there is probably more.
func (x *exporter) round(ctx context.Context, db *store.Exporter) (busy bool, err error) {
	busy, err = x.step(ctx, db, store.Live)
	if err != nil {
		return false, err
	}
	replay, is, err := db.OpenReplay(ctx)
	if err != nil || !is {
		return busy, err
	}
	more, err := x.step(ctx, db, replay)
	return busy || more, err
}

// step sends the next batch of a stream, if there is one and it may be sent now.
func (x *exporter) step(ctx context.Context, db *store.Exporter, stream uuid.UUID) (sent bool, err error) {
	if now := time.Now(); x.breaker.open(now) || now.Before(x.rests[stream]) {
		return false, nil
	}
	cut, is, err := db.Open(ctx, stream)
	if err == nil && !is {
		cut, is, err = x.cut(ctx, db, stream)
	}
	if err != nil || !is {
		return false, err
	}
	facts, err := db.Facts(ctx, cut)
	if err != nil {
		return false, err
	}
	batch := dataplatform.Batch{ID: cut.ID.String(), Facts: facts}
	if stream != store.Live {
		batch.Replay = stream.String()
	}
	begun := time.Now()
	if err := x.platform.Deliver(ctx, batch); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err() // stopped in the middle: nothing is known, and the batch goes out again
		}
		return false, x.failed(ctx, db, cut, err)
	}
	if err := db.Sent(ctx, cut); err != nil {
		return false, err
	}
	x.metrics.seconds.Observe(time.Since(begun).Seconds())
	x.metrics.facts.Add(float64(cut.Facts))
	x.metrics.batches.WithLabelValues(kind(stream), "taken").Inc()
	if x.breaker.failures > 0 || cut.Attempts > 0 {
		x.log.InfoContext(ctx, "the data platform takes batches again", "batch", cut.ID, "attempts", cut.Attempts+1)
	}
	x.breaker.worked()
	delete(x.rests, stream)
	return true, nil
}

// cut makes the stream's next batch, unless it should wait for company. A replay does not wait, and ends when there is
// nothing left.
func (x *exporter) cut(ctx context.Context, db *store.Exporter, stream uuid.UUID) (store.Cut, bool, error) {
	n, err := db.Waiting(ctx, stream, x.limit.Facts)
	if err != nil {
		return store.Cut{}, false, err
	}
	live := stream == store.Live
	switch {
	case n == 0 && live:
		x.since = time.Time{}
		return store.Cut{}, false, nil
	case n == 0:
		x.log.InfoContext(ctx, "replay done", "replay", stream)
		return store.Cut{}, false, db.EndReplay(ctx, stream)
	case live && x.since.IsZero():
		x.since = time.Now()
	}
	if live && n < x.limit.Facts && time.Since(x.since) < x.age {
		return store.Cut{}, false, nil
	}
	if live {
		x.since = time.Time{}
	}
	return db.Cut(ctx, stream, x.limit)
}

// failed decides what a failure is about: the platform, which is left alone for a while, or this batch, with which only
// its own stream waits. It is tried for ever: a fact that was skipped would be missing for good.
func (x *exporter) failed(ctx context.Context, db *store.Exporter, cut store.Cut, why error) error {
	now, outcome := time.Now(), "failed"
	wait := backoff(x.retryMin, x.retryMax, cut.Attempts)
	if sink.About(why) {
		outcome = "refused"
	} else {
		x.breaker.failed(now, sink.After(why))
	}
	x.rests[cut.Stream] = now.Add(wait)
	x.metrics.batches.WithLabelValues(kind(cut.Stream), outcome).Inc()
	x.log.WarnContext(ctx, "a batch was not taken, trying again", "batch", cut.ID, "stream", kind(cut.Stream),
		"attempts", cut.Attempts+1, "outcome", outcome, "error", why)
	if err := db.Failed(ctx, cut, why.Error()); err != nil {
		return errors.Join(err, fmt.Errorf("after: %w", why))
	}
	return nil
}

func kind(stream uuid.UUID) string {
	if stream == store.Live {
		return "live"
	}
	return "replay"
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
