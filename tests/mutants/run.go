package mutants

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// Result is what became of one mutant.
type Result struct {
	Name  string   `json:"name"`
	Lines []string `json:"lines"`
	Kind  string   `json:"kind"`
	Rule  string   `json:"rule"`
	Proof string   `json:"proof"`
	// Killed: the proof failed, as it should.
	Killed bool `json:"killed"`
	// Error says why nothing can be said: the edit does not apply or compile, the proof could not be run.
	Error string `json:"error,omitempty"`
	// Seeds is the simulator's first seed that found it, States how many the explorer had looked at; 0 elsewhere.
	Seeds  int `json:"seeds,omitempty"`
	States int `json:"states,omitempty"`
	// Seconds includes compiling.
	Seconds float64 `json:"seconds"`
	// First is the first line with which the proof failed.
	First string `json:"first,omitempty"`
}

// Bad says whether the mutant survived, or nothing can be said of it.
func (r Result) Bad() bool { return !r.Killed || r.Error != "" }

// Runner runs mutants.
type Runner struct {
	Root string
	// Jobs is how many run at once.
	Jobs int
	// Trust leaves out the runs without a mutant, for work on a single one.
	Trust bool
	// Tell hears of every result as it comes; calls do not overlap.
	Tell func(Result)
}

// Run runs every proof once without any mutant and then each mutant whose proof holds. Results stand in the order
// of the mutants; ctx ends it early with an error.
func (r Runner) Run(ctx context.Context, all []Mutant) ([]Result, error) {
	var baselines map[string]error
	if !r.Trust {
		baselines = r.baselines(ctx, all)
	}
	results := make([]Result, len(all))
	r.each(ctx, len(all), func(i int) {
		m := all[i]
		results[i] = Result{Name: m.Name, Lines: m.Lines, Kind: m.Kind, Rule: m.Rule, Proof: m.Proof.String()}
		if err := baselines[m.Proof.key()]; err != nil {
			results[i].Error = fmt.Sprintf("the proof fails without any mutant: %v", err)
			return
		}
		r.try(ctx, m, &results[i])
	}, func(i int) { r.Tell(results[i]) })
	return results, context.Cause(ctx)
}

// try runs one mutant.
func (r Runner) try(ctx context.Context, m Mutant, result *Result) {
	began := time.Now()
	defer func() { result.Seconds = time.Since(began).Seconds() }()
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		result.Error = err.Error()
		return
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(r.Root, dir)
	if err != nil {
		result.Error = err.Error()
		return
	}
	o, err := prove(ctx, r.Root, dir, overlay, m.Proof)
	switch {
	case err != nil:
		result.Error = err.Error()
	case o.crashed && !m.Crash:
		result.Error = "the proof did not fail but crash: " + o.first
	default:
		result.Killed, result.Seeds, result.States, result.First = o.failed, o.seeds, o.states, o.first
	}
}

// each calls do for 0..n-1, Jobs at a time, and told after each, one at a time.
func (r Runner) each(ctx context.Context, n int, do, told func(i int)) {
	next := make(chan int)
	var telling sync.Mutex
	var jobs sync.WaitGroup
	for range max(r.Jobs, 1) {
		jobs.Go(func() {
			for i := range next {
				do(i)
				if ctx.Err() != nil {
					continue
				}
				telling.Lock()
				told(i)
				telling.Unlock()
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	jobs.Wait()
}
