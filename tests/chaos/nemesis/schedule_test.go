package nemesis

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

func two(string) int { return 2 }

func steps(plan Plan, lane, count int) []Step {
	var out []Step
	for s := range Schedule(plan, lane, two) {
		if out = append(out, s); len(out) == count {
			break
		}
	}
	return out
}

func TestAScheduleFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	first := steps(Plan{Seed: 7}, 0, 500)
	if diff := cmp.Diff(first, steps(Plan{Seed: 7}, 0, 500)); diff != "" {
		t.Errorf("another schedule the second time:\n%s", diff)
	}
	if slices.Equal(first, steps(Plan{Seed: 8}, 0, 500)) {
		t.Error("seed 8 has the schedule of seed 7")
	}
	if slices.Equal(first, steps(Plan{Seed: 7}, 1, 500)) {
		t.Error("both lanes do the same")
	}
}

func TestAScheduleHasEveryKindAndKeepsToItsLimits(t *testing.T) {
	t.Parallel()
	seen, ordinals := map[Kind]int{}, map[int]bool{}
	var spent time.Duration
	all := append(steps(Plan{Seed: 1}, 0, 1000), steps(Plan{Seed: 1}, 1, 1000)...)
	for _, s := range all {
		spec := specs[s.Kind]
		seen[s.Kind]++
		if ordinals[s.Ordinal] {
			t.Errorf("ordinal %d twice", s.Ordinal)
		}
		ordinals[s.Ordinal] = true
		if s.Hold < spec.min || s.Hold > spec.max || s.Replica < 0 || s.Replica > 1 {
			t.Errorf("%+v is outside of its limits", s)
		}
		if s.Target != "" && !slices.Contains(cluster.Targets(s.Service), s.Target) {
			t.Errorf("%s has no way to %s", s.Service, s.Target)
		}
		spent += s.Rest + s.Hold
	}
	for _, kind := range Kinds() {
		if seen[kind] == 0 {
			t.Errorf("%s never comes", kind)
		}
	}
	// Two lanes: half the time between two faults.
	if each := spent / time.Duration(len(all)) / lanes; each < 4*second || each > 9*second {
		t.Errorf("a fault every %s", each)
	}
}

func TestUnknownKindsAreRefused(t *testing.T) {
	t.Parallel()
	if err := Check([]Kind{Kill, "earthquake"}); err == nil {
		t.Error("an earthquake was accepted")
	}
	for _, s := range steps(Plan{Only: []Kind{Cut}}, 0, 50) {
		if s.Kind != Cut {
			t.Errorf("%s, although only cut was asked for", s.Kind)
		}
	}
}
