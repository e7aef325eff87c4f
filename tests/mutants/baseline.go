package mutants

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// group is proofs that are run together where there is no mutant: those of one package.
type group struct {
	whole  Proof
	proofs []Proof
}

// groups puts together what can be: tests of a package with the same flags, whole tests where a proof is a part of one;
// and the simulator, for as many seeds as any mutant is given.
func groups(all []Mutant) []group {
	var found []group
	for _, m := range all {
		p := m.Proof
		i := slices.IndexFunc(found, func(g group) bool {
			return p.Package != "" && g.whole.Package == p.Package && slices.Equal(g.whole.Flags, p.Flags) || g.proofs[0].key() == p.key()
		})
		switch {
		case i < 0:
			found = append(found, group{whole: p, proofs: []Proof{p}})
		case !slices.ContainsFunc(found[i].proofs, func(q Proof) bool { return q.key() == p.key() }):
			g := &found[i]
			if len(g.proofs) == 1 {
				g.whole.Run = top(g.whole.Run)
			}
			if run := top(p.Run); !slices.Contains(strings.Split(g.whole.Run, "|"), run) {
				g.whole.Run += "|" + run
			}
			g.whole.Timeout = max(g.whole.Timeout, p.Timeout, 10*time.Minute)
			g.proofs = append(g.proofs, p)
		default:
			found[i].whole.Seeds = max(found[i].whole.Seeds, p.Seeds)
		}
	}
	return found
}

// top is what -run says of whole tests, without their parts.
func top(run string) string {
	name, _, _ := strings.Cut(run, "/")
	return name
}

// baselines runs every proof as it is. What fails then would fail with any mutant, and show nothing. Of a group that
// fails, each proof is run alone.
func (r Runner) baselines(ctx context.Context, all []Mutant) map[string]error {
	found := groups(all)
	failed := make([]map[string]error, len(found))
	results := make([]Result, len(found))
	r.each(ctx, len(found), func(i int) {
		g, began := found[i], time.Now()
		failed[i] = map[string]error{}
		if err := r.baseline(ctx, g.whole); err != nil && len(g.proofs) == 1 {
			failed[i][g.proofs[0].key()] = err
		} else if err != nil {
			for _, p := range g.proofs {
				if err := r.baseline(ctx, p); err != nil {
					failed[i][p.key()] = err
				}
			}
		}
		name := g.whole.String()
		if len(g.proofs) > 1 {
			name = fmt.Sprintf("%d proofs of %s", len(g.proofs), g.whole.Package)
		}
		results[i] = Result{Name: "without a mutant: " + name, Killed: true, Seconds: time.Since(began).Seconds()}
		for key, err := range failed[i] {
			results[i].Error += fmt.Sprintf("%s: %v\n", key, err)
		}
	}, func(i int) { r.Tell(results[i]) })
	errs := map[string]error{}
	for _, some := range failed {
		for key, err := range some {
			errs[key] = err
		}
	}
	return errs
}

func (r Runner) baseline(ctx context.Context, p Proof) error {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	o, err := prove(ctx, r.Root, dir, "", p)
	if err == nil && o.failed {
		err = fmt.Errorf("%s", o.first)
	}
	return err
}
