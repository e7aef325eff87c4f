// Command temporal takes orders through the five steps of a saga on a real
// Temporal server, and reports how many it did in a second. It is a reference
// for the benchmark of this repository; README.md says how Temporal is set up,
// and why so.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// longest is how long a run may take. stopping is how long it may take to end
// after it was asked to.
const (
	longest  = 20 * time.Minute
	stopping = 10 * time.Second
)

func main() {
	s, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	// Parts of the server's start and stop take no context. What it listens
	// on and is connected to ends with the process.
	context.AfterFunc(ctx, func() {
		time.AfterFunc(stopping, func() {
			fmt.Fprintln(os.Stderr, "temporal: did not stop in time, ends now")
			os.Exit(1)
		})
	})
	ctx, cancel = context.WithTimeout(ctx, longest)
	defer cancel()
	if err := run(ctx, s, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "temporal:", err)
		os.Exit(1)
	}
}

// report is the line on stdout. Times of a latency are in milliseconds.
type report struct {
	Name         string             `json:"name"`
	Orders       int                `json:"orders"`
	Seconds      float64            `json:"seconds"`
	PerSecond    float64            `json:"per_second"`
	WarmupOrders int                `json:"warmup_orders"`
	Settings     map[string]string  `json:"settings"`
	Latency      map[string]float64 `json:"latency_ms"`
	Checks       checks             `json:"checks"`
}

// run makes the databases, starts server and worker, takes the orders through
// and writes the report. What it started has ended when it returns; the
// databases stay, to be measured.
func run(ctx context.Context, s settings, out, progress io.Writer) error {
	debug.SetGCPercent(s.gcPercent)
	say := newTeller(progress)
	logger := serverLogger(s.logLevel)
	d, err := createDatabases(ctx, s)
	if err != nil {
		return err
	}
	if err := d.setUpTemporal(logger); err != nil {
		return err
	}
	say("schema set up")
	shop, err := d.openShop(ctx, s)
	if err != nil {
		return err
	}
	defer shop.Close()
	started, err := startServer(d, s, logger)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
		defer cancel()
		if err := started.stop(ctx); err != nil {
			say(err.Error())
		}
	}()
	say("server started")
	r, err := measure(ctx, d, s, shop, started.frontend, say, progress)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

// measure registers the namespace, runs the worker, warms up, and takes the
// orders through.
func measure(ctx context.Context, d databases, s settings, shop *pgxpool.Pool, frontend string, say func(string), progress io.Writer) (report, error) {
	c, err := connect(ctx, frontend)
	if err != nil {
		return report{}, err
	}
	defer c.Close()
	waiters := newWaiters()
	w := newWorker(c, s, &Shop{pool: shop, settled: waiters.settle})
	if err := w.Start(); err != nil {
		return report{}, fmt.Errorf("start the worker: %w", err)
	}
	defer w.Stop()
	l := load{client: c, waiters: waiters, inflight: s.inflight, progress: progress}
	say("worker started")
	if s.warmup > 0 {
		if _, err := l.run(ctx, makeOrders("warm", s.warmup, s)); err != nil {
			return report{}, fmt.Errorf("warm up: %w", err)
		}
	}
	say("warmed up")
	return measureOrders(ctx, d, s, shop, l, say)
}

func measureOrders(ctx context.Context, d databases, s settings, shop *pgxpool.Pool, l load, say func(string)) (report, error) {
	orders := makeOrders("order", s.orders, s)
	cfg := d.admin.Copy()
	cfg.Database = d.store
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return report{}, fmt.Errorf("connect to Temporal's store: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	stopProfile, err := startProfile(s.cpuProfile)
	if err != nil {
		return report{}, err
	}
	begun, cpu := time.Now(), cpuTime()
	latencies, err := l.run(ctx, orders)
	if err != nil {
		return report{}, err
	}
	workflows, err := awaitClosed(ctx, conn, len(orders))
	if err != nil {
		return report{}, err
	}
	seconds := time.Since(begun).Seconds()
	stopProfile()
	say(fmt.Sprintf("measured, %.1f ms of CPU an order in this process",
		float64((cpuTime()-cpu).Microseconds())/1000/float64(len(orders))))
	counted, err := check(ctx, shop, orders, workflows)
	if err != nil {
		return report{}, fmt.Errorf("the rows do not agree with the orders: %w", err)
	}
	return report{
		Name: s.name(), Orders: len(orders), Seconds: seconds, PerSecond: float64(len(orders)) / seconds,
		WarmupOrders: s.warmup, Settings: s.describe(), Latency: percentiles(latencies), Checks: counted,
	}, nil
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// startProfile writes a CPU profile into the file until the function it returns is called.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("create the file of the CPU profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("start the CPU profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// newTeller returns a function that writes what was reached, and when.
func newTeller(w io.Writer) func(string) {
	begun := time.Now()
	return func(what string) {
		fmt.Fprintf(w, "%5.1fs %s\n", time.Since(begun).Seconds(), what)
	}
}
