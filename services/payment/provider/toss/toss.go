// Package toss is the adapter to Toss Payments, by its published core API
// (https://docs.tosspayments.com/reference).
//
// A card payment begins in the shop's front end: the buyer proves who they are in
// Toss's window, which hands back a paymentKey and the order id the window was
// opened with. Both are the order's payment token, "paymentKey:orderId"; Charge
// confirms it for the amount that the server knows, which Toss holds against the
// amount the buyer has seen. A transfer begins here: Charge opens a virtual
// account under our own order id.
//
// Two orders may come with one token. Toss answers the first confirm's
// Idempotency-Key with success and every other key with
// ALREADY_PROCESSED_PAYMENT, so a payment belongs to the order under whose key it
// was confirmed; that a payment is DONE says only that somebody has. See settled.
package toss

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/payment/provider"
)

// Name is what configuration and webhook paths call it.
const Name = "toss"

// URL is the API's public address.
const URL = "https://api.tosspayments.com"

// keyLife is how long Toss remembers an Idempotency-Key; see remembered.
const keyLife = 15 * 24 * time.Hour

// Config of a Client.
type Config struct {
	// Remote names the address and the time-out; BaseURL defaults to URL. Its
	// Header is replaced.
	Remote remote.Config
	// SecretKey is the shop's, test_sk… or live_sk….
	SecretKey string
	// Bank is the code of the bank that opens virtual accounts; default 20.
	Bank string
	// Holder is the name virtual accounts are opened under, the shop's.
	Holder string
	// TransferHours is how long Toss itself keeps a virtual account open, at least
	// as long as an order waits; default 1.
	TransferHours int
}

// Client is a provider.Provider. It takes won only.
type Client struct {
	remote *remote.Client
	cfg    Config
}

var _ provider.Provider = (*Client)(nil)

// New makes a client.
func New(cfg Config) (*Client, error) {
	if cfg.SecretKey == "" {
		return nil, errors.New("configure Toss Payments: a secret key is required")
	}
	if cfg.Remote.BaseURL == "" {
		cfg.Remote.BaseURL = URL
	}
	cfg.Remote.Name = "Toss Payments"
	cfg.Remote.Header = http.Header{
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.SecretKey+":"))},
	}
	if cfg.Bank == "" {
		cfg.Bank = "20"
	}
	if cfg.Holder == "" {
		cfg.Holder = "Quadrille"
	}
	if cfg.TransferHours == 0 {
		cfg.TransferHours = 1
	}
	r, err := remote.New(cfg.Remote)
	if err != nil {
		return nil, fmt.Errorf("configure payment provider: %w", err)
	}
	return &Client{remote: r, cfg: cfg}, nil
}

// Name implements provider.Provider.
func (*Client) Name() string { return Name }

// Charge implements provider.Provider.
func (c *Client) Charge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	if r.Currency != "KRW" {
		return provider.Outcome{State: provider.Declined, Reason: "unsupported_currency"}, nil
	}
	if r.Method == provider.Transfer {
		return c.openAccount(ctx, r)
	}
	status, p, err := c.confirm(ctx, r)
	if err != nil {
		return provider.Outcome{}, err
	}
	if status == http.StatusOK {
		return c.outcome(r, p)
	}
	return refused("confirm", status, p)
}

// confirm takes the payment for the order's amount. Sent again under the same key
// it has no effect and the first one's answer, be it a refusal.
func (c *Client) confirm(ctx context.Context, r provider.ChargeRequest) (int, payment, error) {
	paymentKey, orderID := parseToken(r)
	return c.do(ctx, "confirm", remote.Call{Method: http.MethodPost, Path: "/v1/payments/confirm", Key: r.Key, Body: struct {
		PaymentKey string `json:"paymentKey"`
		OrderID    string `json:"orderId"`
		Amount     int64  `json:"amount"`
	}{paymentKey, orderID, r.Amount}})
}

// parseToken takes a token apart. One without an order id is of a window that was
// opened with ours.
func parseToken(r provider.ChargeRequest) (paymentKey, orderID string) {
	paymentKey, orderID, ok := strings.Cut(r.Token, ":")
	if !ok {
		orderID = r.OrderID
	}
	return paymentKey, orderID
}

// openAccount has a virtual account opened, under our order id: that is how it is
// found again when the answer is lost.
func (c *Client) openAccount(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	status, p, err := c.do(ctx, "open account", remote.Call{Method: http.MethodPost, Path: "/v1/virtual-accounts", Key: r.Key, Body: struct {
		Amount       int64  `json:"amount"`
		OrderID      string `json:"orderId"`
		OrderName    string `json:"orderName"`
		CustomerName string `json:"customerName"`
		Bank         string `json:"bank"`
		ValidHours   int    `json:"validHours"`
	}{r.Amount, r.OrderID, "Order " + r.OrderID, c.cfg.Holder, c.cfg.Bank, c.cfg.TransferHours}})
	if err != nil {
		return provider.Outcome{}, err
	}
	if status == http.StatusOK {
		return c.outcome(r, p)
	}
	return refused("open account", status, p)
}

