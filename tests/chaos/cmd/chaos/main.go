// Command chaos runs the whole system as separate processes, breaks it for a while by a seeded schedule
// with customers ordering all the time, heals it, waits until everything is final, and holds all that is
// left of the run against the system's promises. It ends with status 1 where one was broken, or where too
// little was done to say so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	long     time.Duration
	seed     uint64
	out      string
	rate     float64
	replicas int
	members  int
	rest     time.Duration
	faults   int
	orders   int
	keep     bool
	race     bool
	overlay  string
	judge    string
}

func command(args []string) error {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.DurationVar(&o.long, "for", 10*time.Minute, "how long faults begin")
	flags.Uint64Var(&o.seed, "seed", 1, "of the faults' schedule and the customers' wishes")
	flags.StringVar(&o.out, "out", "bin/chaos", "folder for the report and what it was made from")
	flags.Float64Var(&o.rate, "rate", 35, "orders per second that are to be accepted, on average")
	flags.IntVar(&o.replicas, "replicas", 2, "of each service")
	flags.IntVar(&o.members, "members", 2000, "how many customers there are")
	flags.DurationVar(&o.rest, "rest", 0, "mean pause between two faults of a lane; 0: the nemesis's own")
	flags.IntVar(&o.faults, "faults", -1, "least faults for a pass; -1: 5 a minute")
	flags.IntVar(&o.orders, "orders", -1, "least orders for a pass; -1: three quarters of the rate")
	flags.BoolVar(&o.keep, "keep", false, "keep data, logs and history of a run that passed, too")
	flags.BoolVar(&o.race, "race", false, "build the services with the race detector")
	flags.StringVar(&o.overlay, "overlay", "", "build the services with this file for go build -overlay: a mistake that is to be found")
	flags.StringVar(&o.judge, "judge", "", "judge the evidence in this file again, and do nothing else")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.judge != "" {
		return rejudge(o.judge)
	}
	if o.long <= 0 || o.rate <= 0 || o.replicas < 1 || o.members < 8 {
		return errors.New("-for, -rate and -replicas are above 0, -members at least 8")
	}
	if o.faults < 0 {
		o.faults = max(int(o.long.Minutes()*5), 1)
	}
	if o.orders < 0 {
		o.orders = max(int(o.long.Seconds()*o.rate*0.75), 1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	passed, err := run(ctx, o, log)
	if err != nil {
		return err
	}
	if !passed {
		return errors.New("the run did not pass; see " + o.out)
	}
	return nil
}
