package explorer

import (
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/order"
)

// Result is what the search of one variant found.
type Result struct {
	Variant string
	// States seen, until the violation if there is one.
	States int
	// Edges followed.
	Edges int
	// Decisions is how many different (service, world, input) were decided.
	Decisions int
	// Ends is how many states nothing has to follow.
	Ends int
	// Violation is nil where everything holds.
	Violation *Violation
}

// Violation is a rule that does not hold, with a shortest way to it.
type Violation struct {
	Rule  string
	Trace []string
}

// Error says which rule, and how to get there.
func (v *Violation) Error() string {
	text := v.Rule
	for i, line := range v.Trace {
		text += fmt.Sprintf("\n%4d  %s", i+1, line)
	}
	return text
}

// action is how a state was reached from the one before it, small enough to be kept for each.
type action struct {
	kind    uint8
	service uint8
	input   uint16
	// index is the move's place among those of its state.
	index uint8
}

// The kinds of action.
const (
	doRead = iota
	doCommand
	doAnswer
	doMove
	doAgain
)

// search is one run over one variant.
type search struct {
	*tables
	system   *system
	commands []action
	// once: nothing is read again. For mutants that are to be found without it.
	once bool

	index  map[state]uint32
	states []state
	parent []uint32
	by     []action
	// must holds the edges that happen sooner or later, as (from, to).
	must [][2]uint32
	ends []uint32

	edges     int
	violation *Violation
	local     map[localKey]struct{}
	ending    map[endKey]string
	waiting   map[waitKey]string
	// outcomes seen, with the first end of each.
	outcomes map[string]uint32
}

// Explore searches one variant to the end, or to the first violation.
func Explore(v Variant) Result { return newSearch(newSystem(v)).run() }

func newSearch(sys *system) *search {
	s := &search{
		tables: newTables(sys.machines()), system: sys,
		index: map[state]uint32{}, local: map[localKey]struct{}{}, ending: map[endKey]string{},
		waiting: map[waitKey]string{}, outcomes: map[string]uint32{},
	}
	for _, c := range commands() {
		s.commands = append(s.commands, action{kind: doCommand, service: uint8(c.service), input: s.input(c.name, c.in)})
	}
	return s
}

func (s *search) run() Result {
	s.start()
	for at := uint32(0); int(at) < len(s.states) && s.violation == nil; at++ {
		s.expand(at)
	}
	if s.violation == nil {
		s.checkEndsReachable()
	}
	if s.violation == nil {
		s.checkOutcomes()
	}
	if s.violation == nil {
		s.checkMails()
	}
	return Result{
		Variant: s.system.variant.Name, States: len(s.states), Edges: s.edges, Decisions: len(s.decisions),
		Ends: len(s.ends), Violation: s.violation,
	}
}

// start places the order.
func (s *search) start() {
	var first state
	if s.system.variant.PayType == order.Transfer {
		first.transfer = 1
	}
	for i, data := range s.system.variant.worlds() {
		first.world[i] = s.world(i, data)
	}
	place := s.system.variant.place()
	in := s.input("the customer places the order", flow.Input{
		Kind: flow.KindCommand, Subject: orderID, Msg: place, Meta: flow.Meta{Now: now, Cause: "place"},
	})
	s.add(first, 0, action{}, false)
	next, rule := s.apply(first, atOrder, in)
	if rule == "" && next.topic[atOrder] == 0 {
		rule = "the order is not accepted"
	}
	if rule != "" {
		s.violation = &Violation{Rule: rule}
		return
	}
	s.states, s.parent, s.by = nil, nil, nil
	clear(s.index)
	s.must = nil
	s.add(next, 0, action{kind: doCommand, service: atOrder, input: in}, false)
}

// add notes a state, if it is new, and the edge to it.
func (s *search) add(next state, from uint32, by action, must bool) {
	next.settle()
	at, known := s.index[next]
	if !known {
		at = uint32(len(s.states))
		s.index[next] = at
		s.states = append(s.states, next)
		s.parent = append(s.parent, from)
		s.by = append(s.by, by)
	}
	if must && at != from {
		s.must = append(s.must, [2]uint32{from, at})
	}
}

