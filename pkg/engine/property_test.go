package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// bench is a database and an engine that runs only what it is given.
type bench struct {
	pool    *pgxpool.Pool
	engine  *engine.Engine[world]
	counted *statements
}

// countingPool counts the statements that write what a subject's row says.
func countingPool(t *testing.T, url string) (*pgxpool.Pool, *statements) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	check(t, err)
	counted, _ := counting(mending)
	cfg.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	check(t, err)
	t.Cleanup(pool.Close)
	return pool, counted
}

// mending is the statement that corrects a guess.
const mending = "UPDATE subject s SET emitted"

func newBench(t *testing.T) *bench {
	t.Helper()
	pool, counted := countingPool(t, testkit.Database(t, migrateToy))
	e, err := engine.New(engine.Config[world]{
		Definition: (&toy{}).definition(), Store: &toyStore{}, Pool: pool,
		Callers: map[string]engine.Caller{"label": printLabel},
		Log:     slog.New(slog.DiscardHandler),
		Tuning:  engine.Tuning{ParkedPerMinute: 1 << 30},
	})
	check(t, err)
	return &bench{pool: pool, engine: e, counted: counted}
}

// reset makes the database as it is before the first event.
func (b *bench) reset(t *rapid.T) {
	for _, sql := range []string{
		`TRUNCATE subject, fence, inbox, call, failure, parked_event, outbox, product, reservation RESTART IDENTITY`,
		`INSERT INTO product VALUES ('P', 100), ('R', 3)`,
		`INSERT INTO fence SELECT '00000000-0000-0000-0000-000000000000', p, 'order.v1', 0 FROM generate_series(0, 2) AS p`,
	} {
		if _, err := b.pool.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome is everything a batch leaves behind, but for what a clock or a random id is in.
func (b *bench) outcome(t *rapid.T) map[string][]string {
	left := map[string][]string{}
	for name, sql := range map[string]string{
		"subjects":     `SELECT (id, emitted, parked, root)::text FROM subject ORDER BY id`,
		"fences":       `SELECT (partition, next_offset)::text FROM fence ORDER BY partition`,
		"inbox":        `SELECT event_id::text FROM inbox ORDER BY 1`,
		"products":     `SELECT (id, quantity)::text FROM product ORDER BY id`,
		"reservations": `SELECT (order_id, state, taken, deadline_at)::text FROM reservation ORDER BY order_id`,
		"calls":        `SELECT (subject, kind, state, cause, root, traceparent, convert_from(body, 'UTF8'))::text FROM call ORDER BY subject`,
		"failures":     `SELECT (subject, event_id, fingerprint)::text FROM failure ORDER BY subject`,
		"queues":       `SELECT (subject, partition, kafka_offset)::text FROM parked_event ORDER BY subject, id`,
		"events": `SELECT (key, seq, substring(encode(headers, 'escape') FROM 'quadrille\.stock\.v1\.[A-Za-z]+'), payload)::text
		           FROM outbox ORDER BY key, id`,
	} {
		rows, err := b.pool.Query(context.Background(), sql)
		if err != nil {
			t.Fatal(err)
		}
		if left[name], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return left
}

// unchained names the subjects whose rows do not say what was emitted about them and what began, whatever was
// guessed when the rows were made.
func (b *bench) unchained(t interface{ Fatal(...any) }) string {
	rows, err := b.pool.Query(context.Background(), `
		SELECT format('%s says %s events of %L, emitted were %s', s.id, s.emitted, s.root, count(o.id))
		FROM subject s LEFT JOIN outbox o ON o.key = s.id
		GROUP BY s.id HAVING s.emitted <> count(o.id) OR s.root <> 'root-of-' || s.id`)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(wrong, "; ")
}

// drawEvents makes events of a few orders, repeated and unreadable ones among them.
func drawEvents(t *rapid.T, s *stage) []*kgo.Record {
	var records []*kgo.Record
	next := map[int32]int64{}
	for i := range rapid.IntRange(1, 25).Draw(t, "events") {
		number := rapid.IntRange(0, 5).Draw(t, "order")
		order := fmt.Sprint("order-", number)
		var message proto.Message
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			message = orderOf(order, rapid.SampledFrom([]string{"customer", talkative}).Draw(t, "customer"), rapid.SampledFrom([]string{"P", "R"}).Draw(t, "product"))
		case 1:
			message = &orderv1.OrderCancelled{OrderId: order}
		case 2:
			message = &orderv1.OrderCompleted{OrderId: order, UserId: fmt.Sprint(i)}
		case 3:
			message = &orderv1.OrderCouponWaived{OrderId: order}
		case 4:
			message = &orderv1.OrderCancelRequested{OrderId: order, UserId: rapid.SampledFrom([]string{"", nobody}).Draw(t, "whose")}
		}
		r := s.event(order, 1, message)
		if len(records) > 0 && rapid.IntRange(0, 4).Draw(t, "again") == 0 {
			old := rapid.SampledFrom(records).Draw(t, "of")
			r = &kgo.Record{Topic: old.Topic, Key: old.Key, Headers: old.Headers, Value: old.Value}
		} else if rapid.IntRange(0, 30).Draw(t, "garbage") == 0 {
			r.Value = []byte{0xff}
		}
		r.Partition = int32(r.Key[len(r.Key)-1] % partitions)
		r.Offset = next[r.Partition]
		next[r.Partition]++
		records = append(records, r)
	}
	return records
}

// Any events decided together, cut into any batches, leave the same rows and the same events as one by one.
func TestABatchDecidesAsOneByOneWould(t *testing.T) {
	t.Parallel()
	together, alone := newBench(t), newBench(t)
	s := &stage{kafka: kafka.Config{}}
	began := time.Now()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		together.reset(t)
		alone.reset(t)
		records := drawEvents(t, s)
		for rest := records; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			if err := engine.Consume(context.Background(), together.engine, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		for _, r := range records {
			if err := engine.Consume(context.Background(), alone.engine, []*kgo.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
		if wrong := together.unchained(t) + alone.unchained(t); wrong != "" {
			t.Fatal(wrong)
		}
		if diff := cmp.Diff(alone.outcome(t), together.outcome(t)); diff != "" {
			t.Fatalf("decided together (+) other than one by one (-):\n%s", diff)
		}
	})
	t.Logf("%d batches in %v", runs, time.Since(began))
}
