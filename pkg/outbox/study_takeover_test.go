package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/outbox"
)

// carousel is a handful of relays of which the elected one is stopped again and again, after it has
// read or before it deletes, until another has taken over and read the same rows; then it goes on as
// if nothing had happened: a zombie. Its deletes fail, as its session is gone, but what it sends arrives.
type carousel struct {
	s         *stage
	limit     int32 // hold no more after so many take-overs
	takeovers atomic.Int32

	mu     sync.Mutex
	passed int           // how often a relay came to a point
	held   int32         // how many of those times it was told to hold there
	read   chan struct{} // closed at the next read

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

const carouselRelays = 6

func newCarousel(s *stage, limit int32) *carousel {
	return &carousel{s: s, limit: limit, read: make(chan struct{})}
}

// run starts the relays; stop ends them.
func (c *carousel) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	t.Cleanup(c.stop)
	for i := range carouselRelays {
		name := fmt.Sprintf("relay-%d", i)
		at, err := url.Parse(c.s.url)
		check(t, err)
		query := at.Query()
		query.Set("application_name", name)
		at.RawQuery = query.Encode()
		r, err := outbox.NewRelay(outbox.Config{
			DatabaseURL: at.String(), Kafka: []kgo.Opt{kgo.SeedBrokers(c.s.brokers...)}, Partitions: partitions,
			BatchMax: 8, Pace: time.Millisecond, Poll: 2 * time.Millisecond, Standby: 5 * time.Millisecond,
			Log: slog.New(slog.DiscardHandler),
		})
		check(t, err)
		r.HoldAt(func(ctx context.Context, p outbox.Point) {
			if err := c.pass(ctx, name, p); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
		c.ended.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// stop ends the relays; what zombies have under way has arrived, or never will.
func (c *carousel) stop() {
	c.cancel()
	c.ended.Wait()
}

// pass is called by each relay at each point. Two of three elected ones are deposed and held there.
func (c *carousel) pass(ctx context.Context, name string, p outbox.Point) error {
	c.mu.Lock()
	if p == outbox.AfterRead {
		close(c.read) // wakes whom this one has taken over from
		c.read = make(chan struct{})
	}
	takenOver := c.read
	c.passed++
	hold := c.passed%3 != 0 && c.held < c.limit
	c.mu.Unlock()
	if !hold {
		return nil
	}
	deposed, err := c.s.deposeByName(ctx, name)
	if err != nil || !deposed {
		return err // not elected any more: a zombie already
	}
	c.mu.Lock()
	c.held++
	c.mu.Unlock()
	// The rows are still in the table, so whoever is elected next reads them.
	select {
	case <-takenOver:
		c.takeovers.Add(1)
		return nil
	case <-ctx.Done():
		return nil
	}
}

// deposeByName ends the session called name if it holds the election.
func (s *stage) deposeByName(ctx context.Context, name string) (deposed bool, err error) {
	tag, err := s.pool.Exec(ctx, `
		SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l USING (pid)
		WHERE a.datname = current_database() AND a.application_name = $1
		  AND l.locktype = 'advisory' AND ((l.classid::bigint << 32) | l.objid::bigint) = $2`, name, int64(outbox.Election))
	return tag.RowsAffected() > 0, err
}
