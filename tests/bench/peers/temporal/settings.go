package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// settings are the flags. README.md says why each default is what it is.
type settings struct {
	database string
	prefix   string
	orders   int
	seed     uint64

	local    bool
	declined int
	products int
	warmup   int
	inflight int

	shards          int
	shardIO         int
	partitions      int
	workflowPollers int
	activityPollers int
	connections     int
	shopConnections int
	gcPercent       int
	dynamic         pairs
	cpuProfile      string
	logLevel        string
}

func parse(args []string) (settings, error) {
	s := settings{dynamic: pairs{}}
	f := flag.NewFlagSet("temporal", flag.ContinueOnError)
	f.StringVar(&s.database, "database", "", "URL of a database, signed in as the superuser")
	_ = f.String("brokers", "", "accepted and not used: Temporal needs no Kafka")
	f.StringVar(&s.prefix, "prefix", "temporal", "what the names of the databases begin with")
	f.IntVar(&s.orders, "orders", 300, "orders that are measured")
	f.Uint64Var(&s.seed, "seed", 1, "decides which product an order is for")
	f.BoolVar(&s.local, "local", false, "steps are local activities")
	f.IntVar(&s.declined, "declined", 0, "of 100 orders, how many have a card that is declined")
	f.IntVar(&s.products, "products", 1000, "products in stock")
	f.IntVar(&s.warmup, "warmup", 100, "orders before the measured ones")
	f.IntVar(&s.inflight, "inflight", 150, "orders in flight at once")
	f.IntVar(&s.shards, "shards", 16, "numHistoryShards")
	f.IntVar(&s.shardIO, "shard-io", 1, "persistence operations of one shard at once")
	f.IntVar(&s.partitions, "partitions", 1, "partitions of the task queue")
	f.IntVar(&s.workflowPollers, "workflow-pollers", 16, "pollers for workflow tasks; 0 scales with the load")
	f.IntVar(&s.activityPollers, "activity-pollers", 8, "pollers for activity tasks; 0 scales with the load")
	f.IntVar(&s.connections, "connections", 40, "most connections of each Temporal service to each store")
	f.IntVar(&s.shopConnections, "shop-connections", 32, "most connections to the shop's database")
	f.IntVar(&s.gcPercent, "gc", 400, "GOGC of the process")
	f.Var(s.dynamic, "dynamic", "key=value of Temporal's dynamic configuration, for trials; may be repeated")
	f.StringVar(&s.cpuProfile, "cpuprofile", "", "file for a CPU profile of the measured part")
	f.StringVar(&s.logLevel, "log", "fatal", "least level of the Temporal server's log that is shown: debug, info, warn, error, fatal")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.prefix = databaseName(s.prefix)
	return s, s.validate()
}

func (s settings) validate() error {
	switch {
	case s.database == "":
		return errors.New("-database is missing")
	case s.orders < 1 || s.inflight < 1 || s.products < 1 || s.shards < 1 || s.partitions < 1:
		return errors.New("-orders, -inflight, -products, -shards and -partitions begin at 1")
	case s.warmup < 0:
		return fmt.Errorf("-warmup %d is below 0", s.warmup)
	case s.declined < 0 || s.declined > 100:
		return fmt.Errorf("-declined %d is not of 100", s.declined)
	}
	return nil
}

// describe is what the report says about how Temporal was set up.
func (s settings) describe() map[string]string {
	activities := "regular"
	if s.local {
		activities = "local"
	}
	described := map[string]string{
		"server":                   "go.temporal.io/server " + moduleVersion("go.temporal.io/server"),
		"sdk":                      "go.temporal.io/sdk " + moduleVersion("go.temporal.io/sdk"),
		"persistence":              "postgres12_pgx, visibility on PostgreSQL too",
		"services":                 "frontend, history, matching, worker and the SDK's worker in one process",
		"activities":               activities,
		"eager_start":              "workflows and activities",
		"in_flight":                strconv.Itoa(s.inflight),
		"history_shards":           strconv.Itoa(s.shards),
		"shard_io_concurrency":     strconv.Itoa(s.shardIO),
		"task_queue_partitions":    strconv.Itoa(s.partitions),
		"workflow_pollers":         strconv.Itoa(s.workflowPollers),
		"activity_pollers":         strconv.Itoa(s.activityPollers),
		"sticky_cache":             strconv.Itoa(stickyCache),
		"store_connections":        strconv.Itoa(s.connections) + " of each service",
		"shop_connections":         strconv.Itoa(s.shopConnections),
		"rate_limits":              "lifted to " + strconv.Itoa(noLimit) + "/s",
		"retention":                retention.String(),
		"archival":                 "disabled",
		"metrics":                  "none",
		"gogc":                     strconv.Itoa(s.gcPercent),
		"products":                 strconv.Itoa(s.products),
		"declined_of_100":          strconv.Itoa(s.declined),
		"transactions_of_the_shop": "one a step",
		"latency_is":               "start of the workflow until the order's last row is committed",
	}
	for key, value := range s.dynamic {
		described["dynamic "+key] = value
	}
	return described
}

// databaseName turns a prefix into one that is a database's name without quotes.
func databaseName(prefix string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, prefix)
}

// pairs is a flag that is given as key=value, once for each key.
type pairs map[string]string

func (p pairs) String() string { return "" }

// Set adds one pair.
func (p pairs) Set(pair string) error {
	key, value, found := strings.Cut(pair, "=")
	if !found {
		return fmt.Errorf("%q is not key=value", pair)
	}
	p[key] = value
	return nil
}

// name is the contender's name in the report.
func (s settings) name() string {
	if s.local {
		return "temporal-local"
	}
	return "temporal"
}
