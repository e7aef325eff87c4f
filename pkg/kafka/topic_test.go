package kafka_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// config is a development's configuration on the test's own part of the shared broker.
func config(t *testing.T) kafka.Config {
	t.Helper()
	return kafka.Config{
		Brokers: testkit.Brokers(t), Prefix: testkit.TopicPrefix(t), Partitions: 3, Durability: "single",
	}
}

// client is one that reaches the brokers of c.
func client(t *testing.T, c kafka.Config) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(c.Opts("test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// soon bounds what has to answer, even on a busy machine.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// made creates a topic with a number of partitions and copies (-1: the broker's default).
func made(t *testing.T, c kafka.Config, partitions int32, copies int16, configs map[string]*string, name string) {
	t.Helper()
	admin := kadm.NewClient(client(t, c))
	// Of a name that was just deleted a broker may say for a while that it exists.
	testkit.Eventually(t, 20*time.Second, func() error {
		_, err := admin.CreateTopic(t.Context(), partitions, copies, configs, c.Topic(name))
		return err
	})
}

// A service that starts first makes its own topic and waits for those of the others.
func TestReadyWaitsForTopicsThatComeLater(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Create = true
	cl := client(t, c)
	type answer struct {
		ids map[string]kafka.TopicID
		err error
	}
	answered := make(chan answer, 1)
	ctx := soon(t)
	go func() {
		ids, err := kafka.Ready(ctx, cl, c, []string{"stock.v1"}, []string{"order.v1", "stock.v1"})
		answered <- answer{ids, err}
	}()
	own, admin := c.Topic("stock.v1"), kadm.NewClient(client(t, c))
	testkit.Eventually(t, 20*time.Second, func() error {
		topics, err := admin.ListTopics(t.Context(), own)
		if err == nil {
			err = topics[own].Err
		}
		return err
	})
	if topics, err := admin.ListTopics(t.Context(), c.Topic("order.v1")); err != nil || topics.Has(c.Topic("order.v1")) {
		t.Errorf("another service's topic was made: %v", err)
	}
	select {
	case a := <-answered:
		t.Fatalf("answered while a topic is missing: %v, %v", a.ids, a.err)
	default:
	}
	made(t, c, 3, -1, nil, "order.v1")
	a := <-answered
	if a.err != nil {
		t.Fatal(a.err)
	}
	if names := slices.Sorted(maps.Keys(a.ids)); !slices.Equal(names, []string{c.Topic("order.v1"), own}) {
		t.Errorf("ids of %v", names)
	}
	if a.ids[own] == a.ids[c.Topic("order.v1")] || a.ids[own] == (kafka.TopicID{}) {
		t.Errorf("ids tell nothing apart: %v", a.ids)
	}
}

// Replicas of a service start at once, and all of them make its topic.
func TestReadyOfManyAtOnce(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Create, c.Partitions = true, 0
	ids := make([]map[string]kafka.TopicID, 4)
	g, ctx := errgroup.WithContext(soon(t))
	for i := range ids {
		cl := client(t, c)
		g.Go(func() (err error) {
			ids[i], err = kafka.Ready(ctx, cl, c, []string{"coupon.v1"}, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, other := range ids[1:] {
		if !maps.Equal(ids[0], other) || len(other) != 1 {
			t.Errorf("one sees %v, another %v", ids[0], other)
		}
	}
	topics, err := kadm.NewClient(client(t, c)).ListTopics(t.Context(), c.Topic("coupon.v1"))
	if err != nil || len(topics[c.Topic("coupon.v1")].Partitions) != kafka.Partitions {
		t.Errorf("%d partitions, want %d: %v", len(topics[c.Topic("coupon.v1")].Partitions), kafka.Partitions, err)
	}
}

// In production nothing is made, and whoever stops waiting is told for what.
func TestReadyCreatesNothingUnasked(t *testing.T) {
	t.Parallel()
	c := config(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := kafka.Ready(ctx, client(t, c), c, []string{"stock.v1"}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "wait for topics: ") {
		t.Errorf("gave up with %v", err)
	}
	topics, err := kadm.NewClient(client(t, c)).ListTopics(t.Context(), c.Topic("stock.v1"))
	if err != nil || topics.Has(c.Topic("stock.v1")) {
		t.Errorf("the topic was made all the same: %v", err)
	}
}

// Brokers that are not there yet are waited for, too.
func TestReadyWithoutBrokers(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	c := kafka.Config{Brokers: []string{nobody}, Durability: "single"}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := kafka.Ready(ctx, client(t, c), c, nil, []string{"stock.v1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("gave up with %v", err)
	}
}

func TestReadyRefusesAnotherPartitionCount(t *testing.T) {
	t.Parallel()
	c := config(t)
	made(t, c, 2, -1, nil, "order.v1")
	for _, create := range []bool{false, true} {
		c.Create = create
		_, err := kafka.Ready(soon(t), client(t, c), c, []string{"order.v1"}, nil)
		want := "topic " + c.Topic("order.v1") + " has 2 partitions, 3 are configured: a key would change its partition"
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "KAFKA_PARTITIONS") {
			t.Errorf("create %t: %v, want %q", create, err, want)
		}
	}
}

// Partitions that somebody added stop a start until somebody else says that they may be there; too few always do.
func TestReadyTakesAddedPartitionsWhenTold(t *testing.T) {
	t.Parallel()
	c := config(t)
	made(t, c, 5, -1, nil, "order.v1")
	made(t, c, 2, -1, nil, "stock.v1")
	_, err := kafka.Ready(soon(t), client(t, c), c, nil, []string{"order.v1"})
	if err == nil || !strings.Contains(err.Error(), "has 5 partitions, 3 are configured") {
		t.Errorf("not told: %v", err)
	}
	c.IgnoreAdded = true
	if ids, err := kafka.Ready(soon(t), client(t, c), c, nil, []string{"order.v1"}); err != nil || len(ids) != 1 {
		t.Errorf("told: %v, %v", ids, err)
	}
	_, err = kafka.Ready(soon(t), client(t, c), c, nil, []string{"stock.v1"})
	if err == nil || !strings.Contains(err.Error(), "has 2 partitions, 3 are configured") {
		t.Errorf("too few: %v", err)
	}
}

// What the brokers refuse is not waited for.
func TestReadySaysWhyATopicCannotBeMade(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Create, c.Replication = true, 7
	_, err := kafka.Ready(soon(t), client(t, c), c, []string{"order.v1"}, nil)
	if !errors.Is(err, kerr.InvalidReplicationFactor) || !strings.HasPrefix(err.Error(), "create topic "+c.Topic("order.v1")) {
		t.Errorf("refused with %v", err)
	}
}

// One copy is no durability, whatever min.insync.replicas promises; only development may say it is enough.
func TestReadyRefusesOneCopy(t *testing.T) {
	t.Parallel()
	c := config(t)
	made(t, c, 3, 1, map[string]*string{"min.insync.replicas": new("2")}, "order.v1")
	for _, durability := range []string{"", "replicated", "Single"} {
		c.Durability = durability
		_, err := kafka.Ready(soon(t), client(t, c), c, nil, []string{"order.v1"})
		want := "topic " + c.Topic("order.v1") + " partition 0 has 1 replicas and min.insync.replicas 2; 3 and 2 are needed, or DURABILITY=single"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("DURABILITY=%q: %v, want %q", durability, err, want)
		}
	}
	c.Durability = "single"
	if _, err := kafka.Ready(soon(t), client(t, c), c, nil, []string{"order.v1"}); err != nil {
		t.Error(err)
	}
}

// Three nodes, which only the embedded broker has here. min.insync.replicas is a number that comes as
// text: "10" is more than "2".
func TestReadyMeasuresDurability(t *testing.T) {
	t.Parallel()
	b, err := embed.StartBroker(t.Context(), embed.BrokerConfig{Options: []kfake.Opt{kfake.NumBrokers(3)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	c := kafka.Config{Brokers: b.Addrs(), Partitions: 2}
	made(t, c, 2, 3, map[string]*string{"min.insync.replicas": new("2")}, "good.v1")
	for _, topic := range []struct {
		name   string
		copies int16
		minISR string
		want   string
	}{
		{"default.v1", 3, "", "has 3 replicas and min.insync.replicas 1;"},
		{"one.v1", 3, "1", "has 3 replicas and min.insync.replicas 1;"},
		{"two.v1", 3, "2", ""},
		{"three.v1", 3, "3", ""},
		{"ten.v1", 3, "10", ""},
		{"copies.v1", 2, "10", "has 2 replicas and min.insync.replicas 10;"},
	} {
		var configs map[string]*string
		if topic.minISR != "" {
			configs = map[string]*string{"min.insync.replicas": new(topic.minISR)}
		}
		made(t, c, 2, topic.copies, configs, topic.name)
		_, err := kafka.Ready(soon(t), client(t, c), c, []string{"good.v1"}, []string{topic.name})
		switch {
		case topic.want == "" && err != nil:
			t.Errorf("%s: %v", topic.name, err)
		case topic.want != "" && (err == nil || !strings.Contains(err.Error(), "topic "+topic.name+" partition 0 "+topic.want)):
			t.Errorf("%s: %v, want %q", topic.name, err, topic.want)
		}
	}
}

// A topic that is deleted and made again begins at offset 0 under the same name: only its id tells that
// the offsets kept for the old one mean nothing.
func TestRecreatedTopicHasAnotherID(t *testing.T) {
	t.Parallel()
	c := config(t)
	name, admin := c.Topic("order.v1"), kadm.NewClient(client(t, c))
	seen := map[kafka.TopicID]bool{}
	for range 3 {
		made(t, c, 3, -1, nil, "order.v1")
		for range 2 { // asked twice, it is the same
			ids, err := kafka.Ready(soon(t), client(t, c), c, nil, []string{"order.v1"})
			if err != nil {
				t.Fatal(err)
			}
			seen[ids[name]] = true
		}
		if _, err := admin.DeleteTopic(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 3 || seen[kafka.TopicID{}] {
		t.Errorf("three lives of a topic had the ids %v", seen)
	}
}

// The topic of a state is made compacted, and elsewhere than in development one that is not is refused.
func TestReadyOfACompactedTopic(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Create, c.Compacted = true, []string{"member.v1"}
	if _, err := kafka.Ready(soon(t), client(t, c), c, []string{"member.v1", "order.v1"}, nil); err != nil {
		t.Fatal(err)
	}
	configs, err := kadm.NewClient(client(t, c)).DescribeTopicConfigs(t.Context(), c.Topic("member.v1"), c.Topic("order.v1"))
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]string{}
	for _, rc := range configs {
		for _, kv := range rc.Configs {
			if kv.Key == "cleanup.policy" {
				policies[strings.TrimPrefix(rc.Name, c.Prefix)] = kv.MaybeValue()
			}
		}
	}
	if policies["member.v1"] != "compact" || policies["order.v1"] == "compact" {
		t.Errorf("made with %v", policies)
	}
	c.Durability, c.Compacted = "replicated", []string{"order.v1"}
	_, err = kafka.Ready(soon(t), client(t, c), c, []string{"order.v1"}, nil)
	if want := "topic " + c.Topic("order.v1") + " has cleanup.policy delete; compact is needed"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
