package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// partitions is how many each topic of these tests has.
const partitions = 3

// patience is how long a test waits for what normally takes milliseconds.
const patience = 30 * time.Second

// stage is what one test plays on: a database, and the topics order.v1 and stock.v1.
type stage struct {
	url      string
	kafka    kafka.Config
	pool     *pgxpool.Pool // the test's own
	producer *kgo.Client
	admin    *kadm.Client
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageOn(t, testkit.Brokers(t), testkit.TopicPrefix(t))
}

func newStageOn(t *testing.T, brokers []string, prefix string) *stage {
	t.Helper()
	s := &stage{
		url:   testkit.Database(t, migrateToy),
		kafka: kafka.Config{Brokers: brokers, Prefix: prefix, Partitions: partitions, Durability: "single"},
	}
	s.pool = testkit.Pool(t, s.url)
	s.producer = s.client(t, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	s.admin = kadm.NewClient(s.producer)
	for _, topic := range []string{"order.v1", "stock.v1"} {
		s.createTopic(t, topic, partitions)
	}
	_, err := s.pool.Exec(t.Context(), `INSERT INTO product VALUES ('P', 1000000)`)
	check(t, err)
	return s
}

func (s *stage) createTopic(t *testing.T, topic string, n int32) {
	t.Helper()
	created, err := s.admin.CreateTopic(t.Context(), n, 1, nil, s.kafka.Topic(topic))
	check(t, err)
	check(t, created.Err)
}

func (s *stage) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(s.kafka.Opts("test"), opts...)...)
	check(t, err)
	t.Cleanup(client.Close)
	return client
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until what is got is what is wanted.
func eventually[T comparable](t *testing.T, what string, want T, get func() (T, error)) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		got, err := get()
		if err == nil && got != want {
			err = fmt.Errorf("%s is %v: want %v", what, got, want)
		}
		return err
	})
}

