package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/services/payment"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// caller makes payment's calls outside. One rule holds for all: what may have been sent is asked for
// before it is sent again, and always under the same key.
type caller struct {
	provider provider.Provider
	// defaultToken stands for the member's default payment method.
	defaultToken string
}

func (c *caller) callers() map[string]engine.Caller {
	return map[string]engine.Caller{
		payment.CallCharge:    c.charge,
		payment.CallAskCharge: c.askCharge,
		payment.CallVoid:      c.voidCharge,
		payment.CallRefund:    c.refund,
		payment.CallAskRefund: c.askRefund,
	}
}

func decode[B any](call engine.Call) (B, error) {
	var body B
	if err := json.Unmarshal(call.Body, &body); err != nil {
		return body, fmt.Errorf("decode the call %q: %w", call.Kind, err)
	}
	return body, nil
}

// charge ends in an outcome where there is one. A time-out is one too, Unknown: waiting as long again for
// the same answer would eat the order's time, and the decision knows what to do. Everything else (not
// sent, a 5xx, a cut connection) is an error, for which the engine makes the call again with backoff; so a
// provider that is away for a moment costs a moment and not the order.
//
// Every try but the first begins by asking: the one before may have got through, or its worker may have
// died between the provider's answer and ours.
func (c *caller) charge(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[payment.ChargeCall](call)
	if err != nil {
		return nil, err
	}
	request := c.request(payment.KeyCall{
		Key: body.Key, OrderID: body.OrderID, Token: body.Token, Amount: body.Amount, Currency: body.Currency, Transfer: body.Transfer,
	})
	if call.Attempt > 1 {
		known, err := c.provider.AskCharge(ctx, request)
		if err != nil {
			return nil, err
		}
		if known.State != provider.NotFound {
			return charged(body.OrderID, known), nil
		}
	}
	made, err := c.provider.Charge(ctx, request)
	switch {
	case err == nil:
		return charged(body.OrderID, made), nil
	case timedOut(err):
		return payment.Charged{OrderID: body.OrderID, Outcome: payment.ChargeIsUnknown}, nil
	default:
		return nil, err
	}
}

// request is how the provider knows a charge, whether it is made, asked about or closed.
func (c *caller) request(k payment.KeyCall) provider.ChargeRequest {
	r := provider.ChargeRequest{Key: k.Key, OrderID: k.OrderID, Method: provider.Card, Token: k.Token, Amount: k.Amount, Currency: k.Currency}
	switch {
	case k.Transfer:
		r.Method, r.Token = provider.Transfer, ""
	case r.Token == "":
		r.Token = c.defaultToken
	}
	return r
}

// timedOut says that a request was sent and the answer did not come in time.
func timedOut(err error) bool {
	return errors.Is(err, provider.ErrUnknown) && errors.Is(err, context.DeadlineExceeded)
}

func charged(orderID string, o provider.Outcome) payment.Charged {
	return payment.Charged{
		OrderID: orderID, Outcome: payment.ChargeOutcome(o.State), ChargeID: o.ChargeID, Reason: o.Reason,
		Account: payment.Account{Bank: o.Account.Bank, Number: o.Account.Number, Holder: o.Account.Holder, Until: o.Account.Until},
	}
}

func (c *caller) askCharge(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[payment.KeyCall](call)
	if err != nil {
		return nil, err
	}
	known, err := c.provider.AskCharge(ctx, c.request(body))
	if err != nil {
		return nil, err
	}
	return payment.ChargeAsked(charged(body.OrderID, known)), nil
}

func (c *caller) voidCharge(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[payment.KeyCall](call)
	if err != nil {
		return nil, err
	}
	closed, err := c.provider.VoidCharge(ctx, c.request(body))
	if err != nil {
		return nil, err
	}
	return payment.ChargeVoided(charged(body.OrderID, closed)), nil
}

func (c *caller) refund(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[payment.RefundCall](call)
	if err != nil {
		return nil, err
	}
	settled, err := c.settleRefund(ctx, body, call.Attempt > 1)
	switch {
	case err == nil:
		return refunded(body.OrderID, settled), nil
	case timedOut(err):
		return payment.Refunded{OrderID: body.OrderID, Outcome: payment.RefundIsUnknown}, nil
	default:
		return nil, err
	}
}

// askRefund has no unknown outcome: it is tried until the refund is settled, and asks first every time.
func (c *caller) askRefund(ctx context.Context, call engine.Call) (flow.Command, error) {
	body, err := decode[payment.RefundCall](call)
	if err != nil {
		return nil, err
	}
	settled, err := c.settleRefund(ctx, body, true)
	if err != nil {
		return nil, err
	}
	return payment.RefundAsked(refunded(body.OrderID, settled)), nil
}

// settleRefund refunds; with ask it first asks about the key and refunds only where the provider does not
// know it.
func (c *caller) settleRefund(ctx context.Context, body payment.RefundCall, ask bool) (provider.RefundOutcome, error) {
	request := provider.RefundRequest{Key: body.Key, ChargeID: body.ChargeID, Amount: body.Amount, Currency: body.Currency}
	if ask {
		known, err := c.provider.AskRefund(ctx, request)
		if err != nil || known.State != provider.RefundNotFound {
			return known, err
		}
	}
	return c.provider.Refund(ctx, request)
}

func refunded(orderID string, o provider.RefundOutcome) payment.Refunded {
	outcome := payment.RefundIsDone
	if o.State == provider.Refused {
		outcome = payment.RefundIsRefused
	}
	return payment.Refunded{OrderID: orderID, Outcome: outcome, Reason: o.Reason}
}
