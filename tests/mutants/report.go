package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is a whole run, as it is written as JSON.
type Report struct {
	At     time.Time `json:"at"`
	Commit string    `json:"commit"`
	// Seconds is how long all of it took.
	Seconds float64 `json:"seconds"`
	Total   int     `json:"total"`
	Killed  int     `json:"killed"`
	// Results stand sorted by the first line they are about, those of no line last.
	Results []Result `json:"results"`
}

// NewReport counts and sorts.
func NewReport(at time.Time, commit string, took time.Duration, results []Result) Report {
	r := Report{At: at.UTC().Truncate(time.Second), Commit: commit, Seconds: took.Seconds(), Total: len(results), Results: slices.Clone(results)}
	for _, result := range results {
		if !result.Bad() {
			r.Killed++
		}
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int { return place(a) - place(b) })
	return r
}

// place is where a result stands: by its first line, then the seeded mistakes behind the mutants.
func place(r Result) int {
	at := len(Lines)
	if len(r.Lines) > 0 {
		at = slices.IndexFunc(Lines, func(l Line) bool { return l.ID == r.Lines[0] })
	}
	return at
}

// JSON writes the report to a file.
func (r Report) JSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	return write(path, string(text)+"\n")
}

const intro = `# Mutants

Every rule of the system is taken out, one at a time, and its proof is seen failing: a proof that passes without its
rule would show nothing. Each mutant is a real change of behaviour, an edit of the source that compiles. The seeded
mistakes at the end of a line's mutants are the explorer's: rules taken out of the real deciding functions in memory.
` + "`make mutants`" + ` runs them all and writes this table; edit tests/mutants, not this file.

The numbers of the lines are those of the list of failures that the system must survive, told in the second table.
Proved by: S the simulator or the explorer over the real deciding functions, I on PostgreSQL and a broker, P property
or unit test, X attack, L check at start. After: how many seeds or states it took.

`

// Markdown writes the report as a table.
func (r Report) Markdown(path string) error {
	var b strings.Builder
	b.WriteString(intro)
	fmt.Fprintf(&b, "Run of %s at commit %s: %d mutants, %d killed, in %s.\n\n", r.At.Format("2006-01-02 15:04 UTC"),
		r.Commit, r.Total, r.Killed, time.Duration(r.Seconds*float64(time.Second)).Round(time.Second))
	b.WriteString("| line | what goes wrong then | rule taken out | proof | after | killed |\n|---|---|---|---|---|---|\n")
	for _, result := range r.Results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s `%s` | %s | %s |\n", lines(result), cell(result.Name), cell(result.Rule),
			result.Kind, strings.ReplaceAll(result.Proof, "|", "\\|"), after(result), verdict(result))
	}
	b.WriteString("\n| line | what goes wrong | what prevents it | proved by | mutants |\n|---|---|---|---|---|\n")
	for _, l := range Lines {
		n := 0
		for _, result := range r.Results {
			if slices.Contains(result.Lines, l.ID) {
				n++
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", l.ID, cell(l.Failure), cell(l.Rule), strings.Join(strings.Split(l.Proofs, ""), " "), counted(n, l))
	}
	return write(path, b.String())
}

// lines are those a result is about; what is about none is about the choreography's own rules.
func lines(r Result) string {
	if len(r.Lines) == 0 {
		return "choreography"
	}
	return strings.Join(r.Lines, ", ")
}

func counted(n int, l Line) string {
	text := fmt.Sprint(n)
	for _, kind := range strings.Split(l.Proofs, "") {
		if why := l.Without[kind]; why != "" {
			text += fmt.Sprintf("; none for %s: %s", kind, cell(why))
		}
	}
	return text
}

func cell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ") }

func after(r Result) string {
	switch {
	case r.Seeds == 1:
		return "1 seed"
	case r.Seeds > 1:
		return fmt.Sprintf("%d seeds", r.Seeds)
	case r.States > 0:
		return fmt.Sprintf("%d states", r.States)
	}
	return ""
}

func verdict(r Result) string {
	switch {
	case r.Error != "":
		return "**error**"
	case !r.Killed:
		return "**survived**"
	}
	return "yes"
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
