package deliver

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook/internal/directory"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
	"github.com/quadrille-io/quadrille/services/webhook/outward"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const endpointID = "0199a1b2-0000-7000-8000-0000000000c1"

// sender is one with an endpoint that counts its requests, and a database with n deliveries for it.
func sender(t *testing.T, n int, answer http.HandlerFunc) (*Sender, *pgxpool.Pool) {
	t.Helper()
	receiver := httptest.NewServer(answer)
	t.Cleanup(receiver.Close)
	pool := rig.Database(t, store.Migrate)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO endpoint (id, url, description, events, state, secret, subscribed_at, created_at, updated_at)
		VALUES ($1, $2, '', '{*}', 'ENABLED', 'whsec_AAAA', now(), now(), now())`, endpointID, receiver.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pool.Exec(t.Context(), `
		WITH f AS (INSERT INTO fact SELECT gen_random_uuid(), 'x', 'order-1', now(), now(), '{}' FROM generate_series(1, $2) RETURNING event_id)
		INSERT INTO delivery (endpoint_id, event_id, due_at, give_up_at, created_at)
		SELECT $1, event_id, now(), now() + interval '1 h', now() FROM f`, endpointID, n)
	if err != nil {
		t.Fatal(err)
	}
	d := &directory.Directory{}
	d.Open(pool)
	if err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Timeout: time.Second, Retries: []time.Duration{time.Minute}, Concurrency: 4, Every: 10 * time.Millisecond},
		d, outward.NewClient(outward.Policy{Loopback: true}, nil))
	s.Open(pool)
	s.Log = slog.New(slog.DiscardHandler)
	return s, pool
}

func claimed(t *testing.T, pool *pgxpool.Pool) []store.Claimed {
	t.Helper()
	list, err := store.Claim(t.Context(), pool, map[string]int{endpointID: 100}, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A process that was stopped after it had claimed sends nothing that could outlast its claim: somebody else may be
// sending it. It gives back what is still its own.
func TestNothingIsSentPastTheClaim(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s, pool := sender(t, 3, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	list := claimed(t, pool)
	s.enqueue(t.Context(), list, time.Now().Add(-s.cfg.lease()+s.cfg.Timeout-time.Millisecond))
	s.flying.Wait()
	if len(list) != 3 || requests.Load() != 0 || len(s.unsent) != 3 {
		t.Errorf("%d claimed, %d sent, %d to be given back", len(list), requests.Load(), len(s.unsent))
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := claimed(t, pool); len(again) != 3 || s.lanes[endpointID].held != 0 {
		t.Errorf("%d can be claimed again, %d are held", len(again), s.lanes[endpointID].held)
	}
}

// Whoever fails is tried one at a time until something is delivered again.
func TestWhoFailsIsTriedOneByOne(t *testing.T) {
	t.Parallel()
	var under, most, requests atomic.Int32
	s, pool := sender(t, 20, func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		requests.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	s.lane(endpointID).failing = true
	if rooms := s.rooms(); rooms[endpointID] != 1 {
		t.Errorf("room for %v", rooms)
	}
	s.enqueue(t.Context(), claimed(t, pool), time.Now())
	s.flying.Wait()
	if most.Load() != 1 || requests.Load() != 20 {
		t.Errorf("%d requests, %d at once", requests.Load(), most.Load())
	}
}

// A stop finishes what is under way, writes what became of it, and gives back the rest at once.
func TestStop(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	arrived, leave := make(chan struct{}, 20), make(chan struct{})
	s, pool := sender(t, 20, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-leave
	})
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	for range 4 {
		<-arrived
	}
	stop()
	close(leave)
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	var delivered, waiting, logged int
	err := pool.QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM delivery WHERE state = 1), (SELECT count(*) FROM delivery WHERE state = 0 AND due_at <= now() AND claimed_until IS NULL),
		(SELECT count(*) FROM attempt)`).Scan(&delivered, &waiting, &logged)
	if err != nil || delivered < 4 || delivered+waiting != 20 || logged != delivered {
		t.Errorf("%d delivered, %d in the log, %d wait: %v", delivered, logged, waiting, err)
	}
}

// The documented schedule, each pause a fifth more or less.
func TestPauses(t *testing.T) {
	t.Parallel()
	cfg := Config{Retries: []time.Duration{5 * time.Second, time.Minute, time.Hour}}
	for n, want := range []time.Duration{5 * time.Second, time.Minute, time.Hour, time.Hour, time.Hour} {
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 200 {
			pause := cfg.wait(n + 1)
			least, most = min(least, pause), max(most, pause)
		}
		if least < want*4/5 || most > want*6/5 || most == least {
			t.Errorf("pause %d is %s to %s, want %s and a fifth", n+1, least, most, want)
		}
	}
}
