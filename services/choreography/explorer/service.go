// Package explorer searches every interleaving of one order over the real decide functions: topics
// interleave freely, any earlier event comes again at any moment, the customer cancels and deadlines
// pass at any moment, every question outside gets every answer, late and lost ones too.
//
// It is an explicit-state search, breadth first, so the trace of a violation is a shortest one. What makes
// it fast is that services meet only through events and calls: each service's World is interned as JSON, a
// decision is run once for each (world, input) and remembered, and a state of the whole is a tuple of
// small numbers.
package explorer

import (
	"encoding/json"
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// outcome is one decision: the world after it, and what it asked for.
type outcome struct {
	world []byte
	flow.Outcome
}

// machine is a service as the search sees it, whatever its World.
type machine interface {
	consumes(eventType string) bool
	// concerns says whether the engine would have an event decided at all. The search does not ask: it has every event
	// decided, and a test of its own shows that nothing comes of those that the engine reads past.
	concerns(event any) bool
	decide(world []byte, in flow.Input) (outcome, error)
}

// service runs one definition. The fields below it are there for mutants: ways to break the service that
// the search has to notice.
type service[W any] struct {
	def *flow.Definition[W]
	// normal takes out of a world what two equal states may differ in.
	normal func(w *W)
	rows   map[uint16]*W // decoded worlds, for the checks

	// dropped event types (full names) are not subscribed to.
	dropped map[string]bool
	// before changes what the decision sees.
	before func(w *W, in *flow.Input)
	// after changes what it did; was is the world before it.
	after func(was, w *W, in flow.Input, out *flow.Outcome)
}

func (s *service[W]) consumes(eventType string) bool {
	return s.def.Consumes(eventType) && !s.dropped[eventType]
}

func (s *service[W]) concerns(event any) bool { return s.def.Concerns(event) }

func (s *service[W]) decide(world []byte, in flow.Input) (outcome, error) {
	w, err := decode[W](world)
	if err != nil {
		return outcome{}, err
	}
	if s.before != nil {
		s.before(w, &in)
	}
	out, err := s.def.Decide(w, in)
	if err != nil {
		return outcome{}, err
	}
	if s.after != nil {
		was, err := decode[W](world)
		if err != nil {
			return outcome{}, err
		}
		s.after(was, w, in, &out)
	}
	if s.normal != nil {
		s.normal(w)
	}
	after, err := json.Marshal(w)
	if err != nil {
		return outcome{}, fmt.Errorf("encode the world of %s: %w", s.def.Name(), err)
	}
	return outcome{world: after, Outcome: out}, nil
}

func decode[W any](world []byte) (*W, error) {
	w := new(W)
	if err := json.Unmarshal(world, w); err != nil {
		return nil, fmt.Errorf("decode a world: %w", err)
	}
	return w, nil
}

// row is a world by its number, decoded once.
func (s *service[W]) row(number uint16, worlds [][]byte) *W {
	if w := s.rows[number]; w != nil {
		return w
	}
	w, err := decode[W](worlds[number])
	if err != nil {
		panic(err) // encoded by decide
	}
	if s.rows == nil {
		s.rows = map[uint16]*W{}
	}
	s.rows[number] = w
	return w
}
