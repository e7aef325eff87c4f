package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

const openedIn = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

const back = `SELECT count(*) FROM reservation WHERE state = 'back'`

func held(order string, lasts time.Duration) engine.Request {
	return engine.Request{Member: "m", Command: hold{order: order, product: "P", lasts: lasts}, TraceParent: openedIn}
}

func TestDeadlinesFireByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	n := s.start(t)
	for order, lasts := range map[string]time.Duration{"soon": 150 * time.Millisecond, "later": time.Hour} {
		_, err := n.engine.Do(t.Context(), held(order, lasts))
		check(t, err)
	}
	s.becomes(t, 1, back)
	var early bool
	check(t, s.pool.QueryRow(t.Context(), `SELECT deadline_at IS NOT NULL FROM reservation WHERE order_id = 'later'`).Scan(&early))
	if !early {
		t.Error("the later deadline has fired")
	}
	s.becomes(t, 0, `SELECT count(*) FROM outbox`)
	records := s.published(t, "stock.v1")
	var opened, closed string
	var openedAt time.Time
	for _, r := range records {
		if e := parse(t, r); e.Subject == "soon" {
			if e.Sequence == 1 {
				opened, openedAt = e.ID, e.Time
			} else {
				closed = e.Causation
				if e.TraceParent != openedIn {
					t.Errorf("the deadline's event is of trace %q: want %q, which opened the wait", e.TraceParent, openedIn)
				}
				if elapsed := e.Time.Sub(openedAt); elapsed < 150*time.Millisecond {
					t.Errorf("fired after %v", elapsed)
				}
			}
		}
	}
	if opened == "" || opened != closed {
		t.Errorf("the deadline's event is caused by %q: want %q, which opened the wait", closed, opened)
	}
}

// After an outage the answer an order waits for may be in the topic already, so a deadline that passed
// meanwhile waits until the consumer has caught up.
func TestDeadlinesWaitUntilTheConsumerHasCaughtUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.start(t)
	_, err := first.engine.Do(t.Context(), held("order-1", time.Hour))
	check(t, err)
	first.stop()
	// While it is away the order is cancelled, and the deadline passes.
	cancelled := s.cancelled("order-1")
	s.produce(t, cancelled)
	_, err = s.pool.Exec(t.Context(), `UPDATE reservation SET deadline_at = clock_timestamp()`)
	check(t, err)
	s.relay(t)
	s.start(t)
	s.becomes(t, 1, back)
	s.becomes(t, 0, `SELECT count(*) FROM outbox`)
	records := s.published(t, "stock.v1")
	if len(records) != 2 {
		t.Fatalf("%d events of the order: want taken and given back, once each", len(records))
	}
	if cause := parse(t, records[1]).Causation; cause != parse(t, cancelled).ID {
		t.Errorf("given back because of %s: want the cancellation, not the deadline", cause)
	}
}

func TestDeadlinesSurviveARestart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.start(t)
	for _, o := range orders(20) {
		_, err := first.engine.Do(t.Context(), held(o, 200*time.Millisecond))
		check(t, err)
	}
	first.stop()
	s.start(t)
	s.start(t)
	s.becomes(t, 20, back)
	list := s.emitted(t)
	if len(list) != 40 {
		t.Errorf("%d events were emitted: want 40", len(list))
	}
	gapless(t, list)
}

// A deadline that cannot be decided is left alone twice as long after every failure, and is in nobody's way; mended,
// it fires.
func TestADeadlineThatFailsRests(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, err := s.pool.Exec(t.Context(), `INSERT INTO product VALUES ('hopeless', 5)`)
	check(t, err)
	var sweeps atomic.Int64
	n := s.start(t, tuned(func(t *engine.Tuning) { t.Sweep = 5 * time.Millisecond }), func(set *setup) {
		set.cfg.Due = func(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error) {
			sweeps.Add(1)
			return toyDue(ctx, pool, limit)
		}
	})
	_, err = n.engine.Do(t.Context(), engine.Request{Member: "m", Command: hold{order: "bad", product: "hopeless"}})
	check(t, err)
	testkit.Eventually(t, patience, func() error {
		if n.toy.hopeless.Load() < 4 || sweeps.Load() < 400 {
			return errors.New("the deadline was not tried again")
		}
		return nil
	})
	// Each try is two decisions, and the n-th failure is followed by a rest of 2^n sweeps: of 400 at least 390.
	if tries, swept := n.toy.hopeless.Load(), sweeps.Load(); tries > swept/4 {
		t.Errorf("decided on %d times in %d sweeps", tries, swept)
	}
	for _, o := range orders(5) {
		_, err := n.engine.Do(t.Context(), held(o, 0))
		check(t, err)
	}
	s.becomes(t, 5, back)
	n.toy.mended.Store(true)
	s.becomes(t, 6, back)
}
