package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/rcrowley/go-metrics"
)

// init turns off the counters that sarama keeps for every request and that
// nobody reads here.
func init() { metrics.UseNilMetrics = true }

// createTopics makes every event's topic; one that exists is an error, because
// its records would be taken for this run's.
func createTopics(cfg config) (err error) {
	admin, err := sarama.NewClusterAdmin(cfg.brokerList(), subscriberConfig(cfg))
	if err != nil {
		return fmt.Errorf("reach Kafka: %w", err)
	}
	defer func() { _ = admin.Close() }()
	for _, name := range events() {
		detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}
		if err := admin.CreateTopic(cfg.prefix+name, detail, false); err != nil {
			return fmt.Errorf("create topic %s: %w", cfg.prefix+name, err)
		}
	}
	return nil
}

// topicEnds returns how many records each event's topic has been given.
func topicEnds(cfg config) (map[string]int64, error) {
	client, err := sarama.NewClient(cfg.brokerList(), subscriberConfig(cfg))
	if err != nil {
		return nil, fmt.Errorf("reach Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	ends := map[string]int64{}
	for _, name := range events() {
		for p := range int32(partitions) {
			end, err := client.GetOffset(cfg.prefix+name, p, sarama.OffsetNewest)
			if err != nil {
				return nil, fmt.Errorf("ask for the end of topic %s: %w", cfg.prefix+name, err)
			}
			ends[name] += end
		}
	}
	return ends, nil
}

// marshaler makes the order the partition key.
func marshaler() kafka.MarshalerUnmarshaler {
	return kafka.NewWithPartitioningMarshaler(func(_ string, msg *message.Message) (string, error) {
		return msg.Metadata.Get(keyField), nil
	})
}

func newPublisher(cfg config) (*kafka.Publisher, error) {
	c := kafka.DefaultSaramaSyncPublisherConfig()
	c.Version = sarama.V3_6_0_0 // Kafka 4 no longer speaks the default, 1.0
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = cfg.openSends
	c.Metadata.Retry.Backoff = 250 * time.Millisecond
	publisher, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: cfg.brokerList(), Marshaler: marshaler(), OverwriteSaramaConfig: c,
	}, logger{})
	if err != nil {
		return nil, fmt.Errorf("make the Kafka publisher: %w", err)
	}
	return publisher, nil
}

func subscriberConfig(cfg config) *sarama.Config {
	c := kafka.DefaultSaramaSubscriberConfig()
	c.Version = sarama.V3_6_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Fetch.Min = int32(cfg.fetchMin)
	c.Consumer.MaxWaitTime = cfg.fetchWait
	return c
}

func newSubscriber(cfg config, group string) (*kafka.Subscriber, error) {
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: cfg.brokerList(), Unmarshaler: marshaler(), ConsumerGroup: cfg.prefix + group,
		OverwriteSaramaConfig: subscriberConfig(cfg),
	}, logger{})
	if err != nil {
		return nil, fmt.Errorf("make the Kafka subscriber: %w", err)
	}
	return subscriber, nil
}

// logger keeps Watermill's errors and drops the rest unformatted: a line per
// message would be measured too.
type logger struct{}

func (logger) Info(string, watermill.LogFields)  {}
func (logger) Debug(string, watermill.LogFields) {}
func (logger) Trace(string, watermill.LogFields) {}

func (l logger) With(watermill.LogFields) watermill.LoggerAdapter { return l }

// Error leaves out what every subscriber says when it is told to end.
func (logger) Error(msg string, err error, _ watermill.LogFields) {
	if !errors.Is(err, context.Canceled) {
		slog.Error(msg, "error", err)
	}
}
