package flow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// shelf is a World with one table and calls.
type shelf struct {
	flow.Calls
	Left flow.Rows[string, int]
}

// restock, labelled and expire are a command, an answer and a deadline; do is what the decision does.
type (
	restock struct {
		id string
		do func(*shelf, flow.Meta) (flow.Reply, []flow.Event)
	}
	labelled struct{ id string }
	expire   struct{ id string }
)

func (c restock) Subject() string  { return c.id }
func (a labelled) Subject() string { return a.id }
func (d expire) Subject() string   { return d.id }

func onRestock(w *shelf, c restock, m flow.Meta) (flow.Reply, []flow.Event) { return c.do(w, m) }

func onLabelled(*shelf, labelled, flow.Meta) []flow.Event {
	return []flow.Event{&stockv1.StockDecreased{}, flow.Because("opened", &stockv1.StockDecreased{})}
}

func onExpire(*shelf, expire, flow.Meta) []flow.Event {
	return []flow.Event{&stockv1.StockIncreased{}}
}

func onOrderCreated(w *shelf, e *orderv1.OrderCreated, _ flow.Meta) []flow.Event {
	w.Left.Put(e.GetOrderId(), 1)
	return []flow.Event{
		&stockv1.StockDecreased{OrderId: e.GetOrderId()},
		flow.Because("another", &stockv1.StockIncreased{OrderId: e.GetOrderId()}),
	}
}

func onOrderCancelled(*shelf, *orderv1.OrderCancelled, flow.Meta) []flow.Event { return nil }

// toy is a service with an input of every kind.
func toy() *flow.Definition[shelf] {
	return flow.Service("stock",
		flow.On(onOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv1.StockIncreased{}),
		flow.On(onOrderCancelled),
		flow.OnCommand(onRestock).Emits(&stockv1.StockRestocked{}).Calls("label"),
		flow.OnAnswer(onLabelled).Emits(&stockv1.StockDecreased{}),
		flow.OnDeadline(onExpire).Emits(&stockv1.StockIncreased{}),
	)
}

// of is an input as the engine makes it: event ids are "id-0", "id-1" and so on.
func of(msg any) flow.Input {
	return flow.Input{Msg: msg, Meta: flow.Meta{
		Now: time.Unix(0, 0), Cause: "cause", IDs: func(i int) string { return fmt.Sprintf("id-%d", i) },
	}}
}

// refused checks that a decision failed as deciding code fails, with a text, and that nothing is left of it.
func refused(t *testing.T, out flow.Outcome, err error, text string) *fault.PanicError {
	t.Helper()
	var panicked *fault.PanicError
	if !errors.As(err, &panicked) {
		t.Fatalf("error %v: want a *fault.PanicError", err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not say %q", err, text)
	}
	if out.Reply != (flow.Reply{}) || out.Events != nil || out.Calls != nil || out.Withdrawn != nil {
		t.Errorf("something of the outcome is left: %+v", out)
	}
	return panicked
}

// panics runs do and checks that it panics with a text.
func panics(t *testing.T, text string, do func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if said := fmt.Sprint(recover()); !strings.Contains(said, text) {
			t.Errorf("panicked with %q: want %q", said, text)
		}
	}()
	do()
}
