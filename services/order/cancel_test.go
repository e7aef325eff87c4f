package order

import (
	"fmt"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
)

// The whole policy: who, and in which state.
func TestCancelOrderPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		order Order
		want  Verdict
	}{
		{"pending", Order{Status: Pending}, CancelAtOnce},
		{"completed", Order{Status: Completed}, AskShipping},
		{"asked for", Order{Status: Completed, CancelRequest: CancelRequested}, SameAgain},
		{"refused by shipping", Order{Status: Completed, CancelRequest: CancelNotAllowed}, TooLate},
		{"shipped", Order{Status: Shipped}, TooLate},
		{"shipped, asked for", Order{Status: Shipped, CancelRequest: CancelRequested}, TooLate},
		{"delivered", Order{Status: Delivered}, TooLate},
		{"cancelling", Order{Status: Cancelling}, SameAgain},
		{"cancelled", Order{Status: Cancelled}, SameAgain},
	} {
		c.order.UserID = "u"
		for _, who := range []struct {
			user     string
			operator bool
			exists   bool
			want     Verdict
		}{
			{"u", false, true, c.want},
			{"operator", true, true, c.want},
			{"somebody", false, true, NotYours},
			{"", false, true, NotYours},
			{"u", false, false, NotYours},
			{"operator", true, false, NotYours},
		} {
			if got := CancelOrderPolicy(c.order, who.exists, who.user, who.operator); got != who.want {
				t.Errorf("%s, asked by %+v: %d, want %d", c.name, who, got, who.want)
			}
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"new":                       "202 OrderCancelled CANCELLING",
		"new, coupon":               "202 OrderCancelled CANCELLING",
		"new, coupon or full price": "202 OrderCancelled CANCELLING",
		"waits for coupon":          "202 OrderCancelled CANCELLING",
		"coupon answered":           "202 OrderCancelled CANCELLING",
		"completed":                 "202 OrderCancelRequested COMPLETED",
		"cancel requested":          "202  COMPLETED",
		"shipped":                   "409  SHIPPED",
		"delivered":                 "409  DELIVERED",
		"undoing payment":           "202  CANCELLING",
		"refunding, undoing stock":  "202  CANCELLING",
		"cancelled":                 "202  CANCELLED",
	}
	for i, column := range columns {
		w := given(i)
		out := flowtest.Decide(t, Topology, w, Cancel{OrderID: "o", UserID: "u", Reason: "changed my mind"})
		o, _ := w.Orders.Get("o")
		if got := fmt.Sprintf("%d %s %s", out.Reply.Status, flowtest.Told(out), o.Status); got != want[column.name] {
			t.Errorf("%s: got %q, want %q", column.name, got, want[column.name])
		}
		if view, ok := out.Reply.Body.(View); ok && view.Version != o.Version {
			t.Errorf("%s: answered with version %d of %d", column.name, view.Version, o.Version)
		}
		again := flowtest.Decide(t, Topology, w, Cancel{OrderID: "o", UserID: "u"})
		if flowtest.Told(again) != "" || again.Reply.Status != out.Reply.Status {
			t.Errorf("%s: asked again it answers %d and emits %q", column.name, again.Reply.Status, flowtest.Told(again))
		}
		stranger := flowtest.Decide(t, Topology, given(i), Cancel{OrderID: "o", UserID: "somebody"})
		if stranger.Reply.Status != 404 || flowtest.Told(stranger) != "" {
			t.Errorf("%s: a stranger is answered %d", column.name, stranger.Reply.Status)
		}
	}
}

// What can be done next is what the policy would do.
func TestNextActions(t *testing.T) {
	t.Parallel()
	for i, column := range columns {
		o, _ := given(i).Orders.Get("o")
		verdict := CancelOrderPolicy(o, true, "u", false)
		if got := len(ViewOf(o).NextActions) == 1; got != (verdict == CancelAtOnce || verdict == AskShipping) {
			t.Errorf("%s: cancel is offered: %v", column.name, got)
		}
	}
}
