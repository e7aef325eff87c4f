package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// Table is the result for a person.
func (r *Result) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, commit %s; %d cores, %s, %d MB; PostgreSQL %s, Apache Kafka %s, %s\n\n",
		r.Time.Format("2006-01-02 15:04 UTC"), r.Commit, r.Machine.Cores, r.Machine.CPU, r.Machine.MemoryMB, r.Machine.Postgres, r.Machine.Kafka, r.Machine.Go)
	table := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "what\tgoal\tmeasured\t")
	for _, g := range r.Goals {
		mark := "missed"
		if g.Met {
			mark = "met"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", g.Name, g.Goal, g.Measured, mark)
	}
	_ = table.Flush() // into memory
	return b.String()
}

// Tolerance is by how much a ratio may be below the stored one. It is wide: on two cores that others use too, a run
// can be half as fast as the one beside it, and a mistake of the kind this is for (a statement, a transaction or a
// produce request per order) costs nine tenths.
const Tolerance = .50

// Check holds the ratios to the floor against those of a stored result. Absolute rates are the machine's and are not
// looked at.
func (r *Result) Check(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the baseline: %w", err)
	}
	var base Result
	if err := json.Unmarshal(raw, &base); err != nil {
		return fmt.Errorf("read the baseline: %w", err)
	}
	var errs []error
	for _, c := range []struct {
		name     string
		now, was float64
	}{
		{"ratio_to_floor", r.Figures.RatioToFloor, base.Figures.RatioToFloor},
		{"ratio_rest_to_floor", r.Figures.RatioRESTToFloor, base.Figures.RatioRESTToFloor},
		{"ratio_hot_product", r.Figures.RatioHot, base.Figures.RatioHot},
		{"ratio_sold_out", r.Figures.RatioSoldOut, base.Figures.RatioSoldOut},
	} {
		if c.now == 0 {
			continue // not measured this time
		}
		fmt.Printf("%-20s %.3f, was %.3f\n", c.name, c.now, c.was)
		if c.now < c.was*(1-Tolerance) {
			errs = append(errs, fmt.Errorf("%s is %.3f, and was %.3f: more than %.0f %% less", c.name, c.now, c.was, Tolerance*100))
		}
	}
	return errors.Join(errs...)
}
