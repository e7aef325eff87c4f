package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/quadrille-io/quadrille/tests/bench"
)

// trial is for work on the speed: one kind of load, with what there is to see of it.
type trial struct {
	load    bench.Load
	serving bench.Serving
	dir     string
	// warm is orders before the first run.
	warm, runs int
	overREST   bool
	statements bool
	// profile and heap are files.
	profile, heap string

	// settings of PostgreSQL, beyond the usual ones.
	settings map[string]string

	site   *bench.Site
	system *bench.System
	spent  []bench.Statements
}

func parseTrial(args []string) (*trial, error) {
	t := &trial{serving: bench.Serving{Shop: bench.Shop{Products: 1_000, SoldOut: 1}}, settings: map[string]string{}}
	flags := flag.NewFlagSet("bench try", flag.ContinueOnError)
	flags.IntVar(&t.load.Orders, "orders", 20_000, "orders")
	flags.Float64Var(&t.load.Rate, "rate", 0, "orders a second; 0: as many as -window lets in")
	flags.IntVar(&t.load.Window, "window", 8_000, "orders under way at most")
	flags.IntVar(&t.load.Products, "products", 1_000, "products ordered")
	flags.IntVar(&t.load.First, "first", 0, "the first product ordered; 1000 is sold out (with -products 1)")
	flags.IntVar(&t.serving.Shop.Members, "members", 1_000, "members")
	flags.IntVar(&t.serving.CallSlots, "slots", 0, "calls outside at once")
	flags.BoolVar(&t.overREST, "rest", false, "over REST")
	parts := flags.Int("partitions", 12, "partitions")
	flags.StringVar(&t.dir, "dir", "", "where the data go meanwhile")
	flags.IntVar(&t.runs, "runs", 1, "measurements")
	flags.IntVar(&t.warm, "warm", 30_000, "orders before the first of them")
	flags.StringVar(&t.profile, "profile", "", "write a CPU profile of the services here")
	flags.StringVar(&t.heap, "heap", "", "write a profile of the services' live heap at the end here")
	flags.BoolVar(&t.serving.Naive, "naive", false, "one input at a time")
	flags.BoolVar(&t.statements, "statements", false, "list what the database spent its time on in each run")
	flags.Func("set", "a `setting=value` of PostgreSQL, any number of times", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("there is no = in it")
		}
		t.settings[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	t.serving.Partitions = int32(*parts)
	return t, nil
}

func try(ctx context.Context, args []string) (err error) {
	t, err := parseTrial(args)
	if err != nil {
		return err
	}
	data, empty, err := folder(t.dir)
	if err != nil {
		return err
	}
	defer empty()
	if t.site, err = bench.OpenSite(ctx, data, t.settings); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.site.Close()) }()
	if t.system, err = t.site.StartSystem(ctx, "q", t.serving); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.system.Stop()) }()
	fmt.Printf("warm-up: %d orders\n", t.warm)
	if err := t.system.Warm(ctx, t.warm, t.serving.Shop.Products); err != nil {
		return err
	}
	for i := range t.runs {
		t.load.Seed = uint64(i + 1)
		if err := t.run(ctx); err != nil {
			return err
		}
	}
	return t.end(ctx)
}

// run measures the load once.
func (t *trial) run(ctx context.Context) error {
	before, err := t.look(ctx)
	if err != nil {
		return err
	}
	from, err := t.system.Here(ctx)
	if err != nil {
		return err
	}
	if t.profile != "" {
		go func() {
			if err := save(ctx, t.system.Place.Control+"/debug/pprof/profile?seconds=6", t.profile); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	m, err := t.system.Measure(ctx, func(ctx context.Context) (bench.Outcome, error) {
		if t.overREST {
			return t.system.REST(ctx, t.load, 512, func(int, int) {})
		}
		return t.system.Feed(ctx, t.load)
	})
	if err != nil {
		return err
	}
	fmt.Printf("%.0f/s (%.0f/s to rest)  accepted p50 %.1f p99 %.1f  final p50 %.1f p95 %.1f p99 %.1f ms  bytes: db %.0f kafka %.0f  completed %d cancelled %d refused %d %v\nCPU/order: %v\n",
		m.PerSecond, m.PerSecondAtRest, m.Accepted.P50, m.Accepted.P99, m.Final.P50, m.Final.P95, m.Final.P99,
		m.Use.DatabaseBytes, m.Use.KafkaBytes, m.Completed, m.Cancelled, m.Refused, m.Errors, m.Use)
	after, err := t.look(ctx)
	if err != nil {
		return err
	}
	t.spent = append(t.spent, after.Since(before))
	if m.Completed == 0 {
		return nil
	}
	steps, err := from.Steps(ctx)
	if err != nil {
		return err
	}
	return steps.Write(os.Stdout)
}

// look reads the statistics of statements, if anybody wants them.
func (t *trial) look(ctx context.Context) (s bench.Statements, err error) {
	if !t.statements {
		return s, nil
	}
	return t.site.Statements(ctx)
}

// end says what is left: the memory in use, and what the statements have cost.
func (t *trial) end(ctx context.Context) error {
	m, err := t.system.Memory(ctx, true)
	if err != nil {
		return err
	}
	fmt.Println("memory of the services:", m)
	if t.heap != "" {
		if err := save(ctx, t.system.Place.Control+"/debug/pprof/heap?gc=1", t.heap); err != nil {
			return err
		}
	}
	if !t.statements {
		return nil
	}
	if err := bench.WriteStatements(os.Stdout, t.spent, t.load.Orders); err != nil {
		return err
	}
	return t.site.WriteTables(ctx, os.Stdout)
}

// save writes what the address answers into a file.
func save(ctx context.Context, url, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetch a profile: %w", err)
	}
	defer res.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, res.Body)
	return err
}
