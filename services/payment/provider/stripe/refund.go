package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	api "github.com/stripe/stripe-go/v84"

	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Refund implements provider.Provider.
func (c *Client) Refund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	params := &api.RefundCreateParams{PaymentIntent: api.String(r.ChargeID), Amount: api.Int64(r.Amount)}
	params.AddMetadata(metaKey, r.Key)
	params.SetIdempotencyKey(r.Key)
	made, err := c.api.V1Refunds.Create(ctx, params)
	if err == nil {
		return refundOutcome(r, made)
	}
	var said *api.Error
	if errors.As(err, &said) && said.Code == api.ErrorCodeChargeAlreadyRefunded {
		// All of it is back already: by us, with the answer lost and the key
		// forgotten, or by a person in the dashboard.
		return provider.RefundOutcome{State: provider.Refunded, RefundID: r.ChargeID}, nil
	}
	if errors.As(err, &said) && (said.Type == api.ErrorTypeInvalidRequest || said.Type == api.ErrorTypeCard) && said.HTTPStatusCode < http.StatusUnauthorized {
		return provider.RefundOutcome{State: provider.Refused, Reason: word(said)}, nil
	}
	return provider.RefundOutcome{}, classify("refund", err)
}

// mostRefunds is how many refunds of one payment are looked through.
const mostRefunds = 100

// AskRefund implements provider.Provider. The list of a payment's refunds, unlike
// the search, is never behind.
func (c *Client) AskRefund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	params := &api.RefundListParams{PaymentIntent: api.String(r.ChargeID)}
	params.Limit, params.Single = api.Int64(mostRefunds), true
	for one, err := range c.api.V1Refunds.List(ctx, params) {
		if err != nil {
			return provider.RefundOutcome{}, classify("ask refund", err)
		}
		if one.Metadata[metaKey] == r.Key {
			return refundOutcome(r, one)
		}
	}
	return provider.RefundOutcome{State: provider.RefundNotFound}, nil
}

func refundOutcome(r provider.RefundRequest, one *api.Refund) (provider.RefundOutcome, error) {
	switch one.Status {
	case api.RefundStatusSucceeded:
		if one.Amount != r.Amount || !strings.EqualFold(string(one.Currency), r.Currency) {
			return provider.RefundOutcome{}, fmt.Errorf("%w: %d %s went back and %d %s were asked for",
				provider.ErrRejected, one.Amount, one.Currency, r.Amount, r.Currency)
		}
		return provider.RefundOutcome{State: provider.Refunded, RefundID: one.ID}, nil
	case api.RefundStatusFailed, api.RefundStatusCanceled:
		return provider.RefundOutcome{State: provider.Refused, Reason: string(one.FailureReason)}, nil
	default: // pending, requires_action: the bank has it
		return provider.RefundOutcome{}, fmt.Errorf("%w: the refund is %s", provider.ErrUnknown, one.Status)
	}
}
