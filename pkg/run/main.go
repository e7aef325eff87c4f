package run

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// gcPercent is how much garbage may come together, in percent of what lives, where GOGC does not say. A service keeps
// little and throws away a lot: at Go's default of 100 the collector would take a tenth of its time. GOMEMLIMIT bounds
// it where memory is short.
const gcPercent = 400

// Main runs a program: ctx ends at SIGINT or SIGTERM, an error is printed and exits with 1. A second signal exits at
// once, for the person who has waited long enough.
func Main(program func(ctx context.Context) error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(supervise(program, os.Stderr))
}

func supervise(program func(ctx context.Context) error, stderr *os.File) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- program(ctx) }()
	for interrupted := false; ; {
		select {
		case err := <-done:
			if err != nil {
				fmt.Fprintln(stderr, "error:", err)
				return 1
			}
			return 0
		case s := <-signals:
			if interrupted {
				fmt.Fprintln(stderr, "second signal: not waiting any longer")
				return 130
			}
			interrupted = true
			cancel(fmt.Errorf("received %s", s))
		}
	}
}
