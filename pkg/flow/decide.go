package flow

import (
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// Emission is one event a decision emits, with its cause.
type Emission struct {
	ID      string
	Cause   string
	Message proto.Message
	// Erased: the value is null, and Message says of which type and subject. See Erase.
	Erased bool
}

// Outcome is what one decision asks for.
type Outcome struct {
	Reply     Reply
	Events    []Emission
	Calls     []Call
	Withdrawn []Withdrawal
}

// Decide runs the one function that is declared for the input. An undeclared event or call, an input
// nobody declared, and a panic come back as *fault.PanicError: deterministic mistakes of the code or
// of the event, for which the caller parks the subject and goes on with the others. Nothing of the outcome
// is kept then, but the World may be half changed: it must not be saved, nor decided on again.
func (d *Definition[W]) Decide(w *W, in Input) (out Outcome, err error) {
	if r, is := in.Msg.(Resend); is {
		return d.resend(r, in.Meta), nil
	}
	h := d.byInput[reflect.TypeOf(in.Msg)]
	if h == nil {
		return out, &fault.PanicError{Where: d.name, Value: fmt.Errorf("no decide function for %T", in.Msg)}
	}
	err = fault.Guard(h.fn, func() error {
		// run has taken what was asked for if it came so far. If not, the calls would otherwise be found
		// by the next decision on this World, and be its own.
		defer drop(w)
		return h.run(w, in, &out)
	})
	if err != nil {
		return Outcome{}, err
	}
	return out, nil
}

// run calls the function and holds what it returns against what it declared.
func (h *Handler[W]) run(w *W, in Input, out *Outcome) error {
	reply, events := h.decide(w, in.Msg, in.Meta)
	out.Reply = reply
	for i, e := range events {
		message, cause := Unwrap(e)
		reflected := message.ProtoReflect()
		name := reflected.Descriptor().FullName()
		if !reflected.IsValid() {
			// It would encode as an event with every field empty.
			return fmt.Errorf("emitted a nil %s", name)
		}
		if !slices.Contains(h.emits, name) {
			return fmt.Errorf("emitted %s, which it does not declare", name)
		}
		if IsErased(e) && !slices.Contains(h.erases, name) {
			return fmt.Errorf("erased a subject of %s, which it does not declare", name)
		}
		if cause == "" && h.kind != KindCommand {
			cause = in.Meta.Cause
		}
		out.Events = append(out.Events, Emission{ID: in.Meta.EventID(i), Cause: cause, Message: message, Erased: IsErased(e)})
	}
	if c, ok := any(w).(caller); ok {
		out.Calls, out.Withdrawn = c.take()
	}
	for _, call := range out.Calls {
		if !slices.Contains(h.calls, call.Kind) {
			return fmt.Errorf("asked for the call %q, which it does not declare", call.Kind)
		}
	}
	return nil
}
