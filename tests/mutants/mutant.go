// Package mutants takes every rule of the system out, one at a time, and sees its proof fail. A proof that passes
// without the rule it is said to prove shows nothing.
//
// A mutant is an edit of real source files. The edited copies are given to the go command with -overlay, so
// production code stays free of hooks, the working tree is never touched, and every mutant is a change of behaviour
// that compiles: one that does not is an error of the mutant, never "killed".
//
// To add one, append to the list of the file it belongs to (a file per part of the system), say which line of the
// list of failures it is about (see [Lines]) and by which kind of proof, and run
//
//	go run ./tests/mutants/cmd/mutants -only 'part of its name'
//
// Old must stand in the file exactly once, which the package's own test holds up; choose as little as says the
// rule. A mutant that survives means that the proof is too weak: strengthen the proof.
package mutants

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Mutant is one rule taken out.
type Mutant struct {
	// Name says what the system does wrong, as a sentence without its full stop; it is unique.
	Name string
	// Lines are the failures this rule stands against, by their number in [Lines]: "12", "34a".
	Lines []string
	// Kind is how the lines say it is proved: S simulator, I integration, P property, X attack, L start-up check.
	Kind string
	// Rule is what is taken out.
	Rule string
	// Edits are made together.
	Edits []Edit
	// Proof is what must fail.
	Proof Proof
	// Crash says that the proof may also fail by a panic or a time-out. Without it only a test (or the simulator)
	// that says what is wrong counts.
	Crash bool
}

// Edit replaces Old, which stands exactly once in File, by New. File is a path from the repository's root, with
// slashes. It may be any file that is built: Go, or what Go embeds.
type Edit struct{ File, Old, New string }

// Proof is a test, the simulator, or the explorer. Exactly one of Package, Seeds and Variant is set.
type Proof struct {
	// Package is a test's, from the root ("./pkg/engine"); Run picks the test as -run does.
	Package, Run string
	// Flags go to go test as they are; Timeout (default 2 minutes) bounds it.
	Flags   []string
	Timeout time.Duration

	// Seeds is how many seeds the simulator runs, from 1; it must find a violation within them.
	Seeds int
	// Variant is the name (or part of it) of what the explorer searches.
	Variant string
}

// String is how a person runs it.
func (p Proof) String() string {
	switch {
	case p.Seeds > 0:
		return fmt.Sprintf("simulator, %d seeds", p.Seeds)
	case p.Variant != "":
		return fmt.Sprintf("explorer, %q", p.Variant)
	}
	return strings.Join(slices.Concat([]string{p.Package, p.Run}, p.Flags), " ")
}

// key tells proofs apart whose runs without a mutant are one.
func (p Proof) key() string {
	if p.Seeds > 0 {
		return "simulator"
	}
	return p.String()
}

// All are the mutants of every part. The explorer's seeded mistakes are apart: they are run by its own test.
func All() []Mutant {
	return slices.Concat(outboxMutants, consumerMutants, poisonMutants, serviceMutants, exportMutants, hookMutants, simulatorMutants, batchMutants, raceMutants, attackMutants, trackingMutants, cartMutants)
}

// test is the proof by tests of a package; run is one or more of their names, with | between them.
func test(pkg, run string, flags ...string) Proof {
	return Proof{Package: pkg, Run: "^(" + run + ")$", Flags: flags}
}

// part is the proof by those parts of a test whose names begin with sub.
func part(pkg, name, sub string) Proof {
	return Proof{Package: pkg, Run: "^" + name + "$/^" + sub}
}

// property is the proof by a property test, which writes what it found to a file beside the test if nobody stops it.
func property(pkg, run string) Proof { return test(pkg, run, "-rapid.nofailfile=true") }
