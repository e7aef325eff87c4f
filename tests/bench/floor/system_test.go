package floor_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	// patience is how long anything may take, on a machine that has much else to do.
	patience = 90 * time.Second
	// partitions of every topic, of the system and of the floor.
	partitions = 12
	price      = 1_000
)

// system is the real one, which is started twice: once to be given goods and points, and once for the
// orders, so that what lies between is the orders' alone.
type system struct {
	databases map[string]string
	brokers   []string
	prefix    string
	dir       string
	log       *buffer
	orders    int
}

func newSystem(t *testing.T, orders int) *system {
	t.Helper()
	s := &system{
		databases: map[string]string{}, brokers: testkit.Brokers(t), prefix: testkit.TopicPrefix(t),
		dir: t.TempDir(), log: &buffer{}, orders: orders,
	}
	for _, name := range local.Services() {
		s.databases[name] = testkit.Database(t)
	}
	return s
}

func product(n int) string { return fmt.Sprintf("PRD_%06d", n) }

func member(n int) *memberv1.MemberChanged {
	m := local.Member(fmt.Sprintf("member-%06d", n), fmt.Sprintf("0190a3a0-0000-7000-8000-%012x", n+1), "en")
	m.Email = "" // there is nobody to mail: mails are skipped
	return m
}

// session runs the system for as long as do takes. Its end closes every connection, which is also when
// PostgreSQL has counted everything that they did.
func (s *system) session(t *testing.T, do func(context.Context, *local.System)) {
	t.Helper()
	members := make([]*memberv1.MemberChanged, s.orders)
	for n := range members {
		members[n] = member(n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	running, err := local.Start(ctx, local.Config{
		Dir: s.dir, Databases: s.databases, Brokers: s.brokers, TopicPrefix: s.prefix, Partitions: partitions,
		Members: members, Log: s.log, Environment: map[string]string{"LOG_LEVEL": "warn"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := running.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("warnings and errors of the services:\n%s", s.log)
		}
	}()
	do(ctx, running)
}

// each calls do for every order's number, some at a time.
func (s *system) each(t *testing.T, ctx context.Context, do func(context.Context, int) error) {
	t.Helper()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for n := range s.orders {
		g.Go(func() error { return do(ctx, n) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// seed lists a product for every order and gives its member the points for it.
func (s *system) seed(t *testing.T) {
	t.Helper()
	s.session(t, func(ctx context.Context, running *local.System) {
		ops, err := running.Client(local.Operator, web.RoleOperator)
		if err != nil {
			t.Fatal(err)
		}
		s.each(t, ctx, func(ctx context.Context, n int) error {
			if err := local.AddProduct(ctx, ops, local.NewProduct{
				ProductID: product(n), Name: "Bench piece", Price: price, Currency: "KRW", Quantity: 1_000_000,
			}); err != nil {
				return fmt.Errorf("add product: %w", err)
			}
			_, err := ops.Call(ctx, rest.Request{
				Method: http.MethodPost, Path: "/ops/v1/points/grants",
				Body:   local.Grant{UserID: member(n).GetMemberId(), Amount: 1_000_000, Reason: "bench"},
				Header: map[string]string{"Idempotency-Key": fmt.Sprintf("grant-%06d", n)},
			}, nil)
			return err
		})
		s.each(t, ctx, func(ctx context.Context, n int) error {
			customer, err := running.Client(member(n).GetMemberId())
			if err != nil {
				return err
			}
			return local.AwaitOrderable(ctx, customer, product(n))
		})
		s.awaitRest(t, 0)
	})
}

// place has every member order one piece, paid by points, and waits until nothing more happens.
func (s *system) place(t *testing.T) {
	t.Helper()
	s.session(t, func(ctx context.Context, running *local.System) {
		s.each(t, ctx, func(ctx context.Context, n int) error {
			customer, err := running.Client(member(n).GetMemberId())
			if err != nil {
				return err
			}
			_, err = customer.Call(ctx, rest.Request{
				Method: http.MethodPost, Path: "/api/v1/orders", Header: map[string]string{"Idempotency-Key": uuid.NewString()},
				Body: map[string]any{
					"items":       []map[string]any{{"productId": product(n), "quantity": 1, "productPrice": price}},
					"pointAmount": price, "paymentAmount": 0, "paymentType": "POINT",
				},
			}, nil)
			return err
		})
		s.awaitRest(t, s.orders)
	})
}

// atRest holds for each service when what it has to do for a number of orders is done.
var atRest = map[string]string{
	"order":    `SELECT count(*) = $1 FROM orders WHERE status = 'COMPLETED' AND tracking_number <> ''`,
	"stock":    `SELECT count(*) = $1 FROM reservation`,
	"payment":  `SELECT count(*) = $1 FROM payment`,
	"shipping": `SELECT count(*) = $1 FROM shipment WHERE state = 'PREPARED'`,
	"mailer":   `SELECT count(*) = $1 FROM mail WHERE state = 'SKIPPED'`,
	"gateway":  `SELECT count(*) = 5 * $1::bigint FROM event WHERE subject IN (SELECT order_id FROM order_line)`,
	// coupon leaves no row of its own for an order without coupons: its inbox is compared with stock's events.
	"coupon": `SELECT $1::bigint >= 0`,
	// These only follow; where they are is told by their fences.
	"member": `SELECT $1::bigint >= 0`, "webhook": `SELECT $1::bigint >= 0`, "dataplatform": `SELECT $1::bigint >= 0`,
}

const queuesEmpty = `SELECT NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM call WHERE state = 0)
	AND NOT EXISTS (SELECT FROM failure)`

// awaitRest waits until the orders are done everywhere, nothing is on its way, and every fence stands at
// the end of its partition.
func (s *system) awaitRest(t *testing.T, orders int) {
	t.Helper()
	ctx := t.Context()
	for name, url := range s.databases {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, patience, func() error {
			for _, sql := range []string{atRest[name], queuesEmpty} {
				var args []any
				if sql != queuesEmpty {
					args = append(args, orders)
				}
				var yes bool
				if err := conn.QueryRow(ctx, sql, args...).Scan(&yes); err != nil {
					return fmt.Errorf("ask %s: %w", name, err)
				}
				if !yes {
					return fmt.Errorf("%s is not at rest: %s", name, sql)
				}
			}
			return s.caughtUp(ctx, conn, name)
		})
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

// caughtUp compares the fences' offsets with the ends of their partitions.
func (s *system) caughtUp(ctx context.Context, conn *pgx.Conn, name string) error {
	ends, err := endOffsets(ctx, s.brokers, s.prefix)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `SELECT topic, partition, next_offset FROM fence`)
	if err != nil {
		return fmt.Errorf("read %s's fences: %w", name, err)
	}
	var topic string
	var partition int32
	var next int64
	_, err = pgx.ForEachRow(rows, []any{&topic, &partition, &next}, func() error {
		if end := ends[topic][partition]; next < end {
			return fmt.Errorf("%s has read %s/%d up to %d of %d", name, topic, partition, next, end)
		}
		return nil
	})
	return err
}

// buffer keeps what the services log, for a test that fails.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is what was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
