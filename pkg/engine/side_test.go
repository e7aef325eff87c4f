package engine_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// archive keeps the orders that were told of.
type archive struct{ orders []string }

func keep(w *archive, e *orderv1.OrderCreated, _ flow.Meta) []flow.Event {
	w.orders = append(w.orders, e.GetOrderId())
	return nil
}

type archiveStore struct{}

func (archiveStore) Load(context.Context, *pg.Tx, []flow.Input) (*archive, error) {
	return &archive{}, nil
}

func (archiveStore) Save(b *pg.Batch, w *archive) error {
	b.Queue("keep orders", `INSERT INTO product (id, quantity) SELECT id, 1 FROM unnest($1::text[]) AS id`, w.orders)
	return nil
}

// An archive has no row per subject: but for those that are parked, whose events wait and are kept after a replay.
func TestDecisionsSideBySideLeaveNoRowPerSubject(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool(t, testkit.Database(t, migrateToy))
	e, err := engine.New(engine.Config[archive]{
		Definition: flow.Service("archive", flow.On(keep)), Store: archiveStore{}, Pool: pool,
		SideBySide: true, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO fence VALUES ('00000000-0000-0000-0000-000000000000', 0, 'order.v1', 0)`)
	check(t, err)
	s := &stage{kafka: kafka.Config{}}
	garbage := s.created("bad")
	good := garbage.Value
	garbage.Value = []byte{0xff}
	check(t, engine.Consume(t.Context(), e, at(0, 0, s.created("a"), s.created("b"), garbage)))
	check(t, engine.Consume(t.Context(), e, at(0, 3, s.created("c"), s.created("a2"), s.created("bad"))))
	holds(t, pool, "subject", `SELECT coalesce(string_agg(id || parked, ' '), '') FROM subject`, "badtrue")
	holds(t, pool, "kept", `SELECT string_agg(id, ' ' ORDER BY id) FROM product`, "a a2 b c")
	holds(t, pool, "queued", `SELECT count(*)::text FROM parked_event`, "2")
	_, err = pool.Exec(t.Context(), `UPDATE parked_event SET payload = $1 WHERE kafka_offset = 2`, good)
	check(t, err)
	_, err = pool.Exec(t.Context(), `DELETE FROM parked_event WHERE kafka_offset = 5`) // or it would be kept twice, which its key forbids
	check(t, err)
	if _, err := e.Replay(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	holds(t, pool, "kept", `SELECT string_agg(id, ' ' ORDER BY id) FROM product`, "a a2 b bad c")
	check(t, engine.Consume(t.Context(), e, at(0, 6, s.created("d"))))
	holds(t, pool, "kept", `SELECT count(*)::text FROM product`, "6")
}

func holds(t *testing.T, pool *pgxpool.Pool, what, sql, want string) {
	t.Helper()
	var got string
	check(t, pool.QueryRow(t.Context(), sql).Scan(&got))
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// What a decision emits is numbered in its subject's row.
func TestOnlyWhoEmitsNothingDecidesSideBySide(t *testing.T) {
	t.Parallel()
	pool := testkit.Pool(t, testkit.Database(t, migrateToy))
	_, err := engine.New(engine.Config[world]{
		Definition: (&toy{}).definition(), Store: &toyStore{}, Pool: pool, SideBySide: true,
		Callers: map[string]engine.Caller{"label": printLabel},
	})
	if err == nil || !strings.Contains(err.Error(), "SideBySide") {
		t.Errorf("a service that emits was taken: %v", err)
	}
}
