// Package simulator is the adapter to the payment simulator (services/simulator
// describes its calls).
package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Client is a provider.Provider.
type Client struct {
	remote  *remote.Client
	secrets [][]byte
}

var _ provider.Provider = (*Client)(nil)

// Name is what configuration and webhook paths call it.
const Name = "simulator"

// New makes a client; cfg.BaseURL is required, cfg.Name defaults to
// "payment simulator". Webhooks are signed with one of the secrets; without any,
// none is accepted.
func New(cfg remote.Config, webhookSecrets ...string) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = "payment simulator"
	}
	r, err := remote.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure payment provider: %w", err)
	}
	c := &Client{remote: r}
	for _, secret := range webhookSecrets {
		if secret == "" {
			return nil, errors.New("configure payment provider: an empty webhook secret")
		}
		c.secrets = append(c.secrets, []byte(secret))
	}
	return c, nil
}

// Name implements provider.Provider.
func (*Client) Name() string { return Name }

// answer is any body the simulator sends.
type answer struct {
	State    string `json:"state"`
	ChargeID string `json:"chargeId"`
	RefundID string `json:"refundId"`
	Reason   string `json:"reason"`
	Account  *struct {
		Bank   string    `json:"bank"`
		Number string    `json:"number"`
		Holder string    `json:"holder"`
		Until  time.Time `json:"until"`
	} `json:"account"`
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
}

// Charge implements provider.Provider.
func (c *Client) Charge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	body := struct {
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		Token     string `json:"token,omitempty"`
		Reference string `json:"reference"`
		Transfer  bool   `json:"transfer,omitempty"`
	}{r.Amount, r.Currency, r.Token, r.OrderID, r.Method == provider.Transfer}
	return c.charge(ctx, "charge", remote.Call{Method: http.MethodPost, Path: "/v1/charges", Key: r.Key, Body: body})
}

// AskCharge implements provider.Provider.
func (c *Client) AskCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	return c.charge(ctx, "ask charge", remote.Call{Method: http.MethodGet, Path: "/v1/charges/by-key/" + url.PathEscape(r.Key)})
}

// VoidCharge implements provider.Provider.
func (c *Client) VoidCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	body := map[string]string{"key": r.Key}
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
	case a.State == "pending" && a.Account != nil && a.Account.Number != "":
		return provider.Outcome{State: provider.Pending, Account: provider.Account{
			Bank: a.Account.Bank, Number: a.Account.Number, Holder: a.Account.Holder, Until: a.Account.Until,
		}}, nil
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
func (c *Client) AskRefund(ctx context.Context, r provider.RefundRequest) (provider.RefundOutcome, error) {
	return c.refund(ctx, "ask refund", remote.Call{Method: http.MethodGet, Path: "/v1/refunds/by-key/" + url.PathEscape(r.Key)})
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