// AskCharge implements provider.Provider. It looks the payment up, and where that
// is DONE asks whose it is.
func (c *Client) AskCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	status, p, err := c.look(ctx, r)
	switch {
	case err != nil:
		return provider.Outcome{}, err
	case status == http.StatusNotFound && p.Code == codeNotFound:
		return provider.Outcome{State: provider.NotFound}, nil
	case status != http.StatusOK:
		return provider.Outcome{}, rejected("ask charge", status, p.Code)
	case p.Status == statusDone:
		return c.settled(ctx, r, p)
	}
	return c.outcome(r, p)
}

// look finds a payment by its key, a transfer by our order id.
func (c *Client) look(ctx context.Context, r provider.ChargeRequest) (int, payment, error) {
	path := "/v1/payments/orders/" + url.PathEscape(r.OrderID)
	if r.Method != provider.Transfer {
		paymentKey, _ := parseToken(r)
		if paymentKey == "" {
			return http.StatusNotFound, payment{apiError: apiError{Code: codeNotFound}}, nil
		}
		path = "/v1/payments/" + url.PathEscape(paymentKey)
	}
	return c.do(ctx, "look up payment", remote.Call{Method: http.MethodGet, Path: path})
}

// settled says whose a payment is that somebody has confirmed. One under our own
// order id is ours. Of any other the confirm is sent once more under its own key,
// which can charge nothing now: ours is answered as the first time, somebody
// else's with ALREADY_PROCESSED_PAYMENT. Once Toss has forgotten the key that
// answer would be the same for ours, so then a person looks.
func (c *Client) settled(ctx context.Context, r provider.ChargeRequest, p payment) (provider.Outcome, error) {
	if _, orderID := parseToken(r); orderID == r.OrderID || r.Method == provider.Transfer {
		return c.outcome(r, p)
	}
	if !p.remembered(time.Now()) {
		return provider.Outcome{}, fmt.Errorf("ask charge: %w: the key is older than Toss remembers", provider.ErrRejected)
	}
	status, p, err := c.confirm(ctx, r)
	if err != nil {
		return provider.Outcome{}, err
	}
	if status == http.StatusOK {
		return c.outcome(r, p)
	}
	return refused("confirm again", status, p)
}

// VoidCharge implements provider.Provider. A virtual account is closed at Toss. A
// card payment that is not confirmed cannot be: it expires by itself within
// minutes, and until it has the key is not closed, as a worker that was paused may
// still confirm it; the caller asks again.
func (c *Client) VoidCharge(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	now, err := c.AskCharge(ctx, r)
	if err != nil {
		return provider.Outcome{}, err
	}
	switch now.State {
	case provider.Captured, provider.Declined, provider.Voided:
		return now, nil
	case provider.Pending:
		return c.closeAccount(ctx, r)
	}
	if r.Method == provider.Transfer {
		return c.closeUnopened(ctx, r)
	}
	status, p, err := c.look(ctx, r)
	switch {
	case err != nil:
		return provider.Outcome{}, err
	case status == http.StatusNotFound:
		// A payment's key is made when the window opens: nobody can make this one.
		return provider.Outcome{State: provider.Voided}, nil
	}
	return provider.Outcome{}, fmt.Errorf("void charge: %w: the payment is still %s", provider.ErrUnknown, p.Status)
}

// closeUnopened closes a transfer that Toss does not know: it is opened, under its
// own key, and closed. The paused worker that sends it later is answered as this
// was, and opens nothing.
func (c *Client) closeUnopened(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	opened, err := c.openAccount(ctx, r)
	if err != nil || opened.State != provider.Pending {
		return opened, err
	}
	return c.closeAccount(ctx, r)
}

// closeAccount cancels a virtual account. Somebody may pay at the same moment:
// Toss then refuses, as the money would have to go back to an account it is not
// told, and the payment says that it is DONE.
func (c *Client) closeAccount(ctx context.Context, r provider.ChargeRequest) (provider.Outcome, error) {
	_, p, err := c.look(ctx, r)
	if err != nil {
		return provider.Outcome{}, err
	}
	if p.Status == statusWaiting {
		if _, _, err := c.cancel(ctx, p.PaymentKey, "void-"+r.Key, r.Key, p.TotalAmount); err != nil {
			return provider.Outcome{}, err
		}
	}
	now, err := c.AskCharge(ctx, r)
	if err == nil && (now.State == provider.Pending || now.State == provider.NotFound) {
		return provider.Outcome{}, fmt.Errorf("void charge: %w: the account is still open", provider.ErrUnknown)
	}
	return now, err
}
