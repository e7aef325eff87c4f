package mailer

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
)

// Every fact is mailed once, whatever became of its mail; the answer to a mail is kept once.
func TestEveryStateMeetsEveryInput(t *testing.T) {
	t.Parallel()
	events := map[Kind]flow.Event{
		Completed:  &orderv1.OrderCompleted{OrderId: "o", UserId: "u"},
		Cancelled:  &orderv1.OrderCancelled{OrderId: "o", UserId: "u"},
		Dispatched: &shippingv1.ShipmentDispatched{OrderId: "o", UserId: "u"},
		Delivered:  &shippingv1.ShipmentDelivered{OrderId: "o", UserId: "u"},
		Refunded:   &paymentv1.PaymentRefunded{OrderId: "o", UserId: "u"},
	}
	names := map[string]bool{flowtest.Name(Mailed{}): true}
	for kind, event := range events {
		names[flowtest.Name(event)] = true
		if got := KindOf(flowtest.Name(event)); got != kind {
			t.Errorf("%s is mailed as %q, want %q", flowtest.Name(event), got, kind)
		}
		for _, state := range []State{"", Waiting, Sent, Undeliverable, Skipped, Bounced} {
			given := func() *World {
				w := &World{}
				if state != "" {
					w.Mails.Loaded(MailKey("o", kind), Mail{OrderID: "o", Kind: kind, State: state})
				}
				return w
			}
			then := func(what string, in any, told string, after State) {
				w := given()
				out := flowtest.Decide(t, Topology, w, in)
				mail, _ := w.Mails.Get(MailKey("o", kind))
				if flowtest.Told(out) != told || mail.State != after || w.Mails.Len() > 1 {
					t.Errorf("%s in state %q: %q and %q, want %q and %q", what, state, flowtest.Told(out), mail.State, told, after)
				}
			}
			want, sent, lost := "", state, state
			switch state {
			case "":
				want = "+" + CallOf(kind)
				then(flowtest.Name(event), event, want, Waiting)
			case Waiting:
				sent, lost = Sent, Undeliverable
				fallthrough
			default:
				then(flowtest.Name(event), event, "", state)
			}
			then("sent", Mailed{OrderID: "o", Kind: kind, Outcome: IsSent}, "", sent)
			then("undeliverable", Mailed{OrderID: "o", Kind: kind, Outcome: IsUndeliverable}, "", lost)
		}
	}
	names["quadrille.member.v1.MemberChanged"] = true // see TestMembers
	flowtest.Covered(t, Topology, names)
}

// The worker gets all a mail is made from, and the member's id: the address is looked up when it is sent.
func TestMailCall(t *testing.T) {
	t.Parallel()
	out := flowtest.Decide(t, Topology, &World{}, &orderv1.OrderCompleted{
		OrderId: "o", UserId: "u", PaymentAmount: 100, Currency: "KRW", CompletedAt: timestamppb.New(flowtest.Now),
		OrderItems: []*orderv1.OrderItem{{ProductName: "P", Quantity: 2, ProductPrice: 50}},
	})
	call := out.Calls[0].Body.(MailCall)
	if call.UserID != "u" || call.MessageKey != "mail-completed-o" || call.Data.PaymentAmount != 100 ||
		len(call.Data.Items) != 1 || !call.Data.At.Equal(flowtest.Now) || out.Calls[0].Subject != "o" {
		t.Errorf("call %v", call)
	}
	out = flowtest.Decide(t, Topology, &World{}, &orderv1.OrderCancelled{OrderId: "o", Reason: orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK})
	if reason := out.Calls[0].Body.(MailCall).Data.Reason; reason != "OUT_OF_STOCK" {
		t.Errorf("reason %q", reason)
	}
}

// Only what payment may have begun is spoken of as given back.
func TestNotCharged(t *testing.T) {
	t.Parallel()
	for from, want := range map[orderv1.UndoFrom]bool{
		orderv1.UndoFrom_UNDO_FROM_NOTHING: true, orderv1.UndoFrom_UNDO_FROM_STOCK: true, orderv1.UndoFrom_UNDO_FROM_COUPON: true,
		orderv1.UndoFrom_UNDO_FROM_PAYMENT: false, orderv1.UndoFrom_UNDO_FROM_UNSPECIFIED: false,
	} {
		out := flowtest.Decide(t, Topology, &World{}, &orderv1.OrderCancelled{OrderId: "o", UndoFrom: from})
		if got := out.Calls[0].Body.(MailCall).Data.NotCharged; got != want {
			t.Errorf("%s: not charged %v, want %v", from, got, want)
		}
	}
}
