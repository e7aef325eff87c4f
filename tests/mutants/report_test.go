package mutants

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The report is sorted by the list of lines, counts what was not killed, and both of its forms can be read.
func TestReport(t *testing.T) {
	t.Parallel()
	r := NewReport(time.Unix(0, 0), "abc", time.Minute, []Result{
		{Name: "of no line", Kind: "S", Proof: "explorer", Killed: true, States: 7},
		{Name: "late", Lines: []string{"34a", "36"}, Kind: "I", Rule: "a|b", Proof: "./p ^(A|B)$", Killed: true},
		{Name: "survivor", Lines: []string{"12"}, Kind: "S", Proof: "simulator"},
		{Name: "broken", Lines: []string{"2"}, Kind: "I", Proof: "./p", Error: "does not compile"},
		{Name: "seeded", Lines: []string{"12"}, Kind: "S", Proof: "simulator", Killed: true, Seeds: 1},
	})
	var names []string
	for _, result := range r.Results {
		names = append(names, result.Name)
	}
	if got := strings.Join(names, ", "); got != "broken, survivor, seeded, late, of no line" || r.Total != 5 || r.Killed != 3 {
		t.Errorf("%d of %d were killed: %s", r.Killed, r.Total, got)
	}
	dir := t.TempDir()
	if err := r.JSON(filepath.Join(dir, "m.json")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "m.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || len(again.Results) != 5 || again.Results[2].Seeds != 1 {
		t.Errorf("%v: %+v", err, again)
	}
	if err := r.Markdown(filepath.Join(dir, "docs", "m.md")); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "docs", "m.md")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Run of 1970-01-01 00:00 UTC at commit abc: 5 mutants, 3 killed, in 1m0s.",
		"| 2 | broken |  | I `./p` |  | **error** |", "| 12 | survivor |  | S `simulator` |  | **survived** |",
		"| 12 | seeded |  | S `simulator` | 1 seed | yes |", "| 34a, 36 | late | a\\|b | I `./p ^(A\\|B)$` |  | yes |",
		"| choreography | of no line |  | S `explorer` | 7 states | yes |", "| 46 | A neighbour service forges events |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the table lacks %q:\n%s", want, text[:2000])
		}
	}
}
