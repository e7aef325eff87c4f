// Package simulator is the adapter to the payment simulator (services/simulator
// describes its calls).
package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Client is a provider.Provider.
type Client struct{ remote *remote.Client }

var _ provider.Provider = (*Client)(nil)

// New makes a client; cfg.BaseURL is required, cfg.Name defaults to
// "payment simulator".
func New(cfg remote.Config) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = "payment simulator"
	}
	r, err := remote.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure payment provider: %w", err)
	}
	return &Client{remote: r}, nil
}

// answer is any body the simulator sends.
type answer struct {
	State    string `json:"state"`
	ChargeID string `json:"chargeId"`
	RefundID string `json:"refundId"`
	Reason   string `json:"reason"`
	Error    struct {
		Code string `json:"code"`
	} `json:"error"`
}

// Charge implements provider.Provider.
func (c *Client) Charge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	body := struct {
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Token     string `json:"token"`
		Reference string `json:"reference"`
	}{r.Amount, r.Currency, r.Token, r.OrderID}
	return c.charge(ctx, "charge", remote.Call{Method: http.MethodPost, Path: "/v1/charges", Key: r.Key, Body: body})
}

// AskCharge implements provider.Provider.
func (c *Client) AskCharge(ctx context.Context, key string) (provider.Outcome, error) {
	return c.charge(ctx, "ask charge", remote.Call{Method: http.MethodGet, Path: "/v1/charges/by-key/" + url.PathEscape(key)})
}

// VoidCharge implements provider.Provider.
func (c *Client) VoidCharge(ctx context.Context, key string) (provider.Outcome, error) {
	body := map[string]string{"key": key}
	return c.charge(ctx, "void charge", remote.Call{Method: http.MethodPost, Path: "/v1/voids", Body: body})
}

// charge makes a call that is answered with a charge.
func (c *Client) charge(ctx context.Context, what string, call remote.Call) (provider.Outcome, error) {
	status, a, err := c.do(ctx, what, call)
	if err != nil {
		return provider.Outcome{}, err
	}
	switch {
	// The code and not the status alone: a wrong base URL or a proxy answers 404
	// as well, and knows nothing of any charge.
	case status == http.StatusNotFound && a.Error.Code == "charge_not_found":
		return provider.Outcome{State: provider.NotFound}, nil
	case a.State == "captured" && a.ChargeID != "":
		return provider.Outcome{State: provider.Captured, ChargeID: a.ChargeID}, nil
	case a.State == "declined":
		return provider.Outcome{State: provider.Declined, Reason: a.Reason}, nil
	case a.State == "voided":
		return provider.Outcome{State: provider.Voided}, nil
	default:
		return provider.Outcome{}, strange(what, status, a)
	}
}

// Refund implements provider.Provider.
func (c *Client) Refund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	body := struct {
		ChargeID string `json:"chargeId"`
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}{r.ChargeID, r.Amount, r.Currency}
	return c.refund(ctx, "refund", remote.Call{Method: http.MethodPost, Path: "/v1/refunds", Key: r.Key, Body: body})
}

// AskRefund implements provider.Provider.
func (c *Client) AskRefund(ctx context.Context, key string) (provider.RefundOutcome, error) {
	return c.refund(ctx, "ask refund", remote.Call{Method: http.MethodGet, Path: "/v1/refunds/by-key/" + url.PathEscape(key)})
}

// refund makes a call that is answered with a refund.
func (c *Client) refund(ctx context.Context, what string, call remote.Call) (provider.RefundOutcome, error) {
	status, a, err := c.do(ctx, what, call)
	if err != nil {
		return provider.RefundOutcome{}, err
	}
	switch {
	case status == http.StatusNotFound && a.Error.Code == "refund_not_found":
		return provider.RefundOutcome{State: provider.RefundNotFound}, nil
	case a.State == "refunded" && a.RefundID != "":
		return provider.RefundOutcome{State: provider.Refunded, RefundID: a.RefundID}, nil
	case a.State == "refused":
		return provider.RefundOutcome{State: provider.Refused, Reason: a.Reason}, nil
	default:
		return provider.RefundOutcome{}, strange(what, status, a)
	}
}

func (c *Client) do(ctx context.Context, what string, call remote.Call) (int, answer, error) {
	got, err := c.remote.Do(ctx, call)
	if err != nil {
		return 0, answer{}, fmt.Errorf("%s: %w", what, err)
	}
	var a answer
	if err := json.Unmarshal(got.Body, &a); err != nil && got.Status < 300 {
		return 0, answer{}, fmt.Errorf("%s: %w: decode answer: %w", what, provider.ErrUnknown, err)
	}
	return got.Status, a, nil
}

// strange classifies an answer that names no outcome. A 4xx refuses the request
// itself; a success that cannot be read may be anything.
func strange(what string, status int, a answer) error {
	if status >= 300 {
		return fmt.Errorf("%s: %w: answered %d %q", what, provider.ErrRejected, status, a.Error.Code)
	}
	return fmt.Errorf("%s: %w: answered %d with state %q", what, provider.ErrUnknown, status, a.State)
}
