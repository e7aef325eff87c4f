package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Edge is one line of a service's part: what comes in, what may go out.
type Edge struct {
	Kind  Kind
	Input string // full event type, or the Go name of a command, answer or deadline
	Func  string // the decide function, as package.Name
	Emits []string
	Calls []string
	// Erases are those of Emits whose subjects the function may erase; Erased: the input is a null value.
	Erases []string
	Erased bool
}

// Topology is a Definition without its World: what drawings, topic lists and checks are made from.
type Topology struct {
	Service string
	Edges   []Edge
	// Listens names the topics a listener takes whole, whatever is on them.
	Listens []string
}

// Topology describes the definition.
func (d *Definition[W]) Topology() Topology {
	t := Topology{Service: d.name, Listens: slices.Clone(d.listens)}
	for _, h := range d.handlers {
		if h.listens != nil {
			continue
		}
		e := Edge{Kind: h.kind, Input: h.name, Func: h.fn, Calls: slices.Clone(h.calls), Erased: h.erased != nil}
		for _, name := range h.emits {
			e.Emits = append(e.Emits, string(name))
		}
		for _, name := range h.erases {
			e.Erases = append(e.Erases, string(name))
		}
		t.Edges = append(t.Edges, e)
	}
	return t
}

// Topics lists the topics a service reads, sorted, without prefix.
func (t Topology) Topics() []string {
	topics := slices.Clone(t.Listens)
	for _, e := range t.Edges {
		if e.Kind == KindEvent {
			topics = append(topics, Topic(e.Input))
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Published lists the topics a service publishes on, sorted, without prefix: one, or one for each version of
// its events while it publishes two side by side.
func (t Topology) Published() []string {
	var topics []string
	for _, e := range t.Edges {
		for _, name := range e.Emits {
			topics = append(topics, Topic(name))
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// Check refuses a choreography in which somebody waits for an event that nobody emits, or in which an
// event is emitted that nobody takes (a listener takes everything on its topics), or in which somebody
// listens to a topic that nobody publishes on.
func Check(all ...Topology) error {
	emitted, consumed := map[string]bool{}, map[string]bool{}
	listened, published := map[string]bool{}, map[string]bool{}
	for _, t := range all {
		for _, topic := range t.Listens {
			listened[topic] = true
		}
		for _, e := range t.Edges {
			for _, name := range e.Emits {
				emitted[name] = true
				published[Topic(name)] = true
			}
			if e.Kind == KindEvent {
				consumed[e.Input] = true
			}
		}
	}
	var wrong []string
	for name := range consumed {
		if !emitted[name] {
			wrong = append(wrong, fmt.Sprintf("%s is consumed, but no service emits it", name))
		}
	}
	for name := range emitted {
		if !consumed[name] && !listened[Topic(name)] {
			wrong = append(wrong, fmt.Sprintf("%s is emitted, but no service takes it", name))
		}
	}
	for topic := range listened {
		if !published[topic] {
			wrong = append(wrong, fmt.Sprintf("%s is listened to, but no service publishes on it", topic))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("flow: %s", strings.Join(wrong, "; "))
}
