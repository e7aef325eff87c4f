package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func schema(ctx context.Context, url string) error {
	return exec(ctx, url, "CREATE TABLE product (id text PRIMARY KEY)")
}

func seed(ctx context.Context, url string) error {
	return exec(ctx, url, "INSERT INTO product VALUES ('SKU-1')")
}

func exec(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func count(t *testing.T, url, sql string) (n int) {
	t.Helper()
	if err := testkit.Pool(t, url).QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	var migrated atomic.Int64
	counted := func(ctx context.Context, url string) error {
		migrated.Add(1)
		return schema(ctx, url)
	}
	t.Run("tests", func(t *testing.T) {
		for i := range 12 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				url := testkit.Database(t, counted)
				if err := exec(t.Context(), url, "INSERT INTO product VALUES ('mine')"); err != nil {
					t.Fatal(err)
				}
				if n := count(t, url, "SELECT count(*) FROM product"); n != 1 {
					t.Errorf("%d rows: another test's are among them", n)
				}
			})
		}
	})
	if n := migrated.Load(); n != 1 {
		t.Errorf("migrated %d times for one set of migrations", n)
	}
}

func TestDatabaseTellsMigrationsApart(t *testing.T) {
	t.Parallel()
	if n := count(t, testkit.Database(t, schema, seed), "SELECT count(*) FROM product"); n != 1 {
		t.Errorf("%d rows, want the seed's", n)
	}
	for _, want := range []int{2, 3} { // closures of one function over different variables
		fill := func(ctx context.Context, url string) error {
			return exec(ctx, url, fmt.Sprintf("INSERT INTO product SELECT generate_series(1, %d)::text", want))
		}
		if n := count(t, testkit.Database(t, schema, fill), "SELECT count(*) FROM product"); n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
	}
}

func TestDatabaseGoesWithItsTest(t *testing.T) {
	t.Parallel()
	here := testkit.Database(t)
	var name string
	t.Run("test", func(t *testing.T) {
		url := testkit.Database(t)
		conn, err := pgx.Connect(t.Context(), url) // left open
		if err != nil {
			t.Fatal(err)
		}
		name = conn.Config().Database
	})
	if n := count(t, here, "SELECT count(*) FROM pg_database WHERE datname = '"+name+"'"); n != 0 {
		t.Errorf("%s is still there", name)
	}
}

// The broker that was asked for, whichever it is, takes topics and records and
// gives them back to a group.
func TestBrokersRoundTrip(t *testing.T) {
	t.Parallel()
	addrs, prefix := testkit.Brokers(t), testkit.TopicPrefix(t)
	topic := prefix + "order.v1"
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...),
		kgo.ConsumerGroup(prefix+"stock"), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: []byte("placed")}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 50; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", got, err)
		}
		got += fetches.NumRecords()
	}
}

func TestTopicsGoWithTheirTest(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	var topic string
	t.Run("test", func(t *testing.T) {
		topic = testkit.TopicPrefix(t) + "stock.v1"
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	})
	testkit.Eventually(t, 10*time.Second, func() error {
		topics, err := admin.ListTopics(t.Context())
		if err == nil && topics.Has(topic) {
			err = errors.New(topic + " is still there")
		}
		return err
	})
}

func TestPrivateBrokerBreaksAtWill(t *testing.T) {
	t.Parallel()
	b := testkit.PrivateBroker(t)
	if err := b.Cluster.CreateTopic("order.v1", 1, nil); err != nil {
		t.Fatal(err)
	}
	b.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed})
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.DefaultProduceTopic("order.v1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("produce: %v, want the fault", err)
	}
	if err := client.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Errorf("produce after the fault: %v", err)
	}
}

// verdict is a testing.TB that notes a failure instead of failing.
type verdict struct {
	testing.TB
	message string
}

func (v *verdict) Helper() {}
func (v *verdict) Fatalf(format string, args ...any) {
	v.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	testkit.Eventually(t, 5*time.Second, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	v, done := &verdict{TB: t}, make(chan struct{})
	go func() {
		defer close(done)
		testkit.Eventually(v, 20*time.Millisecond, func() error { return errors.New("2 orders wait") })
	}()
	<-done
	if !strings.Contains(v.message, "2 orders wait") {
		t.Errorf("failed with %q, without the last error", v.message)
	}
}
