// Package report tells a chaos run: what was done to the system, what it did all the same, and which of
// its promises it broke.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/history"
	"github.com/quadrille-io/quadrille/tests/chaos/nemesis"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// Run is what is known of a run beside its evidence.
type Run struct {
	Seed     uint64        `json:"seed"`
	For      time.Duration `json:"for"`
	Replicas int           `json:"replicas"`
	Members  int           `json:"members"`
	Rate     float64       `json:"rate"`
	Begin    time.Time     `json:"begin"`
	End      time.Time     `json:"end"`
	// Commit of the tree, with a + if it had changes; Go, System and Cores of the machine.
	Commit      string            `json:"commit"`
	Go          string            `json:"go"`
	System      string            `json:"system"`
	Cores       int               `json:"cores"`
	Memory      string            `json:"memory"`
	Faults      []nemesis.Fault   `json:"faults"`
	Deaths      []cluster.Death   `json:"deaths"`
	Environment map[string]string `json:"environment"`
	// Errors end a run beside its violations: the system that does not heal, the log that cannot be written.
	Errors []string `json:"errors"`
	// LeastFaults and LeastOrders are what the run has to do, at least.
	LeastFaults int `json:"leastFaults"`
	LeastOrders int `json:"leastOrders"`
}

// Report is a run and what came of it. Durations are in milliseconds where their name says so.
type Report struct {
	Run
	FaultsDone int         `json:"faultsDone"`
	FaultKinds []Count     `json:"faultKinds"`
	Orders     int         `json:"orders"`
	Accepted   int         `json:"accepted"`
	Outcomes   []Count     `json:"outcomes"`
	Calls      []CallCount `json:"calls"`
	Events     int         `json:"events"`
	Repeats    int         `json:"repeats"`
	// ToFinal are percentiles of the time from an order's acceptance to its first end.
	ToFinal []Percentile `json:"toFinal"`
	// LastToFinalMS is the longest that an order took to become final after the last fault; QuietMS is when
	// nothing at all was left to do, the customers' last visits included; -1 where that did not come.
	LastToFinalMS int64 `json:"lastToFinalMs"`
	QuietMS       int64 `json:"quietMs"`
	// Seconds of the run: orders accepted and orders ended in each.
	Seconds    []Second          `json:"seconds"`
	Rules      []RuleCount       `json:"rules"`
	Violations []check.Violation `json:"violations"`
	// TooLittle says what the run did not do enough of.
	TooLittle []string `json:"tooLittle"`
	Verdict   string   `json:"verdict"`
}

// Count is how often something was.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	// Longest is, of faults, the longest time until everything concerned was ready again.
	LongestMS int64 `json:"longestMs,omitempty"`
}

// CallCount is how calls of one kind ended.
type CallCount struct {
	Op      history.Op `json:"op"`
	OK      int        `json:"ok"`
	Fail    int        `json:"fail"`
	Unknown int        `json:"unknown"`
}

// Percentile of a time.
type Percentile struct {
	Share float64 `json:"share"`
	MS    int64   `json:"ms"`
}

// Second is one second of the run.
type Second struct {
	Accepted int `json:"a"`
	Ended    int `json:"e"`
}

// RuleCount is how often a promise was broken.
type RuleCount struct {
	check.Rule
	Violations int `json:"violations"`
}

// Of puts the report together.
func Of(run Run, e *check.Evidence, violations []check.Violation) Report {
	r := Report{Run: run, Violations: violations, Orders: len(e.Orders), LastToFinalMS: -1, QuietMS: -1}
	if r.Violations == nil {
		r.Violations = []check.Violation{}
	}
	r.countFaults()
	r.countCalls(e)
	r.countOrders(e)
	if !e.FinalAt.IsZero() {
		r.LastToFinalMS = check.LongestToFinal(e).Milliseconds()
	}
	if !e.QuietAt.IsZero() {
		r.QuietMS = max(e.QuietAt.Sub(e.LastFault), 0).Milliseconds()
	}
	for _, rule := range check.Rules() {
		n := 0
		for _, v := range violations {
			if v.Rule == rule.Name {
				n++
			}
		}
		r.Rules = append(r.Rules, RuleCount{rule, n})
	}
	r.judge()
	return r
}

