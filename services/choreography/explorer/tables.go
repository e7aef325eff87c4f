package explorer

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// now is the moment at which everything happens but deadlines.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// event is one event that some path emits.
type event struct {
	id      string
	cause   string
	name    string // StockDecreased
	full    string
	topic   int
	message proto.Message
	input   uint16
}

// input is anything a decision can be asked about: an event, an answer, a command, a deadline.
type input struct {
	name string
	in   flow.Input
}

// list is what stands on a topic, and what of it each service takes.
type list struct {
	events []uint16
	taken  [services][]uint16
}

// ask is a call outside that a decision asked for.
type ask struct {
	kind int
	body int
}

// decision is what one input does to one world of one service.
type decision struct {
	world     uint16
	emits     []uint16
	asks      []ask
	withdrawn []int
	err       error
}

// idle says that nothing came of it.
func (d *decision) idle(was uint16) bool {
	return d.err == nil && d.world == was && len(d.emits)+len(d.asks)+len(d.withdrawn) == 0
}

type decisionKey struct {
	service int
	world   uint16
	input   uint16
}

type growKey struct {
	list  uint16
	event uint16
}

// tables intern what states are made of.
type tables struct {
	machines [services]machine

	worlds  [services][][]byte
	worldOf [services]map[string]uint16

	events  []event
	eventOf map[string]uint16
	inputs  []input
	inputOf map[string]uint16
	lists   [services][]list
	grown   [services]map[growKey]uint16
	bodies  [callKinds][]flow.Call
	bodyOf  [callKinds]map[string]int

	decisions map[decisionKey]*decision
}

func newTables(machines [services]machine) *tables {
	t := &tables{
		machines: machines, eventOf: map[string]uint16{}, inputOf: map[string]uint16{},
		decisions: map[decisionKey]*decision{},
	}
	for i := range services {
		t.worldOf[i] = map[string]uint16{}
		t.lists[i] = []list{{}}
		t.grown[i] = map[growKey]uint16{}
	}
	for k := range callKinds {
		t.bodies[k] = []flow.Call{{}}
		t.bodyOf[k] = map[string]int{}
	}
	return t
}

// number interns a key. The tables are small; a state has room for 65,535 of each.
func number[T any](of map[string]uint16, all *[]T, key string, value func() T) uint16 {
	if n, known := of[key]; known {
		return n
	}
	n := uint16(len(*all))
	if int(n) != len(*all) {
		panic("explorer: more than 65,535 of a kind")
	}
	*all = append(*all, value())
	of[key] = n
	return n
}

func (t *tables) world(service int, data []byte) uint16 {
	return number(t.worldOf[service], &t.worlds[service], string(data), func() []byte { return data })
}

func (t *tables) input(name string, in flow.Input) uint16 {
	return number(t.inputOf, &t.inputs, name, func() input { return input{name: name, in: in} })
}

// event interns an emission.
func (t *tables) event(e flow.Emission) (uint16, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.Message)
	if err != nil {
		return 0, fmt.Errorf("encode %T: %w", e.Message, err)
	}
	d := e.Message.ProtoReflect().Descriptor()
	key := fmt.Sprintf("%s\x00%s\x00%s\x00%s", d.FullName(), e.ID, e.Cause, data)
	return number(t.eventOf, &t.events, key, func() event {
		return event{
			id: e.ID, cause: e.Cause, name: string(d.Name()), full: string(d.FullName()), message: e.Message,
			topic: slices.Index(serviceNames[:], flow.Owner(string(d.FullName()))),
			input: t.input("event "+key, flow.Input{
				Kind: flow.KindEvent, Subject: orderID, Msg: e.Message, Meta: flow.Meta{Now: now, Cause: e.ID},
			}),
		}
	}), nil
}

// grow appends an event to a topic's list.
func (t *tables) grow(topic int, from, event uint16) uint16 {
	key := growKey{from, event}
	if n, known := t.grown[topic][key]; known {
		return n
	}
	was := t.lists[topic][from]
	next := list{events: append(slices.Clone(was.events), event)}
	for i, m := range t.machines {
		next.taken[i] = was.taken[i]
		if m.consumes(t.events[event].full) {
			next.taken[i] = append(slices.Clone(was.taken[i]), event)
		}
	}
	n := uint16(len(t.lists[topic]))
	if int(n) != len(t.lists[topic]) {
		panic("explorer: more than 65,535 lists")
	}
	t.lists[topic] = append(t.lists[topic], next)
	t.grown[topic][key] = n
	return n
}

// decide runs a decision, the first time, and remembers it.
func (t *tables) decide(service int, world, in uint16) *decision {
	key := decisionKey{service, world, in}
	if d := t.decisions[key]; d != nil {
		return d
	}
	d := &decision{}
	t.decisions[key] = d
	it := t.inputs[in].in
	// Which input emitted an event says which event it is: each type is emitted once.
	it.Meta.IDs = func(i int) string { return fmt.Sprintf("%s:%T#%d", serviceNames[service], it.Msg, i) }
	out, err := t.machines[service].decide(t.worlds[service][world], it)
	if err != nil {
		d.err = err
		return d
	}
	d.world = t.world(service, out.world)
	for _, e := range out.Events {
		n, err := t.event(e)
		if err != nil {
			d.err = err
			return d
		}
		d.emits = append(d.emits, n)
	}
	for _, c := range out.Calls {
		d.asks = append(d.asks, t.ask(c))
	}
	for _, c := range out.Withdrawn {
		d.withdrawn = append(d.withdrawn, slices.Index(callNames[:], c.Kind))
	}
	return d
}

func (t *tables) ask(c flow.Call) ask {
	kind := slices.Index(callNames[:], c.Kind)
	data, err := json.Marshal(c.Body)
	if err != nil {
		panic(err) // our own struct
	}
	body, known := t.bodyOf[kind][string(data)]
	if !known {
		body = len(t.bodies[kind])
		if body > 63 {
			panic("explorer: more than 63 bodies of one kind of call")
		}
		t.bodies[kind] = append(t.bodies[kind], c)
		t.bodyOf[kind][string(data)] = body
	}
	return ask{kind, body}
}
