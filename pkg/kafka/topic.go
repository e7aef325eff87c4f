package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitions is how many partitions a topic has unless configured. It is never changed once a topic
// exists: a key would move to another partition, and its order with it. More throughput than they give
// takes new topics: let what is under way end, and start with another Prefix and number.
const Partitions = 12

// Config says how the brokers are reached.
type Config struct {
	Brokers []string
	// Prefix stands before every topic and group name, so that several installations share a cluster.
	Prefix string
	// Partitions of every topic, as they were created; 0 means Partitions.
	Partitions int32
	// IgnoreAdded takes topics with more. Keys stay on the first ones (see package outbox), so this loses
	// nothing; it is for going on after somebody has added some, as Kafka cannot take them back.
	IgnoreAdded bool
	// Replication of topics this program creates; 0 means the broker's default.
	Replication int16
	// Create lets a service create its own topic where it is missing: for development. In production
	// the topics are made from deploy/topics.yaml.
	Create bool
	// Compacted are those of a service's own topics, without Prefix, that keep the last event of each key, and none where
	// that is null. Unless Durability is "single", others are refused: they would forget, or never forget.
	Compacted []string
	// Durability is "single" where one broker is enough (development); anything else requires
	// replication 3 and min.insync.replicas 2 of every topic at start.
	Durability string
	// Options are added to every client: TLS, SASL, hooks.
	Options []kgo.Opt
}

// Opts are the options every client of a service begins with. The brokers may be asked for metadata
// four times a second, not every 5 s: a service that starts beside the one that makes its topics waits
// no longer than it must.
func (c Config) Opts(clientID string) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID(clientID), kgo.MetadataMinAge(250 * time.Millisecond)}
	return append(opts, c.Options...)
}

// Topic is the full name of a topic.
func (c Config) Topic(name string) string { return c.Prefix + name }

func (c Config) partitions() int32 {
	if c.Partitions == 0 {
		return Partitions
	}
	return c.Partitions
}

// TopicID identifies one life of a topic: a topic that was deleted and made again has another.
type TopicID = [16]byte

// Ready waits until every topic exists with the configured number of partitions and returns their
// ids by full name. Topics named in own are created if Create says so. A wrong number of partitions
// and, unless Durability is "single", too few copies are errors: waiting would not mend them.
func Ready(ctx context.Context, client *kgo.Client, c Config, own, topics []string) (map[string]TopicID, error) {
	admin := kadm.NewClient(client)
	if c.Create {
		if err := create(ctx, admin, c, own); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(topics))
	for _, t := range topics {
		names = append(names, c.Topic(t))
	}
	for _, t := range own {
		names = append(names, c.Topic(t))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for {
		ids, err := lookup(ctx, admin, c, names)
		if err == nil || !errors.Is(err, errNotThere) {
			return ids, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for topics: %w", errors.Join(ctx.Err(), err))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

var errNotThere = errors.New("a topic is not there yet")

func create(ctx context.Context, admin *kadm.Client, c Config, own []string) error {
	replication := c.Replication
	if replication == 0 {
		replication = -1
	}
	for _, t := range own {
		var configs map[string]*string
		if slices.Contains(c.Compacted, t) {
			configs = map[string]*string{"cleanup.policy": new("compact")}
		}
		_, err := admin.CreateTopic(ctx, c.partitions(), replication, configs, c.Topic(t))
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", c.Topic(t), err)
		}
	}
	return nil
}

func lookup(ctx context.Context, admin *kadm.Client, c Config, names []string) (map[string]TopicID, error) {
	details, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("%w: list topics: %w", errNotThere, err)
	}
	ids := map[string]TopicID{}
	for _, name := range names {
		d, ok := details[name]
		switch {
		case !ok || kerr.IsRetriable(d.Err) || d.Err == nil && len(d.Partitions) == 0:
			// UNKNOWN_TOPIC_OR_PARTITION is retriable, and so is a leader that is being elected.
			return nil, fmt.Errorf("%w: %s", errNotThere, name)
		case d.Err != nil:
			return nil, fmt.Errorf("look up topic %s: %w", name, d.Err)
		case c.IgnoreAdded && int32(len(d.Partitions)) > c.partitions():
			// Keys stay on the first of them, and whoever reads reads all.
		case int32(len(d.Partitions)) != c.partitions():
			return nil, fmt.Errorf("topic %s has %d partitions, %d are configured: a key would change its partition and lose its order; configure KAFKA_PARTITIONS as it was created (with KAFKA_IGNORE_ADDED_PARTITIONS=true where some were added since), or move to new topics",
				name, len(d.Partitions), c.partitions())
		}
		ids[name] = TopicID(d.ID)
	}
	if c.Durability != "single" {
		return ids, durable(ctx, admin, c, details, names)
	}
	return ids, nil
}

// durable refuses topics on which an acknowledged event could be lost with one machine: acks=all is
// only as good as the number of copies it waits for.
func durable(ctx context.Context, admin *kadm.Client, c Config, details kadm.TopicDetails, names []string) error {
	configs, err := admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return fmt.Errorf("describe topics: %w", err)
	}
	for _, rc := range configs {
		if rc.Err != nil {
			return fmt.Errorf("describe topic %s: %w", rc.Name, rc.Err)
		}
		minISR, cleanup := 1, "delete"
		for _, kv := range rc.Configs {
			switch kv.Key {
			case "min.insync.replicas":
				if minISR, err = strconv.Atoi(kv.MaybeValue()); err != nil {
					return fmt.Errorf("topic %s: min.insync.replicas: %w", rc.Name, err)
				}
			case "cleanup.policy":
				cleanup = kv.MaybeValue()
			}
		}
		if slices.ContainsFunc(c.Compacted, func(t string) bool { return c.Topic(t) == rc.Name }) && cleanup != "compact" {
			return fmt.Errorf("topic %s has cleanup.policy %s; compact is needed: it keeps the last event of each key, and erases what was erased", rc.Name, cleanup)
		}
		for _, p := range slices.SortedFunc(maps.Values(details[rc.Name].Partitions), byPartition) {
			if len(p.Replicas) < 3 || minISR < 2 {
				return fmt.Errorf("topic %s partition %d has %d replicas and min.insync.replicas %d; 3 and 2 are needed, or DURABILITY=single for development",
					rc.Name, p.Partition, len(p.Replicas), minISR)
			}
		}
	}
	return nil
}

func byPartition(a, b kadm.PartitionDetail) int { return int(a.Partition - b.Partition) }
