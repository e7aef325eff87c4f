package floor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
	gateway "github.com/quadrille-io/quadrille/services/gateway/service"
	mailer "github.com/quadrille-io/quadrille/services/mailer/service"
	orders "github.com/quadrille-io/quadrille/services/order/service"
	payment "github.com/quadrille-io/quadrille/services/payment/service"
	shipping "github.com/quadrille-io/quadrille/services/shipping/service"
	stock "github.com/quadrille-io/quadrille/services/stock/service"
)

// migrations make the tables as the services themselves do.
var migrations = map[string]func(context.Context, string) error{
	"order": orders.Migrate, "stock": stock.Migrate, "payment": payment.Migrate,
	"shipping": shipping.Migrate, "mailer": mailer.Migrate, "gateway": gateway.Migrate,
}

// topics are those of the orders' events.
var topics = []string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}

// Services are those that leave something of an order; each has a database.
func Services() []string { return slices.Sorted(maps.Keys(migrations)) }

// DatabaseName is the name of a service's database.
func DatabaseName(prefix, service string) string { return prefix + service }

// databases makes a database for each service and returns their URLs by service.
func databases(ctx context.Context, cfg Config, services []service) (map[string]string, error) {
	admin, err := pgx.Connect(ctx, cfg.Database)
	if err != nil {
		return nil, fmt.Errorf("connect to make databases: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	urls := map[string]string{}
	for _, s := range services {
		name := DatabaseName(cfg.Prefix, s.name)
		if _, err := admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return nil, fmt.Errorf("make database %s: %w", name, err)
		}
		u, err := url.Parse(cfg.Database)
		if err != nil {
			return nil, errors.New("the database's URL is not one") // the error would show the password
		}
		u.Path = "/" + name
		urls[s.name] = u.String()
	}
	for _, s := range services {
		if err := schema(ctx, cfg, s, urls[s.name]); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", s.name, err)
		}
	}
	return urls, nil
}

// schema makes a service's tables and the rows that are there before the first order.
func schema(ctx context.Context, cfg Config, s service, url string) error {
	if err := migrations[s.name](ctx, url); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, topic := range s.reads {
		// The real fence has the topic's id; here any will do.
		if _, err := conn.Exec(ctx, `INSERT INTO fence (topic_id, partition, topic, next_offset)
			SELECT $1, n, $2, 0 FROM generate_series(0, $3::integer - 1) AS n`, uuid.New(), topic, cfg.Partitions); err != nil {
			return fmt.Errorf("make fences: %w", err)
		}
	}
	// Today's part of the inbox; a run past midnight goes on in the default one.
	if _, err := conn.Exec(ctx, `DO $$ BEGIN
		EXECUTE format('CREATE TABLE inbox_today PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)', current_date, current_date + 1);
		END $$`); err != nil {
		return fmt.Errorf("make the inbox's day: %w", err)
	}
	return seed(ctx, conn, cfg, s.name)
}

// seed lists the goods and gives the members their points.
func seed(ctx context.Context, conn *pgx.Conn, cfg Config, service string) error {
	names := func(n int, name func(int) string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = name(i)
		}
		return list
	}
	var err error
	switch service {
	case "stock":
		_, err = conn.Exec(ctx, `INSERT INTO product (product_id, name, price, currency, quantity, received, on_sale, created_at, updated_at)
			SELECT id, $2, $3, 'KRW', $4, $4, true, now(), now() FROM unnest($1::text[]) AS id`,
			names(cfg.Products, productID), productName, price, pieces)
	case "payment":
		_, err = conn.Exec(ctx, `INSERT INTO points (user_id, balance) SELECT id, $2 FROM unnest($1::text[]) AS id`,
			names(cfg.Members, memberID), int64(points))
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// makeTopics makes the topics, and waits until the brokers know them.
func makeTopics(ctx context.Context, cfg Config) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		return fmt.Errorf("make topics: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, topic := range topics {
		_, err := admin.CreateTopic(ctx, cfg.Partitions, -1, nil, cfg.Prefix+topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", topic, err)
		}
	}
	_, err = kafka.Ready(ctx, client, kafka.Config{
		Brokers: cfg.Brokers, Prefix: cfg.Prefix, Partitions: cfg.Partitions, Durability: "single",
	}, nil, topics)
	return err
}
