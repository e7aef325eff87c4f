package toss

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Refund implements provider.Provider. A refund is a cancel of the payment; its
// reason holds our key, by which it is found again. A transfer that was paid needs
// an account of the buyer's to go back to, which nobody has asked for: Toss
// refuses, and a person pays it back.
func (c *Client) Refund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	status, p, err := c.cancel(ctx, r.ChargeID, r.Key, r.Key, won(r.Amount))
	switch {
	case err != nil:
		return provider.RefundOutcome{}, err
	case status == http.StatusOK:
		return found("refund", r, p)
	case p.Code == "ALREADY_CANCELED_PAYMENT":
		return c.AskRefund(ctx, r)
	case unclear[p.Code] || status < 400:
		return provider.RefundOutcome{}, fmt.Errorf("refund: %w: answered %d %q", provider.ErrUnknown, status, p.Code)
	case ours[p.Code]:
		return provider.RefundOutcome{}, rejected("refund", status, p.Code)
	}
	return provider.RefundOutcome{State: provider.Refused, Reason: strings.ToLower(p.Code)}, nil
}

func (c *Client) cancel(ctx context.Context, paymentKey, idempotencyKey, key string, amount won) (int, payment, error) {
	return c.do(ctx, "cancel", remote.Call{
		Method: http.MethodPost, Path: "/v1/payments/" + url.PathEscape(paymentKey) + "/cancel", Key: idempotencyKey,
		Body: struct {
			CancelReason string `json:"cancelReason"`
			CancelAmount won    `json:"cancelAmount"`
		}{reason(key), amount},
	})
}

// reason is what a cancel says of itself.
func reason(key string) string { return "quadrille " + key }

// AskRefund implements provider.Provider.
func (c *Client) AskRefund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	status, p, err := c.do(ctx, "ask refund", remote.Call{Method: http.MethodGet, Path: "/v1/payments/" + url.PathEscape(r.ChargeID)})
	if err != nil {
		return provider.RefundOutcome{}, err
	}
	if status != http.StatusOK {
		return provider.RefundOutcome{}, rejected("ask refund", status, p.Code)
	}
	return found("ask refund", r, p)
}

// found looks for our cancel among a payment's. Where all of the money is back it
// does not matter who gave it: in Toss's own dashboard a person can.
func found(what string, r provider.RefundRequest, p payment) (provider.RefundOutcome, error) {
	for _, one := range p.Cancels {
		switch {
		case one.CancelReason != reason(r.Key):
		case one.CancelStatus != "" && one.CancelStatus != statusDone:
			return provider.RefundOutcome{}, fmt.Errorf("%s: %w: it is %s", what, provider.ErrUnknown, one.CancelStatus)
		case int64(one.CancelAmount) != r.Amount:
			return provider.RefundOutcome{}, fmt.Errorf("%s: %w: %d went back and %d were asked for", what, provider.ErrRejected, one.CancelAmount, r.Amount)
		default:
			return provider.RefundOutcome{State: provider.Refunded, RefundID: one.TransactionKey}, nil
		}
	}
	if p.Status == statusCanceled && p.BalanceAmount == 0 && len(p.Cancels) > 0 {
		return provider.RefundOutcome{State: provider.Refunded, RefundID: p.Cancels[len(p.Cancels)-1].TransactionKey}, nil
	}
	return provider.RefundOutcome{State: provider.RefundNotFound}, nil
}
