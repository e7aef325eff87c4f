package main

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/choreography/simulator"
)

// enough is how many violations a run looks for before it ends.
const enough = 3

// simulate runs seeds, a few at once, and sums up what happened in them. A seed that violates a rule is told
// with its trace; -seed N -seeds 1 -trace tells any seed.
func simulate(args []string) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	seeds := flags.Uint64("seeds", 1000, "how many seeds")
	first := flags.Uint64("seed", 1, "the first seed")
	trace := flags.Bool("trace", false, "print everything that happens")
	jobs := flags.Int("jobs", 2, "seeds run at once")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	began := time.Now()
	sum := summary{outcomes: map[string]int{}, emitted: map[string]int{}, refused: map[string]int{}, calls: map[string]int{}}
	var broken []uint64
	for r := range runSeeds(*first, *seeds, max(*jobs, 1), simulator.Options{Trace: *trace}) {
		sum.add(r)
		for _, line := range r.Lines {
			fmt.Println(line)
		}
		if r.Violation != nil {
			broken = append(broken, r.Seed)
			fmt.Printf("%v\n", r.Violation)
			if len(broken) == enough {
				break
			}
		}
	}
	sum.print(time.Since(began))
	if len(broken) > 0 {
		slices.Sort(broken)
		return fmt.Errorf("%d of %d seeds violate a rule: %d", len(broken), sum.seeds, broken)
	}
	return nil
}

// runSeeds yields every seed's result, in any order.
func runSeeds(first, seeds uint64, jobs int, o simulator.Options) func(yield func(simulator.Result) bool) {
	next, results := make(chan uint64), make(chan simulator.Result)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for seed := range next {
				select {
				case results <- simulator.Run(seed, o):
				case <-stop:
				}
			}
		})
	}
	go func() {
		defer close(results)
		defer workers.Wait()
		defer close(next)
		for i := range seeds {
			select {
			case next <- first + i:
			case <-stop:
				return
			}
		}
	}()
	return func(yield func(simulator.Result) bool) {
		defer close(stop)
		for r := range results {
			if !yield(r) {
				return
			}
		}
	}
}

// summary is what many seeds did.
type summary struct {
	seeds, violations, orders, steps  int
	passed                            time.Duration
	struck                            map[simulator.Fault]int
	outcomes, emitted, refused, calls map[string]int
}

func (s *summary) add(r simulator.Result) {
	s.seeds++
	s.orders += r.Orders
	s.steps += r.Steps
	s.passed += r.Passed
	if s.struck == nil {
		s.struck = map[simulator.Fault]int{}
	}
	for _, f := range simulator.Faults() {
		s.struck[f] += r.Struck[f]
	}
	if r.Violation != nil {
		s.violations++
	}
	for _, sum := range []struct{ to, from map[string]int }{{s.outcomes, r.Outcomes}, {s.emitted, r.Emitted}, {s.refused, r.Refused}, {s.calls, r.Calls}} {
		for name, n := range sum.from {
			sum.to[name] += n
		}
	}
}

func (s *summary) print(took time.Duration) {
	faults := 0
	for _, f := range simulator.Faults() {
		faults += s.struck[f]
	}
	fmt.Printf("%d seeds, %d violations, %d orders, %d steps, %d faults, %s simulated, in %.1fs\n",
		s.seeds, s.violations, s.orders, s.steps, faults, s.passed.Round(time.Minute), took.Seconds())
	var struck []string
	for _, f := range simulator.Faults() {
		struck = append(struck, fmt.Sprintf("%s %d", f, s.struck[f]))
	}
	fmt.Println("faults:  ", strings.Join(struck, ", "))
	for _, list := range []struct {
		name string
		of   map[string]int
	}{{"orders:  ", s.outcomes}, {"events:  ", s.emitted}, {"refusals:", s.refused}, {"calls:   ", s.calls}} {
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(list.of)) {
			texts = append(texts, fmt.Sprintf("%s %d", name, list.of[name]))
		}
		fmt.Println(list.name, strings.Join(texts, ", "))
	}
}
