package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// pair is two replicas of the toy on one database, which run what they are given. Events of different partitions
// do not meet at a fence, so only the subjects' locks keep them apart.
type pair struct {
	stage   *stage
	engines [2]*engine.Engine[world]
	stores  [2]*toyStore
}

func newPair(t *testing.T) *pair {
	t.Helper()
	url := testkit.Database(t, migrateToy)
	p := &pair{stage: &stage{url: url, pool: testkit.Pool(t, url)}}
	for i := range p.engines {
		cfg, err := pgxpool.ParseConfig(url)
		check(t, err)
		cfg.ConnConfig.RuntimeParams["application_name"] = fmt.Sprint("replica ", i)
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		check(t, err)
		t.Cleanup(pool.Close)
		p.stores[i] = &toyStore{}
		p.engines[i], err = engine.New(engine.Config[world]{
			Definition: (&toy{}).definition(), Store: p.stores[i], Pool: pool,
			Callers: map[string]engine.Caller{"label": printLabel}, Log: slog.New(slog.DiscardHandler),
		})
		check(t, err)
	}
	for _, sql := range []string{
		`INSERT INTO product VALUES ('P', 1000000)`,
		`INSERT INTO fence SELECT '00000000-0000-0000-0000-000000000000', p, 'order.v1', 0 FROM generate_series(0, 1) AS p`,
	} {
		_, err := p.stage.pool.Exec(t.Context(), sql)
		check(t, err)
	}
	return p
}

// at puts records into a partition, from an offset on.
func at(partition int32, offset int64, records ...*kgo.Record) []*kgo.Record {
	for i, r := range records {
		r.Partition, r.Offset = partition, offset+int64(i)
	}
	return records
}

// blocked waits until replica i waits for a lock, or has ended without.
func (p *pair) blocked(t *testing.T, i int, ended <-chan error) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		if len(ended) > 0 {
			return nil
		}
		var n int
		err := p.stage.pool.QueryRow(t.Context(), `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'`, fmt.Sprint("replica ", i)).Scan(&n)
		if err == nil && n == 0 {
			err = fmt.Errorf("replica %d waits for nothing", i)
		}
		return err
	})
}

// meet has replica 0 decide on the first record and hold its transaction open, until replica 1 has come to a lock
// with the second one. It returns when the first transaction was let go, by the database's clock.
func (p *pair) meet(t *testing.T, first, second *kgo.Record) (released time.Time) {
	t.Helper()
	written, release := make(chan struct{}), make(chan struct{})
	p.stores[0].onSave = func(b *pg.Batch) error {
		close(written)
		<-release
		b.Queue("read the clock", `SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&released) })
		return nil
	}
	var both sync.WaitGroup
	both.Go(func() {
		if err := engine.Consume(t.Context(), p.engines[0], []*kgo.Record{first}); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	<-written
	ended := make(chan error, 1)
	both.Go(func() { ended <- engine.Consume(t.Context(), p.engines[1], []*kgo.Record{second}) })
	p.blocked(t, 1, ended)
	close(release)
	both.Wait()
	if err := <-ended; err != nil {
		t.Errorf("the second: %v", err)
	}
	return released
}

// Do and undo of one order at the same moment on two replicas, whose events are of two partitions: the second one
// waits before it reads anything, also where there is no row yet that could be locked. Otherwise each would find
// nothing of the other's: pieces would be gone for an order that gave them back.
func TestDoAndUndoAtOnceOnTwoReplicas(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		for _, undoFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("order known %v, undo first %v", known, undoFirst), func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				if known {
					_, err := p.stage.pool.Exec(t.Context(), `INSERT INTO subject (id) VALUES ('order-1')`)
					check(t, err)
				}
				do, undo := p.stage.created("order-1"), p.stage.cancelled("order-1")
				at(0, 0, do)
				at(1, 0, undo)
				if undoFirst {
					p.meet(t, undo, do)
				} else {
					p.meet(t, do, undo)
				}
				if left := p.stage.count(t, `SELECT quantity FROM product WHERE id = 'P'`); left != 1000000 {
					t.Errorf("%d pieces are left of 1,000,000 after do and undo", left)
				}
				if n := p.stage.count(t, `SELECT count(*) FROM reservation WHERE state = 'back'`); n != 1 {
					t.Error("the order is not given back")
				}
				want := 2
				if undoFirst {
					want = 1 // the late do finds the tombstone, and says nothing
				}
				list := p.stage.emitted(t)
				if len(list) != want {
					t.Errorf("%d events were emitted: want %d", len(list), want)
				}
				gapless(t, list)
			})
		}
	}
}

// A decision that waited for its subject is given the time after the wait: one read before may be older than what the
// former holder of the lock has written, and a deadline would be judged by it.
func TestTheClockIsReadAfterTheLock(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	created, completed := p.stage.created("order-1"), p.stage.completed("order-1")
	at(0, 0, created)
	at(1, 0, completed)
	released := p.meet(t, created, completed)
	var decided time.Time
	check(t, p.stage.pool.QueryRow(t.Context(), `SELECT created_at FROM call WHERE subject = 'order-1'`).Scan(&decided))
	if decided.Before(released) {
		t.Errorf("decided as of %v, %v before the lock was free", decided, released.Sub(decided))
	}
}

// Two replicas whose batches are about the same orders, in opposite order, wait for each other and never deadlock:
// locks are taken in key order, of orders that are new and of those that are known. A third transaction has one of
// the orders in each round, so that both replicas are in the middle of theirs when it lets go.
func TestBatchesInOppositeOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	const rounds, size = 8, 40
	p := newPair(t)
	for round := range rounds {
		for _, known := range []bool{false, true} {
			var there, back []*kgo.Record
			for i := range size {
				order := fmt.Sprintf("order-%d-%d", round, i)
				there, back = append(there, p.stage.created(order)), append(back, p.stage.created(order))
			}
			slices.Reverse(back)
			offset := int64(2 * round * size)
			if known {
				offset += size
			}
			p.tangle(t, fmt.Sprintf("order-%d-%d", round, size/2), at(0, offset, there...), at(1, offset, back...))
		}
	}
	if n := p.stage.count(t, `SELECT count(*) FROM reservation WHERE state = 'taken'`); n != rounds*size {
		t.Errorf("%d orders have taken: want %d", n, rounds*size)
	}
}

// tangle has both replicas run into a subject that somebody else has, one after the other.
func (p *pair) tangle(t *testing.T, middle string, batches ...[]*kgo.Record) {
	t.Helper()
	somebody, err := p.stage.pool.Begin(t.Context())
	check(t, err)
	t.Cleanup(func() { _ = somebody.Rollback(context.Background()) })
	for _, sql := range []string{`INSERT INTO subject (id) VALUES ($1) ON CONFLICT DO NOTHING`, `SELECT FROM subject WHERE id = $1 FOR UPDATE`} {
		_, err := somebody.Exec(t.Context(), sql, middle)
		check(t, err)
	}
	var both sync.WaitGroup
	ended := [2]chan error{make(chan error, 1), make(chan error, 1)}
	for i, batch := range batches {
		both.Go(func() { ended[i] <- engine.Consume(t.Context(), p.engines[i], batch) })
		p.blocked(t, i, ended[i])
	}
	check(t, somebody.Rollback(t.Context()))
	both.Wait()
	for i := range ended {
		if err := <-ended[i]; err != nil {
			t.Fatalf("replica %d: %v", i, err)
		}
	}
}
