package main

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/choreography/explorer"
)

// explore searches the variants, a few at once, and prints what each took, in order.
func explore(args []string) error {
	flags := flag.NewFlagSet("explore", flag.ContinueOnError)
	only := flags.String("variant", "", "search only the variants whose name contains this")
	list := flags.Bool("list", false, "name the variants and stop")
	jobs := flags.Int("jobs", 2, "variants searched at once; the largest take 1.5 GB each")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("explore: %w", err)
	}
	var variants []explorer.Variant
	for _, v := range explorer.Variants() {
		if strings.Contains(v.Name, *only) {
			variants = append(variants, v)
		}
	}
	if len(variants) == 0 {
		return fmt.Errorf("no variant is called %q", *only)
	}
	if *list {
		for _, v := range variants {
			fmt.Println(v.Name)
		}
		return nil
	}
	started := time.Now()
	states, broken := report(variants, start(variants, max(*jobs, 1)))
	fmt.Printf("%-58s %9d states %32.1fs\n", "all", states, time.Since(started).Seconds())
	if broken > 0 {
		return fmt.Errorf("%d of %d variants break a rule", broken, len(variants))
	}
	return nil
}

// found is a search's result and how long it took.
type found struct {
	explorer.Result
	took time.Duration
}

// start searches in the background; each variant's result comes on its own channel.
func start(variants []explorer.Variant, jobs int) []chan found {
	results := make([]chan found, len(variants))
	for i := range results {
		results[i] = make(chan found, 1)
	}
	next := make(chan int, len(variants))
	for i := range variants {
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for i := range next {
				began := time.Now()
				results[i] <- found{explorer.Explore(variants[i]), time.Since(began)}
			}
		})
	}
	return results
}

// report waits for the results in order and prints them.
func report(variants []explorer.Variant, results []chan found) (states, broken int) {
	for i, v := range variants {
		r := <-results[i]
		states += r.States
		fmt.Printf("%-58s %9d states %10d steps %5d ends %6.1fs\n", v.Name, r.States, r.Edges, r.Ends, r.took.Seconds())
		if r.Violation != nil {
			broken++
			fmt.Printf("\nBROKEN: %v\n\n", r.Violation)
		}
	}
	return states, broken
}
