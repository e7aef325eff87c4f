// Command choreography checks, draws, searches and generates from the declared choreography. Run it from
// the repository's root.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/choreography"
)

const usage = `usage: choreography COMMAND

  check      hold the services' declarations against each other
  draw       print the choreography as a Mermaid flowchart
  explore    search every interleaving of one order (-variant NAME: one of them; -list: name them)
  simulate   run many orders with seeded faults (-seeds N, -seed FIRST, -trace: tell what happens)
  generate   write README.md's section, deploy/topics.yaml and proto/asyncapi.yaml
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "choreography:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command")
	}
	all := choreography.Topologies()
	switch args[0] {
	case "check":
		return flow.Check(all...)
	case "draw":
		fmt.Print(choreography.Draw(all))
		return nil
	case "explore":
		return explore(args[1:])
	case "simulate":
		return simulate(args[1:])
	case "generate":
		return generate(all)
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown command %q", args[0])
}

// generate writes every file it can, and reports those it could not.
func generate(all []flow.Topology) error {
	if err := flow.Check(all...); err != nil {
		return err
	}
	asyncapi, err := choreography.AsyncAPI(all, "proto")
	if err != nil {
		return err
	}
	return errors.Join(
		write("deploy/topics.yaml", choreography.Topics(all)),
		write("proto/asyncapi.yaml", asyncapi),
		section("README.md", all),
	)
}

func section(file string, all []flow.Topology) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("put the drawing into README: %w", err)
	}
	after, err := choreography.Section(string(before), all)
	if err != nil {
		return fmt.Errorf("put the drawing into %s: %w", file, err)
	}
	return write(file, after)
}

// write leaves a file that is up to date alone.
func write(file, text string) error {
	if there, err := os.ReadFile(file); err == nil && string(there) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
