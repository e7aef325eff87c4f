package floor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/tests/bench/floor"
)

// small is a run of a few orders, some of which share members and products.
func small(t *testing.T) (floor.Config, map[string]string) {
	t.Helper()
	cfg := floor.Config{
		Database: testkit.Database(t), Brokers: testkit.Brokers(t), Prefix: testkit.TopicPrefix(t),
		Orders: 45, Warmup: 25, Seed: 7, Batch: 20, Products: 3, Members: 5, Partitions: 3, OrderTouches: 2, GatewayTouches: 1,
	}
	urls := map[string]string{}
	for _, service := range floor.Services() {
		urls[service] = sibling(t, cfg.Database, floor.DatabaseName(cfg.Prefix, service))
	}
	t.Cleanup(func() { drop(t, cfg.Database, cfg.Prefix) })
	return cfg, urls
}

// TestCountNotices takes a row away from what a run has left, here and there: the count that passed does
// not pass any more.
func TestCountNotices(t *testing.T) {
	t.Parallel()
	cfg, urls := small(t)
	result, err := floor.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Checks["records"]; got != 5*70 {
		t.Errorf("%d records after 70 orders", got)
	}
	for _, damage := range []struct{ service, do, undo string }{
		{
			"mailer", `CREATE TABLE kept AS SELECT * FROM mail LIMIT 1; DELETE FROM mail m USING kept k WHERE m.order_id = k.order_id`,
			`INSERT INTO mail SELECT * FROM kept`,
		},
		{"order", `UPDATE orders SET version = version + 1`, `UPDATE orders SET version = version - 1`},
		{"stock", `UPDATE product SET quantity = quantity + 1`, `UPDATE product SET quantity = quantity - 1`},
		{
			"payment", `INSERT INTO outbox (topic, key, event_id, seq, headers, payload) VALUES ('t', 'k', gen_random_uuid(), 1, '', '')`,
			`DELETE FROM outbox`,
		},
	} {
		conn, err := pgx.Connect(t.Context(), urls[damage.service])
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{damage.do, damage.undo} {
			if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			_, err := floor.Count(t.Context(), cfg, urls)
			if sql == damage.undo && err != nil {
				t.Errorf("counted after %q: %v", sql, err)
			}
			if sql == damage.do && (err == nil || !strings.Contains(err.Error(), damage.service+".")) {
				t.Errorf("counted after %q: %v, want an error about %s", sql, err, damage.service)
			}
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestRunEndsWithItsContext: a run that is told to stop in the middle ends soon, and says so.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg, _ := small(t)
	cfg.Orders = 10_000_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopped time.Time
	cfg.Progress = func(done, total int) {
		if done > 0 && total == cfg.Orders+cfg.Warmup && stopped.IsZero() {
			stopped = time.Now()
			cancel()
		}
	}
	if _, err := floor.Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want that it was cancelled", err)
	}
	if took := time.Since(stopped); took > patience/3 {
		t.Errorf("it took %s to stop", took)
	}
}
