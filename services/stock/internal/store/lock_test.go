package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

// Two batches that name the same products in opposite order lock them in key order, and so never deadlock. Somebody
// has a product in the middle in each round, so that both are on their way when it is let go.
func TestProductsAreLockedInKeyOrder(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	const products, rounds = 20, 6
	for i := range products {
		seed(t, pool, fmt.Sprintf("P%02d", i), 100)
	}
	for round := range rounds {
		var there, back []flow.Input
		for i := range products {
			there = append(there, created(fmt.Sprintf("there-%d-%d", round, i), fmt.Sprintf("P%02d", i), 1))
			back = append(back, created(fmt.Sprintf("back-%d-%d", round, i), fmt.Sprintf("P%02d", i), 1))
		}
		slices.Reverse(back)
		tangle(t, pool, fmt.Sprintf("P%02d", products/2), there, back)
	}
	for i := range products {
		id := fmt.Sprintf("P%02d", i)
		if p, err := (store.Reader{Pool: pool}).Product(t.Context(), id); err != nil || p.Quantity != 100-2*rounds {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
}

// tangle applies the batches, one after the other having run into the product that somebody has.
func tangle(t *testing.T, pool *pgxpool.Pool, product string, batches ...[]flow.Input) {
	t.Helper()
	somebody, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer somebody.Rollback(context.Background()) //nolint:errcheck // rolled back below
	if _, err := somebody.Exec(t.Context(), `SELECT FROM product WHERE product_id = $1 FOR UPDATE`, product); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for i, batch := range batches {
		both.Go(func() { apply(failed{t}, pool, batch...) })
		testkit.Eventually(t, 20*time.Second, func() error {
			var waiting int
			err := pool.QueryRow(t.Context(), `
				SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
			if err == nil && waiting < i+1 && !t.Failed() {
				err = fmt.Errorf("%d batches wait for a lock", waiting)
			}
			return err
		})
	}
	if err := somebody.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	both.Wait()
}

// failed lets apply fail from a goroutine of its own, where Fatal may not be called.
type failed struct{ t *testing.T }

func (f failed) Helper()           { f.t.Helper() }
func (f failed) Fatal(args ...any) { f.t.Error(args...) }

func (f failed) Errorf(format string, args ...any) { f.t.Errorf(format, args...) }
