package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// The study, part one: for each wrong relay the shortest schedule that breaks it, step by step, and the
// same schedule with ours.

// player runs a relay until it has sent everything it finds.
type player func(t *testing.T)

func ours(t *testing.T, s *stage) player {
	t.Helper()
	s.relay(t)
	return s.emptied
}

func theirs(w wrong) player {
	return func(t *testing.T) {
		t.Helper()
		for {
			n, err := w.step(t.Context())
			check(t, err)
			if n == 0 {
				return
			}
		}
	}
}

// lateCommit: an order takes id 1 and commits after another order's id 2 is sent.
func lateCommit(t *testing.T, s *stage, relay player) verdict {
	t.Helper()
	slow, quick := s.begin(t), s.begin(t)
	s.emit(t, slow, "slow order")
	s.emit(t, quick, "quick order")
	check(t, quick.Commit(t.Context()))
	relay(t)
	check(t, slow.Commit(t.Context()))
	relay(t)
	return s.judge(t)
}

func TestScheduleLateCommit(t *testing.T) {
	t.Parallel()
	t.Run("cursor loses", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		v := lateCommit(t, s, theirs(&cursorRelay{base: base{s, s.client(t)}}))
		if v.lost != 1 {
			t.Errorf("%+v: want the late commit lost", v)
		}
	})
	t.Run("ours does not", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		if v := lateCommit(t, s, ours(t, s)); !v.intact() || v.events != 2 {
			t.Errorf("%+v: want both events", v)
		}
	})
}

// lockAfterXID: two transactions of one order; the one that has written first, elsewhere, gets the
// order's lock second. The engine's batches are such: they write their fence before they lock subjects.
func lockAfterXID(t *testing.T, s *stage, relay player) verdict {
	t.Helper()
	first, second := s.begin(t), s.begin(t)
	for _, tx := range []pgx.Tx{first, second} {
		_, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`)
		check(t, err)
	}
	s.emit(t, second, "order")
	check(t, second.Commit(t.Context()))
	relay(t)
	s.emit(t, first, "order")
	check(t, first.Commit(t.Context()))
	// The horizon is the whole cluster's: any transaction, of any database, holds it back.
	testkit.Eventually(t, 20*time.Second, func() error {
		relay(t)
		if n := len(s.published(t)); n < 2 {
			return fmt.Errorf("%d events are published", n)
		}
		return nil
	})
	return s.judge(t)
}

func TestScheduleLockAfterTransactionID(t *testing.T) {
	t.Parallel()
	t.Run("xid order swaps", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		_, err := s.pool.Exec(t.Context(), withTransactionIDs)
		check(t, err)
		v := lockAfterXID(t, s, theirs(&horizonRelay{base: base{s, s.client(t)}}))
		if v.swapped != 1 {
			t.Errorf("%+v: want the two events swapped", v)
		}
	})
	t.Run("ours does not", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		if v := lockAfterXID(t, s, ours(t, s)); !v.intact() || v.events != 2 {
			t.Errorf("%+v: want both events in order", v)
		}
	})
}

func TestScheduleTwoRelaysShareARow(t *testing.T) {
	t.Parallel()
	t.Run("skip locked swaps", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.commitEvents(t, "order", "order")
		b := base{s, s.client(t)}
		overtaking := theirs(&skipLockedRelay{base: b, limit: 1})
		paused := theirs(&skipLockedRelay{base: b, limit: 1, locked: func() { overtaking(t) }})
		paused(t)
		if v := s.judge(t); v.swapped != 1 {
			t.Errorf("%+v: want the two events swapped", v)
		}
	})
	t.Run("ours does not", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.commitEvents(t, "order", "order")
		r := newCarousel(s, 1)
		r.run(t)
		s.emptied(t)
		r.stop()
		if v := s.judge(t); !v.intact() || r.takeovers.Load() < 1 {
			t.Errorf("%+v after %d take-overs: want both events in order", v, r.takeovers.Load())
		}
	})
}

// TestScheduleIDBeforeLock: Append before the lock. The relay can do nothing about it: which is why
// Append's documentation insists.
func TestScheduleIDBeforeLock(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"id before the lock swaps": true, "id after it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			tx := s.begin(t)
			var id int64
			if early {
				check(t, tx.QueryRow(t.Context(), `SELECT nextval(pg_get_serial_sequence('outbox', 'id'))`).Scan(&id))
			}
			s.commitEvents(t, "order")
			s.emit(t, tx, "order")
			if early {
				// What an INSERT before the lock would have come to: this row, with the id taken then.
				_, err := tx.Exec(t.Context(), `
					WITH late AS (DELETE FROM outbox WHERE seq = 2 RETURNING *)
					INSERT INTO outbox OVERRIDING SYSTEM VALUE SELECT $1, topic, key, event_id, seq, headers, payload FROM late`, id)
				check(t, err)
			}
			check(t, tx.Commit(t.Context()))
			ours(t, s)(t)
			if v := s.judge(t); (v.swapped == 1) != early {
				t.Errorf("%+v", v)
			}
		})
	}
}
