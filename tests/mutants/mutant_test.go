package mutants

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryMutantApplies: what a mutant takes out stands in the source, once. Whoever changes a rule's code is told
// here, within a second, that its mutant has to follow.
func TestEveryMutantApplies(t *testing.T) {
	t.Parallel()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		if len(m.Edits) == 0 {
			t.Errorf("%s: takes nothing out", m.Name)
		}
		if _, err := m.Apply(root); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

func TestMutantsAreWellFormed(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range All() {
		if names[m.Name] {
			t.Errorf("two mutants are called %q", m.Name)
		}
		names[m.Name] = true
		if m.Name == "" || m.Rule == "" || len(m.Lines) == 0 {
			t.Errorf("%q: wants a name, a rule and a line", m.Name)
		}
		if len(m.Kind) != 1 || !strings.Contains("SIPXL", m.Kind) {
			t.Errorf("%s: there is no kind of proof %q", m.Name, m.Kind)
		}
		for _, id := range m.Lines {
			if !slices.ContainsFunc(Lines, func(l Line) bool { return l.ID == id }) {
				t.Errorf("%s: there is no line %q", m.Name, id)
			}
		}
		m.Proof.check(t, m.Name)
	}
	if len(names) < 80 {
		t.Errorf("there are %d mutants: want 80 at least", len(names))
	}
}

func (p Proof) check(t *testing.T, name string) {
	t.Helper()
	kinds := 0
	for _, set := range []bool{p.Package != "", p.Seeds > 0, p.Variant != ""} {
		if set {
			kinds++
		}
	}
	if kinds != 1 || (p.Package == "") != (p.Run == "") {
		t.Errorf("%s: the proof is a test (package and -run), or a number of seeds, or a variant: %+v", name, p)
	}
	if _, err := regexp.Compile(p.Run); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// TestEveryLineHasItsMutants: each kind of proof that a line names and that a mutant can be held against has one.
func TestEveryLineHasItsMutants(t *testing.T) {
	t.Parallel()
	has := map[[2]string]bool{}
	for _, m := range All() {
		for _, id := range m.Lines {
			has[[2]string{id, m.Kind}] = true
		}
	}
	for _, l := range Lines {
		for _, kind := range strings.Split(l.Proofs, "") {
			if !strings.Contains("SIPX", kind) || kind == "" {
				continue // chaos breaks machines, not rules; L has mutants where it is a test
			}
			why, found := l.Without[kind], has[[2]string{l.ID, kind}]
			if !found && why == "" {
				t.Errorf("line %s (%s): its rule (%s) has no mutant for its proof %s", l.ID, l.Failure, l.Rule, kind)
			}
			if found && why != "" {
				t.Errorf("line %s has a mutant for %s, and a reason why it has none", l.ID, kind)
			}
		}
	}
}

// The lines that the explorer's seeded mistakes are mapped to exist.
func TestSeededLinesExist(t *testing.T) {
	t.Parallel()
	for _, of := range seeded {
		if !slices.ContainsFunc(Lines, func(l Line) bool { return l.ID == of.line }) {
			t.Errorf("there is no line %q", of.line)
		}
	}
}

// Without a mutant every proof is run, together with others of its package.
func TestGroups(t *testing.T) {
	t.Parallel()
	tests := func(p Proof) Mutant { return Mutant{Proof: p} }
	got := groups([]Mutant{
		tests(test("./a", "TestA")), tests(Proof{Seeds: 5}), tests(part("./a", "TestB", "one")), tests(test("./b", "TestC")),
		tests(Proof{Seeds: 50}), tests(test("./a", "TestA")), tests(part("./a", "TestB", "two")), tests(test("./a", "TestD", "-short")),
	})
	want := []struct {
		proofs, seeds int
		run           string
	}{{3, 0, "^(TestA)$|^TestB$"}, {1, 50, ""}, {1, 0, "^(TestC)$"}, {1, 0, "^(TestD)$"}}
	if len(got) != len(want) {
		t.Fatalf("%d groups: %+v", len(got), got)
	}
	for i, g := range got {
		if len(g.proofs) != want[i].proofs || g.whole.Seeds != want[i].seeds || g.whole.Run != want[i].run {
			t.Errorf("group %d is %+v, want %+v", i, g, want[i])
		}
	}
}
