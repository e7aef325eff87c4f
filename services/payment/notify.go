package payment

import (
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnNotify takes a final word of the provider that nobody asked for. It is the outcome of whatever is still
// open about the charge, so that call is taken back, and its answer, if it still comes, finds the state
// moved on: the webhook and the synchronous answer say the same, and whichever comes second changes
// nothing. It is answered 204 also where it is ignored, or the provider would send it for ever.
//
// A capture that comes after the charge was found not to be made, and its key closed, cannot be: the
// provider said so itself. If it comes all the same, the daily reconciliation finds the money.
func OnNotify(w *World, c Notify, m flow.Meta) (flow.Reply, []flow.Event) {
	p, known := w.Payments.Get(c.OrderID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	return flow.Reply{Status: 204}, notified(w, p, c, m)
}

func notified(w *World, p Payment, c Notify, m flow.Meta) []flow.Event {
	open := map[State]string{Charging: CallCharge, Asking: CallAskCharge, Voiding: CallVoid, Closing: CallVoid, Awaiting: ""}
	kind, is := open[p.State]
	if !is || c.Outcome != Captured && c.Outcome != Declined && c.Outcome != KeyVoided {
		return nil
	}
	if kind != "" {
		w.Withdraw(p.OrderID, kind)
	}
	switch {
	case p.State == Closing:
		p.ChargeID = c.ChargeID
		return cancel(w, p, c.Outcome == Captured, m)
	case c.Outcome == Captured:
		return complete(w, p, c.ChargeID, m)
	}
	return fail(w, p, declineWord(c.Reason), m)
}

// OnNotifyRefund settles a refund that is still open. Its call, if the provider answers after all, finds it
// settled.
func OnNotifyRefund(w *World, c NotifyRefund, m flow.Meta) (flow.Reply, []flow.Event) {
	p, known := w.Payments.Get(c.OrderID)
	if !known {
		return flow.Refuse(fault.NotFound())
	}
	reply := flow.Reply{Status: 204}
	switch p.Refund {
	case RefundPending:
		w.Withdraw(p.OrderID, CallRefund)
	case RefundAsking:
		w.Withdraw(p.OrderID, CallAskRefund)
	default:
		return reply, nil
	}
	return reply, settle(w, p, RefundIsDone, "", m)
}