// count asks the database.
func (s *stage) count(t *testing.T, sql string, args ...any) int64 {
	t.Helper()
	var n int64
	check(t, s.pool.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// becomes waits until a query that counts gives want.
func (s *stage) becomes(t *testing.T, want int64, sql string, args ...any) {
	t.Helper()
	eventually(t, sql, want, func() (n int64, err error) {
		return n, s.pool.QueryRow(t.Context(), sql, args...).Scan(&n)
	})
}

// node is one replica of the toy service, with its own pool and network.
type node struct {
	toy    *toy
	store  *toyStore
	engine *engine.Engine[world]
	pool   *pgxpool.Pool
	net    *network
	stop   func()     // in order
	ended  chan error // what Run returned
}

// option changes a replica before it starts.
type option func(*setup)

type setup struct {
	cfg    *engine.Config[world]
	pool   *pgxpool.Config
	node   *node
	noWait bool
}

// noWait: the replica may not become ready.
func noWait(s *setup) { s.noWait = true }

func tuned(f func(*engine.Tuning)) option { return func(s *setup) { f(&s.cfg.Tuning) } }

// calling has the label printer called.
func calling(c engine.Caller) option {
	return func(s *setup) { s.cfg.Callers["label"] = c }
}

// start runs a replica until the test ends, and waits until it has its partitions.
func (s *stage) start(t *testing.T, options ...option) *node {
	t.Helper()
	n := &node{toy: &toy{}, store: &toyStore{}, net: newNetwork(), ended: make(chan error, 1)}
	cfg := &engine.Config[world]{
		Store: n.store, Kafka: s.kafka, Due: toyDue, Registerer: prometheus.NewRegistry(),
		Callers: map[string]engine.Caller{"label": printLabel},
		Log:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Tuning: engine.Tuning{
			Pace: 2 * time.Millisecond, Sweep: 20 * time.Millisecond, SessionTime: 10 * time.Second,
			CallTimeout: 2 * time.Second, CallLease: 4 * time.Second,
		},
	}
	cfg.Kafka.Options = append(slices.Clone(cfg.Kafka.Options), kgo.Dialer(n.net.dial))
	pool, err := pgxpool.ParseConfig(s.url)
	check(t, err)
	pool.MaxConns = 8
	pool.ConnConfig.DialFunc = n.net.dial
	set := &setup{cfg: cfg, pool: pool, node: n}
	for _, o := range options {
		o(set)
	}
	cfg.Definition = n.toy.definition()
	n.pool, err = pgxpool.NewWithConfig(t.Context(), pool)
	check(t, err)
	cfg.Pool = n.pool
	n.engine, err = engine.New(*cfg)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { n.ended <- n.engine.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-n.ended; err != nil && !set.noWait {
			t.Errorf("engine: %v", err)
		}
		n.pool.Close()
	})
	t.Cleanup(n.stop)
	if !set.noWait {
		testkit.Eventually(t, patience, n.engine.Ready)
	}
	return n
}

// relay publishes what the replicas emit, until the test ends.
func (s *stage) relay(t *testing.T) {
	t.Helper()
	r, err := outbox.NewRelay(outbox.Config{
		DatabaseURL: s.url, Kafka: s.kafka.Opts("relay"), Partitions: s.kafka.Partitions, Pace: 2 * time.Millisecond, Poll: 5 * time.Millisecond,
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
}

// printLabel is a label printer that always works.
func printLabel(_ context.Context, c engine.Call) (flow.Command, error) {
	return labelled{order: c.Subject, number: int64(c.Attempt)}, nil
}

// network is a replica's: cut, it is as if the process had been killed, for everybody else.
type network struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func newNetwork() *network { return &network{} }

var errDown = errors.New("the network is down")

func (n *network) dial(ctx context.Context, kind, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, kind, addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case n.down:
		conn.Close()
		return nil, errDown
	}
	n.conns = append(n.conns, conn)
	return conn, nil
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, c := range n.conns {
		c.Close()
	}
}

func (n *network) restore() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// event makes the record of an order event as the order service would publish it.
func (s *stage) event(order string, seq int64, message proto.Message) *kgo.Record {
	value, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	id := uuid.Must(uuid.NewV7()).String()
	e := kafka.Envelope{
		ID: id, Type: string(message.ProtoReflect().Descriptor().FullName()), Source: "/quadrille/order",
		Subject: order, Time: time.Now(), Sequence: seq, Correlation: "root-of-" + order,
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
	}
	r := &kgo.Record{Topic: s.kafka.Topic("order.v1"), Key: []byte(order), Value: value}
	for _, h := range e.Headers() {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return r
}

func (s *stage) produce(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	check(t, s.producer.ProduceSync(t.Context(), records...).FirstErr())
}

// manual is a producer that puts records into the partitions they name.
func (s *stage) manual(t *testing.T) *kgo.Client {
	t.Helper()
	return s.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

// created, cancelled and completed are events of an order of one piece of P.
func (s *stage) created(order string) *kgo.Record { return s.createdBy(order, "customer") }

func (s *stage) createdBy(order, user string) *kgo.Record {
	return s.event(order, 1, orderOf(order, user, "P"))
}

func orderOf(order, user, product string) *orderv1.OrderCreated {
	return &orderv1.OrderCreated{
		OrderId: order, UserId: user, OrderItems: []*orderv1.OrderItem{{ProductId: product, Quantity: 1}},
	}
}

func (s *stage) cancelled(order string) *kgo.Record {
	return s.event(order, 2, &orderv1.OrderCancelled{OrderId: order})
}

func (s *stage) completed(order string) *kgo.Record {
	return s.event(order, 2, &orderv1.OrderCompleted{OrderId: order})
}

// orders names n orders.
func orders(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "order-" + strconv.Itoa(i)
	}
	return names
}

// handled waits until every event on order.v1 is dealt with.
func (s *stage) handled(t *testing.T) {
	t.Helper()
	ends, err := s.admin.ListEndOffsets(t.Context(), s.kafka.Topic("order.v1"))
	check(t, err)
	check(t, ends.Error())
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	s.becomes(t, want, `SELECT coalesce(sum(next_offset), 0)::bigint FROM fence`)
}

// emitted lists what is in the outbox, where no relay takes it away, in order.
func (s *stage) emitted(t *testing.T) []kafka.Envelope {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `SELECT key, event_id::text, seq FROM outbox ORDER BY id`)
	check(t, err)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e kafka.Envelope, err error) {
		return e, row.Scan(&e.Subject, &e.ID, &e.Sequence)
	})
	check(t, err)
	return list
}

// gapless checks the numbers of what was emitted per subject: 1, 2, 3 …
func gapless(t *testing.T, list []kafka.Envelope) {
	t.Helper()
	last := map[string]int64{}
	for _, e := range list {
		if last[e.Subject]++; e.Sequence != last[e.Subject] {
			t.Errorf("event %d of %s has number %d", last[e.Subject], e.Subject, e.Sequence)
		}
	}
}

// published reads a topic from its beginning to its present end.
func (s *stage) published(t *testing.T, topic string) []*kgo.Record {
	t.Helper()
	client := s.client(t, kgo.ConsumeTopics(s.kafka.Topic(topic)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := s.admin.ListEndOffsets(t.Context(), s.kafka.Topic(topic))
	check(t, err)
	check(t, ends.Error())
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for int64(len(records)) < left {
		fetches := client.PollFetches(ctx)
		check(t, fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}
