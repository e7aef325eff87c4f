package explorer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// trace tells the way from the start to a state, one line for each thing that happened.
func (s *search) trace(at uint32) []string {
	var way []uint32
	for n := at; ; n = s.parent[n] {
		way = append(way, n)
		if n == 0 {
			break
		}
	}
	slices.Reverse(way)
	lines := []string{"the customer places the order: order emits OrderCreated"}
	for i := 1; i < len(way); i++ {
		lines = append(lines, s.describe(s.states[way[i-1]], s.by[way[i]]))
	}
	return lines
}

// describe tells what one action does in a state.
func (s *search) describe(from state, by action) string {
	var line string
	in := s.inputs[by.input]
	switch by.kind {
	case doRead, doAgain:
		line = fmt.Sprintf("%s reads %s", serviceNames[by.service], name(in.in.Msg))
		if by.kind == doAgain {
			line += " again"
		}
	case doCommand:
		line = in.name
	case doMove:
		m := moves(&from)[by.index]
		line = m.name
		if m.answer == nil {
			return line
		}
		m.change(&from)
	}
	return line + s.effect(s.decide(int(by.service), from.world[by.service], by.input), from.world[by.service])
}

// effect tells what came of a decision.
func (s *search) effect(d *decision, was uint16) string {
	if d.err != nil {
		return ": " + d.err.Error()
	}
	var parts []string
	for _, e := range d.emits {
		parts = append(parts, "emits "+s.events[e].name)
	}
	for _, kind := range d.withdrawn {
		parts = append(parts, "takes back the call "+callNames[kind])
	}
	for _, a := range d.asks {
		parts = append(parts, "asks for the call "+callNames[a.kind])
	}
	switch {
	case len(parts) > 0:
		return ": " + strings.Join(parts, ", ")
	case d.world == was:
		return ": nothing comes of it"
	}
	return ""
}

func name(msg any) string {
	if e, ok := msg.(flow.Event); ok {
		return string(e.ProtoReflect().Descriptor().Name())
	}
	return fmt.Sprintf("%T", msg)
}
