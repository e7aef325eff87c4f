package outbox_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// The study, part two: the relays under traffic that provokes every race at once. Sixteen writers commit
// 2,400 events of a few orders; each has a transaction id before it has the lock, as the engine's
// batches do, and keeps its transaction open for a moment after it has taken its ids.

const (
	studyWriters = 16
	studyEvents  = 2400
	studyKeys    = 12
)

// write runs the traffic to its end.
func (s *stage) write(t *testing.T) {
	t.Helper()
	var writers sync.WaitGroup
	for w := range studyWriters {
		random := rand.New(rand.NewPCG(7, uint64(w)))
		writers.Go(func() {
			for left := studyEvents / studyWriters; left > 0; {
				n := min(left, 1+random.IntN(4))
				key := fmt.Sprintf("order %d", random.IntN(studyKeys))
				if err := s.writeSome(t.Context(), key, n, random.Float64()); err != nil {
					t.Error(err)
					return
				}
				left -= n
			}
		})
	}
	writers.Wait()
}

// writeSome commits n events of key. luck from 0 to 1 decides how long the transaction stays open.
func (s *stage) writeSome(ctx context.Context, key string, n int, luck float64) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_current_xact_id()`); err != nil {
			return err
		}
		records := make([]outbox.Record, n)
		for i := range records {
			seq, err := lock(ctx, tx, key)
			if err != nil {
				return err
			}
			records[i] = s.event(key, seq)
		}
		if err := outbox.Append(ctx, tx, records); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT pg_sleep($1)`, luck*0.006)
		return err
	})
}

// study lets the relays work while the traffic runs, and until nothing is left for them.
func study(t *testing.T, s *stage, relays ...wrong) verdict {
	t.Helper()
	var written atomic.Bool
	var running sync.WaitGroup
	for _, r := range relays {
		running.Go(func() {
			for last := false; ; {
				n, err := r.step(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if last && n == 0 {
					return // a step that began after the last COMMIT found nothing
				}
				last = written.Load()
			}
		})
	}
	s.write(t)
	written.Store(true)
	running.Wait()
	return s.judge(t)
}

func TestStudyCursorLoses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	v := study(t, s, &cursorRelay{base: base{s, s.client(t)}})
	t.Logf("id > last: %+v", v)
	if v.lost == 0 {
		t.Error("no event was lost: the traffic does not provoke what it should")
	}
}

func TestStudyTransactionIDOrderSwaps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, err := s.pool.Exec(t.Context(), withTransactionIDs)
	check(t, err)
	v := study(t, s, &horizonRelay{base: base{s, s.client(t)}})
	t.Logf("by transaction id below the horizon: %+v", v)
	if v.swapped == 0 {
		t.Error("no events were swapped: the traffic does not provoke what it should")
	}
}

func TestStudySkipLockedSwaps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	relays := make([]wrong, 6)
	for i := range relays {
		relays[i] = &skipLockedRelay{base: base{s, s.client(t)}, limit: 3}
	}
	v := study(t, s, relays...)
	t.Logf("six relays with SKIP LOCKED: %+v", v)
	if v.swapped == 0 {
		t.Error("no events were swapped: the traffic does not provoke what it should")
	}
}

func TestStudyOurs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	s.relay(t)
	s.write(t)
	s.emptied(t)
	v := s.judge(t)
	t.Logf("ours: %+v", v)
	if !v.intact() || v.events != studyEvents || v.repeated != 0 {
		t.Errorf("%+v: want %d events, none lost, none swapped, none repeated", v, studyEvents)
	}
}

func TestStudyOursUnderTakeovers(t *testing.T) {
	t.Parallel()
	const least = 190
	s := newStage(t)
	c := newCarousel(s, least+10)
	c.run(t)
	s.write(t)
	testkit.Eventually(t, 4*time.Minute, func() error {
		if n := s.waiting(t); n > 0 {
			return fmt.Errorf("%d rows are still in the outbox after %d take-overs", n, c.takeovers.Load())
		}
		return nil
	})
	c.stop()
	v := s.judge(t)
	t.Logf("ours under %d take-overs: %+v", c.takeovers.Load(), v)
	if !v.intact() || v.events != studyEvents {
		t.Errorf("%+v: want %d events, none lost, none swapped", v, studyEvents)
	}
	if n := c.takeovers.Load(); n < least || v.repeated == 0 {
		t.Errorf("%d take-overs and %d repeated events: the zombies did not do what the test is about", n, v.repeated)
	}
}
