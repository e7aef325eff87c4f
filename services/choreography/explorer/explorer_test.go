package explorer

import (
	"os"
	"testing"
	"time"
)

func TestVariants(t *testing.T) {
	t.Parallel()
	for _, v := range Variants() {
		if os.Getenv("ONLY") != "" && os.Getenv("ONLY") != v.Name {
			continue
		}
		start := time.Now()
		r := Explore(v)
		t.Logf("%-60s %8d states %9d edges %6d decisions %6d ends %v", v.Name, r.States, r.Edges, r.Decisions, r.Ends, time.Since(start))
		if r.Violation != nil {
			t.Errorf("%s: %v", v.Name, r.Violation)
		}
	}
}
