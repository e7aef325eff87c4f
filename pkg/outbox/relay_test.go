package outbox_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestRelayPublishesWhatWasCommittedAsItWasAppended(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := s.event("order", 1)
	want.Headers = append(want.Headers, outbox.Header{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		outbox.Header{Key: "empty"}, outbox.Header{Value: "no name"})
	largest := s.event("other", 1)
	largest.Payload = make([]byte, 900_000)
	empty := s.event("third", 1)
	empty.Payload = nil
	tx := s.begin(t)
	check(t, outbox.Append(t.Context(), tx, []outbox.Record{want, largest, empty}))
	check(t, tx.Commit(t.Context()))
	s.relay(t)
	s.emptied(t)
	got := map[string]*kgo.Record{}
	for _, r := range s.published(t) {
		got[string(r.Key)] = r
	}
	if len(got) != 3 || len(got["other"].Value) != 900_000 || got["third"].Value == nil {
		t.Fatalf("published %d records: want 3, the largest and the empty one among them", len(got))
	}
	r := got["order"]
	if string(r.Value) != string(want.Payload) {
		t.Errorf("value is %q: want %q", r.Value, want.Payload)
	}
	headers := make([]outbox.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = outbox.Header{Key: h.Key, Value: string(h.Value)}
	}
	if !slices.Equal(headers, want.Headers) {
		t.Errorf("headers are %v: want %v", headers, want.Headers)
	}
}

func TestRelayIsWokenByACommit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(t, configured(func(c *outbox.Config) { c.Poll, c.Pace = 2*time.Second, time.Nanosecond }))
	s.commitEvents(t, "warm-up")
	r.Wake()
	s.emptied(t)
	var took []time.Duration
	for range 20 {
		s.commitEvents(t, "order")
		began := time.Now()
		r.Wake()
		s.emptied(t)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from COMMIT until published and deleted: median %v, worst %v", took[10], took[19])
	if took[10] > 200*time.Millisecond {
		t.Errorf("half of the events took %v or longer: waking does not work, polls are 2 s apart", took[10])
	}
}

func TestRelayFindsWhatNobodyWokeItFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(t)
	testkit.Eventually(t, 10*time.Second, func() error {
		if !r.Ready() {
			return errors.New("relay is not ready")
		}
		return nil
	})
	s.commitEvents(t, "order")
	s.emptied(t)
}

// A crash between the acknowledgement and the delete: the same events go out again, in the same order,
// under the same ids.
func TestCrashBeforeDeleteRepublishesTheSameEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.commitEvents(t, "a", "a", "b", "a")
	var once atomic.Bool
	s.relay(t, held(func(ctx context.Context, p outbox.Point) {
		if p == outbox.BeforeDelete && !once.Swap(true) {
			if err := s.depose(ctx); err != nil { // its connection is gone, and the delete with it
				t.Error(err)
			}
		}
	}))
	s.emptied(t)
	if v := s.judge(t); !v.intact() || v.repeated != 4 {
		t.Errorf("published %+v: want every event twice, in order", v)
	}
}

func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ctx, crash := context.WithCancel(t.Context())
	first, err := outbox.NewRelay(outbox.Config{
		DatabaseURL: s.url, Kafka: []kgo.Opt{kgo.SeedBrokers(s.brokers...)}, Partitions: partitions,
		Registerer: prometheus.NewRegistry(),
	})
	check(t, err)
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx) }()
	elected := func(r *outbox.Relay) float64 { return gauge(t, r, "relay_elected") }
	testkit.Eventually(t, 10*time.Second, func() error {
		if elected(first) != 1 {
			return errors.New("the first relay is not elected")
		}
		return nil
	})
	second := s.relay(t)
	testkit.Eventually(t, 10*time.Second, func() error {
		if !second.Ready() {
			return errors.New("the second relay is not standing by")
		}
		return nil
	})
	if elected(second) != 0 {
		t.Fatal("two relays are elected")
	}
	crash()
	check(t, <-ended)
	s.commitEvents(t, "order")
	s.emptied(t)
	if elected(second) != 1 || elected(first) != 0 {
		t.Error("the second relay is not elected after the first has ended")
	}
}

