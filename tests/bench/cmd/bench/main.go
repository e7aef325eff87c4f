// Command bench measures how fast the system is, against references that run beside it. See package bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/tests/bench"
)

func main() {
	run.Main(func(ctx context.Context) error {
		if err := command(ctx, os.Args[1:]); !errors.Is(err, flag.ErrHelp) {
			return err
		}
		return nil
	})
}

// command is what the first argument says.
func command(ctx context.Context, args []string) error {
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	switch name {
	case "serve":
		var cfg bench.Serving
		if err := json.NewDecoder(os.Stdin).Decode(&cfg); err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		return bench.Serve(ctx, cfg, os.Stdout)
	case "try":
		return try(ctx, args)
	case "":
		return measure(ctx, args)
	default:
		return fmt.Errorf("%q is neither serve nor try", name)
	}
}

// folder makes a place for the data and empties it again.
func folder(dir string) (string, func(), error) {
	if dir == "" {
		dir = os.TempDir()
	}
	made, err := os.MkdirTemp(dir, "quadrille-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	return made, func() { _ = os.RemoveAll(made) }, nil
}

func root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return "", fmt.Errorf("find the workspace: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

func measure(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	o := bench.Options{Screen: os.Stderr}
	flags.IntVar(&o.Runs, "runs", 3, "how often each rate is measured")
	flags.IntVar(&o.Orders, "orders", 20_000, "orders of each measurement")
	flags.IntVar(&o.FloorBatch, "floor-batch", 2_000, "orders that the floor writes in one transaction")
	flags.IntVar(&o.Backlog, "backlog", 200_000, "orders that pile up before they are drained")
	flags.BoolVar(&o.Peers, "peers", false, "measure Watermill and Temporal too")
	flags.IntVar(&o.PastOrders, "past", 0, "past orders in the tables")
	flags.IntVar(&o.SideOrders, "side", 0, "of these, how many shipping, mailer and gateway have; 0: all")
	only := flags.String("only", "", "run only the measurements whose name matches")
	dir := flags.String("dir", "", "where the data go meanwhile")
	out := flags.String("out", "", "folder for the result as JSON")
	baseline := flags.String("check", "", "hold the ratios against this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		if o.Only, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if o.Root, err = root(ctx); err != nil {
		return err
	}
	var empty func()
	if o.Dir, empty, err = folder(*dir); err != nil {
		return err
	}
	defer empty()
	result, err := bench.Run(ctx, o)
	fmt.Print(result.Table())
	if *out != "" {
		path, saveErr := result.Save(*out)
		err = errors.Join(err, saveErr)
		fmt.Println("written to", path)
	}
	if *baseline != "" && err == nil {
		return result.Check(*baseline)
	}
	return err
}

// try is for work on the speed: one kind of load, with a profile.
func try(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench try", flag.ContinueOnError)
	var load bench.Load
	shop := bench.Shop{SoldOut: 1}
	flags.IntVar(&load.Orders, "orders", 20_000, "orders")
	flags.Float64Var(&load.Rate, "rate", 0, "orders a second; 0: as many as -window lets in")
	flags.IntVar(&load.Window, "window", 8_000, "orders under way at most")
	flags.IntVar(&load.Products, "products", 1_000, "products ordered")
	flags.IntVar(&load.First, "first", 0, "the first product ordered; 1000 is sold out")
	flags.IntVar(&shop.Members, "members", 1_000, "members")
	slots := flags.Int("slots", 0, "calls outside at once")
	overREST := flags.Bool("rest", false, "over REST")
	parts := flags.Int("partitions", 12, "partitions")
	dir := flags.String("dir", "", "where the data go meanwhile")
	runs := flags.Int("runs", 1, "measurements")
	profile := flags.String("profile", "", "write a CPU profile of the services here")
	naive := flags.Bool("naive", false, "one input at a time")
	statements := flags.Bool("statements", false, "list what the database spent its time on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	shop.Products = 1_000
	data, empty, err := folder(*dir)
	if err != nil {
		return err
	}
	defer empty()
	site, err := bench.OpenSite(ctx, data)
	if err != nil {
		return err
	}
	defer site.Close()
	system, err := site.StartSystem(ctx, "q", bench.Serving{Partitions: int32(*parts), Shop: shop, Naive: *naive, CallSlots: *slots})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Stop()) }()
	for range 2 {
		if _, err := system.Feed(ctx, bench.Load{Orders: min(load.Orders, 4000), Window: 4000, Products: 1_000, Seed: 9}); err != nil {
			return err
		}
	}
	if *statements {
		if err := site.ResetStatements(ctx); err != nil {
			return err
		}
	}
	for i := range *runs {
		load.Seed = uint64(i + 1)
		if *profile != "" {
			go save(system.Place.Control+"/debug/pprof/profile?seconds=6", *profile)
		}
		m, err := system.Measure(ctx, func(ctx context.Context) (bench.Outcome, error) {
			if *overREST {
				return system.REST(ctx, load, 512, func(int, int) {})
			}
			return system.Feed(ctx, load)
		})
		if err != nil {
			return err
		}
		fmt.Printf("%.0f/s (%.0f/s to rest)  accepted p50 %.1f p99 %.1f  final p50 %.1f p95 %.1f p99 %.1f ms  CPU µs/order: pg %.0f kafka %.0f services %.0f load %.0f  bytes: db %.0f kafka %.0f  completed %d cancelled %d refused %d %v\n",
			m.PerSecond, m.PerSecondAtRest, m.Accepted.P50, m.Accepted.P99, m.Final.P50, m.Final.P95, m.Final.P99,
			m.Use.Postgres, m.Use.Kafka, m.Use.Services, m.Use.Load, m.Use.DatabaseBytes, m.Use.KafkaBytes, m.Completed, m.Cancelled, m.Refused, m.Errors)
	}
	if *statements {
		return site.Statements(ctx, os.Stdout)
	}
	return nil
}

func save(url, path string) {
	res, err := http.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer res.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer file.Close()
	if _, err := io.Copy(file, res.Body); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
