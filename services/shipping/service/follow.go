package service

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
	"github.com/quadrille-io/quadrille/services/shipping/carrier/tracker"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

const (
	// longestTick is how often the follower looks whether a parcel's turn has come.
	longestTick = 5 * time.Second
	// postponed is when a carrier that cannot be reached, or has had enough questions, is asked again.
	postponed = time.Minute
	// tendEvery is how often the list of parcels is held against the shipments: after every deployment at least.
	tendEvery = time.Hour
	// perWorker is how many parcels are claimed at once for each that is asked about at the same time.
	perWorker = 8
	// renewBefore its end a callback is registered again: half its time, so that a day of failures loses none.
	renewBefore = tracker.WatchFor / 2
)

// follower asks how parcels stand that the carrier has not told of for a while, so that a webhook that is lost delays what
// it says and never loses it. Replicas share the parcels by claiming them. What it hears goes the way of a webhook's word:
// the same command, decided under the order's lock, so it does not matter who is first, or if both say it.
type follower struct {
	tracker carrier.Tracker
	// watcher and callbacks are set where an aggregator can tell of news by itself.
	watcher   *tracker.Client
	callbacks *tracker.Callbacks
	// least and most are the first and the longest pause between two questions about a parcel.
	least, most time.Duration
	// workers is how many are asked about at once.
	workers int

	host *host.Host[shipping.World]
	wake chan struct{}
}

// attach is called before the follower runs.
func (f *follower) attach(h *host.Host[shipping.World]) { f.host = h }

func (f *follower) component() run.Component { return run.Component{Name: "follower", Run: f.run} }

// hurry has the follower look now.
func (f *follower) hurry() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// lookAfter is how long after news of a parcel the next question comes. Where callbacks are to be registered, that is done
// with the first one, so it comes soon.
func (f *follower) lookAfter() time.Duration {
	if f.callbacks != nil {
		return min(f.least, 10*time.Second)
	}
	return f.least
}

