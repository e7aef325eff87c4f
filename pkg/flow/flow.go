// Package flow declares what a service does: which events, commands, answers and deadlines it takes,
// which pure function decides each, and which events and outside calls that function may ask for.
//
// A service states this once, in its topology.go:
//
//	var Topology = flow.Service("stock",
//		flow.On(OnOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv1.StockDecreaseFailed{}),
//		flow.On(OnOrderCancelled).Emits(&stockv1.StockIncreased{}),
//	)
//
// The engine runs the very same value that the explorer searches and that the drawing, the topic
// list and the access rules are generated from, so none of them can say something else than the code.
package flow

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Event is a fact to be published: the protobuf message itself, or one wrapped by Because.
type Event = proto.Message

// Command is a request that came by HTTP (or a provider's webhook) and is decided like an event.
type Command interface {
	// Subject is the id whose lock the command takes: the order's, or the product's.
	Subject() string
}

// Kind tells how an input reaches a service.
type Kind int

// The kinds of input, in the order in which a drawing lists them.
const (
	KindEvent    Kind = iota + 1 // a record of a topic
	KindCommand                  // HTTP, answered after COMMIT
	KindAnswer                   // the outcome of a call outside
	KindDeadline                 // a wait that is over, by the database's clock
)

func (k Kind) String() string {
	names := [...]string{"", "event", "command", "answer", "deadline"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

// Handler binds one type of input to the function that decides it. It is made by On, OnCommand,
// OnAnswer and OnDeadline and completed with Emits and Calls.
type Handler[W any] struct {
	kind  Kind
	input reflect.Type
	name  string
	fn    string
	emits []protoreflect.FullName
	calls []string
	// erases are those of emits that may be erased; erased makes the input of an OnErased handler.
	erases []protoreflect.FullName
	erased func(subject string) any
	// listens names the topics of a Listen handler.
	listens []string
	relaxed bool
	// concerns is nil where every event of the type concerns the service.
	concerns func(msg any) bool
	decide   func(w *W, msg any, m Meta) (Reply, []Event)
}

// Emits declares the event types the function may return. Returning any other is an error that
// stops the input, not the process: see Definition.Decide.
func (h *Handler[W]) Emits(samples ...Event) *Handler[W] {
	for _, s := range samples {
		h.emits = append(h.emits, s.ProtoReflect().Descriptor().FullName())
	}
	return h
}

// Calls declares the kinds of outside call the function may ask for.
func (h *Handler[W]) Calls(kinds ...string) *Handler[W] {
	h.calls = append(h.calls, kinds...)
	return h
}

// Relaxed says that nobody waits for what is decided here: such inputs let a little time pass to be decided
// together with more of their kind. What comes before one of them in its partition may make it go at once.
func (h *Handler[W]) Relaxed() *Handler[W] {
	h.relaxed = true
	return h
}

// On binds a decide function to an event type. Events for which one of the conditions does not hold are none of
// the service's business: they are read past like those of a type that it does not take, without a lock or a
// row. So a condition may only look at the event, and only rule out what the function would have ignored in every
// state of the World.
func On[W any, E proto.Message](decide func(*W, E, Meta) []Event, conditions ...func(E) bool) *Handler[W] {
	var zero E
	h := &Handler[W]{
		kind: KindEvent, input: reflect.TypeFor[E](), fn: funcName(decide),
		name: string(zero.ProtoReflect().Descriptor().FullName()),
		decide: func(w *W, msg any, m Meta) (Reply, []Event) {
			return Reply{}, decide(w, msg.(E), m)
		},
	}
	if len(conditions) > 0 {
		h.concerns = func(msg any) bool {
			return !slices.ContainsFunc(conditions, func(holds func(E) bool) bool { return !holds(msg.(E)) })
		}
	}
	return h
}

// OnCommand binds a decide function to a command type. Its reply is what the caller is answered.
func OnCommand[W any, C Command](decide func(*W, C, Meta) (Reply, []Event)) *Handler[W] {
	t := reflect.TypeFor[C]()
	return &Handler[W]{
		kind: KindCommand, input: t, name: t.Name(), fn: funcName(decide),
		decide: func(w *W, msg any, m Meta) (Reply, []Event) { return decide(w, msg.(C), m) },
	}
}

// OnAnswer binds a decide function to the outcome of an outside call.
func OnAnswer[W any, A Command](decide func(*W, A, Meta) []Event) *Handler[W] {
	return local(KindAnswer, decide)
}

// OnDeadline binds a decide function to a deadline. The sweeper reads due ids without claiming them,
// so the function looks again whether the wait is still on.
func OnDeadline[W any, D Command](decide func(*W, D, Meta) []Event) *Handler[W] {
	return local(KindDeadline, decide)
}

func local[W any, I Command](kind Kind, decide func(*W, I, Meta) []Event) *Handler[W] {
	t := reflect.TypeFor[I]()
	return &Handler[W]{
		kind: kind, input: t, name: t.Name(), fn: funcName(decide),
		decide: func(w *W, msg any, m Meta) (Reply, []Event) {
			return Reply{}, decide(w, msg.(I), m)
		},
	}
}

// funcName is the decide function's name as a reader finds it: stock.OnOrderCreated.
func funcName(f any) string {
	full := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return full[strings.LastIndexByte(full, '/')+1:]
}

// Definition is a service's declared part in the choreography. W is its World.
type Definition[W any] struct {
	name     string
	handlers []*Handler[W]
	byInput  map[reflect.Type]*Handler[W]
	byEvent  map[string]*Handler[W]
	byErased map[string]*Handler[W]
	listens  []string
}

// Service declares a service. It panics on two handlers for one input, on an event that is declared as
// emitted but belongs to another service, on an event taken that belongs to none, and on a listener that
// names no topic or has an On beside it: mistakes of a programmer, found at start.
func Service[W any](name string, handlers ...*Handler[W]) *Definition[W] {
	d := &Definition[W]{
		name: name, handlers: handlers,
		byInput: map[reflect.Type]*Handler[W]{}, byEvent: map[string]*Handler[W]{}, byErased: map[string]*Handler[W]{},
	}
	for _, h := range handlers {
		if d.byInput[h.input] != nil {
			panic(fmt.Sprintf("flow: service %s has two handlers for %s", name, h.name))
		}
		d.byInput[h.input] = h
		switch {
		case h.input == recordType:
			d.listens = h.listens
		case h.erased != nil:
			d.byErased[h.name] = h
		case h.kind == KindEvent:
			d.byEvent[h.name] = h
		}
		if h.kind == KindEvent && h.input != recordType && Owner(h.name) == "" {
			panic(fmt.Sprintf("flow: service %s takes %s, which no service may emit", name, h.name))
		}
		for _, e := range h.emits {
			if owner := Owner(string(e)); owner != name {
				panic(fmt.Sprintf("flow: service %s declares to emit %s, which only %s may", name, e, owner))
			}
		}
	}
	if d.Listens() && len(d.byEvent)+len(d.byErased) > 0 {
		// A listener is given every record undecoded, so the On functions would never be called.
		panic(fmt.Sprintf("flow: service %s has a listener and takes events beside it", name))
	}
	return d
}

// Name is the service's name, for example "stock".
func (d *Definition[W]) Name() string { return d.name }

// Consumes says whether the service has a decide function for an event type (its ce_type).
func (d *Definition[W]) Consumes(eventType string) bool {
	return d.byEvent[eventType] != nil || d.byErased[eventType] != nil || d.Listens()
}

// Concerns says whether a decoded event is the service's business; see On.
func (d *Definition[W]) Concerns(msg any) bool {
	h := d.byInput[reflect.TypeOf(msg)]
	return h == nil || h.concerns == nil || h.concerns(msg)
}

// Relaxed says whether nobody waits for what is decided on the input; see Handler.Relaxed.
func (d *Definition[W]) Relaxed(msg any) bool {
	h := d.byInput[reflect.TypeOf(msg)]
	return h != nil && h.relaxed
}

// Unhurried says whether nobody waits for anything that the service decides on events.
func (d *Definition[W]) Unhurried() bool {
	return !slices.ContainsFunc(d.handlers, func(h *Handler[W]) bool { return h.kind == KindEvent && !h.relaxed })
}

// OtherVersion says whether the service takes an event of this name, but in another version: such an
// event is parked, never dropped, as somebody published what this service ought to understand.
func (d *Definition[W]) OtherVersion(eventType string) bool {
	got := strings.Split(eventType, ".")
	if len(got) != 4 || d.Consumes(eventType) {
		return false
	}
	for name := range d.byEvent {
		want := strings.Split(name, ".")
		if got[0] == want[0] && got[1] == want[1] && got[3] == want[3] {
			return true
		}
	}
	return false
}

// Listens says whether the service takes whole topics as Records instead of decoded events.
func (d *Definition[W]) Listens() bool { return d.listens != nil }

// Owner is the service that may emit an event type: the second word of its package
// (quadrille.stock.v1.StockDecreased is stock's).
func Owner(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) != 4 || parts[0] != "quadrille" {
		return ""
	}
	return parts[1]
}

// Topic is the topic an event type is published on, without the configured prefix:
// quadrille.stock.v1.StockDecreased goes to stock.v1. A new major version is a new topic.
func Topic(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) != 4 || parts[0] != "quadrille" {
		return ""
	}
	return parts[1] + "." + parts[2]
}
