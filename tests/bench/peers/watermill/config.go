package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// partitions of every topic, as many as the product's topics have.
const partitions = 12

type config struct {
	database string // URL of a superuser's database; its server gets the shop's databases
	brokers  string // host:port, with commas between several
	prefix   string // of every database and topic
	orders   int    // measured
	seed     int64  // of the choice of members and products

	warmup     int           // orders before the measured ones
	placers    int           // orders being placed at once
	inflight   int           // orders placed and not yet completed
	forwarders int           // outbox tables per service, each with its forwarder
	batch      int           // outbox messages one SELECT reads
	poll       time.Duration // wait after an empty SELECT
	schema     string        // of the outbox: queue or default
	fetchMin   int           // bytes a fetch waits for
	fetchWait  time.Duration // how long it waits for them
	openSends  int           // produce requests of a service on their way at once
	profile    string        // file for a CPU profile of the measured orders
}

func parse(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("watermill", flag.ContinueOnError)
	flags.StringVar(&c.database, "database", "", "URL of a superuser's database")
	flags.StringVar(&c.brokers, "brokers", "", "host:port of the Kafka brokers, with commas between several")
	flags.StringVar(&c.prefix, "prefix", "", "what the names of databases and topics begin with")
	flags.IntVar(&c.orders, "orders", 20_000, "orders to measure")
	flags.Int64Var(&c.seed, "seed", 1, "seed of the choice of members and products")
	flags.IntVar(&c.warmup, "warmup", 2000, "orders before the measured ones")
	flags.IntVar(&c.placers, "placers", 16, "orders being placed at once")
	flags.IntVar(&c.inflight, "inflight", 1500, "orders placed and not yet completed, at most")
	flags.IntVar(&c.forwarders, "forwarders", 1, "outbox tables per service, each with its own forwarder")
	flags.IntVar(&c.batch, "batch", 1000, "outbox messages one SELECT reads")
	flags.DurationVar(&c.poll, "poll", 50*time.Millisecond, "wait after an empty SELECT of the outbox")
	flags.StringVar(&c.schema, "schema", "queue", "the outbox: queue (deleted on ack) or default (offsets)")
	flags.IntVar(&c.fetchMin, "fetch-min", 16<<10, "bytes a fetch of Kafka waits for")
	flags.DurationVar(&c.fetchWait, "fetch-wait", 50*time.Millisecond, "how long a fetch waits for them")
	flags.IntVar(&c.openSends, "open-sends", 5, "produce requests of a service on their way at once; fewer gather more messages each")
	flags.StringVar(&c.profile, "profile", "", "file for a CPU profile of the measured orders")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	return c, c.validate()
}

func (c config) validate() error {
	switch {
	case c.database == "" || c.brokers == "" || c.prefix == "":
		return errors.New("-database, -brokers and -prefix are needed")
	case c.orders < 1 || c.warmup < 1:
		return errors.New("-orders and -warmup are at least 1")
	case c.placers < 1 || c.inflight < 1 || c.forwarders < 1 || c.batch < 1 || c.poll <= 0:
		return errors.New("-placers, -inflight, -forwarders, -batch and -poll are above 0")
	case c.schema != "queue" && c.schema != "default":
		return fmt.Errorf("-schema %q is neither queue nor default", c.schema)
	}
	return nil
}

func (c config) brokerList() []string { return strings.Split(c.brokers, ",") }

// settings says what was set and why, for whoever reads the report without the
// program beside it.
func (c config) settings() map[string]string {
	n := strconv.Itoa
	return map[string]string{
		"versions":           versions(),
		"partitions":         n(partitions) + ": as the product's topics; the router runs one handler per partition at once",
		"inflight":           n(c.inflight) + ": orders placed and not completed; more gave no more throughput",
		"placers":            n(c.placers) + ": orders placed at once, each its own transaction, straight into the service (no HTTP, no command topic)",
		"forwarders":         n(c.forwarders) + " per service: a forwarder sends one message at a time and waits for its acknowledgement",
		"outbox_schema":      c.schema + ": the queue schema deletes on ack and does not wait for the oldest transaction of the server",
		"outbox_batch":       n(c.batch) + ": messages per SELECT",
		"outbox_poll":        c.poll.String() + ": the default of 1s would be the latency of each step",
		"outbox_payload":     "BYTEA: no JSON to check on the way in",
		"driver":             "pgx pool, watermill-sql's own adapter; a handler's business rows in one statement",
		"kafka_producer":     "acks=all, one per service, shared by its forwarders; sent at once (a linger would only delay the one message that each waits for)",
		"kafka_consumer":     fmt.Sprintf("fetch min %d bytes, wait %s; offsets committed every second; starts at the oldest", c.fetchMin, c.fetchWait),
		"synchronous_commit": "as the server has it (on)",
		"middleware":         "Recoverer and Retry",
		"inbox":              "none: UNIQUE (order_id) and ON CONFLICT DO NOTHING drop a redelivery",
	}
}
