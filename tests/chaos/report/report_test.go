package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/history"
	"github.com/quadrille-io/quadrille/tests/chaos/nemesis"
	"github.com/quadrille-io/quadrille/tests/chaos/report"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }

// scene is a run of three orders and two faults, one of which did not work.
func scene() (report.Run, *check.Evidence) {
	run := report.Run{
		Seed: 7, For: 10 * time.Second, Begin: begin, End: at(30), Commit: "abc", LeastFaults: 1, LeastOrders: 2,
		Faults: []nemesis.Fault{
			{Kind: nemesis.Kill, Target: "order-1", Begin: at(2), End: at(3), Ready: at(5)},
			{Kind: nemesis.Kill, Target: "<b>", Begin: at(3), End: at(3), Ready: at(3), Error: "gone already"},
		},
		Deaths: []cluster.Death{{Service: "stock", At: at(4), How: "exit status 1", Tail: "error: recovery"}},
	}
	place := func(n int64, order string, outcome history.Outcome) history.Call {
		return history.Call{
			Invocation: history.Invocation{N: n, Op: history.Place, At: at(1)},
			End:        history.Completion{N: n, Outcome: outcome, Order: order, At: at(1)},
		}
	}
	event := func(order, name, id string, when float64) check.Event {
		return check.Event{Subject: order, Type: name, ID: id, At: at(when)}
	}
	return run, &check.Evidence{
		LastFault: at(3), FinalAt: at(9), QuietAt: at(12),
		Calls: []history.Call{place(1, "a", history.OK), place(2, "a", history.OK), place(3, "b", history.OK), place(4, "", history.Unknown)},
		Orders: []check.Order{
			{ID: "a", Status: "COMPLETED", Created: at(1)}, {ID: "b", Status: "CANCELLED", Reason: "CUSTOMER", Created: at(1)},
		},
		Events: []check.Event{
			event("a", "OrderCreated", "1", 1), event("a", "OrderCompleted", "2", 1.5), event("a", "OrderCompleted", "2", 1.5),
			event("b", "OrderCreated", "3", 1), event("b", "StockIncreased", "4", 8),
		},
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	run, e := scene()
	r := report.Of(run, e, nil)
	if r.Accepted != 2 || r.Orders != 2 || r.FaultsDone != 1 || r.Events != 4 || r.Repeats != 1 {
		t.Errorf("%d accepted, %d orders, %d faults, %d events, %d repeats", r.Accepted, r.Orders, r.FaultsDone, r.Events, r.Repeats)
	}
	if r.LastToFinalMS != 5000 || r.QuietMS != 9000 {
		t.Errorf("final after %d ms, quiet after %d ms", r.LastToFinalMS, r.QuietMS)
	}
	if last := r.ToFinal[len(r.ToFinal)-1]; last.MS != 7000 || r.ToFinal[0].MS != 7000 {
		t.Errorf("%+v", r.ToFinal)
	}
	if r.Calls[0] != (report.CallCount{Op: history.Place, OK: 3, Unknown: 1}) || len(r.Outcomes) != 2 {
		t.Errorf("%+v %+v", r.Calls, r.Outcomes)
	}
	if !r.Passed() || r.Verdict != "no violation" {
		t.Errorf("%s", r.Verdict)
	}
}

// A run passes only if it kept its promises, came to its end, and did enough to say so.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*report.Run) []check.Violation{
		"violation":       func(*report.Run) []check.Violation { return []check.Violation{{Rule: "once"}} },
		"error":           func(r *report.Run) []check.Violation { r.Errors = []string{"does not heal"}; return nil },
		"too few faults":  func(r *report.Run) []check.Violation { r.LeastFaults = 2; return nil },
		"too few orders":  func(r *report.Run) []check.Violation { r.LeastOrders = 3; return nil },
		"no faults asked": func(r *report.Run) []check.Violation { r.LeastFaults, r.Faults = 0, nil; return nil },
	} {
		run, e := scene()
		violations := change(&run)
		if r := report.Of(run, e, violations); r.Passed() || r.Verdict == "no violation" {
			t.Errorf("%s: passed", name)
		}
	}
}

func TestWritten(t *testing.T) {
	t.Parallel()
	run, e := scene()
	dir := t.TempDir()
	want := report.Of(run, e, []check.Violation{{Rule: "once", Order: "a", Sentence: "twice <i>", Evidence: []string{"event one"}}})
	if err := report.Write(dir, want); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got report.Report
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if got.Seed != 7 || len(got.Violations) != 1 || len(got.Faults) != 2 || got.Accepted != 2 {
		t.Errorf("%+v", got)
	}
	html, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1 violations", "event one", "twice &lt;i&gt;", "&lt;b&gt;", "CANCELLED, CUSTOMER", "5.0 s", "stock-0", "SEED=7", "<polyline"} {
		if !strings.Contains(string(html), text) {
			t.Errorf("the page has no %q", text)
		}
	}
	for _, outside := range []string{"http://", "https://", "<script"} {
		if strings.Contains(string(html), outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	if err := report.Write(filepath.Join(dir, "none"), want); err == nil {
		t.Error("written into a folder that is not there")
	}
}
