package payment

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
)

// OnCharged takes the outcome of the charge. One that comes when the key is being closed is not looked
// at: the provider's answer to that says the same, and says it for good.
func OnCharged(w *World, a Charged, m flow.Meta) []flow.Event {
	p, _ := w.Payments.Get(a.OrderID)
	if p.State != Charging {
		return nil
	}
	switch a.Outcome {
	case Captured:
		return complete(w, p, a.ChargeID, m)
	case Declined, KeyVoided:
		return fail(w, p, declineWord(a.Reason), m)
	case ChargePending:
		return await(w, p, a.Account, m)
	}
	p.State = Asking
	put(w, p, m)
	w.Call(flow.Call{Subject: p.OrderID, Kind: CallAskCharge, Body: p.KeyCall()})
	return nil
}

// await has the order wait for its transfer, which the provider tells of with a webhook. Who waits is
// order: its deadline closes the account.
func await(w *World, p Payment, into Account, m flow.Meta) []flow.Event {
	p.State, p.Account = Awaiting, into
	put(w, p, m)
	return nil
}

// KeyCall is all that a provider may find the payment's charge by.
func (p Payment) KeyCall() KeyCall {
	return KeyCall{
		Key: chargeKey(p.OrderID), OrderID: p.OrderID, Token: p.Token, Amount: p.Amount, Currency: p.Currency, Transfer: p.byTransfer(),
	}
}

// OnChargeAsked takes what the provider knows of the key. That it does not know it is no answer yet: a
// worker that was paused may still send the charge. So the key is closed first.
func OnChargeAsked(w *World, a ChargeAsked, m flow.Meta) []flow.Event {
	p, _ := w.Payments.Get(a.OrderID)
	if p.State != Asking {
		return nil
	}
	switch a.Outcome {
	case Captured:
		return complete(w, p, a.ChargeID, m)
	case Declined, KeyVoided:
		return fail(w, p, declineWord(a.Reason), m)
	case ChargePending:
		return await(w, p, a.Account, m)
	}
	p.State = Voiding
	put(w, p, m)
	w.Call(voidCall(p))
	return nil
}

// OnChargeVoided takes the final word on the key: nothing was charged and nothing will be, or something
// was before. A capture for an order nobody wants any more is refunded.
func OnChargeVoided(w *World, a ChargeVoided, m flow.Meta) []flow.Event {
	p, _ := w.Payments.Get(a.OrderID)
	captured := a.Outcome == Captured
	switch {
	case p.State == Closing:
		if captured {
			p.ChargeID = a.ChargeID
		}
		return cancel(w, p, captured, m)
	case p.State != Voiding:
		return nil
	case captured:
		return complete(w, p, a.ChargeID, m)
	case a.Outcome == Declined:
		return fail(w, p, declineWord(a.Reason), m)
	}
	return fail(w, p, FailNotCharged, m)
}

// declineWord is the provider's own code in lower case, or ours where it gave none.
func declineWord(reason string) string {
	if reason == "" {
		return FailDeclined
	}
	return strings.ToLower(reason)
}

// OnRefunded takes the outcome of the refund.
func OnRefunded(w *World, a Refunded, m flow.Meta) []flow.Event {
	p, _ := w.Payments.Get(a.OrderID)
	if p.Refund != RefundPending {
		return nil
	}
	if a.Outcome != RefundIsUnknown {
		return settle(w, p, a.Outcome, a.Reason, m)
	}
	p.Refund = RefundAsking
	put(w, p, m)
	w.Call(flow.Call{Subject: p.OrderID, Kind: CallAskRefund, Body: p.RefundCall()})
	return nil
}

// OnRefundAsked takes what became of a refund whose outcome was unknown.
func OnRefundAsked(w *World, a RefundAsked, m flow.Meta) []flow.Event {
	p, _ := w.Payments.Get(a.OrderID)
	if p.Refund != RefundAsking {
		return nil
	}
	return settle(w, p, a.Outcome, a.Reason, m)
}

// settle ends the refund: the money is back, or a person has to bring it back.
func settle(w *World, p Payment, outcome RefundOutcome, reason string, m flow.Meta) []flow.Event {
	if outcome == RefundIsDone {
		p.Refund = RefundDone
		put(w, p, m)
		return []flow.Event{flow.Because(p.CancelEvent, &paymentv1.PaymentRefunded{
			OrderId: p.OrderID, UserId: p.UserID, PaymentAmount: p.Amount, Currency: p.Currency,
			RefundedAt: timestamppb.New(m.Now),
		})}
	}
	p.Refund, p.FailReason = RefundRefused, declineWord(reason)
	put(w, p, m)
	return []flow.Event{flow.Because(p.CancelEvent, &paymentv1.RefundFailed{
		OrderId: p.OrderID, UserId: p.UserID, PaymentAmount: p.Amount, Currency: p.Currency, Reason: p.FailReason,
		FailedAt: timestamppb.New(m.Now),
	})}
}
