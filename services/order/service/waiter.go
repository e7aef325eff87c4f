package service

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

// waitPoll is how often the orders that somebody waits for are looked at.
const waitPoll = 50 * time.Millisecond

// waiter serves requests with `Prefer: wait`. All that wait share one query every 50 ms: a thousand
// waiting customers cost the database what one does.
//
// A commit could tell of settled orders at once, but only in the replica that made it, and the customer
// waits in any: the query is right in all of them.
type waiter struct {
	reader store.Reader

	mu      sync.Mutex
	waiting map[string][]chan order.Order
	// polling says that poll runs. It is set and cleared under the lock together with what it depends on,
	// so that there is never more than one, and never none while somebody waits.
	polling bool
}

func newWaiter(reader store.Reader) *waiter {
	return &waiter{reader: reader, waiting: map[string][]chan order.Order{}}
}

// wait returns the order as soon as it is settled, and false when the time is over, the caller is gone
// or the server drains.
func (w *waiter) wait(ctx context.Context, draining <-chan struct{}, orderID string, d time.Duration) (order.Order, bool) {
	settled := w.join(orderID)
	defer w.leave(orderID, settled)
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case o := <-settled:
		return o, true
	case <-timeout.C:
	case <-ctx.Done():
	case <-draining:
	}
	return order.Order{}, false
}

// join registers a request. The first one starts the polling, which ends when nobody waits any more.
func (w *waiter) join(orderID string) chan order.Order {
	settled := make(chan order.Order, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.polling {
		w.polling = true
		go w.poll()
	}
	w.waiting[orderID] = append(w.waiting[orderID], settled)
	return settled
}

func (w *waiter) leave(orderID string, settled chan order.Order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.DeleteFunc(w.waiting[orderID], func(c chan order.Order) bool { return c == settled })
	if w.waiting[orderID] = left; len(left) == 0 {
		delete(w.waiting, orderID)
	}
}

// poll asks for all waiting orders at once, until none is left.
func (w *waiter) poll() {
	tick := time.NewTicker(waitPoll)
	defer tick.Stop()
	for range tick.C {
		ids := w.ids()
		if ids == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		orders, err := w.reader.Settled(ctx, ids)
		cancel()
		if err != nil {
			// The waiting requests end by their own time, with the order as it is then.
			slog.Warn("look at the orders somebody waits for", "orders", len(ids), "error", err)
			continue
		}
		w.tell(orders)
	}
}

// ids lists the orders that are waited for; with none of them the polling is over.
func (w *waiter) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling = len(w.waiting) > 0
	return slices.Collect(maps.Keys(w.waiting))
}

func (w *waiter) tell(orders []order.Order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range orders {
		for _, settled := range w.waiting[o.OrderID] {
			settled <- o
		}
		delete(w.waiting, o.OrderID)
	}
}
