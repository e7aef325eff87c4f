package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	completed = "quadrille.order.v1.OrderCompleted"
	cancelled = "quadrille.order.v1.OrderCancelled"
)

// A directory says that nobody wants something only by a view that is young: never before the first one, and not with
// one that is older than the lease.
func TestOnlyAYoungViewSaysNobody(t *testing.T) {
	t.Parallel()
	var d Directory
	if !d.Wanted(completed) {
		t.Error("said nobody without having looked")
	}
	d.latest.Store(&view{taken: time.Now(), types: map[string]bool{cancelled: true}})
	if d.Wanted(completed) || !d.Wanted(cancelled) {
		t.Error("a young view")
	}
	d.latest.Store(&view{taken: time.Now().Add(-Lease - time.Millisecond), types: map[string]bool{cancelled: true}})
	if !d.Wanted(completed) {
		t.Error("said nobody by an old view")
	}
	d.latest.Store(&view{taken: time.Now(), all: true})
	if !d.Wanted(completed) {
		t.Error("somebody wants all")
	}
}

// It sees what is enabled, and follows changes by itself; a database that does not answer leaves the last view, which
// grows old.
func TestFollows(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	var d Directory
	d.Open(pool)
	check := func(want bool) {
		t.Helper()
		testkit.Eventually(t, rig.Patience, func() error {
			if got := d.Wanted(completed); got != want {
				return errors.New("not seen yet")
			}
			return nil
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	check(false)
	const id = "0199a1b2-0000-7000-8000-0000000000c1"
	_, err := pool.Exec(t.Context(), `
		INSERT INTO endpoint (id, url, description, events, state, secret, subscribed_at, created_at, updated_at)
		VALUES ($1, 'https://shop.example/', '', ARRAY[$2], 'ENABLED', 'whsec_AAAA', now(), now(), now())`, id, completed)
	if err != nil {
		t.Fatal(err)
	}
	check(true)
	if e := d.Endpoints()[id]; e.State != webhook.Enabled || e.URL != "https://shop.example/" {
		t.Errorf("endpoint %+v", e)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE endpoint SET state = 'DISABLED'`); err != nil {
		t.Fatal(err)
	}
	check(false)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	before := d.latest.Load()
	if err := d.Refresh(lost); err == nil || d.latest.Load() != before {
		t.Errorf("refreshed without an answer: %v", err)
	}
}
