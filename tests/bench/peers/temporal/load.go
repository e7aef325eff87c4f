package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

// stock is what every product begins with: more than any run takes.
const (
	stock    int64 = 1_000_000_000
	price    int64 = 10_050
	discount int64 = 1_000
)

// makeOrders returns n orders whose ids begin with the prefix; the same seed
// returns the same orders. Every hundredth part of them that declined says has
// a card that is declined.
func makeOrders(prefix string, n int, s settings) []Order {
	random := rand.New(rand.NewPCG(s.seed, uint64(n)))
	orders := make([]Order, n)
	for i := range orders {
		quantity := 1 + random.Int64N(3)
		orders[i] = Order{
			OrderID:   fmt.Sprintf("%s-%08d", prefix, i),
			UserID:    fmt.Sprintf("USR_%d", random.IntN(10_000)),
			ProductID: fmt.Sprintf("PRD_%d", random.IntN(s.products)),
			Quantity:  quantity,
			CouponID:  fmt.Sprintf("CPN_%s_%08d", prefix, i),
			Discount:  discount,
			Amount:    quantity*price - discount,
			Declined:  random.IntN(100) < s.declined,
		}
	}
	return orders
}

// waiters are those who wait for an order to be settled.
type waiters struct {
	mu    sync.Mutex
	order map[string]chan struct{}
}

func newWaiters() *waiters { return &waiters{order: map[string]chan struct{}{}} }

// expect must be called before the order is placed; the channel is closed when it is settled.
func (w *waiters) expect(orderID string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	settled := make(chan struct{})
	w.order[orderID] = settled
	return settled
}

// settle is safe to be called again: a step whose answer was lost runs twice.
func (w *waiters) settle(orderID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if settled, ok := w.order[orderID]; ok {
		close(settled)
		delete(w.order, orderID)
	}
}

// load starts workflows and waits for their orders.
type load struct {
	client   client.Client
	waiters  *waiters
	inflight int
	progress io.Writer
}

// run takes all orders through, inflight of them at once, and returns how long
// each took from the call that starts its workflow until its last row was
// committed.
func (l load) run(ctx context.Context, orders []Order) ([]time.Duration, error) {
	var next, done atomic.Int64
	latencies := make([]time.Duration, len(orders))
	finished := make(chan struct{})
	var progress sync.WaitGroup
	progress.Go(func() { l.tell(finished, &done, len(orders)) })
	defer progress.Wait()
	defer close(finished)

	group, ctx := errgroup.WithContext(ctx)
	for range min(l.inflight, len(orders)) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(orders) {
					return nil
				}
				took, err := l.place(ctx, orders[i])
				if err != nil {
					return fmt.Errorf("order %s: %w", orders[i].OrderID, err)
				}
				latencies[i] = took
				done.Add(1)
			}
		})
	}
	return latencies, group.Wait()
}

func (l load) place(ctx context.Context, o Order) (time.Duration, error) {
	settled := l.waiters.expect(o.OrderID)
	started := time.Now()
	_, err := l.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    o.OrderID,
		TaskQueue:             taskQueue,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		// The first workflow task comes back with the answer and goes to the
		// worker in this process, without the task queue.
		EnableEagerStart: true,
	}, workflowName, o)
	if err != nil {
		return 0, fmt.Errorf("start the workflow: %w", err)
	}
	select {
	case <-settled:
		return time.Since(started), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for the last step: %w", ctx.Err())
	}
}

// tell writes done/total once a second.
func (l load) tell(finished <-chan struct{}, done *atomic.Int64, total int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-finished:
			fmt.Fprintf(l.progress, "%d/%d\n", done.Load(), total)
			return
		case <-tick.C:
			fmt.Fprintf(l.progress, "%d/%d\n", done.Load(), total)
		}
	}
}

// percentiles are in milliseconds, by the nearest rank.
func percentiles(latencies []time.Duration) map[string]float64 {
	sorted := slices.Sorted(slices.Values(latencies))
	at := func(percent int) float64 {
		rank := max(1, (len(sorted)*percent+99)/100)
		return float64(sorted[rank-1].Microseconds()) / 1000
	}
	return map[string]float64{"p50": at(50), "p95": at(95), "p99": at(99)}
}
