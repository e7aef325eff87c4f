package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// outbox is a service's outbox: one table or several in its database, each with
// a forwarder that reads it. Which table a message goes to depends on its order
// alone, so messages of one order stay in order.
type outbox struct {
	cfg    config
	topics []string // names of the tables' topics
}

func newOutbox(cfg config) outbox {
	o := outbox{cfg: cfg}
	for i := range cfg.forwarders {
		o.topics = append(o.topics, fmt.Sprintf("outbox_%d", i))
	}
	return o
}

func (o outbox) topicOf(orderID string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderID))
	return o.topics[h.Sum32()%uint32(len(o.topics))]
}

// publish writes the event to the outbox in the caller's transaction. A
// publisher belongs to one transaction, as watermill-sql has it.
func (o outbox) publish(ctx context.Context, tx pgx.Tx, name string, e event) error {
	sqlPublisher, err := sql.NewPublisher(sql.TxFromPgx(tx), sql.PublisherConfig{SchemaAdapter: o.schema()}, logger{})
	if err != nil {
		return fmt.Errorf("make the outbox's publisher: %w", err)
	}
	publisher := forwarder.NewPublisher(sqlPublisher, forwarder.PublisherConfig{ForwarderTopic: o.topicOf(e.OrderID)})
	msg, err := e.message()
	if err != nil {
		return err
	}
	msg.SetContext(ctx)
	if err := publisher.Publish(o.cfg.prefix+name, msg); err != nil {
		return fmt.Errorf("write %s of order %s to the outbox: %w", name, e.OrderID, err)
	}
	return nil
}

func (o outbox) schema() sql.SchemaAdapter {
	bytea := func(string) string { return "BYTEA" }
	if o.cfg.schema == "default" {
		return sql.DefaultPostgreSQLSchema{GeneratePayloadType: bytea, SubscribeBatchSize: o.cfg.batch}
	}
	return sql.PostgreSQLQueueSchema{GeneratePayloadType: bytea, SubscribeBatchSize: o.cfg.batch}
}

func (o outbox) offsets() sql.OffsetsAdapter {
	if o.cfg.schema == "default" {
		return sql.DefaultPostgreSQLOffsetsAdapter{}
	}
	return sql.PostgreSQLQueueOffsetsAdapter{DeleteOnAck: true}
}

// forwarders makes the tables and what empties them into Kafka.
func (o outbox) forwarders(pool *pgxpool.Pool, to *kafka.Publisher) ([]*forwarder.Forwarder, error) {
	var all []*forwarder.Forwarder
	for _, topic := range o.topics {
		subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(pool), sql.SubscriberConfig{
			SchemaAdapter:  o.schema(),
			OffsetsAdapter: o.offsets(),
			PollInterval:   o.cfg.poll,
			ResendInterval: 100 * time.Millisecond,
		}, logger{})
		if err != nil {
			return nil, fmt.Errorf("make the outbox's subscriber: %w", err)
		}
		if err := subscriber.SubscribeInitialize(topic); err != nil {
			return nil, fmt.Errorf("make the outbox's tables: %w", err)
		}
		f, err := forwarder.NewForwarder(subscriber, to, logger{}, forwarder.Config{
			ForwarderTopic: topic,
			Middlewares:    middlewares(),
			CloseTimeout:   closeTimeout,
		})
		if err != nil {
			return nil, fmt.Errorf("make the forwarder: %w", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// waiting counts the messages no forwarder has sent yet.
func (o outbox) waiting(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var sum int64
	for _, topic := range o.topics {
		query := fmt.Sprintf(`SELECT count(*) FROM "watermill_%s"`, topic)
		if o.cfg.schema == "default" {
			query = fmt.Sprintf(`SELECT count(*) FROM "watermill_%[1]s" m, "watermill_offsets_%[1]s" o
				WHERE (m.transaction_id, m."offset") > (o.last_processed_transaction_id, o.offset_acked)`, topic)
		}
		var n int64
		if err := pool.QueryRow(ctx, query).Scan(&n); err != nil {
			return 0, fmt.Errorf("count the messages of %s: %w", topic, err)
		}
		sum += n
	}
	return sum, nil
}
