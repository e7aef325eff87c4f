package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// outcome is what a run of a proof showed.
type outcome struct {
	failed bool   // the proof says that something is wrong
	first  string // the first line that says what
	seeds  int    // of the simulator: the first seed that fails
	states int    // of the explorer: how many it had looked at
	// crashed: it failed, but by a panic or a time-out.
	crashed bool
}

// errBuild says that the mutant does not compile.
var errBuild = errors.New("does not compile")

// prove runs a proof. An error means that it could not be run, which says nothing about the rule. overlay may be
// empty, dir is where a program may be built.
func prove(ctx context.Context, root, dir, overlay string, p Proof) (outcome, error) {
	switch {
	case p.Seeds > 0:
		return runProgram(ctx, root, dir, overlay, "simulate", "-seed", "1", "-seeds", strconv.Itoa(p.Seeds), "-jobs", "1")
	case p.Variant != "":
		return runProgram(ctx, root, dir, overlay, "explore", "-jobs", "1", "-variant", p.Variant)
	}
	return runTest(ctx, root, overlay, p)
}

// run executes a command in a process group of its own, so that an interrupt ends what it started too.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, err
}

// testEvent is a line of go test -json.
type testEvent struct {
	Action, Test, Output string
}

// failing matches a line of a test that says what is wrong: file, line, text.
var failing = regexp.MustCompile(`^\s*\w+\.go:\d+: (.*)`)

// testOutput is what is kept of a test run's lines.
type testOutput struct {
	ran, failed, built bool
	panicked           string
	first, any         string
	text               strings.Builder
}

func runTest(ctx context.Context, root, overlay string, p Proof) (outcome, error) {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	args := []string{"test", "-json", "-count=1", "-vet=off", "-failfast", "-timeout", timeout.String(), "-run", p.Run}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	// Flags that only the test knows come last: the go command takes nothing for its own behind them.
	args = append(append(args, p.Package), p.Flags...)
	out, err := run(ctx, root, "go", args...)
	if ctx.Err() != nil {
		return outcome{}, err
	}
	o := readTest(out)
	switch {
	case !o.built:
		return outcome{}, fmt.Errorf("%w:\n%s", errBuild, o.text.String())
	case !o.ran:
		return outcome{}, fmt.Errorf("no test was run: %s\n%s", p, o.text.String())
	case err != nil && !o.failed && o.panicked == "":
		return outcome{}, fmt.Errorf("no test failed, and yet: %w\n%s", err, o.text.String())
	}
	first := o.first
	if first == "" {
		first = o.any
	}
	if o.panicked != "" {
		first = o.panicked
	}
	return outcome{failed: err != nil, first: first, crashed: o.panicked != ""}, nil
}

func readTest(out []byte) testOutput {
	o := testOutput{built: true}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e testEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			o.text.Write(append(lines.Bytes(), '\n'))
			continue
		}
		o.take(e)
	}
	return o
}

func (o *testOutput) take(e testEvent) {
	switch e.Action {
	case "build-fail":
		o.built = false
	case "run":
		o.ran = true
	case "fail":
		o.failed = o.failed || e.Test != ""
	case "build-output", "output":
		o.text.WriteString(e.Output)
		line := strings.TrimSpace(e.Output)
		if m := failing.FindStringSubmatch(e.Output); m != nil && o.first == "" && e.Test != "" {
			o.first = m[1]
		}
		if o.panicked == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) && !strings.HasPrefix(e.Output, " ") {
			o.panicked = line
		}
		if o.any == "" && e.Test != "" && line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			o.any = line
		}
	}
}

// What the choreography program prints of a violation: "BROKEN: ..." of the explorer, "seed N: ..." of the simulator.
var (
	brokenLine = regexp.MustCompile(`(?m)^BROKEN: (.*)$`)
	stateCount = regexp.MustCompile(`(\d+) states`)
	seedLine   = regexp.MustCompile(`(?m)^seed (\d+): (.*)$`)
)

// runProgram builds the explorer and simulator with the overlay and runs it.
func runProgram(ctx context.Context, root, dir, overlay string, args ...string) (outcome, error) {
	program := filepath.Join(dir, "choreography")
	build := []string{"build", "-o", program}
	if overlay != "" {
		build = append(build, "-overlay", overlay)
	}
	if out, err := run(ctx, root, "go", append(build, "./services/choreography/cmd/choreography")...); err != nil {
		if ctx.Err() != nil {
			return outcome{}, err
		}
		return outcome{}, fmt.Errorf("%w:\n%s", errBuild, out)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("no end after 10 minutes"))
	defer cancel()
	out, err := run(ctx, root, program, args...)
	if ctx.Err() != nil || err == nil {
		return outcome{}, err
	}
	o := outcome{failed: true}
	if m := seedLine.FindSubmatch(out); m != nil {
		o.seeds, _ = strconv.Atoi(string(m[1])) // digits, as matched
		o.first = string(m[2])
	} else if m := brokenLine.FindSubmatchIndex(out); m != nil {
		o.first = string(out[m[2]:m[3]])
		if all := stateCount.FindAllSubmatch(out[:m[0]], -1); all != nil {
			o.states, _ = strconv.Atoi(string(all[len(all)-1][1]))
		}
	} else if i := bytes.Index(out, []byte("panic: ")); i >= 0 {
		o.crashed = true
		o.first, _, _ = strings.Cut(string(out[i:]), "\n")
	} else {
		return outcome{}, fmt.Errorf("no violation, and yet: %w\n%s", err, out)
	}
	return o, nil
}