func (r *Report) countFaults() {
	kinds := map[string]Count{}
	for _, f := range r.Faults {
		c := kinds[string(f.Kind)]
		c.Name = string(f.Kind)
		if f.Error == "" {
			c.Count++
			r.FaultsDone++
		}
		c.LongestMS = max(c.LongestMS, f.Ready.Sub(f.End).Milliseconds())
		kinds[c.Name] = c
	}
	r.FaultKinds = ranked(kinds)
}

func ranked(m map[string]Count) []Count {
	list := make([]Count, 0, len(m))
	for _, c := range m {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return list
}

func (r *Report) countCalls(e *check.Evidence) {
	calls, accepted := map[history.Op]CallCount{}, map[string]bool{}
	for i := range e.Calls {
		c := &e.Calls[i]
		n := calls[c.Op]
		n.Op = c.Op
		switch c.End.Outcome {
		case history.OK:
			n.OK++
		case history.Fail:
			n.Fail++
		default:
			n.Unknown++
		}
		calls[c.Op] = n
		if c.Accepted() && !accepted[c.End.Order] {
			accepted[c.End.Order] = true
			r.second(c.End.At).Accepted++
		}
	}
	r.Accepted = len(accepted)
	for _, c := range calls {
		r.Calls = append(r.Calls, c)
	}
	slices.SortFunc(r.Calls, func(a, b CallCount) int { return cmp.Or(cmp.Compare(b.OK, a.OK), cmp.Compare(a.Op, b.Op)) })
}

// second is the one of that moment; what is before the run counts for its first.
func (r *Report) second(at time.Time) *Second {
	i := max(int(at.Sub(r.Begin)/time.Second), 0)
	for len(r.Seconds) <= i {
		r.Seconds = append(r.Seconds, Second{})
	}
	return &r.Seconds[i]
}

func (r *Report) countOrders(e *check.Evidence) {
	outcomes := map[string]Count{}
	for i := range e.Orders {
		name := e.Orders[i].Status
		if e.Orders[i].Reason != "" {
			name += ", " + e.Orders[i].Reason
		}
		c := outcomes[name]
		c.Name = name
		c.Count++
		outcomes[name] = c
	}
	r.Outcomes = ranked(outcomes)
	seen := make(map[string]bool, len(e.Events))
	begun, ended := map[string]time.Time{}, map[string]time.Time{}
	for i := range e.Events {
		v := &e.Events[i]
		if seen[v.ID] {
			r.Repeats++
			continue
		}
		seen[v.ID] = true
		r.Events++
		switch {
		case v.Type == "OrderCreated":
			begun[v.Subject] = v.At
		case v.Type == "OrderCompleted", v.Type == "StockIncreased", v.Type == "OrderCancelled" && v.Undo == "NOTHING":
			if at, there := ended[v.Subject]; !there || v.At.Before(at) {
				ended[v.Subject] = v.At
			}
		}
	}
	var times []time.Duration
	for order, at := range ended {
		times = append(times, at.Sub(begun[order]))
		r.second(at).Ended++
	}
	slices.Sort(times)
	for _, share := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
		if len(times) > 0 {
			at := min(int(share*float64(len(times))), len(times)-1)
			r.ToFinal = append(r.ToFinal, Percentile{share, times[at].Milliseconds()})
		}
	}
}

func (r *Report) judge() {
	if r.FaultsDone < max(r.LeastFaults, 1) {
		r.TooLittle = append(r.TooLittle, fmt.Sprintf("%d faults were done, %d should be", r.FaultsDone, max(r.LeastFaults, 1)))
	}
	if r.Accepted < max(r.LeastOrders, 1) {
		r.TooLittle = append(r.TooLittle, fmt.Sprintf("%d orders were accepted, %d should be", r.Accepted, max(r.LeastOrders, 1)))
	}
	switch {
	case len(r.Violations) > 0:
		r.Verdict = fmt.Sprintf("%d violations", len(r.Violations))
	case len(r.Errors) > 0:
		r.Verdict = "the run failed: " + r.Errors[0]
	case len(r.TooLittle) > 0:
		r.Verdict = "no violation, but " + r.TooLittle[0]
	default:
		r.Verdict = "no violation"
	}
}

// Passed says that every promise was kept and that enough was done to say so.
func (r *Report) Passed() bool {
	return len(r.Violations) == 0 && len(r.Errors) == 0 && len(r.TooLittle) == 0
}

// Write writes report.json and report.html into a folder.
func Write(dir string, r Report) error {
	encoded, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), encoded, 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer file.Close()
	if err := page.Execute(file, newView(r)); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return file.Close()
}