// run goes round until ctx ends. An error is the database's; the next round tries again.
func (f *follower) run(ctx context.Context) error {
	tick := min(longestTick, max(f.least/2, 10*time.Millisecond))
	tended := time.Time{}
	for ctx.Err() == nil {
		if time.Since(tended) > tendEvery {
			f.tend(ctx)
			tended = time.Now()
		}
		again, err := f.round(ctx)
		if err != nil && ctx.Err() == nil {
			f.host.Log.WarnContext(ctx, "parcels were not asked about", "error", err)
		}
		if again && err == nil {
			continue
		}
		timer := time.NewTimer(tick/2 + rand.N(tick/2+1))
		select {
		case <-timer.C:
		case <-f.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// tend corrects the list of parcels that are asked about.
func (f *follower) tend(ctx context.Context) {
	switch n, err := store.Tend(ctx, f.host.Pool); {
	case err != nil && ctx.Err() == nil:
		f.host.Log.WarnContext(ctx, "the list of watched parcels was not looked through", "error", err)
	case n > 0:
		f.host.Log.InfoContext(ctx, "the list of watched parcels was corrected", "rows", n)
	}
}

// tally is what became of a round's parcels.
type tally struct {
	mu        sync.Mutex
	postponed []string
	watched   []string
	failed    int
	err       error
	// stop: the carrier cannot be asked at the moment, so the others are not tried.
	stop atomic.Bool
}

// round asks about parcels whose turn has come, and says whether there may be more of them.
func (f *follower) round(ctx context.Context) (again bool, err error) {
	limit := f.workers * perWorker
	parcels, err := store.Claim(ctx, f.host.Pool, limit, f.least, f.most, f.tracker.Name())
	if err != nil || len(parcels) == 0 {
		return false, err
	}
	until := time.Now().Add(tracker.WatchFor).Truncate(time.Second)
	var t tally
	queue := make(chan store.Claimed)
	var workers sync.WaitGroup
	for range min(f.workers, len(parcels)) {
		workers.Go(func() {
			for p := range queue {
				f.visit(ctx, p, until, &t)
			}
		})
	}
	for _, p := range parcels {
		queue <- p
	}
	close(queue)
	workers.Wait()
	if t.failed > 0 && ctx.Err() == nil {
		f.host.Log.WarnContext(ctx, "the carrier does not say how parcels stand", "asked", f.tracker.Name(), "failed", t.failed,
			"postponed", len(t.postponed), "error", t.err)
	}
	return len(parcels) == limit && !t.stop.Load(), f.settle(ctx, &t, until)
}

// settle writes down what cannot wait for the next claim. A shutdown does not take it along: else parcels that were never
// asked about would wait a whole turn.
func (f *follower) settle(ctx context.Context, t *tally, until time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var errs []error
	if len(t.watched) > 0 {
		errs = append(errs, store.Watched(ctx, f.host.Pool, t.watched, until))
	}
	if len(t.postponed) > 0 {
		errs = append(errs, store.Postpone(ctx, f.host.Pool, t.postponed, min(f.least, postponed)))
	}
	return errors.Join(errs...)
}

// visit asks about one parcel. One that could not be asked about is given back; an answer that was lost on its way, or a
// refusal, waits for its next turn.
func (f *follower) visit(ctx context.Context, p store.Claimed, until time.Time, t *tally) {
	if t.stop.Load() || ctx.Err() != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.postponed = append(t.postponed, p.OrderID)
		return
	}
	watched, err := f.watch(ctx, p, until)
	if err == nil {
		err = f.look(ctx, p)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if watched {
		t.watched = append(t.watched, p.OrderID)
	}
	if err == nil {
		return
	}
	t.failed++
	t.err = err
	if errors.Is(err, carrier.ErrNotSent) {
		t.stop.Store(true)
		t.postponed = append(t.postponed, p.OrderID)
	}
}

// watch registers callbacks about the parcel, or renews that, where it is time. An aggregator that refuses (its quota of
// callbacks is used up) is no hindrance: then asking is all there is.
func (f *follower) watch(ctx context.Context, p store.Claimed, until time.Time) (bool, error) {
	if f.callbacks == nil || until.Sub(p.WatchedUntil) < renewBefore {
		return false, nil
	}
	at := parcel(p)
	err := f.watcher.Watch(ctx, at, f.callbacks.URL(at, until), until)
	if errors.Is(err, carrier.ErrRejected) {
		f.host.Log.WarnContext(ctx, "no callbacks about a parcel", "order", p.OrderID, "error", err)
		return false, nil
	}
	return err == nil, err
}

func parcel(p store.Claimed) carrier.Parcel {
	return carrier.Parcel{OrderID: p.OrderID, BookingID: p.BookingID, TrackingNumber: p.TrackingNumber}
}

// look asks how the parcel stands and has it decided, if there is anything new in that.
func (f *follower) look(ctx context.Context, p store.Claimed) error {
	stands, err := f.tracker.Track(ctx, parcel(p))
	if err != nil {
		return err
	}
	known := string(stands.State) == string(p.Tracking) && len(stands.Checkpoints) <= p.Lines
	if !stands.State.OnItsWay() || known {
		return nil
	}
	answer, err := f.host.Engine.Do(ctx, engine.Request{
		Member: "follower/" + f.tracker.Name(),
		Command: shipping.Track{OrderID: p.OrderID, Outcome: shipping.Outcome{
			State: shipping.Parcel(stands.State), Carrier: p.Carrier, BookingID: p.BookingID, TrackingNumber: p.TrackingNumber,
			Source: f.tracker.Name(), Checkpoints: checkpoints(stands),
		}},
	})
	if err != nil {
		return err
	}
	if answer.Refusal != nil {
		return answer.Refusal
	}
	f.host.Log.LogAttrs(ctx, slog.LevelInfo, "news of a parcel that nobody had told of",
		slog.String("order", p.OrderID), slog.String("stands", string(stands.State)))
	return nil
}
