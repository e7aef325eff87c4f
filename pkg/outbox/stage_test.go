package outbox_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// stage is what one test plays on: a database with an outbox and the engine's subject locks, and a
// topic on the broker.
type stage struct {
	url     string
	pool    *pgxpool.Pool
	brokers []string
	topic   string
}

const partitions = 3

// migrate makes the outbox, and the subject table as the engine has it.
func migrate(ctx context.Context, url string) error {
	if err := pg.Migrate(ctx, url, outbox.Migrations, outbox.MigrationTable); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `CREATE TABLE subject (id text PRIMARY KEY, emitted int NOT NULL DEFAULT 0)`)
	return err
}

func newStage(t *testing.T) *stage { return newStageWith(t, nil) }

// newStageWith makes the topic with a configuration: one that is altered later takes its time to arrive.
func newStageWith(t *testing.T, topicConfig map[string]*string) *stage {
	t.Helper()
	s := &stage{
		url:     testkit.Database(t, migrate),
		brokers: testkit.Brokers(t),
		topic:   testkit.TopicPrefix(t) + "order.v1",
	}
	cfg, err := pgxpool.ParseConfig(s.url)
	check(t, err)
	cfg.MaxConns = 24 // 16 writers, the relays of a study, and the test itself
	s.pool, err = pgxpool.NewWithConfig(t.Context(), cfg)
	check(t, err)
	t.Cleanup(s.pool.Close)
	created, err := kadm.NewClient(s.client(t)).CreateTopic(t.Context(), partitions, -1, topicConfig, s.topic)
	check(t, err)
	check(t, created.Err)
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.brokers...)}, opts...)...)
	check(t, err)
	t.Cleanup(client.Close)
	return client
}

// begin starts a transaction that ends with the test at the latest.
func (s *stage) begin(t *testing.T) pgx.Tx {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	check(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// lock takes the subject's lock as the engine does, and gives the number of the next event.
func lock(ctx context.Context, tx pgx.Tx, key string) (seq int32, err error) {
	const take = `INSERT INTO subject (id) VALUES ($1) ON CONFLICT DO NOTHING`
	if _, err := tx.Exec(ctx, take, key); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `SELECT 1 FROM subject WHERE id = $1 FOR NO KEY UPDATE`, key); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `UPDATE subject SET emitted = emitted + 1 WHERE id = $1 RETURNING emitted`, key).Scan(&seq)
	return seq, err
}

// event is a record as the engine would append it.
func (s *stage) event(key string, seq int32) outbox.Record {
	id := uuid.Must(uuid.NewV7())
	return outbox.Record{
		Topic: s.topic, Key: key, EventID: id, Seq: seq,
		Headers: []outbox.Header{{Key: "ce_id", Value: id.String()}, {Key: "ce_sequence", Value: strconv.Itoa(int(seq))}},
		Payload: []byte(fmt.Sprintf("%s %d", key, seq)),
	}
}

// emit appends one event of key to tx, under the subject's lock.
func (s *stage) emit(t *testing.T, tx pgx.Tx, key string) outbox.Record {
	t.Helper()
	seq, err := lock(t.Context(), tx, key)
	check(t, err)
	e := s.event(key, seq)
	check(t, outbox.Append(t.Context(), tx, []outbox.Record{e}))
	return e
}

// commitEvents commits one event per key given, each in its own transaction.
func (s *stage) commitEvents(t *testing.T, keys ...string) []outbox.Record {
	t.Helper()
	var events []outbox.Record
	for _, key := range keys {
		tx := s.begin(t)
		events = append(events, s.emit(t, tx, key))
		check(t, tx.Commit(t.Context()))
	}
	return events
}

// relay starts a relay that ends with the test. Its waits are short, so that what depends on them shows
// quickly.
func (s *stage) relay(t *testing.T, tweak ...func(*outbox.Config, *outbox.Relay)) *outbox.Relay {
	t.Helper()
	cfg := outbox.Config{
		DatabaseURL: s.url,
		Kafka:       []kgo.Opt{kgo.SeedBrokers(s.brokers...)}, Partitions: partitions,
		Pace: 2 * time.Millisecond, Poll: 5 * time.Millisecond, Standby: 5 * time.Millisecond,
	}
	for _, f := range tweak {
		f(&cfg, nil)
	}
	r, err := outbox.NewRelay(cfg)
	check(t, err)
	for _, f := range tweak {
		f(&outbox.Config{}, r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	return r
}

// configured changes a relay's configuration.
func configured(f func(*outbox.Config)) func(*outbox.Config, *outbox.Relay) {
	return func(c *outbox.Config, _ *outbox.Relay) { f(c) }
}

// held has f called at each point the relay passes.
func held(f func(context.Context, outbox.Point)) func(*outbox.Config, *outbox.Relay) {
	return func(_ *outbox.Config, r *outbox.Relay) {
		if r != nil {
			r.HoldAt(f)
		}
	}
}

// waiting counts the rows that are committed and not deleted.
func (s *stage) waiting(t *testing.T) (n int) {
	t.Helper()
	check(t, s.pool.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n))
	return n
}

// emptied waits until everything committed is published.
func (s *stage) emptied(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := s.waiting(t); n > 0 {
			return fmt.Errorf("%d rows are still in the outbox", n)
		}
		return nil
	})
}

// depose takes the election from whoever has it, as the server does with a relay that is silent for
// too long.
func (s *stage) depose(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `
		SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND ((classid::bigint << 32) | objid::bigint) = $1`, int64(outbox.Election))
	return err
}

// published reads the topic from its beginning to its present end.
func (s *stage) published(t *testing.T) []*kgo.Record {
	t.Helper()
	client := s.client(t, kgo.ConsumeTopics(s.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), s.topic)
	check(t, err)
	check(t, ends.Error())
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var records []*kgo.Record
	for int64(len(records)) < left {
		fetches := client.PollFetches(ctx)
		check(t, fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

// verdict is what a consumer that drops repeated event ids would see.
type verdict struct{ events, lost, swapped, repeated int }

// intact reports whether every event came, in the order of its key.
func (v verdict) intact() bool { return v.events > 0 && v.lost == 0 && v.swapped == 0 }

// judge compares the topic with the numbers that the subjects have given out.
func (s *stage) judge(t *testing.T) (v verdict) {
	t.Helper()
	check(t, s.pool.QueryRow(t.Context(), `SELECT coalesce(sum(emitted), 0) FROM subject`).Scan(&v.events))
	seen, last := map[string]bool{}, map[string]int{}
	for _, r := range s.published(t) {
		id, seq := header(r, "ce_id"), header(r, "ce_sequence")
		if seen[id] {
			v.repeated++
			continue
		}
		seen[id] = true
		n, err := strconv.Atoi(seq)
		check(t, err)
		if n < last[string(r.Key)] {
			v.swapped++
		}
		last[string(r.Key)] = max(last[string(r.Key)], n)
	}
	v.lost = v.events - len(seen)
	return v
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