// expand follows everything that can happen in a state, and checks what must hold in it.
func (s *search) expand(at uint32) {
	now := s.states[at]
	mustBefore := len(s.must)
	follow := func(next state, rule string, by action, must bool) bool {
		s.edges++
		if rule != "" {
			s.fail(at, by, rule)
			return false
		}
		s.add(next, at, by, must)
		return true
	}
	if rule := s.checkWaiting(&now); rule != "" {
		s.violation = &Violation{Rule: rule, Trace: s.trace(at)}
		return
	}
	for service := range services {
		if service == atCoupon && s.system.variant.CouponDown {
			continue
		}
		for topic := range services {
			taken := s.lists[topic][now.topic[topic]].taken[service]
			if n := int(now.read[service][topic]); n < len(taken) {
				in := s.events[taken[n]].input
				next := now
				next.read[service][topic]++
				next, rule := s.apply(next, service, in)
				if !follow(next, rule, action{kind: doRead, service: uint8(service), input: in}, true) {
					return
				}
			}
		}
		if !s.checkRepeats(at, &now, service) {
			return
		}
	}
	for _, c := range s.commands {
		next, rule := s.apply(now, int(c.service), c.input)
		clock := s.inputs[c.input].in.Kind == flow.KindDeadline
		// Where somebody may never answer, the deadline surely passes.
		if !follow(next, rule, c, clock && (s.system.variant.CouponDown || now.transfer != 0)) {
			return
		}
	}
	for i, m := range moves(&now) {
		next, in, rule := s.make(now, m)
		if !follow(next, rule, action{kind: doMove, service: uint8(m.service), input: in, index: uint8(i)}, m.must) {
			return
		}
	}
	if len(s.must) == mustBefore {
		s.ends = append(s.ends, at)
		if rule := s.checkEnd(at); rule != "" {
			s.violation = &Violation{Rule: rule, Trace: s.trace(at)}
		}
	}
}

// moves lists everything the world outside can do in a state.
func moves(s *state) []move {
	var all []move
	for kind := range callKinds {
		if s.callState(kind) == pending {
			all = append(all, answers(s, kind)...)
		}
	}
	return append(all, spontaneous(s)...)
}

// make makes a move outside, and lets the service hear of it.
func (s *search) make(next state, m move) (state, uint16, string) {
	m.change(&next)
	if m.answer == nil {
		return next, 0, ""
	}
	kind := flow.KindCommand
	if m.kind >= 0 {
		kind = flow.KindAnswer
		next.setCall(m.kind, answered)
	}
	in := s.input(fmt.Sprintf("%T%+v", m.answer, m.answer), flow.Input{
		Kind: kind, Subject: orderID, Msg: m.answer, Meta: flow.Meta{Now: now},
	})
	next, rule := s.apply(next, m.service, in)
	return next, in, rule
}

// apply lets a service decide, and puts what it emits and asks for where it belongs. It returns the rule
// that was broken, if one was.
func (s *search) apply(next state, service int, in uint16) (state, string) {
	d := s.decide(service, next.world[service], in)
	if d.err != nil {
		return next, d.err.Error()
	}
	next.world[service] = d.world
	for _, kind := range d.withdrawn {
		if next.callState(kind) != pending {
			continue
		}
		next.setCall(kind, withdrawn)
		// A worker may have claimed the call before it was taken back, and still send it.
		switch kind {
		case callCharge:
			next.late |= lateCharge
		case callBook:
			next.late |= lateBooking
		}
	}
	for _, a := range d.asks {
		// There is one call of a kind per order, for ever: asked again, it changes nothing.
		if next.callState(a.kind) == notAsked {
			next.call[a.kind] = uint8(a.body)<<2 | pending
		}
	}
	for _, e := range d.emits {
		if rule := s.checkEmit(&next, e, in); rule != "" {
			return next, rule
		}
		topic := s.events[e].topic
		next.topic[topic] = s.grow(topic, next.topic[topic], e)
	}
	return next, ""
}

type localKey struct {
	service int
	world   uint16
	topic   [services]uint16
	read    [services]uint8
}

// checkRepeats lets a service read everything again that it has read, around its inbox: nothing may come
// of it. As nothing does, any number of repetitions at any moment is covered.
func (s *search) checkRepeats(at uint32, now *state, service int) bool {
	if s.once {
		return true
	}
	key := localKey{service: service, world: now.world[service], read: now.read[service]}
	for topic := range services {
		if key.read[topic] > 0 {
			key.topic[topic] = now.topic[topic]
		}
	}
	if _, done := s.local[key]; done {
		return true
	}
	s.local[key] = struct{}{}
	for topic := range services {
		taken := s.lists[topic][now.topic[topic]].taken[service]
		for _, e := range taken[:now.read[service][topic]] {
			d := s.decide(service, now.world[service], s.events[e].input)
			if !d.idle(now.world[service]) {
				s.fail(at, action{kind: doAgain, service: uint8(service), input: s.events[e].input},
					fmt.Sprintf("a repeated event changes something: %s reads %s again", serviceNames[service], s.events[e].name))
				return false
			}
		}
	}
	return true
}

func (s *search) fail(at uint32, by action, rule string) {
	s.violation = &Violation{Rule: rule, Trace: append(s.trace(at), s.describe(s.states[at], by))}
}

// checkEndsReachable looks from every state for a way to an end along what has to happen. A state without
// one waits for ever, however busy it is.
func (s *search) checkEndsReachable() {
	good := make([]bool, len(s.states))
	for _, at := range s.ends {
		good[at] = true
	}
	// Edges are in the order of their states; backwards, nearly all of it is done in one pass.
	for changed := true; changed; {
		changed = false
		for _, edge := range slices.Backward(s.must) {
			if good[edge[1]] && !good[edge[0]] {
				good[edge[0]], changed = true, true
			}
		}
	}
	if at := slices.Index(good, false); at >= 0 {
		s.violation = &Violation{Rule: "no end is reachable from here", Trace: s.trace(uint32(at))}
	}
}
