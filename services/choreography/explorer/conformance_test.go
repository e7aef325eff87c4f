package explorer

import (
	"fmt"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/gateway"
)

// Whatever the services do in any interleaving, the gateway finds nothing against it: the rules that it derives from
// the declaration forbid no event that the real decide functions emit, with the cause that they give it.
func TestConformanceForbidsNothingThatHappens(t *testing.T) {
	t.Parallel()
	rules := gateway.NewRules(choreography.Topologies(), time.Minute)
	for _, v := range Variants() {
		if v.Large {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			s := newSearch(newSystem(v))
			if r := s.run(); r.Violation != nil {
				t.Fatal(r.Violation)
			}
			byID, root := map[string][]event{}, ""
			for _, e := range s.events {
				byID[e.id] = append(byID[e.id], e)
				if e.name == "OrderCreated" {
					root = e.id
				}
			}
			held := map[string]bool{}
			for key, d := range s.decisions {
				for _, n := range d.emits {
					kind := s.inputs[key.input].in.Kind
					if id := fmt.Sprint(n, kind); !held[id] {
						held[id] = true
						hold(t, rules, s.events[n], kind, byID, root)
					}
				}
			}
			if len(held) < 2 {
				t.Errorf("only %d events were held against the rules", len(held))
			}
		})
	}
}

// hold files one event as the engine would have published it. An id is an event of one type on one path and of another
// type on another, as a decision has different outcomes; the cause has to be legal as one of them.
func hold(t *testing.T, rules *gateway.Rules, e event, kind flow.Kind, byID map[string][]event, root string) {
	t.Helper()
	r := flow.Record{
		ID: "the event", Type: e.full, Topic: flow.Topic(e.full), Source: "/quadrille/" + flow.Owner(e.full), SubjectID: orderID,
		Time: now, Sequence: 1, CausationID: e.cause, CorrelationID: root,
	}
	if kind == flow.KindCommand {
		r.CommandID = "a command"
		if e.name == "OrderCreated" {
			r.CorrelationID = r.ID
		} else if r.CausationID == "" {
			r.CausationID = root // as emit of the engine does
		}
	}
	if r.CausationID == "" {
		if wrong := wrong(rules, r, gateway.Known{}); wrong != "" {
			t.Errorf("%s by a %s: %s", e.name, kind, wrong)
		}
		return
	}
	var all []string
	for _, cause := range byID[r.CausationID] {
		wrong := wrong(rules, r, gateway.Known{ID: cause.id, Subject: orderID, Type: cause.full})
		if wrong == "" {
			return
		}
		all = append(all, wrong)
	}
	t.Errorf("%s by a %s because of %q: %v", e.name, kind, r.CausationID, all)
}

func wrong(rules *gateway.Rules, r flow.Record, cause gateway.Known) string {
	w := &gateway.World{Rules: rules}
	w.Causes.Loaded(cause.ID, cause)
	gateway.OnEvent(w, r, flow.Meta{Now: now})
	for _, f := range w.Findings.All() {
		return string(f.Rule) + ": " + f.Detail
	}
	if c, _ := w.Checks.Get(orderID); len(c.Doubts) > 0 {
		return fmt.Sprintf("doubted: %+v", c.Doubts)
	}
	return ""
}
