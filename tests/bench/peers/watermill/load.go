package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// tracker knows which orders are on their way and since when. It lets a limited
// number of them in, so that an order's time is that of the saga and not of a
// queue before it that grows with the length of the run.
type tracker struct {
	slots chan struct{}

	mu        sync.Mutex
	started   map[string]time.Time
	latencies []time.Duration
	last      time.Time
	done      atomic.Int64
}

func newTracker(inflight int) *tracker {
	return &tracker{slots: make(chan struct{}, inflight), started: map[string]time.Time{}}
}

// begin waits for a free slot and starts the order's time.
func (t *tracker) begin(ctx context.Context, orderID string) error {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started[orderID] = time.Now()
	return nil
}

// completed is called after the commit that completed the order, once per order:
// the row's state lets no second one through.
func (t *tracker) completed(orderID string) {
	t.mu.Lock()
	t.last = time.Now()
	t.latencies = append(t.latencies, t.last.Sub(t.started[orderID]))
	delete(t.started, orderID)
	t.mu.Unlock()
	<-t.slots
	t.done.Add(1)
}

// reset forgets the orders of an earlier run; all of them are completed.
func (t *tracker) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = nil
	t.done.Store(0)
}

// drive places n orders, numbered from first, and waits for the last one's
// completion.
func (s *shop) drive(ctx context.Context, what string, first, n int) (outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.tracker.reset()
	start := time.Now()

	var next atomic.Int64
	var placers sync.WaitGroup
	for range s.cfg.placers {
		placers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := s.place(ctx, first+int(i)); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	err := s.await(ctx, what, n)
	if err != nil {
		cancel(err)
	}
	placers.Wait()
	if err != nil {
		return outcome{}, err
	}
	return outcome{took: s.tracker.last.Sub(start), latencies: s.tracker.latencies}, nil
}

// place runs the saga's first step, as a service's own handler of a request
// would.
func (s *shop) place(ctx context.Context, i int) error {
	random := rand.New(rand.NewPCG(uint64(s.cfg.seed), uint64(i)))
	e := event{
		OrderID:   uuid.Must(uuid.NewV7()).String(),
		UserID:    fmt.Sprintf("user-%d", random.IntN(members)),
		ProductID: fmt.Sprintf("product-%d", random.IntN(products)),
		Quantity:  1,
		Amount:    price,
		CouponID:  fmt.Sprintf("coupon-%d", i),
	}
	if err := s.tracker.begin(ctx, e.OrderID); err != nil {
		return err
	}
	if _, err := s.order.commit(ctx, orderCreated, e, placeOrder); err != nil {
		return fmt.Errorf("place order %s: %w", e.OrderID, err)
	}
	return nil
}

// await prints the progress and returns when n orders are completed. Nothing
// completed for a minute is an error.
func (s *shop) await(ctx context.Context, what string, n int) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	soon := time.NewTicker(5 * time.Millisecond)
	defer soon.Stop()
	moved, seen := time.Now(), int64(-1)
	for {
		done := s.tracker.done.Load()
		if done == int64(n) {
			fmt.Fprintf(os.Stderr, "%s %d/%d\n", what, done, n)
			return nil
		}
		if done != seen {
			moved, seen = time.Now(), done
		}
		select {
		case <-soon.C:
		case <-second.C:
			fmt.Fprintf(os.Stderr, "%s %d/%d\n", what, done, n)
			if time.Since(moved) > time.Minute {
				return fmt.Errorf("%d of %d orders completed, and none for a minute", done, n)
			}
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
