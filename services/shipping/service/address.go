package service

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// company is how long a look-up waits for others, to be one query with them.
const company = 5 * time.Millisecond

// addressBook looks addresses up for many bookings at once. Nothing is remembered: an address that is deleted is gone.
type addressBook struct {
	// pool is set by Seed, before anything runs.
	pool *pgxpool.Pool

	mu      sync.Mutex
	waiting *lookup
}

// lookup is one query for all that joined in time.
type lookup struct {
	ids   map[string]bool
	done  chan struct{}
	found map[string]shipping.Address
	err   error
}

// find returns an address, and false where there is none of that id.
func (b *addressBook) find(ctx context.Context, id string) (shipping.Address, bool, error) {
	l := b.join(id)
	select {
	case <-l.done:
	case <-ctx.Done():
		return shipping.Address{}, false, fmt.Errorf("wait for an address: %w", context.Cause(ctx))
	}
	a, known := l.found[id]
	return a, known, l.err
}

// join adds the id to the next query, which the first one to join sets going.
func (b *addressBook) join(id string) *lookup {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = &lookup{ids: map[string]bool{}, done: make(chan struct{})}
		time.AfterFunc(company, b.ask)
	}
	b.waiting.ids[id] = true
	return b.waiting
}

func (b *addressBook) ask() {
	b.mu.Lock()
	l := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	defer close(l.done)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	l.found, l.err = store.Addresses(ctx, b.pool, l.ids)
}
