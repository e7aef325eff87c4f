// Command mutants takes every rule of the system out in turn and sees its proof fail. Run it anywhere in the
// repository. It ends with 1 if a mutant survives, or nothing can be said of one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/quadrille-io/quadrille/tests/mutants"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// settings are the command line.
type settings struct {
	only *regexp.Regexp
	json string
	doc  string
	jobs int
	list bool
	// trust leaves out the runs without a mutant.
	trust bool
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := flags.String("only", "", "run only the mutants whose name, line (as \"line 12\") or file matches this regular expression")
	flags.StringVar(&s.json, "json", "", "write the results as JSON to this file")
	flags.StringVar(&s.doc, "doc", "", "write the table as Markdown to this file; only for a run of all")
	// One more than there are cores: many a proof fails by waiting in vain for what normally takes milliseconds.
	flags.IntVar(&s.jobs, "jobs", runtime.NumCPU()+1, "mutants at once")
	flags.BoolVar(&s.list, "list", false, "name the mutants and stop")
	flags.BoolVar(&s.trust, "trust", false, "do not run the proofs without a mutant first; only with -only")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.doc != "" && *only != "" {
		return s, errors.New("-doc tells of all mutants, -only leaves some out")
	}
	if s.trust && *only == "" {
		return s, errors.New("-trust is for work on some: -only")
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-only: %w", err)
	}
	return s, nil
}

// chosen says whether a mutant is to be run.
func (s settings) chosen(m mutants.Mutant) bool {
	names := []string{m.Name}
	for _, line := range m.Lines {
		names = append(names, "line "+line)
	}
	for _, e := range m.Edits {
		names = append(names, e.File)
	}
	return slices.ContainsFunc(names, s.only.MatchString)
}

func run() error {
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := mutants.Root()
	if err != nil {
		return err
	}
	var all []mutants.Mutant
	for _, m := range mutants.All() {
		if s.chosen(m) {
			all = append(all, m)
		}
	}
	if s.list {
		for _, m := range all {
			fmt.Printf("line %-9s %s  %s\n", strings.Join(m.Lines, ","), m.Kind, m.Name)
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return s.runAll(ctx, root, all)
}

func (s settings) runAll(ctx context.Context, root string, all []mutants.Mutant) error {
	began := time.Now()
	told := 0
	runner := mutants.Runner{Root: root, Jobs: s.jobs, Trust: s.trust, Tell: func(r mutants.Result) {
		told++
		fmt.Printf("%4d %s\n", told, line(r))
	}}
	results, err := runner.Run(ctx, all)
	if err != nil {
		return err
	}
	if seeded := s.only.MatchString("explorer"); seeded {
		found, err := runner.Explorer(ctx)
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	if len(results) == 0 {
		return errors.New("no mutant is called that")
	}
	report := mutants.NewReport(began, commit(ctx, root), time.Since(began), results)
	fmt.Printf("%d mutants, %d killed, in %s\n", report.Total, report.Killed, time.Since(began).Round(time.Second))
	if s.json != "" {
		if err := report.JSON(s.json); err != nil {
			return err
		}
	}
	if s.doc != "" {
		if err := report.Markdown(s.doc); err != nil {
			return err
		}
	}
	if report.Killed < report.Total {
		return fmt.Errorf("%d of %d mutants were not killed", report.Total-report.Killed, report.Total)
	}
	return nil
}

// line tells a result.
func line(r mutants.Result) string {
	switch {
	case r.Error != "":
		return fmt.Sprintf("ERROR     %s\n     %s", r.Name, strings.ReplaceAll(r.Error, "\n", "\n     "))
	case !r.Killed:
		return fmt.Sprintf("SURVIVED  %s (line %s): %s passed in %.1f s", r.Name, strings.Join(r.Lines, ", "), r.Proof, r.Seconds)
	case r.Rule == "":
		return fmt.Sprintf("holds     %s (%.1f s)", r.Name, r.Seconds)
	}
	return fmt.Sprintf("killed    %s (line %s, %.1f s): %s", r.Name, strings.Join(r.Lines, ", "), r.Seconds, r.First)
}

// commit is what is checked out, with a mark where files differ from it; "unknown" without git.
func commit(ctx context.Context, root string) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
