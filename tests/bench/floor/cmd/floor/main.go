// Command floor writes the rows and records of completed orders without any logic, as fast as it can; see
// package floor. One line of JSON on the standard output says how fast that was.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/quadrille-io/quadrille/tests/bench/floor"
)

const gcPercent = 400

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg floor.Config
	flag.StringVar(&cfg.Database, "database", "", "URL of a superuser's database; others are made beside it")
	brokers := flag.String("brokers", "", "host:port of the brokers, separated by commas")
	flag.StringVar(&cfg.Prefix, "prefix", "floor-", "begins the names of databases and topics")
	flag.IntVar(&cfg.Orders, "orders", 20_000, "how many orders to write")
	flag.IntVar(&cfg.Warmup, "warmup", 2_000, "how many to write before those, unmeasured")
	flag.Uint64Var(&cfg.Seed, "seed", 1, "of all that is random")
	flag.IntVar(&cfg.Batch, "batch", floor.DefaultBatch, "orders of one transaction")
	flag.IntVar(&cfg.Products, "products", 1_000, "products the orders are spread over")
	flag.IntVar(&cfg.Members, "members", 1_000, "members the orders are spread over")
	partitions := flag.Int("partitions", 12, "partitions of every topic")
	flag.IntVar(&cfg.GatewayTouches, "gateway-touches", floor.DefaultGatewayTouches, "transactions the gateway files an order's five events in")
	flag.IntVar(&cfg.OrderTouches, "order-touches", floor.DefaultOrderTouches, "transactions order takes the three answers to an order in")
	flag.BoolVar(&cfg.Traced, "traced", true, "orders carry a traceparent, as those do that come through the API")
	flag.Parse()
	cfg.Partitions = int32(*partitions)
	if *brokers != "" {
		cfg.Brokers = strings.Split(*brokers, ",")
	}
	cfg.Progress = func(done, total int) { fmt.Fprintf(os.Stderr, "%d/%d\n", done, total) }
	// Less of its own work beside what is measured: the heap is small, and made up anew with every batch.
	debug.SetGCPercent(gcPercent)
	result, err := floor.Run(ctx, cfg)
	if err != nil {
		return err
	}
	result.Settings["gogc"] = strconv.Itoa(gcPercent)
	return json.NewEncoder(os.Stdout).Encode(result)
}
