package explorer

import "testing"

// TestVariants searches the variants that take a second or two; `make explore` searches all. What they came to is held
// against the handlers' conditions.
func TestVariants(t *testing.T) {
	t.Parallel()
	var all visited
	t.Run("search", func(t *testing.T) {
		for _, v := range Variants() {
			if v.Large {
				continue
			}
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel()
				s := newSearch(newSystem(v))
				r := s.run()
				if r.Violation != nil {
					t.Fatal(r.Violation)
				}
				t.Logf("%d states, %d steps, %d decisions, %d ends", r.States, r.Edges, r.Decisions, r.Ends)
				all.add(s)
			})
		}
	})
	t.Run("conditions hide nothing", all.hideNothing)
}

// TestLargeVariantsCoverNothingElse: a large variant may be left out of `go test` only where a smaller
// one has the same outcomes.
func TestLargeVariantsCoverNothingElse(t *testing.T) {
	t.Parallel()
	small := map[string]bool{}
	for _, v := range Variants() {
		for _, outcome := range v.Outcomes {
			small[outcome] = small[outcome] || !v.Large
		}
	}
	for outcome, covered := range small {
		if !covered {
			t.Errorf("only a large variant ends as %s", outcome)
		}
	}
}
