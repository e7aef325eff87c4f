package flow_test

import (
	"slices"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

func onGone(w *shelf, e flow.Erased[*stockv1.ProductListed], _ flow.Meta) []flow.Event {
	w.Left.Put(e.SubjectID, -1)
	return nil
}

// erasing may erase what it lists, and only that.
func erasing() *flow.Definition[shelf] {
	return flow.Service("stock",
		flow.OnCommand(onRestock).Erases(&stockv1.ProductListed{}).Emits(&stockv1.StockRestocked{}),
		flow.OnErased(onGone),
	)
}

func restocking(events ...flow.Event) flow.Input {
	return of(restock{"p", func(*shelf, flow.Meta) (flow.Reply, []flow.Event) { return flow.Reply{}, events }})
}

func TestErase(t *testing.T) {
	t.Parallel()
	listed := &stockv1.ProductListed{ProductId: "p"}
	for name, e := range map[string]flow.Event{
		"": flow.Erase(listed), "cause": flow.Because("cause", flow.Erase(listed)),
		"first": flow.Erase(flow.Because("first", listed)), "last": flow.Because("last", flow.Erase(flow.Because("first", listed))),
	} {
		if message, cause := flow.Unwrap(e); message != flow.Event(listed) || cause != name || !flow.IsErased(e) {
			t.Errorf("%q: %v, %q", name, message, cause)
		}
		out, err := erasing().Decide(&shelf{}, restocking(e))
		if err != nil || len(out.Events) != 1 || !out.Events[0].Erased || out.Events[0].Cause != name {
			t.Errorf("%q: %+v, %v", name, out, err)
		}
	}
	out, err := erasing().Decide(&shelf{}, restocking(listed))
	if err != nil || flow.IsErased(listed) || out.Events[0].Erased {
		t.Errorf("an event as it is: %+v, %v", out, err)
	}
	out, err = erasing().Decide(&shelf{}, restocking(flow.Erase(&stockv1.StockRestocked{ProductId: "p"})))
	_ = refused(t, out, err, "erased a subject of quadrille.stock.v1.StockRestocked, which it does not declare")
}

func TestErasedIsAnInputOfItsOwn(t *testing.T) {
	t.Parallel()
	d, w := erasing(), &shelf{}
	const listed = "quadrille.stock.v1.ProductListed"
	msg, taken := d.Erased(listed, "p")
	if !taken || !d.Consumes(listed) || d.OtherVersion(listed) {
		t.Fatalf("taken: %v, consumed: %v", taken, d.Consumes(listed))
	}
	if _, err := d.Decide(w, flow.Input{Msg: msg}); err != nil {
		t.Fatal(err)
	}
	if left, _ := w.Left.Get("p"); left != -1 {
		t.Error("the decision was not made")
	}
	if _, taken := toy().Erased("quadrille.order.v1.OrderCreated", "o"); taken {
		t.Error("a null value is taken where only values are declared")
	}
	topology := d.Topology()
	if got := topology.Compacted(); !slices.Equal(got, []string{"stock.v1"}) || len(toy().Topology().Compacted()) > 0 {
		t.Errorf("compacted: %v", got)
	}
	if edge := topology.Edges[1]; !edge.Erased || edge.Input != listed || topology.Edges[0].Erased {
		t.Errorf("edges: %+v", topology.Edges)
	}
}

// A state that has been replaced or erased since must not come back.
func TestStatesAreNotRepeated(t *testing.T) {
	t.Parallel()
	resend := func(r flow.Resend) int {
		out, err := erasing().Decide(&shelf{}, of(r))
		if err != nil {
			t.Fatal(err)
		}
		return out.Reply.Status*10 + len(out.Events)
	}
	if got := resend(flow.Resend{Message: &stockv1.ProductListed{ProductId: "p"}, SubjectID: "p"}); got != 4040 {
		t.Errorf("a state was repeated: %d", got)
	}
	if got := resend(flow.Resend{Message: &stockv1.StockRestocked{ProductId: "p"}, SubjectID: "p"}); got != 2021 {
		t.Errorf("a step was not repeated: %d", got)
	}
}
