package flow_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

var label = flow.Call{Subject: "p", Kind: "label", Body: "large", After: time.Second}

// What a decision asks for beside an undeclared thing is dropped with it, and none of it is found by
// the next decision on the same World.
func TestDecideRefuses(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("broken")
	ok := flow.Reply{Status: 200}
	cases := []struct {
		name, text string
		do         func(*shelf, flow.Meta) (flow.Reply, []flow.Event)
	}{
		{"undeclared event", "emitted quadrille.stock.v1.LowStockReached, which it does not declare", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) {
			return ok, []flow.Event{&stockv1.StockRestocked{}, &stockv1.LowStockReached{}}
		}},
		{"undeclared event with a cause", "StockDecreased, which it does not declare", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) {
			return ok, []flow.Event{flow.Because("x", &stockv1.StockDecreased{})}
		}},
		{"another handler's event", "emitted quadrille.stock.v1.StockIncreased", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) {
			return ok, []flow.Event{&stockv1.StockIncreased{}}
		}},
		{"undeclared call", `asked for the call "charge", which it does not declare`, func(w *shelf, _ flow.Meta) (flow.Reply, []flow.Event) {
			w.Call(flow.Call{Subject: "p", Kind: "charge"})
			return ok, []flow.Event{&stockv1.StockRestocked{}}
		}},
		{"nil message", "emitted a nil quadrille.stock.v1.StockRestocked", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) {
			return ok, []flow.Event{(*stockv1.StockRestocked)(nil)}
		}},
		{"nil event", "nil pointer", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) { return ok, []flow.Event{nil} }},
		{"panic with a text", "out of luck", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) { panic("out of luck") }},
		{"panic with an error", "broken", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) { panic(errBroken) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, w := toy(), &shelf{}
			out, err := d.Decide(w, of(restock{"p", func(w *shelf, m flow.Meta) (flow.Reply, []flow.Event) {
				w.Call(label)
				w.Withdraw("p", "label")
				return c.do(w, m)
			}}))
			p := refused(t, out, err, c.text)
			if p.Where != "flow_test.onRestock" {
				t.Errorf("the error is about %s", p.Where)
			}
			if fault.Classify(err) != fault.Deterministic {
				t.Error("the error would be tried again for ever")
			}
			if c.name == "panic with an error" && !errors.Is(err, errBroken) {
				t.Error("the error panicked with cannot be found in the chain")
			}
			next, err := d.Decide(w, of(expire{"p"}))
			if err != nil || next.Calls != nil || next.Withdrawn != nil {
				t.Errorf("the next decision has the refused one's calls: %+v, %v", next, err)
			}
		})
	}
}

func TestDecideRefusesInputsNobodyDeclared(t *testing.T) {
	t.Parallel()
	for _, msg := range []any{nil, "text", &orderv1.OrderCompleted{}, orderv1.UndoFrom_UNDO_FROM_STOCK, &restock{}, &expire{}, flow.Record{}} {
		out, err := toy().Decide(&shelf{}, of(msg))
		p := refused(t, out, err, fmt.Sprintf("no decide function for %T", msg))
		if p.Where != "stock" {
			t.Errorf("%T: the error is about %s", msg, p.Where)
		}
	}
}

// An event's cause is what was handled, unless the decision knows better. A command has no event that
// caused it: the caller of Decide says what stands there.
func TestCauses(t *testing.T) {
	t.Parallel()
	command := restock{"p", func(_ *shelf, m flow.Meta) (flow.Reply, []flow.Event) {
		if m.EventID(1) != "id-1" || m.Cause != "cause" {
			t.Errorf("a decision sees event id %s and cause %s", m.EventID(1), m.Cause)
		}
		return flow.Reply{Status: 201}, []flow.Event{&stockv1.StockRestocked{}, flow.Because("waited", &stockv1.StockRestocked{})}
	}}
	cases := []struct {
		input any
		want  string
	}{
		{&orderv1.OrderCreated{OrderId: "o"}, "id-0 StockDecreased cause; id-1 StockIncreased another; "},
		{&orderv1.OrderCancelled{}, ""},
		{command, "id-0 StockRestocked ; id-1 StockRestocked waited; "},
		{labelled{"p"}, "id-0 StockDecreased cause; id-1 StockDecreased opened; "},
		{expire{"p"}, "id-0 StockIncreased cause; "},
	}
	for _, c := range cases {
		out, err := toy().Decide(&shelf{}, of(c.input))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range out.Events {
			got += fmt.Sprintf("%s %s %s; ", e.ID, e.Message.ProtoReflect().Descriptor().Name(), e.Cause)
		}
		if got != c.want {
			t.Errorf("%T gives %q, want %q", c.input, got, c.want)
		}
	}
}

