// Package flowtest runs decide functions in tests: one input on a world, and what came of it in one line.
package flowtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// Now is the moment at which everything in a test happens, unless it says otherwise.
var Now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// At decides one input at a moment, through the definition, so that an undeclared emission fails. Ids are
// "id-0", "id-1" and so on, the cause is "cause".
func At[W any](t testing.TB, def *flow.Definition[W], w *W, msg any, now time.Time) flow.Outcome {
	t.Helper()
	out, err := def.Decide(w, flow.Input{Msg: msg, Meta: flow.Meta{
		Now: now, Cause: "cause", IDs: func(i int) string { return fmt.Sprintf("id-%d", i) },
	}})
	if err != nil {
		t.Fatalf("decide %T: %v", msg, err)
	}
	return out
}

// Decide is At with the moment Now.
func Decide[W any](t testing.TB, def *flow.Definition[W], w *W, msg any) flow.Outcome {
	t.Helper()
	return At(t, def, w, msg, Now)
}

// Told says what a decision asked for: the events by name, then the calls it took back and asked for, as
// in "OrderCancelled -charge +void_charge"; "" for nothing.
func Told(out flow.Outcome) string {
	var words []string
	for _, e := range out.Events {
		words = append(words, string(e.Message.ProtoReflect().Descriptor().Name()))
	}
	for _, w := range out.Withdrawn {
		words = append(words, "-"+w.Kind)
	}
	for _, c := range out.Calls {
		words = append(words, "+"+c.Kind)
	}
	return strings.Join(words, " ")
}

// Event finds the one event of type E that a decision emitted.
func Event[E proto.Message](t testing.TB, out flow.Outcome) E {
	t.Helper()
	for _, e := range out.Events {
		if m, ok := e.Message.(E); ok {
			return m
		}
	}
	var none E
	t.Fatalf("no %T among %q", none, Told(out))
	return none
}

// Covered fails for every input of the definition, commands aside, that a table of cases leaves out.
// Names are those of the topology's inputs: full event types, Go names of answers and deadlines.
func Covered[W any](t testing.TB, def *flow.Definition[W], names map[string]bool) {
	t.Helper()
	for _, e := range def.Topology().Edges {
		if e.Kind != flow.KindCommand && !names[e.Input] {
			t.Errorf("no case for %s", e.Input)
		}
	}
}

// Name is an input's name in a topology.
func Name(msg any) string {
	if e, ok := msg.(proto.Message); ok {
		return string(e.ProtoReflect().Descriptor().FullName())
	}
	full := fmt.Sprintf("%T", msg)
	return full[strings.LastIndexByte(full, '.')+1:]
}

// Stamp is the moment some seconds after Now, as events carry it.
func Stamp(seconds int) *timestamppb.Timestamp {
	return timestamppb.New(Now.Add(time.Duration(seconds) * time.Second))
}