func gauge(t *testing.T, r *outbox.Relay, name string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	check(t, reg.Register(r.Metrics()))
	families, err := reg.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return 0
}

// A relay that is stopped, as SIGSTOP does it, keeps its connection. The server ends the session for
// its silence, and another one goes on.
func TestSilentRelayLosesTheElection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.commitEvents(t, "order", "order")
	frozen, thawed := make(chan struct{}), make(chan struct{})
	thaw := sync.OnceFunc(func() { close(thawed) })
	var once atomic.Bool
	s.relay(t, held(func(_ context.Context, p outbox.Point) {
		if p == outbox.AfterRead && !once.Swap(true) {
			close(frozen)
			<-thawed
		}
	}))
	t.Cleanup(thaw) // also where the test ends before its time
	<-frozen
	s.relay(t)
	s.emptied(t)
	thaw()
	s.commitEvents(t, "order")
	s.emptied(t)
	if v := s.judge(t); !v.intact() {
		t.Errorf("published %+v: want everything in order", v)
	}
}

func TestDrainPublishesWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.commitEvents(t, "a", "b", "c", "a", "b", "c")
	elected := make(chan struct{})
	var once atomic.Bool
	r := s.relay(t, configured(func(c *outbox.Config) { c.BatchMax = 1 }), held(func(context.Context, outbox.Point) {
		if !once.Swap(true) {
			close(elected)
		}
	}))
	<-elected
	standby := s.relay(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	check(t, standby.Drain(ctx))
	check(t, r.Drain(ctx))
	if n := s.waiting(t); n != 0 {
		t.Errorf("%d rows are left after draining", n)
	}
}

func TestDrainGivesUpInTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.commitEvents(t, "order")
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	check(t, err)
	t.Cleanup(func() { nobody.Close() })
	reached := make(chan struct{}, 8)
	r := s.relay(t, configured(func(c *outbox.Config) { c.Kafka = []kgo.Opt{kgo.SeedBrokers(nobody.Addr().String())} }),
		held(func(_ context.Context, p outbox.Point) { reached <- struct{}{} }))
	<-reached
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain without brokers: %v: want the deadline", err)
	}
	if n := s.waiting(t); n != 1 {
		t.Errorf("%d rows wait: want the one that was not published", n)
	}
	if gauge(t, r, "outbox_oldest_age_seconds") <= 0 {
		t.Error("the age of the oldest event is 0 while one waits")
	}
}

// Brokers that do not answer this relay may answer another.
func TestStalledRelayGivesUpTheElection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.commitEvents(t, "order")
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { nobody.Close() })
	reached := make(chan struct{}, 8)
	s.relay(t, configured(func(c *outbox.Config) {
		c.Kafka, c.Stall = []kgo.Opt{kgo.SeedBrokers(nobody.Addr().String())}, 300*time.Millisecond
	}), held(func(_ context.Context, p outbox.Point) { reached <- struct{}{} }))
	<-reached
	s.relay(t)
	s.emptied(t)
	if v := s.judge(t); !v.intact() {
		t.Errorf("published %+v: want the event", v)
	}
}

func TestNewRelayNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	const url = "postgres://127.0.0.1/order"
	kafka := []kgo.Opt{kgo.SeedBrokers("127.0.0.1:9092")}
	for name, cfg := range map[string]outbox.Config{
		"no brokers":    {DatabaseURL: url, Partitions: 1},
		"bad URL":       {DatabaseURL: "postgres://%", Kafka: kafka, Partitions: 1},
		"no partitions": {DatabaseURL: url, Kafka: kafka},
		"slow poll":     {DatabaseURL: url, Kafka: kafka, Partitions: 1, Poll: time.Minute},
		"slow standby":  {DatabaseURL: url, Kafka: kafka, Partitions: 1, Standby: time.Minute},
		"no rows":       {DatabaseURL: url, Kafka: kafka, Partitions: 1, BatchMax: -1},
		"transactional": {DatabaseURL: url, Partitions: 1, Kafka: append(kafka, kgo.TransactionalID("x"), kgo.DisableIdempotentWrite())},
	} {
		if _, err := outbox.NewRelay(cfg); err == nil {
			t.Errorf("%s: NewRelay takes it", name)
		}
	}
}