func TestBecause(t *testing.T) {
	t.Parallel()
	e := &stockv1.StockIncreased{OrderId: "o"}
	for _, c := range []struct {
		event flow.Event
		cause string
	}{
		{e, ""},
		{flow.Because("", e), ""},
		{flow.Because("a", e), "a"},
		{flow.Because("", flow.Because("a", e)), "a"},
		{flow.Because("b", flow.Because("a", e)), "b"},
	} {
		// The very message, not a wrapper of it: an encoder that looks at its Go type would not know that.
		if message, cause := flow.Unwrap(c.event); message != flow.Event(e) || cause != c.cause {
			t.Errorf("unwrapped to %T because of %q, want %T because of %q", message, cause, e, c.cause)
		}
	}
}

// Each decision has its own calls, in the order in which it asked.
func TestCallsAreTakenPerDecision(t *testing.T) {
	t.Parallel()
	d, w := toy(), &shelf{}
	asks := func(subjects ...string) restock {
		return restock{"p", func(w *shelf, _ flow.Meta) (flow.Reply, []flow.Event) {
			for _, s := range subjects {
				w.Call(flow.Call{Subject: s, Kind: "label"})
				w.Withdraw(s, "charge") // taking back needs no declaration
			}
			return flow.Reply{Status: 200}, nil
		}}
	}
	for _, subjects := range [][]string{{"a", "b"}, nil, {"a"}} {
		out, err := d.Decide(w, of(asks(subjects...)))
		if err != nil {
			t.Fatal(err)
		}
		var want flow.Outcome
		for _, s := range subjects {
			want.Calls = append(want.Calls, flow.Call{Subject: s, Kind: "label"})
			want.Withdrawn = append(want.Withdrawn, flow.Withdrawal{Subject: s, Kind: "charge"})
		}
		want.Reply.Status = 200
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("asked for %v: %s", subjects, diff)
		}
	}
}

// A refusal is an answer, not an error.
func TestRefuse(t *testing.T) {
	t.Parallel()
	no := &fault.Refusal{Status: 409, Code: "taken"}
	out, err := toy().Decide(&shelf{}, of(restock{"p", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) { return flow.Refuse(no) }}))
	if err != nil || out.Reply.Status != 409 || out.Reply.Refusal != no || out.Events != nil {
		t.Errorf("refusing gives %+v, %v", out, err)
	}
}

// A World need not embed Calls, and a listener decides about records.
func TestListen(t *testing.T) {
	t.Parallel()
	type seen struct{ ids []string }
	topics := []string{"stock.v1", "order.v1"}
	d := flow.Service("gateway", flow.Listen(topics, func(w *seen, r flow.Record, _ flow.Meta) []flow.Event {
		w.ids = append(w.ids, r.ID+" of "+r.Subject())
		return nil
	}))
	topics[0] = "changed later"
	w := &seen{}
	if _, err := d.Decide(w, of(flow.Record{ID: "1", Type: "quadrille.stock.v1.Whatever", SubjectID: "o"})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 of o"}, w.ids); diff != "" {
		t.Error(diff)
	}
	if !d.Listens() || !d.Consumes("anything at all") || d.OtherVersion("quadrille.stock.v2.StockDecreased") {
		t.Error("a listener takes every event, in every version")
	}
	want := flow.Topology{Service: "gateway", Listens: []string{"stock.v1", "order.v1"}}
	if diff := cmp.Diff(want, d.Topology()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"order.v1", "stock.v1"}, d.Topology().Topics()); diff != "" {
		t.Error(diff)
	}
	out, err := d.Decide(w, of(&orderv1.OrderCreated{}))
	if p := refused(t, out, err, "no decide function"); p.Where != "gateway" {
		t.Errorf("the error is about %s", p.Where)
	}
}
