package explorer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/choreography"
)

// visited is what the search of all variants came to: every World of every service, every event.
type visited struct {
	mu     sync.Mutex
	worlds [services]map[string]bool
	events map[string]event
}

// add notes what a search visited.
func (v *visited) add(s *search) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, worlds := range s.worlds {
		if v.worlds[i] == nil {
			v.worlds[i] = map[string]bool{}
		}
		for _, world := range worlds {
			v.worlds[i][string(world)] = true
		}
	}
	if v.events == nil {
		v.events = map[string]event{}
	}
	for _, e := range s.events {
		v.events[e.name+"\x00"+e.id+"\x00"+e.message.(fmt.Stringer).String()] = e
	}
}

// hideNothing: the engine reads past events for which a handler's condition does not hold, without a lock or a row. So
// nothing may come of them in any state of the service, at whatever moment they come: no event, no call, and its World
// stays as it is. Held are all events of all variants against all Worlds, also those that never meet.
func (v *visited) hideNothing(t *testing.T) {
	t.Helper()
	held := map[string]int{}
	for i, m := range newSystem(Variants()[0]).machines() {
		for _, key := range slices.Sorted(maps.Keys(v.events)) {
			e := v.events[key]
			if !m.consumes(e.full) || m.concerns(e.message) {
				continue
			}
			name := serviceNames[i] + " on " + e.name
			for world := range v.worlds[i] {
				held[name]++
				if rule := changes(m, world, e); rule != "" {
					t.Fatalf("%s: the event is read past, and %s\nevent: %v\nworld: %s", name, rule, e.message, world)
				}
			}
		}
	}
	hidden := hiddenTypes()
	if len(hidden) == 0 {
		t.Error("no handler has a condition")
	}
	for _, name := range hidden {
		if held[name] == 0 {
			t.Errorf("%s has a condition, and no event came for which it does not hold", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		t.Logf("%-30s %6d decisions, nothing came of any", name, held[name])
	}
}

// changes says what would come of an event.
func changes(m machine, world string, e event) string {
	out, err := m.decide([]byte(world), flow.Input{
		Kind: flow.KindEvent, Subject: orderID, Msg: e.message,
		Meta: flow.Meta{Now: now, Cause: e.id, IDs: func(n int) string { return fmt.Sprintf("id-%d", n) }},
	})
	switch {
	case err != nil:
		return err.Error()
	case len(out.Events) > 0:
		return fmt.Sprintf("%T would come of it", out.Events[0].Message)
	case len(out.Calls)+len(out.Withdrawn) > 0:
		return fmt.Sprintf("%d calls would be asked for, %d taken back", len(out.Calls), len(out.Withdrawn))
	case string(out.world) != world:
		return fmt.Sprintf("the World would be %s", out.world)
	}
	return ""
}

// hiddenTypes names every handler that has a condition, as far as one can be told from outside: by events of each type
// with nothing in them, with something in every field, and with each value of a choice in either.
func hiddenTypes() []string {
	system := newSystem(Variants()[0])
	concerns := map[string]func(any) bool{system.mailer.def.Name(): system.mailer.concerns}
	for i, m := range system.machines() {
		concerns[serviceNames[i]] = m.concerns
	}
	var found []string
	for _, topology := range choreography.Topologies() {
		for _, edge := range topology.Edges {
			hides := func(e proto.Message) bool { return !concerns[topology.Service](e) }
			if edge.Kind == flow.KindEvent && slices.ContainsFunc(samples(edge.Input), hides) {
				found = append(found, topology.Service+" on "+edge.Input[strings.LastIndexByte(edge.Input, '.')+1:])
			}
		}
	}
	return found
}

// samples are events of one type.
func samples(eventType string) []proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(eventType))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", eventType, err)) // declared, so it is linked in
	}
	full := t.New()
	fill(full, 3)
	var all []proto.Message
	for _, base := range []protoreflect.Message{t.New(), full} {
		all = append(all, base.Interface())
		fields := base.Descriptor().Fields()
		for i := range fields.Len() {
			for _, choice := range choices(fields.Get(i)) {
				m := proto.Clone(base.Interface())
				m.ProtoReflect().Set(fields.Get(i), choice)
				all = append(all, m)
			}
		}
	}
	return all
}

// choices are the values of a field that has few.
func choices(f protoreflect.FieldDescriptor) []protoreflect.Value {
	switch {
	case f.IsList() || f.IsMap():
		return nil
	case f.Kind() == protoreflect.BoolKind:
		return []protoreflect.Value{protoreflect.ValueOfBool(false), protoreflect.ValueOfBool(true)}
	case f.Kind() == protoreflect.EnumKind:
		var all []protoreflect.Value
		for i := range f.Enum().Values().Len() {
			all = append(all, protoreflect.ValueOfEnum(f.Enum().Values().Get(i).Number()))
		}
		return all
	}
	return nil
}

// fill puts something into every field, one element into every list.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() || f.Message() != nil && depth == 0:
		case f.IsList() && f.Message() != nil:
			fill(m.Mutable(f).List().AppendMutable().Message(), depth-1)
		case f.IsList():
			m.Mutable(f).List().Append(something(f))
		case f.Message() != nil:
			fill(m.Mutable(f).Message(), depth-1)
		default:
			m.Set(f, something(f))
		}
	}
}

// something is a value that is not a field's zero.
func something(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("x")
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	}
	panic(fmt.Sprintf("%s: a kind of field that events do not have yet: %v", f.FullName(), f.Kind()))
}
