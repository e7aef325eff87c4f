package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// queries counts those for addresses.
type queries struct{ n atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "FROM address") {
		q.n.Add(1)
	}
	return ctx
}

func (q *queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// openBook is an address book on a database of its own, with addresses 0 to 9.
func openBook(t *testing.T) (*addressBook, *queries) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(testkit.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	counted := &queries{}
	cfg.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), `
		INSERT INTO address (address_id, user_id, name, phone, line1, line2, city, postal_code, country)
		SELECT 'address-' || n, 'member', 'Name ' || n, '', '', '', '', '', 'KR' FROM generate_series(0, 9) AS n`); err != nil {
		t.Fatal(err)
	}
	return &addressBook{pool: pool}, counted
}

// Look-ups that come together are one query; each is told of its own address, or that there is none.
func TestManyLookUpsAreOneQuery(t *testing.T) {
	t.Parallel()
	book, counted := openBook(t)
	// All of them join one look-up, which is asked for once they have: no time decides that.
	l := &lookup{ids: map[string]bool{}, done: make(chan struct{})}
	book.waiting = l
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			id := fmt.Sprint("address-", i%20)
			a, known, err := book.find(t.Context(), id)
			switch {
			case err != nil:
				t.Error(err)
			case known != (i%20 < 10):
				t.Errorf("%s is known: %v", id, known)
			case known && a.Name != fmt.Sprint("Name ", i%20):
				t.Errorf("%s is of %s", id, a.Name)
			}
		})
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		book.mu.Lock()
		defer book.mu.Unlock()
		if len(l.ids) < 20 {
			return fmt.Errorf("%d of 20 addresses are asked for", len(l.ids))
		}
		return nil
	})
	// (Those that have not joined yet make a second look-up of their own.)
	book.ask()
	all.Wait()
	if n := counted.n.Load(); n > 2 {
		t.Errorf("%d queries for 200 look-ups: want one, or two", n)
	}
}

// Nothing is remembered: an address that is deleted is not found by who asks after that.
func TestADeletedAddressIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	book, _ := openBook(t)
	for _, want := range []bool{true, false} {
		if _, known, err := book.find(t.Context(), "address-3"); err != nil || known != want {
			t.Fatalf("the address is known: %v, %v; want %v", known, err, want)
		}
		if _, err := book.pool.Exec(t.Context(), `DELETE FROM address WHERE address_id = 'address-3'`); err != nil {
			t.Fatal(err)
		}
	}
}

// A query that fails is an error for all who wait for it, and for nobody after them. An address is never taken for one
// that does not exist because the database is away: the order would be told that its parcel cannot be sent.
func TestAFailedLookUpIsAnErrorForAll(t *testing.T) {
	t.Parallel()
	book, _ := openBook(t)
	rename := func(from, to string) {
		if _, err := book.pool.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("address", "elsewhere")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, known, err := book.find(t.Context(), "address-1"); err == nil || known {
				t.Errorf("found: %v, %v; want an error", known, err)
			}
		})
	}
	all.Wait()
	rename("elsewhere", "address")
	if _, known, err := book.find(t.Context(), "address-1"); err != nil || !known {
		t.Errorf("after the error: %v, %v; want the address", known, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	book.waiting = &lookup{ids: map[string]bool{}, done: make(chan struct{})} // which nobody asks for
	if _, _, err := book.find(ctx, "address-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up with %v: want %v", err, context.Canceled)
	}
}
