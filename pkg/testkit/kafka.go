package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/embed"
)

var (
	sharedBrokers = sync.OnceValues(startBrokers)
	// brokersAsked says that sharedBrokers was called: a test's cleanup must
	// not be what starts the broker.
	brokersAsked atomic.Bool
)

// startBrokers: KAFKA_BROKERS names brokers to use; QUADRILLE_TEST_KAFKA=apache
// asks for an Apache Kafka of this process's own; else it is the embedded one.
func startBrokers() ([]string, error) {
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		return strings.Split(given, ","), nil
	}
	switch kind := os.Getenv("QUADRILLE_TEST_KAFKA"); kind {
	case "apache":
		return startApache()
	case "", "embedded":
		return startEmbedded()
	default:
		return nil, fmt.Errorf("QUADRILLE_TEST_KAFKA=%s is unknown: apache or embedded", kind)
	}
}

func startEmbedded() ([]string, error) {
	ctx, cancel := startContext()
	defer cancel()
	b, err := embed.StartBroker(ctx, embed.BrokerConfig{Options: []kfake.Opt{quickGroups()}})
	if err != nil {
		return nil, err
	}
	proc.atEnd(b.Stop)
	return b.Addrs(), nil
}

func startApache() ([]string, error) {
	dir, err := proc.folder("kafka")
	if err != nil {
		return nil, err
	}
	ctx, cancel := startContext()
	defer cancel()
	k, err := embed.StartKafka(ctx, embed.KafkaConfig{DataDir: dir, Progress: progress})
	if err != nil {
		return nil, err
	}
	proc.atEnd(k.Stop)
	return k.Addrs(), nil
}

// quickGroups lets a test's consumer group expire its members quickly.
func quickGroups() kfake.Opt { return kfake.GroupMinSessionTimeout(100 * time.Millisecond) }

// Brokers returns the bootstrap addresses of the broker that the tests of this
// process share: use TopicPrefix for topics and groups.
func Brokers(t testing.TB) []string {
	t.Helper()
	brokersAsked.Store(true)
	addrs, err := sharedBrokers()
	if err != nil {
		t.Fatalf("start test broker: %v", err)
	}
	return addrs
}

// PrivateBroker starts an embedded broker for one test, to break at will.
func PrivateBroker(t testing.TB) *embed.Broker {
	t.Helper()
	b, err := embed.StartBroker(t.Context(), embed.BrokerConfig{Options: []kfake.Opt{quickGroups()}})
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
	return b
}

// TopicPrefix returns a prefix for the topics and groups of one test, unique
// across runs and processes. Topics under it are deleted when the test ends.
func TopicPrefix(t testing.TB) string {
	t.Helper()
	prefix := "t" + strings.ToLower(rand.Text()[:10]) + "-"
	t.Cleanup(func() {
		if !brokersAsked.Load() {
			return
		}
		addrs, err := sharedBrokers()
		if err != nil {
			return // Brokers has failed the test that asked
		}
		if err := deleteTopics(addrs, prefix); err != nil {
			t.Errorf("delete the test's topics: %v", err)
		}
	})
	return prefix
}

func deleteTopics(addrs []string, prefix string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var ours []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, prefix) {
			ours = append(ours, name)
		}
	}
	if len(ours) == 0 {
		return nil
	}
	deleted, err := admin.DeleteTopics(ctx, ours...)
	if err != nil {
		return err
	}
	for _, d := range deleted.Sorted() {
		// Listed while a deletion of the test's own was under way: it is gone, and that is what was wanted.
		if d.Err != nil && !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", d.Topic, d.Err)
		}
	}
	return nil
}
