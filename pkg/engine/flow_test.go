package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

func parse(t *testing.T, r *kgo.Record) kafka.Envelope {
	t.Helper()
	e, err := kafka.ParseEnvelope(r)
	check(t, err)
	return e
}

func TestAnEventIsDecidedAndItsConsequencePublished(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	s.start(t)
	created := s.created("order-1")
	cancelled := s.cancelled("order-1")
	s.produce(t, created, cancelled)
	s.becomes(t, 1, `SELECT count(*) FROM reservation WHERE state = 'back'`)
	s.becomes(t, 0, `SELECT count(*) FROM outbox`)

	records := s.published(t, "stock.v1")
	if len(records) != 2 {
		t.Fatalf("published %d events: want 2", len(records))
	}
	var decreased stockv1.StockDecreased
	check(t, proto.Unmarshal(records[0].Value, &decreased))
	if decreased.OrderId != "order-1" || string(records[0].Key) != "order-1" {
		t.Errorf("published %v under key %q", &decreased, records[0].Key)
	}
	for i, causes := range []*kgo.Record{created, cancelled} {
		got, cause := parse(t, records[i]), parse(t, causes)
		want := kafka.Envelope{
			ID: got.ID, Type: []string{"quadrille.stock.v1.StockDecreased", "quadrille.stock.v1.StockIncreased"}[i],
			Source: "/quadrille/stock", Subject: "order-1", Time: got.Time, Sequence: int64(i + 1),
			Causation: cause.ID, Correlation: cause.Correlation, TraceParent: cause.TraceParent,
		}
		if got != want {
			t.Errorf("envelope is %+v: want %+v", got, want)
		}
		if id, err := uuid.Parse(got.ID); err != nil || id.Version() != 7 {
			t.Errorf("ce_id %q is not a UUIDv7", got.ID)
		}
		if age := time.Since(got.Time); age < 0 || age > time.Minute {
			t.Errorf("ce_time is %v", got.Time)
		}
		headers := map[string]string{}
		for _, h := range records[i].Headers {
			headers[h.Key] = string(h.Value)
		}
		if headers["ce_specversion"] != "1.0" || headers["content-type"] != "application/protobuf" || headers["ce_partitionkey"] != "order-1" {
			t.Errorf("headers are %v", headers)
		}
	}
}

func TestACommandsEventsCarryItsIDAndBeginAChain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	n := s.start(t)
	const trace = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00"
	for range 2 {
		answer, err := n.engine.Do(t.Context(), engine.Request{Member: "m", Command: restock{"P2", 5}, TraceParent: trace})
		check(t, err)
		if answer.Status != 200 || answer.Replayed {
			t.Errorf("answered %+v", answer)
		}
	}
	s.becomes(t, 0, `SELECT count(*) FROM outbox`)
	records := s.published(t, "stock.v1")
	if len(records) != 2 {
		t.Fatalf("published %d events: want 2", len(records))
	}
	first, second := parse(t, records[0]), parse(t, records[1])
	if first.Causation != "" || first.Correlation != first.ID || first.Command == "" || first.TraceParent != trace {
		t.Errorf("first event of a chain has %+v", first)
	}
	if second.Causation != first.ID || second.Correlation != first.ID || second.Command == first.Command || second.Sequence != 2 {
		t.Errorf("second command's event has %+v", second)
	}
}

// tally counts statements; batches count by their statements.
type tally struct {
	mu         sync.Mutex
	statements int
	commits    int
	seen       []string
}

func (c *tally) add(sql string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements++
	c.seen = append(c.seen, sql)
	if sql == "commit" {
		c.commits++
	}
}

func (c *tally) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	c.add(d.SQL)
	return ctx
}
func (c *tally) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *tally) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (c *tally) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	c.add(d.SQL)
}
func (c *tally) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// What a batch costs, however many events are in it. Sweeps are out of the way; the pace is so long that
// all events are there when the batch begins.
func TestABatchOfManyEventsCostsFewStatementsAndOneCommit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	count := &tally{}
	release := make(chan struct{})
	s.start(t, calling(func(ctx context.Context, c engine.Call) (flow.Command, error) {
		<-release
		return printLabel(ctx, c)
	}), tuned(func(t *engine.Tuning) { t.Pace, t.Sweep = 2*time.Second, time.Hour }),
		func(set *setup) { set.pool.ConnConfig.Tracer = count })
	t.Cleanup(func() { close(release) }) // no label is printed before: its answer would be a transaction of its own
	s.produce(t, s.created("first"))
	s.handled(t)
	count.mu.Lock()
	count.statements, count.commits, count.seen = 0, 0, nil
	count.mu.Unlock()
	var records []*kgo.Record
	for _, o := range orders(250) {
		records = append(records, s.created(o), s.event(o, 2, &orderv1.OrderCompleted{OrderId: o}))
	}
	s.produce(t, records...)
	s.handled(t)
	count.mu.Lock()
	defer count.mu.Unlock()
	t.Logf("%d events: %d statements, %d commits", len(records), count.statements, count.commits)
	if count.commits != 1 || count.statements > 20 {
		t.Errorf("%d events cost %d statements and %d commits: want at most 20 and 1:\n%s",
			len(records), count.statements, count.commits, fmt.Sprint(count.seen))
	}
}
