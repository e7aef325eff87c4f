package service

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
)

// watchEvery is how often all that is waited for is looked at.
const watchEvery = 50 * time.Millisecond

// watcher tells requests when something of their order was recorded, by whichever replica: one statement every 50 ms
// for all who wait, none when nobody does.
type watcher struct {
	pool *pgxpool.Pool // set before run

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{}
	counts  map[string]int
}

func newWatcher() *watcher {
	return &watcher{waiting: map[string]map[chan struct{}]struct{}{}, counts: map[string]int{}}
}

// watch returns a channel that gets a token whenever the order has more events than when it was last looked at, and at
// least once soon after the call: so a reader that read just before misses nothing. stop must be called.
func (w *watcher) watch(id string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[id] == nil {
		w.waiting[id] = map[chan struct{}]struct{}{}
	}
	w.waiting[id][ch] = struct{}{}
	delete(w.counts, id) // unknown, so that the next look signals
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting[id], ch)
		if len(w.waiting[id]) == 0 {
			delete(w.waiting, id)
			delete(w.counts, id)
		}
	}
}

func (w *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		w.look(ctx)
	}
}

func (w *watcher) look(ctx context.Context) {
	w.mu.Lock()
	ids := slices.Sorted(maps.Keys(w.waiting))
	w.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	counts, err := store.Counts(ctx, w.pool, ids)
	if err != nil {
		return // the database is away; readiness says so, and the next look asks again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		before, known := w.counts[id]
		if known && before == counts[id] {
			continue
		}
		if len(w.waiting[id]) > 0 {
			w.counts[id] = counts[id]
		}
		for ch := range w.waiting[id] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}
