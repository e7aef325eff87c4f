package explorer

import (
	"cmp"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// mutant is one seeded mistake: a rule taken out of the real functions, which the search has to notice.
type mutant struct {
	name string
	// in is the variant to search.
	in  string
	put func(*system)
	// late: it is to be found without any repetition too, by an event that comes late.
	late bool
}

// TestMutants seeds one mistake at a time and wants it found, with a way to it that a person can follow.
func TestMutants(t *testing.T) {
	t.Parallel()
	all := slices.Concat(subscriptionMutants(), orderMutants(), stockMutants(), couponMutants(), paymentMutants(),
		shippingMutants(), fieldMutants())
	if len(all) < 40 {
		t.Errorf("there are %d mutants, at least 40 are wanted", len(all))
	}
	names := map[string]bool{}
	for _, m := range all {
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.find(t, false)
			if m.late {
				m.find(t, true)
			}
		})
	}
}

func (m mutant) find(t *testing.T, once bool) {
	t.Helper()
	system := newSystem(variant(t, m.in))
	m.put(system)
	search := newSearch(system)
	search.once = once
	r := search.run()
	if r.Violation == nil {
		t.Fatalf("not found in %d states of %q (nothing read again: %v)", r.States, m.in, once)
	}
	t.Logf("found after %d states, %d steps: %v", r.States, len(r.Violation.Trace), r.Violation)
}

func variant(t *testing.T, name string) Variant {
	t.Helper()
	all := Variants()
	i := slices.IndexFunc(all, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("there is no variant %q", name)
	}
	return all[i]
}

// drop ends a subscription.
func drop[W any](s *service[W], events ...flow.Event) {
	s.dropped = map[string]bool{}
	for _, e := range events {
		s.dropped[string(e.ProtoReflect().Descriptor().FullName())] = true
	}
}

// on runs a change of what a decision sees, for inputs of one type.
func on[E any, W any](s *service[W], change func(w *W, e E)) {
	s.before = func(w *W, in *flow.Input) {
		if e, ok := in.Msg.(E); ok {
			if m, isEvent := any(e).(proto.Message); isEvent {
				e = proto.Clone(m).(E)
				in.Msg = e
			}
			change(w, e)
		}
	}
}

// onValue is on for inputs that are values: answers, commands. What change returns is decided on.
func onValue[A any, W any](s *service[W], change func(w *W, a A) A) {
	s.before = func(w *W, in *flow.Input) {
		if a, ok := in.Msg.(A); ok {
			in.Msg = change(w, a)
		}
	}
}

// after runs a change of what a decision of an input type did.
func after[E any, W any](s *service[W], change func(was, w *W, out *flow.Outcome)) {
	s.after = func(was, w *W, in flow.Input, out *flow.Outcome) {
		if _, ok := in.Msg.(E); ok {
			change(was, w, out)
		}
	}
}

// blind hides a row from the decisions on one type of input: the guard finds nothing.
func blind[E any, W any, R any](s *service[W], table func(*W) *flow.Rows[string, R], hidden func(R) bool) {
	hiding := false
	s.before = func(w *W, in *flow.Input) {
		row, known := table(w).Get(orderID)
		_, hiding = in.Msg.(E)
		hiding = hiding && known && hidden(row)
		if hiding {
			*table(w) = without(*table(w), orderID)
		}
	}
	s.after = func(was, w *W, _ flow.Input, _ *flow.Outcome) {
		if _, known := table(w).Get(orderID); !known && hiding {
			row, _ := table(was).Get(orderID)
			table(w).Put(orderID, row)
		}
	}
}

// forget removes a row after a decision, where it is one that was not there before.
func forget[W any, R any](s *service[W], table func(*W) *flow.Rows[string, R], which func(R) bool) {
	s.after = func(was, w *W, _ flow.Input, _ *flow.Outcome) {
		_, before := table(was).Get(orderID)
		if row, known := table(w).Get(orderID); known && !before && which(row) {
			*table(w) = without(*table(w), orderID)
		}
	}
}

func without[K cmp.Ordered, R any](rows flow.Rows[K, R], key K) flow.Rows[K, R] {
	var rest flow.Rows[K, R]
	for k, row := range rows.All() {
		if k != key {
			rest.Loaded(k, row)
		}
	}
	return rest
}

// edit changes every emitted event of one type.
func edit[E flow.Event, W any](s *service[W], change func(e E)) {
	s.after = func(_, _ *W, _ flow.Input, out *flow.Outcome) {
		for i := range out.Events {
			if e, ok := out.Events[i].Message.(E); ok {
				e = proto.Clone(e).(E)
				change(e)
				out.Events[i].Message = e
			}
		}
	}
}

// mute drops emitted events of one type where the condition holds.
func mute[E flow.Event, W any](s *service[W], when func(e E) bool) {
	s.after = func(_, _ *W, _ flow.Input, out *flow.Outcome) {
		out.Events = slices.DeleteFunc(out.Events, func(em flow.Emission) bool {
			e, ok := em.Message.(E)
			return ok && when(e)
		})
	}
}

// uncall drops calls of a kind.
func uncall[W any](s *service[W], kind string) {
	s.after = func(_, _ *W, _ flow.Input, out *flow.Outcome) {
		out.Calls = slices.DeleteFunc(out.Calls, func(c flow.Call) bool { return c.Kind == kind })
	}
}

// revert undoes a whole decision: the input is ignored.
func revert[W any](was, w *W, out *flow.Outcome) {
	reflect.ValueOf(w).Elem().Set(reflect.ValueOf(was).Elem())
	*out = flow.Outcome{}
}

func always[E any](E) bool { return true }
