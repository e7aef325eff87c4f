package outbox_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// newSoakStage has a PostgreSQL of its own, whose autovacuum looks every second instead of every minute.
func newSoakStage(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "soak-") //nolint:usetesting // under root the server's user must reach it
	check(t, err)
	server, err := embed.StartPostgres(t.Context(), embed.PostgresConfig{
		DataDir: dir, FromTemplate: true, Settings: map[string]string{"autovacuum_naptime": "1s"},
	})
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		check(t, server.Stop(ctx))
		check(t, os.RemoveAll(server.DataDir()))
		check(t, os.RemoveAll(dir))
	})
	s := &stage{url: server.AdminURL("postgres"), brokers: testkit.Brokers(t), topic: testkit.TopicPrefix(t) + "order.v1"}
	check(t, migrate(t.Context(), s.url))
	s.pool, err = pgxpool.New(t.Context(), s.url)
	check(t, err)
	t.Cleanup(s.pool.Close)
	created, err := kadm.NewClient(s.client(t)).CreateTopic(t.Context(), partitions, -1, nil, s.topic)
	check(t, err)
	check(t, created.Err)
	return s
}

// flood commits n events in transactions of 200, and waits until they are published and deleted.
func (s *stage) flood(t *testing.T, n int) {
	t.Helper()
	for sent := 0; sent < n; sent += 200 {
		check(t, pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
			records := make([]outbox.Record, 200)
			for i := range records {
				records[i] = s.event(fmt.Sprintf("order %d", sent+i), 1)
			}
			return outbox.Append(t.Context(), tx, records)
		}))
	}
	s.emptied(t)
}

// dead is what PostgreSQL counts of the table: deleted rows not taken away yet, and rounds of autovacuum.
func (s *stage) dead(t *testing.T) (rows, rounds int64) {
	t.Helper()
	check(t, s.pool.QueryRow(t.Context(),
		`SELECT n_dead_tup, autovacuum_count FROM pg_stat_user_tables WHERE relid = 'outbox'::regclass`).Scan(&rows, &rounds))
	return rows, rounds
}

// vacuumed waits until autovacuum has gone over the table more often than before.
func (s *stage) vacuumed(t *testing.T, before int64) (rounds int64) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		rows, now := s.dead(t)
		if rounds = now; now <= before {
			return fmt.Errorf("autovacuum has come %d times, %d dead rows wait for it", now, rows)
		}
		return nil
	})
	return rounds
}

// Twelve thousand events leave a table of the size that six thousand had left: its dead rows are taken away by
// autovacuum with the table's own settings, and their room is used again. A read still begins near the head.
func TestSoakLeavesNoBloat(t *testing.T) {
	t.Parallel()
	s := newSoakStage(t)
	r := s.relay(t)
	size := func() (bytes int64) {
		check(t, s.pool.QueryRow(t.Context(), `SELECT pg_relation_size('outbox')`).Scan(&bytes))
		return bytes
	}
	s.flood(t, 6000)
	rounds := s.vacuumed(t, 0)
	half := size()
	s.flood(t, 6000)
	s.vacuumed(t, rounds)
	if whole := size(); whole > half+half/4 {
		t.Errorf("the table grew from %d to %d bytes with the second half of the events", half, whole)
	}
	if got := gauge(t, r, "outbox_rows_published_total"); got != 12000 {
		t.Errorf("%v events were published: want 12,000", got)
	}
	_, err := s.pool.Exec(t.Context(), `VACUUM outbox`) // what is left, with the table's settings again
	check(t, err)
	if pages := s.pagesOfARead(t); pages > 12 {
		t.Errorf("a read of the empty table touches %d pages: dead index entries are left at its head", pages)
	}
}

// pagesOfARead is how many pages it takes to find that nothing is there.
func (s *stage) pagesOfARead(t *testing.T) (pages int64) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off`); err != nil {
			return err
		}
		var plan []struct {
			Plan map[string]any
		}
		err := tx.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT id FROM outbox ORDER BY id LIMIT 2000`).Scan(&plan)
		if err == nil {
			hit, _ := plan[0].Plan["Shared Hit Blocks"].(float64)
			read, _ := plan[0].Plan["Shared Read Blocks"].(float64)
			pages = int64(hit + read)
		}
		return err
	})
	check(t, err)
	return pages
}

// What vacuum could not take away yet is a metric: rising for long, something holds an old snapshot.
func TestDeadRowsAreAMetric(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	reports := func(want func(dead float64) bool) {
		t.Helper()
		r := s.relay(t) // looks when it is elected, and then every 15 s
		testkit.Eventually(t, 20*time.Second, func() error {
			if dead := gauge(t, r, "outbox_dead_tuples"); !want(dead) || gauge(t, r, "relay_elected") != 1 {
				return fmt.Errorf("the metric says %v", dead)
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		check(t, r.Drain(ctx))
	}
	first := s.relay(t)
	s.flood(t, 2000)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	check(t, first.Drain(ctx))
	testkit.Eventually(t, 20*time.Second, func() error {
		if dead, _ := s.dead(t); dead < 2000 {
			return fmt.Errorf("%d dead rows are counted", dead)
		}
		return nil
	})
	reports(func(dead float64) bool { return dead == 2000 })
	_, err := s.pool.Exec(t.Context(), `VACUUM outbox`)
	check(t, err)
	reports(func(dead float64) bool { return dead == 0 })
}
