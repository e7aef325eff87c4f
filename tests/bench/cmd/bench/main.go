// Command bench measures how fast the system is, against references that run beside it. See package bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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
		return child(ctx, bench.Serve)
	case "simulate":
		return child(ctx, bench.Simulate)
	case "try":
		return try(ctx, args)
	case "":
		return measure(ctx, args)
	default:
		return fmt.Errorf("%q is none of serve, simulate and try", name)
	}
}

// child is what this program does when it has started itself again.
func child[C any](ctx context.Context, do func(context.Context, C, io.Writer) error) error {
	var cfg C
	if err := json.NewDecoder(os.Stdin).Decode(&cfg); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	return do(ctx, cfg, os.Stdout)
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
	flags.IntVar(&o.Warm, "warm", 30_000, "orders before the first measurement")
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
