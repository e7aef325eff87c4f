// Command watermill runs the order saga on Watermill: place the order, decrease
// stock, use the coupon, take the payment, complete the order. Four services in
// one program, each with a database of its own, write their outbox message in
// the handler's transaction; Watermill's forwarder carries it to Kafka, and its
// router brings it to the next service.
//
// It is a reference for the benchmark, no part of the product. README.md says
// why each setting is what it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		slog.Error("watermill", "error", err)
		os.Exit(1)
	}
}

func run() error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	cfg, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	report, err := measure(ctx, cfg)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// measure sets the shop up, warms it up, drives the measured orders through it
// and checks what they left in the databases and topics.
func measure(ctx context.Context, cfg config) (_ report, err error) {
	shop, err := open(ctx, cfg)
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, shop.close()) }()

	fmt.Fprintf(os.Stderr, "warming up with %d orders\n", cfg.warmup)
	if _, err = shop.drive(ctx, "warm-up", 0, cfg.warmup); err != nil {
		return report{}, fmt.Errorf("warm up: %w", err)
	}
	if err = shop.drained(ctx); err != nil {
		return report{}, err
	}
	stopProfile, err := startProfile(cfg.profile)
	if err != nil {
		return report{}, err
	}
	result, err := shop.drive(ctx, "measured", cfg.warmup, cfg.orders)
	stopProfile()
	if err != nil {
		return report{}, fmt.Errorf("measured orders: %w", err)
	}
	ended := time.Now()
	if err = shop.drained(ctx); err != nil {
		return report{}, err
	}
	checks, err := shop.check(ctx)
	if err != nil {
		return report{}, err
	}
	checks["drain_ms"] = time.Since(ended).Milliseconds()
	return newReport(cfg, result, checks), nil
}

// startProfile writes a CPU profile to the file until the returned function is
// called; without a file it does nothing.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("make the profile's file: %w", err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, errors.Join(fmt.Errorf("start the profile: %w", err), out.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := out.Close(); err != nil {
			slog.Warn("profile", "error", err)
		}
	}, nil
}
